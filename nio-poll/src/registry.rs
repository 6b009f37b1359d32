//! The table of registrations, and registering descriptors.
//!
//! Laws:
//! 1. The table agrees with the kernel. Both change under one lock, the kernel first.
//! 2. A call that fails changes nothing (`knotes` says how).
//! 3. A registration belongs to a file, not to its number. The kernel forgets a closed descriptor (K98),
//!    so its answer decides: no knote means that this file was never registered.
//! 4. No foreign code runs under the lock.
//! 5. A child of fork(2) takes no lock and drops nothing that the lock guards.

use std::{
    collections::BTreeMap,
    io, mem,
    os::fd::{AsFd, AsRawFd, RawFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use nio_sys::{Filter, Kqueue};

use crate::{Error, Interest, Poll, Subject, Token, Trigger, knotes::has_filter, watch::Watch};

/// The state of a poll. A [`Waker`](crate::Waker) only borrows it, so it ends with the poll.
pub(crate) struct Shared {
    /// Dropped first: while a signal has a knote, it is kept from its default action.
    pub(crate) kqueue: Kqueue,
    registry: Mutex<Registry>,
}

/// The registrations of one poll.
#[derive(Default)]
pub(crate) struct Registry {
    /// Descriptors that are watched for reading and writing, by number.
    pub(crate) descriptors: Vec<Option<Registration>>,
    /// Everything else, by filter and ident.
    pub(crate) watches: BTreeMap<(Filter, usize), Watch>,
    /// How many watches there may be before the ended ones are searched for.
    pub(crate) most_watches: usize,
    /// Idents of user events that are free again.
    pub(crate) free_idents: Vec<usize>,
    /// The first ident that was never used.
    pub(crate) next_ident: usize,
}

/// How a descriptor is registered: 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registration {
    pub(crate) token: Token,
    pub(crate) interest: Interest,
    pub(crate) trigger: Trigger,
    /// The kernel has refused the WRITE knote, and the poll reports the end itself (`hang_up`).
    pub(crate) hung_up: bool,
}

impl Registration {
    #[inline]
    fn new(token: Token, interest: Interest, trigger: Trigger) -> Registration {
        Registration {
            token,
            interest,
            trigger,
            hung_up: false,
        }
    }
}

impl Registry {
    #[inline]
    fn descriptor(&self, fd: RawFd) -> Option<Registration> {
        *self.descriptors.get(fd as usize)?
    }

    #[inline]
    pub(crate) fn set_descriptor(&mut self, fd: RawFd, registration: Option<Registration>) {
        match self.descriptors.get_mut(fd as usize) {
            Some(known) => *known = registration,
            None => self.grow(fd as usize, registration),
        }
    }

    #[cold]
    fn grow(&mut self, index: usize, registration: Option<Registration>) {
        self.descriptors.resize(index + 1, None);
        self.descriptors[index] = registration;
    }
}

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

    /// Registers a descriptor. If its condition holds already, the next poll reports it.
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
    ///     poll.poll(&mut events, None)?; // until the bytes are read
    ///     assert!(events.get(0).is_some_and(|event| event.is_readable()));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyRegistered`], [`Error::Unsupported`], and [`Error::Refused`] if the system refuses the
    /// descriptor.
    ///
    /// # Platform differences
    ///
    /// On macOS and FreeBSD a refusal as already registered may cause one more event of
    /// [`Trigger::Edge`] for a condition that still holds.
    #[inline]
    pub fn register_with(
        &self,
        source: &impl AsFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<(), Error> {
        let fd = source.as_fd().as_raw_fd();
        self.register_descriptor(fd, Registration::new(token, interest, trigger))
    }

    /// Registers many descriptors, all or none: one system call for all of them on the kqueue systems,
    /// one for each on Linux.
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
    /// As [`register_with`](Poll::register_with), with the first descriptor that cannot be registered:
    /// then none of them is. A descriptor that comes twice is already registered the second time.
    pub fn register_all<F: AsFd + Copy>(
        &self,
        sources: impl IntoIterator<Item = (F, Token, Interest)>,
        trigger: Trigger,
    ) -> Result<(), Error> {
        // The caller's iterator runs before the lock is taken (law 4).
        let sources = sources.into_iter().map(|(source, token, interest)| {
            let fd = source.as_fd().as_raw_fd();
            (fd, Registration::new(token, interest, trigger))
        });
        self.register_descriptors(sources.collect())
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

    /// Changes the token, the interest and the trigger of a registered descriptor. The next poll
    /// reports every condition of the new interest that holds, even if it was reported before: so
    /// this is also how [`Trigger::Oneshot`] is armed again.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`], also if another file was registered under this number and closed; and
    /// [`Error::Refused`] if the system refuses the change.
    #[inline]
    pub fn reregister_with(
        &self,
        source: &impl AsFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<(), Error> {
        let fd = source.as_fd().as_raw_fd();
        self.reregister_descriptor(fd, Registration::new(token, interest, trigger))
    }

    /// Ends the registration of a descriptor. Polls that begin afterwards do not report it.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`], also if another file was registered under this number and closed.
    #[inline]
    pub fn deregister(&self, source: &impl AsFd) -> Result<(), Error> {
        self.deregister_descriptor(source.as_fd().as_raw_fd())
    }

    fn register_descriptor(&self, fd: RawFd, new: Registration) -> Result<(), Error> {
        let shared = self.shared();
        check_interest(fd, new)?;
        let mut registry = shared.lock().map_err(|error| refused(fd, error))?;
        shared.check_free(&mut registry, fd)?;
        let new = shared.add(fd, new).map_err(|error| refused(fd, error))?;
        registry.set_descriptor(fd, Some(new));
        Ok(())
    }

    fn register_descriptors(&self, mut all: Vec<(RawFd, Registration)>) -> Result<(), Error> {
        let Some(&(first, _)) = all.first() else {
            return Ok(());
        };
        let shared = self.shared();
        let mut registry = shared.lock().map_err(|error| refused(first, error))?;
        let mut seen = BTreeMap::new();
        for &(fd, new) in &all {
            check_interest(fd, new)?;
            shared.check_free(&mut registry, fd)?;
            if let Some(first) = seen.insert(fd, new) {
                return Err(already_registered(fd, first));
            }
        }
        shared
            .add_all(&mut all)
            .map_err(|(fd, error)| refused(fd, error))?;
        for (fd, new) in all {
            registry.set_descriptor(fd, Some(new));
        }
        Ok(())
    }

    fn reregister_descriptor(&self, fd: RawFd, new: Registration) -> Result<(), Error> {
        check_interest(fd, new)?;
        let shared = self.shared();
        let mut registry = shared.lock().map_err(|error| refused(fd, error))?;
        let old = registry.descriptor(fd).ok_or_else(|| not_registered(fd))?;
        let result = if old.trigger == new.trigger && !old.hung_up {
            shared.change(fd, old, new)
        } else {
            shared.replace(fd, old, new)
        };
        let registration = result.map_err(|error| refused(fd, error))?;
        registry.set_descriptor(fd, registration);
        registration.map(drop).ok_or_else(|| not_registered(fd))
    }

    fn deregister_descriptor(&self, fd: RawFd) -> Result<(), Error> {
        let shared = self.shared();
        let mut registry = shared.lock().map_err(|error| refused(fd, error))?;
        let known = registry.descriptor(fd).ok_or_else(|| not_registered(fd))?;
        let had = shared
            .delete(fd, known)
            .map_err(|error| refused(fd, error))?;
        registry.set_descriptor(fd, None);
        if had || shared.is_refused_writer(fd, known) {
            Ok(())
        } else {
            Err(not_registered(fd))
        }
    }
}

impl Shared {
    pub(crate) fn new(kqueue: Kqueue) -> Shared {
        Shared {
            kqueue,
            registry: Mutex::default(),
        }
    }

    /// EBADF in a child of fork(2): another thread of the parent may have held the lock.
    #[inline]
    pub(crate) fn lock(&self) -> io::Result<MutexGuard<'_, Registry>> {
        self.check_process()?;
        // No panic leaves it half changed.
        Ok(self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An error in a child of the process that made the poll.
    #[inline]
    pub(crate) fn check_process(&self) -> io::Result<()> {
        if self.kqueue.is_of_this_process() {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::EBADF))
        }
    }

    /// Refuses a descriptor that is registered already.
    #[inline]
    fn check_free(&self, registry: &mut Registry, fd: RawFd) -> Result<(), Error> {
        match registry.descriptor(fd) {
            None => Ok(()),
            Some(known) => self.check_closed(registry, fd, known),
        }
    }

    /// An entry of the table is no obstacle if its file was closed (law 3).
    #[cold]
    fn check_closed(
        &self,
        registry: &mut Registry,
        fd: RawFd,
        known: Registration,
    ) -> Result<(), Error> {
        if self.has(fd, known) {
            return Err(already_registered(fd, known));
        }
        self.forget_hang_up(fd, known);
        registry.set_descriptor(fd, None);
        Ok(())
    }
}

impl Drop for Shared {
    /// In a child of fork(2) the registry is a copy, perhaps half changed by another thread of the parent.
    fn drop(&mut self) {
        if self.check_process().is_err() {
            let registry = self.registry.get_mut();
            mem::forget(mem::take(registry.unwrap_or_else(PoisonError::into_inner)));
        }
    }
}

/// Refuses an interest that the system cannot report.
#[inline]
fn check_interest(fd: RawFd, new: Registration) -> Result<(), Error> {
    if has_filter(new.interest) {
        return Ok(());
    }
    let subject = Subject::Descriptor(fd);
    let interest = new.interest;
    Err(Error::Unsupported { subject, interest })
}

fn refused(fd: RawFd, source: io::Error) -> Error {
    let subject = Subject::Descriptor(fd);
    Error::Refused { subject, source }
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

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_registration_takes_16_bytes() {
        assert_eq!(size_of::<Option<Registration>>(), 16);
    }
}
