//! Contenders that do the same thing, and the table of what it took them.

use std::time::Duration;

use crate::count;

/// How often each contender has a turn.
const ROUNDS: usize = 31;

/// Does the thing a number of times, and says how long that took.
pub(crate) type Turn = Box<dyn FnMut(u32) -> Duration>;

/// Makes a contender, if it is installed.
type Make = Box<dyn Fn() -> Option<Turn>>;

/// Some ways to do one thing. The first one is nio's.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    about: &'static str,
    /// How many times one turn of a contender does it.
    times: u32,
    contenders: Vec<(&'static str, Make)>,
}

impl Group {
    pub(crate) fn new(name: &'static str, about: &'static str, times: u32) -> Group {
        let contenders = Vec::new();
        Group {
            name,
            about,
            times,
            contenders,
        }
    }

    /// Adds a contender.
    #[must_use]
    pub(crate) fn with<T>(self, name: &'static str, make: impl Fn() -> T + 'static) -> Group
    where
        T: FnMut(u32) -> Duration + 'static,
    {
        self.with_installed(name, move || Some(make()))
    }

    /// Adds a contender that may not be installed.
    #[must_use]
    pub(crate) fn with_installed<T>(
        mut self,
        name: &'static str,
        make: impl Fn() -> Option<T> + 'static,
    ) -> Group
    where
        T: FnMut(u32) -> Duration + 'static,
    {
        let make = move || make().map(|turn| Box::new(turn) as Turn);
        self.contenders.push((name, Box::new(make)));
        self
    }

    /// Has all contenders take turns, and prints the table.
    pub(crate) fn run(self, counted: bool) {
        println!("{}: {}", self.name, self.about);
        let made = self.contenders.iter().map(|(name, make)| (*name, make()));
        let mut made: Vec<_> = made
            .filter_map(|(name, turn)| Some((name, turn?)))
            .collect();
        let mut times = vec![Vec::new(); made.len()];
        for round in 0..=ROUNDS {
            for ((_, turn), times) in made.iter_mut().zip(&mut times) {
                let time = turn(self.times).as_nanos() as f64 / f64::from(self.times);
                // The first round is to warm up.
                if round > 0 {
                    times.push(time);
                }
            }
        }
        for ((name, _), own) in made.iter().zip(&times) {
            let ratios = own.iter().zip(&times[0]).map(|(own, first)| own / first);
            let (low, ratio, high) = spread(ratios.collect());
            let (_, time, _) = spread(own.clone());
            print!("  {name:<14} {time:>10.1} ns   {ratio:>5.2}  ({low:.2}-{high:.2})");
            if counted {
                match count::instructions(self.name, name, self.times) {
                    Some(count) => print!("{count:>10.0} instructions"),
                    None => print!("         - (no callgrind)"),
                }
            }
            println!();
        }
        println!();
    }

    /// One turn of one contender, for a profiler.
    pub(crate) fn once(self, contender: &str, times: u32) {
        let found = self.contenders.iter().find(|(name, _)| *name == contender);
        let (_, make) = found.expect("a contender's name");
        make().expect("it is installed")(times);
    }
}

/// The quarter points of some figures.
fn spread(mut figures: Vec<f64>) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    let at = |quarter: usize| figures[(figures.len() - 1) * quarter / 4];
    (at(1), at(2), at(3))
}

/// Times a thing done a number of times.
pub(crate) fn time(times: u32, mut thing: impl FnMut()) -> Duration {
    let start = stopwatch();
    for _ in 0..times {
        thing();
    }
    stopwatch() - start
}

/// The processor time of this thread, in which that of other programs is not.
pub(crate) fn stopwatch() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: there is room for a time.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
