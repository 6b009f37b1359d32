//! What can be counted instead of timed: system calls with strace, instructions with callgrind.
//!
//! Each server runs twice under the tool, with little to do and with more. The difference belongs
//! to what there was more of alone, not to the start and the end.

use std::{
    collections::BTreeMap, env::temp_dir, error::Error, ffi::OsString, fs, path::Path, process::id,
};

use crate::servers::Server;

/// Work for servers, under a tool that makes them slow.
pub struct Work<'a> {
    /// What is counted for each: a message, say.
    pub unit: &'a str,
    /// How many of these there are in the first run.
    pub few: usize,
    /// How many more there are in the second.
    pub more: usize,
    /// Runs a server, under the tool of these words, with so many of them.
    pub run: &'a RunUnder<'a>,
}

/// See [`Work::run`].
pub type RunUnder<'a> = dyn Fn(&[OsString], &Server, usize) -> Result<(), Box<dyn Error>> + 'a;

type Counts = BTreeMap<String, f64>;

/// The kinds of system calls that have a column.
const KINDS: [(&str, &[&str]); 4] = [
    ("accept", &["accept", "accept4"]),
    ("read", &["read", "recvfrom", "recvmsg", "readv"]),
    ("write", &["write", "sendto", "sendmsg", "writev"]),
    ("wait", &["epoll_wait", "epoll_pwait", "epoll_pwait2"]),
];

impl Work<'_> {
    /// Prints how many system calls there are, kind by kind.
    pub fn print_system_calls(&self, servers: &[&Server]) {
        let unit = self.unit;
        println!("\nSystem calls per {unit}, counted by strace (which slows the server down)\n");
        print!("{:10} {:>8}", "", "all");
        KINDS.iter().for_each(|(kind, _)| print!(" {kind:>8}"));
        println!("   others");
        for server in servers {
            let wrapper = ["strace", "-f", "-c", "-U", "calls,name", "-o"];
            match self.count(server, &wrapper, read_strace) {
                Ok(counts) => print_kinds(server.name, counts),
                Err(error) => println!("{:10} {error}", server.name),
            }
        }
    }

    /// Prints how many instructions there are outside of the kernel.
    pub fn print_instructions(&self, servers: &[&Server]) {
        let unit = self.unit;
        println!("\nInstructions per {unit} outside of the kernel, counted by callgrind\n");
        for server in servers {
            match self.instructions(server) {
                Ok(count) => println!("{:10} {count:>8.0}", server.name),
                Err(error) => println!("{:10} {error}", server.name),
            }
        }
    }

    /// How many instructions there are outside of the kernel.
    pub fn instructions(&self, server: &Server) -> Result<f64, Box<dyn Error>> {
        let wrapper = ["valgrind", "--tool=callgrind", "--callgrind-out-file"];
        let counts = self.count(server, &wrapper, read_callgrind)?;
        Ok(*counts.get("totals:").ok_or("callgrind gave no total")?)
    }

    /// Counts with a tool whose last option names the file that it writes.
    fn count(
        &self,
        server: &Server,
        wrapper: &[&str],
        read: fn(&str) -> Counts,
    ) -> Result<Counts, Box<dyn Error>> {
        let output = temp_dir().join(format!("nio-benches-{}-{}", id(), server.name));
        let count = |units| {
            (self.run)(&with_output(wrapper, &output), server, units)?;
            let text = fs::read_to_string(&output)?;
            fs::remove_file(&output)?;
            Ok::<_, Box<dyn Error>>(read(&text))
        };
        let few = count(self.few)?;
        let mut counts = count(self.few + self.more)?;
        for (what, count) in &mut counts {
            let difference = *count - few.get(what).unwrap_or(&0.0);
            *count = difference / self.more as f64;
        }
        Ok(counts)
    }
}

fn print_kinds(name: &str, mut counts: Counts) {
    print!("{name:10} {:>8.3}", counts.remove("total").unwrap_or(0.0));
    for (_, names) in KINDS {
        let removed = names.iter().filter_map(|&name| counts.remove(name));
        print!(" {:>8.3}", removed.sum::<f64>());
    }
    let named = |(name, count): (String, f64)| {
        let seen = count.abs() >= 0.0005;
        seen.then(|| format!("{name} {count:.3}"))
    };
    let others: Vec<String> = counts.into_iter().filter_map(named).collect();
    println!("   {}", others.join(", "));
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
