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

use nio_examples::println;
use nio_poll::{Events, Interest, Poll, Signal, Token};

const LISTENER: Token = Token(0);
const CTRL_C: Token = Token(1);
/// Connections have this token and those after it.
const FIRST_CONNECTION: usize = 2;

struct Server {
    poll: Poll,
    listener: TcpListener,
    connections: HashMap<Token, Connection>,
    next: usize,
    /// Accepting has failed, usually for want of a descriptor: connections still wait.
    full: bool,
}

struct Connection {
    stream: TcpStream,
    /// Bytes that were read and are not written yet. Reading stops until they are written
    /// (backpressure), so a client that does not read cannot fill the memory.
    unwritten: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:7001".into());
    let listener = TcpListener::bind(&address)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;

    let poll = Poll::new()?;
    poll.register(&listener, LISTENER, Interest::READABLE)?;
    poll.register_signal(Signal::INTERRUPT, CTRL_C)?;
    println!(
        "listening on {address}; try: nc {} {}",
        address.ip(),
        address.port()
    );

    let mut server = Server {
        poll,
        listener,
        connections: HashMap::new(),
        next: FIRST_CONNECTION,
        full: false,
    };
    let mut events = Events::with_capacity(256);
    loop {
        server.poll.poll(&mut events, None)?;
        for event in events.iter() {
            match event.token() {
                CTRL_C => {
                    println!("{} connections closed", server.connections.len());
                    return Ok(());
                }
                LISTENER => server.accept_all()?,
                token => server.serve(token)?,
            }
        }
    }
}

impl Server {
    /// Accepts until no connection waits: an edge-triggered event is not repeated.
    fn accept_all(&mut self) -> Result<(), Box<dyn Error>> {
        self.full = false;
        loop {
            match nio_poll::accept(&self.listener) {
                Ok(socket) => self.add(TcpStream::from(socket))?,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(()),
                    // The client closed the connection before it was accepted.
                    ErrorKind::ConnectionAborted => {}
                    // Usually no descriptor is free; one will be when a connection ends.
                    _ => {
                        println!("cannot accept: {error}");
                        self.full = true;
                        return Ok(());
                    }
                },
            }
        }
    }

    fn add(&mut self, stream: TcpStream) -> Result<(), Box<dyn Error>> {
        let token = Token(self.next);
        self.next += 1;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.register(&stream, token, both)?;
        let unwritten = Vec::new();
        let connection = Connection { stream, unwritten };
        self.connections.insert(token, connection);
        Ok(())
    }

    /// Handles an event of a connection.
    fn serve(&mut self, token: Token) -> Result<(), Box<dyn Error>> {
        // A stale event: a connection that is ready in both directions has two events, and the
        // first may have closed it.
        let Some(connection) = self.connections.get_mut(&token) else {
            return Ok(());
        };
        if echo(connection).unwrap_or(false) {
            return Ok(());
        }
        self.poll.deregister(&connection.stream)?;
        self.connections.remove(&token);
        if self.full { self.accept_all() } else { Ok(()) }
    }
}

/// Reads and writes until one of them would block: the event is edge-triggered, too. Returns false at
/// the end of the connection.
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
