//! A knote: the state of one registration, and the life that the registrations of all filters share.
//!
//! ```text
//!            EV_ADD                        EV_DISABLE, or a report with EV_DISPATCH
//!   none ───────────────▶ enabled ────────────────────────────────▶ disabled
//!     ▲                    │    ▲                                     │
//!     └────────────────────┘    └─────────────────────────────────────┘
//!      EV_DELETE, or a report            EV_ENABLE (EV_ADD alone does not enable, K63)
//!      with EV_ONESHOT
//! ```
//!
//! The mode (EV_ONESHOT, EV_CLEAR, EV_DISPATCH, EV_RECEIPT) is fixed when the knote is created (K60).

use std::io;

use crate::{EventFlags, Kevent};

/// The flags that are fixed when a knote is created (K60) and come back with its events (K83).
const MODE: EventFlags = EventFlags::ONESHOT
    .union(EventFlags::CLEAR)
    .union(EventFlags::DISPATCH)
    .union(EventFlags::RECEIPT);

/// A knote, or the absence of one, in a byte. The upper half is the mode, as the flags have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Knote(u8);

const PRESENT: u8 = 1;
const ENABLED: u8 = 2;

impl Knote {
    /// No knote.
    pub(super) const NONE: Knote = Knote(0);

    /// This knote after a change. An error if the flags are not valid, or if there is no knote and the change
    /// does not add one (K49). The udata is stored elsewhere: every change replaces it (K58).
    #[inline]
    pub(super) fn changed(self, change: &Kevent) -> io::Result<Knote> {
        let flags = change.flags();
        let both = |a: EventFlags, b: EventFlags| flags.contains(a.union(b));
        if !KNOWN.contains(flags)
            || both(EventFlags::ADD, EventFlags::DELETE)
            || both(EventFlags::ENABLE, EventFlags::DISABLE)
        {
            return Err(invalid());
        }
        if !self.exists() {
            if !flags.contains(EventFlags::ADD) {
                return Err(no_such_knote());
            }
            let new = Knote((flags & MODE).bits() as u8 | PRESENT);
            return Ok(new.enabled(!flags.contains(EventFlags::DISABLE)));
        }
        Ok(if flags.contains(EventFlags::DELETE) {
            Knote::NONE
        } else if flags.contains(EventFlags::ENABLE) {
            self.enabled(true)
        } else if flags.contains(EventFlags::DISABLE) {
            self.enabled(false)
        } else {
            self
        })
    }

    #[inline]
    fn enabled(self, enabled: bool) -> Knote {
        Knote(if enabled {
            self.0 | ENABLED
        } else {
            self.0 & !ENABLED
        })
    }

    /// This knote after a report: EV_ONESHOT deletes it (K67), EV_DISPATCH disables it (K76).
    #[inline]
    pub(super) fn reported(self) -> Knote {
        if self.has(EventFlags::ONESHOT) {
            Knote::NONE
        } else if self.has(EventFlags::DISPATCH) {
            self.enabled(false)
        } else {
            self
        }
    }

    #[inline]
    pub(super) fn exists(self) -> bool {
        self != Knote::NONE
    }

    #[inline]
    pub(super) fn is_enabled(self) -> bool {
        self.0 & ENABLED != 0
    }

    /// Whether it is edge-triggered.
    #[inline]
    pub(super) fn is_clear(self) -> bool {
        self.has(EventFlags::CLEAR)
    }

    /// Whether it stops reporting after one event.
    #[inline]
    pub(super) fn fires_once(self) -> bool {
        self.has(EventFlags::ONESHOT) || self.has(EventFlags::DISPATCH)
    }

    /// The flags of its events, without EV_EOF.
    #[inline]
    pub(super) fn mode(self) -> EventFlags {
        EventFlags::from_bits_retain(self.0.into()) & MODE
    }

    #[inline]
    fn has(self, flag: EventFlags) -> bool {
        u16::from(self.0) & flag.bits() != 0
    }
}

/// The flags that a change may have; any other is an error (K243). EV_SYSFLAGS belong to the
/// system and are ignored (K30).
const KNOWN: EventFlags = EventFlags::SYSFLAGS
    .union(EventFlags::ADD)
    .union(EventFlags::DELETE)
    .union(EventFlags::ENABLE)
    .union(EventFlags::DISABLE)
    .union(MODE);

/// The error of a change that names no knote (K49).
pub(super) fn no_such_knote() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

/// The error of a change with invalid flags or an invalid ident.
pub(super) fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

/// The error of a change that asks for an event that Linux cannot report (K242).
pub(super) fn unsupported() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOTSUP)
}

/// The descriptor that a change names (K33).
pub(super) fn descriptor(change: &Kevent) -> io::Result<i32> {
    i32::try_from(change.ident()).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Filter;

    fn change(flags: EventFlags) -> Kevent {
        Kevent::new(3, Filter::READ, flags)
    }

    #[test]
    fn k60_the_mode_is_fixed_when_a_knote_is_created() {
        let knote = Knote::NONE.changed(&change(EventFlags::ADD)).unwrap();
        let again = knote.changed(&change(EventFlags::ADD | EventFlags::CLEAR));
        assert_eq!(again.unwrap(), knote);
    }

    #[test]
    fn k63_adding_again_does_not_enable() {
        let flags = EventFlags::ADD | EventFlags::DISABLE;
        let knote = Knote::NONE.changed(&change(flags)).unwrap();
        assert!(knote.exists() && !knote.is_enabled());
        assert!(
            !knote
                .changed(&change(EventFlags::ADD))
                .unwrap()
                .is_enabled()
        );
        let enabled = knote.changed(&change(EventFlags::ENABLE)).unwrap();
        assert!(enabled.is_enabled());
    }

    #[test]
    fn k79_oneshot_wins_over_dispatch() {
        let flags = EventFlags::ADD | EventFlags::ONESHOT | EventFlags::DISPATCH;
        let knote = Knote::NONE.changed(&change(flags)).unwrap();
        assert!(!knote.reported().exists());
    }
}
