//! Registering descriptors for reading and writing.
//!
//! The laws:
//!
//! 1. The table says what the kernel was told: both are changed under one lock, the kernel first.
//! 2. A change is one kevent(2) call. If any part of it is refused, all of it is undone.
//! 3. A kernel drops the knotes of a closed descriptor (K98) and the table does not notice, so what
//!    the table says is checked before it becomes an error.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
};

use nio_sys::{EventFlags, Filter, Kevent};

use crate::{
    Error, Interest, Poll, Subject, Token, Trigger, hang_up,
    poll::{Shared, is_absent},
    registry::{Changes, Registration, Registry, mode},
};

impl Poll {
    /// Registers a descriptor with [`Trigger::Edge`].
    ///
    /// # Errors
    ///
    /// As [`register_with`](Poll::register_with).
    #[inline]
    pub fn register(
        &self,
        source: &impl AsFd,
        token: Token,
        interest: Interest,
    ) -> Result<(), Error> {
        self.register_with(source, token, interest, Trigger::Edge)
    }

    /// Registers a descriptor. If its condition holds already, the next poll says so.
    ///
    /// ```
    /// use std::{io::Write, os::unix::net::UnixStream};
    /// use nio_poll::{Events, Interest, Poll, Token, Trigger};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poll = Poll::new()?;
    /// let (near, mut far) = UnixStream::pair()?;
    /// poll.register_with(&near, Token(1), Interest::READABLE, Trigger::Level)?;
    /// far.write_all(b"hello")?;
    ///
    /// let mut events = Events::with_capacity(4);
    /// for _ in 0..3 {
    ///     poll.poll(&mut events, None)?; // as long as nobody reads it
    ///     assert!(events.get(0).is_some_and(|event| event.is_readable()));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyRegistered`], and [`Error::Refused`] if the system refuses the descriptor.
    #[inline]
    pub fn register_with(
        &self,
        source: &impl AsFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<(), Error> {
        let new = Registration {
            token,
            interest,
            trigger,
        };
        self.register_descriptor(source.as_fd().as_raw_fd(), new)
    }

    /// Registers many descriptors, all or none: one call of the kernel for all of them where there is
    /// a kqueue, one for each on Linux.
    ///
    /// The sources are anything borrowed that is [`AsFd`]: references to sockets, or
    /// [`BorrowedFd`](std::os::fd::BorrowedFd)s where they are of different types.
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use nio_poll::{Events, Interest, Poll, Token, Trigger};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let (a, b) = UnixStream::pair()?;
    /// let sockets = [a, b];
    /// let poll = Poll::new()?;
    /// let sources = sockets.iter().enumerate();
    /// poll.register_all(
    ///     sources.map(|(index, socket)| (socket, Token(index), Interest::WRITABLE)),
    ///     Trigger::Edge,
    /// )?;
    ///
    /// let mut events = Events::with_capacity(4);
    /// assert_eq!(poll.poll(&mut events, None)?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`register_with`](Poll::register_with), naming the first descriptor that cannot be
    /// registered: then none of them is. A descriptor that comes twice is already registered the second
    /// time.
    pub fn register_all<F: AsFd + Copy>(
        &self,
        sources: impl IntoIterator<Item = (F, Token, Interest)>,
        trigger: Trigger,
    ) -> Result<(), Error> {
        // What the caller's iterator does, it does before the lock is taken.
        let sources = sources.into_iter().map(|(source, token, interest)| {
            let new = Registration {
                token,
                interest,
                trigger,
            };
            (source.as_fd().as_raw_fd(), new)
        });
        self.register_descriptors(&sources.collect::<Vec<_>>())
    }

    /// Changes the token and the interest of a registered descriptor, with [`Trigger::Edge`].
    ///
    /// # Errors
    ///
    /// As [`reregister_with`](Poll::reregister_with).
    #[inline]
    pub fn reregister(
        &self,
        source: &impl AsFd,
        token: Token,
        interest: Interest,
    ) -> Result<(), Error> {
        self.reregister_with(source, token, interest, Trigger::Edge)
    }

    /// Changes the token, the interest and the trigger of a registered descriptor. Whatever
    /// condition of the new interest holds is reported by the next poll, even if it was reported
    /// before: so this is also how [`Trigger::Oneshot`] is armed again.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`], and [`Error::Refused`] if the system refuses the change.
    #[inline]
    pub fn reregister_with(
        &self,
        source: &impl AsFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<(), Error> {
        let new = Registration {
            token,
            interest,
            trigger,
        };
        self.reregister_descriptor(source.as_fd().as_raw_fd(), new)
    }

    /// Ends the registration of a descriptor. Polls that begin afterwards do not report it.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`].
    #[inline]
    pub fn deregister(&self, source: &impl AsFd) -> Result<(), Error> {
        self.deregister_descriptor(source.as_fd().as_raw_fd())
    }

    fn register_descriptor(&self, fd: RawFd, new: Registration) -> Result<(), Error> {
        let mut registered = self.lock();
        self.check_free(&mut registered, fd)?;
        self.change(fd, None, Some(new))?;
        registered.set_descriptor(fd, Some(new));
        Ok(())
    }

    fn reregister_descriptor(&self, fd: RawFd, new: Registration) -> Result<(), Error> {
        let mut registered = self.lock();
        let old = registered.descriptor(fd).ok_or(not_registered(fd))?;
        self.change(fd, Some(old), Some(new))?;
        registered.set_descriptor(fd, Some(new));
        Ok(())
    }

    fn deregister_descriptor(&self, fd: RawFd) -> Result<(), Error> {
        let mut registered = self.lock();
        let old = registered.descriptor(fd).ok_or(not_registered(fd))?;
        self.change(fd, Some(old), None)?;
        registered.set_descriptor(fd, None);
        Ok(())
    }

    fn register_descriptors(&self, all: &[(RawFd, Registration)]) -> Result<(), Error> {
        let mut registered = self.lock();
        let mut seen = HashMap::with_capacity(all.len());
        for &(fd, new) in all {
            self.check_free(&mut registered, fd)?;
            if let Some(first) = seen.insert(fd, new) {
                return Err(already_registered(fd, first));
            }
        }
        self.add_all(all).map_err(|(fd, source)| {
            for &(fd, new) in all {
                self.restore(fd, None, Some(new));
            }
            let subject = Subject::Descriptor(fd);
            Error::Refused { subject, source }
        })?;
        for &(fd, new) in all {
            registered.set_descriptor(fd, Some(new));
        }
        Ok(())
    }

    /// Has the kernel watch them, in one call. An error comes with the descriptor that it is about: the
    /// first, if it is about the call as a whole.
    fn add_all(&self, all: &[(RawFd, Registration)]) -> Result<(), (RawFd, io::Error)> {
        let Some(&(first, Registration { trigger, .. })) = all.first() else {
            return Ok(());
        };
        let mut changes = Vec::with_capacity(2 * all.len());
        for &(fd, new) in all {
            changes.extend_from_slice(Changes::between(fd, None, Some(new)).as_mut_slice());
        }
        let result = self.shared().kqueue.apply(&mut changes);
        result.map_err(|error| (first, error))?;
        for answer in &changes {
            let result = self.shared().judge(answer, false, mode(trigger));
            result.map_err(|error| (answer.ident() as RawFd, error))?;
        }
        Ok(())
    }

    /// Sees to it that the table has nothing of a descriptor that is to be registered.
    #[inline]
    fn check_free(&self, registered: &mut Registry, fd: RawFd) -> Result<(), Error> {
        match registered.descriptor(fd) {
            None => Ok(()),
            Some(known) => self.check_gone(registered, fd, known),
        }
    }

    /// Asks the kernel whether it still has what the table has, by a change that changes nothing.
    #[cold]
    fn check_gone(
        &self,
        registered: &mut Registry,
        fd: RawFd,
        known: Registration,
    ) -> Result<(), Error> {
        let filter = if known.interest.is_readable() {
            Filter::READ
        } else {
            Filter::WRITE
        };
        let probe = Kevent::new(fd as usize, filter, mode(known.trigger));
        match self.shared().apply(probe.with_udata(known.token.0)) {
            Err(error) if is_absent(&error) => {
                self.shared().forget_hang_up(fd);
                registered.set_descriptor(fd, None);
                Ok(())
            }
            _ => Err(already_registered(fd, known)),
        }
    }

    /// Brings the knotes of a descriptor from one registration to another in one call, or, if the
    /// system refuses, back to what they were.
    #[inline(always)]
    fn change(
        &self,
        fd: RawFd,
        old: Option<Registration>,
        new: Option<Registration>,
    ) -> Result<(), Error> {
        if old.is_some() {
            self.shared().forget_hang_up(fd);
        }
        let result = self.shared().submit(Changes::between(fd, old, new));
        result.map_err(|source| {
            self.restore(fd, old, new);
            let subject = Subject::Descriptor(fd);
            Error::Refused { subject, source }
        })
    }

    /// Undoes what was made of a change. What cannot be put back has no one to be told but the caller,
    /// who is told already.
    #[cold]
    fn restore(&self, fd: RawFd, old: Option<Registration>, new: Option<Registration>) {
        self.shared().forget_hang_up(fd);
        for (from, to) in [(new, None), (None, old)] {
            let _ = self.shared().submit(Changes::between(fd, from, to));
        }
    }
}

impl Shared {
    /// Makes the changes of a descriptor, and looks at what came of each.
    #[inline(always)]
    fn submit(&self, mut changes: Changes) -> io::Result<()> {
        let (deletions, mode) = (changes.deletions, changes.mode);
        let changes = changes.as_mut_slice();
        self.kqueue.apply(changes)?;
        for (index, answer) in changes.iter().enumerate() {
            self.judge(answer, index < deletions, mode)?;
        }
        Ok(())
    }

    /// What the answer to a change says in the end; `mode` is that of what is added.
    #[inline]
    fn judge(&self, answer: &Kevent, is_deletion: bool, mode: EventFlags) -> io::Result<()> {
        match answer.receipt() {
            Ok(()) => Ok(()),
            Err(error) => self.excuse(answer, error, is_deletion, mode),
        }
    }

    /// The error of a change, unless it is none after all.
    #[cold]
    fn excuse(
        &self,
        answer: &Kevent,
        error: io::Error,
        is_deletion: bool,
        mode: EventFlags,
    ) -> io::Result<()> {
        if is_deletion && is_absent(&error) {
            // The kernel was faster: it drops the knotes of a closed descriptor (K98), and FreeBSD
            // that of a pipe without a reader (K133).
            return Ok(());
        }
        if !is_deletion && hang_up::is_refusal(answer, &error) {
            return self.report_hang_up(answer.ident() as RawFd, answer.udata(), mode);
        }
        Err(error)
    }
}

fn not_registered(fd: RawFd) -> Error {
    let subject = Subject::Descriptor(fd);
    Error::NotRegistered { subject }
}

fn already_registered(fd: RawFd, known: Registration) -> Error {
    Error::AlreadyRegistered {
        subject: Subject::Descriptor(fd),
        token: known.token,
    }
}
