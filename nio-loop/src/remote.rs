//! Other threads: what they leave for the loop, and how they reach it.
//!
//! The laws:
//!
//! 1. Everything that reaches a loop from outside goes through its inbox, under one lock: woken
//!    tasks, posted closures, the wish to stop. So whatever was written before a wake or a post is
//!    seen by what runs because of it, also when several wakes become one.
//! 2. Whoever has left something rings (see `doorbell`): that wakes the loop if it waits, and costs
//!    a system call only then.

use std::{
    fmt,
    future::Future,
    panic::Location,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nio_poll::Waker;

use crate::{Handle, core::Core, doorbell::Doorbell, waker::TaskWaker};

/// A closure from another thread.
pub(crate) struct Post {
    pub(crate) closure: Box<dyn FnOnce(&Handle) + Send>,
    pub(crate) place: &'static Location<'static>,
}

/// The part of a loop that other threads can reach.
#[derive(Debug)]
pub(crate) struct Mailbox {
    inbox: Mutex<Inbox>,
    pub(crate) doorbell: Doorbell,
    waker: Waker,
}

/// What was left for the loop.
#[derive(Default)]
pub(crate) struct Inbox {
    /// The tasks that were woken, in order.
    pub(crate) woken: Vec<Arc<TaskWaker>>,
    pub(crate) posts: Vec<Post>,
    pub(crate) stop: bool,
    /// The loop is gone.
    closed: bool,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("woken", &self.woken.len())
            .field("posts", &self.posts.len())
            .field("stop", &self.stop)
            .field("closed", &self.closed)
            .finish()
    }
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Mailbox {
        Mailbox {
            inbox: Mutex::default(),
            doorbell: Doorbell::new(),
            waker,
        }
    }

    fn open(&self) -> MutexGuard<'_, Inbox> {
        // No foreign code runs under the lock, so nothing can panic there.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves something, and wakes the loop if it waits. Returns false, and does nothing, if the
    /// loop is gone.
    pub(crate) fn leave(&self, put: impl FnOnce(&mut Inbox)) -> bool {
        let mut inbox = self.open();
        if inbox.closed {
            return false;
        }
        put(&mut inbox);
        drop(inbox);
        self.ring();
        true
    }

    /// Wakes the loop if it waits.
    pub(crate) fn ring(&self) {
        if self.doorbell.ring() {
            // The poll of the waker lives in the loop, which is there as long as it says it waits;
            // waking has no other way to fail.
            let _ = self.waker.wake();
        }
    }

    /// For the loop's end: nothing is taken any more. Returns what was left, to be dropped without
    /// the lock.
    pub(crate) fn close(&self) -> Inbox {
        let mut inbox = self.open();
        let left = std::mem::take(&mut *inbox);
        inbox.closed = true;
        left
    }
}

impl Core {
    /// Takes what other threads have left, and says that the loop is awake. Returns whether somebody
    /// rang.
    #[inline]
    pub(crate) fn collect(&self) -> bool {
        let rung = self.mailbox.doorbell.answer();
        if rung {
            self.empty_inbox();
        }
        rung
    }

    fn empty_inbox(&self) {
        let mut inbox = self.mailbox.open();
        for waker in inbox.woken.drain(..) {
            self.wake(waker.collect());
        }
        self.posts.borrow_mut().extend(inbox.posts.drain(..));
        if std::mem::take(&mut inbox.stop) {
            self.stopping.set(true);
        }
    }
}

/// Reaches a loop from any thread. Cheap to clone.
///
/// It does not keep the loop alive: a loop that waits for nothing but posts ends.
///
/// ```
/// use nio_loop::EventLoop;
///
/// # fn main() -> Result<(), nio_loop::Error> {
/// let mut event_loop = EventLoop::new()?;
/// let remote = event_loop.handle().remote();
/// let thread = std::thread::spawn(move || {
///     remote.post(|handle| handle.stop()).expect("the loop is there");
/// });
///
/// // Without something to wait for, the loop would end before the post arrives.
/// event_loop.handle().set_interval(std::time::Duration::from_secs(1), |_, _| {});
/// event_loop.run()?;
/// # thread.join().unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Remote {
    mailbox: Arc<Mailbox>,
}

impl Remote {
    /// Has the loop run a closure, after the I/O events of its next turn. Closures of one thread
    /// run in the order in which they were posted. Wakes the loop if it waits.
    ///
    /// # Errors
    ///
    /// Gives the closure back if the loop is gone.
    #[track_caller]
    pub fn post<F>(&self, closure: F) -> Result<(), Posted<F>>
    where
        F: FnOnce(&Handle) + Send + 'static,
    {
        let place = Location::caller();
        let mut closure = Some(Box::new(closure));
        self.mailbox.leave(|inbox| {
            if let Some(closure) = closure.take() {
                inbox.posts.push(Post { closure, place });
            }
        });
        // Still here: the loop did not take it.
        closure.map_or(Ok(()), |closure| Err(Posted(*closure)))
    }

    /// Has the loop [spawn](Handle::spawn) a future. Once there, it is an ordinary task: it keeps
    /// the loop alive, and never moves to another thread again. To learn its outcome, have it send
    /// that somewhere.
    ///
    /// # Errors
    ///
    /// Gives the future back if the loop is gone.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let (sender, receiver) = std::sync::mpsc::channel();
    /// let remote = event_loop.handle().remote();
    /// remote.spawn(async move { sender.send(6 * 7).expect("somebody listens") }).unwrap();
    /// event_loop.run()?;
    /// assert_eq!(receiver.recv(), Ok(42));
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Result<(), Posted<F>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let place = Location::caller();
        let mut future = Some(Box::new(future));
        self.mailbox.leave(|inbox| {
            if let Some(future) = future.take() {
                let closure = Box::new(move |handle: &Handle| {
                    handle.spawn_at(Box::into_pin(future), place).detach();
                });
                inbox.posts.push(Post { closure, place });
            }
        });
        future.map_or(Ok(()), |future| Err(Posted(*future)))
    }

    /// Has the loop take a turn, also if there is nothing to do in it. Nothing happens if the loop
    /// is gone.
    pub fn wake(&self) {
        self.mailbox.ring();
    }

    /// Stops the loop, as [`Handle::stop`] does. Nothing happens if the loop is gone.
    pub fn stop(&self) {
        self.mailbox.leave(|inbox| inbox.stop = true);
    }
}

impl Handle {
    /// Reaches this loop from other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        Remote {
            mailbox: Arc::clone(&self.core.mailbox),
        }
    }
}

/// The loop was gone when a closure or a future was sent to it. Holds what was sent.
#[derive(thiserror::Error)]
#[error("the event loop is gone")]
pub struct Posted<F>(
    /// What was sent, and has not run.
    pub F,
);

impl<F> fmt::Debug for Posted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Posted(..)")
    }
}
