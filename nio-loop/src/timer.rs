//! Timeouts, intervals and sleeping tasks: what stands in the timer heap.

use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use nio_timer::TimerKey;

use crate::{
    Handle,
    clock::{NEVER, Nanos, nanos},
    core::{Core, Once},
};

/// A callback that runs again and again; the number says how many periods have passed since its
/// last run.
pub(crate) type Every = Box<dyn FnMut(&Handle, u64)>;

/// What happens at a deadline.
pub(crate) enum Timer {
    Timeout {
        callback: Once,
        referenced: bool,
    },
    Interval {
        period: Nanos,
        /// Absent while it runs.
        callback: Option<Every>,
        referenced: bool,
    },
    /// A task sleeps. It keeps the loop alive by itself.
    Sleep(Waker),
}

impl Timer {
    /// Whether it keeps the loop alive.
    pub(crate) fn is_referenced(&self) -> bool {
        match self {
            Timer::Timeout { referenced, .. } | Timer::Interval { referenced, .. } => *referenced,
            Timer::Sleep(_) => false,
        }
    }
}

/// A due timer, taken out of the heap or armed anew, and so ready to be called.
pub(crate) enum Due {
    Timeout(Once),
    Interval(TimerKey, Every, u64),
    Sleep(Waker),
}

impl Core {
    /// When a timer that is armed now for `delay` is due. The clock is read anew: a callback may
    /// have taken long.
    pub(crate) fn deadline(&self, delay: Duration) -> Nanos {
        self.clock.now().saturating_add(nanos(delay))
    }

    /// The next of the timers that were due when the phase began. A timeout leaves the heap; an
    /// interval is armed for its next period before it is called, so that its callback can clear it.
    pub(crate) fn next_due(&self, now: Nanos) -> Option<Due> {
        let mut timers = self.timers.borrow_mut();
        loop {
            let (key, deadline, timer) = timers.peek_drained()?;
            if let Timer::Interval {
                period,
                callback: callback @ Some(_),
                ..
            } = timer
            {
                let (next, expirations) = next_period(deadline, *period, now);
                let callback = callback.take()?;
                timers.reschedule(key, next);
                return Some(Due::Interval(key, callback, expirations));
            }
            let (_, _, timer) = timers.pop_drained()?;
            self.release(timer.is_referenced());
            match timer {
                Timer::Timeout { callback, .. } => return Some(Due::Timeout(callback)),
                Timer::Sleep(waker) => return Some(Due::Sleep(waker)),
                // Its callback was lost in a panic.
                Timer::Interval { .. } => {}
            }
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
        self.release(timer.is_referenced());
        Some(timer)
    }
}

/// The next deadline of an interval that was due at `deadline`, and how many periods have passed:
/// the first multiple of the period after `now`, so that it keeps its phase and what it missed is
/// skipped.
fn next_period(deadline: Nanos, period: Nanos, now: Nanos) -> (Nanos, u64) {
    let passed = (now.saturating_sub(deadline) / period).saturating_add(1);
    (
        deadline.saturating_add(passed.saturating_mul(period)),
        passed,
    )
}

/// A future that is ready when a time has passed. Made by [`Handle::sleep`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    core: Rc<Core>,
    deadline: Nanos,
    key: Option<TimerKey>,
}

impl Sleep {
    pub(crate) fn new(core: Rc<Core>, deadline: Nanos) -> Sleep {
        Sleep {
            core,
            deadline,
            key: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.core.clock.now() >= this.deadline && this.deadline != NEVER {
            return Poll::Ready(());
        }
        let waker = context.waker();
        let mut timers = this.core.timers.borrow_mut();
        match this.key.and_then(|key| timers.get_mut(key)) {
            Some(Timer::Sleep(known)) if known.will_wake(waker) => {}
            Some(timer) => {
                let old = std::mem::replace(timer, Timer::Sleep(waker.clone()));
                drop(timers);
                drop(old);
            }
            None => this.key = Some(timers.insert(this.deadline, Timer::Sleep(waker.clone()))),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            drop(self.core.cancel_timer(key));
        }
    }
}

impl std::fmt::Debug for Sleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &Duration::from_nanos(self.deadline))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l29_an_interval_keeps_its_phase_and_skips_what_it_missed() {
        assert_eq!(next_period(100, 10, 100), (110, 1));
        assert_eq!(next_period(100, 10, 109), (110, 1));
        assert_eq!(next_period(100, 10, 110), (120, 2));
        assert_eq!(next_period(100, 10, 145), (150, 5));
    }

    #[test]
    fn l23_a_period_of_for_ever_saturates() {
        assert_eq!(next_period(100, NEVER, 200), (NEVER, 1));
        assert_eq!(next_period(0, 1, NEVER), (NEVER, NEVER));
    }
}
