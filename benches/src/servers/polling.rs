//! polling, edge-triggered.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    num::NonZero,
    os::fd::AsRawFd,
};

use polling::{Event, Events, PollMode, Poller};

use super::{
    BUFFER, EVENTS, SHORT_BUFFER,
    accept::accept,
    connection::{Connection, Next},
};

fn events() -> Events {
    Events::with_capacity(NonZero::new(EVENTS).expect("it is not zero"))
}

pub(super) fn echo(streams: Vec<TcpStream>) -> io::Result<()> {
    let poller = Poller::new()?;
    let connections = streams.into_iter().map(Connection::new);
    let mut connections: Vec<Option<_>> = connections.map(Some).collect();
    for (index, connection) in connections.iter().flatten().enumerate() {
        // SAFETY: a connection is deleted from the poller before it is closed.
        unsafe {
            poller.add_with_mode(&connection.stream, Event::readable(index), PollMode::Edge)?;
        }
    }
    let (mut events, mut buffer) = (events(), [0; BUFFER]);
    let mut open = connections.len();
    while open > 0 {
        events.clear();
        poller.wait(&mut events, None)?;
        for event in events.iter() {
            let Some(connection) = &mut connections[event.key] else {
                continue;
            };
            let end_is_near = event.is_interrupt();
            let reads_again = |n| n == BUFFER || end_is_near;
            let next = connection.echo(&mut buffer, reads_again)?;
            if next == Next::Nothing {
                poller.delete(&connection.stream)?;
                connections[event.key] = None;
                open -= 1;
            } else if connection.waits_for_room != (next == Next::Room) {
                connection.waits_for_room = next == Next::Room;
                let interest = match next {
                    Next::Room => Event::all(event.key),
                    _ => Event::readable(event.key),
                };
                poller.modify_with_mode(&connection.stream, interest, PollMode::Edge)?;
            }
        }
    }
    Ok(())
}

pub(super) fn short(listener: TcpListener, mut connections: usize) -> io::Result<()> {
    let poller = Poller::new()?;
    let listening = listener.as_raw_fd() as usize;
    // SAFETY: the poller is dropped before the listener, and a stream is deleted before it is closed.
    let add = |fd: &dyn AsRawFd, key| unsafe {
        poller.add_with_mode(fd.as_raw_fd(), Event::readable(key), PollMode::Edge)
    };
    add(&listener, listening)?;
    // By descriptor.
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let (mut events, mut buffer) = (events(), [0; SHORT_BUFFER]);
    while connections > 0 {
        events.clear();
        poller.wait(&mut events, None)?;
        for event in events.iter() {
            if event.key == listening {
                while let Some(stream) = accept(&listener)? {
                    let fd = stream.as_raw_fd() as usize;
                    add(&stream, fd)?;
                    if streams.len() <= fd {
                        streams.resize_with(fd + 1, || None);
                    }
                    streams[fd] = Some(stream);
                }
            } else if let Some(mut stream) = streams[event.key].take() {
                let n = stream.read(&mut buffer)?;
                stream.write_all(&buffer[..n])?;
                poller.delete(&stream)?;
                connections -= 1;
            }
        }
    }
    Ok(())
}
