//! An echo server on nio-poll alone: tokens, events, and a state for each connection.
//!
//! ```text
//! cargo run --release --example poll_echo [ADDRESS]
//! nc 127.0.0.1 7001
//! ```
//!
//! Ctrl-C ends it.

use std::{
    collections::HashMap,
    env,
    error::Error,
    io::{self, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
};

use nio_poll::{Events, Interest, Poll, Signal, Token};

const LISTENER: Token = Token(0);
const CTRL_C: Token = Token(1);
/// Connections have this token and those after it.
const FIRST_CONNECTION: usize = 2;

struct Connection {
    stream: TcpStream,
    /// What was read and could not be written yet. Nothing more is read before it is gone, so a
    /// client that does not read cannot fill our memory.
    unwritten: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:7001".into());
    let listener = TcpListener::bind(&address)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    println!(
        "listening on {address}; try: nc {} {}",
        address.ip(),
        address.port()
    );

    let poll = Poll::new()?;
    poll.register(&listener, LISTENER, Interest::READABLE)?;
    poll.register_signal(Signal::INTERRUPT, CTRL_C)?;

    let mut connections = HashMap::new();
    let mut next = FIRST_CONNECTION;
    let mut events = Events::with_capacity(256);
    loop {
        poll.poll(&mut events, None)?;
        for event in events.iter() {
            match event.token() {
                CTRL_C => {
                    println!("{} connections closed", connections.len());
                    return Ok(());
                }
                LISTENER => {
                    while let Some(stream) = accept(&listener)? {
                        let token = Token(next);
                        next += 1;
                        let both = Interest::READABLE | Interest::WRITABLE;
                        poll.register(&stream, token, both)?;
                        let unwritten = Vec::new();
                        connections.insert(token, Connection { stream, unwritten });
                    }
                }
                token => {
                    // It may be gone: a connection has two events when both directions are ready.
                    let Some(connection) = connections.get_mut(&token) else {
                        continue;
                    };
                    if !echo(connection).unwrap_or(false) {
                        poll.deregister(&connection.stream)?;
                        connections.remove(&token);
                    }
                }
            }
        }
    }
}

/// The next connection, if one waits.
fn accept(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(true)?;
            Ok(Some(stream))
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads and writes until one of them would block: an edge-triggered event is not repeated.
/// Returns whether the connection goes on.
fn echo(connection: &mut Connection) -> io::Result<bool> {
    let Connection { stream, unwritten } = connection;
    let mut bytes = [0; 16 * 1024];
    loop {
        while !unwritten.is_empty() {
            match stream.write(unwritten) {
                Ok(n) => drop(unwritten.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(false),
            Ok(n) => unwritten.extend_from_slice(&bytes[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}
