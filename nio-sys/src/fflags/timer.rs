//! `fflags` of TIMER: a unit, and flags beside it.

use std::fmt;

use bitflags::bitflags;

use crate::raw::{NONE, here};

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
    /// Thousandths of a second: the unit of a timer without a unit. The only unit on
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

field!(TimerFlags);

/// Prints a timer's unit, then its flags.
pub(super) fn describe(fflags: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

    #[cfg(any(target_os = "freebsd", target_os = "linux", target_os = "android"))]
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
