//! Echo: connections, sizes of messages and pipelining.

use std::time::Duration;

use crate::{
    client::{Client, histogram},
    data::{Found, Table},
    process::{Pinned, Process},
    run::{Error, Run},
    servers::{self, ECHO, Server},
};

/// Connections, size of a message, messages under way on each connection.
type Setting = (usize, usize, usize);

const QUICK: &[Setting] = &[
    (1, 64, 1),
    (64, 64, 1),
    (1000, 64, 1),
    (64, 4096, 1),
    (64, 64, 16),
];

const FULL: &[Setting] = &[
    (1, 64, 1),
    (64, 64, 1),
    (1000, 64, 1),
    (10_000, 64, 1),
    (1, 4096, 1),
    (64, 4096, 1),
    (1000, 4096, 1),
    (10_000, 4096, 1),
    (1, 65_536, 1),
    (64, 65_536, 1),
    (1000, 65_536, 1),
    (10_000, 65_536, 1),
    (1, 64, 16),
    (64, 64, 16),
    (1000, 64, 16),
];

/// Of larger messages there are fewer in a run: as many bytes as messages of this size have.
const FULL_SIZE: usize = 4096;

pub(super) fn measure(run: &Run) -> Result<Found, Error> {
    let _pinned = Pinned::new();
    let mut servers = servers::with(ECHO);
    let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
    let mut cpu = Table::new("CPU time for a message", "ns", &names);
    let mut rate = Table::new("Messages per second", "/s", &names).more_is_better();
    let settings = run.pick(QUICK, FULL);
    let time = run.pick(Duration::from_secs(4), Duration::from_secs(60));
    for &(connections, size, depth) in settings {
        let messages = run.pick(4_000, 20_000) * FULL_SIZE / size.max(FULL_SIZE);
        // Each connection has some messages, or the figure would be the luck of a few.
        let messages = messages.max(2 * connections * depth);
        let mut title = format!("{connections} × {size} B");
        if depth > 1 {
            title += &format!(", {depth} deep");
        }
        let rounds = run.rounds(&title, time, &mut servers, |server| {
            once(server, (connections, size, depth), messages)
        })?;
        let of = |which: fn(&Taken) -> f64| -> Vec<Vec<Option<f64>>> {
            let round = |round: &Vec<Taken>| round.iter().map(|taken| Some(which(taken))).collect();
            rounds.iter().map(round).collect()
        };
        cpu.column(&title, &of(|taken| taken.cpu_ns));
        rate.column(&title, &of(|taken| taken.per_second));
    }
    Ok(Found {
        tables: vec![cpu, rate],
        ..Found::default()
    })
}

struct Taken {
    cpu_ns: f64,
    per_second: f64,
}

/// One run of a server. The measurement begins when each connection has had its messages once, so that all memory is in
/// use that ever is.
fn once(
    server: &Server,
    (connections, size, depth): Setting,
    messages: usize,
) -> Result<Taken, Error> {
    let process = Process::start(&[], server, ECHO, connections)?;
    let mut client = Client::connect(process.address, connections, size)?;
    let mut latencies = histogram();
    client.saturate(connections * depth, connections, depth, &mut latencies)?;
    let (cpu, start) = (process.cpu_time()?, std::time::Instant::now());
    client.saturate(messages, connections, depth, &mut latencies)?;
    let (cpu, seconds) = (process.cpu_time()? - cpu, start.elapsed().as_secs_f64());
    drop(client);
    process.end()?;
    Ok(Taken {
        cpu_ns: cpu / messages as f64,
        per_second: messages as f64 / seconds,
    })
}
