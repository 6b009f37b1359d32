//! A run: contenders take turns, within the time that is planned, and a bar shows the time left.
//!
//! - In each round every contender runs once. Rounds alternate between forward and backward order.
//! - The bar is drawn between two runs only, by the thread that measures: nothing else runs meanwhile.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) type Error = Box<dyn std::error::Error>;

/// Rounds at least and at most. Quartiles of fewer than five say nothing; more than 31 change nothing.
const ROUNDS: (usize, usize) = (5, 31);

/// In a quick run.
const QUICK_ROUNDS: (usize, usize) = (3, 15);

pub(crate) struct Run {
    pub(crate) quick: bool,
    bar: ProgressBar,
    /// The planned end of the part that runs, in milliseconds since the start of all parts.
    part_end: Cell<u64>,
    /// The time that the bar shows.
    told: Cell<Instant>,
}

impl Run {
    /// A run that is planned to take so long.
    pub(crate) fn new(quick: bool, planned: Duration) -> Run {
        let bar = ProgressBar::new(planned.as_millis() as u64);
        let style = "{bar:30} {percent:>3} %  {msg}  ({eta} left)";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is a constant"));
        Run {
            quick,
            bar,
            part_end: Cell::new(0),
            told: Cell::new(Instant::now()),
        }
    }

    /// Chooses between the values of a quick run and of a full one.
    pub(crate) fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Begins a part that is planned to take so long.
    pub(crate) fn begin(&self, name: &str, planned: Duration) {
        self.bar.set_position(self.part_end.get());
        self.part_end
            .set(self.part_end.get() + planned.as_millis() as u64);
        self.told.set(Instant::now());
        if self.bar.is_hidden() {
            eprintln!("{name}: {} s planned", planned.as_secs());
        }
        self.say(name);
    }

    /// Shows what runs now, and the time that has passed.
    pub(crate) fn say(&self, what: &str) {
        let now = Instant::now();
        let passed = (now - self.told.replace(now)).as_millis() as u64;
        let position = (self.bar.position() + passed).min(self.part_end.get());
        self.bar.set_message(what.to_string());
        self.bar.set_position(position);
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Runs the contenders in turn, round after round, for about so long.
    pub(crate) fn rounds<C, T>(
        &self,
        what: &str,
        time: Duration,
        contenders: &mut [C],
        mut measure: impl FnMut(&mut C) -> Result<T, Error>,
    ) -> Result<Vec<Vec<T>>, Error> {
        let (least, most) = self.pick(QUICK_ROUNDS, ROUNDS);
        let start = Instant::now();
        let mut rounds = Vec::new();
        while rounds.len() < least || (rounds.len() < most && start.elapsed() < time) {
            let mut round: Vec<Option<T>> = contenders.iter().map(|_| None).collect();
            for place in 0..contenders.len() {
                let index = match rounds.len() % 2 {
                    0 => place,
                    _ => contenders.len() - 1 - place,
                };
                self.say(what);
                round[index] = Some(measure(&mut contenders[index])?);
            }
            rounds.push(round.into_iter().flatten().collect());
        }
        Ok(rounds)
    }
}
