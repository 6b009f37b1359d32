//! The inbox of a loop: woken tasks, posts and stops from other threads.
//!
//! The laws:
//!
//! 1. Everything that reaches a loop from other threads goes through its inbox, under one lock. So
//!    a woken task or a post sees all writes before the wake or the post, also when several wakes
//!    become one.
//! 2. A thread that has put something into the inbox notifies the loop (see `alarm`). That costs a
//!    system call only if the loop waits.
//! 3. The inbox of a loop that is gone accepts nothing and keeps no descriptor.

use std::{
    fmt,
    panic::Location,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use nio_poll::Waker;

use crate::{Handle, alarm::Alarm, queued::Queued};

/// A closure from another thread.
pub(crate) struct Post {
    pub(crate) closure: Box<dyn FnOnce(&Handle) + Send>,
    pub(crate) place: &'static Location<'static>,
}

/// The part of a loop that other threads can reach.
#[derive(Debug)]
pub(crate) struct Mailbox {
    inbox: Mutex<Inbox>,
    pub(crate) alarm: Alarm,
}

/// Messages to the loop.
#[derive(Default)]
pub(crate) struct Inbox {
    /// The tasks that were woken, in order.
    pub(crate) woken: Vec<Arc<TaskWaker>>,
    pub(crate) posts: Vec<Post>,
    pub(crate) stop: bool,
    /// Wakes the loop's poll. `None` when the loop is gone.
    waker: Option<Arc<Waker>>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("woken", &self.woken.len())
            .field("posts", &self.posts.len())
            .field("stop", &self.stop)
            .field("closed", &self.waker.is_none())
            .finish()
    }
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Mailbox {
        let waker = Some(Arc::new(waker));
        Mailbox {
            inbox: Mutex::new(Inbox {
                waker,
                ..Inbox::default()
            }),
            alarm: Alarm::new(),
        }
    }

    pub(crate) fn open(&self) -> MutexGuard<'_, Inbox> {
        // No foreign code runs under the lock, so it is never poisoned by a panic.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something into the inbox, and wakes the loop if it waits. Returns false, without calling
    /// `put`, if the loop is gone.
    pub(crate) fn put(&self, put: impl FnOnce(&mut Inbox)) -> bool {
        let mut inbox = self.open();
        let Some(waker) = inbox.waker.clone() else {
            return false;
        };
        put(&mut inbox);
        drop(inbox);
        if self.alarm.notify() {
            // An error would mean that the poll is gone, and then nothing waits.
            let _ = waker.wake();
        }
        true
    }

    /// Wakes the loop if it waits.
    pub(crate) fn notify(&self) {
        if self.alarm.notify() {
            let waker = self.open().waker.clone();
            let _ = waker.map(|waker| waker.wake());
        }
    }

    /// Called when the loop's own thread gives it something. If the loop is embedded in another one
    /// that waits, that one has to wake up.
    #[inline]
    pub(crate) fn notify_if_parked(&self) {
        if self.alarm.is_parked() {
            self.notify();
        }
    }

    /// Closes the inbox, for the end of the loop. Returns its contents, to be dropped without the lock.
    pub(crate) fn close(&self) -> Inbox {
        std::mem::take(&mut *self.open())
    }
}

/// Shared by the clones of a task's waker.
#[derive(Debug)]
pub(crate) struct TaskWaker {
    pub(crate) mailbox: Arc<Mailbox>,
    /// The task's key as a word. It changes only while the waker has no clones.
    pub(crate) task: AtomicUsize,
    /// Whether it is in the inbox.
    queued: Queued,
}

impl TaskWaker {
    pub(crate) fn new(mailbox: &Arc<Mailbox>) -> Arc<TaskWaker> {
        Arc::new(TaskWaker {
            mailbox: Arc::clone(mailbox),
            task: AtomicUsize::new(0),
            queued: Queued::new(),
        })
    }

    /// Puts it into the inbox, unless it is there already.
    pub(crate) fn enqueue(self: &Arc<TaskWaker>) {
        if self.queued.set() {
            self.mailbox.put(|inbox| inbox.woken.push(Arc::clone(self)));
        }
    }

    /// Called by the loop when it takes this out of the inbox. Returns the task's key as a word.
    pub(crate) fn collect(&self) -> usize {
        self.queued.clear();
        self.task.load(Ordering::Relaxed)
    }
}
