//! Timeouts and intervals: callbacks in the timer heap.

use std::{panic::Location, time::Duration};

use nio_timer::TimerKey;

use crate::{
    CallbackId, Handle,
    clock::{Time, nanos},
    core::{Core, Once, Origin},
    handle::Kind,
    task::Waiter,
};

/// A callback that runs again and again; the number says how many periods have passed since its
/// last run.
pub(crate) type Every = Box<dyn FnMut(&Handle, u64)>;

/// What happens at a deadline. 56 bytes.
pub(crate) enum Timer {
    Timeout {
        callback: Once,
        origin: Origin,
        referenced: bool,
    },
    Interval {
        /// When it is due. While timers run, the heap takes what has passed for now.
        due: Time,
        /// In nanoseconds: half the size of a [`Duration`].
        period: u64,
        missed: Missed,
        /// Absent while it runs.
        callback: Option<Every>,
        origin: Origin,
        referenced: bool,
    },
    /// A task sleeps. It keeps the loop alive by itself.
    Sleep(Waiter),
}

impl Timer {
    /// Whether it keeps the loop alive.
    pub(crate) fn holds(&self) -> bool {
        match self {
            Timer::Timeout { referenced, .. } | Timer::Interval { referenced, .. } => *referenced,
            Timer::Sleep(_) => false,
        }
    }
}

/// A due timer, taken out of the heap or armed anew, and so ready to be called.
pub(crate) enum Due {
    Timeout(Once, Origin),
    Interval(TimerKey, Every, Origin, u64),
    Sleep(Waiter),
}

/// What becomes of the periods of an interval that the loop was too busy to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Missed {
    /// They are skipped, and the phase is kept: the next run is at the next multiple of the period.
    #[default]
    Skip,
    /// They are made up for, one in each turn of the loop, until the interval has caught up.
    Burst,
    /// The next period begins with the late run: the phase moves.
    Delay,
}

impl Missed {
    /// The next deadline of an interval that was due at `deadline` and runs at `now`, and how many
    /// periods this run stands for.
    pub(crate) fn next(self, deadline: Time, period: Duration, now: Time) -> (Time, u64) {
        let passed = (nanos(now - deadline) / nanos(period)).saturating_add(1);
        match self {
            Missed::Skip => {
                let skipped = Duration::from_nanos(passed.saturating_mul(nanos(period)));
                (deadline + skipped, passed)
            }
            Missed::Burst => (deadline + period, 1),
            Missed::Delay => (now + period, passed),
        }
    }
}

/// An interval has to move on: its shortest period.
pub(crate) fn at_least_a_nanosecond(period: Duration) -> Duration {
    period.max(Duration::from_nanos(1))
}

impl Core {
    /// When a timer that is armed now for `delay` is due. The clock is read anew: a callback may
    /// have taken long.
    pub(crate) fn deadline(&self, delay: Duration) -> Time {
        self.clock.now() + delay
    }

    /// The earliest of all deadlines that will come.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        // Many loops have none.
        if self.timers.borrow().is_empty() {
            return None;
        }
        self.earliest_deadline()
    }

    fn earliest_deadline(&self) -> Option<Time> {
        let deadline = self.timers.borrow_mut().next_deadline();
        deadline.filter(|&deadline| deadline != Time::NEVER)
    }

    /// The next of the timers that were due when the phase began. A timeout leaves the heap; an
    /// interval is armed for its next period before it is called, so that its callback can clear it.
    pub(crate) fn next_due(&self, now: Time) -> Option<Due> {
        let mut timers = self.timers.borrow_mut();
        let (key, _, timer) = timers.peek_drained()?;
        if let Timer::Interval {
            due,
            period,
            missed,
            callback,
            origin,
            ..
        } = timer
        {
            let period = Duration::from_nanos(*period);
            let (next, periods) = missed.next(*due, period, now);
            *due = next;
            let origin = *origin;
            // It is there: an interval whose callback does not come back is cancelled.
            let callback = callback.take()?;
            timers.reschedule(key, next);
            return Some(Due::Interval(key, callback, origin, periods));
        }
        let (_, _, timer) = timers.pop_drained()?;
        self.release(timer.holds());
        match timer {
            Timer::Timeout {
                callback, origin, ..
            } => Some(Due::Timeout(callback, origin)),
            Timer::Sleep(waiter) => Some(Due::Sleep(waiter)),
            Timer::Interval { .. } => None,
        }
    }

    /// Puts the callback of an interval back after its run, or returns it if the interval was
    /// cleared meanwhile.
    pub(crate) fn put_back(&self, key: TimerKey, every: Every) -> Option<Every> {
        match self.timers.borrow_mut().get_mut(key) {
            Some(Timer::Interval { callback, .. }) => callback.replace(every),
            _ => Some(every),
        }
    }

    /// Takes a timer out of the heap.
    pub(crate) fn cancel_timer(&self, key: TimerKey) -> Option<Timer> {
        let timer = self.timers.borrow_mut().cancel(key)?;
        self.release(timer.holds());
        Some(timer)
    }
}

impl Handle {
    /// Runs a callback once, when `delay` has passed and never earlier. Timeouts run in the order of
    /// their deadlines, those of equal deadlines in the order in which they were set. One that is
    /// set by a callback runs in the next turn at the earliest, also with a delay of zero.
    ///
    /// A delay too long for the clock (584 years) never passes.
    ///
    /// ```
    /// # use std::{rc::Rc, cell::Cell, time::Duration};
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let done = Rc::new(Cell::new(false));
    /// let flag = Rc::clone(&done);
    /// event_loop.handle().set_timeout(Duration::from_millis(5), move |_| flag.set(true));
    /// event_loop.run()?;
    /// assert!(done.get());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn set_timeout(
        &self,
        delay: Duration,
        callback: impl FnOnce(&Handle) + 'static,
    ) -> CallbackId {
        let (now, place) = (self.now(), Location::caller());
        let timer = Timer::Timeout {
            callback: Box::new(callback),
            origin: Origin { place, since: now },
            referenced: true,
        };
        self.add_timer(now + delay, timer)
    }

    /// Runs a callback every `period`, until it is cleared. Its second argument says how many
    /// periods have passed since its last run: 1, or more when the loop was busy for longer than a
    /// period. What was missed is not made up for, and the phase is kept: the n-th period ends n
    /// periods after the interval was set. [`set_interval_with`](Handle::set_interval_with) has
    /// other ways.
    ///
    /// A period of zero is one of a nanosecond: the callback runs once in each turn.
    ///
    /// ```
    /// # use std::{cell::Cell, rc::Rc, time::Duration};
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle().clone();
    /// let ticks = Rc::new(Cell::new(0));
    /// let count = Rc::clone(&ticks);
    /// let interval = handle.set_interval(Duration::from_millis(1), move |_, periods| {
    ///     count.set(count.get() + periods);
    /// });
    /// handle.set_timeout(Duration::from_millis(10), move |handle| {
    ///     handle.clear(interval);
    /// });
    /// event_loop.run()?;
    /// assert!(ticks.get() >= 9);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn set_interval(
        &self,
        period: Duration,
        callback: impl FnMut(&Handle, u64) + 'static,
    ) -> CallbackId {
        self.set_interval_with(period, Missed::Skip, callback)
    }

    /// As [`set_interval`](Handle::set_interval), with a choice of what becomes of periods that the
    /// loop was too busy to run.
    #[track_caller]
    pub fn set_interval_with(
        &self,
        period: Duration,
        missed: Missed,
        callback: impl FnMut(&Handle, u64) + 'static,
    ) -> CallbackId {
        let period = at_least_a_nanosecond(period);
        let (now, place) = (self.now(), Location::caller());
        let due = now + period;
        let timer = Timer::Interval {
            due,
            period: nanos(period),
            missed,
            callback: Some(Box::new(callback)),
            origin: Origin { place, since: now },
            referenced: true,
        };
        self.add_timer(due, timer)
    }

    fn add_timer(&self, deadline: Time, timer: Timer) -> CallbackId {
        let core = &self.core;
        if core.closed.get() {
            return CallbackId(Kind::Nothing);
        }
        core.retain(timer.holds());
        let key = core.timers.borrow_mut().insert(deadline, timer);
        core.rouse();
        CallbackId(Kind::Timer(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(missed: Missed, deadline: u64, period: u64, now: u64) -> (u64, u64) {
        let time = |nanos| Time::after_start(Duration::from_nanos(nanos));
        let period = Duration::from_nanos(period);
        let (next, periods) = missed.next(time(deadline), period, time(now));
        (nanos(next.since_start()), periods)
    }

    #[test]
    fn l29_an_interval_keeps_its_phase_and_skips_what_it_missed() {
        assert_eq!(next(Missed::Skip, 100, 10, 100), (110, 1));
        assert_eq!(next(Missed::Skip, 100, 10, 109), (110, 1));
        assert_eq!(next(Missed::Skip, 100, 10, 110), (120, 2));
        assert_eq!(next(Missed::Skip, 100, 10, 145), (150, 5));
    }

    #[test]
    fn l29_an_interval_can_make_up_for_what_it_missed_or_move_its_phase() {
        assert_eq!(next(Missed::Burst, 100, 10, 145), (110, 1));
        assert_eq!(next(Missed::Delay, 100, 10, 145), (155, 5));
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_timer_has_56_bytes() {
        assert_eq!(size_of::<Timer>(), 56);
    }

    #[test]
    fn l23_a_period_of_for_ever_saturates() {
        let never = u64::MAX;
        assert_eq!(next(Missed::Skip, 100, never, 200), (never, 1));
        assert_eq!(next(Missed::Skip, 0, 1, never), (never, never));
        assert_eq!(next(Missed::Delay, 100, never, 200), (never, 1));
    }
}
