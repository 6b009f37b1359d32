//! EVFILT_TIMER: a timerfd(2) for each timer.
//!
//! The laws:
//!
//! 1. The timerfd is set for the next expiration alone. It is edge-triggered and never read: each setting gives
//!    one edge.
//! 2. The number of expirations is computed when the timer is reported. So a program that was stopped gets the
//!    right count, and a disabled timer goes on counting (K185).
//! 3. The clock is read once for each report. A wall clock that was set back makes the timer wait again.
//!
//! One timerfd for all timers of a queue would save descriptors, but a queue that is itself watched
//! edge-triggered would give no edge for the second timer that expires.

use std::{
    io,
    mem::{MaybeUninit, size_of, zeroed},
    os::fd::{AsRawFd, OwnedFd, RawFd},
    ptr,
    time::SystemTime,
};

use libc::{c_int, c_long};

use super::{
    epoll::KernelTimespec,
    filterops::{Answer, Filterops, Host, Report},
    knote::invalid,
};
use crate::{EventFlags, Kevent, TimerFlags, TimerUnit, owned::owned};

/// A point in time of a clock, or a duration, in nanoseconds.
type Nanos = u64;

/// A deadline that never comes; as a period, no period.
const NEVER: Nanos = Nanos::MAX;

/// A timer.
#[derive(Debug)]
pub(super) struct Timer {
    timerfd: OwnedFd,
    /// EV_ONESHOT: it does not repeat.
    once: bool,
    schedule: Schedule,
    /// The number of expirations in the last report.
    reported: u64,
}

/// When a timer expires.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    /// The first expiration that has not been reported, by the clock.
    next: Nanos,
    period: Nanos,
    clock: libc::clockid_t,
}

impl Schedule {
    /// The schedule that a change with EV_ADD asks for.
    fn new(change: &Kevent, once: bool) -> io::Result<Schedule> {
        let unit = TimerUnit::from_fflags(change.fflags()).ok_or_else(invalid)?;
        let flags = TimerFlags::from_bits_retain(change.fflags() & !u32::from(unit));
        if !TimerFlags::ABSOLUTE.contains(flags) {
            return Err(invalid());
        }
        let amount = u64::try_from(change.data()).map_err(|_| invalid())?;
        let unit = match unit {
            TimerUnit::Seconds => 1_000_000_000,
            TimerUnit::Milliseconds => 1_000_000,
            TimerUnit::Microseconds => 1_000,
            TimerUnit::Nanoseconds => 1,
        };
        if flags.contains(TimerFlags::ABSOLUTE) {
            return Ok(Schedule {
                next: amount.saturating_mul(unit),
                period: NEVER,
                clock: libc::CLOCK_REALTIME,
            });
        }
        // A period of 0 is one unit; a oneshot of 0 is due now (K181).
        let amount = if once { amount } else { amount.max(1) };
        let time = amount.saturating_mul(unit);
        Ok(Schedule {
            next: now(libc::CLOCK_MONOTONIC).saturating_add(time),
            period: if once { NEVER } else { time },
            clock: libc::CLOCK_MONOTONIC,
        })
    }

    /// The number of expirations that have not been reported.
    fn expirations(&self, now: Nanos) -> u64 {
        if self.next == NEVER || now < self.next {
            return 0;
        }
        (now - self.next) / self.period + 1
    }
}

impl Timer {
    /// EV_ADD of a new timer.
    pub(super) fn new(change: &Kevent) -> io::Result<Timer> {
        let once = change.flags().contains(EventFlags::ONESHOT);
        let schedule = Schedule::new(change, once)?;
        // SAFETY: takes no pointers.
        let timerfd = unsafe {
            // A timerfd of this clock takes a point in time of the wall clock, and also a duration, which
            // the kernel measures with the monotonic clock.
            libc::timerfd_create(libc::CLOCK_REALTIME, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK)
        };
        let timer = Timer {
            timerfd: owned(timerfd)?,
            once,
            schedule,
            reported: 0,
        };
        timer.arm();
        Ok(timer)
    }

    pub(super) fn is_relative(&self) -> bool {
        self.schedule.clock == libc::CLOCK_MONOTONIC
    }

    /// Sets the timerfd for the next expiration, also if it has passed (law 1).
    fn arm(&self) {
        let next = self.schedule.next;
        let (flags, time) = if next == NEVER {
            (0, 0)
        } else if self.is_relative() {
            // Zero would disarm it.
            (0, next.saturating_sub(now(libc::CLOCK_MONOTONIC)).max(1))
        } else {
            (libc::TFD_TIMER_ABSTIME, next.max(1))
        };
        if !HAS_SHORT_TIME || !set_long(&self.timerfd, flags, time) {
            set(&self.timerfd, flags, time);
        }
    }
}

impl Filterops for Timer {
    fn descriptor(&self) -> Option<RawFd> {
        Some(self.timerfd.as_raw_fd())
    }

    fn touch(&mut self, change: &Kevent, _: &mut Host<'_>) -> io::Result<()> {
        if change.flags().contains(EventFlags::ADD) {
            // Adding again starts the timer again, and forgets expirations (K183). The mode stays (K60).
            self.schedule = Schedule::new(change, self.once)?;
            self.arm();
        }
        Ok(())
    }

    fn report(&mut self) -> Answer {
        self.reported = self.schedule.expirations(now(self.schedule.clock));
        if self.reported == 0 {
            if !self.is_relative() {
                // The wall clock was set back (law 3).
                self.arm();
            }
            return Answer::Nothing;
        }
        Answer::Event(Report {
            data: i64::try_from(self.reported).unwrap_or(i64::MAX),
            ..Report::default()
        })
    }

    fn clear(&mut self) {
        let passed = self.schedule.period.saturating_mul(self.reported);
        self.schedule.next = self.schedule.next.saturating_add(passed);
        self.arm();
    }
}

/// Whether the C library counts seconds in 32 bits, which end in 2038.
const HAS_SHORT_TIME: bool = size_of::<libc::timespec>() < size_of::<[i64; 2]>();

/// Sets a timerfd with the C library's call, whose time may end in 2038.
fn set(timerfd: &OwnedFd, flags: c_int, time: Nanos) {
    // SAFETY: all zeroes is a valid itimerspec.
    let mut setting: libc::itimerspec = unsafe { zeroed() };
    // Of the type of the field, which has 32 bits on some systems and 64 on others.
    let seconds = (time / 1_000_000_000).try_into();
    setting.it_value.tv_sec = seconds.unwrap_or(i32::MAX as _);
    setting.it_value.tv_nsec = (time % 1_000_000_000) as c_long;
    // SAFETY: the setting lives until the call returns. Setting and descriptor are valid, so there is no error.
    unsafe { libc::timerfd_settime(timerfd.as_raw_fd(), flags, &setting, ptr::null_mut()) };
}

/// Sets a timerfd with the call that 32-bit kernels have for 64-bit times, from Linux 5.1 on. Returns whether it
/// succeeded: an older kernel answers ENOSYS, a seccomp filter ENOSYS or EPERM.
fn set_long(timerfd: &OwnedFd, flags: c_int, time: Nanos) -> bool {
    /// `__NR_timerfd_settime64`: the same on all 32-bit processors (asm-generic/unistd.h).
    const TIMERFD_SETTIME64: c_long = 411;
    let time = i64::try_from(time).unwrap_or(i64::MAX);
    let spec = |time| KernelTimespec {
        seconds: time / 1_000_000_000,
        nanoseconds: time % 1_000_000_000,
    };
    let setting = [spec(0), spec(time)];
    let old = ptr::null_mut::<KernelTimespec>();
    // SAFETY: the setting is the kernel's `struct __kernel_itimerspec`, two times, and lives until the call
    // returns.
    let result = unsafe {
        libc::syscall(
            TIMERFD_SETTIME64,
            timerfd.as_raw_fd(),
            flags,
            setting.as_ptr(),
            old,
        )
    };
    result == 0
}

/// The time of a clock, now.
fn now(clock: libc::clockid_t) -> Nanos {
    if clock == libc::CLOCK_REALTIME {
        // The standard library reads 64 bits also where the C library has 32.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        return since.map_or(0, |time| Nanos::try_from(time.as_nanos()).unwrap_or(NEVER));
    }
    let mut now = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: clock_gettime fills in the whole struct for a clock that exists, and CLOCK_MONOTONIC exists in
    // every kernel. It counts from the start of the machine, so 32 bits last for 68 years.
    let now = unsafe {
        libc::clock_gettime(clock, now.as_mut_ptr());
        now.assume_init()
    };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000) + now.tv_nsec as u64
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::TimerUnit;

    /// When the timerfd expires next, in nanoseconds from now; 0 if it is not set.
    fn armed_for(timer: &Timer) -> u64 {
        // SAFETY: all zeroes is a valid itimerspec, and it lives until the call returns.
        let setting = unsafe {
            let mut setting: libc::itimerspec = zeroed();
            libc::timerfd_gettime(timer.timerfd.as_raw_fd(), &mut setting);
            setting.it_value
        };
        setting.tv_sec as u64 * 1_000_000_000 + setting.tv_nsec as u64
    }

    #[test]
    fn k188_a_wall_clock_that_is_set_back_makes_a_timer_wait_again() {
        let absolute = TimerFlags::ABSOLUTE;
        let change = Kevent::timer(1, EventFlags::ADD | EventFlags::ONESHOT)
            .with_time(i64::MAX, TimerUnit::Nanoseconds);
        let mut timer = Timer::new(&change.with_fflags(change.fflags() | absolute.bits())).unwrap();
        assert!(!timer.is_relative());
        // It has expired, and then the clock is set back by a minute.
        timer.schedule.next = now(libc::CLOCK_REALTIME) + 60_000_000_000;
        assert!(matches!(timer.report(), Answer::Nothing));
        let left = armed_for(&timer);
        assert!((30_000_000_000..=60_000_000_000).contains(&left), "{left}");
    }

    #[test]
    fn a_deadline_after_2038_is_set_as_it_is() {
        let deadline = 1 << 31; // seconds
        let change = Kevent::timer(1, EventFlags::ADD | EventFlags::ONESHOT)
            .with_time(deadline + 1_000_000, TimerUnit::Seconds);
        let absolute = change.fflags() | TimerFlags::ABSOLUTE.bits();
        let timer = Timer::new(&change.with_fflags(absolute)).unwrap();
        let left = (deadline as u64 * 1_000_000_000).saturating_sub(now(libc::CLOCK_REALTIME));
        assert!(armed_for(&timer) > left);
    }

    #[test]
    fn a_kernel_without_the_call_for_long_times_is_set_by_the_other() {
        let change = Kevent::timer(1, EventFlags::ADD).with_time(100, TimerUnit::Seconds);
        let timer = Timer::new(&change).unwrap();
        set(&timer.timerfd, 0, 10_000_000_000);
        assert!((1..=10_000_000_000).contains(&armed_for(&timer)));
    }

    #[test]
    fn k180_a_period_is_counted_from_the_schedule_and_not_from_the_report() {
        let change = Kevent::timer(1, EventFlags::ADD).with_time(1, TimerUnit::Seconds);
        let mut timer = Timer::new(&change).unwrap();
        let begin = now(libc::CLOCK_MONOTONIC) - 2_500_000_000;
        timer.schedule.next = begin;
        let Answer::Event(report) = timer.report() else {
            panic!("the timer is due");
        };
        assert_eq!(report.data, 3);
        timer.clear();
        assert_eq!(timer.schedule.next, begin + 3_000_000_000);
        assert!((1..=500_000_000).contains(&armed_for(&timer)));
    }
}
