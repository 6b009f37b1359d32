//! Interest and trigger: the directions to watch, and how often a condition is reported.

use std::{fmt, ops::BitOr};

/// The conditions for which a descriptor is watched: reading, writing, urgent data, or several of them. An interest
/// is never empty: to stop watching, [deregister](crate::Poll::deregister).
///
/// ```
/// use nio_poll::Interest;
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert!(both.is_readable() && both.is_writable());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Bytes to read, a connection to accept, or the end: the peer has finished writing.
    pub const READABLE: Interest = Interest(1);
    /// Room to write, a connection that is made or has failed, or a pipe that has no reader any more.
    pub const WRITABLE: Interest = Interest(2);
    /// Urgent data of a TCP connection (sent with `MSG_OOB`), or another exceptional condition of the descriptor.
    /// The event is a [priority](crate::Event::is_priority) event. Receive the byte with `MSG_OOB`.
    ///
    /// On Linux (`EPOLLPRI`), macOS, OpenBSD and DragonFly (`EVFILT_EXCEPT`). FreeBSD and NetBSD cannot report it:
    /// there registering is [`Error::Unsupported`](crate::Error::Unsupported).
    #[doc(alias = "EPOLLPRI")]
    #[doc(alias = "POLLPRI")]
    #[doc(alias = "EVFILT_EXCEPT")]
    #[doc(alias = "out-of-band")]
    pub const PRIORITY: Interest = Interest(4);

    /// Whether reading is watched.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.contains(Interest::READABLE)
    }

    /// Whether writing is watched.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.contains(Interest::WRITABLE)
    }

    /// Whether urgent data is watched.
    #[must_use]
    pub const fn is_priority(self) -> bool {
        self.contains(Interest::PRIORITY)
    }

    /// Whether it has all conditions of another interest.
    pub(crate) const fn contains(self, other: Interest) -> bool {
        self.0 & other.0 == other.0
    }

    /// The conditions that both have. The result may be empty; an empty one is never registered.
    pub(crate) const fn and(self, other: Interest) -> Interest {
        Interest(self.0 & other.0)
    }

    /// The conditions without those of another interest. The result may be empty; an empty one is never registered.
    pub(crate) const fn without(self, other: Interest) -> Interest {
        Interest(self.0 & !other.0)
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Interest::READABLE, "READABLE"),
            (Interest::WRITABLE, "WRITABLE"),
            (Interest::PRIORITY, "PRIORITY"),
        ];
        let mut separator = "";
        for (interest, name) in names {
            if self.contains(interest) {
                write!(f, "{separator}{name}")?;
                separator = " | ";
            }
        }
        Ok(())
    }
}

/// How often a registration reports the same condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// Edge-triggered: once for each new activity, as bytes or a connection that arrive, or room to write.
    /// After an event, read (or write, or accept) until [`WouldBlock`](std::io::ErrorKind::WouldBlock) or a
    /// short count: bytes that are left are not reported again. On Linux one activity may be reported for
    /// both directions, so there may be nothing to do after an event.
    ///
    /// The cheapest trigger, and the default. (`EV_CLEAR`.)
    #[default]
    Edge,
    /// Level-triggered: in every poll while the condition holds.
    Level,
    /// Once for each direction; then nothing is reported until
    /// [`reregister_with`](crate::Poll::reregister_with) arms it again. (`EV_DISPATCH`.)
    Oneshot,
}
