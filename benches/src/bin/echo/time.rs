//! CPU time per message.

use std::error::Error;

use nio_benches::{
    client::Client,
    process::{Process, Service},
    servers::Server,
    spread::{self, Spread},
};

use crate::options::Options;

/// What one server took for one message.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) ns: f64,
    pub(crate) sleeps: f64,
}

/// Runs the servers in turn, round after round.
pub(crate) fn measure(options: &Options) -> Result<Vec<Vec<Taken>>, Box<dyn Error>> {
    spread::rounds(options.rounds, &options.servers, |server| {
        run(server, options)
    })
}

/// One run of a server. What is measured begins when each connection has had a message or two, so that
/// all memory is in use that ever is.
fn run(server: &Server, options: &Options) -> Result<Taken, Box<dyn Error>> {
    let &Options {
        connections,
        size,
        messages,
        ..
    } = options;
    let process = Process::start(&[], server, Service::Echo, connections)?;
    let mut client = Client::connect(process.address, connections, size)?;
    client.ask(2 * connections)?;
    let (time, sleeps) = (process.cpu_time()?, process.sleeps()?);
    client.ask(messages)?;
    let per_message = |total: f64| total / messages as f64;
    let taken = Taken {
        ns: per_message(process.cpu_time()? - time),
        sleeps: per_message(process.sleeps()? - sleeps),
    };
    drop(client);
    process.end()?;
    Ok(taken)
}

/// The ratios of a server, by its index, to the first one in the same round.
pub(crate) fn ratio(rounds: &[Vec<Taken>], index: usize) -> Spread {
    Spread::of(rounds.iter().map(|round| round[index].ns / round[0].ns))
}

pub(crate) fn print(options: &Options) -> Result<(), Box<dyn Error>> {
    println!(
        "{} connections, {} bytes, {} messages in a run, {} rounds",
        options.connections, options.size, options.messages, options.rounds
    );
    let rounds = measure(options)?;
    let title = format!("ratio to {}", options.servers[0].name);
    println!("\nServer CPU time per message: median (least-most) of the rounds\n");
    println!("{:10} {:>22} {title:>22} {:>8}", "", "ns", "sleeps");
    for (index, server) in options.servers.iter().enumerate() {
        let of =
            |what: fn(&Taken) -> f64| Spread::of(rounds.iter().map(|round| what(&round[index])));
        println!(
            "{:10} {:22} {:22.2} {:>8.3}",
            server.name,
            of(|taken| taken.ns),
            ratio(&rounds, index),
            of(|taken| taken.sleeps).median,
        );
    }
    Ok(())
}
