//! CPU time per message.

use std::error::Error;

use crate::{
    options::Options,
    process::{self, Usage},
};

/// Runs the servers in turn, round after round, and prints what they took.
pub(crate) fn print(options: &Options) -> Result<(), Box<dyn Error>> {
    println!(
        "{} connections, {} bytes, {} messages in a run, {} rounds",
        options.connections, options.size, options.messages, options.rounds
    );
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let run = |name| process::run(&[], name, options.messages, options);
        let round = options.servers.iter().map(|server| run(server.name));
        rounds.push(round.collect::<Result<Vec<Usage>, _>>()?);
    }

    let first = options.servers[0].name;
    println!("\nServer CPU time per message: median (least-most) of the rounds\n");
    println!(
        "{:10} {:>22} {:>8} {:>8} {:>22} {:>8}",
        "",
        "ns",
        "user",
        "system",
        format!("ratio to {first}"),
        "sleeps"
    );
    for (index, server) in options.servers.iter().enumerate() {
        let of = |what: fn(&Usage) -> f64| {
            let per_message = |round: &Vec<Usage>| what(&round[index]) / options.messages as f64;
            Spread::of(rounds.iter().map(per_message))
        };
        let total = of(total);
        let ratio = |round: &Vec<Usage>| self::total(&round[index]) / self::total(&round[0]);
        let ratio = Spread::of(rounds.iter().map(ratio));
        println!(
            "{:10} {:>22} {:>8.0} {:>8.0} {:>22} {:>8.3}",
            server.name,
            format!("{:.0} ({:.0}-{:.0})", total.median, total.least, total.most),
            of(|usage| usage.user_ns).median,
            of(|usage| usage.system_ns).median,
            format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.least, ratio.most),
            of(|usage| usage.sleeps).median,
        );
    }
    Ok(())
}

fn total(usage: &Usage) -> f64 {
    usage.user_ns + usage.system_ns
}

/// Where some numbers lie.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(numbers: impl Iterator<Item = f64>) -> Spread {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        Spread {
            least: sorted[0],
            median: sorted[sorted.len() / 2],
            most: sorted[sorted.len() - 1],
        }
    }
}
