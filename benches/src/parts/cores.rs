//! A server that computes for each message, on one thread and on as many as there are cores.

use std::time::{Duration, Instant};

use crate::{
    client::{Client, histogram},
    data::{Found, Table},
    process::Process,
    run::{Error, Run},
    servers::{self, CORES, Server},
};

const CONNECTIONS: usize = 64;
const SIZE: usize = 64;

pub(super) fn measure(run: &Run) -> Result<Found, Error> {
    let mut servers = servers::with(CORES);
    let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
    let time = run.pick(Duration::from_secs(6), Duration::from_secs(58));
    let messages = run.pick(4_000, 20_000);
    let rounds = run.rounds("cores", time, &mut servers, |server| {
        once(server, messages).map(Some)
    })?;
    let mut table = Table::new("Messages per second", "/s", &names).more_is_better();
    table.column("with work for each", &rounds);
    Ok(Found {
        tables: vec![table],
        ..Found::default()
    })
}

/// Neither the client nor the server is kept on one processor.
fn once(server: &Server, messages: usize) -> Result<f64, Error> {
    let process = Process::start(&[], server, CORES, CONNECTIONS)?;
    let mut client = Client::connect(process.address, CONNECTIONS, SIZE)?;
    let mut latencies = histogram();
    client.saturate(4 * CONNECTIONS, CONNECTIONS, 1, &mut latencies)?;
    let start = Instant::now();
    client.saturate(messages, CONNECTIONS, 1, &mut latencies)?;
    let per_second = messages as f64 / start.elapsed().as_secs_f64();
    drop(client);
    process.end()?;
    Ok(per_second)
}
