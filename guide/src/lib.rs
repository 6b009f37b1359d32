//! The pieces that a chapter of the guide finishes and a later chapter uses.

mod changes;

pub use changes::apply;

/// What the programs of the exercises print until the reader has written them.
pub const NOT_DONE: &str = "This exercise is yours: open the file and begin.";
