//! nio-loop: a callback for each connection, level-triggered, and one buffer for all.

use std::{
    cell::{Cell, RefCell},
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    rc::Rc,
};

use nio_loop::{EventLoop, Handle, Interest};

use super::BUFFER;

pub(super) fn echo(streams: Vec<TcpStream>) -> io::Result<()> {
    let mut event_loop = EventLoop::new()?;
    let buffer = Rc::new(RefCell::new([0; BUFFER]));
    for stream in streams {
        watch(&event_loop.handle(), Rc::new(stream), &buffer, Vec::new())?;
    }
    event_loop.run()?;
    Ok(())
}

/// Echoes each message. Bytes without room are kept, and then it watches for writability instead.
fn watch(
    handle: &Handle,
    stream: Rc<TcpStream>,
    buffer: &Rc<RefCell<[u8; BUFFER]>>,
    mut rest: Vec<u8>,
) -> io::Result<()> {
    let interest = match rest.is_empty() {
        true => Interest::READABLE,
        false => Interest::WRITABLE,
    };
    let own = Rc::new(Cell::new(None));
    let (id, shared) = (Rc::clone(&own), Rc::clone(buffer));
    let watched = handle.watch(stream, interest, move |handle, stream, _| {
        let mut buffer = shared.borrow_mut();
        let is_open = match rest.is_empty() {
            true => echo_once(stream, &mut *buffer, &mut rest),
            false => write(stream, &mut rest).map(|()| true),
        };
        drop(buffer);
        let next = match rest.is_empty() {
            true => Interest::READABLE,
            false => Interest::WRITABLE,
        };
        let is_open = is_open.unwrap_or(false);
        if is_open && next == interest {
            return;
        }
        id.take().map(|id| handle.clear(id));
        if is_open {
            let stream = Rc::clone(stream);
            watch(handle, stream, &shared, std::mem::take(&mut rest)).expect("a place for a watch");
        }
    })?;
    own.set(Some(watched));
    Ok(())
}

/// Reads once, and writes that. Returns whether the connection goes on.
fn echo_once(stream: &TcpStream, buffer: &mut [u8], rest: &mut Vec<u8>) -> io::Result<bool> {
    let n = { stream }.read(buffer)?;
    let written = match { stream }.write(&buffer[..n]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        written => written?,
    };
    rest.extend_from_slice(&buffer[written..n]);
    Ok(n > 0)
}

fn write(stream: &TcpStream, rest: &mut Vec<u8>) -> io::Result<()> {
    let written = { stream }.write(rest)?;
    rest.drain(..written);
    Ok(())
}
