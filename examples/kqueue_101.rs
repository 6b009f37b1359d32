//! kqueue by hand: a listener, one registration, and a loop that waits for connections.
//!
//! ```text
//! cargo run --example kqueue_101 [ADDRESS]
//! curl http://127.0.0.1:8888/
//! ```
//!
//! The same program on macOS, on the BSDs and on Linux. Ctrl-C ends it.

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use nio_examples::println;
use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

/// The udata of the listener: each of its events has this number. Any number will do.
const LISTENER: usize = 1;

/// The most bytes of a request that are read.
const LONGEST_REQUEST: u64 = 8192;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 18\r\n\
    Connection: close\r\n\
    \r\n\
    hello from kqueue\n";

fn main() -> Result<(), Box<dyn Error>> {
    // Non-blocking, so that accept() returns WouldBlock when no connection waits.
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8888".into());
    let listener = TcpListener::bind(&address)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    println!("listening on {address}; try: curl http://{address}/");

    // 1. The queue, which lives in the kernel.
    let queue = Kqueue::new()?;

    // 2. The registration: a listener is readable when a connection waits to be accepted.
    //    ADD      adds the registration,
    //    CLEAR    reports each arrival once (edge-triggered),
    //    RECEIPT  makes the kernel answer with the result of the change, without waiting for events.
    let flags = EventFlags::ADD | EventFlags::CLEAR | EventFlags::RECEIPT;
    let change = Kevent::read(&listener, flags).with_udata(LISTENER);
    let mut changes = [change];
    queue.apply(&mut changes)?;
    changes[0].receipt()?;
    println!("registered: {change:?}");

    // 3. The loop: wait for at most a second, then handle the events.
    let mut events = EventList::with_capacity(16);
    loop {
        let count = match queue.kevent(&[], &mut events, Some(Duration::from_secs(1))) {
            // A signal interrupted the wait, as when the process continues after Ctrl-Z.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        };
        if count == 0 {
            println!("nothing happened for a second");
        }
        for event in &events {
            println!("event: {event:?}");
            if event.udata() == LISTENER {
                accept_all(&listener)?;
            }
        }
    }
}

/// One event may be for several connections, so accept until none is left.
fn accept_all(listener: &TcpListener) -> Result<(), Box<dyn Error>> {
    loop {
        match listener.accept() {
            Ok((stream, peer)) => match answer(stream) {
                Ok(()) => println!("answered {peer}"),
                Err(error) => println!("{peer}: {error}"),
            },
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // The client closed the connection before it was accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads a request, up to the empty line that ends its head, and answers it. This blocks, so all other
/// clients wait meanwhile; the examples `poll_echo` and `echo` do not block.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    // On the BSDs and macOS a connection inherits the mode of its listener.
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    for line in BufReader::new(&stream).take(LONGEST_REQUEST).lines() {
        if line?.is_empty() {
            break;
        }
    }
    stream.write_all(ANSWER)
}
