//! A timeline as one self-contained HTML page: `timeline.html` with the data put into it.

use std::{
    collections::HashMap,
    io::{self, BufWriter, Write},
};

use crate::{Recorded, Timeline, TimelineEntry, timeline::Escaped};

/// The page, and the place in it for the data.
const PAGE: &str = include_str!("timeline.html");
const DATA: &str = "@DATA@";

impl Timeline {
    /// Writes it as one self-contained HTML page: a timeline to zoom into, with a row for each phase, for waits, ticks and tasks,
    /// and tables of the slowest callbacks and of the lines that they come from.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    #[doc(alias("flame graph", "profile"))]
    pub fn write_html(&self, to: impl Write) -> io::Result<()> {
        let mut to = BufWriter::new(to);
        let (before, after) = PAGE
            .split_once(DATA)
            .expect("the page has a place for the data");
        to.write_all(before.as_bytes())?;
        self.write_data(&mut to)?;
        to.write_all(after.as_bytes())?;
        to.flush()
    }

    /// All times are nanoseconds since the recording began.
    fn write_data(&self, to: &mut impl Write) -> io::Result<()> {
        let mut names = Texts::default();
        let mut sites = Texts::default();
        let took = (self.end - self.begin).as_nanos();
        write!(
            to,
            r#"{{"took":{took},"dropped":{},"entries":["#,
            self.dropped
        )?;
        for (index, entry) in self.entries.iter().enumerate() {
            if index > 0 {
                to.write_all(b",\n")?;
            }
            self.write_entry(to, entry, &mut names, &mut sites)?;
        }
        to.write_all(br#"],"names":["#)?;
        names.write(to)?;
        to.write_all(br#"],"sites":["#)?;
        sites.write(to)?;
        to.write_all(b"]}")
    }

    /// `[row, name, begin, duration, site or -1, detail…]`; a phase has no detail.
    fn write_entry(
        &self,
        to: &mut impl Write,
        entry: &TimelineEntry,
        names: &mut Texts,
        sites: &mut Texts,
    ) -> io::Result<()> {
        let (what, row) = (entry.what, entry.what.row() as u8);
        let name = match what {
            // The number is a detail, so that all turns have one name.
            Recorded::Turn { .. } => names.number_of("turn".into()),
            what => names.number_of(what.to_string()),
        };
        let site = match what {
            Recorded::Callback { place, .. } => sites.number_of(place.to_string()).to_string(),
            _ => "-1".into(),
        };
        let begin = (entry.begin - self.begin).as_nanos();
        let took = entry.took().as_nanos();
        write!(to, "[{row},{name},{begin},{took},{site}")?;
        match what {
            Recorded::Turn { number } => write!(to, ",{number}]"),
            Recorded::Phase(_) => write!(to, "]"),
            Recorded::Callback { panicked, .. } => write!(to, ",{}]", u8::from(panicked)),
            Recorded::Wait { timeout, events } => match timeout {
                None => write!(to, ",{events},-1]"),
                Some(timeout) => write!(to, ",{events},{}]", timeout.as_nanos()),
            },
            Recorded::WakeUp { tasks, posts, stop } => {
                write!(to, ",{tasks},{posts},{}]", u8::from(stop))
            }
        }
    }
}

/// Texts that occur often, written once.
#[derive(Default)]
struct Texts {
    numbers: HashMap<String, usize>,
    texts: Vec<String>,
}

impl Texts {
    fn number_of(&mut self, text: String) -> usize {
        let next = self.texts.len();
        *self.numbers.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            next
        })
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        for (index, text) in self.texts.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(to, r#"{comma}"{}""#, Escaped(text))?;
        }
        Ok(())
    }
}
