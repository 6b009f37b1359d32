//! What a loop waits for, as a table: the answer to "why does my program not end?"

use std::{fmt, panic::Location, time::Duration};

use crate::{
    CallbackId, Handle, core::Origin, handle::Kind, queues::Immediate, source::Entry, timer::Timer,
};

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
    /// By what it can be cleared, if it can be.
    pub id: Option<CallbackId>,
    /// How long ago it was given to the loop; zero for what runs before the loop waits again.
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
    /// What the loop waits for and has to do: timers, watches, tasks and what runs next, each with
    /// where it was given to the loop. Print it to see why a program does not end. Takes a time that is proportional to
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
        let mut add = |kind, referenced, origin: Origin, id: Option<Kind>, due| {
            entries.push(ReportEntry {
                kind,
                referenced,
                id: id.map(CallbackId),
                age: now - origin.since,
                due,
                place: origin.place,
            });
        };
        for (key, deadline, timer) in core.timers.borrow().iter() {
            let (kind, referenced, origin) = match timer {
                Timer::Timeout {
                    origin, referenced, ..
                } => (CallbackKind::Timeout, *referenced, *origin),
                Timer::Interval {
                    origin, referenced, ..
                } => (CallbackKind::Interval, *referenced, *origin),
                Timer::Sleep(_) => continue,
            };
            let (id, due) = (Some(Kind::Timer(key)), Some(deadline - now));
            add(kind, referenced, origin, id, due);
        }
        for (key, entry) in core.sources.borrow().iter() {
            if let Entry::Watch(watch) = entry {
                let id = Some(Kind::Watch(key));
                add(watch.kind(), watch.referenced, watch.origin, id, None);
            }
        }
        for (key, immediate) in core.immediates.borrow().callbacks.iter() {
            let Immediate {
                origin, referenced, ..
            } = immediate;
            let id = Some(Kind::Immediate(key));
            add(CallbackKind::Immediate, *referenced, *origin, id, None);
        }
        for (_, task) in core.tasks.borrow().iter() {
            if !task.is_finished() {
                let (referenced, origin) = (task.is_referenced(), task.origin());
                add(CallbackKind::Task, referenced, origin, None, None);
            }
        }
        let mut add_soon = |kind, place| {
            let origin = Origin { place, since: now };
            add(kind, true, origin, None, None);
        };
        let ticks = core.ticks.borrow();
        ticks
            .iter()
            .for_each(|tick| add_soon(CallbackKind::Tick, tick.place));
        let posts = core.posts.borrow();
        posts
            .iter()
            .for_each(|post| add_soon(CallbackKind::Post, post.place));
        let closing = core.closing.borrow();
        closing
            .iter()
            .for_each(|close| add_soon(CallbackKind::Close, close.place));
        entries.sort_by_key(|entry| (!entry.referenced, std::cmp::Reverse(entry.age)));
        Report { entries }
    }
}
