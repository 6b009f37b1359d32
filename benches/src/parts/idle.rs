//! Idle connections: the memory of each, and a message on one active connection among them.

use std::time::Duration;

use crate::{
    client::{Client, histogram},
    data::{Found, Table},
    process::{Pinned, Process},
    run::{Error, Run},
    servers::{self, IDLE, Server},
};

/// The memory of the first connections belongs to the start.
const FEW: usize = 1000;

pub(super) fn measure(run: &Run) -> Result<Found, Error> {
    let _pinned = Pinned::new();
    let mut servers = servers::with(IDLE);
    let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
    let connections = run.pick(4_000, 19_000);
    let time = run.pick(Duration::from_secs(11), Duration::from_secs(175));
    let messages = run.pick(500, 2_000);
    let rounds = run.rounds("idle connections", time, &mut servers, |server| {
        let (few, _) = once(server, FEW, 1)?;
        let (all, cpu_ns) = once(server, connections, messages)?;
        Ok(((all - few) / (connections - FEW) as f64, cpu_ns))
    })?;
    let of = |which: fn(&(f64, f64)) -> f64| -> Vec<Vec<Option<f64>>> {
        let round = |round: &Vec<_>| round.iter().map(|taken| Some(which(taken))).collect();
        rounds.iter().map(round).collect()
    };
    let mut memory = Table::new("Memory for an idle connection", "B", &names).plots_figures();
    memory.column(format!("{connections} connections"), &of(|taken| taken.0));
    let mut active = Table::new(
        "CPU time for a message on the only active one",
        "ns",
        &names,
    );
    active.column(format!("one of {connections}"), &of(|taken| taken.1));
    Ok(Found {
        tables: vec![memory, active],
        ..Found::default()
    })
}

/// The memory of a server when each connection has had a message, and then the CPU time for a message on one of them.
fn once(server: &Server, connections: usize, messages: usize) -> Result<(f64, f64), Error> {
    let process = Process::start(&[], server, IDLE, connections)?;
    let mut client = Client::connect(process.address, connections, 1)?;
    let mut latencies = histogram();
    client.saturate(connections, connections, 1, &mut latencies)?;
    let (memory, before) = (process.memory()?, process.cpu_time()?);
    client.saturate(messages, 1, 1, &mut latencies)?;
    let cpu = process.cpu_time()? - before;
    drop(client);
    process.end()?;
    Ok((memory, cpu / messages as f64))
}
