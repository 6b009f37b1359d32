//! Timers: scripts replayed on nio-timer and its peers, and a timeout of a whole loop.

use std::{
    env::current_exe,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    time::Duration,
};

use super::small;
use crate::{
    data::{Found, Table},
    run::{Error, Run},
    timers::{REPLAY, pattern, peers},
};

const QUICK_SIZES: &[usize] = &[1_000];
const SIZES: &[usize] = &[1_000, 100_000, 1_000_000];

/// A quick run has these patterns only.
const QUICK: [&str; 4] = ["life", "later", "expire", "mix"];

pub(super) fn measure(run: &Run) -> Result<Found, Error> {
    let names: Vec<&str> = peers::ALL.iter().map(|peer| peer.name).collect();
    let mut found = small::measure_all(run, small::TIMEOUTS)?;
    let time = run.pick(Duration::from_millis(1_300), Duration::from_secs(12));
    for pattern in &pattern::ALL {
        if run.quick && !QUICK.contains(&pattern.name) {
            continue;
        }
        let title = format!("{}: {}", pattern.name, pattern.about);
        let mut table = Table::new(title, "ns", &names);
        for &timers in run.pick(QUICK_SIZES, SIZES) {
            table.column(
                format!("{timers} timers"),
                &rounds(run, pattern.name, timers, time)?,
            );
        }
        table
            .rows
            .retain(|row| row.cells.iter().any(Option::is_some));
        found.tables.push(table);
    }
    Ok(found)
}

/// Rounds of a process that runs all peers in turn.
fn rounds(
    run: &Run,
    pattern: &str,
    timers: usize,
    time: Duration,
) -> Result<Vec<Vec<Option<f64>>>, Error> {
    let mut child = Command::new(current_exe()?)
        .args([REPLAY, pattern, &timers.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut asks = child.stdin.take().expect("it is piped");
    let mut says = BufReader::new(child.stdout.take().expect("it is piped"));
    let rounds = run.rounds(pattern, time, &mut [()], |()| {
        writeln!(asks)?;
        let mut line = String::new();
        says.read_line(&mut line)?;
        Ok(serde_json::from_str::<Vec<Option<f64>>>(&line)?)
    });
    drop(asks);
    child.wait()?;
    Ok(rounds?.into_iter().flatten().collect())
}
