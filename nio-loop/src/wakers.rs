//! The wakers of tasks.
//!
//! A task that waits for a descriptor or a timer of its loop needs no waker of its own: the loop
//! lends it one for each poll. The laws:
//!
//! 1. A waker may be used and dropped on any thread. A wake on the loop's own thread, while it runs,
//!    goes straight into the ready queue; any other goes through the inbox.
//! 2. A waker wakes one task, always the same. A waker that is lent serves the next task only if
//!    no clone of it was kept, which its reference count tells.
//! 3. A waker that was kept is its task's own from then on: all later polls have the same one, so
//!    that `Waker::will_wake` tells the truth.

use std::{
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
    task::{Wake, Waker},
};

use nio_timer::Key;

use crate::{
    mailbox::{Mailbox, TaskWaker},
    tasks::{self, Tasks},
};

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !tasks::wake_here(&self.mailbox, self.task.load(Ordering::Relaxed)) {
            self.leave();
        }
    }
}

/// A waker, and what its clones share.
pub(crate) struct OwnWaker {
    shared: Arc<TaskWaker>,
    pub(crate) waker: Waker,
}

impl OwnWaker {
    /// Whether there are clones of the waker.
    #[inline]
    pub(crate) fn has_clones(&self) -> bool {
        Arc::strong_count(&self.shared) > 2
    }
}

/// The waker that a loop lends to the tasks that have none of their own, from the first poll on.
#[derive(Default)]
pub(crate) struct Lent(Option<OwnWaker>);

impl Lent {
    /// Gives the waker to the task that it was lent to last, if that has kept a clone of it.
    #[inline]
    pub(crate) fn settle(&mut self, tasks: &Tasks) {
        let Some(own) = &self.0 else { return };
        if own.has_clones() {
            return self.give_away(tasks);
        }
        // No clone is left to make others of. What the last one on another thread has read, it has
        // read before the next task is stored.
        fence(Ordering::Acquire);
    }

    #[cold]
    fn give_away(&mut self, tasks: &Tasks) {
        if let Some(own) = self.0.take() {
            if let Some(task) = tasks.find(own.shared.task.load(Ordering::Relaxed)) {
                task.set_waker(own);
            }
        }
    }

    /// The waker, for a poll of this task.
    #[inline]
    pub(crate) fn lend(&mut self, mailbox: &Arc<Mailbox>, task: Option<Key>) -> &Waker {
        let own = self.0.get_or_insert_with(|| new_waker(mailbox));
        let word = task.map_or(0, Key::to_word);
        own.shared.task.store(word, Ordering::Relaxed);
        &own.waker
    }

    /// Whether there is one.
    pub(crate) fn is_made(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the task that it was lent to last has kept a clone of it.
    pub(crate) fn has_clones(&self) -> bool {
        self.0.as_ref().is_some_and(OwnWaker::has_clones)
    }
}

#[cold]
fn new_waker(mailbox: &Arc<Mailbox>) -> OwnWaker {
    let shared = TaskWaker::new(mailbox);
    let waker = Waker::from(Arc::clone(&shared));
    OwnWaker { shared, waker }
}
