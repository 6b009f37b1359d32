//! Interest and trigger: the directions to watch, and how often a condition is reported.

use std::{fmt, ops::BitOr};

/// The directions in which a descriptor is watched: reading, writing or both. It cannot be empty: to watch for nothing,
/// [deregister](crate::Poll::deregister).
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

    /// Whether reading is watched.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & Interest::READABLE.0 != 0
    }

    /// Whether writing is watched.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & Interest::WRITABLE.0 != 0
    }

    /// The rest without another interest. It may be empty; an empty one is never registered.
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
        f.write_str(match (self.is_readable(), self.is_writable()) {
            (true, false) => "READABLE",
            (false, true) => "WRITABLE",
            _ => "READABLE | WRITABLE",
        })
    }
}

/// How often a registration reports the same condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// Once for every activity: when bytes, a connection or room arrive. After an event, read (or
    /// write, or accept) until [`WouldBlock`](std::io::ErrorKind::WouldBlock) or until a short
    /// count: bytes that are left are not reported again. On Linux one activity may be reported for
    /// both directions, so there may be nothing to do after an event.
    ///
    /// The cheapest trigger, and the default. (`EV_CLEAR`.)
    #[default]
    Edge,
    /// In every poll while the condition holds.
    Level,
    /// Once, each direction by itself; then it is silent until
    /// [`reregister_with`](crate::Poll::reregister_with) arms it again. (`EV_DISPATCH`.)
    Oneshot,
}
