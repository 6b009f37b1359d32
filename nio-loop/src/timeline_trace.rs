//! A timeline in the format of Chrome's traces ("Trace Event Format", JSON), which <https://ui.perfetto.dev> and
//! `chrome://tracing` read.

use std::{
    io::{self, BufWriter, Write},
    process,
};

use crate::{Recorded, Time, Timeline, TimelineEntry, timeline::Escaped};

/// Microseconds with three decimals, the unit of the format.
struct Micros(u128);

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

impl Timeline {
    /// Writes it as a trace, in JSON, for <https://ui.perfetto.dev> or `chrome://tracing`. Everything is on one track, where
    /// turns contain phases, which contain callbacks. The arguments of each event say where it comes from.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    #[doc(alias("perfetto", "chrome tracing", "trace_events"))]
    pub fn write_trace(&self, to: impl Write) -> io::Result<()> {
        let mut to = BufWriter::new(to);
        let process = process::id();
        write!(
            to,
            r#"{{"displayTimeUnit":"ns","otherData":{{"dropped":{}}},"traceEvents":["#,
            self.dropped
        )?;
        write!(
            to,
            r#"{{"name":"thread_name","ph":"M","pid":{process},"tid":1,"args":{{"name":"event loop"}}}}"#
        )?;
        for entry in &self.entries {
            to.write_all(b",\n")?;
            write_event(&mut to, entry, process)?;
        }
        to.write_all(b"]}\n")?;
        to.flush()
    }
}

fn write_event(to: &mut impl Write, entry: &TimelineEntry, process: u32) -> io::Result<()> {
    let category = match entry.what {
        Recorded::Turn { .. } => "turn",
        Recorded::Phase(_) => "phase",
        Recorded::Callback { .. } => "callback",
        Recorded::Wait { .. } => "wait",
        Recorded::WakeUp { .. } => "wake-up",
    };
    let begin = Micros((entry.begin - Time::START).as_nanos());
    write!(
        to,
        r#"{{"name":"{}","cat":"{category}","pid":{process},"tid":1,"ts":{begin},"#,
        entry.what
    )?;
    match entry.what {
        // A moment of this thread.
        Recorded::WakeUp { .. } => write!(to, r#""ph":"i","s":"t","#)?,
        _ => write!(to, r#""ph":"X","dur":{},"#, Micros(entry.took().as_nanos()))?,
    }
    match entry.what {
        Recorded::Turn { number } => write!(to, r#""args":{{"number":{number}}}}}"#),
        Recorded::Phase(_) => write!(to, r#""args":{{}}}}"#),
        Recorded::Callback {
            place, panicked, ..
        } => {
            let place = place.to_string();
            let site = Escaped(&place);
            write!(to, r#""args":{{"site":"{site}","panicked":{panicked}}}}}"#)
        }
        Recorded::Wait { timeout, events } => match timeout {
            None => write!(to, r#""args":{{"timeout_us":null,"events":{events}}}}}"#),
            Some(timeout) => {
                let timeout = Micros(timeout.as_nanos());
                write!(
                    to,
                    r#""args":{{"timeout_us":{timeout},"events":{events}}}}}"#
                )
            }
        },
        Recorded::WakeUp { tasks, posts, stop } => {
            write!(
                to,
                r#""args":{{"tasks":{tasks},"posts":{posts},"stop":{stop}}}}}"#
            )
        }
    }
}
