//! What a poll returns: a buffer of events, and the event.

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus};

use nio_sys::{EventList, Filter, Kevent};

use crate::{FileChange, Token, hang_up::is_hang_up};

/// A reusable buffer that [`Poll::poll`](crate::Poll::poll) fills. It never grows: what does not
/// fit comes with the next poll.
#[derive(Debug)]
pub struct Events {
    pub(crate) list: EventList,
}

impl Events {
    /// A buffer for at most `capacity` events. A poll with a capacity of zero returns at once.
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

    /// Whether it holds no events: after a poll, that its time was up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The event at this place, in the order of arrival.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Event> {
        self.list.get(index).copied().map(Event)
    }

    /// The events, in the order of arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        self.list.iter().copied().map(Event)
    }

    /// Forgets all events.
    pub fn clear(&mut self) {
        self.list.clear();
    }
}

/// Something happened to a registration.
///
/// A descriptor that has become readable and writable at once has two events, on every system.
/// An event is a hint: the operation it announces may still answer
/// [`WouldBlock`](std::io::ErrorKind::WouldBlock).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Event(Kevent);

impl Event {
    /// The token of the registration.
    #[must_use]
    pub fn token(&self) -> Token {
        Token(self.0.udata())
    }

    /// There is something to read or to accept, the other side has finished writing, or a
    /// [`Waker`](crate::Waker) was used.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        matches!(self.0.filter(), Filter::READ | Filter::USER) && !is_hang_up(&self.0)
    }

    /// There is room to write, the connection is made or has failed, or nobody reads any more.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.0.filter() == Filter::WRITE || is_hang_up(&self.0)
    }

    /// Nothing will arrive after what is there to be read now: the other side has shut down its
    /// writing half or is gone, or this side has shut down its reading half.
    #[must_use]
    pub fn is_read_closed(&self) -> bool {
        self.0.filter() == Filter::READ && self.0.is_eof()
    }

    /// Writing is of no use any more: the connection has failed or was reset, or the reader of a
    /// pipe is gone. On the kqueue systems also when this side has shut down its writing half;
    /// Linux does not tell that.
    #[must_use]
    pub fn is_write_closed(&self) -> bool {
        self.0.filter() == Filter::WRITE && self.0.is_eof() || is_hang_up(&self.0)
    }

    /// The process has exited.
    #[must_use]
    pub fn is_exit(&self) -> bool {
        self.0.filter() == Filter::PROC
    }

    /// How the process ended. `None` for an event that is not an exit; for a process that is not a
    /// child of this one some systems say "successfully" for lack of knowledge.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        let status = i32::try_from(self.0.data())
            .ok()
            .filter(|_| self.is_exit())?;
        Some(ExitStatus::from_raw(status))
    }

    /// What has happened to the file, if the event is about one.
    #[must_use]
    pub fn file_changes(&self) -> Option<FileChange> {
        (self.0.filter() == Filter::VNODE).then(|| FileChange::from_fflags(self.0.fflags()))
    }

    /// A timer has expired; [`count`](Event::count) says how often.
    #[must_use]
    pub fn is_timer(&self) -> bool {
        self.0.filter() == Filter::TIMER
    }

    /// It is a signal that was sent.
    #[must_use]
    pub fn is_signal(&self) -> bool {
        self.0.filter() == Filter::SIGNAL
    }

    /// How often a timer has expired, or a signal was sent, since the last event. Signals merge
    /// while they wait for delivery, so of them this is a hint. For descriptors what the system gives as
    /// data: on the kqueue systems, how many bytes (or connections) can be read or written; on
    /// Linux 0, because asking would cost a system call.
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
