//! nio-timer beside its peers, in a process of its own whose clock stands still: it replays scripts of operations.

pub(crate) mod pattern;
pub(crate) mod peers;

use std::time::Duration;

use crate::{
    clock::{self, thread_time},
    run::Error,
};
use pattern::{Part, Pattern, Script};
use peers::Kind;

/// The first argument of a process that replays.
pub(crate) const REPLAY: &str = "replay";

/// The first argument of a process that replays one script on one peer, for a profiler.
pub(crate) const REPLAY_ONCE: &str = "replay-once";

/// The function that a profiler has to count.
pub(crate) const MEASURED: &str = "*replay_measured*";

/// The time for which a peer is run in each round, at least.
const SLICE: Duration = Duration::from_millis(20);

/// A run that need not be repeated within its round.
const LONG: Duration = Duration::from_millis(500);

/// The pattern of this name.
pub(crate) fn find(name: &str) -> Result<&'static Pattern, Error> {
    let mut patterns = pattern::ALL.iter();
    let found = patterns.find(|pattern| pattern.name == name);
    Ok(found.ok_or("no pattern has this name")?)
}

/// Runs all peers, round after round, forward and backward, until it is told to end: reads a line for each round, and
/// prints a line of figures.
pub(crate) fn replay(pattern: &str, timers: usize) -> Result<(), Error> {
    clock::stop();
    let script = (find(pattern)?.script)(timers);
    let mut line = String::new();
    let mut forward = true;
    while std::io::stdin().read_line(&mut line)? > 0 {
        let mut figures = vec![None; peers::ALL.len()];
        for place in 0..figures.len() {
            let index = if forward {
                place
            } else {
                figures.len() - 1 - place
            };
            figures[index] = run_round(&peers::ALL[index], &script, timers);
        }
        println!("{}", serde_json::to_string(&figures)?);
        forward = !forward;
    }
    Ok(())
}

/// Nanoseconds for an operation: the quietest of several runs, after one to warm up.
fn run_round(peer: &Kind, script: &Script, timers: usize) -> Option<f64> {
    if timers > peer.limit {
        return None;
    }
    let mut best = f64::INFINITY;
    (peer.run)(script.timers, &mut |replay| {
        let (begun, mut runs) = (thread_time(), 0);
        let mut now = clock::now();
        // The first run makes the peer allocate its memory; it counts only if it is so long that allocations do not matter.
        while best.is_infinite() || thread_time() - begun < SLICE {
            replay.replay(&script.setup, &mut now);
            let start = thread_time();
            replay.replay_measured(&script.measured, &mut now);
            let taken = thread_time() - start;
            replay.replay(&[Part::Turn(u32::MAX)], &mut now);
            runs += 1;
            if runs > 1 || taken > LONG {
                best = best.min(taken.as_nanos() as f64 / script.operations as f64);
            }
        }
    })?;
    Some(best)
}

/// One measured run, after one to warm up.
pub(crate) fn replay_once(peer: &str, pattern: &str, timers: usize) -> Result<(), Error> {
    clock::stop();
    let found = peers::ALL.iter().find(|kind| kind.name == peer);
    let peer = found.ok_or("no peer has this name")?;
    let script = (find(pattern)?.script)(timers);
    let run = (peer.run)(script.timers, &mut |replay| {
        let mut now = clock::now();
        replay.replay(&script.setup, &mut now);
        replay.replay(&script.measured, &mut now);
        replay.replay(&[Part::Turn(u32::MAX)], &mut now);
        replay.replay(&script.setup, &mut now);
        let before = replay.fired();
        replay.replay_measured(&script.measured, &mut now);
        println!("{} timers fired", replay.fired() - before);
    });
    Ok(run.ok_or("its library is not installed")?)
}

#[cfg(test)]
mod tests {
    use super::{
        pattern::{self, Part},
        peers,
    };
    use crate::clock;

    /// The clock of this process is stopped and moved, so this is one test.
    #[test]
    fn all_peers_fire_the_same_timers() {
        clock::stop();
        let mut now = clock::now();
        for pattern in &pattern::ALL {
            let script = (pattern.script)(1000);
            let mut counts = Vec::new();
            for peer in &peers::ALL {
                let _ = (peer.run)(script.timers, &mut |replay| {
                    replay.replay(&script.setup, &mut now);
                    replay.replay_measured(&script.measured, &mut now);
                    replay.replay(&[Part::Turn(u32::MAX)], &mut now);
                    counts.push((peer.name, replay.fired()));
                });
            }
            let (_, first) = counts[0];
            let differs = counts.iter().find(|(_, fired)| *fired != first);
            assert_eq!(
                differs, None,
                "{}: {first} with {}",
                pattern.name, counts[0].0
            );
        }
    }
}
