//! What can be counted instead of timed: system calls with strace, instructions with callgrind.
//!
//! Each server runs twice under the tool, with few messages and with more. The difference belongs
//! to the messages alone, not to the start and the connections.

use std::{
    collections::BTreeMap, env::temp_dir, error::Error, ffi::OsString, fs, path::Path, process::id,
};

use crate::{options::Options, process};

/// How many messages a connection echoes under a tool, which makes all of it slow: in the first run
/// so many, in the second so many more.
const FEW: usize = 20;
const MORE: usize = 100;

type Counts = BTreeMap<String, f64>;

/// The kinds of system calls that have a column.
const KINDS: [(&str, &[&str]); 3] = [
    ("read", &["read", "recvfrom", "recvmsg", "readv"]),
    ("write", &["write", "sendto", "sendmsg", "writev"]),
    ("wait", &["epoll_wait", "epoll_pwait", "epoll_pwait2"]),
];

pub(crate) fn print_system_calls(options: &Options) {
    println!("\nSystem calls per message, counted by strace (which slows the server down)\n");
    println!(
        "{:10} {:>8} {:>8} {:>8} {:>8}   others",
        "", "all", KINDS[0].0, KINDS[1].0, KINDS[2].0
    );
    for server in &options.servers {
        let wrapper = ["strace", "-f", "-c", "-U", "calls,name", "-o"];
        let mut counts = match per_message(server.name, options, &wrapper, read_strace) {
            Ok(counts) => counts,
            Err(error) => return println!("no strace: {error}"),
        };
        let total = counts.remove("total").unwrap_or(0.0);
        let of_kind = KINDS.map(|(_, names)| {
            let removed = names.iter().filter_map(|&name| counts.remove(name));
            removed.sum::<f64>()
        });
        let named = |(name, count): (String, f64)| {
            let seen = count.abs() >= 0.0005;
            seen.then(|| format!("{name} {count:.3}"))
        };
        let others: Vec<String> = counts.into_iter().filter_map(named).collect();
        println!(
            "{:10} {:>8.3} {:>8.3} {:>8.3} {:>8.3}   {}",
            server.name,
            total,
            of_kind[0],
            of_kind[1],
            of_kind[2],
            others.join(", ")
        );
    }
}

pub(crate) fn print_instructions(options: &Options) {
    println!("\nInstructions per message outside of the kernel, counted by callgrind\n");
    for server in &options.servers {
        let wrapper = ["valgrind", "--tool=callgrind", "--callgrind-out-file"];
        match per_message(server.name, options, &wrapper, read_callgrind) {
            Ok(counts) => println!("{:10} {:>8.0}", server.name, counts["totals:"]),
            Err(error) => return println!("no callgrind: {error}"),
        }
    }
}

/// Counts with a tool whose last option names the file that it writes.
fn per_message(
    name: &str,
    options: &Options,
    wrapper: &[&str],
    read: fn(&str) -> Counts,
) -> Result<Counts, Box<dyn Error>> {
    let output = temp_dir().join(format!("echo-{}-{name}", id()));
    let count = |of_each| {
        let messages = options.connections * of_each;
        process::run(&with_output(wrapper, &output), name, messages, options)?;
        let text = fs::read_to_string(&output)?;
        fs::remove_file(&output)?;
        Ok::<_, Box<dyn Error>>(read(&text))
    };
    let few = count(FEW)?;
    let mut counts = count(FEW + MORE)?;
    for (what, count) in &mut counts {
        let difference = *count - few.get(what).unwrap_or(&0.0);
        *count = difference / (options.connections * MORE) as f64;
    }
    Ok(counts)
}

fn with_output(wrapper: &[&str], output: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = wrapper.iter().map(OsString::from).collect();
    match words.last_mut() {
        Some(option) if option.to_string_lossy().starts_with("--") => {
            option.push("=");
            option.push(output);
        }
        _ => words.push(output.into()),
    }
    words
}

/// Lines of a count and a name.
fn read_strace(text: &str) -> Counts {
    let line = |line: &str| {
        let (count, name) = line.trim().split_once(char::is_whitespace)?;
        Some((name.trim().to_string(), count.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// Of the whole profile only the line of a name and a count that is its sum.
fn read_callgrind(text: &str) -> Counts {
    let line = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        (name == "totals:").then_some((name.to_string(), count.trim().parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}
