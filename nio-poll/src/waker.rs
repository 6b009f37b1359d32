//! Ending a wait from another thread: a [`UserEvent`] with an owner.

use std::{fmt, io, os::fd::AsRawFd, sync::Arc};

use crate::{Error, Poll, Token, poll::Shared, user::UserEvent};

/// Makes a [`Poll`] return, from any thread.
///
/// Several wakes before the poll returns are one event. A poll may have any number of wakers, each
/// with a token of its own; to wake by one waker from several threads, share it in an [`Arc`]. When a
/// waker is dropped, a wake that has not been reported is lost. It may outlive its poll.
///
/// What a thread has written before it wakes, the thread that is woken sees.
///
/// ```
/// use nio_poll::{Events, Poll, Token, Waker};
///
/// # fn main() -> std::io::Result<()> {
/// let poll = Poll::new()?;
/// let waker = Waker::new(&poll, Token(7))?;
/// let thread = std::thread::spawn(move || {
///     waker.wake()?;
///     std::io::Result::Ok(waker)
/// });
///
/// let mut events = Events::with_capacity(4);
/// poll.poll(&mut events, None)?;
/// assert_eq!(events.get(0).map(|event| event.token()), Some(Token(7)));
/// # thread.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
pub struct Waker {
    shared: Arc<Shared>,
    event: UserEvent,
}

impl Waker {
    /// A waker for this poll, whose events have this token.
    ///
    /// # Errors
    ///
    /// [`Error::Waker`], when the system has no memory, or no descriptors where it needs them.
    pub fn new(poll: &Poll, token: Token) -> Result<Waker, Error> {
        let shared = Arc::clone(poll.shared());
        let event = UserEvent::new(&shared, token).map_err(Error::Waker)?;
        shared.lock().wakers.push(token);
        Ok(Waker { shared, event })
    }

    /// Makes the poll return, the next one if nobody waits now. Never blocks.
    ///
    /// # Errors
    ///
    /// None that is known; what the system says is passed on.
    pub fn wake(&self) -> io::Result<()> {
        self.event.trigger(&self.shared)
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.event.delete(&self.shared);
        let wakers = &mut self.shared.lock().wakers;
        if let Some(place) = wakers.iter().position(|token| *token == self.event.token()) {
            wakers.swap_remove(place);
        }
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker")
            .field("kqueue", &self.shared.kqueue.as_raw_fd())
            .field("token", &self.event.token())
            .finish()
    }
}
