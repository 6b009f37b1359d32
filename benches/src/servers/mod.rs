//! The servers. All of them do the same for a message: one recv(2), one send(2).
//!
//! - *echo* gets connections that are accepted, non-blocking and TCP_NODELAY, and returns when the
//!   client has closed all of them. What one read has taken is written before the next read; what
//!   there is no room for waits, and only then writability is asked for. Where a library is
//!   edge-triggered, a read that did not fill the buffer is taken as the last one there is until the
//!   next event.
//! - *idle* is the same, with a buffer of one byte where each connection has a buffer of its own.
//! - *short* gets a listener, and for each of so many connections reads one message, writes it and
//!   closes.
//! - *http*, where hyper runs on the library, answers requests on connections that are accepted.
//!
//! Each does what its library's documentation shows.

mod accept;
mod connection;
mod epoll;
mod http;
mod libev;
mod libevent;
mod libuv;
mod mio;
mod nio_loop;
mod nio_net;
mod nio_poll;
mod smol;
mod tokio;

use std::{
    ffi::CStr,
    io,
    net::{TcpListener, TcpStream},
};

use crate::library::Library;

/// What one read can take. A message that is as large or larger needs more than one.
pub const BUFFER: usize = 16 * 1024;

/// What one read can take of an idle connection.
const NO_BUFFER: usize = 1;

/// What one read can take of a short connection.
const SHORT_BUFFER: usize = 1024;

/// How many events one wait of a loop returns at most, unless the library has its own number.
const EVENTS: usize = 1024;

/// A server, on one library. See the module for its services.
pub struct Server {
    /// What it is called: as its library, or the way in which that is used.
    pub name: &'static str,
    /// The C library that has to be installed.
    library: Option<&'static CStr>,
    pub(crate) echo: fn(Vec<TcpStream>) -> io::Result<()>,
    pub(crate) idle: fn(Vec<TcpStream>) -> io::Result<()>,
    pub(crate) short: Option<fn(TcpListener, usize) -> io::Result<()>>,
    pub(crate) http: Option<fn(Vec<TcpStream>) -> io::Result<()>>,
}

/// All of them, that which the others are compared with first.
static ALL: [Server; 11] = [
    Server {
        name: "epoll",
        library: None,
        echo: epoll::echo,
        idle: epoll::echo,
        short: Some(epoll::short),
        http: None,
    },
    Server {
        name: "nio-poll",
        library: None,
        echo: nio_poll::echo,
        idle: nio_poll::echo,
        short: Some(nio_poll::short),
        http: None,
    },
    Server {
        name: "nio-watch",
        library: None,
        echo: nio_loop::echo,
        idle: nio_loop::echo,
        short: None,
        http: None,
    },
    Server {
        name: "nio-net",
        library: None,
        echo: nio_net::echo::<BUFFER>,
        idle: nio_net::echo::<NO_BUFFER>,
        short: Some(nio_net::short),
        http: Some(http::nio),
    },
    Server {
        name: "nio-shared",
        library: None,
        echo: nio_net::echo_shared,
        idle: nio_net::echo_shared,
        short: None,
        http: None,
    },
    Server {
        name: "mio",
        library: None,
        echo: mio::echo,
        idle: mio::echo,
        short: Some(mio::short),
        http: None,
    },
    Server {
        name: "tokio",
        library: None,
        echo: tokio::echo::<BUFFER>,
        idle: tokio::echo::<NO_BUFFER>,
        short: Some(tokio::short),
        http: Some(http::tokio),
    },
    Server {
        name: "smol",
        library: None,
        echo: smol::echo::<BUFFER>,
        idle: smol::echo::<NO_BUFFER>,
        short: Some(smol::short),
        http: None,
    },
    Server {
        name: "libuv",
        library: Some(libuv::NAME),
        echo: libuv::echo,
        idle: libuv::echo,
        short: Some(libuv::short),
        http: None,
    },
    Server {
        name: "libev",
        library: Some(libev::NAME),
        echo: libev::echo,
        idle: libev::echo,
        short: Some(libev::short),
        http: None,
    },
    Server {
        name: "libevent",
        library: Some(libevent::NAME),
        echo: libevent::echo,
        idle: libevent::echo,
        short: Some(libevent::short),
        http: None,
    },
];

/// The server of this name.
pub fn find(name: &str) -> Result<&'static Server, String> {
    let found = ALL.iter().find(|server| server.name == name);
    found.ok_or_else(|| format!("no server is called {name:?}"))
}

/// Those that have short connections, and whose libraries are there.
pub fn with_short() -> Vec<&'static Server> {
    let mut all = installed();
    all.retain(|server| server.short.is_some());
    all
}

/// Those that hyper runs on.
pub fn with_http() -> Vec<&'static Server> {
    ALL.iter().filter(|server| server.http.is_some()).collect()
}

/// All servers whose libraries are there; says which are not.
pub fn installed() -> Vec<&'static Server> {
    let is_installed = |server: &&Server| {
        let found = server
            .library
            .is_none_or(|name| Library::load(name).is_some());
        if !found {
            println!("{} is not installed", server.name);
        }
        found
    };
    ALL.iter().filter(is_installed).collect()
}

/// The error of a function that a library does not have.
fn not_there<T>(found: Option<T>) -> io::Result<T> {
    found.ok_or_else(|| io::Error::other("the library, or a function of it, is not there"))
}
