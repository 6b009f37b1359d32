//! The pieces that a chapter of the guide finishes and a later chapter uses.

mod changes;
mod executor;
mod heap;
#[cfg(target_os = "linux")]
pub mod naive;
mod readable;

pub use changes::apply;
pub use executor::{Executor, Sleep, Sources};
pub use heap::{Heap, Key};

/// What the programs of the exercises print until the reader has written them.
pub const NOT_DONE: &str = "This exercise is yours: open the file and begin.";
