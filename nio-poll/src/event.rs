//! Events, and the buffer that a poll fills.

use std::{fmt, io, os::unix::process::ExitStatusExt, process::ExitStatus, slice};

#[cfg(any(target_os = "linux", target_os = "android"))]
use nio_sys::EventFlags;
use nio_sys::{EventList, Filter, Kevent, ProcFlags};

use crate::{FileChange, Token, hang_up::is_hang_up};

/// A reusable buffer that [`Poll::poll`](crate::Poll::poll) fills. It never grows: events that do not
/// fit come with the next poll.
#[derive(Debug)]
pub struct Events {
    pub(crate) list: EventList,
}

impl Events {
    /// A buffer for at most `capacity` events. A poll with a capacity of zero returns at once.
    ///
    /// # Panics
    ///
    /// If the capacity takes more than `isize::MAX` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Events {
        Events {
            list: EventList::with_capacity(capacity),
        }
    }

    /// How many events it can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.list.capacity()
    }

    /// How many events it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether it holds no events: after a poll, whether the timeout has passed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The event at this index, in the order of arrival.
    #[must_use]
    #[inline]
    pub fn get(&self, index: usize) -> Option<Event> {
        self.list.get(index).copied().map(Event)
    }

    /// The events, in the order of arrival.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.list.iter())
    }

    /// Removes all events.
    pub fn clear(&mut self) {
        self.list.clear();
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = Event;
    type IntoIter = Iter<'a>;

    #[inline]
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The events of a buffer; made by [`Events::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a>(slice::Iter<'a, Kevent>);

impl Iterator for Iter<'_> {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        self.0.next().copied().map(Event)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// An event of a registration.
///
/// A descriptor that has become readable and writable at once has two events, on every system.
/// An event is a hint: the operation may still return [`WouldBlock`](std::io::ErrorKind::WouldBlock).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Event(Kevent);

impl Event {
    /// The token of the registration.
    #[must_use]
    #[inline]
    pub fn token(&self) -> Token {
        Token(self.0.udata())
    }

    /// There are bytes to read, there is a connection to accept, the peer has finished writing, or a
    /// [`Waker`](crate::Waker) was used.
    #[must_use]
    #[inline]
    pub fn is_readable(&self) -> bool {
        matches!(self.0.filter(), Filter::READ | Filter::USER) && !is_hang_up(&self.0)
    }

    /// There is room to write, the connection is made or has failed, or the pipe has no reader any
    /// more.
    #[must_use]
    #[inline]
    pub fn is_writable(&self) -> bool {
        self.0.filter() == Filter::WRITE || is_hang_up(&self.0)
    }

    /// There is urgent data, or another exceptional condition: see [`Interest::PRIORITY`](crate::Interest::PRIORITY).
    #[must_use]
    #[inline]
    pub fn is_priority(&self) -> bool {
        #[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
        let is_priority = self.0.filter() == Filter::EXCEPT;
        #[cfg(any(target_os = "freebsd", target_os = "netbsd"))]
        let is_priority = false;
        is_priority
    }

    /// Nothing more will arrive after the bytes that can be read now: the peer has shut down its writing
    /// half or is gone, or this side has shut down its reading half.
    #[must_use]
    #[inline]
    pub fn is_read_closed(&self) -> bool {
        self.0.filter() == Filter::READ && self.0.is_eof()
    }

    /// Writing will fail: the connection has failed or was reset, or the reader of a pipe is gone. On
    /// the kqueue systems also when this side has shut down its writing half; Linux does not report
    /// that.
    #[must_use]
    #[inline]
    pub fn is_write_closed(&self) -> bool {
        self.0.filter() == Filter::WRITE && self.0.is_eof() || is_hang_up(&self.0)
    }

    /// The peer is gone, in the direction of this event: it is [read-closed](Event::is_read_closed) or
    /// [write-closed](Event::is_write_closed) (`EV_EOF`). Bytes that arrived before can still be read.
    #[must_use]
    pub fn is_eof(&self) -> bool {
        self.is_read_closed() || self.is_write_closed()
    }

    /// The error that ended the connection or the attempt to connect: reset, refused, timed out. `None`
    /// after an orderly end.
    ///
    /// On Linux also `None` unless the poll was made [`with_counts`](crate::Poll::with_counts): there
    /// [`take_error`](std::net::TcpStream::take_error), or the next read or write, returns the error.
    ///
    /// An error that does not end the connection, as of a datagram that was refused, makes the socket
    /// readable, and reading returns it.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::{io::{ErrorKind, Write}, os::unix::net::UnixStream};
    /// use nio_poll::{Events, Interest, Poll, Token};
    ///
    /// let poll = Poll::with_counts()?;
    /// let (near, far) = UnixStream::pair()?;
    /// poll.register(&near, Token(1), Interest::READABLE)?;
    /// (&near).write_all(b"never read")?;
    /// drop(far);
    ///
    /// let mut events = Events::with_capacity(4);
    /// poll.poll(&mut events, None)?;
    /// let event = events.get(0).expect("the peer is gone");
    /// assert!(event.is_eof() && event.is_read_closed());
    /// if let Some(error) = event.error() {
    ///     assert_eq!(error.kind(), ErrorKind::ConnectionReset); // not on every system
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn error(&self) -> Option<io::Error> {
        let of_descriptor = matches!(self.0.filter(), Filter::READ | Filter::WRITE);
        // K108; without EV_EOF, fflags are not an errno (K109).
        let errno = i32::try_from(self.0.fflags()).ok()?;
        let failed = of_descriptor && self.0.is_eof() && errno != 0;
        failed.then(|| io::Error::from_raw_os_error(errno))
    }

    /// The system has an error for this descriptor. An error is not always an end: a socket whose error queue
    /// has a message goes on.
    ///
    /// | system | true if |
    /// |---|---|
    /// | Linux (`EPOLLERR`) | an error is pending ([`take_error`](std::net::TcpStream::take_error)), the error queue has a message (recv(2) with `MSG_ERRQUEUE`), or the reader of a pipe is gone |
    /// | others | a connection has ended with an [error](Event::error). A pending error that ends nothing makes the socket readable, and reading returns it |
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::net::UdpSocket;
    /// use nio_poll::{Events, Interest, Poll, Token};
    ///
    /// // A datagram to this port is refused, which is an error of the sender.
    /// let closed = UdpSocket::bind("127.0.0.1:0")?;
    /// closed.connect(closed.local_addr()?)?; // takes datagrams of its own alone
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.connect(closed.local_addr()?)?;
    /// let poll = Poll::new()?;
    /// poll.register(&socket, Token(1), Interest::READABLE)?;
    /// socket.send(b"hello")?;
    ///
    /// let mut events = Events::with_capacity(4);
    /// poll.poll(&mut events, None)?;
    /// let event = events.get(0).expect("the datagram is refused");
    /// assert!(event.is_readable() && !event.is_eof());
    /// assert_eq!(event.is_error(), cfg!(any(target_os = "linux", target_os = "android")));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_error(&self) -> bool {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let is_pending = self.0.flags().contains(EventFlags::PENDING_ERROR);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let is_pending = false;
        is_pending || self.error().is_some()
    }

    /// The process has exited.
    #[must_use]
    pub fn is_exit(&self) -> bool {
        self.0.filter() == Filter::PROC
    }

    /// The exit status of the process. `None` for an event that is not an exit, and if the status is not known:
    /// see the platform differences of [`Poll::register_process`](crate::Poll::register_process).
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        let fflags = ProcFlags::from_bits_retain(self.0.fflags());
        #[cfg(target_vendor = "apple")]
        let is_known = fflags.contains(ProcFlags::EXITSTATUS);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let is_known = !fflags.contains(ProcFlags::NO_STATUS);
        #[cfg(not(any(target_vendor = "apple", target_os = "linux", target_os = "android")))]
        let is_known = fflags.contains(ProcFlags::EXIT);
        let status = i32::try_from(self.0.data())
            .ok()
            .filter(|_| self.is_exit() && is_known)?;
        Some(ExitStatus::from_raw(status))
    }

    /// The changes of a file; `None` for any other event.
    #[must_use]
    pub fn file_changes(&self) -> Option<FileChange> {
        (self.0.filter() == Filter::VNODE).then(|| FileChange::from_fflags(self.0.fflags()))
    }

    /// A timer has expired, [`count`](Event::count) times.
    #[must_use]
    pub fn is_timer(&self) -> bool {
        self.0.filter() == Filter::TIMER
    }

    /// A signal was sent.
    #[must_use]
    pub fn is_signal(&self) -> bool {
        self.0.filter() == Filter::SIGNAL
    }

    /// The number of bytes, connections, expirations or signals.
    ///
    /// | event | count |
    /// |---|---|
    /// | readable | how many bytes can be read; of a listener, how many connections can be accepted |
    /// | writable | about how many bytes can be written |
    /// | timer | the expirations since its last event |
    /// | signal | the deliveries since its last event; several pending signals may be one delivery, so this is a hint |
    ///
    /// On Linux the first two are 0, unless the poll was made
    /// [`with_counts`](crate::Poll::with_counts), which says what they cost. They are hints, too, and
    /// may be out of date at once. For other events the count has no meaning.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.0.data()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.token(), self.0)
    }
}
