//! Builds a function's dependencies and code into the volume it shares with its main container.

#[expect(dead_code, reason = "the pipeline, which drives this room, is not there yet")]
mod sys;
