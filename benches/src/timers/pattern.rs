//! Scripts of the operations that servers make on timers, so that all peers do exactly the same.
//!
//! A timer is known by its number, as a connection would know it. Delays count from the last turn of the loop, in
//! microseconds.

/// Some operations of one kind, or a turn of the loop.
pub(crate) enum Part {
    /// Timer, delay.
    Insert(Vec<(u32, u32)>),
    Cancel(Vec<u32>),
    /// A timer that is armed gets a new deadline, which is later.
    Later(Vec<(u32, u32)>),
    /// Timer to insert, delay, timer to cancel.
    Life(Vec<(u32, u32, u32)>),
    /// Time moves on by so many microseconds, and due timers expire.
    Turn(u32),
}

pub(crate) struct Script {
    /// How many numbers of timers are in use.
    pub(crate) timers: usize,
    pub(crate) setup: Vec<Part>,
    pub(crate) measured: Vec<Part>,
    /// How many operations the measured part counts as.
    pub(crate) operations: usize,
}

pub(crate) struct Pattern {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) script: fn(usize) -> Script,
}

pub(crate) const ALL: [Pattern; 7] = [
    Pattern {
        name: "insert",
        about: "insert n timers, due at random within a minute",
        script: insert,
    },
    Pattern {
        name: "cancel",
        about: "cancel a tenth of n, chosen at random",
        script: cancel,
    },
    Pattern {
        name: "life",
        about: "beside n timers: insert one, cancel it 64 inserts later",
        script: life,
    },
    Pattern {
        name: "later",
        about: "n idle timeouts of a minute, each pushed back about every 3 s",
        script: later,
    },
    Pattern {
        name: "expire",
        about: "all of n expire in one turn",
        script: expire,
    },
    Pattern {
        name: "mix",
        about: "60 % later, 20 % insert, 15 % cancel, 5 % expire",
        script: mix,
    },
    Pattern {
        name: "bursts",
        about: "bursts of a thousand equal deadlines: insert n, then expire all",
        script: bursts,
    },
];

const SECOND: u32 = 1_000_000;
const MINUTE: u32 = 60 * SECOND;

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * limit as u128) >> 64) as usize
    }

    fn delay(&mut self, limit: u32) -> u32 {
        self.below(limit as usize) as u32
    }

    fn shuffled(&mut self, n: usize) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..n as u32).collect();
        for last in (1..n).rev() {
            numbers.swap(last, self.below(last + 1));
        }
        numbers
    }

    /// Timers `0..n` in random order, as connections come from all over the memory; due at random
    /// within a minute.
    fn fill(&mut self, n: usize) -> Part {
        let order = self.shuffled(n);
        Part::Insert(
            order
                .into_iter()
                .map(|timer| (timer, self.delay(MINUTE)))
                .collect(),
        )
    }
}

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

fn insert(n: usize) -> Script {
    let measured = vec![Random(SEED).fill(n)];
    Script {
        timers: n,
        setup: vec![],
        measured,
        operations: n,
    }
}

fn cancel(n: usize) -> Script {
    let mut random = Random(SEED);
    let setup = vec![random.fill(n)];
    let victims = random.shuffled(n)[..n / 10].to_vec();
    Script {
        timers: n,
        setup,
        measured: vec![Part::Cancel(victims)],
        operations: n / 10,
    }
}

fn life(n: usize) -> Script {
    const UNDER_WAY: u32 = 64;
    let mut random = Random(SEED);
    let young = n as u32..n as u32 + UNDER_WAY;
    let first = young
        .clone()
        .map(|timer| (timer, random.delay(MINUTE)))
        .collect();
    let setup = vec![random.fill(n), Part::Insert(first)];
    let operations = n.clamp(10_000, 100_000);
    let lives = (0..operations as u32).map(|i| {
        // One number more than are under way: the new timer has the number of the one cancelled last.
        let new = n as u32 + (i + UNDER_WAY) % (UNDER_WAY + 1);
        (new, random.delay(MINUTE), n as u32 + i % (UNDER_WAY + 1))
    });
    let measured = vec![Part::Life(lives.collect())];
    Script {
        timers: n + UNDER_WAY as usize + 1,
        setup,
        measured,
        operations,
    }
}

/// Each timer is pushed back about every three seconds, for a little more than a minute: so each comes
/// near its first deadline once. One in a hundred is idle indeed, so that at any time there is one
/// whose deadline is near.
fn later(n: usize) -> Script {
    const ROUNDS: usize = 24;
    let mut random = Random(SEED);
    let gap = |i: usize| (i as u64 * 3 * u64::from(SECOND) / n as u64) as u32;
    let busy = (0..n as u32).map(|timer| (timer, MINUTE));
    let idle = (n..n + n / 100).map(|timer| (timer as u32, random.delay(2 * MINUTE)));
    let setup = vec![Part::Insert(busy.chain(idle).collect())];
    let turn = (n / 100).max(1000);
    let mut measured = Vec::new();
    for _ in 0..ROUNDS {
        for batch in random.shuffled(n).chunks(turn) {
            let pushes = batch
                .iter()
                .enumerate()
                .map(|(i, &timer)| (timer, MINUTE + gap(i)));
            measured.push(Part::Later(pushes.collect()));
            measured.push(Part::Turn(gap(batch.len())));
        }
    }
    Script {
        timers: n + n / 100,
        setup,
        measured,
        operations: ROUNDS * n,
    }
}

fn expire(n: usize) -> Script {
    let setup = vec![Random(SEED).fill(n)];
    Script {
        timers: n,
        setup,
        measured: vec![Part::Turn(2 * MINUTE)],
        operations: n,
    }
}

/// libuv's `million_timers`, where the deadlines of each thousand timers are a millisecond later.
fn bursts(n: usize) -> Script {
    let timers = (0..n as u32).map(|timer| (timer, 1000 * (1 + timer / 1000)));
    let measured = vec![
        Part::Insert(timers.collect()),
        Part::Turn(n as u32 + MINUTE),
    ];
    Script {
        timers: n,
        setup: vec![],
        measured,
        operations: n,
    }
}

fn mix(n: usize) -> Script {
    Mixer::new(n).script(n)
}

/// Writes the script of `mix`. It has to know which timers are alive at any moment, hence this model.
struct Mixer {
    random: Random,
    now: u64,
    /// By deadline, as a peer would have them.
    due: std::collections::BTreeSet<(u64, u32)>,
    deadlines: Vec<u64>,
    alive: Vec<u32>,
    /// Where in `alive` a timer stands.
    places: Vec<usize>,
    /// Numbers to use again, the oldest first. Peers that count milliseconds fire a little late, so
    /// a number that is free has to rest for a while.
    free: std::collections::VecDeque<u32>,
}

impl Mixer {
    fn new(n: usize) -> Self {
        Mixer {
            random: Random(SEED),
            now: 0,
            due: Default::default(),
            deadlines: vec![0; 2 * n],
            alive: Vec::new(),
            places: vec![0; 2 * n],
            free: (0..2 * n as u32).collect(),
        }
    }

    fn script(mut self, n: usize) -> Script {
        let setup = vec![Part::Insert((0..n).map(|_| self.insert()).collect())];
        let turn = (n / 100).max(1000);
        let turns = (2 * n / turn).max(10);
        let mut measured = Vec::new();
        for _ in 0..turns {
            // In eight portions: operations on different connections are interleaved.
            for _ in 0..8 {
                let portion = turn / 8;
                measured.push(Part::Later(
                    (0..portion * 60 / 100).map(|_| self.later()).collect(),
                ));
                measured.push(Part::Insert(
                    (0..portion * 20 / 100).map(|_| self.insert()).collect(),
                ));
                measured.push(Part::Cancel(
                    (0..portion * 15 / 100).map(|_| self.cancel()).collect(),
                ));
            }
            measured.push(self.expire(turn * 5 / 100));
        }
        let operations =
            measured.iter().map(Part::operations).sum::<usize>() + turns * (turn * 5 / 100);
        Script {
            timers: 2 * n,
            setup,
            measured,
            operations,
        }
    }

    fn insert(&mut self) -> (u32, u32) {
        let timer = self
            .free
            .pop_front()
            .expect("there are twice as many numbers as timers");
        self.places[timer as usize] = self.alive.len();
        self.alive.push(timer);
        let delay = self.random.delay(MINUTE);
        self.arm(timer, delay);
        (timer, delay)
    }

    fn later(&mut self) -> (u32, u32) {
        let timer = self.alive[self.random.below(self.alive.len())];
        let before = self.deadlines[timer as usize];
        self.due.remove(&(before, timer));
        let delay = (before - self.now) as u32 + self.random.delay(10 * SECOND);
        self.arm(timer, delay);
        (timer, delay)
    }

    fn cancel(&mut self) -> u32 {
        let timer = self.alive[self.random.below(self.alive.len())];
        self.due.remove(&(self.deadlines[timer as usize], timer));
        self.forget(timer);
        timer
    }

    /// Time moves on to where `count` timers are due.
    fn expire(&mut self, count: usize) -> Part {
        let before = self.now;
        for _ in 0..count {
            let Some((deadline, timer)) = self.due.pop_first() else {
                break;
            };
            self.now = deadline;
            self.forget(timer);
        }
        // All that are due at that very microsecond.
        while let Some(&(deadline, timer)) = self.due.first().filter(|first| first.0 <= self.now) {
            self.due.remove(&(deadline, timer));
            self.forget(timer);
        }
        Part::Turn((self.now - before) as u32)
    }

    fn arm(&mut self, timer: u32, delay: u32) {
        let deadline = self.now + u64::from(delay);
        self.deadlines[timer as usize] = deadline;
        self.due.insert((deadline, timer));
    }

    fn forget(&mut self, timer: u32) {
        let place = self.places[timer as usize];
        self.alive.swap_remove(place);
        if let Some(&moved) = self.alive.get(place) {
            self.places[moved as usize] = place;
        }
        self.free.push_back(timer);
    }
}

impl Part {
    fn operations(&self) -> usize {
        match self {
            Part::Insert(timers) | Part::Later(timers) => timers.len(),
            Part::Cancel(timers) => timers.len(),
            Part::Life(lives) => lives.len(),
            Part::Turn(_) => 0,
        }
    }
}
