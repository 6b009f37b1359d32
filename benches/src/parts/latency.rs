//! Latency of echo: as busy as the server can be, and at half of that from the moment when messages were due.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::{
    client::{Client, histogram},
    data::{Chart, Curve, Found, Table},
    process::{Pinned, Process},
    run::{Error, Run},
    servers::{self, ECHO, Server},
};

const CONNECTIONS: usize = 64;
const SIZE: usize = 64;

/// The percentiles of the curves.
const CURVE: [f64; 9] = [10.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95];

/// The percentiles of the tables.
const TABLE: [f64; 3] = [50.0, 99.0, 99.9];

/// Latencies of one run, in nanoseconds.
struct Taken {
    saturated: Histogram<u64>,
    at_half: Histogram<u64>,
}

/// Chooses one of the two.
type Which = fn(&Taken) -> &Histogram<u64>;

pub(super) fn measure(run: &Run) -> Result<Found, Error> {
    let _pinned = Pinned::new();
    let mut servers = servers::with(ECHO);
    let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
    let time = run.pick(Duration::from_secs(20), Duration::from_secs(230));
    // The rate of the baseline, which comes first or last in a round: the last known one is used.
    let mut rate = saturated(servers[0], run.pick(4_000, 20_000))?.1;
    let offered = run.pick(Duration::from_millis(250), Duration::from_secs(1));
    let baseline = servers[0].name;
    let rounds = run.rounds("latency", time, &mut servers, |server| {
        let (saturated, per_second) = saturated(server, run.pick(4_000, 20_000))?;
        if server.name == baseline {
            rate = per_second;
        }
        let at_half = at_rate(server, rate / 2.0, offered)?;
        Ok(Taken { saturated, at_half })
    })?;
    let mut found = Found::default();
    let settings: [(&str, Which); 2] = [
        ("as busy as it can be", |taken| &taken.saturated),
        ("at half of bare epoll's rate, from the due time", |taken| {
            &taken.at_half
        }),
    ];
    for (setting, of) in settings {
        let title = format!("Latency of {CONNECTIONS} connections, {setting}");
        let mut table = Table::new(title.clone(), "ns", &names);
        for percentile in TABLE {
            let at = |taken: &Taken| Some(of(taken).value_at_percentile(percentile) as f64);
            let round = |round: &Vec<Taken>| round.iter().map(at).collect();
            let rounds: Vec<Vec<Option<f64>>> = rounds.iter().map(round).collect();
            table.column(format!("p{percentile}"), &rounds);
        }
        found.tables.push(table);
        found.charts.push(chart(title, &names, &rounds, of)?);
    }
    Ok(found)
}

/// The curves of all rounds together.
fn chart(title: String, names: &[&str], rounds: &[Vec<Taken>], of: Which) -> Result<Chart, Error> {
    let mut curves = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let mut all = histogram();
        for round in rounds {
            all.add(of(&round[index]))?;
        }
        let at = |&percentile: &f64| all.value_at_percentile(percentile) as f64;
        curves.push(Curve {
            name: name.to_string(),
            y: CURVE.iter().map(at).collect(),
        });
    }
    Ok(Chart {
        title,
        unit: "ns".into(),
        x: CURVE
            .iter()
            .map(|percentile| format!("p{percentile}"))
            .collect(),
        curves,
    })
}

/// Latencies of a closed loop, and messages per second.
fn saturated(server: &Server, messages: usize) -> Result<(Histogram<u64>, f64), Error> {
    let process = Process::start(&[], server, ECHO, CONNECTIONS)?;
    let mut client = Client::connect(process.address, CONNECTIONS, SIZE)?;
    client.saturate(10 * CONNECTIONS, CONNECTIONS, 1, &mut histogram())?;
    let (mut latencies, start) = (histogram(), Instant::now());
    client.saturate(messages, CONNECTIONS, 1, &mut latencies)?;
    let per_second = messages as f64 / start.elapsed().as_secs_f64();
    drop(client);
    process.end()?;
    Ok((latencies, per_second))
}

/// Latencies of an open loop.
fn at_rate(server: &Server, per_second: f64, time: Duration) -> Result<Histogram<u64>, Error> {
    let process = Process::start(&[], server, ECHO, CONNECTIONS)?;
    let mut client = Client::connect(process.address, CONNECTIONS, SIZE)?;
    client.saturate(10 * CONNECTIONS, CONNECTIONS, 1, &mut histogram())?;
    let mut latencies = histogram();
    client.offer(per_second, time, &mut latencies)?;
    drop(client);
    process.end()?;
    Ok(latencies)
}
