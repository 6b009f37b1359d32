// ANCHOR: head
//! A word comes after 250 milliseconds, and the end after 500. Meanwhile, a heartbeat is due every 100.

use std::{
    env,
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

const HEARTBEAT: Duration = Duration::from_millis(100);

fn talk(mut stream: UnixStream) -> io::Result<()> {
    thread::sleep(Duration::from_millis(250));
    stream.write_all(b"word")?;
    thread::sleep(Duration::from_millis(250));
    Ok(()) // drops the stream, which closes it
}

fn main() -> io::Result<()> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let queue = Kqueue::new()?;
    let mut events = EventList::with_capacity(8);
    let change = Kevent::read(&ours, EventFlags::ADD);
    queue.kevent(&[change], &mut events, Some(Duration::ZERO))?;
    thread::spawn(move || talk(theirs));
    // ANCHOR_END: head

    // ANCHOR: loop
    let way = env::args().nth(1).unwrap_or("until-next".into());
    let mut next = Instant::now() + HEARTBEAT;
    let (mut beats, mut waits, mut latest) = (0, 0, Duration::ZERO);
    loop {
        let now = Instant::now();
        if now >= next {
            latest = latest.max(now - next);
            beats += 1;
            next += HEARTBEAT;
            continue;
        }
        let timeout = match way.as_str() {
            "for-ever" => None,
            "not-at-all" => Some(Duration::ZERO),
            _ => Some(next - now),
        };
        waits += 1;
        match queue.kevent(&[], &mut events, timeout) {
            Ok(0) => {} // the timeout is over
            Ok(_) if ours.read(&mut [0; 16])? == 0 => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {} // by a signal
            Err(error) => return Err(error),
        }
    }
    // ANCHOR_END: loop
    // ANCHOR: report
    let latest = latest.as_millis();
    println!("{way}: {beats} heartbeats, one of them {latest} ms late; {waits} waits");
    Ok(())
}
// ANCHOR_END: report
