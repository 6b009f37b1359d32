//! nio-poll alone, edge-triggered.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

use nio_poll::{Events, Interest, Poll, Token};

use super::{BUFFER, EVENTS};

pub(super) fn serve(streams: Vec<TcpStream>) -> io::Result<()> {
    let poll = Poll::new()?;
    let mut streams: Vec<Option<TcpStream>> = streams.into_iter().map(Some).collect();
    for (index, stream) in streams.iter().flatten().enumerate() {
        poll.register(stream, Token(index), Interest::READABLE)?;
    }
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = [0; BUFFER];
    let mut open = streams.len();
    while open > 0 {
        poll.poll(&mut events, None)?;
        for event in events.iter() {
            let index = event.token().0;
            let Some(stream) = &mut streams[index] else {
                continue;
            };
            if echo(stream, &mut buffer, event.is_read_closed())? {
                poll.deregister(stream)?;
                streams[index] = None;
                open -= 1;
            }
        }
    }
    Ok(())
}

/// Echoes what is there. Returns whether that was the end.
fn echo(stream: &mut TcpStream, buffer: &mut [u8], end_is_near: bool) -> io::Result<bool> {
    loop {
        let n = match stream.read(buffer) {
            Ok(0) => return Ok(true),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        stream.write_all(&buffer[..n])?;
        if n < buffer.len() && !end_is_near {
            return Ok(false);
        }
    }
}
