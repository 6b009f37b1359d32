//! Records what a loop does, for a [`Timeline`].
//!
//! The laws:
//!
//! 1. Nothing is recorded, and no clock is read for it, unless there is a [`Recording`].
//! 2. At most as many entries are kept as the recording has room for. The oldest are dropped, and
//!    counted.
//! 3. An entry that has not ended when the recording stops ends there. One that began before the recording
//!    is not in it. A panic ends an entry, which stays.
//! 4. A phase without callbacks is not recorded, nor is an empty wake-up.
//! 5. The times are those of the loop's clock. A loop that a callback runs is a part of that
//!    callback, and is recorded only by a recording of its own.

use std::{
    cell::RefCell, collections::VecDeque, fmt, panic::Location, rc::Rc, thread, time::Duration,
};

use crate::{
    CallbackKind, Clock, Handle, Time,
    state::State,
    timeline::{Recorded, Timeline, TimelineEntry},
};

/// A phase of a turn. A [`Timeline`] has the phases in which callbacks or tasks ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Timeouts, intervals, and sleeps that have ended.
    Timers,
    /// After the wait: I/O, changes of files, signals and exits.
    Poll,
    /// Closures of other threads.
    Posts,
    /// Immediates. NodeJS calls this phase "check".
    Immediates,
    /// Callbacks that follow a close.
    Closing,
}

/// The part of a loop that records: nothing, or into the newest log.
#[derive(Default)]
pub(crate) struct Recorder {
    log: RefCell<Option<Rc<RefCell<Log>>>>,
}

/// The entries. No foreign code runs while it is borrowed: entries are plain data.
struct Log {
    capacity: usize,
    begin: Time,
    /// In the order of their ends, each with its number in the order of beginnings.
    entries: VecDeque<(u64, TimelineEntry)>,
    dropped: u64,
    turns: u64,
    /// The number of entries that have begun.
    begun: u64,
    /// The entries that have not ended: a turn, in it a phase, in that a callback.
    open: Vec<Begun>,
}

struct Begun {
    number: u64,
    /// The number of entries before it.
    count: u64,
    entry: TimelineEntry,
}

impl Log {
    fn new(capacity: usize, begin: Time) -> Log {
        Log {
            capacity,
            begin,
            entries: VecDeque::new(),
            dropped: 0,
            turns: 0,
            begun: 0,
            open: Vec::new(),
        }
    }

    /// The number of entries so far.
    fn count(&self) -> u64 {
        self.entries.len() as u64 + self.dropped
    }

    fn open(&mut self, what: Recorded, now: Time) {
        let (begin, end) = (now, now);
        self.begun += 1;
        self.open.push(Begun {
            number: self.begun,
            count: self.count(),
            entry: TimelineEntry { what, begin, end },
        });
    }

    /// Ends what began last. There is nothing when the recording has stopped meanwhile.
    fn close(&mut self, change: impl FnOnce(&mut Recorded), now: Time) {
        let Some(mut begun) = self.open.pop() else {
            return;
        };
        change(&mut begun.entry.what);
        begun.entry.end = now;
        let is_phase = matches!(begun.entry.what, Recorded::Phase(_));
        if is_phase && self.count() == begun.count {
            return; // nothing ran in it
        }
        self.entries.push_back((begun.number, begun.entry));
        if self.entries.len() > self.capacity {
            self.entries.pop_front();
            self.dropped += 1;
        }
    }
}

/// Something that has begun, and ends when this is dropped.
pub(crate) struct Span<'a>(Option<Open<'a>>);

struct Open<'a> {
    log: Rc<RefCell<Log>>,
    clock: &'a Clock,
    /// This thread was panicking when it began.
    panicking: bool,
    /// How many events a wait returned.
    events: usize,
}

impl Span<'_> {
    /// Ends a wait.
    pub(crate) fn end_with(mut self, events: usize) {
        if let Some(open) = &mut self.0 {
            open.events = events;
        }
    }
}

impl Drop for Span<'_> {
    fn drop(&mut self) {
        let Some(open) = &self.0 else { return };
        let mut log = open.log.borrow_mut();
        let change = |what: &mut Recorded| match what {
            Recorded::Wait { events, .. } => *events = open.events,
            Recorded::Callback { panicked, .. } => {
                *panicked = thread::panicking() && !open.panicking;
            }
            _ => {}
        };
        log.close(change, open.clock.now());
    }
}

impl State {
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorder.log.borrow().is_some()
    }

    #[inline]
    fn record(&self, what: impl FnOnce(&mut Log) -> Recorded) -> Span<'_> {
        let log = self.recorder.log.borrow();
        Span(log.as_ref().map(|log| self.open(log, what)))
    }

    fn open(&self, log: &Rc<RefCell<Log>>, what: impl FnOnce(&mut Log) -> Recorded) -> Open<'_> {
        let mut borrowed = log.borrow_mut();
        let what = what(&mut borrowed);
        borrowed.open(what, self.clock.now());
        Open {
            log: Rc::clone(log),
            clock: &self.clock,
            panicking: thread::panicking(),
            events: 0,
        }
    }

    pub(crate) fn record_turn(&self) -> Span<'_> {
        self.record(|log| {
            log.turns += 1;
            Recorded::Turn { number: log.turns }
        })
    }

    pub(crate) fn record_phase(&self, phase: Phase) -> Span<'_> {
        self.record(|_| Recorded::Phase(phase))
    }

    /// A callback, or a poll of a task.
    pub(crate) fn record_callback(
        &self,
        kind: CallbackKind,
        place: &'static Location<'static>,
    ) -> Span<'_> {
        self.record(|_| Recorded::Callback {
            kind,
            place,
            panicked: false,
        })
    }

    pub(crate) fn record_wait(&self, timeout: Option<Duration>) -> Span<'_> {
        self.record(|_| Recorded::Wait { timeout, events: 0 })
    }

    /// The loop has found these in its inbox.
    pub(crate) fn record_wake_up(&self, tasks: usize, posts: usize, stop: bool) {
        if tasks == 0 && posts == 0 && !stop {
            return;
        }
        if let Some(log) = &*self.recorder.log.borrow() {
            let (mut log, now) = (log.borrow_mut(), self.clock.now());
            log.open(Recorded::WakeUp { tasks, posts, stop }, now);
            log.close(|_| {}, now);
        }
    }
}

/// A recording of what a loop does. Made by [`Handle::record`]; ends when it is
/// [stopped](Recording::stop) or dropped.
#[must_use = "a recording that is dropped is lost"]
pub struct Recording {
    handle: Handle,
    log: Rc<RefCell<Log>>,
}

impl Recording {
    /// Ends the recording, also while the loop runs, from a callback or a task: what has begun by then ends
    /// here.
    #[must_use]
    pub fn stop(self) -> Timeline {
        let end = self.handle.now();
        let mut log = self.log.borrow_mut();
        while !log.open.is_empty() {
            log.close(|_| {}, end);
        }
        let mut entries = Vec::from(std::mem::take(&mut log.entries));
        entries.sort_unstable_by_key(|(number, _)| *number);
        Timeline {
            entries: entries.into_iter().map(|(_, entry)| entry).collect(),
            begin: log.begin,
            end,
            dropped: log.dropped,
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let mut newest = self.handle.state.recorder.log.borrow_mut();
        if newest
            .as_ref()
            .is_some_and(|log| Rc::ptr_eq(log, &self.log))
        {
            *newest = None;
        }
        // What has begun is not to be noted any more.
        self.log.borrow_mut().open.clear();
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.log.borrow();
        f.debug_struct("Recording")
            .field("begin", &log.begin)
            .field("entries", &log.entries.len())
            .field("dropped", &log.dropped)
            .finish_non_exhaustive()
    }
}

/// # A look inside: the timeline
impl Handle {
    /// Records from now on what the loop does: its turns and their phases, each callback and each poll
    /// of a task with the line that gave it to the loop, each wait, and each wake-up from another thread.
    /// [`Recording::stop`] makes a [`Timeline`] of it, which can be written as a page to look at.
    ///
    /// Keeps the newest `capacity` entries, of about 64 bytes each, and counts those that it drops: a
    /// hundred thousand are a few seconds of a busy server. Costs two looks at the clock for each entry.
    /// A second recording of the same loop ends the first, which keeps what it has. Only with the feature
    /// `timeline`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// let recording = handle.record(100_000);
    /// handle.set_timeout(Duration::from_millis(5), |_| println!("late"));
    /// event_loop.run()?;
    ///
    /// let timeline = recording.stop();
    /// let mut page = Vec::new(); // or a file
    /// timeline.write_html(&mut page)?;
    /// # assert!(page.starts_with(b"<!doctype html>"));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias(
        "trace",
        "profile",
        "async_hooks",
        "performance.timerify",
        "trace_events"
    ))]
    pub fn record(&self, capacity: usize) -> Recording {
        let log = Rc::new(RefCell::new(Log::new(capacity, self.now())));
        let recorder = &self.state.recorder;
        let old = recorder.log.replace(Some(Rc::clone(&log)));
        drop(old);
        Recording {
            handle: self.clone(),
            log,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::EventLoop;

    #[test]
    fn a_loop_records_while_its_newest_recording_is_there() {
        let event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let is_recorded = || handle.state.is_recorded();
        assert!(!is_recorded());
        let first = handle.record(1);
        let second = handle.record(1);
        drop(first);
        assert!(is_recorded());
        let _timeline = second.stop();
        assert!(!is_recorded());
        drop(handle.record(1));
        assert!(!is_recorded());
    }
}
