//! The wakers of tasks.
//!
//! A task that waits only for descriptors or timers of its loop never clones its waker, so it needs
//! none of its own: it is polled with the waker of the loop. The laws:
//!
//! 1. A waker may be used and dropped on any thread. A wake on the loop's thread, while the loop runs,
//!    puts the task into the ready queue; any other wake goes through the inbox.
//! 2. A waker wakes one task, always the same. The waker of the loop is used for the next task only
//!    if the last task has kept no clone of it; its reference count shows that.
//! 3. A task that has kept a clone owns the waker from then on. All its later polls use the same
//!    waker, so `Waker::will_wake` is true.

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
            self.enqueue();
        }
    }
}

/// A waker, and the data that its clones share.
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

/// The waker of a loop, for tasks that have none of their own. It is made at the first poll.
#[derive(Default)]
pub(crate) struct LoopWaker(Option<OwnWaker>);

impl LoopWaker {
    /// Gives the waker to the task that was polled with it last, if that has kept a clone.
    #[inline]
    pub(crate) fn release_if_cloned(&mut self, tasks: &Tasks) {
        let Some(own) = &self.0 else { return };
        if own.has_clones() {
            return self.give_to_task(tasks);
        }
        // There are no clones. If the last one was dropped by another thread, its reads of the task
        // come before the next store.
        fence(Ordering::Acquire);
    }

    #[cold]
    fn give_to_task(&mut self, tasks: &Tasks) {
        if let Some(own) = self.0.take() {
            if let Some(task) = tasks.find(own.shared.task.load(Ordering::Relaxed)) {
                task.set_waker(own);
            }
        }
    }

    /// The waker, for a poll of this task.
    #[inline]
    pub(crate) fn for_task(&mut self, mailbox: &Arc<Mailbox>, task: Option<Key>) -> &Waker {
        let own = self.0.get_or_insert_with(|| new_waker(mailbox));
        let word = task.map_or(0, Key::to_word);
        own.shared.task.store(word, Ordering::Relaxed);
        &own.waker
    }

    /// Whether it was made already.
    pub(crate) fn is_made(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the task that was polled with it last has kept a clone.
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
