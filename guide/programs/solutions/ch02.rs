//! Two sockets, one queue: the udata of an event says which one it is.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
};

use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

fn main() -> io::Result<()> {
    let queue = Kqueue::new()?;
    let (mut one, mut to_one) = UnixStream::pair()?;
    let (mut two, mut to_two) = UnixStream::pair()?;
    let changes = [
        Kevent::read(&one, EventFlags::ADD).with_udata(1),
        Kevent::read(&two, EventFlags::ADD).with_udata(2),
    ];
    let mut events = EventList::with_capacity(8);
    queue.kevent(&changes, &mut events, Some(std::time::Duration::ZERO))?;

    for (writer, reader) in [(&mut to_two, &mut two), (&mut to_one, &mut one)] {
        writer.write_all(b"!")?;
        queue.kevent(&[], &mut events, None)?;
        for event in &events {
            println!("socket {}", event.udata());
        }
        reader.read_exact(&mut [0])?;
    }
    Ok(())
}
