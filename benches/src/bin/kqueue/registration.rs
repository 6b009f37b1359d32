//! Registering a socket and taking it back.

use std::{
    io,
    os::{fd::AsRawFd, unix::net::UnixStream},
};

use nio_sys::{EventFlags, Kevent, Kqueue};

use crate::{
    group::{Group, time},
    ready::{bare_epoll, control},
};

const CALLS: u32 = 5_000;

/// All contenders.
pub(crate) fn group() -> io::Result<Group> {
    let mut group = Group {
        title: "registering a socket and deregistering it".into(),
        per_turn: CALLS,
        contenders: Vec::new(),
    };
    let (socket, _far) = UnixStream::pair()?;
    let epoll = bare_epoll()?;
    group.add("epoll", move || {
        time(CALLS, || {
            control(&epoll, libc::EPOLL_CTL_ADD, socket.as_raw_fd());
            control(&epoll, libc::EPOLL_CTL_DEL, socket.as_raw_fd());
        })
    });
    let (socket, _far) = UnixStream::pair()?;
    let kqueue = Kqueue::new()?;
    group.add("nio-sys", move || {
        time(CALLS, || {
            let add = EventFlags::ADD | EventFlags::CLEAR;
            kqueue.apply(&mut [Kevent::read(&socket, add)]).unwrap();
            kqueue
                .apply(&mut [Kevent::read(&socket, EventFlags::DELETE)])
                .unwrap();
        })
    });
    let (socket, _far) = UnixStream::pair()?;
    let poll = nio_poll::Poll::new()?;
    group.add("nio-poll", move || {
        time(CALLS, || {
            let interest = nio_poll::Interest::READABLE;
            poll.register(&socket, nio_poll::Token(1), interest)
                .unwrap();
            poll.deregister(&socket).unwrap();
        })
    });
    let (socket, _far) = UnixStream::pair()?;
    let poll = mio::Poll::new()?;
    group.add("mio", move || {
        time(CALLS, || {
            let fd = socket.as_raw_fd();
            let mut source = mio::unix::SourceFd(&fd);
            let registry = poll.registry();
            registry
                .register(&mut source, mio::Token(1), mio::Interest::READABLE)
                .unwrap();
            registry.deregister(&mut source).unwrap();
        })
    });
    let (socket, _far) = UnixStream::pair()?;
    let poller = polling::Poller::new()?;
    group.add("polling", move || {
        time(CALLS, || {
            let event = polling::Event::readable(1);
            // SAFETY: the socket is deregistered in the next line.
            unsafe {
                poller
                    .add_with_mode(&socket, event, polling::PollMode::Edge)
                    .unwrap()
            };
            poller.delete(&socket).unwrap();
        })
    });
    Ok(group)
}
