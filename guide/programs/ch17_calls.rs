//! The same 1,000 messages, handled in two ways, and how many system calls that takes.

use std::{
    cell::Cell,
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
};

use nio_guide::apply;
use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

const MESSAGES: usize = 1_000;

/// Counts the calls that are made through it.
struct Counted {
    stream: UnixStream,
    reads: Cell<usize>,
}

impl Counted {
    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        self.reads.set(self.reads.get() + 1);
        (&self.stream).read(bytes)
    }
}

fn main() -> io::Result<()> {
    measure("read until it would block", read_until_would_block)?;
    measure("stop after a short read", stop_after_short_read)
}

fn measure(name: &str, read: fn(&Counted) -> io::Result<usize>) -> io::Result<()> {
    let (stream, mut peer) = UnixStream::pair()?;
    stream.set_nonblocking(true)?;
    let queue = Kqueue::new()?;
    apply(
        &queue,
        &[Kevent::read(&stream, EventFlags::ADD | EventFlags::CLEAR)],
    )?;
    let ours = Counted {
        stream,
        reads: Cell::new(0),
    };
    let mut events = EventList::with_capacity(8);
    let (mut waits, mut bytes) = (0, 0);
    for _ in 0..MESSAGES {
        peer.write_all(&[b'x'; 64])?;
        queue.wait(&mut events, None)?;
        waits += 1;
        bytes += read(&ours)?;
    }
    assert_eq!(bytes, 64 * MESSAGES);
    println!("{name:<26} {waits} waits, {} reads", ours.reads.get());
    Ok(())
}

fn read_until_would_block(ours: &Counted) -> io::Result<usize> {
    let mut sum = 0;
    loop {
        match ours.read(&mut [0; 1024]) {
            Ok(n) => sum += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(sum),
            Err(error) => return Err(error),
        }
    }
}

/// A read that gives less than there is room for has emptied the socket.
fn stop_after_short_read(ours: &Counted) -> io::Result<usize> {
    let mut sum = 0;
    loop {
        let n = ours.read(&mut [0; 1024])?;
        sum += n;
        if n < 1024 {
            return Ok(sum);
        }
    }
}
