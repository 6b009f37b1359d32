//! mio, which is edge-triggered.

use std::{
    io::{self, ErrorKind, Read, Write},
    net,
    os::fd::AsRawFd,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use super::{
    BUFFER, EVENTS, SHORT_BUFFER,
    connection::{Connection, Next},
};

pub(super) fn echo(streams: Vec<net::TcpStream>) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let streams = streams.into_iter().map(TcpStream::from_std);
    let mut connections: Vec<Option<_>> = streams.map(Connection::new).map(Some).collect();
    for (index, connection) in connections.iter_mut().flatten().enumerate() {
        poll.registry()
            .register(&mut connection.stream, Token(index), Interest::READABLE)?;
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
                poll.registry().deregister(&mut connection.stream)?;
                connections[index] = None;
                open -= 1;
            } else if connection.waits_for_room != (next == Next::Room) {
                connection.waits_for_room = next == Next::Room;
                let interest = match next {
                    Next::Room => Interest::READABLE | Interest::WRITABLE,
                    _ => Interest::READABLE,
                };
                poll.registry()
                    .reregister(&mut connection.stream, Token(index), interest)?;
            }
        }
    }
    Ok(())
}

pub(super) fn short(listener: net::TcpListener, mut connections: usize) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let listening = Token(listener.as_raw_fd() as usize);
    let mut listener = TcpListener::from_std(listener);
    poll.registry()
        .register(&mut listener, listening, Interest::READABLE)?;
    // By descriptor.
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = [0; SHORT_BUFFER];
    while connections > 0 {
        poll.poll(&mut events, None)?;
        for event in events.iter() {
            let token = event.token();
            if token == listening {
                while let Some(mut stream) = accept(&listener)? {
                    let fd = stream.as_raw_fd() as usize;
                    poll.registry()
                        .register(&mut stream, Token(fd), Interest::READABLE)?;
                    if streams.len() <= fd {
                        streams.resize_with(fd + 1, || None);
                    }
                    streams[fd] = Some(stream);
                }
            } else if let Some(mut stream) = streams[token.0].take() {
                let n = stream.read(&mut buffer)?;
                stream.write_all(&buffer[..n])?;
                poll.registry().deregister(&mut stream)?;
                connections -= 1;
            }
        }
    }
    Ok(())
}

fn accept(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((stream, _)) => Ok(Some(stream)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
