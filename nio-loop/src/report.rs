//! The report of a loop: a table of everything that it waits for. It answers "why does my program not
//! end?"

use std::{fmt, panic::Location, time::Duration};

use crate::{
    CallbackId, Handle, callbacks::Target, queues::Origin, registration::Registration,
    timers::Timer,
};

/// A kind of callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallbackKind {
    /// [`Handle::set_timeout`].
    Timeout,
    /// [`Handle::set_interval`].
    Interval,
    /// [`Handle::set_immediate`].
    Immediate,
    /// [`Handle::next_tick`].
    Tick,
    /// [`Handle::watch`].
    Watch,
    /// [`Handle::on_signal`] and [`Handle::signals`].
    Signal,
    /// [`Handle::on_exit`] and [`Handle::wait`].
    Exit,
    /// [`Handle::on_change`] and [`Handle::changes`].
    Change,
    /// [`Handle::close`].
    Close,
    /// [`Remote::post`](crate::Remote::post).
    Post,
    /// [`Handle::spawn`].
    Task,
}

impl fmt::Display for CallbackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            CallbackKind::Timeout => "timeout",
            CallbackKind::Interval => "interval",
            CallbackKind::Immediate => "immediate",
            CallbackKind::Tick => "tick",
            CallbackKind::Watch => "watch",
            CallbackKind::Signal => "signal",
            CallbackKind::Exit => "exit",
            CallbackKind::Change => "change",
            CallbackKind::Close => "close",
            CallbackKind::Post => "post",
            CallbackKind::Task => "task",
        })
    }
}

/// One callback or task in a [`Report`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportEntry {
    /// The kind of callback.
    pub kind: CallbackKind,
    /// Whether it keeps the loop alive.
    pub referenced: bool,
    /// The id to clear it by, if it has one.
    pub id: Option<CallbackId>,
    /// The time since it was given to the loop; zero for callbacks that run before the loop waits again.
    pub age: Duration,
    /// The time until it is due. Only for timers.
    pub due: Option<Duration>,
    /// The place of the call that gave it to the loop.
    pub place: &'static Location<'static>,
}

/// Everything that a loop waits for or has to run. Made by [`Handle::report`]; its `Display` is a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One entry for each callback and task: first those that keep the loop alive, the oldest first.
    pub entries: Vec<ReportEntry>,
}

impl Report {
    /// The number of entries that keep the loop alive.
    #[must_use]
    pub fn referenced(&self) -> usize {
        let referenced = |entry: &&ReportEntry| entry.referenced;
        self.entries.iter().filter(referenced).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.entries.is_empty() {
            return f.write_str("nothing keeps the loop alive");
        }
        write!(f, "keeps alive  kind           age      due  from")?;
        for entry in &self.entries {
            let alive = if entry.referenced { "yes" } else { "no" };
            let kind = entry.kind;
            let age = seconds(entry.age);
            let due = entry.due.map_or(String::new(), seconds);
            let place = entry.place;
            write!(f, "\n{alive:<11}  {kind:<9}  {age:>7}  {due:>7}  {place}")?;
        }
        Ok(())
    }
}

/// A time in seconds, short enough for a column.
fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1000.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{seconds:.0} s")
    }
}

/// # A look inside: the report
impl Handle {
    /// Lists everything that the loop waits for or has to run: timers, watches, tasks, and queued
    /// callbacks, each with the place of the call that gave it to the loop. Print it to see why a program
    /// does not end. It takes time proportional to the number of entries, and allocates.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::{CallbackKind, EventLoop};
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// handle.set_timeout(Duration::from_secs(60), |_| {});
    /// let report = handle.report();
    /// assert_eq!(report.entries[0].kind, CallbackKind::Timeout);
    /// assert_eq!(report.entries[0].place.file(), file!());
    /// println!("{report}");
    /// // keeps alive  kind           age      due  from
    /// // yes          timeout     0.00 s  60.00 s  src/main.rs:6:8
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("getActiveResourcesInfo", "uv_walk", "uv_print_all_handles"))]
    #[must_use]
    pub fn report(&self) -> Report {
        let state = &self.state;
        let now = self.now();
        let mut entries = Vec::new();
        let mut add = |kind, referenced, origin: Origin, target: Option<Target>, due| {
            entries.push(ReportEntry {
                kind,
                referenced,
                id: target.map(CallbackId),
                age: now - origin.since,
                due,
                place: origin.place,
            });
        };
        state.timers.for_each(|key, deadline, timer| {
            let (kind, referenced, origin) = match timer {
                Timer::Timeout {
                    origin, referenced, ..
                } => (CallbackKind::Timeout, *referenced, *origin),
                Timer::Interval {
                    origin, referenced, ..
                } => (CallbackKind::Interval, *referenced, *origin),
                Timer::Sleep(_) | Timer::Pause(..) => return,
            };
            let (target, due) = (Target::Timer(key), deadline - now);
            add(kind, referenced, origin, Some(target), Some(due));
        });
        for (key, registration) in state.registrations.borrow().iter() {
            if let Registration::Watch(watch) = registration {
                let target = Some(Target::Watch(key));
                add(watch.kind(), watch.referenced, watch.origin, target, None);
            }
        }
        for (key, immediate) in state.queues.immediates.borrow().iter() {
            let (referenced, origin) = (immediate.referenced, immediate.origin);
            let target = Some(Target::Immediate(key));
            add(CallbackKind::Immediate, referenced, origin, target, None);
        }
        for task in state.tasks.list() {
            let (place, since) = (task.place, task.since);
            let origin = Origin { place, since };
            add(
                CallbackKind::Task,
                task.referenced.get(),
                origin,
                None,
                None,
            );
        }
        let mut add_soon = |kind, place| {
            let origin = Origin { place, since: now };
            add(kind, true, origin, None, None);
        };
        for tick in &*state.queues.ticks.borrow() {
            add_soon(CallbackKind::Tick, tick.place);
        }
        for post in &*state.queues.posts.borrow() {
            add_soon(CallbackKind::Post, post.place);
        }
        for close in &*state.queues.closing.borrow() {
            add_soon(CallbackKind::Close, close.place);
        }
        entries.sort_by_key(|entry| (!entry.referenced, std::cmp::Reverse(entry.age)));
        Report { entries }
    }
}
