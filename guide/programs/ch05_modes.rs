// ANCHOR: head
//! The same socket, registered in four ways, and how many events each of them gives.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

const MODES: [(&str, EventFlags); 4] = [
    ("level", EventFlags::empty()),
    ("edge", EventFlags::CLEAR),
    ("oneshot", EventFlags::ONESHOT),
    ("dispatch", EventFlags::DISPATCH),
];

fn main() -> io::Result<()> {
    println!("events of        5 waits   1 of 5 bytes read   a new byte   enabled again");
    for (name, mode) in MODES {
        println!("{name:<16} {}", observe(mode)?);
    }
    Ok(())
}
// ANCHOR_END: head

// ANCHOR: count
/// How many events so many waits return. No wait sleeps: each returns what is there now.
fn count(queue: &Kqueue, waits: usize) -> io::Result<usize> {
    let mut events = EventList::with_capacity(8);
    let mut count = 0;
    for _ in 0..waits {
        count += queue.kevent(&[], &mut events, Some(Duration::ZERO))?;
    }
    Ok(count)
}
// ANCHOR_END: count

// ANCHOR: observe
fn observe(mode: EventFlags) -> io::Result<String> {
    let (mut ours, mut theirs) = UnixStream::pair()?;
    theirs.write_all(b"hello")?;
    let queue = Kqueue::new()?;
    let mut changes = [Kevent::read(&ours, EventFlags::ADD | mode)];
    queue.apply(&mut changes)?;
    changes[0].receipt()?;

    let unread = count(&queue, 5)?;
    ours.read_exact(&mut [0])?;
    let partly_read = count(&queue, 1)?;
    theirs.write_all(b"!")?;
    let new_byte = count(&queue, 1)?;

    let mut changes = [Kevent::read(&ours, EventFlags::ENABLE)];
    queue.apply(&mut changes)?;
    let enabled = match changes[0].receipt() {
        Ok(()) => count(&queue, 1)?.to_string(),
        Err(error) => format!("{:?}", error.kind()),
    };
    Ok(format!(
        "{unread:<9} {partly_read:<19} {new_byte:<12} {enabled}"
    ))
}
// ANCHOR_END: observe
