//! The inbox of a loop: what other threads leave for it.
//!
//! The laws:
//!
//! 1. Everything that reaches a loop from outside goes through its inbox, under one lock: woken
//!    tasks, posted closures, a stop. So everything written before a wake or a post is seen by what
//!    runs because of it, also when several wakes become one.
//! 2. A thread that has left something notifies the loop (see `alarm`): that wakes a loop that
//!    waits, and costs a system call only then.
//! 3. The inbox of a loop that is gone takes nothing and keeps no descriptor.

use std::{
    fmt,
    panic::Location,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use nio_poll::Waker;

use crate::{Handle, alarm::Alarm};

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

/// Left for the loop.
#[derive(Default)]
pub(crate) struct Inbox {
    /// The tasks that were woken, in order.
    pub(crate) woken: Vec<Arc<TaskWaker>>,
    pub(crate) posts: Vec<Post>,
    pub(crate) stop: bool,
    /// Ends the wait of the loop's poll. None when the loop is gone.
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
        // No foreign code runs under the lock, so nothing can panic there.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves something, and wakes the loop if it waits. Returns false, and does nothing, if the
    /// loop is gone.
    pub(crate) fn leave(&self, put: impl FnOnce(&mut Inbox)) -> bool {
        let mut inbox = self.open();
        let Some(waker) = inbox.waker.clone() else {
            return false;
        };
        put(&mut inbox);
        drop(inbox);
        if self.alarm.notify() {
            // Waking has no way to fail.
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

    /// Something was given to the loop on its own thread. If another loop waits on its behalf, that
    /// one has to know.
    #[inline]
    pub(crate) fn rouse(&self) {
        if self.alarm.is_parked() {
            self.notify();
        }
    }

    /// For the loop's end. Returns what was left, to be dropped without the lock.
    pub(crate) fn close(&self) -> Inbox {
        std::mem::take(&mut *self.open())
    }
}

/// Shared by the clones of a task's waker.
#[derive(Debug)]
pub(crate) struct TaskWaker {
    pub(crate) mailbox: Arc<Mailbox>,
    /// The word of the task's key. Changes only while no clone of the waker is kept.
    pub(crate) task: AtomicUsize,
    /// It is in the inbox.
    left: AtomicBool,
}

impl TaskWaker {
    pub(crate) fn new(mailbox: &Arc<Mailbox>) -> Arc<TaskWaker> {
        Arc::new(TaskWaker {
            mailbox: Arc::clone(mailbox),
            task: AtomicUsize::new(0),
            left: AtomicBool::new(false),
        })
    }

    /// Leaves it in the inbox, unless it is there.
    pub(crate) fn leave(self: &Arc<TaskWaker>) {
        if !self.left.swap(true, Ordering::AcqRel) {
            self.mailbox
                .leave(|inbox| inbox.woken.push(Arc::clone(self)));
        }
    }

    /// For the loop, which has found it in the inbox. Returns the word of the task's key.
    pub(crate) fn collect(&self) -> usize {
        // From here on it can be left there again. Everything written before a wake that found the
        // flag set is acquired here.
        self.left.swap(false, Ordering::AcqRel);
        self.task.load(Ordering::Relaxed)
    }
}
