//! `fflags` of PROC and PROCDESC.

use bitflags::bitflags;

bitflags! {
    /// `fflags` of a [`PROC`](Filter::PROC) change and event: an exit, a fork and others.
    ///
    /// Everything but [`EXIT`](ProcFlags::EXIT) depends on the system.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct ProcFlags: u32 {
        /// It exited; `data` is its status as wait(2) gives it, on Apple only together with
        /// `EXITSTATUS`, on Linux only without `NO_STATUS`. All systems.
        const EXIT = 0x8000_0000;
        /// It forked. All systems but Linux, where it is defined and refused.
        const FORK = 0x4000_0000;
        /// It executed another program. All systems but Linux, where it is defined and refused.
        const EXEC = 0x2000_0000;
        /// Follow its children: they are registered as it forks. FreeBSD, NetBSD, OpenBSD,
        /// DragonFly; elsewhere defined and refused.
        const TRACK = 0x1;
        /// A child could not be followed; returned only. As `TRACK`.
        const TRACKERR = 0x2;
        /// This is a child that is now followed, `data` its parent; returned only. As `TRACK`.
        const CHILD = 0x4;

        /// It was reaped. Apple, deprecated there.
        #[cfg(target_vendor = "apple")]
        const REAP = 0x1000_0000;
        /// It was sent a signal. Apple.
        #[cfg(target_vendor = "apple")]
        const SIGNAL = 0x0800_0000;
        /// Put the exit status into `data`: of children, and of processes that this one may signal. Others
        /// are refused. Apple.
        #[cfg(target_vendor = "apple")]
        const EXITSTATUS = 0x0400_0000;
        /// Put the reason of the exit into `data`, see [`ProcFlags::EXIT_DETAIL_MASK`]. Apple.
        #[cfg(target_vendor = "apple")]
        const EXIT_DETAIL = 0x0200_0000;
        /// It exited while it had another parent. Apple, no longer sent.
        #[cfg(target_vendor = "apple")]
        const EXIT_REPARENTED = 0x0008_0000;

        /// The exit status is not known, and `data` is 0; returned only, with `EXIT`. Linux, which knows the
        /// status of a child that has not been waited for, and from 6.15 on of any process that has been
        /// waited for.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const NO_STATUS = 0x0100_0000;

        const _ = !0;
    }
}

impl ProcFlags {
    /// The bits of the flags; the others hold data. All systems, larger on Apple.
    pub const PCTRLMASK: ProcFlags =
        ProcFlags::from_bits_retain(if cfg!(target_vendor = "apple") {
            0xfff0_0000
        } else {
            0xf000_0000
        });
    /// The bits that hold a process id or other data. All systems.
    pub const PDATAMASK: ProcFlags = ProcFlags::from_bits_retain(0x000f_ffff);
}

/// Reasons of an exit, in the `data` of an event that has `EXIT_DETAIL`.
#[cfg(target_vendor = "apple")]
impl ProcFlags {
    /// The bits of `data` in which the reason is found. Apple.
    pub const EXIT_DETAIL_MASK: i64 = 0x7_0000;
    /// Killed because its program could not be decrypted. Apple.
    pub const EXIT_DECRYPTFAIL: i64 = 0x1_0000;
    /// Killed because memory was short. Apple.
    pub const EXIT_MEMORY: i64 = 0x2_0000;
    /// Killed because its code signature is invalid. Apple.
    pub const EXIT_CSERROR: i64 = 0x4_0000;
}

field!(ProcFlags);

#[cfg(all(test, not(any(target_os = "linux", target_os = "android"))))]
mod tests {
    use super::*;

    #[test]
    fn notes_have_the_values_that_libc_gives_them() {
        assert_eq!(ProcFlags::EXIT.bits(), libc::NOTE_EXIT);
        assert_eq!(ProcFlags::FORK.bits(), libc::NOTE_FORK);
        assert_eq!(ProcFlags::EXEC.bits(), libc::NOTE_EXEC);
        assert_eq!(ProcFlags::TRACK.bits(), libc::NOTE_TRACK);
        assert_eq!(ProcFlags::TRACKERR.bits(), libc::NOTE_TRACKERR);
        assert_eq!(ProcFlags::CHILD.bits(), libc::NOTE_CHILD);
        assert_eq!(ProcFlags::PDATAMASK.bits(), libc::NOTE_PDATAMASK);
        // libc calls it unstable on FreeBSD.
        #[cfg(not(target_os = "freebsd"))]
        assert_eq!(ProcFlags::PCTRLMASK.bits(), libc::NOTE_PCTRLMASK);
        #[cfg(target_vendor = "apple")]
        {
            assert_eq!(ProcFlags::SIGNAL.bits(), libc::NOTE_SIGNAL);
            assert_eq!(ProcFlags::EXITSTATUS.bits(), libc::NOTE_EXITSTATUS);
            assert_eq!(ProcFlags::EXIT_DETAIL.bits(), libc::NOTE_EXIT_DETAIL);
            assert_eq!(
                ProcFlags::EXIT_DETAIL_MASK,
                i64::from(libc::NOTE_EXIT_DETAIL_MASK)
            );
            assert_eq!(
                ProcFlags::EXIT_DECRYPTFAIL,
                i64::from(libc::NOTE_EXIT_DECRYPTFAIL)
            );
            assert_eq!(ProcFlags::EXIT_MEMORY, i64::from(libc::NOTE_EXIT_MEMORY));
            assert_eq!(ProcFlags::EXIT_CSERROR, i64::from(libc::NOTE_EXIT_CSERROR));
        }
    }
}
