// ANCHOR: head
//! Three words come over a socket. `spin` asks for them again and again; without it, a queue waits.

use std::{
    env,
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

fn main() -> io::Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    thread::spawn(move || talk(theirs));
    match env::args().nth(1).as_deref() {
        Some("spin") => spin(&ours),
        _ => wait(&ours),
    }
}

/// The other side of the socket: three words, and a pause before each.
fn talk(mut stream: UnixStream) -> io::Result<()> {
    for word in ["one", "two", "three"] {
        thread::sleep(Duration::from_millis(100));
        stream.write_all(word.as_bytes())?;
    }
    Ok(())
}
// ANCHOR_END: head

// ANCHOR: spin
fn spin(mut stream: &UnixStream) -> io::Result<()> {
    let mut bytes = [0; 16];
    let mut asked = 0;
    loop {
        asked += 1;
        match stream.read(&mut bytes) {
            Ok(0) => break,
            Ok(n) => println!("read: {}", String::from_utf8_lossy(&bytes[..n])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    println!("asked for bytes {asked} times");
    Ok(())
}
// ANCHOR_END: spin

// ANCHOR: queue
fn wait(mut stream: &UnixStream) -> io::Result<()> {
    let queue = Kqueue::with_counts()?;
    // ANCHOR_END: queue
    // ANCHOR: register
    let change = Kevent::read(stream, EventFlags::ADD).with_udata(42);
    let mut events = EventList::with_capacity(8);
    queue.kevent(&[change], &mut events, Some(Duration::ZERO))?;
    // ANCHOR_END: register

    // ANCHOR: wait
    let mut bytes = [0; 16];
    let mut waits = 0;
    loop {
        waits += 1;
        queue.kevent(&[], &mut events, None)?;
        for event in &events {
            println!(
                "ident {} filter {:?} flags {:?} fflags {} data {} udata {}",
                if event.ident() == change.ident() {
                    "ours"
                } else {
                    "?"
                },
                event.filter(),
                event.flags(),
                event.fflags(),
                event.data(),
                event.udata(),
            );
            match stream.read(&mut bytes)? {
                0 => {
                    println!("waited {waits} times");
                    return Ok(());
                }
                n => println!("read: {}", String::from_utf8_lossy(&bytes[..n])),
            }
        }
    }
}
// ANCHOR_END: wait
