//! A knote: one registration, with what every filter's registrations have in common.

use std::io;

use crate::{EventFlags, Filter, Kevent};

/// The flags that are fixed when a knote is created (K60) and come back with its events (K83).
const MODE: EventFlags = EventFlags::ONESHOT
    .union(EventFlags::CLEAR)
    .union(EventFlags::DISPATCH)
    .union(EventFlags::RECEIPT);

/// A bit of [`Knote::to_byte`].
const ENABLED: u8 = 2;

/// One registration. What it is registered for, and what its condition is, the filter knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Knote {
    pub(super) udata: usize,
    mode: EventFlags,
    enabled: bool,
}

impl Knote {
    /// A bit that every [`to_byte`](Knote::to_byte) has.
    pub(super) const PRESENT: u8 = 1;

    /// The knote that a change with EV_ADD creates.
    #[inline]
    pub(super) fn new(change: &Kevent) -> Knote {
        Knote {
            udata: change.udata(),
            mode: change.flags() & MODE,
            enabled: !change.flags().contains(EventFlags::DISABLE),
        }
    }

    /// Takes from a change what a change can alter: the udata (K58) and whether it is enabled.
    /// EV_ADD alone does not enable (K63).
    pub(super) fn modify(&mut self, change: &Kevent) {
        self.udata = change.udata();
        if change.flags().contains(EventFlags::ENABLE) {
            self.enabled = true;
        } else if change.flags().contains(EventFlags::DISABLE) {
            self.enabled = false;
        }
    }

    /// All of it but the udata, in a byte that is not 0.
    #[inline]
    pub(super) fn to_byte(self) -> u8 {
        // The four flags of a mode are the upper half of this byte as they are.
        let enabled = if self.enabled { ENABLED } else { 0 };
        self.mode.bits() as u8 | Knote::PRESENT | enabled
    }

    /// The knote of such a byte; none of 0.
    pub(super) fn from_byte(byte: u8, udata: impl FnOnce() -> usize) -> Option<Knote> {
        (byte != 0).then(|| Knote {
            udata: udata(),
            mode: EventFlags::from_bits_retain(byte.into()) & MODE,
            enabled: byte & ENABLED != 0,
        })
    }

    /// The mode of the knote of such a byte, if there is one and it is enabled.
    #[inline]
    pub(super) fn mode_if_enabled(byte: u8) -> Option<EventFlags> {
        (byte & ENABLED != 0).then(|| EventFlags::from_bits_retain(byte.into()) & MODE)
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(super) fn is_clear(&self) -> bool {
        self.mode.contains(EventFlags::CLEAR)
    }

    pub(super) fn is_oneshot(&self) -> bool {
        self.mode.contains(EventFlags::ONESHOT)
    }

    /// Whether it stops reporting after one event.
    pub(super) fn fires_once(&self) -> bool {
        self.mode
            .intersects(EventFlags::ONESHOT.union(EventFlags::DISPATCH))
    }

    /// What EV_DISPATCH does after a delivery.
    pub(super) fn disable(&mut self) {
        self.enabled = false;
    }

    /// The event that reports this knote; `flags` are EV_EOF or none.
    pub(super) fn event(&self, ident: usize, filter: Filter, flags: EventFlags) -> Kevent {
        Kevent::new(ident, filter, self.mode | flags).with_udata(self.udata)
    }
}

/// The error of a change that names no knote (K49).
pub(super) fn no_such_knote() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

/// The error of a change that makes no sense.
pub(super) fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}
