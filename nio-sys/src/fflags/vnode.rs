//! `fflags` of VNODE.

use bitflags::bitflags;

bitflags! {
    /// `fflags` of a [`VNODE`](Filter::VNODE) change and event: the changes of a file or
    /// directory.
    ///
    /// The event has the requested changes that happened since the last event; it may have others too (K227).
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct VnodeFlags: u32 {
        /// A name of it was removed. All systems.
        const DELETE = 0x1;
        /// It was written to, or an entry of the directory came, went, or was renamed. All systems.
        const WRITE = 0x2;
        /// It grew. All systems.
        const EXTEND = 0x4;
        /// Its mode, owner or times changed. All systems.
        const ATTRIB = 0x8;
        /// Its link count changed. All systems.
        const LINK = 0x10;
        /// It was renamed. All systems.
        const RENAME = 0x20;
        /// Access was revoked or its file system unmounted. All systems; on Linux neither can happen to
        /// an open file.
        const REVOKE = 0x40;

        /// No one event in particular: read back the vnode's state. Apple.
        #[cfg(target_vendor = "apple")]
        const NONE = 0x80;
        /// A lock on it was released by flock(2). Apple.
        #[cfg(target_vendor = "apple")]
        const FUNLOCK = 0x100;
        /// A lease on it is to be downgraded. Apple.
        #[cfg(target_vendor = "apple")]
        const LEASE_DOWNGRADE = 0x200;
        /// A lease on it is to be released. Apple.
        #[cfg(target_vendor = "apple")]
        const LEASE_RELEASE = 0x400;

        /// It was opened. FreeBSD, NetBSD, Linux.
        #[cfg(any(
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "linux",
            target_os = "android"
        ))]
        const OPEN = 0x80;
        /// A descriptor of it that could not write was closed. FreeBSD, NetBSD, Linux.
        #[cfg(any(
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "linux",
            target_os = "android"
        ))]
        const CLOSE = 0x100;
        /// A descriptor of it that could write was closed. FreeBSD, NetBSD, Linux.
        #[cfg(any(
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "linux",
            target_os = "android"
        ))]
        const CLOSE_WRITE = 0x200;
        /// It was read. FreeBSD, NetBSD, Linux.
        #[cfg(any(
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "linux",
            target_os = "android"
        ))]
        const READ = 0x400;

        /// It was cut short. OpenBSD.
        #[cfg(target_os = "openbsd")]
        const TRUNCATE = 0x80;

        const _ = !0;
    }
}

field!(VnodeFlags);

#[cfg(all(test, not(any(target_os = "linux", target_os = "android"))))]
mod tests {
    use super::*;

    #[test]
    fn notes_have_the_values_that_libc_gives_them() {
        assert_eq!(VnodeFlags::DELETE.bits(), libc::NOTE_DELETE);
        assert_eq!(VnodeFlags::WRITE.bits(), libc::NOTE_WRITE);
        assert_eq!(VnodeFlags::EXTEND.bits(), libc::NOTE_EXTEND);
        assert_eq!(VnodeFlags::ATTRIB.bits(), libc::NOTE_ATTRIB);
        assert_eq!(VnodeFlags::LINK.bits(), libc::NOTE_LINK);
        assert_eq!(VnodeFlags::RENAME.bits(), libc::NOTE_RENAME);
        assert_eq!(VnodeFlags::REVOKE.bits(), libc::NOTE_REVOKE);
        #[cfg(target_vendor = "apple")]
        {
            assert_eq!(VnodeFlags::NONE.bits(), libc::NOTE_NONE);
            assert_eq!(VnodeFlags::FUNLOCK.bits(), libc::NOTE_FUNLOCK);
            assert_eq!(
                VnodeFlags::LEASE_DOWNGRADE.bits(),
                libc::NOTE_LEASE_DOWNGRADE
            );
            assert_eq!(VnodeFlags::LEASE_RELEASE.bits(), libc::NOTE_LEASE_RELEASE);
        }
        #[cfg(target_os = "freebsd")]
        {
            assert_eq!(VnodeFlags::OPEN.bits(), libc::NOTE_OPEN);
            assert_eq!(VnodeFlags::CLOSE.bits(), libc::NOTE_CLOSE);
            assert_eq!(VnodeFlags::CLOSE_WRITE.bits(), libc::NOTE_CLOSE_WRITE);
            assert_eq!(VnodeFlags::READ.bits(), libc::NOTE_READ);
        }
        #[cfg(target_os = "openbsd")]
        assert_eq!(VnodeFlags::TRUNCATE.bits(), libc::NOTE_TRUNCATE);
    }
}
