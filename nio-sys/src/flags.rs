//! `EventFlags`: the operation of a change, and the state in an event.
//!
//! The bits common to all systems have the same value on all of them. The others do not: 0x200
//! keeps `udata` on FreeBSD and reports a vanished Mach port on Apple. They are therefore compiled
//! only where they mean something.

use std::fmt;

use bitflags::{Flags, bitflags};

use crate::raw::FlagBits;

bitflags! {
    /// The `EV_` flags of a [`Kevent`](crate::Kevent).
    ///
    /// In a change they are the operation and the mode; in a returned entry only [`ERROR`](EventFlags::ERROR) and
    /// [`EOF`](EventFlags::EOF) mean the same on every system, the rest may or may not be echoed
    /// (K83). Bits that a kernel returns and that have no name here are kept. Prints as
    /// `ADD|CLEAR`.
    ///
    /// ```
    /// use nio_sys::EventFlags;
    ///
    /// let flags = EventFlags::ADD | EventFlags::CLEAR;
    /// assert!(flags.contains(EventFlags::ADD));
    /// assert_eq!(format!("{flags:?}"), "ADD|CLEAR");
    /// ```
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct EventFlags: FlagBits {
        /// Register, or change the registration that exists. All systems.
        const ADD = 0x1;
        /// Remove the registration. All systems.
        const DELETE = 0x2;
        /// Report again, after [`DISABLE`](EventFlags::DISABLE) or [`DISPATCH`](EventFlags::DISPATCH). All
        /// systems.
        const ENABLE = 0x4;
        /// Keep the registration but report nothing. All systems.
        const DISABLE = 0x8;
        /// Report once, then remove the registration. All systems.
        const ONESHOT = 0x10;
        /// Report new activity only: edge-triggered. All systems.
        const CLEAR = 0x20;
        /// Answer this change with an [`ERROR`](EventFlags::ERROR) entry even if it succeeds. All
        /// systems.
        const RECEIPT = 0x40;
        /// Disable the registration after each report. All systems; on NetBSD without effect
        /// together with [`CLEAR`](EventFlags::CLEAR).
        const DISPATCH = 0x80;

        /// Make `udata` part of the key, besides ident and filter. Apple.
        #[cfg(target_vendor = "apple")]
        const UDATA_SPECIFIC = 0x100;
        /// `UDATA_SPECIFIC` and `DISPATCH` in one, with deferred deletion. Apple.
        #[cfg(target_vendor = "apple")]
        const DISPATCH2 = 0x180;
        /// Report that the watched thing has vanished. Apple, with `DISPATCH2` only.
        #[cfg(target_vendor = "apple")]
        const VANISHED = 0x200;
        /// Ask for the behaviour of poll(2). Apple.
        #[cfg(target_vendor = "apple")]
        const POLL = 0x1000;
        /// Out-of-band data is present. Apple, under the name of `FLAG1` elsewhere.
        #[cfg(target_vendor = "apple")]
        const OOBAND = 0x2000;

        /// Report an existing registration once, whether its condition holds or not, and remove it. FreeBSD.
        #[cfg(target_os = "freebsd")]
        const FORCEONESHOT = 0x100;
        /// Leave the `udata` of the registration as it is. FreeBSD; releases up to 13 ignore it.
        #[cfg(target_os = "freebsd")]
        const KEEPUDATA = 0x200;

        /// Both directions are closed; returned only. DragonFly.
        #[cfg(target_os = "dragonfly")]
        const HUP = 0x800;
        /// The end was reached and no data is left; returned only. DragonFly.
        #[cfg(target_os = "dragonfly")]
        const NODATA = 0x1000;

        /// The kernel has an error for the descriptor (EPOLLERR): of a socket, an error is pending or its
        /// error queue has a message; of a pipe, the reader is gone. Returned only, with READ and WRITE. Linux.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const PENDING_ERROR = 0x1000;

        /// A bit for the filter's own use. All systems.
        const FLAG1 = 0x2000;
        /// The entry answers a change, with its errno in `data`, 0 for success; returned only. All
        /// systems.
        const ERROR = 0x4000;
        /// The other end is gone, or the watched process; returned only. All systems.
        const EOF = 0x8000;

        const _ = !0;
    }
}

impl EventFlags {
    /// The bits that only the kernel sets: it ignores them in a change, so that a returned entry
    /// may be submitted again (K30). Larger on OpenBSD and DragonFly.
    pub const SYSFLAGS: EventFlags = EventFlags::from_bits_retain(
        if cfg!(any(target_os = "openbsd", target_os = "dragonfly")) {
            0xf800
        } else {
            0xf000
        },
    );
}

impl fmt::Debug for EventFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_names(*self, f)
    }
}

/// Writes `ADD|CLEAR`, with bits that have no name in hexadecimal at the end, and `0` for no bits.
pub(crate) fn write_names<F>(flags: F, f: &mut fmt::Formatter<'_>) -> fmt::Result
where
    F: Flags + Copy,
    F::Bits: fmt::LowerHex,
{
    if flags.is_empty() {
        return f.write_str("0");
    }
    let mut separator = "";
    let mut names = flags.iter_names();
    for (name, _) in names.by_ref() {
        write!(f, "{separator}{name}")?;
        separator = "|";
    }
    match names.remaining() {
        unnamed if unnamed.is_empty() => Ok(()),
        unnamed => write!(f, "{separator}{:#x}", unnamed.bits()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_as_names_joined_by_bars() {
        assert_eq!(
            format!("{:?}", EventFlags::ADD | EventFlags::CLEAR),
            "ADD|CLEAR"
        );
        assert_eq!(format!("{:?}", EventFlags::empty()), "0");
    }

    #[test]
    fn bits_without_a_name_are_kept_and_printed() {
        let flags = EventFlags::ADD | EventFlags::from_bits_retain(0x400);
        assert_eq!(flags.bits(), 0x401);
        assert_eq!(format!("{flags:?}"), "ADD|0x400");
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[test]
    fn flags_have_the_values_that_libc_gives_them() {
        assert_eq!(EventFlags::ADD.bits(), libc::EV_ADD);
        assert_eq!(EventFlags::DELETE.bits(), libc::EV_DELETE);
        assert_eq!(EventFlags::ENABLE.bits(), libc::EV_ENABLE);
        assert_eq!(EventFlags::DISABLE.bits(), libc::EV_DISABLE);
        assert_eq!(EventFlags::ONESHOT.bits(), libc::EV_ONESHOT);
        assert_eq!(EventFlags::CLEAR.bits(), libc::EV_CLEAR);
        assert_eq!(EventFlags::RECEIPT.bits(), libc::EV_RECEIPT);
        assert_eq!(EventFlags::DISPATCH.bits(), libc::EV_DISPATCH);
        assert_eq!(EventFlags::FLAG1.bits(), libc::EV_FLAG1);
        assert_eq!(EventFlags::ERROR.bits(), libc::EV_ERROR);
        assert_eq!(EventFlags::EOF.bits(), libc::EV_EOF);
        // libc hides it on OpenBSD, as liable to change.
        #[cfg(not(target_os = "openbsd"))]
        assert_eq!(EventFlags::SYSFLAGS.bits(), libc::EV_SYSFLAGS);
        #[cfg(target_vendor = "apple")]
        {
            assert_eq!(EventFlags::UDATA_SPECIFIC.bits(), libc::EV_UDATA_SPECIFIC);
            assert_eq!(EventFlags::DISPATCH2.bits(), libc::EV_DISPATCH2);
            assert_eq!(EventFlags::VANISHED.bits(), libc::EV_VANISHED);
            assert_eq!(EventFlags::POLL.bits(), libc::EV_POLL);
            assert_eq!(EventFlags::OOBAND.bits(), libc::EV_OOBAND);
        }
        #[cfg(target_os = "freebsd")]
        {
            assert_eq!(EventFlags::FORCEONESHOT.bits(), libc::EV_FORCEONESHOT);
            assert_eq!(EventFlags::KEEPUDATA.bits(), libc::EV_KEEPUDATA);
        }
        #[cfg(target_os = "dragonfly")]
        {
            assert_eq!(EventFlags::HUP.bits(), libc::EV_HUP);
            assert_eq!(EventFlags::NODATA.bits(), libc::EV_NODATA);
        }
    }
}
