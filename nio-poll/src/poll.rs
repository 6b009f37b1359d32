//! The poll: what is registered, and waiting for it.

use std::{
    collections::HashMap,
    fmt, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nio_sys::{CaughtSignal, EventFlags, Filter, Kevent, Kqueue};

use crate::{Error, Events, Interest, Signal, Token, Trigger};

/// Waits for many things at once: descriptors, signals and [`Waker`](crate::Waker)s.
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
    registered: Mutex<Registered>,
    next_user_ident: AtomicUsize,
}

/// What is registered. The kernel knows it too, but cannot be asked: without this table, a second
/// registration of a descriptor would silently replace the first.
#[derive(Debug, Default)]
struct Registered {
    /// By number.
    descriptors: Vec<Option<Registration>>,
    signals: HashMap<Signal, (Token, CaughtSignal)>,
}

#[derive(Clone, Copy, Debug)]
struct Registration {
    token: Token,
    interest: Interest,
    trigger: Trigger,
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
    /// [`Error::AlreadyRegistered`], and [`Error::Register`] if the system refuses the descriptor.
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
        if let Some(known) = registered.get(fd) {
            if self.is_live(fd, known) {
                let token = known.token;
                return Err(Error::AlreadyRegistered { fd, token });
            }
        }
        self.change(fd, None, Some(new))?;
        registered.set(fd, Some(new));
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
    /// [`Error::NotRegistered`], and [`Error::Register`] if the system refuses the change.
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
        let Some(old) = registered.get(fd) else {
            return Err(Error::NotRegistered { fd });
        };
        self.change(fd, Some(old), Some(new))?;
        registered.set(fd, Some(new));
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
        let Some(old) = registered.get(fd) else {
            return Err(Error::NotRegistered { fd });
        };
        self.change(fd, Some(old), None)?;
        registered.set(fd, None);
        Ok(())
    }

    /// Watches a signal: each time it is sent to the process, the next poll says so. While it is
    /// watched, the signal does not do what it does by default: SIGINT and SIGTERM do not end the
    /// process. A handler that the program has installed runs all the same.
    ///
    /// # Errors
    ///
    /// [`Error::SignalAlreadyWatched`]; [`Error::WatchSignal`] for SIGKILL, SIGSTOP and numbers
    /// that are no signal's.
    ///
    /// # Platform differences
    ///
    /// On Linux a signal that is blocked in all threads is reported when it is unblocked, and a
    /// handler that the program installs while the signal is watched ends the watching.
    pub fn register_signal(&self, signal: Signal, token: Token) -> Result<(), Error> {
        let mut registered = self.lock();
        if let Some(&(token, _)) = registered.signals.get(&signal) {
            return Err(Error::SignalAlreadyWatched { signal, token });
        }
        let fail = |source| Error::WatchSignal { signal, source };
        let caught = CaughtSignal::new(signal.as_raw()).map_err(fail)?;
        let knote = Kevent::signal(signal.as_raw(), EventFlags::ADD | EventFlags::CLEAR);
        self.shared.apply(knote.with_udata(token.0)).map_err(fail)?;
        registered.signals.insert(signal, (token, caught));
        Ok(())
    }

    /// Ends the watching of a signal: from now on it does again what it did before.
    ///
    /// # Errors
    ///
    /// [`Error::SignalNotWatched`].
    pub fn deregister_signal(&self, signal: Signal) -> Result<(), Error> {
        let mut registered = self.lock();
        if !registered.signals.contains_key(&signal) {
            return Err(Error::SignalNotWatched { signal });
        }
        let knote = Kevent::signal(signal.as_raw(), EventFlags::DELETE);
        let result = self.shared.apply(knote);
        result.map_err(|source| Error::WatchSignal { signal, source })?;
        registered.signals.remove(&signal);
        Ok(())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn lock(&self) -> MutexGuard<'_, Registered> {
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

    /// Brings the knotes of a descriptor from one registration to another in one call, or, if the
    /// system refuses, back to what they were.
    fn change(
        &self,
        fd: RawFd,
        old: Option<Registration>,
        new: Option<Registration>,
    ) -> Result<(), Error> {
        let result = self.submit(Changes::between(fd, old, new));
        result.map_err(|source| {
            // What cannot be put back has no one to be told but the caller, who is told already.
            let _ = self.submit(Changes::between(fd, new, None));
            let _ = self.submit(Changes::between(fd, None, old));
            Error::Register { fd, source }
        })
    }

    fn submit(&self, mut changes: Changes) -> io::Result<()> {
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

impl Registered {
    fn get(&self, fd: RawFd) -> Option<Registration> {
        *self.descriptors.get(fd as usize)?
    }

    fn set(&mut self, fd: RawFd, registration: Option<Registration>) {
        let index = fd as usize;
        if index >= self.descriptors.len() {
            self.descriptors.resize(index + 1, None);
        }
        self.descriptors[index] = registration;
    }
}

impl Registration {
    fn has(self, filter: Filter) -> bool {
        match filter {
            Filter::READ => self.interest.is_readable(),
            _ => self.interest.is_writable(),
        }
    }

    /// A change of one knote of this registration.
    fn knote(self, fd: RawFd, filter: Filter, flags: EventFlags) -> Kevent {
        let mode = match self.trigger {
            Trigger::Edge => EventFlags::CLEAR,
            Trigger::Level => EventFlags::empty(),
            Trigger::Oneshot => EventFlags::DISPATCH,
        };
        Kevent::new(fd as usize, filter, flags | mode).with_udata(self.token.0)
    }

    /// The same change of each of its knotes.
    fn knotes(self, fd: RawFd, flags: EventFlags) -> impl Iterator<Item = Kevent> {
        FILTERS
            .into_iter()
            .filter(move |&filter| self.has(filter))
            .map(move |filter| self.knote(fd, filter, flags))
    }
}

const FILTERS: [Filter; 2] = [Filter::READ, Filter::WRITE];

/// The changes of one call: two deletions and two additions at most.
struct Changes {
    list: [Kevent; 4],
    len: usize,
}

impl Changes {
    /// What leads from one registration of a descriptor to another. What a knote's mode is, is
    /// fixed when it is added, so another trigger takes a deletion and an addition.
    fn between(fd: RawFd, old: Option<Registration>, new: Option<Registration>) -> Changes {
        let filler = Kevent::new(0, Filter::READ, EventFlags::empty());
        let mut changes = Changes {
            list: [filler; 4],
            len: 0,
        };
        for filter in FILTERS {
            let old = old.filter(|old| old.has(filter));
            let new = new.filter(|new| new.has(filter));
            match (old, new) {
                (Some(old), Some(new)) if old.trigger == new.trigger => {}
                (Some(old), _) => changes.push(old.knote(fd, filter, EventFlags::DELETE)),
                (None, _) => {}
            }
        }
        for knote in new
            .into_iter()
            .flat_map(|new| new.knotes(fd, EventFlags::ADD | EventFlags::ENABLE))
        {
            changes.push(knote);
        }
        changes
    }

    fn push(&mut self, change: Kevent) {
        self.list[self.len] = change;
        self.len += 1;
    }

    fn as_mut_slice(&mut self) -> &mut [Kevent] {
        &mut self.list[..self.len]
    }
}

/// The errors by which the kernel says that there was no such knote; which one depends on the
/// system and on whether the descriptor is closed.
fn is_absent(error: &io::Error) -> bool {
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
        let registered = self.lock();
        let descriptors = registered.descriptors.iter().enumerate();
        let descriptors = descriptors.filter_map(|(fd, known)| Some((fd, known.as_ref()?)));
        let signals = registered.signals.iter();
        f.debug_struct("Poll")
            .field("kqueue", &self.shared.kqueue.as_fd().as_raw_fd())
            .field("descriptors", &DebugMap(descriptors.collect()))
            .field(
                "signals",
                &DebugMap(
                    signals
                        .map(|(signal, (token, _))| (signal, token))
                        .collect(),
                ),
            )
            .finish()
    }
}

/// Pairs, printed as a map.
struct DebugMap<K, V>(Vec<(K, V)>);

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for DebugMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(key, value)| (key, value)))
            .finish()
    }
}
