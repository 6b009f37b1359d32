// ANCHOR: head
//! Three changes in one call, and the second one is wrong.

use std::{
    env,
    io::{self, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

/// A socket on which a word has arrived. The other end is kept, or reading would find the end.
fn socket() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, mut theirs) = UnixStream::pair()?;
    theirs.write_all(b"word")?;
    Ok((ours, theirs))
}

fn main() -> io::Result<()> {
    let queue = Kqueue::new()?;
    let ((one, _a), (two, _b), (three, _c)) = (socket()?, socket()?, socket()?);
    let mut changes = [
        Kevent::read(&one, EventFlags::ADD).with_udata(1),
        Kevent::read(&two, EventFlags::DELETE).with_udata(2), // was never added
        Kevent::read(&three, EventFlags::ADD).with_udata(3),
    ];
    // ANCHOR_END: head
    // ANCHOR: ways
    match env::args().nth(1).as_deref() {
        Some("no-room") => without_room(&queue, &changes),
        Some("no-receipts") => without_receipts(&queue, &changes)?,
        _ => with_receipts(&queue, &mut changes)?,
    }

    let mut events = EventList::with_capacity(8);
    queue.kevent(&[], &mut events, Some(Duration::ZERO))?;
    let mut ready: Vec<usize> = events.iter().map(Kevent::udata).collect();
    ready.sort();
    println!("a wait reports the sockets {ready:?}");
    Ok(())
}
// ANCHOR_END: ways

// ANCHOR: no_room
fn without_room(queue: &Kqueue, changes: &[Kevent]) {
    let mut events = EventList::with_capacity(0);
    match queue.kevent(changes, &mut events, Some(Duration::ZERO)) {
        Ok(_) => println!("all done"),
        Err(error) => println!("the call fails: {:?}", error.kind()),
    }
}
// ANCHOR_END: no_room

// ANCHOR: no_receipts
fn without_receipts(queue: &Kqueue, changes: &[Kevent]) -> io::Result<()> {
    let mut events = EventList::with_capacity(8);
    let count = queue.kevent(changes, &mut events, None)?; // waits for ever?
    println!("the call returns {count} entry");
    for event in &events {
        let is = if event.is_error() {
            "an error"
        } else {
            "an event"
        };
        println!("socket {}: {is}, errno {}", event.udata(), event.data());
    }
    Ok(())
}
// ANCHOR_END: no_receipts

// ANCHOR: receipts
fn with_receipts(queue: &Kqueue, changes: &mut [Kevent]) -> io::Result<()> {
    queue.apply(changes)?;
    for receipt in changes {
        match receipt.receipt() {
            Ok(()) => println!("change {}: done", receipt.udata()),
            Err(error) => println!("change {}: {:?}", receipt.udata(), error.kind()),
        }
    }
    Ok(())
}
// ANCHOR_END: receipts
