//! Catching panics of foreign code where other work has to be finished before they go on.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};

/// Catches panics, and keeps the first one until [`resume`](Panics::resume).
#[derive(Default)]
pub(crate) struct Panics(Option<Box<dyn Any + Send>>);

impl Panics {
    pub(crate) fn catch(&mut self, run: impl FnOnce()) {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(()) => {}
            Err(payload) if self.0.is_none() => self.0 = Some(payload),
            Err(payload) => discard(payload),
        }
    }

    pub(crate) fn has_caught(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn drop_each<T>(&mut self, values: impl IntoIterator<Item = T>) {
        for value in values {
            self.catch(|| drop(value));
        }
    }

    /// Lets the first panic go on. In a thread that panics already it is dropped, as two panics at once end the
    /// process.
    pub(crate) fn resume(self) {
        match self.0 {
            Some(payload) if thread::panicking() => discard(payload),
            Some(payload) => resume_unwind(payload),
            None => {}
        }
    }
}

/// Drops the payload of a panic. The drop itself may panic, with another payload.
pub(crate) fn discard(mut payload: Box<dyn Any + Send>) {
    while let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        payload = another;
    }
}
