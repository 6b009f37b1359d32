//! Starts ten processes and reports how each one ends, in the order in which they do.
//!
//! ```text
//! cargo run --example children
//! ```

use std::{
    collections::HashMap,
    error::Error,
    process::{Child, Command},
    time::Instant,
};

use nio_examples::println;
use nio_poll::{Events, Poll, Token};

fn main() -> Result<(), Box<dyn Error>> {
    let poll = Poll::new()?;
    let start = Instant::now();
    let mut children: HashMap<Token, Child> = HashMap::new();

    for number in 0..10 {
        // The later it was started, the sooner it ends; the last two are killed by a signal.
        let tenths = 9 - number;
        let end = if number < 8 {
            format!("exit {number}")
        } else {
            "kill -TERM $$".into()
        };
        let mut child = Command::new("sh")
            .args(["-c", &format!("sleep 0.{tenths}; {end}")])
            .spawn()?;
        let token = Token(number);
        match poll.register_process(child.id(), token) {
            Ok(()) => drop(children.insert(token, child)),
            // It was too quick: some systems do not watch a process that has exited already.
            Err(_) => println!("child {number}: {}", child.wait()?),
        }
    }
    println!("{} children are running", children.len());

    let mut events = Events::with_capacity(16);
    while !children.is_empty() {
        poll.poll(&mut events, None)?;
        for event in events.iter().filter(|event| event.is_exit()) {
            let Some(mut child) = children.remove(&event.token()) else {
                continue;
            };
            let Token(number) = event.token();
            let elapsed = start.elapsed().as_millis();
            // The event tells; waiting is what lets the system forget the process.
            println!("{elapsed:>5} ms  child {number}: {}", child.wait()?);
        }
    }
    println!("all children have ended");
    Ok(())
}
