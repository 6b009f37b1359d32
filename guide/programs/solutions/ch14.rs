//! The exits of three children, from one wait.

use std::{
    error::Error,
    process::{Command, Stdio},
};

use nio_poll::{Events, Poll, Token};

fn main() -> Result<(), Box<dyn Error>> {
    let poll = Poll::new()?;
    let mut children = Vec::new();
    for number in 1..=3 {
        let script = format!("read start; exit {number}");
        let mut command = Command::new("sh");
        let child = command
            .arg("-c")
            .arg(script)
            .stdin(Stdio::piped())
            .spawn()?;
        poll.register_process(child.id(), Token(children.len()))?;
        children.push(child);
    }
    children
        .iter_mut()
        .for_each(|child| drop(child.stdin.take()));
    let mut events = Events::with_capacity(8);
    let (mut exited, mut sum) = (0, 0);
    while exited < children.len() {
        poll.poll(&mut events, None)?;
        for event in events.iter() {
            let status = children[event.token().0].wait()?;
            sum += status.code().unwrap_or(0);
            exited += 1;
        }
    }
    println!("{sum}");
    Ok(())
}
