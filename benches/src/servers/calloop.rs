//! calloop, level-triggered: an event source for each connection.

use std::{
    io::{self, Read, Write},
    mem,
    net::{TcpListener, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use calloop::{
    EventLoop, EventSource, Interest, Mode, Poll, PostAction, Readiness, Token, TokenFactory,
    generic::{Generic, NoIoDrop},
};

use super::{
    BUFFER, SHORT_BUFFER,
    accept::accept,
    connection::{Connection, Next},
};

/// The data of the loop.
struct State {
    /// The connections that are still to end.
    left: usize,
    buffer: [u8; BUFFER],
}

/// Runs until all connections have ended.
fn run(mut event_loop: EventLoop<'_, State>, left: usize) -> io::Result<()> {
    let buffer = [0; BUFFER];
    let mut state = State { left, buffer };
    while state.left > 0 {
        event_loop
            .dispatch(None::<Duration>, &mut state)
            .map_err(io::Error::other)?;
    }
    Ok(())
}

pub(super) fn echo(streams: Vec<TcpStream>) -> io::Result<()> {
    let event_loop = EventLoop::try_new().map_err(io::Error::other)?;
    let count = streams.len();
    for stream in streams {
        let source = Generic::new(Connection::new(stream), Interest::READ, Mode::Level);
        let inserted =
            event_loop
                .handle()
                .insert_source(Echo(source), |(), connection, state: &mut State| {
                    let next = connection.echo(&mut state.buffer, |_| false)?;
                    state.left -= usize::from(next == Next::Nothing);
                    Ok(next)
                });
        inserted.map_err(|error| io::Error::other(error.error))?;
    }
    run(event_loop, count)
}

/// An event source that changes its interest when there is no room to write.
struct Echo(Generic<Connection<TcpStream>>);

impl AsFd for Connection<TcpStream> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl EventSource for Echo {
    type Event = ();
    type Metadata = Connection<TcpStream>;
    type Ret = io::Result<Next>;
    type Error = io::Error;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut((), &mut Connection<TcpStream>) -> io::Result<Next>,
    {
        let mut next = Next::Bytes;
        let action = self.0.process_events(readiness, token, |_, connection| {
            // SAFETY: the callback does not drop the connection's stream.
            let connection = unsafe { connection.get_mut() };
            next = callback((), connection)?;
            let waits_for_room = next == Next::Room;
            let changed =
                waits_for_room != mem::replace(&mut connection.waits_for_room, waits_for_room);
            Ok(match next {
                Next::Nothing => PostAction::Remove,
                _ if changed => PostAction::Reregister,
                _ => PostAction::Continue,
            })
        });
        self.0.interest = match next {
            Next::Room => Interest::WRITE,
            _ => Interest::READ,
        };
        action
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.register(poll, tokens)
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.0.reregister(poll, tokens)
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.0.unregister(poll)
    }
}

pub(super) fn short(listener: TcpListener, connections: usize) -> io::Result<()> {
    let event_loop = EventLoop::<State>::try_new().map_err(io::Error::other)?;
    let handle = event_loop.handle();
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    let streams = handle.clone();
    let on_connection = move |_, listener: &mut NoIoDrop<TcpListener>, _: &mut State| {
        while let Some(stream) = accept(listener)? {
            let source = Generic::new(stream, Interest::READ, Mode::Level);
            let inserted = streams.insert_source(source, |_, stream, state| {
                let n = (&**stream).read(&mut state.buffer[..SHORT_BUFFER])?;
                (&**stream).write_all(&state.buffer[..n])?;
                state.left -= 1;
                Ok(PostAction::Remove)
            });
            inserted.map_err(|error| io::Error::other(error.error))?;
        }
        Ok(PostAction::Continue)
    };
    let inserted = handle.insert_source(source, on_connection);
    inserted.map_err(|error| io::Error::other(error.error))?;
    run(event_loop, connections)
}
