//! The signals of a server: SIGHUP reloads its configuration, SIGINT and SIGTERM end it.
//!
//! ```text
//! cargo run --example signals
//! kill -HUP PID
//! ```

use std::{error::Error, process};

use nio_examples::println;
use nio_poll::{Events, Poll, Signal, Token};

const RELOAD: Token = Token(0);
const END: Token = Token(1);

fn main() -> Result<(), Box<dyn Error>> {
    let poll = Poll::new()?;
    poll.register_signal(Signal::HANGUP, RELOAD)?;
    poll.register_signal(Signal::INTERRUPT, END)?;
    poll.register_signal(Signal::TERMINATE, END)?;

    let pid = process::id();
    println!("process {pid} is ready; try: kill -HUP {pid}, then Ctrl-C");

    let mut reloads = 0;
    let mut events = Events::with_capacity(8);
    loop {
        poll.poll(&mut events, None)?;
        for event in events.iter() {
            if event.token() == END {
                println!("ending after {reloads} reloads");
                return Ok(());
            }
            // Signals that are pending together may be counted as one.
            reloads += event.count();
            println!("reloading");
        }
    }
}
