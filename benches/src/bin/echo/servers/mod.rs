//! The servers. All of them do the same for a message: one recv(2), one send(2).
//!
//! A server gets connections that are accepted, non-blocking and TCP_NODELAY, and returns when the
//! client has closed all of them. Where a library is edge-triggered, a read that did not fill the
//! buffer is taken as the last one there is until the next event. The client has one message under
//! way on a connection, so there is always room to write.

mod epoll;
mod mio;
mod nio_net;
mod nio_poll;
mod tokio;

use std::{io, net::TcpStream};

/// What one read can take; messages are smaller.
pub(crate) const BUFFER: usize = 16 * 1024;

pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) serve: fn(Vec<TcpStream>) -> io::Result<()>,
}

/// All of them, that which the others are compared with first.
pub(crate) const ALL: [Server; 5] = [
    Server {
        name: "epoll",
        serve: epoll::serve,
    },
    Server {
        name: "nio-poll",
        serve: nio_poll::serve,
    },
    Server {
        name: "nio-net",
        serve: nio_net::serve,
    },
    Server {
        name: "mio",
        serve: mio::serve,
    },
    Server {
        name: "tokio",
        serve: tokio::serve,
    },
];

pub(crate) fn find(name: &str) -> Result<&'static Server, String> {
    let found = ALL.iter().find(|server| server.name == name);
    found.ok_or_else(|| format!("no server is called {name:?}"))
}

/// How many events one wait of a loop returns at most, unless the library has its own number.
const EVENTS: usize = 1024;
