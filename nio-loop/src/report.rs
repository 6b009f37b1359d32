//! What a loop waits for, as a table: the answer to "why does my program not end?"

use std::{fmt, panic::Location, time::Duration};

use crate::{Handle, core::Origin, queues::Immediate, source::Entry, timer::Timer};

/// What somebody has given to a loop.
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
    /// [`Handle::on_signal`].
    Signal,
    /// [`Handle::on_exit`].
    Exit,
    /// [`Handle::on_change`].
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

/// One thing that a loop waits for or has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportEntry {
    /// What it is.
    pub kind: CallbackKind,
    /// Whether it keeps the loop alive.
    pub referenced: bool,
    /// How long ago it was given to the loop.
    pub age: Duration,
    /// When it is due, from now on. Only for timers.
    pub due: Option<Duration>,
    /// Where it was given to the loop.
    pub place: &'static Location<'static>,
}

/// What a loop waits for and has to do. Made by [`Handle::report`]; its `Display` is a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One for each thing: those that keep the loop alive first, and of these the oldest first.
    pub entries: Vec<ReportEntry>,
}

impl Report {
    /// How many of the things keep the loop alive.
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

impl Handle {
    /// What the loop waits for and has to do: timers, watches, immediates and tasks, each with where
    /// it was made. Print it to see why a program does not end. Takes a time that is proportional to
    /// all of that, and allocates.
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
    #[must_use]
    pub fn report(&self) -> Report {
        let core = &self.core;
        let now = self.now();
        let mut entries = Vec::new();
        let mut add = |kind, referenced, origin: Origin, due| {
            entries.push(ReportEntry {
                kind,
                referenced,
                age: now - origin.since,
                due,
                place: origin.place,
            });
        };
        for (_, deadline, timer) in core.timers.borrow().iter() {
            let due = Some(deadline - now);
            match timer {
                Timer::Timeout {
                    origin, referenced, ..
                } => add(CallbackKind::Timeout, *referenced, *origin, due),
                Timer::Interval {
                    origin, referenced, ..
                } => add(CallbackKind::Interval, *referenced, *origin, due),
                Timer::Sleep(_) => {}
            }
        }
        for entry in core.sources.borrow().iter() {
            if let Entry::Watch(watch) = entry {
                add(watch.kind(), watch.referenced, watch.origin, None);
            }
        }
        for immediate in core.immediates.borrow().callbacks.iter() {
            let Immediate {
                origin, referenced, ..
            } = immediate;
            add(CallbackKind::Immediate, *referenced, *origin, None);
        }
        for task in core.tasks.borrow().iter() {
            if !task.is_finished() {
                add(CallbackKind::Task, task.referenced, task.origin, None);
            }
        }
        entries.sort_by_key(|entry| (!entry.referenced, std::cmp::Reverse(entry.age)));
        Report { entries }
    }
}
