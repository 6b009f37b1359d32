//! One edge, and all bytes: read until the socket says that it would block.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

fn main() -> io::Result<()> {
    let (mut ours, mut theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let queue = Kqueue::new()?;
    let change = Kevent::read(&ours, EventFlags::ADD | EventFlags::CLEAR);
    let mut events = EventList::with_capacity(8);
    queue.kevent(&[change], &mut events, Some(Duration::ZERO))?;

    theirs.write_all(b"hello")?;
    let (mut count, mut bytes) = (0, 0);
    while queue.kevent(&[], &mut events, Some(Duration::ZERO))? > 0 {
        count += 1;
        loop {
            match ours.read(&mut [0; 2]) {
                Ok(n) => bytes += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
    }
    println!("{count} event, {bytes} bytes");
    Ok(())
}
