//! An event says that a full socket has room again.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use nio_guide::apply;
use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

fn main() -> io::Result<()> {
    let (mut ours, mut theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut written = 0;
    loop {
        match ours.write(&[0; 1024]) {
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    let queue = Kqueue::new()?;
    let mut events = EventList::with_capacity(8);
    apply(
        &queue,
        &[Kevent::write(&ours, EventFlags::ADD | EventFlags::CLEAR)],
    )?;
    if queue.wait(&mut events, Some(Duration::ZERO))? == 0 {
        println!("no room");
    }
    theirs.read_exact(&mut vec![0; written])?;
    queue.wait(&mut events, None)?;
    println!("room again");
    Ok(())
}
