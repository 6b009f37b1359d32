//! The poll: what is registered, and waiting for it.

use std::{
    fmt, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use nio_sys::{EventFlags, Filter, Kevent, Kqueue};

use crate::{Error, Events, Subject, Token, registry::Registry};

/// Waits for many things at once: descriptors, signals, processes, files, timers and
/// [`Waker`](crate::Waker)s.
///
/// Everything takes `&self`, so a poll in an [`Arc`] can be waited on by one thread while others
/// register with it. What they register counts for the wait that has begun.
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
        Poll::with(Kqueue::new())
    }

    /// A poll whose events also say how much there is: [`Event::count`](crate::Event::count) of a
    /// descriptor, and the error of a socket, [`Event::error`](crate::Event::error).
    ///
    /// A kernel with kqueues tells that in any case. On Linux it costs one to three system calls for
    /// each event, so there [`new`](Poll::new) makes a poll that does not ask. Asking for the error of a
    /// socket takes it away: [`take_error`](std::net::TcpStream::take_error) has none afterwards.
    ///
    /// ```
    /// use std::{io::Write, os::unix::net::UnixStream};
    /// use nio_poll::{Events, Interest, Poll, Token};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poll = Poll::with_counts()?;
    /// let (near, mut far) = UnixStream::pair()?;
    /// poll.register(&near, Token(1), Interest::READABLE)?;
    /// far.write_all(b"hello")?;
    ///
    /// let mut events = Events::with_capacity(4);
    /// poll.poll(&mut events, None)?;
    /// assert_eq!(events.get(0).map(|event| event.count()), Some(5));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Poll::new).
    pub fn with_counts() -> Result<Poll, Error> {
        Poll::with(Kqueue::with_counts())
    }

    fn with(kqueue: io::Result<Kqueue>) -> Result<Poll, Error> {
        Ok(Poll {
            shared: Arc::new(Shared {
                kqueue: kqueue.map_err(Error::Create)?,
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
    /// round up to their clock tick). Any length will do; one of more than three years may be for ever.
    ///
    /// A signal handler that runs meanwhile does not end the wait, and does not prolong it either: where
    /// the system call fails with `EINTR`, it is made again with what is left of the time. To end a wait
    /// by a signal, [watch the signal](Poll::register_signal).
    ///
    /// Nothing is allocated. Several threads may wait at once; each event goes to one of them, except
    /// those of [`Trigger::Level`](crate::Trigger::Level), which may go to each.
    ///
    /// # Errors
    ///
    /// [`Error::Wait`], which no correct program sees.
    #[inline]
    pub fn poll(&self, events: &mut Events, timeout: Option<Duration>) -> Result<usize, Error> {
        let wait = self.shared.kqueue.wait(&mut events.list, timeout);
        wait.map_err(Error::Wait)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Registry> {
        self.shared.lock()
    }

    /// Registers something that is not a descriptor's readiness: one knote with an ident of its own.
    pub(crate) fn add(
        &self,
        registered: &mut Registry,
        subject: Subject,
        knote: Kevent,
    ) -> Result<(), Error> {
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
        registered: &mut Registry,
        subject: Subject,
        filter: Filter,
        ident: usize,
    ) -> Result<(), Error> {
        if !registered.others.contains_key(&(filter, ident)) {
            return Err(Error::NotRegistered { subject });
        }
        match self
            .shared
            .apply(Kevent::new(ident, filter, EventFlags::DELETE))
        {
            Err(source) if !is_absent(&source) => Err(Error::Refused { subject, source }),
            _ => {
                registered.others.remove(&(filter, ident));
                Ok(())
            }
        }
    }
}

impl Shared {
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Registry> {
        // Whoever panics has not begun to change it.
        self.registered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one change and returns what came of it.
    #[inline]
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
