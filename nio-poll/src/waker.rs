//! A waker: a user event of the poll's queue, with an owner.
//!
//! Laws:
//! 1. The poll owns the knote and all descriptors. A waker only borrows them, so they end with the poll,
//!    and a waker of a poll that is gone does nothing.
//! 2. No two wakers of a poll have the same ident; that of a dropped waker is used again.
//! 3. In a child of fork(2), dropping a waker does nothing: the poll is the parent's.
//!
//! NetBSD before 10 and OpenBSD before 7.8 have no user events. There the poll watches one of two
//! connected sockets, and a wake-up is a byte written to the other.

use std::{
    fmt,
    io::{self, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    sync::{Arc, Weak},
};

use nio_sys::{EventFlags, Filter, Kevent, UserFlags};

use crate::{
    Error, Poll, Token,
    registry::{Registry, Shared},
    watch::Watch,
};

/// Makes a [`Poll`] return, from any thread: an event that the program itself makes happen.
///
/// Several wake-ups before a poll reports them are one event. A poll may have any number of wakers,
/// each with its own event, and tokens need not be unique; to wake by one waker from several threads,
/// share it in an [`Arc`]. When a waker is dropped, a wake-up that has not been reported is lost.
///
/// A waker may outlive its poll: it keeps no descriptor open, and waking does nothing then.
///
/// Writes of a thread before it wakes are visible to the thread that is woken.
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
    shared: Weak<Shared>,
    token: Token,
    ident: usize,
    /// The sockets, if the kernel has no user events.
    pair: Option<Weak<(UnixStream, UnixStream)>>,
}

impl Waker {
    /// A waker for this poll. Its events have this token and are
    /// [readable](crate::Event::is_readable).
    ///
    /// # Errors
    ///
    /// [`Error::Waker`], when the system has no memory, or no descriptors where it needs them.
    pub fn new(poll: &Poll, token: Token) -> Result<Waker, Error> {
        Waker::with(poll, token, watch).map_err(Error::Waker)
    }

    fn with(
        poll: &Poll,
        token: Token,
        watch: impl FnOnce(&Shared, Kevent) -> io::Result<Watch>,
    ) -> io::Result<Waker> {
        let shared = poll.shared();
        let mut registry = shared.lock()?;
        let ident = registry.take_ident();
        // Added with fflags 0, and triggered by a change of its own (K163).
        let knote = Kevent::user(ident, EventFlags::ADD | EventFlags::CLEAR).with_udata(token.0);
        let watch = watch(shared, knote).inspect_err(|_| registry.free_idents.push(ident))?;
        let pair = watch.pair.as_ref().map(Arc::downgrade);
        registry.insert(shared, watch);
        Ok(Waker {
            shared: Arc::downgrade(shared),
            token,
            ident,
            pair,
        })
    }

    /// Makes the poll return, or the next poll if no thread waits now. Never blocks. Does nothing if the
    /// poll is gone.
    ///
    /// # Errors
    ///
    /// `EBADF` in a child of fork(2). No other is known; any error of the system is passed on.
    pub fn wake(&self) -> io::Result<()> {
        let Some(shared) = self.shared.upgrade() else {
            return Ok(());
        };
        // On a kernel with kqueues the queue's number is free in the child, and may be another queue's.
        shared.check_process()?;
        if let Some(pair) = &self.pair {
            let pair = pair.upgrade();
            return pair.map_or(Ok(()), |pair| write_one(&pair.0, &pair.1));
        }
        // Neither EV_ADD nor EV_CLEAR: on FreeBSD each would take the trigger back (K167). The udata is
        // given again because on most systems any change overwrites it (K58).
        let trigger = Kevent::user(self.ident, EventFlags::empty())
            .with_fflags(UserFlags::TRIGGER)
            .with_udata(self.token.0);
        let mut answer = [trigger];
        shared.kqueue.apply(&mut answer)?;
        answer[0].receipt()
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let Ok(mut registry) = shared.lock() else {
            return; // law 3
        };
        let watch = registry.watches.remove(&(Filter::USER, self.ident));
        let knote = match watch.as_ref().and_then(|watch| watch.pair.as_ref()) {
            Some(pair) => Kevent::read(&pair.0, EventFlags::DELETE),
            None => Kevent::user(self.ident, EventFlags::DELETE),
        };
        // Cannot fail: the knote was added, and only this deletes it.
        let _ = shared.apply(&[knote]);
        registry.free_idents.push(self.ident);
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut waker = f.debug_struct("Waker");
        match self.shared.upgrade() {
            Some(shared) => waker.field("kqueue", &shared.kqueue.as_raw_fd()),
            None => waker.field("kqueue", &format_args!("closed")),
        };
        waker.field("token", &self.token).finish()
    }
}

impl Registry {
    /// An ident that no user event has (law 2).
    fn take_ident(&mut self) -> usize {
        self.free_idents.pop().unwrap_or_else(|| {
            self.next_ident += 1;
            self.next_ident - 1
        })
    }
}

/// Adds the knote of a waker, or a pair of sockets where the kernel does not know the filter (K244).
fn watch(shared: &Shared, knote: Kevent) -> io::Result<Watch> {
    match shared.apply(&[knote]) {
        Ok(()) => Ok(Watch::new(knote)),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => watch_pair(shared, knote),
        Err(error) => Err(error),
    }
}

fn watch_pair(shared: &Shared, knote: Kevent) -> io::Result<Watch> {
    let (watched, written) = UnixStream::pair()?;
    watched.set_nonblocking(true)?;
    written.set_nonblocking(true)?;
    let read = Kevent::read(&watched, EventFlags::ADD | EventFlags::CLEAR);
    shared.apply(&[read.with_udata(knote.udata())])?;
    Ok(Watch {
        pair: Some(Arc::new((watched, written))),
        ..Watch::new(knote)
    })
}

/// One byte is one edge. They are read only when the buffer is full.
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
        let token = Token(3);
        let waker = Waker::with(&poll, token, watch_pair).unwrap();
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
        waker.wake().unwrap();
        drop(waker);
        assert_eq!(poll.poll(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    }

    #[test]
    fn k244_the_sockets_of_a_waker_are_closed_with_its_poll() {
        let poll = Poll::new().unwrap();
        let waker = Waker::with(&poll, Token(3), watch_pair).unwrap();
        drop(poll);
        assert!(waker.pair.as_ref().unwrap().upgrade().is_none());
        waker.wake().unwrap();
    }
}
