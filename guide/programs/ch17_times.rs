//! The same work, timed under two names, five times.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use nio_guide::apply;
use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

/// Sends itself 1,000 messages. Returns how long that took, and how many system calls.
fn work() -> io::Result<(Duration, u32)> {
    let begin = Instant::now();
    let (mut ours, mut theirs) = UnixStream::pair()?;
    let queue = Kqueue::new()?;
    apply(&queue, &[Kevent::read(&ours, EventFlags::ADD)])?;
    let mut events = EventList::with_capacity(8);
    let mut calls = 0;
    for _ in 0..1_000 {
        theirs.write_all(b"hello")?;
        queue.wait(&mut events, None)?;
        ours.read_exact(&mut [0; 5])?;
        calls += 3;
    }
    Ok((begin.elapsed(), calls))
}

fn main() -> io::Result<()> {
    let (old, new) = (work, work); // nothing is new
    for round in 1..=5 {
        let ((before, calls), (after, calls_now)) = (old()?, new()?);
        let ratio = 100.0 * after.as_secs_f64() / before.as_secs_f64();
        println!("round {round}: {before:.1?}, then {after:.1?}: {ratio:.0} %");
        println!("         {calls} calls, then {calls_now}");
    }
    Ok(())
}
