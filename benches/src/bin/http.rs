//! hyper on nio beside hyper on tokio.
//!
//! `cargo run --release -p nio-benches --bin http` prints how much CPU time a server takes for a request on
//! connections that stay.

#[cfg(target_os = "linux")]
mod linux {
    use std::{error::Error, ffi::OsString};

    use nio_benches::{
        client::Client,
        count::Work,
        options::Words,
        process::{Process, Service, serve_if_told},
        servers::{self, Server},
        spread::{self, Spread},
    };

    const USAGE: &str = "usage: http [--connections N] [--size BYTES] [--requests N] [--rounds N]
            [--no-syscalls] [--callgrind]";

    /// How many requests there are on each connection under a tool in the first run, and how many more
    /// in the second.
    const FEW: usize = 20;
    const MORE: usize = 50;

    pub(crate) fn main() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        if let Some(served) = serve_if_told(&arguments) {
            return served;
        }
        let (mut connections, mut size, mut requests, mut rounds) = (64, 64, 20_000, 15);
        let (mut syscalls, mut callgrind) = (true, false);
        let mut words = Words::new(&arguments);
        while let Some(option) = words.option() {
            match option {
                "--connections" => connections = words.number()?,
                "--size" => size = words.number()?,
                "--requests" => requests = words.number()?,
                "--rounds" => rounds = words.number()?,
                "--no-syscalls" => syscalls = false,
                "--callgrind" => callgrind = true,
                _ => return Err(USAGE.into()),
            }
        }
        let servers = servers::with_http();
        println!("{connections} connections, answers of {size} bytes, {rounds} rounds\n");
        let times = spread::rounds(rounds, &servers, |server| {
            run(server, connections, size, requests)
        })?;
        println!("Server CPU time per request: median (least-most) of the rounds\n");
        let title = format!("ratio to {}", servers[0].name);
        println!("{:10} {:>22} {title:>22}", "", "ns");
        for (index, server) in servers.iter().enumerate() {
            let ns = Spread::of(times.iter().map(|round| round[index]));
            let ratio = Spread::of(times.iter().map(|round| round[index] / round[0]));
            println!("{:10} {ns:22} {ratio:22.2}", server.name);
        }
        let run = |wrapper: &[OsString], server: &Server, requests| {
            let process = Process::start(wrapper, server, Service::Http, connections)?;
            Client::browse(process.address, connections, size)?.ask(requests)?;
            process.end()
        };
        let work = Work {
            unit: "request",
            few: FEW * connections,
            more: MORE * connections,
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

    fn run(
        server: &Server,
        connections: usize,
        size: usize,
        requests: usize,
    ) -> Result<f64, Box<dyn Error>> {
        let process = Process::start(&[], server, Service::Http, connections)?;
        let mut client = Client::browse(process.address, connections, size)?;
        client.ask(2 * connections)?;
        let before = process.cpu_time()?;
        client.ask(requests)?;
        let ns = (process.cpu_time()? - before) / requests as f64;
        drop(client);
        process.end()?;
        Ok(ns)
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("http measures as the benchmarks beside epoll do, so it runs on Linux only");
}
