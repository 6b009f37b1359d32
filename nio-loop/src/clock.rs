//! The time of a loop: nanoseconds since it was made, by the system's clock or by one of a test.
//!
//! The laws:
//!
//! 1. Time never goes backwards.
//! 2. Arithmetic saturates: what is too far away to be told is [`Time::NEVER`], and never comes.

use std::{
    cell::Cell,
    fmt,
    ops::{Add, Sub},
    time::{Duration, Instant},
};

use crate::{Error, Handle};

/// A point in the time of one loop: how long after the loop was made. Got by
/// [`Handle::now`], compared with others of the same loop, and moved by adding a [`Duration`].
///
/// The unit is the nanosecond; 584 years after the start of the loop comes
/// [`NEVER`](Time::NEVER), where additions stop.
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
    /// When the loop was made.
    pub const START: Time = Time(0);
    /// A time that does not come.
    pub const NEVER: Time = Time(u64::MAX);

    /// The time this long after the start of a loop.
    #[must_use]
    pub fn after_start(duration: Duration) -> Time {
        Time(nanos(duration))
    }

    /// How long after the start of its loop it is.
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

    /// How long it is from `earlier` to this; zero if that is the later one.
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

/// A duration in nanoseconds; what does not fit is "never".
pub(crate) fn nanos(duration: Duration) -> u64 {
    let seconds = duration.as_secs().checked_mul(1_000_000_000);
    let nanos = seconds.and_then(|nanos| nanos.checked_add(duration.subsec_nanos().into()));
    nanos.unwrap_or(u64::MAX)
}

/// Where a loop has its time from: the system, or a test.
///
/// On a clock of a test, an hour of timeouts takes a moment, and the same program does the same
/// things in the same order each time:
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
/// Give the code under test its [`Handle`], have it ask [`Handle::now`] rather than
/// [`Instant::now`], and make the loop of the test with [`automatic`](Clock::automatic) to let it
/// run through, or with [`manual`](Clock::manual) to look at it in between.
///
/// Only timers live in the time of a test. Sockets, signals and other threads do not: whether they
/// come before a timer is decided by how fast they are. Use a test's clock for what waits for
/// nothing but timers and the same loop, [`spawn_blocking`](Handle::spawn_blocking) included.
pub struct Clock(Source);

enum Source {
    Real(Instant),
    Test { now: Cell<Time>, automatic: bool },
}

impl Clock {
    /// The monotonic clock of the system. It does not count the time for which the machine is
    /// suspended where the system's clock does not (Linux, macOS).
    #[must_use]
    pub fn real() -> Clock {
        Clock(Source::Real(Instant::now()))
    }

    /// A clock that moves only when it is told to, by [`Handle::advance`] and
    /// [`Handle::advance_to_next`]. Run its loop with
    /// [`run_nowait`](crate::EventLoop::run_nowait): [`run`](crate::EventLoop::run) waits for events
    /// and for other threads, but does not take waiting for the passing of time.
    #[doc(alias("pause", "useFakeTimers"))]
    #[must_use]
    pub fn manual() -> Clock {
        Clock::test(false)
    }

    /// A clock that stands still while there is something to do, and jumps to the next deadline
    /// when a loop would have to wait for it. While a blocking closure is running it waits for that.
    #[doc(alias("pause", "start_paused", "useFakeTimers"))]
    #[must_use]
    pub fn automatic() -> Clock {
        Clock::test(true)
    }

    fn test(automatic: bool) -> Clock {
        let now = Cell::new(Time::START);
        Clock(Source::Test { now, automatic })
    }

    pub(crate) fn now(&self) -> Time {
        match &self.0 {
            Source::Real(start) => Time(nanos(start.elapsed())),
            Source::Test { now, .. } => now.get(),
        }
    }

    /// Whether waiting makes the time pass.
    pub(crate) fn is_real(&self) -> bool {
        matches!(self.0, Source::Real(_))
    }

    pub(crate) fn is_automatic(&self) -> bool {
        matches!(
            self.0,
            Source::Test {
                automatic: true,
                ..
            }
        )
    }

    /// Moves the clock of a test forwards, and returns false if it is no such.
    pub(crate) fn advance_to(&self, time: Time) -> bool {
        let Source::Test { now, .. } = &self.0 else {
            return false;
        };
        now.set(now.get().max(time));
        true
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            Source::Real(_) => "real",
            Source::Test { automatic, .. } if automatic => "automatic",
            Source::Test { .. } => "manual",
        };
        write!(f, "Clock({name}, {:?})", self.now())
    }
}

/// # The time
impl Handle {
    /// The time of the loop. On the system's clock it is read again each time, so it also passes
    /// within a callback.
    #[doc(alias("uv_now", "uv_hrtime", "performance.now", "Instant"))]
    #[must_use]
    pub fn now(&self) -> Time {
        self.state.clock.now()
    }

    /// Moves the clock of a test forwards. What becomes due by that runs in the next turn, in the
    /// order of the deadlines, and all of it sees the new time; to run each timer at its own time,
    /// use [`advance_to_next`](Handle::advance_to_next).
    ///
    /// # Errors
    ///
    /// [`Error::RealClock`]: the time of the system passes by itself.
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

    /// Moves the clock of a test to the next deadline, and returns that; `None` if there is none,
    /// and nothing moves. A deadline that has come already is the next one until its timer has run.
    ///
    /// # Errors
    ///
    /// As [`advance`](Handle::advance).
    pub fn advance_to_next(&self) -> Result<Option<Time>, Error> {
        let next = self.state.timers.next_deadline();
        self.advance_to(next.unwrap_or(Time::START))?;
        Ok(next)
    }

    fn advance_to(&self, time: Time) -> Result<(), Error> {
        if self.state.clock.advance_to(time) {
            self.state.meter.saw(self.now());
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
