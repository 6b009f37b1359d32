//! Short connections: accept, read a message, write it, close.

use std::time::{Duration, Instant};

use crate::{
    client::connect_shortly,
    data::{Found, Table},
    process::{Pinned, Process},
    run::{Error, Run},
    servers::{self, SHORT, Server},
};

/// The size of the one message of a connection.
const SIZE: usize = 64;

/// The number of connections before those that are measured, and after them.
const AROUND: usize = 200;

pub(super) fn measure(run: &Run) -> Result<Found, Error> {
    let _pinned = Pinned::new();
    let mut servers = servers::with(SHORT);
    let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
    let connections = run.pick(1_000, 5_000);
    let time = run.pick(Duration::from_secs(9), Duration::from_secs(118));
    let rounds = run.rounds("short connections", time, &mut servers, |server| {
        once(server, connections)
    })?;
    let of = |which: fn(&(f64, f64)) -> f64| -> Vec<Vec<Option<f64>>> {
        let round = |round: &Vec<_>| round.iter().map(|taken| Some(which(taken))).collect();
        rounds.iter().map(round).collect()
    };
    let mut cpu = Table::new("CPU time for a connection", "ns", &names);
    cpu.column("short connections", &of(|taken| taken.0));
    let mut rate = Table::new("Connections per second", "/s", &names).more_is_better();
    rate.column("short connections", &of(|taken| taken.1));
    Ok(Found {
        tables: vec![cpu, rate],
        ..Found::default()
    })
}

/// CPU time in nanoseconds for a connection, and connections per second.
fn once(server: &Server, connections: usize) -> Result<(f64, f64), Error> {
    let process = Process::start(&[], server, SHORT, 2 * AROUND + connections)?;
    connect_shortly(process.address, AROUND, SIZE)?;
    let (start, before) = (Instant::now(), process.cpu_time()?);
    connect_shortly(process.address, connections, SIZE)?;
    let (after, seconds) = (process.cpu_time()?, start.elapsed().as_secs_f64());
    connect_shortly(process.address, AROUND, SIZE)?;
    process.end()?;
    Ok((
        (after - before) / connections as f64,
        connections as f64 / seconds,
    ))
}
