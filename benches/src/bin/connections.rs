//! Short connections: accept, read a message, write it, close.
//!
//! `cargo run --release -p nio-benches --bin connections` prints how much CPU time a server takes for
//! one, how many there are in a second, and how many system calls one takes.

#[cfg(target_os = "linux")]
mod linux {
    use std::{error::Error, ffi::OsString, time::Instant};

    use nio_benches::{
        client::connect_shortly,
        count::Work,
        options::Words,
        process::{Process, Service, serve_if_told},
        servers::{self, Server},
        spread::{self, Spread},
    };

    const USAGE: &str = "usage: connections [--connections N] [--rounds N] [--only SERVER,...]
                   [--no-syscalls] [--callgrind]";

    /// The size of the one message of a connection.
    const SIZE: usize = 64;

    /// How many connections come before those that are measured, and after them.
    const AROUND: usize = 500;

    /// How many connections a server has under a tool in the first run, and how many more in the
    /// second.
    const FEW: usize = 100;
    const MORE: usize = 1000;

    /// What one server took.
    struct Taken {
        ns: f64,
        per_second: f64,
    }

    pub(crate) fn main() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        if let Some(served) = serve_if_told(&arguments) {
            return served;
        }
        let (mut connections, mut rounds, mut servers) = (5000, 15, Vec::new());
        let (mut syscalls, mut callgrind) = (true, false);
        let mut words = Words::new(&arguments);
        while let Some(option) = words.option() {
            match option {
                "--connections" => connections = words.number()?,
                "--rounds" => rounds = words.number()?,
                "--only" => servers = words.servers()?,
                "--no-syscalls" => syscalls = false,
                "--callgrind" => callgrind = true,
                _ => return Err(USAGE.into()),
            }
        }
        if servers.is_empty() {
            servers = servers::with_short();
        }
        print_times(&servers, connections, rounds)?;
        let run = |wrapper: &[OsString], server: &Server, connections| {
            let process = Process::start(wrapper, server, Service::Short, connections)?;
            connect_shortly(process.address, connections, SIZE)?;
            process.end()
        };
        let work = Work {
            unit: "connection",
            few: FEW,
            more: MORE,
            run: &run,
        };
        if syscalls {
            work.print_system_calls(&servers);
        }
        if callgrind {
            work.print_instructions(&servers);
        }
        Ok(())
    }

    fn print_times(
        servers: &[&Server],
        connections: usize,
        rounds: usize,
    ) -> Result<(), Box<dyn Error>> {
        let rounds = spread::rounds(rounds, servers, |server| run(server, connections))?;
        let title = format!("ratio to {}", servers[0].name);
        println!("Server CPU time per connection: median (least-most) of the rounds\n");
        println!("{:10} {:>22} {title:>22} {:>10}", "", "ns", "per second");
        for (index, server) in servers.iter().enumerate() {
            let of = |what: fn(&Taken) -> f64| {
                Spread::of(rounds.iter().map(|round| what(&round[index])))
            };
            let ratio = Spread::of(rounds.iter().map(|round| round[index].ns / round[0].ns));
            println!(
                "{:10} {:22} {ratio:22.2} {:>10.0}",
                server.name,
                of(|taken| taken.ns),
                of(|taken| taken.per_second).median,
            );
        }
        Ok(())
    }

    fn run(server: &Server, connections: usize) -> Result<Taken, Box<dyn Error>> {
        let process = Process::start(&[], server, Service::Short, 2 * AROUND + connections)?;
        connect_shortly(process.address, AROUND, SIZE)?;
        let (start, before) = (Instant::now(), process.cpu_time()?);
        connect_shortly(process.address, connections, SIZE)?;
        let (after, seconds) = (process.cpu_time()?, start.elapsed().as_secs_f64());
        connect_shortly(process.address, AROUND, SIZE)?;
        process.end()?;
        Ok(Taken {
            ns: (after - before) / connections as f64,
            per_second: connections as f64 / seconds,
        })
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("connections compares with epoll, so it runs on Linux only");
}
