//! The handle for other threads.

use std::{future::Future, panic::Location, sync::Arc};

use crate::{
    Error, Handle, Refused,
    mailbox::{Mailbox, Post},
};

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
#[doc(alias("uv_async_t", "EventLoopProxy", "Send", "mpsc"))]
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
    #[doc(alias("uv_async_send", "postMessage", "call_soon_threadsafe"))]
    #[track_caller]
    pub fn post<F>(&self, closure: F) -> Result<(), Refused<F>>
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
        refuse(closure)
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
    #[doc(alias("spawn_local", "run_coroutine_threadsafe"))]
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Result<(), Refused<F>>
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
        refuse(future)
    }

    /// Has the loop take a turn, also if there is nothing to do in it. Nothing happens if the loop
    /// is gone.
    #[doc(alias("uv_async_send", "Notify", "Waker"))]
    pub fn wake(&self) {
        self.mailbox.notify();
    }

    /// Stops the loop, as [`Handle::stop`] does. Nothing happens if the loop is gone.
    #[doc(alias("uv_stop"))]
    pub fn stop(&self) {
        self.mailbox.leave(|inbox| inbox.stop = true);
    }
}

/// # Other threads
impl Handle {
    /// Reaches this loop from other threads.
    #[doc(alias(
        "uv_async_init",
        "Send",
        "thread",
        "Rc<State> cannot be sent between threads safely"
    ))]
    #[must_use]
    pub fn remote(&self) -> Remote {
        Remote {
            mailbox: Arc::clone(&self.state.mailbox),
        }
    }
}

/// What was not taken is given back: the loop is gone.
fn refuse<F>(left: Option<Box<F>>) -> Result<(), Refused<F>> {
    let error = Error::Closed;
    left.map_or(Ok(()), |value| {
        Err(Refused {
            error,
            value: *value,
        })
    })
}
