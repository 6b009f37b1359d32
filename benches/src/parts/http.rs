//! Requests of HTTP/1.1 on connections that stay.

use std::time::Duration;

use crate::{
    client::{Client, histogram},
    data::{Found, Table},
    process::{Pinned, Process},
    run::{Error, Run},
    servers::{self, HTTP, Server},
};

const CONNECTIONS: usize = 64;

pub(super) fn measure(run: &Run) -> Result<Found, Error> {
    let _pinned = Pinned::new();
    let mut servers = servers::with(HTTP);
    let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
    let mut table = Table::new("CPU time for a request", "ns", &names);
    let time = run.pick(Duration::from_millis(2_800), Duration::from_secs(29));
    for (size, title) in [(64, "answers of 64 B"), (65_536, "answers of 64 KiB")] {
        let requests = run.pick(2_000, 20_000) * 4096 / size.max(4096);
        let rounds = run.rounds(title, time, &mut servers, |server| {
            once(server, size, requests.max(2 * CONNECTIONS)).map(Some)
        })?;
        table.column(title, &rounds);
    }
    Ok(Found {
        tables: vec![table],
        ..Found::default()
    })
}

fn once(server: &Server, size: usize, requests: usize) -> Result<f64, Error> {
    let process = Process::start(&[], server, HTTP, CONNECTIONS)?;
    let mut client = Client::browse(process.address, CONNECTIONS, size)?;
    let mut latencies = histogram();
    client.saturate(2 * CONNECTIONS, CONNECTIONS, 1, &mut latencies)?;
    let before = process.cpu_time()?;
    client.saturate(requests, CONNECTIONS, 1, &mut latencies)?;
    let cpu = process.cpu_time()? - before;
    drop(client);
    process.end()?;
    Ok(cpu / requests as f64)
}
