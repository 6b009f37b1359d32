//! Many messages, one wait and one read.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
};

use nio_guide::apply;
use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

fn main() -> io::Result<()> {
    let (mut ours, mut peer) = UnixStream::pair()?;
    let queue = Kqueue::new()?;
    apply(&queue, &[Kevent::read(&ours, EventFlags::ADD)])?;
    for _ in 0..100 {
        peer.write_all(b"0123456789")?;
    }
    let mut events = EventList::with_capacity(8);
    let (mut waits, mut reads, mut bytes) = (0, 0, 0);
    while bytes < 1_000 {
        queue.wait(&mut events, None)?;
        waits += 1;
        bytes += ours.read(&mut [0; 16 * 1024])?;
        reads += 1;
    }
    println!("{waits} wait, {reads} read");
    Ok(())
}
