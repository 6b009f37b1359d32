//! The poll: creation, waiting for events, and debug output.

use std::{
    fmt, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use nio_sys::Kqueue;

use crate::{Error, Events, registry::Shared, watch::Watch};

/// Waits for many sources of events at once: descriptors, signals, processes, files, timers and
/// [`Waker`](crate::Waker)s.
///
/// Everything takes `&self`, so a poll in an [`Arc`] can be waited on by one thread while others
/// register with it. A registration takes effect in a wait that has begun already.
///
/// Anything that is [`AsFd`] can be registered, the standard library's sockets included. Put
/// sockets into non-blocking mode first, and deregister a descriptor before it is closed: the kernel
/// forgets a descriptor when it is closed, but on Linux only when its last duplicate is.
///
/// Dropping a poll ends all its registrations, even if a [`Waker`](crate::Waker) of it still exists: its
/// descriptors are closed, and its signals have their default actions again.
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
    /// Wakers have weak references to it.
    shared: Arc<Shared>,
}

impl Poll {
    /// A poll with nothing registered.
    ///
    /// # Errors
    ///
    /// [`Error::Create`], usually because the limit on open descriptors is reached. A poll needs
    /// one descriptor, on Linux two.
    pub fn new() -> Result<Poll, Error> {
        Poll::with(Kqueue::new())
    }

    /// A poll whose events also have the number of bytes or connections
    /// ([`Event::count`](crate::Event::count)) and the error of a socket
    /// ([`Event::error`](crate::Event::error)).
    ///
    /// On the kqueue systems events always have them. On Linux they cost one to three system calls for
    /// each event, and up to two more at an end, so a poll of [`new`](Poll::new) does without. Reading the error
    /// of a socket clears it: [`take_error`](std::net::TcpStream::take_error) returns none afterwards.
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
        let kqueue = kqueue.map_err(Error::Create)?;
        let shared = Arc::new(Shared::new(kqueue));
        Ok(Poll { shared })
    }

    /// Waits for events, and replaces the contents of `events` with them. Returns their number; 0 means
    /// that the timeout has passed.
    ///
    /// `None` waits without a limit, zero does not wait. A timeout is a minimum, with a resolution of
    /// nanoseconds where the system has it (Linux from 5.11 on; NetBSD and OpenBSD round up to their
    /// clock tick). Any length is accepted; one of more than three years may be without limit.
    ///
    /// A signal handler that runs meanwhile neither ends the wait nor makes it longer: after `EINTR` the
    /// wait goes on for the remaining time. To end a wait by a signal,
    /// [watch the signal](Poll::register_signal).
    ///
    /// Nothing is allocated. Several threads may wait at once; each event goes to one of them, except
    /// those of [`Trigger::Level`](crate::Trigger::Level), which may go to each.
    ///
    /// # Errors
    ///
    /// [`Error::Wait`]: `EBADF` in a child of fork(2). On a kernel with kqueues that is only so while the child has
    /// no other file of this number.
    #[inline]
    pub fn poll(&self, events: &mut Events, timeout: Option<Duration>) -> Result<usize, Error> {
        let wait = self.shared.kqueue.wait(&mut events.list, timeout);
        wait.map_err(Error::Wait)
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl AsFd for Poll {
    /// The queue's own descriptor. It is readable while an event is pending, so a poll can be watched by
    /// another poll, or by any other event loop (not by macOS's poll(2), which does not accept kqueues).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.kqueue.as_fd()
    }
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The lock is not held while the caller's writer runs.
        let registered = self.shared.lines();
        let mut poll = f.debug_struct("Poll");
        poll.field("kqueue", &self.shared.kqueue.as_raw_fd());
        match &registered {
            Ok(lines) => {
                let lines = lines.iter().map(|line| Line(line)).collect::<Vec<_>>();
                poll.field("registered", &lines)
            }
            Err(_) => poll.field("registered", &Line("by the parent process")),
        };
        poll.finish()
    }
}

/// Text that is printed without quotes.
struct Line<'a>(&'a str);

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Shared {
    /// All registrations, a line each. Closed descriptors are among them: asking the kernel about each might report
    /// an edge again on macOS and FreeBSD.
    fn lines(&self) -> io::Result<Vec<String>> {
        let mut registry = self.lock()?;
        registry.remove_ended(self);
        let descriptors = registry.descriptors.iter().enumerate();
        let descriptors = descriptors.filter_map(|(fd, known)| Some((fd, (*known)?)));
        let descriptors = descriptors.map(|(fd, known)| {
            let (interest, trigger, token) = (known.interest, known.trigger, known.token);
            format!("descriptor {fd}: {interest:?}, {trigger:?}, {token:?}")
        });
        let watches = registry.watches.values().map(Watch::line);
        Ok(descriptors.chain(watches).collect())
    }
}
