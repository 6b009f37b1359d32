//! The poll: what is registered, and waiting for it.

use std::{
    fmt, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nio_sys::{EventFlags, Filter, Kevent, Kqueue};

use crate::{
    Error, Events, Interest, Subject, Token, Trigger, hang_up,
    registry::{Changes, Registration, Registry},
};

/// Waits for many things at once: descriptors, signals, processes, files, timers and
/// [`Waker`](crate::Waker)s.
///
/// Everything takes `&self`, so a poll in an [`Arc`] can be waited on by one thread while others
/// register with it.
///
/// Anything that is [`AsFd`] can be registered, the standard library's sockets included. Put
/// sockets into non-blocking mode first, and deregister a descriptor before it is closed: the kernel
/// forgets a descriptor when it is closed, but on Linux only when its last duplicate is.
///
/// ```
/// use std::{io::Write, net::{TcpListener, TcpStream}, time::Duration};
/// use nio_poll::{Events, Interest, Poll, Token};
///
/// # fn main() -> std::io::Result<()> {
/// let poll = Poll::new()?;
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// listener.set_nonblocking(true)?;
/// poll.register(&listener, Token(1), Interest::READABLE)?;
///
/// let _client = TcpStream::connect(listener.local_addr()?)?;
/// let mut events = Events::with_capacity(16);
/// poll.poll(&mut events, Some(Duration::from_secs(5)))?;
/// let event = events.get(0).expect("a connection waits");
/// assert_eq!(event.token(), Token(1));
/// assert!(event.is_readable());
/// # Ok(())
/// # }
/// ```
pub struct Poll {
    shared: Arc<Shared>,
}

/// What a poll and its wakers have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) kqueue: Kqueue,
    registered: Mutex<Registry>,
    next_user_ident: AtomicUsize,
    /// A pipe without a reader was registered at least once.
    pub(crate) hang_ups: AtomicBool,
}

impl Poll {
    /// A poll with nothing registered.
    ///
    /// # Errors
    ///
    /// [`Error::Create`], mostly because the limit on open descriptors is reached. A poll needs
    /// one descriptor, on Linux two.
    pub fn new() -> Result<Poll, Error> {
        Ok(Poll {
            shared: Arc::new(Shared {
                kqueue: Kqueue::new().map_err(Error::Create)?,
                registered: Mutex::default(),
                next_user_ident: AtomicUsize::new(0),
                hang_ups: AtomicBool::new(false),
            }),
        })
    }

    /// Waits until something happens, or the timeout has passed, and fills `events` with what did,
    /// replacing what they held. Returns how many there are; 0 says that the time is up.
    ///
    /// `None` waits for as long as it takes, zero not at all. A timeout is a minimum, with a
    /// resolution of nanoseconds where the system has it (Linux from 5.11 on; NetBSD and OpenBSD
    /// round up to their clock tick). A signal handler that runs meanwhile does not end the wait.
    ///
    /// # Errors
    ///
    /// [`Error::Wait`], which no correct program sees.
    pub fn poll(&self, events: &mut Events, timeout: Option<Duration>) -> Result<usize, Error> {
        let mut left = timeout;
        let mut deadline = None;
        loop {
            // A clock is read only where a signal can make it necessary.
            if let Some(timeout) = left.filter(|timeout| !timeout.is_zero()) {
                deadline = deadline.or_else(|| Instant::now().checked_add(timeout));
            }
            match self.shared.kqueue.kevent(&[], &mut events.list, left) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
                }
                Err(error) => return Err(Error::Wait(error)),
            }
        }
    }

    /// Registers a descriptor with [`Trigger::Edge`].
    ///
    /// # Errors
    ///
    /// As [`register_with`](Poll::register_with).
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
    /// # Errors
    ///
    /// [`Error::AlreadyRegistered`], and [`Error::Refused`] if the system refuses the descriptor.
    pub fn register_with(
        &self,
        source: &impl AsFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<(), Error> {
        let fd = source.as_fd().as_raw_fd();
        let new = Registration {
            token,
            interest,
            trigger,
        };
        let mut registered = self.lock();
        if let Some(known) = registered.descriptor(fd) {
            if self.is_live(fd, known) {
                return Err(Error::AlreadyRegistered {
                    subject: Subject::Descriptor(fd),
                    token: known.token,
                });
            }
        }
        self.change(fd, None, Some(new))?;
        registered.set_descriptor(fd, Some(new));
        Ok(())
    }

    /// Changes the token and the interest of a registered descriptor, with [`Trigger::Edge`].
    ///
    /// # Errors
    ///
    /// As [`reregister_with`](Poll::reregister_with).
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
    pub fn reregister_with(
        &self,
        source: &impl AsFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> Result<(), Error> {
        let fd = source.as_fd().as_raw_fd();
        let new = Registration {
            token,
            interest,
            trigger,
        };
        let mut registered = self.lock();
        let Some(old) = registered.descriptor(fd) else {
            let subject = Subject::Descriptor(fd);
            return Err(Error::NotRegistered { subject });
        };
        self.change(fd, Some(old), Some(new))?;
        registered.set_descriptor(fd, Some(new));
        Ok(())
    }

    /// Ends the registration of a descriptor. Polls that begin afterwards do not report it.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`].
    pub fn deregister(&self, source: &impl AsFd) -> Result<(), Error> {
        let fd = source.as_fd().as_raw_fd();
        let mut registered = self.lock();
        let Some(old) = registered.descriptor(fd) else {
            let subject = Subject::Descriptor(fd);
            return Err(Error::NotRegistered { subject });
        };
        self.change(fd, Some(old), None)?;
        registered.set_descriptor(fd, None);
        Ok(())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Registry> {
        let registered = &self.shared.registered;
        registered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the kernel still has a registration: it drops those of a closed descriptor, whose
    /// number may since have gone to another file. Asked by a change that changes nothing.
    fn is_live(&self, fd: RawFd, known: Registration) -> bool {
        known.knotes(fd, EventFlags::empty()).any(|knote| {
            let result = self.shared.apply(knote);
            !result.is_err_and(|error| is_absent(&error))
        })
    }

    /// Registers something that is not a descriptor's readiness: one knote with a ident of its own.
    pub(crate) fn add(&self, subject: Subject, knote: Kevent) -> Result<(), Error> {
        let mut registered = self.lock();
        let key = (knote.filter(), knote.ident());
        if let Some(known) = registered.others.get(&key) {
            let probe = self.shared.apply(known.with_flags(EventFlags::empty()));
            if !probe.is_err_and(|error| is_absent(&error)) {
                let token = Token(known.udata());
                return Err(Error::AlreadyRegistered { subject, token });
            }
        }
        let result = self.shared.apply(knote);
        result.map_err(|source| Error::Refused { subject, source })?;
        registered.others.insert(key, knote);
        Ok(())
    }

    /// Ends what [`add`](Poll::add) has begun. The kernel may have been faster, when a process has
    /// exited.
    pub(crate) fn remove(
        &self,
        subject: Subject,
        filter: Filter,
        ident: usize,
    ) -> Result<(), Error> {
        let mut registered = self.lock();
        if registered.others.remove(&(filter, ident)).is_none() {
            return Err(Error::NotRegistered { subject });
        }
        let knote = Kevent::new(ident, filter, EventFlags::DELETE);
        match self.shared.apply(knote) {
            Err(source) if !is_absent(&source) => Err(Error::Refused { subject, source }),
            _ => Ok(()),
        }
    }

    /// Brings the knotes of a descriptor from one registration to another in one call, or, if the
    /// system refuses, back to what they were.
    fn change(
        &self,
        fd: RawFd,
        old: Option<Registration>,
        new: Option<Registration>,
    ) -> Result<(), Error> {
        if old.is_some() {
            self.shared.forget_hang_up(fd);
        }
        let result = self.submit(Changes::between(fd, old, new));
        result.map_err(|source| {
            // What cannot be put back has no one to be told but the caller, who is told already.
            let _ = self.submit(Changes::between(fd, new, None));
            let _ = self.submit(Changes::between(fd, None, old));
            let subject = Subject::Descriptor(fd);
            Error::Refused { subject, source }
        })
    }

    fn submit(&self, mut changes: Changes) -> io::Result<()> {
        let mode = changes.mode;
        let changes = changes.as_mut_slice();
        let deletes = changes
            .iter()
            .filter(|change| change.flags().contains(EventFlags::DELETE))
            .count();
        self.shared.kqueue.apply(changes)?;
        for (index, change) in changes.iter().enumerate() {
            match change.receipt() {
                // Deletions come first. The kernel may have been faster: it drops the knotes of a
                // closed descriptor, and FreeBSD that of a pipe without a reader.
                Err(error) if index < deletes && is_absent(&error) => {}
                Err(error) if index >= deletes && hang_up::is_refusal(change, &error) => {
                    let fd = change.ident() as RawFd;
                    self.shared.report_hang_up(fd, change.udata(), mode)?;
                }
                result => result?,
            }
        }
        Ok(())
    }
}

impl Shared {
    /// Makes one change and returns what came of it.
    pub(crate) fn apply(&self, change: Kevent) -> io::Result<()> {
        let mut changes = [change];
        self.kqueue.apply(&mut changes)?;
        changes[0].receipt()
    }

    /// A number for a user event that no other of this poll has.
    pub(crate) fn user_ident(&self) -> usize {
        self.next_user_ident.fetch_add(1, Ordering::Relaxed)
    }
}

/// The errors by which the kernel says that there was no such knote; which one depends on the
/// system and on whether the descriptor is closed.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EBADF))
}

impl AsFd for Poll {
    /// The queue's own descriptor. It is readable while an event waits, so a poll can be watched by
    /// another poll, or by any other event loop (not by macOS's poll(2), which knows no kqueues).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.kqueue.as_fd()
    }
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll")
            .field("kqueue", &self.shared.kqueue.as_fd().as_raw_fd())
            .field("registered", &*self.lock())
            .finish()
    }
}
