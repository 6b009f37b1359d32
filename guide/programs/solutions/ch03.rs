//! A wait is never shorter than its timeout.

use std::{
    io,
    time::{Duration, Instant},
};

use nio_sys::{EventList, Kqueue};

fn main() -> io::Result<()> {
    let queue = Kqueue::new()?;
    let mut events = EventList::with_capacity(1);
    let timeout = Duration::from_micros(1500);
    for _ in 0..100 {
        let begin = Instant::now();
        queue.kevent(&[], &mut events, Some(timeout))?;
        if begin.elapsed() < timeout {
            println!("{:?} is early", begin.elapsed());
            return Ok(());
        }
    }
    println!("never early");
    Ok(())
}
