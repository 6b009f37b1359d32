//! The metrics of a loop (counts and idle time) and its warnings.
//!
//! A count costs an addition. Idle time costs two reads of the clock for each wait, so it is measured
//! from the first call of `metrics`. Callbacks are timed only after a function for warnings was set.

use std::{
    cell::{Cell, RefCell},
    fmt,
    panic::Location,
    time::Duration,
};

use crate::{Handle, clock::Time, report::CallbackKind, state::State, tasks::is_any_running};

/// Counts of a loop since it was made, returned by [`Handle::metrics`]. The difference of two calls
/// ([`since`](Metrics::since)) is usually more useful. The times count from the first call; on a test's
/// clock, from the start.
///
/// ```
/// # use std::time::Duration;
/// # use nio_loop::{Clock, EventLoop};
/// # fn main() -> Result<(), nio_loop::Error> {
/// let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
/// let handle = event_loop.handle();
/// let before = handle.metrics();
/// handle.set_timeout(Duration::from_secs(3), |_| {});
/// event_loop.run()?;
/// let metrics = handle.metrics().since(&before);
/// assert_eq!(metrics.timers, 1);
/// assert_eq!(metrics.idle, Duration::from_secs(3));
/// assert_eq!(metrics.utilization(), 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// The number of polls for events.
    pub turns: u64,
    /// The number of polls that waited.
    pub waits: u64,
    /// The events that these polls returned.
    pub events: u64,
    /// Timeouts and intervals that ran, and sleeps that ended.
    pub timers: u64,
    /// Callbacks of all kinds that ran.
    pub callbacks: u64,
    /// How often a task was polled.
    pub polled_tasks: u64,
    /// The longest time of a callback or of a poll of a task. Zero unless they are timed: see
    /// [`Handle::on_warning`].
    pub longest_callback: Duration,
    /// The time spent waiting, since the first call of [`Handle::metrics`].
    pub idle: Duration,
    /// All the time since that call, waiting or not.
    pub elapsed: Duration,
}

impl Metrics {
    /// The share of time in which the loop did not wait: 0 if it always waited, 1 if it never did.
    /// NodeJS calls it event loop utilization.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        if self.elapsed.is_zero() {
            return 0.0;
        }
        1.0 - self.idle.as_secs_f64() / self.elapsed.as_secs_f64()
    }

    /// The difference to earlier metrics of the same loop. The longest callback is that of all times.
    #[must_use]
    pub fn since(&self, earlier: &Metrics) -> Metrics {
        Metrics {
            turns: self.turns.saturating_sub(earlier.turns),
            waits: self.waits.saturating_sub(earlier.waits),
            events: self.events.saturating_sub(earlier.events),
            timers: self.timers.saturating_sub(earlier.timers),
            callbacks: self.callbacks.saturating_sub(earlier.callbacks),
            polled_tasks: self.polled_tasks.saturating_sub(earlier.polled_tasks),
            longest_callback: self.longest_callback,
            idle: self.idle.saturating_sub(earlier.idle),
            elapsed: self.elapsed.saturating_sub(earlier.elapsed),
        }
    }
}

/// A warning of a problem in the program that runs on the loop. See [`Handle::on_warning`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A callback, or one poll of a task, has blocked the loop for longer than allowed.
    Slow {
        /// The kind of callback.
        kind: CallbackKind,
        /// The place of the call that gave it to the loop.
        place: &'static Location<'static>,
        /// How long it took.
        took: Duration,
    },
    /// Ticks set each other without end. The other phases run now, and then the next ticks.
    TickFlood {
        /// The number of ticks that ran in a row.
        ticks: usize,
        /// The place where the next tick was set.
        place: &'static Location<'static>,
    },
    /// A task has panicked, and its [`JoinHandle`](crate::JoinHandle) was dropped without being
    /// awaited.
    TaskPanicked {
        /// Where it was spawned.
        place: &'static Location<'static>,
        /// The message of the panic; empty if its payload is not text.
        message: String,
    },
    /// A task of [`spawn_detached`](Handle::spawn_detached) has ended with an error.
    TaskFailed {
        /// Where it was spawned.
        place: &'static Location<'static>,
        /// The text of the error.
        error: String,
    },
    /// A task of another loop on this thread awaits something of this loop, which is not running, so it
    /// may wait for ever. Reported once, and only in debug builds.
    OtherLoop,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Slow { kind, place, took } => {
                write!(f, "{kind} of {place} kept the loop for {took:?}")
            }
            Warning::TickFlood { ticks, place } => {
                write!(f, "{ticks} ticks in a row, the next set at {place}")
            }
            Warning::TaskPanicked { place, message } => {
                write!(f, "the task of {place} has panicked: {message}")
            }
            Warning::TaskFailed { place, error } => {
                write!(f, "the task of {place} has failed: {error}")
            }
            Warning::OtherLoop => f.write_str(
                "a task of another event loop awaits something of this one, which is not running: \
                 use the handle of the task's own loop",
            ),
        }
    }
}

/// The user's function for warnings.
pub(crate) type Hook = Box<dyn FnMut(&Handle, &Warning)>;

#[derive(Default)]
pub(crate) struct Meter {
    counts: Counts,
    /// The time since which idle time is measured, if it is.
    measured: Cell<Option<Time>>,
    idle: Cell<Duration>,
    longest: Cell<Duration>,
    /// The last time that was read in this turn.
    cached_time: Cell<Option<Time>>,
    /// Callbacks that take longer are reported; none are timed without it.
    slow: Cell<Option<Duration>>,
    /// Taken out while it runs.
    hook: RefCell<Option<Hook>>,
    /// Whether a warning was printed to the standard error, because there was no hook.
    warned_on_stderr: Cell<bool>,
    warned_of_other_loop: Cell<bool>,
}

#[derive(Default)]
struct Counts {
    turns: Cell<u64>,
    waits: Cell<u64>,
    events: Cell<u64>,
    timers: Cell<u64>,
    callbacks: Cell<u64>,
}

fn add(count: &Cell<u64>, more: u64) {
    count.set(count.get() + more);
}

impl Meter {
    pub(crate) fn count_turn(&self, events: usize) {
        add(&self.counts.turns, 1);
        add(&self.counts.events, events as u64);
    }

    pub(crate) fn count_wait(&self) {
        add(&self.counts.waits, 1);
    }

    /// Starts measuring idle time, unless it is measured already. Returns the time of the start.
    pub(crate) fn measure_idle(&self, now: Time) -> Time {
        let since = self.measured.get().unwrap_or(now);
        self.measured.set(Some(since));
        since
    }

    pub(crate) fn measures_idle(&self) -> bool {
        self.measured.get().is_some()
    }

    pub(crate) fn count_idle(&self, from: Time, to: Time) {
        self.idle.set(self.idle.get() + (to - from));
        self.cache_time(to);
    }

    pub(crate) fn count_timer(&self) {
        add(&self.counts.timers, 1);
    }

    pub(crate) fn count_callback(&self) {
        add(&self.counts.callbacks, 1);
    }

    /// Drops the cached time, before time passes in a poll.
    pub(crate) fn forget_time(&self) {
        self.cached_time.set(None);
    }

    /// Caches the time, after the clock was read.
    pub(crate) fn cache_time(&self, time: Time) {
        self.cached_time.set(Some(time));
    }

    pub(crate) fn cached_time(&self) -> Option<Time> {
        self.cached_time.get()
    }

    /// Takes the function for warnings out.
    pub(crate) fn take_hook(&self) -> Option<Hook> {
        self.hook.take()
    }

    pub(crate) fn is_timing(&self) -> bool {
        self.slow.get().is_some()
    }

    /// Records how long a callback took. Returns whether that is too long.
    pub(crate) fn is_slow(&self, took: Duration) -> bool {
        self.longest.set(self.longest.get().max(took));
        self.slow.get().is_some_and(|slow| took > slow)
    }
}

/// # A look inside: counts and warnings
impl Handle {
    /// The counts of the loop so far. The first call starts measuring the idle time, which costs two
    /// reads of the clock for each wait.
    #[doc(alias(
        "uv_metrics_info",
        "uv_metrics_idle_time",
        "eventLoopUtilization",
        "RuntimeMetrics"
    ))]
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let meter = &self.state.meter;
        let now = self.now();
        let since = meter.measure_idle(now);
        Metrics {
            turns: meter.counts.turns.get(),
            waits: meter.counts.waits.get(),
            events: meter.counts.events.get(),
            timers: meter.counts.timers.get(),
            callbacks: meter.counts.callbacks.get(),
            polled_tasks: self.state.tasks.polls(),
            longest_callback: meter.longest.get(),
            idle: meter.idle.get(),
            elapsed: now - since,
        }
    }

    /// Calls a function at each [`Warning`]: when a callback or one poll of a task takes longer than
    /// `slow`, when ticks flood the loop, when a task that is not joined panics, and when a task of
    /// [`spawn_detached`](Handle::spawn_detached) fails. It replaces the function that was set before.
    /// From now on each callback is timed, which costs two reads of the clock.
    ///
    /// Without a function, nothing is timed, and the first flood of ticks or error of a task is printed
    /// to the standard error.
    ///
    /// ```
    /// # use std::{thread, time::Duration};
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// handle.on_warning(Duration::from_millis(5), |_, warning| eprintln!("warning: {warning}"));
    /// handle.set_immediate(|_| thread::sleep(Duration::from_millis(10)));
    /// event_loop.run()?; // warning: immediate of src/main.rs:8:8 kept the loop for 10.1ms
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("unhandledRejection", "monitorEventLoopDelay", "uncaughtException"))]
    pub fn on_warning(&self, slow: Duration, hook: impl FnMut(&Handle, &Warning) + 'static) {
        let meter = &self.state.meter;
        if self.state.closed.get() {
            return;
        }
        meter.slow.set(Some(slow));
        let old = meter.hook.replace(Some(Box::new(hook)));
        drop(old);
    }

    /// In debug builds, warns of a task of another loop that waits for this loop while it is not
    /// running. Not if this loop is embedded and parked or notified: then the outer loop will run it.
    #[inline]
    pub(crate) fn check_loop(&self) {
        let State { tasks, mailbox, .. } = &*self.state;
        let alarm = &mailbox.alarm;
        let will_run = tasks.is_running() || alarm.is_parked() || alarm.is_notified();
        if cfg!(debug_assertions) && !will_run {
            let warned = &self.state.meter.warned_of_other_loop;
            if is_any_running() && !warned.replace(true) {
                self.warn(&Warning::OtherLoop);
            }
        }
    }

    /// Passes a warning to the function for warnings, or prints the first one.
    pub(crate) fn warn(&self, warning: &Warning) {
        crate::trace::warning(warning);
        let meter = &self.state.meter;
        let hook = meter.take_hook();
        if let Some(mut hook) = hook {
            hook(self, warning);
            // Put back, unless it has set another function.
            let mut place = meter.hook.borrow_mut();
            if place.is_none() {
                *place = Some(hook);
            }
        } else if !meter.is_timing() && !meter.warned_on_stderr.replace(true) {
            eprintln!("nio-loop: {warning}");
        }
    }
}
