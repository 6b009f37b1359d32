//! Contenders that do the same thing, and the table of what it took them.

use std::{
    env,
    process::Command,
    time::{Duration, Instant},
};

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

    /// Has all contenders take turns, and prints the table. `name` is that of the group, if
    /// instructions are to be counted too.
    pub(crate) fn run(mut self, name: Option<&str>) {
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
        for ((contender, _), own) in self.contenders.iter().zip(&times) {
            let ratios = own.iter().zip(&times[0]).map(|(own, first)| own / first);
            let (low, ratio, high) = spread(ratios.collect());
            let (_, time, _) = spread(own.clone());
            print!("  {contender:<10} {time:>10.1} ns   {ratio:>5.2}  ({low:.2}-{high:.2})");
            match name.map(|name| self.instructions(name, contender)) {
                Some(Some(count)) => println!("  {count:>6.0} instructions"),
                Some(None) => println!("       - instructions"),
                None => println!(),
            }
        }
    }

    /// Has one contender take some turns, for a profiler.
    pub(crate) fn once(mut self, contender: &str, turns: usize) {
        let mut all = self.contenders.iter_mut();
        let (_, turn) = all
            .find(|(name, _)| *name == contender)
            .expect("a contender's name");
        for _ in 0..turns {
            turn();
        }
    }

    /// What a contender executes in user space for one thing: the difference between two numbers of
    /// turns, so that beginning is not in it.
    fn instructions(&self, name: &str, contender: &str) -> Option<f64> {
        const MORE: usize = 2;
        let [one, several] = [1, 1 + MORE].map(|turns| collected(name, contender, turns));
        Some((several? - one?) / (MORE as f64 * f64::from(self.per_turn)))
    }
}

/// Runs this program under callgrind, which collects only within [`measured`].
fn collected(group: &str, contender: &str, turns: usize) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*group*measured*")
        .arg(env::current_exe().ok()?)
        .args(["once", group, contender, &turns.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let (_, count) = text.split_once("Collected :")?;
    count.split_whitespace().next()?.parse().ok()
}

/// Does the thing that a group is about, a number of times, and says how long it took.
pub(crate) fn time(times: u32, thing: impl FnMut()) -> Duration {
    let start = Instant::now();
    measured(times, thing);
    start.elapsed()
}

/// A function of its own, which callgrind can recognise.
#[inline(never)]
fn measured(times: u32, mut thing: impl FnMut()) {
    for _ in 0..times {
        thing();
    }
}

/// The quarter points of some figures.
fn spread(mut figures: Vec<f64>) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    let at = |quarter: usize| figures[(figures.len() - 1) * quarter / 4];
    (at(1), at(2), at(3))
}
