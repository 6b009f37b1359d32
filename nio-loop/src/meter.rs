//! What a loop tells about itself: counts, idle time, and warnings.
//!
//! The counts cost an addition each. Idle time costs two looks at the clock for each wait, so it is
//! measured from the first time that it is asked for; and callbacks are timed only from when a
//! function for warnings is set.

use std::{
    cell::{Cell, RefCell},
    fmt,
    panic::Location,
    time::Duration,
};

use crate::{Handle, clock::Time, report::CallbackKind, state::State, tasks::is_any_running};

/// Counts of a loop since it was made. Got by [`Handle::metrics`], usually twice, because the difference
/// [between](Metrics::since) tells more. The times count from the first call; on a test's clock, from
/// the start.
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
    /// How often the loop has polled for events.
    pub turns: u64,
    /// How many of these polls have waited.
    pub waits: u64,
    /// The events that these polls returned.
    pub events: u64,
    /// Timeouts and intervals that ran, and sleeps that ended.
    pub timers: u64,
    /// Callbacks of all kinds that ran.
    pub callbacks: u64,
    /// How often a task was polled.
    pub polled_tasks: u64,
    /// What the callback or the poll of a task that took longest took. Zero unless they are timed:
    /// see [`Handle::on_warning`].
    pub longest_callback: Duration,
    /// The time spent waiting, since the first call of [`Handle::metrics`].
    pub idle: Duration,
    /// All the time since then, waiting or not.
    pub elapsed: Duration,
}

impl Metrics {
    /// The share of the time in which the loop did not wait: 0 of a loop with nothing to do, 1 of
    /// one that always had something. NodeJS calls it event loop utilization.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        if self.elapsed.is_zero() {
            return 0.0;
        }
        1.0 - self.idle.as_secs_f64() / self.elapsed.as_secs_f64()
    }

    /// What came after an earlier look at the same loop. The longest callback is that of all times.
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

/// Something is wrong with the program that runs on a loop. See [`Handle::on_warning`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A callback, or one poll of a task, has kept the loop to itself for longer than allowed.
    Slow {
        /// What it is.
        kind: CallbackKind,
        /// Where it was given to the loop.
        place: &'static Location<'static>,
        /// How long it took.
        took: Duration,
    },
    /// Ticks go on and on. The other phases have their turn now, and the ticks after that.
    TickFlood {
        /// How many ran without anything else.
        ticks: usize,
        /// Where the next of them was set.
        place: &'static Location<'static>,
    },
    /// A task has panicked, and its [`JoinHandle`](crate::JoinHandle) was dropped without being
    /// awaited.
    TaskPanicked {
        /// Where it was spawned.
        place: &'static Location<'static>,
        /// What the panic said; empty if that was no text.
        message: String,
    },
    /// A task of [`spawn_detached`](Handle::spawn_detached) has ended with an error.
    TaskFailed {
        /// Where it was spawned.
        place: &'static Location<'static>,
        /// What the error said.
        error: String,
    },
    /// A task of another loop on this thread awaits something of this one, which is not running, so
    /// that it may wait without end. Told once, and only in debug builds.
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

/// What a user does about a warning.
pub(crate) type Hook = Box<dyn FnMut(&Handle, &Warning)>;

#[derive(Default)]
pub(crate) struct Meter {
    counts: Counts,
    /// Since when idle time is measured, if it is.
    measured: Cell<Option<Time>>,
    idle: Cell<Duration>,
    longest: Cell<Duration>,
    /// The time in this turn, if the clock was read.
    last_seen: Cell<Option<Time>>,
    /// Callbacks that take longer are reported; none are timed without it.
    slow: Cell<Option<Duration>>,
    /// Absent while it runs.
    hook: RefCell<Option<Hook>>,
    /// There is no hook, so the user was told on the standard error.
    told: Cell<bool>,
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

    /// Has idle time measured from now on, unless it is already. Returns since when.
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
        self.saw(to);
    }

    pub(crate) fn count_timer(&self) {
        add(&self.counts.timers, 1);
    }

    pub(crate) fn count_callback(&self) {
        add(&self.counts.callbacks, 1);
    }

    /// Time is going to pass.
    pub(crate) fn forget_time(&self) {
        self.last_seen.set(None);
    }

    /// The clock was read.
    pub(crate) fn saw(&self, time: Time) {
        self.last_seen.set(Some(time));
    }

    pub(crate) fn last_seen(&self) -> Option<Time> {
        self.last_seen.get()
    }

    /// Takes out the function for warnings.
    pub(crate) fn take_hook(&self) -> Option<Hook> {
        self.hook.take()
    }

    pub(crate) fn is_timing(&self) -> bool {
        self.slow.get().is_some()
    }

    /// Notes how long something has taken. Returns whether that is too long.
    pub(crate) fn is_slow(&self, took: Duration) -> bool {
        self.longest.set(self.longest.get().max(took));
        self.slow.get().is_some_and(|slow| took > slow)
    }
}

/// # A look inside: counts and warnings
impl Handle {
    /// What the loop has done so far. The first call has its waits measured from then on, which costs
    /// two looks at the clock for each.
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

    /// Calls a function at each [`Warning`]: when a callback or one poll of a task has taken longer than
    /// `slow`, when ticks flood the loop, and when a task that is not joined panics or, if it is one of
    /// [`spawn_detached`](Handle::spawn_detached), fails. Replaces the function that was set before. From
    /// now on each callback is timed, which costs two looks at the clock.
    ///
    /// Without it, nothing is timed, and the first flood of ticks or error of a task is told on the
    /// standard error.
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

    /// Warns, in debug builds, of a task of another loop that waits for this one while it is not
    /// running. One that is driven by another loop is about to run.
    #[inline]
    pub(crate) fn check_loop(&self) {
        let State { tasks, mailbox, .. } = &*self.state;
        if cfg!(debug_assertions) && !tasks.is_running() && !mailbox.alarm.is_parked() {
            let warned = &self.state.meter.warned_of_other_loop;
            if is_any_running() && !warned.replace(true) {
                self.warn(&Warning::OtherLoop);
            }
        }
    }

    /// Tells the user.
    pub(crate) fn warn(&self, warning: &Warning) {
        crate::trace::warning(warning);
        let meter = &self.state.meter;
        let hook = meter.take_hook();
        if let Some(mut hook) = hook {
            hook(self, warning);
            // Unless it has set another one.
            let mut place = meter.hook.borrow_mut();
            if place.is_none() {
                *place = Some(hook);
            }
        } else if !meter.is_timing() && !meter.told.replace(true) {
            eprintln!("nio-loop: {warning}");
        }
    }
}
