//! All numbers of connections and all sizes of messages.

use std::error::Error;

use nio_benches::servers::Server;

use crate::{count, options::Options, time};

pub(crate) const COUNTS: [usize; 4] = [1, 64, 1000, 10_000];
pub(crate) const SIZES: [usize; 3] = [64, 4096, 65_536];

/// Instructions are counted where an emulated processor has not too much to do.
const COUNTED: [usize; 2] = [1, 64];

/// Of larger messages there are fewer in a run: as many bytes as the `--messages` of this size.
const FULL_SIZE: usize = 4096;

pub(crate) fn print(options: &Options) -> Result<(), Box<dyn Error>> {
    let first = options.servers[0].name;
    println!("Server CPU time per message, beside that of {first} in the same round: median");
    println!(
        "(least-most) of {} rounds; of {first}, the time in ns",
        options.rounds
    );
    for size in SIZES {
        println!("\nmessages of {size} bytes");
        let mut columns = Vec::new();
        for connections in COUNTS {
            let messages = options.messages * FULL_SIZE / size.max(FULL_SIZE);
            // Each connection has one at least, or it would be the luck of a few.
            let messages = messages.max(connections);
            let options = Options {
                connections,
                size,
                messages,
                ..options.clone()
            };
            let rounds = time::measure(&options)?;
            let rows = options.servers.iter().enumerate().map(|(index, _)| {
                let of_first = || rounds.iter().map(|round| round[0].ns);
                match index {
                    0 => format!("{:.0}", nio_benches::spread::Spread::of(of_first())),
                    _ => format!("{:.2}", time::ratio(&rounds, index)),
                }
            });
            columns.push(rows.collect());
        }
        print_columns(&options.servers, &COUNTS, &columns);
    }
    if options.callgrind {
        println!("\nInstructions per message of 64 bytes outside of the kernel");
        let mut columns = Vec::new();
        for connections in COUNTED {
            let options = Options {
                connections,
                ..options.clone()
            };
            let count = |server: &&Server| match count::instructions(&options, server) {
                Ok(count) => format!("{count:.0}"),
                Err(_) => "-".into(),
            };
            columns.push(options.servers.iter().map(count).collect());
        }
        print_columns(&options.servers, &COUNTED, &columns);
    }
    Ok(())
}

fn print_columns(servers: &[&Server], counts: &[usize], columns: &[Vec<String>]) {
    print!("{:10}", "");
    counts.iter().for_each(|count| print!(" {count:>20}"));
    println!("   connections");
    for (index, server) in servers.iter().enumerate() {
        print!("{:10}", server.name);
        columns
            .iter()
            .for_each(|column| print!(" {:>20}", column[index]));
        println!();
    }
}
