//! The timers of a loop: timeouts, intervals, sleeps, and pauses of sources.
//!
//! The laws:
//!
//! 1. A phase runs the timers that were due when it began, in the order of their deadlines. Timers
//!    with equal deadlines run in the order in which they were armed.
//! 2. A timeout leaves the heap before its callback runs. An interval is armed for its next period
//!    before its callback runs, so that the callback can clear it.

use std::{cell::RefCell, rc::Rc, time::Duration};

use nio_timer::{TimerHeap, TimerKey};

use crate::{
    Handle,
    clock::{Time, nanos},
    queues::{Once, Origin},
    readiness::Direction,
    registration::Attached,
    task::Waiter,
};

/// The callback of an interval; the number is how many periods have passed since its last run.
pub(crate) type Every = Box<dyn FnMut(&Handle, u64)>;

/// A timer in the heap. 56 bytes.
pub(crate) enum Timer {
    Timeout {
        /// In nanoseconds; used by `refresh`.
        delay: u64,
        callback: Once,
        origin: Origin,
        referenced: bool,
    },
    Interval {
        /// The deadline. While timers run, the heap's own is too late: it takes a past deadline for now.
        due: Time,
        /// In nanoseconds: half the size of a [`Duration`].
        period: u64,
        missed: MissedTicks,
        /// Absent while it runs.
        callback: Option<Every>,
        origin: Origin,
        referenced: bool,
    },
    /// A sleep of a task. The task keeps the loop alive, not the timer.
    Sleep(Waiter),
    /// A direction of a source is paused.
    Pause(Rc<Attached>, Direction),
}

impl Timer {
    /// Whether it keeps the loop alive.
    pub(crate) fn is_referenced(&self) -> bool {
        match self {
            Timer::Timeout { referenced, .. } | Timer::Interval { referenced, .. } => *referenced,
            Timer::Sleep(_) | Timer::Pause(..) => false,
        }
    }
}

/// A due timer that was taken out of the heap, or armed again, and can be run.
pub(crate) enum Due {
    Timeout(Once, Origin, bool),
    Interval(TimerKey, Every, Origin, u64),
    Sleep(Waiter),
    Pause(Rc<Attached>, Direction),
}

/// How an interval treats periods that it missed because the loop was busy.
#[doc(alias("MissedTickBehavior"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MissedTicks {
    /// Missed periods are skipped: the next run is at the next multiple of the period.
    #[default]
    Skip,
    /// Missed periods run one in each turn of the loop, until the interval has caught up.
    Burst,
    /// The next period begins at the late run.
    Delay,
}

impl MissedTicks {
    /// For an interval that was due at `deadline` and runs at `now`: its next deadline, and how many
    /// periods this run counts for.
    pub(crate) fn next(self, deadline: Time, period: Duration, now: Time) -> (Time, u64) {
        let passed = (nanos(now - deadline) / nanos(period)).saturating_add(1);
        match self {
            MissedTicks::Skip => {
                let skipped = Duration::from_nanos(passed.saturating_mul(nanos(period)));
                (deadline + skipped, passed)
            }
            MissedTicks::Burst => (deadline + period, 1),
            MissedTicks::Delay => (now + period, passed),
        }
    }
}

/// The period of an interval: one of zero would be due again at once, without end.
pub(crate) fn at_least_a_nanosecond(period: Duration) -> Duration {
    period.max(Duration::from_nanos(1))
}

/// The timers of a loop.
#[derive(Default)]
pub(crate) struct Timers(RefCell<TimerHeap<Time, Timer>>);

impl Timers {
    pub(crate) fn insert(&self, deadline: Time, timer: Timer) -> TimerKey {
        self.0.borrow_mut().insert(deadline, timer)
    }

    pub(crate) fn cancel(&self, key: TimerKey) -> Option<Timer> {
        self.0.borrow_mut().cancel(key)
    }

    /// Changes a deadline. Returns false if the timer is gone.
    pub(crate) fn reschedule(&self, key: TimerKey, deadline: Time) -> bool {
        self.0.borrow_mut().reschedule(key, deadline)
    }

    /// Restarts the delay of a timeout or the period of an interval. Returns false if it is gone.
    pub(crate) fn refresh(&self, key: TimerKey, now: Time) -> bool {
        let mut heap = self.0.borrow_mut();
        let deadline = match heap.get_mut(key) {
            Some(Timer::Timeout { delay, .. }) => now + Duration::from_nanos(*delay),
            Some(Timer::Interval { due, period, .. }) => {
                *due = now + Duration::from_nanos(*period);
                *due
            }
            Some(Timer::Sleep(_) | Timer::Pause(..)) | None => return false,
        };
        heap.reschedule(key, deadline)
    }

    /// Changes whether a callback keeps the loop alive. Returns whether it did before.
    pub(crate) fn reference(&self, key: TimerKey, to: bool) -> Option<bool> {
        match self.0.borrow_mut().get_mut(key)? {
            Timer::Timeout { referenced, .. } | Timer::Interval { referenced, .. } => {
                Some(std::mem::replace(referenced, to))
            }
            Timer::Sleep(_) | Timer::Pause(..) => None,
        }
    }

    /// Replaces the waiter of a sleep. Returns the old timer, or the new waiter if the timer is gone.
    pub(crate) fn replace_waiter(&self, key: TimerKey, new: Waiter) -> Result<Timer, Waiter> {
        match self.0.borrow_mut().get_mut(key) {
            Some(timer) => Ok(std::mem::replace(timer, Timer::Sleep(new))),
            None => Err(new),
        }
    }

    /// The earliest deadline, if it is not "never".
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let mut heap = self.0.borrow_mut();
        if heap.is_empty() {
            return None;
        }
        heap.next_deadline().filter(|&time| time != Time::NEVER)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Begins a phase: it runs the timers that are due now.
    pub(crate) fn begin(&self, now: Time) {
        self.0.borrow_mut().begin_drain(now);
    }

    /// The next due timer of this phase.
    pub(crate) fn next_due(&self, now: Time) -> Option<Due> {
        let mut heap = self.0.borrow_mut();
        let (key, _, timer) = heap.peek_drained()?;
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
            // The callback is there: if it panicked in its last run, the interval was cancelled.
            let callback = callback.take()?;
            heap.reschedule(key, next);
            return Some(Due::Interval(key, callback, origin, periods));
        }
        match heap.pop_drained()?.2 {
            Timer::Timeout {
                callback,
                origin,
                referenced,
                ..
            } => Some(Due::Timeout(callback, origin, referenced)),
            Timer::Sleep(waiter) => Some(Due::Sleep(waiter)),
            Timer::Pause(attached, direction) => Some(Due::Pause(attached, direction)),
            Timer::Interval { .. } => None,
        }
    }

    /// Puts the callback of an interval back after its run. Returns it if the interval was cleared
    /// meanwhile.
    pub(crate) fn put_back(&self, key: TimerKey, every: Every) -> Option<Every> {
        match self.0.borrow_mut().get_mut(key) {
            Some(Timer::Interval { callback, .. }) => callback.replace(every),
            _ => Some(every),
        }
    }

    pub(crate) fn for_each(&self, mut look: impl FnMut(TimerKey, Time, &Timer)) {
        for (key, deadline, timer) in self.0.borrow().iter() {
            look(key, deadline, timer);
        }
    }

    /// Removes all timers, for the end of the loop.
    pub(crate) fn take_all(&self) -> Vec<Timer> {
        let mut heap = self.0.take();
        let keys: Vec<TimerKey> = heap.iter().map(|(key, ..)| key).collect();
        keys.into_iter()
            .filter_map(|key| heap.cancel(key))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(missed: MissedTicks, deadline: u64, period: u64, now: u64) -> (u64, u64) {
        let time = |nanos| Time::after_start(Duration::from_nanos(nanos));
        let period = Duration::from_nanos(period);
        let (next, periods) = missed.next(time(deadline), period, time(now));
        (nanos(next.since_start()), periods)
    }

    #[test]
    fn l29_an_interval_keeps_its_phase_and_skips_what_it_missed() {
        assert_eq!(next(MissedTicks::Skip, 100, 10, 100), (110, 1));
        assert_eq!(next(MissedTicks::Skip, 100, 10, 109), (110, 1));
        assert_eq!(next(MissedTicks::Skip, 100, 10, 110), (120, 2));
        assert_eq!(next(MissedTicks::Skip, 100, 10, 145), (150, 5));
    }

    #[test]
    fn l29_an_interval_can_make_up_for_what_it_missed_or_move_its_phase() {
        assert_eq!(next(MissedTicks::Burst, 100, 10, 145), (110, 1));
        assert_eq!(next(MissedTicks::Delay, 100, 10, 145), (155, 5));
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_timer_has_56_bytes() {
        assert_eq!(size_of::<Timer>(), 56);
    }

    #[test]
    fn l23_a_period_of_for_ever_saturates() {
        let never = u64::MAX;
        assert_eq!(next(MissedTicks::Skip, 100, never, 200), (never, 1));
        assert_eq!(next(MissedTicks::Skip, 0, 1, never), (never, never));
        assert_eq!(next(MissedTicks::Delay, 100, never, 200), (never, 1));
    }
}
