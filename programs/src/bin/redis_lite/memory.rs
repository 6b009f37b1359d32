//! How much memory there may be in use, and what has been charged for.
//!
//! The laws:
//!
//! 1. There are two accounts of one size: for the values, and for the large buffers of connections. A small buffer is
//!    not charged for: their number is limited by that of the connections.
//! 2. When its account is at the limit, commands that need memory are refused and buffers do not grow.

use std::{cell::Cell, rc::Rc};

pub(crate) struct Memory {
    limit: usize,
    used: Cell<usize>,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Rc<Memory> {
        let used = Cell::new(0);
        Rc::new(Memory { limit, used })
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.used() >= self.limit
    }

    /// Something that was charged for has another size now.
    pub(crate) fn change(&self, from: usize, to: usize) {
        self.used.set(self.used() - from + to);
    }
}

/// The memory of the buffers of one connection; given back when this is dropped.
pub(crate) struct Charge {
    memory: Rc<Memory>,
    bytes: usize,
}

impl Charge {
    pub(crate) fn new(memory: &Rc<Memory>) -> Charge {
        let memory = Rc::clone(memory);
        Charge { memory, bytes: 0 }
    }

    /// Charges for as many bytes as there are now. Returns false if they are more than before, and more
    /// than there may be.
    #[must_use]
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let grows = bytes > self.bytes;
        self.memory.change(self.bytes, bytes);
        self.bytes = bytes;
        !grows || !self.memory.is_full()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.change(self.bytes, 0);
    }
}
