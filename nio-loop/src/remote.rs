//! The handle for other threads.

use std::{future::Future, panic::Location, sync::Arc};

use crate::{
    Error, Handle, Refused,
    mailbox::{Mailbox, Post},
};

/// Reaches a loop from any thread. Cheap to clone.
///
/// It does not keep the loop alive: a loop that waits only for posts ends.
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
    /// Posts a closure: the loop runs it after the I/O events of its next turn. Closures of one thread
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
        self.mailbox.put(|inbox| {
            if let Some(closure) = closure.take() {
                inbox.posts.push(Post { closure, place });
            }
        });
        // If it is still here, the loop is gone.
        refuse(closure)
    }

    /// [Spawns](Handle::spawn) a future on the loop. There it is an ordinary task: it keeps the loop
    /// alive and stays on the loop's thread. It has no [`JoinHandle`](crate::JoinHandle): send its
    /// outcome by a channel.
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
    /// remote.spawn(async move { sender.send(6 * 7).expect("the receiver is there") }).unwrap();
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
        self.mailbox.put(|inbox| {
            if let Some(future) = future.take() {
                let closure = Box::new(move |handle: &Handle| {
                    handle.spawn_at(Box::into_pin(future), place).detach();
                });
                inbox.posts.push(Post { closure, place });
            }
        });
        refuse(future)
    }

    /// Wakes the loop: it takes a turn, even if there is nothing to do. Does nothing if the loop is gone.
    /// It takes a lock, so a signal handler must not call it: use [`Handle::on_signal`].
    #[doc(alias("uv_async_send", "Notify", "Waker"))]
    pub fn wake(&self) {
        self.mailbox.notify();
    }

    /// Stops the loop, like [`Handle::stop`]. Does nothing if the loop is gone.
    #[doc(alias("uv_stop"))]
    pub fn stop(&self) {
        self.mailbox.put(|inbox| inbox.stop = true);
    }
}

/// # Other threads
impl Handle {
    /// A [`Remote`], which reaches this loop from other threads.
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

/// Gives a value back that was not put into the inbox, because the loop is gone.
fn refuse<F>(value: Option<Box<F>>) -> Result<(), Refused<F>> {
    let error = Error::Closed;
    value.map_or(Ok(()), |value| {
        Err(Refused {
            error,
            value: *value,
        })
    })
}
