//! A timeline: what a loop did, in the order in which it began.

use std::{fmt, panic::Location, time::Duration};

use crate::{CallbackKind, Phase, Time};

/// What a loop did during a [`Recording`](crate::Recording): turns, phases, callbacks, polls of tasks, waits and
/// wake-ups. [`write_html`](Timeline::write_html) and [`write_trace`](Timeline::write_trace) make something to look at.
///
/// ```
/// # use std::time::Duration;
/// # use nio_loop::{Clock, EventLoop, Recorded};
/// # fn main() -> Result<(), nio_loop::Error> {
/// let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
/// let handle = event_loop.handle();
/// let recording = handle.record(1000);
/// handle.set_timeout(Duration::from_secs(3), |_| {});
/// event_loop.run()?;
///
/// let timeline = recording.stop();
/// let waits = timeline.entries.iter().filter(|entry| matches!(entry.what, Recorded::Wait { .. }));
/// assert_eq!(waits.map(|wait| wait.took()).sum::<Duration>(), Duration::from_secs(3));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeline {
    /// In the order in which they began; one that contains others comes before them.
    pub entries: Vec<TimelineEntry>,
    /// When the recording began.
    pub begin: Time,
    /// When it was stopped.
    pub end: Time,
    /// The number of entries that were dropped for want of room, the oldest first.
    pub dropped: u64,
}

/// One thing that a loop did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimelineEntry {
    /// What it was.
    pub what: Recorded,
    /// When it began, by the loop's clock.
    pub begin: Time,
    /// When it ended, or when the recording was stopped if that was before.
    pub end: Time,
}

impl TimelineEntry {
    /// How long it took. What it contains is a part of that.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.end - self.begin
    }
}

/// What a loop did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// One turn.
    #[non_exhaustive]
    Turn {
        /// The first of a recording is 1.
        number: u64,
    },
    /// A phase of a turn in which something ran, with the ticks and tasks between its callbacks.
    Phase(Phase),
    /// A callback, or one poll of a task.
    #[non_exhaustive]
    Callback {
        /// What it was.
        kind: CallbackKind,
        /// Where it was given to the loop.
        place: &'static Location<'static>,
        /// It ended by a panic.
        panicked: bool,
    },
    /// The loop asked the kernel for events, and may have slept.
    #[non_exhaustive]
    Wait {
        /// For how long it would have slept without an event: until the next deadline, for ever (`None`), or not
        /// at all (zero), because there was something to do.
        timeout: Option<Duration>,
        /// How many events it got.
        events: usize,
    },
    /// The loop found what other threads had left for it: this is when, and takes no time. A
    /// [`Remote::wake`](crate::Remote::wake) that brings nothing is not told, but the wait that it ended is.
    #[non_exhaustive]
    WakeUp {
        /// How many tasks were woken by other threads.
        tasks: usize,
        /// How many closures were posted.
        posts: usize,
        /// Whether another thread has stopped the loop.
        stop: bool,
    },
}

impl Recorded {
    /// The row of the page.
    pub(crate) fn row(&self) -> Row {
        match self {
            Recorded::Turn { .. } => Row::Turns,
            Recorded::Wait { .. } => Row::Waits,
            Recorded::WakeUp { .. } => Row::WakeUps,
            Recorded::Phase(phase) => match phase {
                Phase::Timers => Row::Timers,
                Phase::Poll => Row::Poll,
                Phase::Posts => Row::Posts,
                Phase::Immediates => Row::Immediates,
                Phase::Closing => Row::Closing,
            },
            Recorded::Callback { kind, .. } => match kind {
                CallbackKind::Timeout | CallbackKind::Interval => Row::Timers,
                CallbackKind::Watch
                | CallbackKind::Signal
                | CallbackKind::Exit
                | CallbackKind::Change => Row::Poll,
                CallbackKind::Post => Row::Posts,
                CallbackKind::Immediate => Row::Immediates,
                CallbackKind::Close => Row::Closing,
                CallbackKind::Tick => Row::Ticks,
                CallbackKind::Task => Row::Tasks,
            },
        }
    }
}

/// The rows of the page, from top to bottom: the order of a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    Turns,
    Timers,
    Waits,
    WakeUps,
    Poll,
    Posts,
    Immediates,
    Closing,
    Ticks,
    Tasks,
}

/// The entry as a short text.
impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Recorded::Turn { number } => write!(f, "turn {number}"),
            Recorded::Phase(Phase::Timers) => f.write_str("phase timers"),
            Recorded::Phase(Phase::Poll) => f.write_str("phase poll"),
            Recorded::Phase(Phase::Posts) => f.write_str("phase posts"),
            Recorded::Phase(Phase::Immediates) => f.write_str("phase immediates"),
            Recorded::Phase(Phase::Closing) => f.write_str("phase closing"),
            Recorded::Callback { kind, .. } => kind.fmt(f),
            Recorded::Wait { timeout, .. } => match timeout {
                None => f.write_str("wait for ever"),
                Some(Duration::ZERO) => f.write_str("poll without waiting"),
                Some(_) => f.write_str("wait until the next deadline"),
            },
            Recorded::WakeUp { .. } => f.write_str("wake-up"),
        }
    }
}

/// A text as the inside of a JSON string. Every `<` is escaped, so that a script of an HTML page may contain it.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                    write!(f, "\\u{:04x}", u32::from(c))?;
                }
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_the_same_text_again_and_ends_no_script() {
        let texts = [
            "src/main.rs:1:2",
            r#"a "quoted" \path"#,
            "</script><!-- & \u{2028}\u{2029}",
            "\0\x01\t\n\r\x1f\x7f",
            "tüñß 🦀",
        ];
        for text in texts {
            let escaped = format!("\"{}\"", Escaped(text));
            assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
            assert!(!escaped.contains(['<', '>', '&', '\n']), "{escaped}");
        }
    }
}
