//! Carries out what the builders decide: the deeds behind the `injector` binary.

#[expect(dead_code, reason = "the pipeline that speaks through it comes next")]
mod report;
