//! `fflags` of READ, WRITE and EXCEPT.

use bitflags::bitflags;

#[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
use crate::raw::{NONE, pick};

bitflags! {
    /// `fflags` of a [`READ`](Filter::READ), [`WRITE`](Filter::WRITE) or `EXCEPT` change.
    ///
    /// In an event of READ or WRITE with [`EventFlags::EOF`] the field is the
    /// socket's error, as an errno (K108).
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct ReadWriteFlags: u32 {
        /// Report only once `data` bytes can be read, or written. All systems; on Linux for `READ`
        /// and refused for `WRITE`.
        const LOWAT = 0x1;
        /// Urgent data is there, for `EXCEPT`. Apple, OpenBSD, DragonFly, Linux.
        #[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
        const OOB = pick([2, NONE, NONE, 4, 2, 2]) as u32;
        /// Treat a regular file as poll(2) does: always ready. FreeBSD.
        #[cfg(target_os = "freebsd")]
        const FILE_POLL = 0x2;
        /// Report a regular file also at its end. OpenBSD.
        #[cfg(target_os = "openbsd")]
        const EOF = 0x2;

        const _ = !0;
    }
}

field!(ReadWriteFlags);

#[cfg(all(test, not(any(target_os = "linux", target_os = "android"))))]
mod tests {
    use super::*;

    #[test]
    fn notes_have_the_values_that_libc_gives_them() {
        assert_eq!(ReadWriteFlags::LOWAT.bits(), libc::NOTE_LOWAT);
        #[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
        assert_eq!(ReadWriteFlags::OOB.bits(), libc::NOTE_OOB);
        #[cfg(target_os = "freebsd")]
        assert_eq!(ReadWriteFlags::FILE_POLL.bits(), libc::NOTE_FILE_POLL);
        #[cfg(target_os = "openbsd")]
        assert_eq!(ReadWriteFlags::EOF.bits(), libc::NOTE_EOF);
    }
}
