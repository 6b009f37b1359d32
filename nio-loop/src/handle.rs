//! The handle, by which callbacks and tasks use their loop. This file has timeouts, intervals,
//! immediates and ticks; `lib` lists the files of the other functions.

use std::{fmt, panic::Location, rc::Rc, time::Duration};

use crate::{
    CallbackId,
    callbacks::Target,
    clock::{Time, nanos},
    queues::{Call, Immediate, Origin},
    state::State,
    timers::{MissedTicks, Timer, at_least_a_nanosecond},
};

/// A handle to a loop: sets timers, watches descriptors, spawns tasks. Cheap to clone.
///
/// | for | callbacks | futures |
/// |---|---|---|
/// | time | [`set_timeout`](Handle::set_timeout), [`set_interval`](Handle::set_interval), [`refresh`](Handle::refresh) | [`sleep`](Handle::sleep), [`interval`](Handle::interval), [`timeout`](Handle::timeout) |
/// | soon | [`set_immediate`](Handle::set_immediate), [`next_tick`](Handle::next_tick) | [`yield_now`](Handle::yield_now), [`next_turn`](Handle::next_turn) |
/// | tasks | | [`spawn`](Handle::spawn), [`spawn_detached`](Handle::spawn_detached), [`join_set`](Handle::join_set) |
/// | I/O | [`watch`](Handle::watch), [`set_interest`](Handle::set_interest) | [`Source`](crate::Source) |
/// | signals | [`on_signal`](Handle::on_signal) | [`signals`](Handle::signals), [`ctrl_c`](Handle::ctrl_c) |
/// | children | [`on_exit`](Handle::on_exit) | [`wait`](Handle::wait) |
/// | files | [`on_change`](Handle::on_change) | [`changes`](Handle::changes) |
/// | other threads | [`remote`](Handle::remote) | [`spawn_blocking`](Handle::spawn_blocking), [`spawn_slow`](Handle::spawn_slow) |
/// | housekeeping | [`clear`](Handle::clear), [`close`](Handle::close), [`guard`](Handle::guard), [`current`](Handle::current), [`unref`](Handle::unref), [`reref`](Handle::reref) | those of [`JoinHandle`](crate::JoinHandle) |
/// | a look inside | [`on_warning`](Handle::on_warning), [`metrics`](Handle::metrics), [`report`](Handle::report), `record` (feature `timeline`) | |
///
/// A handle stays on the thread of its loop: it is not [`Send`]. Where it would move to another thread,
/// the compiler says "`Rc<State>` cannot be sent between threads safely". Give that thread a
/// [`Remote`](crate::Remote), made by [`remote`](Handle::remote).
///
/// After the [`EventLoop`](crate::EventLoop) was dropped, its handles do nothing: a callback given to
/// one is dropped at once and never runs.
#[doc(alias("LocalSet", "uv_loop_t", "Spawner"))]
#[derive(Clone)]
pub struct Handle {
    pub(crate) state: Rc<State>,
}

/// # Timers, immediates and ticks
impl Handle {
    /// Runs a callback once, when `delay` has passed, never earlier. Timeouts run in the order of their
    /// deadlines; timeouts with equal deadlines run in the order in which they were set. A timeout that
    /// a callback sets runs in the next turn at the earliest, even with a delay of zero.
    ///
    /// A delay of more than the clock can count (584 years) never passes.
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
    #[doc(alias("setTimeout", "uv_timer_t", "uv_timer_start", "call_later"))]
    #[track_caller]
    pub fn set_timeout(
        &self,
        delay: Duration,
        callback: impl FnOnce(&Handle) + 'static,
    ) -> CallbackId {
        let (since, place) = (self.now(), Location::caller());
        let timer = Timer::Timeout {
            delay: nanos(delay),
            callback: Box::new(callback),
            origin: Origin { place, since },
            referenced: true,
        };
        self.add_timer(since + delay, timer)
    }

    /// Runs a callback every `period`, until it is cleared. Its second argument is the number of periods
    /// since its last run: 1, or more if the loop was busy for longer than a period. Missed runs are
    /// skipped, and the n-th period ends n periods after the interval was set.
    /// [`set_interval_with`](Handle::set_interval_with) offers other choices.
    ///
    /// A period of zero counts as one nanosecond: the callback runs once in each turn.
    ///
    /// ```
    /// # use std::{cell::Cell, rc::Rc, time::Duration};
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
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
    #[doc(alias("setInterval", "uv_timer_set_repeat"))]
    #[track_caller]
    pub fn set_interval(
        &self,
        period: Duration,
        callback: impl FnMut(&Handle, u64) + 'static,
    ) -> CallbackId {
        self.set_interval_with(period, MissedTicks::Skip, callback)
    }

    /// Like [`set_interval`](Handle::set_interval), with a choice of how missed periods are treated.
    #[doc(alias("MissedTickBehavior"))]
    #[track_caller]
    pub fn set_interval_with(
        &self,
        period: Duration,
        missed: MissedTicks,
        callback: impl FnMut(&Handle, u64) + 'static,
    ) -> CallbackId {
        let period = at_least_a_nanosecond(period);
        let (since, place) = (self.now(), Location::caller());
        let due = since + period;
        let timer = Timer::Interval {
            due,
            period: nanos(period),
            missed,
            callback: Some(Box::new(callback)),
            origin: Origin { place, since },
            referenced: true,
        };
        self.add_timer(due, timer)
    }

    /// Restarts the delay of a timeout, or the period of an interval, from now. An interval's callback
    /// may refresh its own interval. Made for idle timeouts: cheaper than clearing and setting again,
    /// and without an allocation. Returns false if the callback is gone (a timeout is gone when it
    /// runs) or is not a timer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::{Clock, EventLoop};
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
    /// let handle = event_loop.handle();
    /// let idle = handle.set_timeout(Duration::from_secs(30), |handle| {
    ///     assert_eq!(handle.now().since_start(), Duration::from_secs(55));
    /// });
    /// handle.set_timeout(Duration::from_secs(25), move |handle| {
    ///     assert!(handle.refresh(idle)); // a message has come
    /// });
    /// event_loop.run()?;
    /// assert!(!handle.refresh(idle));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("timeout.refresh", "uv_timer_again", "reset"))]
    pub fn refresh(&self, id: CallbackId) -> bool {
        let Target::Timer(key) = id.0 else {
            return false;
        };
        // The deadline only moves back, so a loop that waits for this one need not wake up.
        self.state.timers.refresh(key, self.now())
    }

    fn add_timer(&self, deadline: Time, timer: Timer) -> CallbackId {
        let state = &self.state;
        if state.closed.get() {
            return CallbackId(Target::Nothing);
        }
        state.retain(timer.is_referenced());
        let key = state.timers.insert(deadline, timer);
        state.mailbox.notify_if_parked();
        CallbackId(Target::Timer(key))
    }

    /// Runs a callback after the I/O events of this turn, or of the next turn if the immediates of this
    /// turn are running already. Immediates run in the order in which they were set.
    #[doc(alias("setImmediate", "uv_check_t", "uv_idle_t", "call_soon"))]
    #[track_caller]
    pub fn set_immediate(&self, callback: impl FnOnce(&Handle) + 'static) -> CallbackId {
        self.immediate_at(Location::caller(), callback)
    }

    pub(crate) fn immediate_at(
        &self,
        place: &'static Location<'static>,
        callback: impl FnOnce(&Handle) + 'static,
    ) -> CallbackId {
        let state = &self.state;
        if state.closed.get() {
            return CallbackId(Target::Nothing);
        }
        let key = state.queues.add_immediate(Immediate {
            callback: Box::new(callback),
            origin: state.origin(place),
            referenced: true,
        });
        state.retain(true);
        state.mailbox.notify_if_parked();
        CallbackId(Target::Immediate(key))
    }

    /// Runs a callback (a tick) directly after the callback that runs now, before woken tasks and
    /// before anything else. It cannot be cleared.
    ///
    /// Ticks that set one another without end block the loop, but only for 100,000 ticks: then there is
    /// a [`Warning`](crate::Warning), and the other phases run before the next ticks. For work without
    /// end use [`set_immediate`](Handle::set_immediate).
    #[doc(alias("nextTick", "process.nextTick", "queueMicrotask", "microtask"))]
    #[track_caller]
    pub fn next_tick(&self, callback: impl FnOnce(&Handle) + 'static) {
        if !self.state.closed.get() {
            let call = Call::new(callback, Location::caller());
            self.state.queues.ticks.borrow_mut().push_back(call);
            self.state.mailbox.notify_if_parked();
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("alive", &self.state.alive.get())
            .finish_non_exhaustive()
    }
}
