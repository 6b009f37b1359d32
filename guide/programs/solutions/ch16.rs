//! Two edges and room for one: neither is lost.

use std::{io, io::Write, os::unix::net::UnixStream, time::Duration};

use nio_guide::apply;
use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

fn main() -> io::Result<()> {
    let (ours, mut theirs) = UnixStream::pair()?;
    theirs.write_all(b"!")?;
    let queue = Kqueue::new()?;
    let flags = EventFlags::ADD | EventFlags::CLEAR;
    apply(
        &queue,
        &[Kevent::read(&ours, flags), Kevent::write(&ours, flags)],
    )?;
    let mut events = EventList::with_capacity(1);
    let mut count = 0;
    for _ in 0..3 {
        count += queue.wait(&mut events, Some(Duration::ZERO))?;
    }
    println!("{count} events");
    Ok(())
}
