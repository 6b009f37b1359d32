//! The `fflags` field: one type for each filter's `NOTE_` constants.
//!
//! The same bit is another thing to another filter, and some constants differ between systems or
//! exist on a few of them only, hence a type per filter and a line per constant that names its
//! systems. What a kernel returns may hold bits without a name here: read it with
//! `from_bits_retain`.
//!
//! The kernel's headers call them `NOTE_LOWAT`, `NOTE_TRIGGER` and so on; the prefix is dropped.

use std::fmt;

use bitflags::bitflags;

use crate::filter::Filter;
use crate::flags::{EventFlags, write_names};
#[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
use crate::raw::pick;
use crate::raw::{NONE, here};

bitflags! {
    /// `fflags` of a [`USER`](Filter::USER) change: triggering, and 24 bits that are the program's
    /// own.
    ///
    /// The three operations combine the low 24 bits of the change into those kept by the
    /// registration, and the event reports the result (K170). Pass 0 when registering, since
    /// systems disagree on what a first value means (K171).
    ///
    /// ```
    /// use nio_sys::UserFlags;
    ///
    /// let change = UserFlags::TRIGGER | UserFlags::FFOR | UserFlags::value(0b101);
    /// assert_eq!(format!("{change:?}"), "TRIGGER|FFOR|0x5");
    /// ```
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct UserFlags: u32 {
        /// Fire the event. All systems.
        const TRIGGER = 0x0100_0000;
        /// Replace the kept bits. All systems.
        const FFCOPY = 0xc000_0000;
        /// AND into the kept bits. All systems.
        const FFAND = 0x4000_0000;
        /// OR into the kept bits. All systems.
        const FFOR = 0x8000_0000;

        const _ = !0;
    }
}

impl UserFlags {
    /// Leave the kept bits as they are. All systems.
    pub const FFNOP: UserFlags = UserFlags::empty();
    /// The bits that say which operation is meant. All systems.
    pub const FFCTRLMASK: UserFlags = UserFlags::FFCOPY;
    /// The bits that belong to the program. All systems.
    pub const FFLAGSMASK: UserFlags = UserFlags::from_bits_retain(0x00ff_ffff);

    /// The program's own bits, cut to the 24 that there are.
    pub const fn value(bits: u32) -> UserFlags {
        UserFlags::from_bits_retain(bits & UserFlags::FFLAGSMASK.bits())
    }
}

bitflags! {
    /// `fflags` of a [`READ`](Filter::READ), [`WRITE`](Filter::WRITE) or `EXCEPT` change.
    ///
    /// In an event of READ or WRITE with [`EventFlags::EOF`] the field holds something else: the
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

bitflags! {
    /// `fflags` of a [`VNODE`](Filter::VNODE) change and event: what happened to a file or
    /// directory.
    ///
    /// The event says which of the requested things happened since the last one; it may hold others
    /// too (K227).
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
        #[cfg(any(target_os = "freebsd", target_os = "netbsd", target_os = "linux"))]
        const OPEN = 0x80;
        /// A descriptor of it that could not write was closed. FreeBSD, NetBSD, Linux.
        #[cfg(any(target_os = "freebsd", target_os = "netbsd", target_os = "linux"))]
        const CLOSE = 0x100;
        /// A descriptor of it that could write was closed. FreeBSD, NetBSD, Linux.
        #[cfg(any(target_os = "freebsd", target_os = "netbsd", target_os = "linux"))]
        const CLOSE_WRITE = 0x200;
        /// It was read. FreeBSD, NetBSD, Linux.
        #[cfg(any(target_os = "freebsd", target_os = "netbsd", target_os = "linux"))]
        const READ = 0x400;

        /// It was cut short. OpenBSD.
        #[cfg(target_os = "openbsd")]
        const TRUNCATE = 0x80;

        const _ = !0;
    }
}

bitflags! {
    /// `fflags` of a [`PROC`](Filter::PROC) change and event: what a process did.
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
        /// Put the exit status into `data`; children, or processes one may signal. Apple.
        #[cfg(target_vendor = "apple")]
        const EXITSTATUS = 0x0400_0000;
        /// Put the reason of the exit into `data`, see [`ProcFlags::EXIT_DETAIL_MASK`]. Apple.
        #[cfg(target_vendor = "apple")]
        const EXIT_DETAIL = 0x0200_0000;
        /// It exited while it had another parent. Apple, no longer sent.
        #[cfg(target_vendor = "apple")]
        const EXIT_REPARENTED = 0x0008_0000;

        /// The exit status is not known, and `data` is 0; returned only, with `EXIT`. Linux, which knows the
        /// status of a child, and from 6.15 on of any process that has been reaped.
        #[cfg(target_os = "linux")]
        const NO_STATUS = 0x0100_0000;

        const _ = !0;
    }
}

impl ProcFlags {
    /// The bits that say what is asked for or has happened. All systems, larger on Apple.
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

bitflags! {
    /// `fflags` of a [`TIMER`](Filter::TIMER) change, beside its [`TimerUnit`].
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct TimerFlags: u32 {
        /// `data` is a point in time, counted from the Unix epoch, not a period. All systems but
        /// DragonFly; called `NOTE_ABSTIME` on FreeBSD, NetBSD and OpenBSD. Pass
        /// [`EventFlags::ONESHOT`] with it (K187).
        #[cfg(not(target_os = "dragonfly"))]
        const ABSOLUTE = if cfg!(target_vendor = "apple") { 0x8 } else { 0x10 };

        /// Leeway is given in the extended structure, which this crate does not use. Apple.
        #[cfg(target_vendor = "apple")]
        const LEEWAY = 0x10;
        /// Do not save power by delaying this timer. Apple.
        #[cfg(target_vendor = "apple")]
        const CRITICAL = 0x20;
        /// Delay this timer generously to save power. Apple.
        #[cfg(target_vendor = "apple")]
        const BACKGROUND = 0x40;
        /// Count the time during which the machine is asleep. Apple.
        #[cfg(target_vendor = "apple")]
        const MACH_CONTINUOUS_TIME = 0x80;
        /// `data` is in units of mach_absolute_time. Apple.
        #[cfg(target_vendor = "apple")]
        const MACHTIME = 0x100;

        const _ = !0;
    }
}

/// The unit of a timer's `data`.
///
/// Some systems have a bit for each unit, others number them, and `NOTE_USECONDS` is 2 or 4: a raw
/// value taken to another system silently means another unit.
/// [`Kevent::with_time`](crate::Kevent::with_time) translates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimerUnit {
    /// Seconds.
    Seconds,
    /// Thousandths of a second: what a timer counts in when it is given no unit. The only unit on
    /// DragonFly.
    Milliseconds,
    /// Millionths of a second.
    Microseconds,
    /// Billionths of a second.
    Nanoseconds,
}

/// The bits of `fflags` that say the unit.
const UNIT_MASK: u32 = here([0x7, 0xf, 0xf, 0xf, 0, 0xf]) as u32;

impl TimerUnit {
    const ALL: [TimerUnit; 4] = [
        TimerUnit::Seconds,
        TimerUnit::Milliseconds,
        TimerUnit::Microseconds,
        TimerUnit::Nanoseconds,
    ];

    /// The unit that a TIMER's `fflags` ask for, `None` if they ask for one that does not exist or
    /// for several.
    pub fn from_fflags(fflags: u32) -> Option<TimerUnit> {
        match fflags & UNIT_MASK {
            0 => Some(TimerUnit::Milliseconds),
            bits => TimerUnit::ALL
                .into_iter()
                .find(|unit| unit.bits() == Some(bits)),
        }
    }

    /// The `fflags` of the unit, `None` where the system does not have it.
    const fn bits(self) -> Option<u32> {
        // Apple, FreeBSD, NetBSD, OpenBSD, DragonFly, Linux
        let bits = here(match self {
            TimerUnit::Seconds => [1, 1, 1, 1, NONE, 1],
            TimerUnit::Milliseconds => [0, 2, 0, 0, 0, 2],
            TimerUnit::Microseconds => [2, 4, 2, 2, NONE, 4],
            TimerUnit::Nanoseconds => [4, 8, 3, 3, NONE, 8],
        });
        if bits == NONE {
            None
        } else {
            Some(bits as u32)
        }
    }

    /// The `data` and `fflags` of a timer of `amount` units that so far had `fflags`.
    pub(crate) fn apply(self, amount: i64, fflags: u32) -> (i64, u32) {
        let others = fflags & !UNIT_MASK;
        match self.bits() {
            Some(bits) => (amount, others | bits),
            None => (self.to_milliseconds(amount), others),
        }
    }

    /// `amount` of this unit in milliseconds, rounded up so that no timer fires early, and
    /// saturating.
    fn to_milliseconds(self, amount: i64) -> i64 {
        let round_up = |unit: i64| amount / unit + i64::from(amount % unit > 0);
        match self {
            TimerUnit::Seconds => amount.saturating_mul(1_000),
            TimerUnit::Milliseconds => amount,
            TimerUnit::Microseconds => round_up(1_000),
            TimerUnit::Nanoseconds => round_up(1_000_000),
        }
    }
}

/// Not on DragonFly, whose timers have no unit to choose;
/// [`Kevent::with_time`](crate::Kevent::with_time) is for all.
#[cfg(not(target_os = "dragonfly"))]
impl From<TimerUnit> for u32 {
    fn from(unit: TimerUnit) -> u32 {
        unit.apply(0, 0).1
    }
}

#[cfg(target_os = "freebsd")]
bitflags! {
    /// `fflags` of a [`JAIL`](Filter::JAIL) or [`JAILDESC`](Filter::JAILDESC) change and event.
    /// FreeBSD.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct JailFlags: u32 {
        /// A jail was made inside it. FreeBSD.
        const CHILD = 0x8000_0000;
        /// Its parameters were set. FreeBSD.
        const SET = 0x4000_0000;
        /// A process attached to it. FreeBSD.
        const ATTACH = 0x2000_0000;
        /// It was removed. FreeBSD.
        const REMOVE = 0x1000_0000;
        /// More than one of the same kind happened; returned only. FreeBSD.
        const MULTI = 0x0800_0000;

        const _ = !0;
    }
}

#[cfg(target_os = "openbsd")]
bitflags! {
    /// `fflags` of a [`DEVICE`](Filter::DEVICE) change and event. OpenBSD.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct DeviceFlags: u32 {
        /// The device was changed, for instance a display connected. OpenBSD.
        const CHANGE = 0x1;

        const _ = !0;
    }
}

#[cfg(target_vendor = "apple")]
bitflags! {
    /// `fflags` of a [`VM`](Filter::VM) change and event. Apple.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct VmFlags: u32 {
        /// Memory is short. Apple.
        const PRESSURE = 0x8000_0000;
        /// Memory is short: exit when convenient. Apple.
        const PRESSURE_TERMINATE = 0x4000_0000;
        /// Memory is short: exit at once. Apple.
        const PRESSURE_SUDDEN_TERMINATE = 0x2000_0000;
        /// Memory could not be watched. Apple.
        const ERROR = 0x1000_0000;

        const _ = !0;
    }
}

/// The two things every type of flags here can do: become the field, and print as `WRITE|EXTEND`.
macro_rules! into_field {
    ($($(#[$systems:meta])? $flags:ident),* $(,)?) => {$(
        $(#[$systems])?
        impl From<$flags> for u32 {
            fn from(flags: $flags) -> u32 {
                flags.bits()
            }
        }

        $(#[$systems])?
        impl fmt::Debug for $flags {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_names(*self, f)
            }
        }
    )*};
}

into_field! {
    UserFlags,
    ReadWriteFlags,
    VnodeFlags,
    ProcFlags,
    TimerFlags,
    #[cfg(target_os = "freebsd")]
    JailFlags,
    #[cfg(target_os = "openbsd")]
    DeviceFlags,
    #[cfg(target_vendor = "apple")]
    VmFlags,
}

/// Prints the `fflags` of an entry in the words of its filter, or as a number if it has none.
pub(crate) fn describe(
    filter: Filter,
    flags: EventFlags,
    fflags: u32,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match filter {
        // At the end of a stream the field holds an errno.
        Filter::READ | Filter::WRITE if flags.contains(EventFlags::EOF) => write!(f, "{fflags}"),
        Filter::READ | Filter::WRITE => write_names(ReadWriteFlags::from_bits_retain(fflags), f),
        #[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
        Filter::EXCEPT => write_names(ReadWriteFlags::from_bits_retain(fflags), f),
        Filter::VNODE => write_names(VnodeFlags::from_bits_retain(fflags), f),
        Filter::PROC => write_names(ProcFlags::from_bits_retain(fflags), f),
        #[cfg(any(target_os = "freebsd", target_os = "linux"))]
        Filter::PROCDESC => write_names(ProcFlags::from_bits_retain(fflags), f),
        Filter::USER => write_names(UserFlags::from_bits_retain(fflags), f),
        Filter::TIMER => describe_timer(fflags, f),
        #[cfg(target_os = "freebsd")]
        Filter::JAIL | Filter::JAILDESC => write_names(JailFlags::from_bits_retain(fflags), f),
        #[cfg(target_os = "openbsd")]
        Filter::DEVICE => write_names(DeviceFlags::from_bits_retain(fflags), f),
        #[cfg(target_vendor = "apple")]
        Filter::VM => write_names(VmFlags::from_bits_retain(fflags), f),
        _ => write!(f, "{fflags:#x}"),
    }
}

/// Prints a timer's unit, then its flags.
fn describe_timer(fflags: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(unit) = TimerUnit::from_fflags(fflags) else {
        return write!(f, "{fflags:#x}");
    };
    write!(f, "{unit:?}")?;
    match fflags & !UNIT_MASK {
        0 => Ok(()),
        flags => write!(f, "|{:?}", TimerFlags::from_bits_retain(flags)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_program_is_cut_to_24_bits() {
        assert_eq!(UserFlags::value(u32::MAX), UserFlags::FFLAGSMASK);
        assert_eq!(UserFlags::value(7).bits(), 7);
    }

    #[test]
    fn copying_prints_as_one_operation() {
        assert_eq!(
            format!("{:?}", UserFlags::TRIGGER | UserFlags::FFCOPY),
            "TRIGGER|FFCOPY"
        );
        assert_eq!(format!("{:?}", UserFlags::FFAND), "FFAND");
    }

    #[test]
    fn every_unit_of_this_system_survives_the_field() {
        for unit in TimerUnit::ALL {
            if unit.bits().is_some() {
                let (amount, fflags) = unit.apply(5, 0);
                assert_eq!((amount, TimerUnit::from_fflags(fflags)), (5, Some(unit)));
            }
        }
    }

    #[test]
    fn no_unit_means_milliseconds() {
        assert_eq!(TimerUnit::from_fflags(0), Some(TimerUnit::Milliseconds));
    }

    #[cfg(not(target_os = "dragonfly"))]
    #[test]
    fn a_unit_replaces_the_one_before_and_leaves_other_flags() {
        let absolute = u32::from(TimerFlags::ABSOLUTE);
        let (_, seconds) = TimerUnit::Seconds.apply(1, absolute);
        let (_, nanos) = TimerUnit::Nanoseconds.apply(1, seconds);
        assert_eq!(nanos, absolute | u32::from(TimerUnit::Nanoseconds));
        assert_eq!(TimerUnit::from_fflags(nanos), Some(TimerUnit::Nanoseconds));
    }

    #[cfg(any(target_os = "freebsd", target_os = "linux"))]
    #[test]
    fn two_units_at_once_are_none() {
        assert_eq!(TimerUnit::from_fflags(1 | 2), None);
    }

    #[test]
    fn milliseconds_are_rounded_up_and_saturate() {
        assert_eq!(TimerUnit::Microseconds.to_milliseconds(1), 1);
        assert_eq!(TimerUnit::Microseconds.to_milliseconds(2_000), 2);
        assert_eq!(TimerUnit::Nanoseconds.to_milliseconds(1_000_001), 2);
        assert_eq!(TimerUnit::Nanoseconds.to_milliseconds(0), 0);
        assert_eq!(TimerUnit::Nanoseconds.to_milliseconds(-1), 0);
        assert_eq!(TimerUnit::Seconds.to_milliseconds(i64::MAX), i64::MAX);
    }

    #[cfg(not(target_os = "linux"))]
    #[test]
    fn notes_have_the_values_that_libc_gives_them() {
        assert_eq!(UserFlags::TRIGGER.bits(), libc::NOTE_TRIGGER);
        assert_eq!(UserFlags::FFNOP.bits(), libc::NOTE_FFNOP);
        assert_eq!(UserFlags::FFAND.bits(), libc::NOTE_FFAND);
        assert_eq!(UserFlags::FFOR.bits(), libc::NOTE_FFOR);
        assert_eq!(UserFlags::FFCOPY.bits(), libc::NOTE_FFCOPY);
        assert_eq!(UserFlags::FFCTRLMASK.bits(), libc::NOTE_FFCTRLMASK);
        assert_eq!(UserFlags::FFLAGSMASK.bits(), libc::NOTE_FFLAGSMASK);

        assert_eq!(ReadWriteFlags::LOWAT.bits(), libc::NOTE_LOWAT);
        #[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
        assert_eq!(ReadWriteFlags::OOB.bits(), libc::NOTE_OOB);
        #[cfg(target_os = "freebsd")]
        assert_eq!(ReadWriteFlags::FILE_POLL.bits(), libc::NOTE_FILE_POLL);
        #[cfg(target_os = "openbsd")]
        assert_eq!(ReadWriteFlags::EOF.bits(), libc::NOTE_EOF);

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
        {
            assert_eq!(VnodeFlags::TRUNCATE.bits(), libc::NOTE_TRUNCATE);
            assert_eq!(DeviceFlags::CHANGE.bits(), libc::NOTE_CHANGE);
        }

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

            assert_eq!(VmFlags::PRESSURE.bits(), libc::NOTE_VM_PRESSURE);
            assert_eq!(
                VmFlags::PRESSURE_TERMINATE.bits(),
                libc::NOTE_VM_PRESSURE_TERMINATE
            );
            assert_eq!(
                VmFlags::PRESSURE_SUDDEN_TERMINATE.bits(),
                libc::NOTE_VM_PRESSURE_SUDDEN_TERMINATE
            );
            assert_eq!(VmFlags::ERROR.bits(), libc::NOTE_VM_ERROR);
        }
    }

    // OpenBSD's are not in libc, DragonFly has none.
    #[cfg(any(target_vendor = "apple", target_os = "freebsd", target_os = "netbsd"))]
    #[test]
    fn timer_notes_have_the_values_that_libc_gives_them() {
        assert_eq!(u32::from(TimerUnit::Seconds), libc::NOTE_SECONDS);
        assert_eq!(u32::from(TimerUnit::Microseconds), libc::NOTE_USECONDS);
        assert_eq!(u32::from(TimerUnit::Nanoseconds), libc::NOTE_NSECONDS);
        #[cfg(not(target_vendor = "apple"))]
        {
            assert_eq!(u32::from(TimerUnit::Milliseconds), libc::NOTE_MSECONDS);
            assert_eq!(TimerFlags::ABSOLUTE.bits(), libc::NOTE_ABSTIME);
        }
        #[cfg(target_vendor = "apple")]
        {
            assert_eq!(TimerFlags::ABSOLUTE.bits(), libc::NOTE_ABSOLUTE);
            assert_eq!(TimerFlags::LEEWAY.bits(), libc::NOTE_LEEWAY);
            assert_eq!(TimerFlags::CRITICAL.bits(), libc::NOTE_CRITICAL);
            assert_eq!(TimerFlags::BACKGROUND.bits(), libc::NOTE_BACKGROUND);
            assert_eq!(
                TimerFlags::MACH_CONTINUOUS_TIME.bits(),
                libc::NOTE_MACH_CONTINUOUS_TIME
            );
            assert_eq!(TimerFlags::MACHTIME.bits(), libc::NOTE_MACHTIME);
        }
    }
}
