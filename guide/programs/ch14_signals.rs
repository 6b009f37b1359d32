//! A signal, the exit of a child and a change of a file, from one wait. With `careless`, the signal is not asked for.

use std::{
    env,
    error::Error,
    fs::File,
    process::{self, Command, Stdio},
};

use nio_poll::{Events, FileChange, Poll, Signal, Token};

const SIGNAL: Token = Token(1);
const CHILD: Token = Token(2);
const FILE: Token = Token(3);

/// Waits for the start; writes a line into a file, sends its parent a signal, and fails.
const SCRIPT: &str = "read start; echo line >> \"$0\"; kill -TERM $PPID; exit 3";

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::temp_dir().join(format!("nio-guide-{}", process::id()));
    let file = File::create(&path)?;
    let poll = Poll::new()?;
    if env::args().nth(1).as_deref() != Some("careless") {
        poll.register_signal(Signal::TERMINATE, SIGNAL)?;
    }
    poll.register_file(&file, FILE, FileChange::WRITTEN)?;
    let mut command = Command::new("sh");
    let command = command.arg("-c").arg(SCRIPT).arg(&path);
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    poll.register_process(child.id(), CHILD)?;
    drop(child.stdin.take()); // the start: its input ends

    let mut seen = Vec::new();
    let mut events = Events::with_capacity(8);
    while seen.len() < 3 {
        poll.poll(&mut events, None)?;
        for event in events.iter() {
            let what = match event.token() {
                SIGNAL => format!("signal: came {} time", event.count()),
                CHILD => format!("child: {}", child.wait()?), // does not wait: it has exited
                _ => format!("file: {:?}", event.file_changes()),
            };
            if !seen.contains(&what) {
                seen.push(what);
            }
        }
    }
    seen.sort();
    seen.iter().for_each(|line| println!("{line}"));
    std::fs::remove_file(path)?;
    Ok(())
}
