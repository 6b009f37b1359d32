//! nio-poll alone, edge-triggered.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
};

use nio_poll::{Events, Interest, Poll, Token};

use super::{
    BUFFER, EVENTS, SHORT_BUFFER,
    accept::accept,
    connection::{Connection, Next},
};

pub(super) fn echo(streams: Vec<TcpStream>) -> io::Result<()> {
    let poll = Poll::new()?;
    let connections = streams.into_iter().map(Connection::new);
    let mut connections: Vec<Option<_>> = connections.map(Some).collect();
    for (index, connection) in connections.iter().flatten().enumerate() {
        poll.register(&connection.stream, Token(index), Interest::READABLE)?;
    }
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = [0; BUFFER];
    let mut open = connections.len();
    while open > 0 {
        poll.poll(&mut events, None)?;
        for event in events.iter() {
            let index = event.token().0;
            let Some(connection) = &mut connections[index] else {
                continue;
            };
            let end_is_near = event.is_read_closed();
            let reads_again = |n| n == BUFFER || end_is_near;
            let next = connection.echo(&mut buffer, reads_again)?;
            if next == Next::Nothing {
                poll.deregister(&connection.stream)?;
                connections[index] = None;
                open -= 1;
            } else if connection.waits_for_room != (next == Next::Room) {
                connection.waits_for_room = next == Next::Room;
                let interest = match next {
                    Next::Room => Interest::READABLE | Interest::WRITABLE,
                    _ => Interest::READABLE,
                };
                poll.reregister(&connection.stream, Token(index), interest)?;
            }
        }
    }
    Ok(())
}

pub(super) fn short(listener: TcpListener, mut connections: usize) -> io::Result<()> {
    let poll = Poll::new()?;
    let listening = Token(listener.as_raw_fd() as usize);
    poll.register(&listener, listening, Interest::READABLE)?;
    // By descriptor.
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = [0; SHORT_BUFFER];
    while connections > 0 {
        poll.poll(&mut events, None)?;
        for event in events.iter() {
            let token = event.token();
            if token == listening {
                while let Some(stream) = accept(&listener)? {
                    let fd = stream.as_raw_fd() as usize;
                    poll.register(&stream, Token(fd), Interest::READABLE)?;
                    if streams.len() <= fd {
                        streams.resize_with(fd + 1, || None);
                    }
                    streams[fd] = Some(stream);
                }
            } else if let Some(mut stream) = streams[token.0].take() {
                let n = stream.read(&mut buffer)?;
                stream.write_all(&buffer[..n])?;
                poll.deregister(&stream)?;
                connections -= 1;
            }
        }
    }
    Ok(())
}
