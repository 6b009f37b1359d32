//! User events: what the program itself makes happen.
//!
//! One EVFILT_USER of the poll's queue. NetBSD before 10 and OpenBSD before 7.8 have no such filter;
//! there a pair of sockets does the same.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
};

use nio_sys::{EventFlags, Kevent, UserFlags};

use crate::{Error, Poll, Subject, Token, poll::Shared};

/// One event of a queue that the program triggers.
#[derive(Debug)]
pub(crate) struct UserEvent {
    token: Token,
    trigger: Trigger,
}

#[derive(Debug)]
enum Trigger {
    /// The ident of a user event.
    User(usize),
    /// The queue watches the first, a trigger writes to the second.
    Pair(UnixStream, UnixStream),
}

impl UserEvent {
    pub(crate) fn new(shared: &Shared, token: Token) -> io::Result<UserEvent> {
        let ident = shared.user_ident();
        // Made with fflags 0 and triggered by a change of its own (K163).
        let knote = Kevent::user(ident, EventFlags::ADD | EventFlags::CLEAR);
        match shared.apply(knote.with_udata(token.0)) {
            Ok(()) => Ok(UserEvent {
                token,
                trigger: Trigger::User(ident),
            }),
            // What a kernel says to a filter that it does not know (K244).
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                UserEvent::pair(shared, token)
            }
            Err(error) => Err(error),
        }
    }

    /// The one made of a pair of sockets.
    fn pair(shared: &Shared, token: Token) -> io::Result<UserEvent> {
        let (watched, written) = UnixStream::pair()?;
        watched.set_nonblocking(true)?;
        written.set_nonblocking(true)?;
        let knote = Kevent::read(&watched, EventFlags::ADD | EventFlags::CLEAR);
        shared.apply(knote.with_udata(token.0))?;
        let trigger = Trigger::Pair(watched, written);
        Ok(UserEvent { token, trigger })
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Makes it happen. As often as that is done before a poll reports it, it is one event.
    #[inline]
    pub(crate) fn trigger(&self, shared: &Shared) -> io::Result<()> {
        match &self.trigger {
            Trigger::User(ident) => {
                // Neither EV_ADD nor EV_CLEAR: on FreeBSD each would take the trigger back (K167). The
                // udata is given again because on most systems any change overwrites it (K58).
                let trigger = Kevent::user(*ident, EventFlags::empty())
                    .with_fflags(UserFlags::TRIGGER)
                    .with_udata(self.token.0);
                shared.apply(trigger)
            }
            Trigger::Pair(watched, written) => write_one(watched, written),
        }
    }

    /// Takes it out of the queue, and with it what was triggered and not reported.
    pub(crate) fn delete(&self, shared: &Shared) {
        let knote = match &self.trigger {
            Trigger::User(ident) => Kevent::user(*ident, EventFlags::DELETE),
            Trigger::Pair(watched, _) => Kevent::read(watched, EventFlags::DELETE),
        };
        // Nothing is left to be done if the knote is gone already.
        let _ = shared.apply(knote);
    }
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

impl Poll {
    /// Registers an event that the program itself makes happen, by
    /// [`trigger_user`](Poll::trigger_user). There is one for each token.
    ///
    /// A [`Waker`](crate::Waker) is the same with an owner: it can be given to another thread without
    /// the poll, and is over when it is dropped.
    ///
    /// ```
    /// use nio_poll::{Events, Poll, Token};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poll = Poll::new()?;
    /// poll.register_user(Token(1))?;
    /// poll.trigger_user(Token(1))?;
    /// poll.trigger_user(Token(1))?;
    ///
    /// let mut events = Events::with_capacity(4);
    /// assert_eq!(poll.poll(&mut events, None)?, 1);
    /// assert_eq!(events.get(0).map(|event| event.token()), Some(Token(1)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyRegistered`]; [`Error::Refused`], when the system has no memory, or no
    /// descriptors where it needs them.
    pub fn register_user(&self, token: Token) -> Result<(), Error> {
        let subject = Subject::User(token);
        let mut registered = self.lock();
        if registered.users.contains_key(&token) {
            return Err(Error::AlreadyRegistered { subject, token });
        }
        let event = UserEvent::new(self.shared(), token);
        let event = event.map_err(|source| Error::Refused { subject, source })?;
        registered.users.insert(token, event);
        Ok(())
    }

    /// Makes a registered user event happen: the next poll reports it, as
    /// [`is_readable`](crate::Event::is_readable), and a thread that waits is woken. Several times
    /// before that are one event.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`].
    pub fn trigger_user(&self, token: Token) -> Result<(), Error> {
        let subject = Subject::User(token);
        let registered = self.lock();
        let Some(event) = registered.users.get(&token) else {
            return Err(Error::NotRegistered { subject });
        };
        let result = event.trigger(self.shared());
        result.map_err(|source| Error::Refused { subject, source })
    }

    /// Ends the registration of a user event. What was triggered and not reported is lost.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`].
    pub fn deregister_user(&self, token: Token) -> Result<(), Error> {
        let Some(event) = self.lock().users.remove(&token) else {
            let subject = Subject::User(token);
            return Err(Error::NotRegistered { subject });
        };
        event.delete(self.shared());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Events;

    #[test]
    fn k244_a_user_event_made_of_a_pair_happens_and_is_drained_when_full() {
        let poll = Poll::new().unwrap();
        let token = Token(3);
        let user = UserEvent::pair(poll.shared(), token).unwrap();
        let mut events = Events::with_capacity(4);
        for _ in 0..3 {
            // More than any socket buffer holds.
            for _ in 0..20_000 {
                user.trigger(poll.shared()).unwrap();
            }
            let limit = Some(Duration::from_secs(10));
            assert_eq!(poll.poll(&mut events, limit).unwrap(), 1);
            assert_eq!(events.get(0).unwrap().token(), token);
            assert!(events.get(0).unwrap().is_readable());
        }
        user.trigger(poll.shared()).unwrap();
        user.delete(poll.shared());
        assert_eq!(poll.poll(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    }
}
