//! Counts for each operation: system calls by strace, instructions outside of the kernel by callgrind.

use std::ffi::OsString;

use super::small;
use crate::{
    client::{Client, connect_shortly, histogram},
    count::{self, Counts, Operations, instructions_within, is_installed, run_self},
    data::{Found, Table},
    group::Group,
    process::{Pinned, Process},
    run::{Error, Run},
    servers::{self, ECHO, HTTP, SHORT, Server},
    timers::{self, MEASURED, REPLAY_ONCE, pattern, peers},
};

const CONNECTIONS: usize = 64;
const SIZE: usize = 64;

/// The services, with a name for one operation and the operations to count.
const SERVICES: [(&str, &str, Operations); 3] = [
    (
        ECHO,
        "message",
        Operations {
            few: 10 * CONNECTIONS,
            more: 20 * CONNECTIONS,
        },
    ),
    (SHORT, "short connection", Operations { few: 50, more: 300 }),
    (
        HTTP,
        "HTTP request",
        Operations {
            few: 10 * CONNECTIONS,
            more: 20 * CONNECTIONS,
        },
    ),
];

/// The kinds of system calls that have a column.
const KINDS: [(&str, &[&str]); 4] = [
    ("accept", &["accept", "accept4"]),
    ("read", &["read", "recvfrom", "recvmsg", "readv"]),
    ("write", &["write", "sendto", "sendmsg", "writev"]),
    ("wait", &["epoll_wait", "epoll_pwait", "epoll_pwait2"]),
];

/// Timers beside which instructions are counted: callgrind slows a program down fifty times.
const TIMERS: usize = 10_000;

pub(super) fn system_calls(run: &Run) -> Result<Found, Error> {
    if !is_installed("strace") {
        return Ok(skipped("strace is not installed"));
    }
    let _pinned = Pinned::new();
    let mut found = Found::default();
    for (service, operation, operations) in SERVICES {
        let servers = servers::with(service);
        let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
        let mut counts = Vec::new();
        for server in &servers {
            run.say(&format!("strace: {}", server.name));
            counts.push(count::system_calls(operations, &|wrapper, count| {
                serve(wrapper, server, service, count)
            })?);
        }
        let title = format!("System calls for each {operation}");
        let mut table = Table::new(title, "", &names).plots_figures();
        let of = |names: &[&str]| {
            let sum =
                |counts: &Counts| Some(names.iter().filter_map(|&name| counts.get(name)).sum());
            counts.iter().map(sum).collect()
        };
        table.counted("all", of(&["total"]));
        for (kind, names) in KINDS {
            table.counted(kind, of(names));
        }
        let known =
            |name: &str| name == "total" || KINDS.iter().any(|(_, names)| names.contains(&name));
        let others = |counts: &Counts| {
            Some(
                counts
                    .iter()
                    .filter(|(name, _)| !known(name))
                    .map(|(_, count)| count)
                    .sum(),
            )
        };
        table.counted("others", counts.iter().map(others).collect());
        found.tables.push(table);
    }
    Ok(found)
}

pub(super) fn instructions(run: &Run) -> Result<Found, Error> {
    if !is_installed("valgrind") {
        return Ok(skipped("valgrind is not installed"));
    }
    let mut found = Found::default();
    {
        let _pinned = Pinned::new();
        for (service, operation, operations) in SERVICES {
            found
                .tables
                .push(of_servers(run, service, operation, operations)?);
        }
    }
    for group in small::groups() {
        found.tables.push(of_group(run, &group)?);
    }
    found.tables.push(of_timers(run)?);
    Ok(found)
}

fn skipped(why: &str) -> Found {
    Found {
        notes: vec![format!("skipped: {why}")],
        ..Found::default()
    }
}

fn of_servers(
    run: &Run,
    service: &str,
    operation: &str,
    operations: Operations,
) -> Result<Table, Error> {
    let servers = servers::with(service);
    let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
    let mut table = Table::new(format!("Instructions for each {operation}"), "", &names);
    let mut counts = Vec::new();
    for server in &servers {
        run.say(&format!("callgrind: {}", server.name));
        let count = count::instructions(operations, &|wrapper, count| {
            serve(wrapper, server, service, count)
        })?;
        counts.push(Some(count));
    }
    table.counted("instructions", counts);
    Ok(table)
}

/// Lets a server that runs under a tool serve so many operations.
fn serve(
    wrapper: &[OsString],
    server: &Server,
    service: &str,
    operations: usize,
) -> Result<(), Error> {
    if service == SHORT {
        let process = Process::start(wrapper, server, service, operations)?;
        connect_shortly(process.address, operations, SIZE)?;
        return process.end();
    }
    let process = Process::start(wrapper, server, service, CONNECTIONS)?;
    let connect = if service == HTTP {
        Client::browse
    } else {
        Client::connect
    };
    let mut client = connect(process.address, CONNECTIONS, SIZE)?;
    client.saturate(operations, CONNECTIONS, 1, &mut histogram())?;
    drop(client);
    process.end()
}

fn of_group(run: &Run, group: &Group) -> Result<Table, Error> {
    let times = group.times() as usize;
    let operations = Operations {
        few: times / 4,
        more: times,
    };
    let names: Vec<&str> = group.contenders().collect();
    let mut table = Table::new(format!("Instructions: {}", group.title()), "", &names);
    let mut counts = Vec::new();
    for name in names {
        run.say(&format!("callgrind: {} {name}", group.name));
        let count = count::instructions(operations, &|wrapper, count| {
            run_self(
                wrapper,
                &[super::ONCE, group.name, name, &count.to_string()],
            )
        });
        counts.push(count.ok());
    }
    table.counted(group.name, counts);
    table
        .rows
        .retain(|row| row.cells.iter().any(Option::is_some));
    Ok(table)
}

fn of_timers(run: &Run) -> Result<Table, Error> {
    let title = format!("Instructions for an operation on timers, beside {TIMERS}");
    let peers = || peers::ALL.iter().filter(|peer| peer.limit >= TIMERS);
    let names: Vec<&str> = peers().map(|peer| peer.name).collect();
    let mut table = Table::new(title, "", &names);
    for pattern in &pattern::ALL {
        let script = (timers::find(pattern.name)?.script)(TIMERS);
        let mut counts = Vec::new();
        for peer in peers() {
            run.say(&format!("callgrind: {} {}", pattern.name, peer.name));
            let arguments = [REPLAY_ONCE, peer.name, pattern.name, &TIMERS.to_string()];
            let total = instructions_within(MEASURED, &arguments).ok();
            counts.push(total.map(|total| total / script.operations as f64));
        }
        table.counted(pattern.name, counts);
    }
    table
        .rows
        .retain(|row| row.cells.iter().any(Option::is_some));
    Ok(table)
}
