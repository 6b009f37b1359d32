//! The time of a loop: nanoseconds since it was made, by the system's clock or by a test's clock.
//!
//! The laws:
//!
//! 1. Time never goes backwards.
//! 2. Arithmetic saturates: a time too far in the future is [`Time::NEVER`], which never comes.

use std::{
    cell::Cell,
    fmt,
    ops::{Add, Sub},
    time::{Duration, Instant},
};

use crate::{Error, Handle};

/// A point in the time of one loop, counted from when the loop was made. [`Handle::now`] returns one.
/// Times of the same loop can be compared, and adding a [`Duration`] gives a later one.
///
/// The unit is the nanosecond. Additions saturate at [`NEVER`](Time::NEVER), 584 years after the start
/// of the loop.
///
/// ```
/// # use std::time::Duration;
/// # use nio_loop::EventLoop;
/// # fn main() -> Result<(), nio_loop::Error> {
/// let event_loop = EventLoop::new()?;
/// let now = event_loop.handle().now();
/// let later = now + Duration::from_secs(5);
/// assert_eq!(later - now, Duration::from_secs(5));
/// assert_eq!(now - later, Duration::ZERO); // not a negative time
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The time when the loop was made.
    pub const START: Time = Time(0);
    /// A time that never comes.
    pub const NEVER: Time = Time(u64::MAX);

    /// The time this long after the start of a loop.
    #[must_use]
    pub fn after_start(duration: Duration) -> Time {
        Time(nanos(duration))
    }

    /// The time since the start of the loop.
    #[must_use]
    pub fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub for Time {
    type Output = Duration;

    /// The time from `earlier` to this; zero if `earlier` is the later one.
    fn sub(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Time::NEVER {
            f.write_str("never")
        } else {
            write!(f, "{:?}", self.since_start())
        }
    }
}

/// A duration in nanoseconds; "never" if it does not fit.
pub(crate) fn nanos(duration: Duration) -> u64 {
    let seconds = duration.as_secs().checked_mul(1_000_000_000);
    let nanos = seconds.and_then(|nanos| nanos.checked_add(duration.subsec_nanos().into()));
    nanos.unwrap_or(u64::MAX)
}

/// The clock of a loop: the system's, or a virtual one for tests.
///
/// On a test's clock an hour of timeouts takes a moment, and the same program does the same things in
/// the same order each time:
///
/// ```
/// use std::time::Duration;
/// use nio_loop::{Clock, EventLoop};
///
/// # fn main() -> Result<(), nio_loop::Error> {
/// let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
/// let handle = event_loop.handle();
/// let slept = event_loop.block_on(async {
///     let start = handle.now();
///     handle.sleep(Duration::from_secs(3600)).await;
///     handle.now() - start
/// })?;
/// assert_eq!(slept, Duration::from_secs(3600)); // exactly, and at once
/// # Ok(())
/// # }
/// ```
///
/// The code under test gets a [`Handle`] and calls [`Handle::now`] instead of [`Instant::now`]. Make
/// the loop of the test with an [`automatic`](Clock::automatic) clock to run through, or with a
/// [`manual`](Clock::manual) one to check the state in between.
///
/// Only timers use a test's clock. Sockets, signals and other threads run in real time, so their order
/// with timers is not fixed. Use a test's clock for code that waits only for timers, for tasks of the
/// same loop, and for [`spawn_blocking`](Handle::spawn_blocking).
pub struct Clock(Kind);

enum Kind {
    Real(Instant),
    Test { now: Cell<Time>, automatic: bool },
}

impl Clock {
    /// The monotonic clock of the system. On Linux and macOS it does not count the time during which
    /// the machine is suspended.
    #[must_use]
    pub fn real() -> Clock {
        Clock(Kind::Real(Instant::now()))
    }

    /// A clock that moves only by [`Handle::advance`] and [`Handle::advance_to_next`]. Run its loop with
    /// [`run_nowait`](crate::EventLoop::run_nowait): [`run`](crate::EventLoop::run) waits for events and
    /// other threads, and no time passes while it waits.
    #[doc(alias("pause", "useFakeTimers"))]
    #[must_use]
    pub fn manual() -> Clock {
        Clock::test(false)
    }

    /// A clock that stands still while the loop has work, and jumps to the next deadline when the loop
    /// would have to wait for it. It does not jump while a blocking closure is running.
    #[doc(alias("pause", "start_paused", "useFakeTimers"))]
    #[must_use]
    pub fn automatic() -> Clock {
        Clock::test(true)
    }

    fn test(automatic: bool) -> Clock {
        let now = Cell::new(Time::START);
        Clock(Kind::Test { now, automatic })
    }

    pub(crate) fn now(&self) -> Time {
        match &self.0 {
            Kind::Real(start) => Time(nanos(start.elapsed())),
            Kind::Test { now, .. } => now.get(),
        }
    }

    /// Whether time passes while the loop waits.
    pub(crate) fn is_real(&self) -> bool {
        matches!(self.0, Kind::Real(_))
    }

    pub(crate) fn is_automatic(&self) -> bool {
        matches!(
            self.0,
            Kind::Test {
                automatic: true,
                ..
            }
        )
    }

    /// Moves a test's clock forwards. Returns false if the clock is real.
    pub(crate) fn advance_to(&self, time: Time) -> bool {
        let Kind::Test { now, .. } = &self.0 else {
            return false;
        };
        now.set(now.get().max(time));
        true
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            Kind::Real(_) => "real",
            Kind::Test { automatic, .. } if automatic => "automatic",
            Kind::Test { .. } => "manual",
        };
        write!(f, "Clock({name}, {:?})", self.now())
    }
}

/// # The time
impl Handle {
    /// The time of the loop. The system's clock is read at each call, so time also passes within a
    /// callback.
    #[doc(alias("uv_now", "uv_hrtime", "performance.now", "Instant"))]
    #[must_use]
    pub fn now(&self) -> Time {
        self.state.clock.now()
    }

    /// Moves a test's clock forwards. Timers that become due run in the next turn, in the order of their
    /// deadlines, and all of them see the new time. To run each timer at its own time, use
    /// [`advance_to_next`](Handle::advance_to_next).
    ///
    /// # Errors
    ///
    /// [`Error::RealClock`] if the loop has the system's clock.
    ///
    /// ```
    /// # use std::{cell::Cell, rc::Rc, time::Duration};
    /// # use nio_loop::{Clock, EventLoop};
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::with_clock(Clock::manual())?;
    /// let handle = event_loop.handle();
    /// let fired = Rc::new(Cell::new(false));
    /// let flag = Rc::clone(&fired);
    /// handle.set_timeout(Duration::from_secs(60), move |_| flag.set(true));
    ///
    /// handle.advance(Duration::from_secs(59))?;
    /// event_loop.run_nowait()?;
    /// assert!(!fired.get());
    /// handle.advance(Duration::from_secs(1))?;
    /// event_loop.run_nowait()?;
    /// assert!(fired.get());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("tick", "advanceTimersByTime"))]
    pub fn advance(&self, duration: Duration) -> Result<(), Error> {
        self.advance_to(self.now() + duration)
    }

    /// Moves a test's clock to the next deadline, and returns it. Returns `None`, without moving the
    /// clock, if there is no deadline. A deadline that has passed stays the next one until its timer has
    /// run.
    ///
    /// # Errors
    ///
    /// See [`advance`](Handle::advance).
    pub fn advance_to_next(&self) -> Result<Option<Time>, Error> {
        let next = self.state.timers.next_deadline();
        self.advance_to(next.unwrap_or(Time::START))?;
        Ok(next)
    }

    fn advance_to(&self, time: Time) -> Result<(), Error> {
        if self.state.clock.advance_to(time) {
            self.state.meter.cache_time(self.now());
            Ok(())
        } else {
            Err(Error::RealClock)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l26_time_never_goes_backwards() {
        let clock = Clock::manual();
        assert!(clock.advance_to(Time(5)));
        assert!(clock.advance_to(Time(3)));
        assert_eq!(clock.now(), Time(5));
    }

    #[test]
    fn l23_arithmetic_saturates() {
        assert_eq!(Time(1) + Duration::MAX, Time::NEVER);
        assert_eq!(Time(1) - Time(2), Duration::ZERO);
        assert_eq!(Time::after_start(Duration::MAX), Time::NEVER);
    }
}
