//! Contenders that do the same thing, and the table of what it took them.

use std::time::Duration;

/// How often each contender has a turn.
const ROUNDS: usize = 31;

/// A name, and what does the thing a number of times and says how long it took.
type Contender = (&'static str, Box<dyn FnMut() -> Duration>);

/// Some ways to do one thing.
pub(crate) struct Group {
    pub(crate) title: String,
    /// How many things one turn of a contender does.
    pub(crate) per_turn: u32,
    pub(crate) contenders: Vec<Contender>,
}

impl Group {
    /// Adds a contender.
    pub(crate) fn add(&mut self, name: &'static str, turn: impl FnMut() -> Duration + 'static) {
        self.contenders.push((name, Box::new(turn)));
    }

    /// Has all contenders take turns, and prints the table.
    pub(crate) fn run(mut self) {
        let mut times = vec![Vec::new(); self.contenders.len()];
        for round in 0..=ROUNDS {
            for ((_, turn), times) in self.contenders.iter_mut().zip(&mut times) {
                let time = turn().as_nanos() as f64 / f64::from(self.per_turn);
                // The first round is to warm up.
                if round > 0 {
                    times.push(time);
                }
            }
        }
        println!("\n{}", self.title);
        for ((name, _), own) in self.contenders.iter().zip(&times) {
            let ratios = own.iter().zip(&times[0]).map(|(own, first)| own / first);
            let (low, ratio, high) = spread(ratios.collect());
            let (_, time, _) = spread(own.clone());
            println!("  {name:<10} {time:>10.1} ns   {ratio:>5.2}  ({low:.2}-{high:.2})");
        }
    }
}

/// The quarter points of some figures.
fn spread(mut figures: Vec<f64>) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    let at = |quarter: usize| figures[(figures.len() - 1) * quarter / 4];
    (at(1), at(2), at(3))
}
