//! The queues of callbacks that run once: ticks, immediates, posts, and close callbacks.
//!
//! The law: each queue is in the order of the calls. A phase runs as many as were queued when it
//! began; those that are added meanwhile wait for the next turn.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    panic::Location,
};

use nio_timer::{Key, Slab};

use crate::{Handle, clock::Time, mailbox::Post};

/// A callback that runs once.
pub(crate) type Once = Box<dyn FnOnce(&Handle)>;

/// A callback that runs once, and where it was set.
pub(crate) struct Call {
    pub(crate) callback: Once,
    pub(crate) place: &'static Location<'static>,
}

impl Call {
    pub(crate) fn new(
        callback: impl FnOnce(&Handle) + 'static,
        place: &'static Location<'static>,
    ) -> Call {
        let callback = Box::new(callback);
        Call { callback, place }
    }
}

/// The place and time of the call that gave something to the loop.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) place: &'static Location<'static>,
    pub(crate) since: Time,
}

pub(crate) struct Immediate {
    pub(crate) callback: Once,
    pub(crate) origin: Origin,
    pub(crate) referenced: bool,
}

#[derive(Default)]
pub(crate) struct Queues {
    pub(crate) ticks: RefCell<VecDeque<Call>>,
    pub(crate) closing: RefCell<VecDeque<Call>>,
    /// Posts that were taken out of the inbox.
    pub(crate) posts: RefCell<VecDeque<Post>>,
    pub(crate) immediates: RefCell<Slab<Immediate>>,
    /// The keys of the immediates, in order. The key of a cleared one stays.
    order: RefCell<VecDeque<Key>>,
    /// The number of referenced immediates: they keep the loop alive, and it does not sleep.
    referenced: Cell<usize>,
}

impl Queues {
    /// Whether a callback has to run before the loop may sleep.
    #[inline]
    pub(crate) fn are_busy(&self) -> bool {
        self.referenced.get() > 0
            || !self.ticks.borrow().is_empty()
            || !self.posts.borrow().is_empty()
            || !self.closing.borrow().is_empty()
    }

    pub(crate) fn add_immediate(&self, immediate: Immediate) -> Key {
        self.count(immediate.referenced, 1);
        let key = self.immediates.borrow_mut().insert(immediate);
        self.order.borrow_mut().push_back(key);
        key
    }

    pub(crate) fn remove_immediate(&self, key: Key) -> Option<Immediate> {
        let immediate = self.immediates.borrow_mut().remove(key)?;
        self.count(immediate.referenced, -1);
        Some(immediate)
    }

    /// Changes whether an immediate keeps the loop alive. Returns whether it did before.
    pub(crate) fn reference_immediate(&self, key: Key, to: bool) -> Option<bool> {
        let mut immediates = self.immediates.borrow_mut();
        let before = std::mem::replace(&mut immediates.get_mut(key)?.referenced, to);
        self.count(before, -1);
        self.count(to, 1);
        Some(before)
    }

    fn count(&self, referenced: bool, by: isize) {
        if referenced {
            self.referenced
                .set(self.referenced.get().wrapping_add_signed(by));
        }
    }

    /// The number of immediates to run in this phase, including cleared ones.
    pub(crate) fn immediates_of_this_turn(&self) -> usize {
        self.order.borrow().len()
    }

    /// Removes the next immediate from the queue. `None` if it was cleared.
    pub(crate) fn next_immediate(&self) -> Option<Immediate> {
        let key = self.order.borrow_mut().pop_front()?;
        self.remove_immediate(key)
    }
}
