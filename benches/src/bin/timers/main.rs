//! nio-timer beside its peers.
//!
//! `cargo run --release -p nio-benches --bin timers` runs all patterns against all peers and prints
//! nanoseconds per operation, and how many times as long as nio each peer takes.
//! `... --bin timers instructions` counts instructions per operation instead, with callgrind.
//!
//! The peers take turns, round after round, so what else the machine does hits all of them alike. A
//! time is that of the quietest run, as all noise adds; a ratio is the median of those within a round.

mod clock;
mod pattern;
mod peers;

use pattern::{MILLION, PATTERNS, Part, Pattern, Script};
use peers::Kind;
use std::process::Command;
use std::time::Duration;

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
const ROUNDS: usize = 5;
/// After so long no further round is begun.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a peer is run in each round, at least.
const SLICE: Duration = Duration::from_millis(40);
/// A run that need not be repeated within its round.
const LONG: Duration = Duration::from_secs(1);
const BURSTS: usize = 10_000_000;
/// Where instructions are counted. Callgrind slows a program down fifty times.
const COUNTED_SIZE: usize = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare("", &[]),
        ["instructions"] => count_instructions(),
        ["only", pattern, ref peers @ ..] => compare(pattern, peers),
        ["once", peer, pattern, n] => run_once(peer, pattern, n),
        _ => {
            eprintln!("usage: timers [instructions | only PATTERN [PEER...] | once PEER PATTERN N]")
        }
    }
}

fn compare(only: &str, names: &[&str]) {
    let peers: Vec<&Kind> = peers::ALL
        .iter()
        .filter(|peer| names.is_empty() || names.contains(&peer.name))
        .collect();
    println!("ns per operation; in brackets, how many times as long as the first\n");
    let wanted = |pattern: &&Pattern| only.is_empty() || only == pattern.name;
    for pattern in PATTERNS.iter().filter(wanted) {
        println!("{}: {}", pattern.name, pattern.about);
        let columns = SIZES.map(|n| measure(&peers, pattern, n));
        print_table(&peers, &SIZES, &columns);
    }
    if wanted(&&MILLION) {
        println!("{}: {}", MILLION.name, MILLION.about);
        let column = measure(&peers, &MILLION, BURSTS);
        print_table(&peers, &[BURSTS], &[column]);
    }
}

/// Nanoseconds per operation, and how many times as long as the first peer.
type Measured = Option<(f64, f64)>;

/// What each peer takes.
fn measure(peers: &[&Kind], pattern: &Pattern, n: usize) -> Vec<Measured> {
    let script = (pattern.script)(n);
    let (begun, mut rounds) = (clock::stopwatch(), Vec::new());
    while rounds.is_empty() || (rounds.len() < ROUNDS && clock::stopwatch() - begun < PATIENCE) {
        let times = peers.iter().map(|peer| run_round(peer, &script, n));
        rounds.push(times.collect::<Vec<_>>());
    }
    let summary = |peer: usize| {
        let mut times: Vec<f64> = rounds.iter().filter_map(|round| round[peer]).collect();
        let ratio = |round: &Vec<Option<f64>>| Some(round[peer]? / round[0]?);
        let mut ratios: Vec<f64> = rounds.iter().filter_map(ratio).collect();
        times.sort_by(f64::total_cmp);
        ratios.sort_by(f64::total_cmp);
        Some((*times.first()?, *ratios.get(ratios.len() / 2)?))
    };
    (0..peers.len()).map(summary).collect()
}

/// Nanoseconds per operation of the quietest of several runs, after one to warm up.
fn run_round(peer: &Kind, script: &Script, n: usize) -> Option<f64> {
    if n > peer.limit {
        return None;
    }
    let mut best = f64::INFINITY;
    (peer.run)(script.timers, &mut |replay| {
        let (begun, mut runs) = (clock::stopwatch(), 0);
        let mut now = clock::now();
        // The first run makes the peer allocate what it needs; it counts only if it is so long that
        // this doesn't.
        while best.is_infinite() || clock::stopwatch() - begun < SLICE {
            replay.replay(&script.setup, &mut now);
            let start = clock::stopwatch();
            replay.replay_measured(&script.measured, &mut now);
            let taken = clock::stopwatch() - start;
            replay.replay(&[Part::Turn(u32::MAX)], &mut now);
            runs += 1;
            if runs > 1 || taken > LONG {
                best = best.min(taken.as_nanos() as f64 / script.operations as f64);
            }
        }
    })?;
    Some(best)
}

fn print_table(peers: &[&Kind], sizes: &[usize], columns: &[Vec<Measured>]) {
    print!("{:14}", "");
    sizes.iter().for_each(|n| print!("{n:>10}         "));
    println!();
    for (row, peer) in peers.iter().enumerate() {
        print!("  {:12}", peer.name);
        for column in columns {
            match column[row] {
                Some((time, _)) if row == 0 => print!("{time:10.1}         "),
                Some((time, ratio)) => print!("{time:10.1} ({ratio:5.2}) "),
                None => print!("{:>10}         ", "-"),
            }
        }
        println!();
    }
    println!();
}

/// One measured run, after one to warm up, for a profiler.
fn run_once(peer: &str, pattern: &str, n: &str) {
    let peer = peers::ALL
        .iter()
        .find(|kind| kind.name == peer)
        .expect("a peer's name");
    let mut patterns = PATTERNS.iter().chain([&MILLION]);
    let pattern = patterns
        .find(|known| known.name == pattern)
        .expect("a pattern's name");
    let script = (pattern.script)(n.parse().expect("a number of timers"));
    (peer.run)(script.timers, &mut |replay| {
        let mut now = clock::now();
        replay.replay(&script.setup, &mut now);
        replay.replay(&script.measured, &mut now);
        replay.replay(&[Part::Turn(u32::MAX)], &mut now);
        replay.replay(&script.setup, &mut now);
        let before = replay.fired();
        replay.replay_measured(&script.measured, &mut now);
        println!(
            "operations {} fired {}",
            script.operations,
            replay.fired() - before
        );
    });
}

fn count_instructions() {
    println!("instructions per operation, with {COUNTED_SIZE} timers\n");
    print!("{:14}", "");
    PATTERNS
        .iter()
        .for_each(|pattern| print!("{:>10}", pattern.name));
    println!();
    for peer in peers::ALL.iter().filter(|peer| peer.limit >= COUNTED_SIZE) {
        print!("  {:12}", peer.name);
        for pattern in &PATTERNS {
            match instructions(peer, pattern) {
                Some(count) => print!("{count:10.0}"),
                None => print!("{:>10}", "-"),
            }
        }
        println!();
    }
}

/// Runs this program under callgrind, which collects only within `replay_measured`.
fn instructions(peer: &Kind, pattern: &Pattern) -> Option<f64> {
    let n = COUNTED_SIZE.to_string();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*replay_measured*")
        .arg(std::env::current_exe().ok()?)
        .args(["once", peer.name, pattern.name, &n])
        .output()
        .ok()?;
    let number_after = |text: &[u8], label: &str| -> Option<f64> {
        let text = String::from_utf8_lossy(text);
        text.split(label)
            .nth(1)?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    };
    let collected = number_after(&output.stderr, "Collected :")?;
    Some(collected / number_after(&output.stdout, "operations")?)
}
