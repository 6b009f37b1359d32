//! nio-timer beside its peers.
//!
//! `cargo run --release -p nio-benches --bin timers` runs all patterns against all peers and prints
//! nanoseconds per operation, and how many times as long as nio each peer takes.
//! `... --bin timers instructions` counts instructions per operation instead, with callgrind.

mod clock;
mod library;
mod pattern;
mod peers;

use pattern::{MILLION, PATTERNS, Pattern};
use peers::Kind;
use std::process::Command;
use std::time::Duration;

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
/// A run that need not be repeated.
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
        let columns = SIZES.map(|n| measure(&peers, pattern, n, Duration::from_millis(300)));
        print_table(&peers, &SIZES, &columns);
    }
    if wanted(&&MILLION) {
        println!("{}: {}", MILLION.name, MILLION.about);
        print_table(
            &peers,
            &[BURSTS],
            &[measure(&peers, &MILLION, BURSTS, Duration::ZERO)],
        );
    }
}

/// Nanoseconds per operation for each peer. The quietest of several runs: all noise adds.
fn measure(peers: &[&Kind], pattern: &Pattern, n: usize, at_least: Duration) -> Vec<Option<f64>> {
    let script = (pattern.script)(n);
    let run = |peer: &&Kind| {
        if n > peer.limit {
            return None;
        }
        let mut best = f64::INFINITY;
        (peer.run)(script.timers, &mut |replay| {
            let (begun, mut runs) = (clock::stopwatch(), 0);
            let mut now = clock::now();
            // The first run is to warm up, as it makes the peer allocate what it needs; unless it is so
            // long that this does not count.
            while best.is_infinite() || clock::stopwatch() - begun < at_least {
                replay.replay(&script.setup, &mut now);
                let start = clock::stopwatch();
                replay.replay_measured(&script.measured, &mut now);
                let taken = clock::stopwatch() - start;
                replay.replay(&[pattern::Part::Turn(u32::MAX)], &mut now);
                runs += 1;
                if runs > 1 || taken > LONG {
                    best = best.min(taken.as_nanos() as f64 / script.operations as f64);
                }
            }
        })?;
        Some(best)
    };
    peers.iter().map(run).collect()
}

fn print_table(peers: &[&Kind], sizes: &[usize], columns: &[Vec<Option<f64>>]) {
    print!("{:14}", "");
    sizes.iter().for_each(|n| print!("{n:>10}         "));
    println!();
    for (row, peer) in peers.iter().enumerate() {
        print!("  {:12}", peer.name);
        for column in columns {
            match (column[row], column[0]) {
                (Some(time), _) if row == 0 => print!("{time:10.1}         "),
                (Some(time), Some(first)) => print!("{time:10.1} ({:5.1}) ", time / first),
                _ => print!("{:>10}         ", "-"),
            }
        }
        println!();
    }
    println!();
}

/// One measured run, for a profiler.
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
