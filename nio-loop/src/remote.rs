//! Other threads: what they leave for the loop, and how they wake it.
//!
//! The laws:
//!
//! 1. Everything that reaches a loop from outside goes through its inbox, under one lock: woken
//!    tasks, posted closures, the wish to stop. So whatever was written before a wake or a post is
//!    seen by what runs because of it, also when several wakes become one.
//! 2. Before it waits, the loop looks into the inbox and says, under the same lock, that it is
//!    about to sleep. Only who finds it so makes a system call to wake it, and only the first one.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nio_poll::Waker;

use crate::{Handle, slab::Key};

/// A closure from another thread.
pub(crate) type Post = Box<dyn FnOnce(&Handle) + Send>;

/// The part of a loop that other threads can reach.
#[derive(Debug)]
pub(crate) struct Mailbox {
    inbox: Mutex<Inbox>,
    waker: Waker,
}

/// What was left for the loop.
#[derive(Default)]
pub(crate) struct Inbox {
    /// The tasks that were woken, in order.
    pub(crate) woken: Vec<Key>,
    /// The future of `block_on` was woken.
    pub(crate) root_woken: bool,
    pub(crate) posts: Vec<Post>,
    pub(crate) stop: bool,
    /// The loop is waiting, or will be without looking here again.
    pub(crate) asleep: bool,
    /// The loop is gone.
    closed: bool,
}

impl Inbox {
    fn is_empty(&self) -> bool {
        self.woken.is_empty() && self.posts.is_empty() && !self.stop && !self.root_woken
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("woken", &self.woken.len())
            .field("posts", &self.posts.len())
            .field("stop", &self.stop)
            .field("asleep", &self.asleep)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Mailbox {
        Mailbox {
            inbox: Mutex::default(),
            waker,
        }
    }

    /// For the loop: what is in the inbox now.
    pub(crate) fn open(&self) -> MutexGuard<'_, Inbox> {
        // No foreign code runs under the lock, so nothing can panic there.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the loop: says that it is about to sleep, unless there is something to do.
    pub(crate) fn fall_asleep(&self) -> bool {
        let mut inbox = self.open();
        inbox.asleep = inbox.is_empty();
        inbox.asleep
    }

    /// Whether a closure waits to be run.
    pub(crate) fn has_posts(&self) -> bool {
        !self.open().posts.is_empty()
    }

    /// For the loop's end: nothing is taken any more. Returns what was left, to be dropped without
    /// the lock.
    pub(crate) fn close(&self) -> Vec<Post> {
        let mut inbox = self.open();
        inbox.closed = true;
        std::mem::take(&mut inbox.posts)
    }

    /// Leaves something, and wakes the loop if it sleeps. Returns false, and does nothing, if the
    /// loop is gone.
    pub(crate) fn leave(&self, put: impl FnOnce(&mut Inbox)) -> bool {
        let mut inbox = self.open();
        if inbox.closed {
            return false;
        }
        put(&mut inbox);
        let asleep = std::mem::take(&mut inbox.asleep);
        drop(inbox);
        if asleep {
            // The poll of the waker lives in the loop, which has said it sleeps; waking has no
            // other way to fail.
            let _ = self.waker.wake();
        }
        true
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
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Remote {
        Remote { mailbox }
    }

    /// Has the loop run a closure, after the I/O events of its next turn. Closures of one thread
    /// run in the order in which they were posted. Wakes the loop if it waits.
    ///
    /// # Errors
    ///
    /// Gives the closure back if the loop is gone.
    pub fn post<F>(&self, closure: F) -> Result<(), Posted<F>>
    where
        F: FnOnce(&Handle) + Send + 'static,
    {
        let mut closure = Some(Box::new(closure));
        self.mailbox.leave(|inbox| {
            if let Some(closure) = closure.take() {
                inbox.posts.push(closure);
            }
        });
        // Still here: the loop did not take it.
        closure.map_or(Ok(()), |closure| Err(Posted(*closure)))
    }

    /// Stops the loop, as [`Handle::stop`] does. Nothing happens if the loop is gone.
    pub fn stop(&self) {
        self.mailbox.leave(|inbox| inbox.stop = true);
    }
}

/// The loop was gone when a closure was posted to it. Holds the closure.
#[derive(thiserror::Error)]
#[error("the event loop is gone")]
pub struct Posted<F>(
    /// The closure that was not run.
    pub F,
);

impl<F> fmt::Debug for Posted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Posted(..)")
    }
}
