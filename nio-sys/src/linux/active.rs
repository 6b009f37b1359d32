//! The list of active knotes: those whose condition user space knows to hold, oldest first.
//!
//! The laws:
//!
//! 1. A knote stands in it at most once, and keeps its position, by which it is taken out. So the list is
//!    empty exactly when nothing is active (K8).
//! 2. A call takes knotes out from the front and reports them. One that is still active after its report
//!    goes to the end when the call is over: it comes once in a call (K84), and after all others (K87).

use std::{collections::BTreeMap, os::fd::RawFd};

/// A knote in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A READ, WRITE or EXCEPT knote of a descriptor that epoll takes: its index among the filters.
    Descriptor(RawFd, usize),
    /// Any other, by its number in the engine.
    Knote(u32),
}

/// The active knotes of one queue, by position.
#[derive(Debug, Default)]
pub(super) struct Active {
    list: BTreeMap<u64, Key>,
    next: u64,
    /// A knote has become active since this was last asked.
    grew: bool,
}

impl Active {
    /// Appends a knote, and returns its position.
    pub(super) fn push(&mut self, key: Key) -> u64 {
        let position = self.next;
        self.next += 1;
        self.list.insert(position, key);
        self.grew = true;
        position
    }

    /// Takes out a knote that is active no more, if it stands in the list.
    pub(super) fn remove(&mut self, position: Option<u64>) {
        if let Some(position) = position {
            self.list.remove(&position);
        }
    }

    /// Takes out the oldest.
    pub(super) fn pop(&mut self) -> Option<Key> {
        self.list.pop_first().map(|(_, key)| key)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether a knote has become active since this was last asked.
    #[inline]
    pub(super) fn take_grew(&mut self) -> bool {
        std::mem::take(&mut self.grew)
    }
}
