//! The memory limit, and the accounts of memory in use.
//!
//! The laws:
//!
//! 1. There are two accounts with the same limit: for values, and for connections. A connection is charged for
//!    its large buffers and its queued commands. Small buffers are not charged: the limit on connections bounds
//!    them.
//! 2. At the limit of an account, commands that need memory are refused, and neither buffers nor transactions grow.

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

    /// Changes the account when something has changed its size.
    pub(crate) fn change(&self, from: usize, to: usize) {
        self.used.set(self.used() - from + to);
    }
}

/// The memory of the buffers or the transaction of one connection; freed in the account when it is dropped.
pub(crate) struct Charge {
    memory: Rc<Memory>,
    bytes: usize,
}

impl Charge {
    pub(crate) fn new(memory: &Rc<Memory>) -> Charge {
        let memory = Rc::clone(memory);
        Charge { memory, bytes: 0 }
    }

    /// Charges the number of bytes in use now. Returns false if they have grown beyond the limit.
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
