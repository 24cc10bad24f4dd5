//! Carries out what the builders decide: the deeds behind the `injector` binary.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the pipeline that speaks through it comes next")
)]
mod report;
