//! Ending a wait from another thread.
//!
//! One user event (EVFILT_USER) of the poll's queue. NetBSD before 10 and OpenBSD before 7.8 have
//! no such filter; there a pair of sockets does the same.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::Arc,
};

use nio_sys::{EventFlags, Kevent, UserFlags};

use crate::{Error, Poll, Token, poll::Shared};

/// Makes a [`Poll`] return, from any thread.
///
/// Several wakes before the poll returns are one event. A poll may have any number of wakers, each
/// with a token of its own. When a waker is dropped, a wake that has not been reported is lost.
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
#[derive(Debug)]
pub struct Waker {
    shared: Arc<Shared>,
    token: Token,
    signal: Signal,
}

#[derive(Debug)]
enum Signal {
    /// The ident of a user event.
    User(usize),
    /// The poll watches the first, a wake writes to the second.
    Pair(UnixStream, UnixStream),
}

impl Waker {
    /// A waker for this poll, whose events have this token.
    ///
    /// # Errors
    ///
    /// [`Error::Waker`], when the system has no memory, or no descriptors where it needs them.
    pub fn new(poll: &Poll, token: Token) -> Result<Waker, Error> {
        let shared = Arc::clone(poll.shared());
        let ident = shared.user_ident();
        let knote = Kevent::user(ident, EventFlags::ADD | EventFlags::CLEAR);
        let signal = match shared.apply(knote.with_udata(token.0)) {
            Ok(()) => Signal::User(ident),
            // What a kernel says to a filter that it does not know.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                pair(&shared, token).map_err(Error::Waker)?
            }
            Err(error) => return Err(Error::Waker(error)),
        };
        Ok(Waker {
            shared,
            token,
            signal,
        })
    }

    /// Makes the poll return, the next one if nobody waits now.
    ///
    /// # Errors
    ///
    /// None that is known; what the system says is passed on.
    pub fn wake(&self) -> io::Result<()> {
        match &self.signal {
            Signal::User(ident) => {
                // Neither EV_ADD nor EV_CLEAR: on FreeBSD each would take the trigger back. The
                // udata is given again because on most systems any change overwrites it.
                let trigger = Kevent::user(*ident, EventFlags::empty())
                    .with_fflags(UserFlags::TRIGGER)
                    .with_udata(self.token.0);
                self.shared.apply(trigger)
            }
            Signal::Pair(watched, written) => write_one(watched, written),
        }
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        let knote = match &self.signal {
            Signal::User(ident) => Kevent::user(*ident, EventFlags::DELETE),
            Signal::Pair(watched, _) => Kevent::read(watched, EventFlags::DELETE),
        };
        // Nothing is left to be done if the knote is gone already.
        let _ = self.shared.apply(knote);
    }
}

/// A pair of sockets, the first one watched.
fn pair(shared: &Shared, token: Token) -> io::Result<Signal> {
    let (watched, written) = UnixStream::pair()?;
    watched.set_nonblocking(true)?;
    written.set_nonblocking(true)?;
    let knote = Kevent::read(&watched, EventFlags::ADD | EventFlags::CLEAR);
    shared.apply(knote.with_udata(token.0))?;
    Ok(Signal::Pair(watched, written))
}

/// One byte is one edge. Nobody reads them until the buffer is full.
fn write_one(mut watched: &UnixStream, mut written: &UnixStream) -> io::Result<()> {
    loop {
        match written.write(&[1]) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut bytes = [0; 4096];
                while watched.read(&mut bytes).is_ok_and(|n| n > 0) {}
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Events;

    #[test]
    fn k244_a_waker_made_of_a_pair_wakes_and_is_drained_when_full() {
        let poll = Poll::new().unwrap();
        let shared = Arc::clone(poll.shared());
        let token = Token(3);
        let signal = pair(&shared, token).unwrap();
        let waker = Waker {
            shared,
            token,
            signal,
        };
        let mut events = Events::with_capacity(4);
        for _ in 0..3 {
            // More than any socket buffer holds.
            for _ in 0..20_000 {
                waker.wake().unwrap();
            }
            let limit = Some(Duration::from_secs(10));
            assert_eq!(poll.poll(&mut events, limit).unwrap(), 1);
            assert_eq!(events.get(0).unwrap().token(), token);
            assert!(events.get(0).unwrap().is_readable());
        }
    }
}
