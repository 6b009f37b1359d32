//! The servers. All of them make the same system calls for a message: one recv(2), one send(2).
//!
//! - *echo* gets connections that are accepted, non-blocking and TCP_NODELAY, and returns when the client has closed all
//!   of them. The bytes of one read are written before the next read; bytes that the kernel has no room for wait, and
//!   only then the server asks for writability. Where a library is edge-triggered, a read that did not fill the buffer is
//!   taken as the last one until the next event.
//! - *idle* is the same, with a buffer of one byte where each connection has a buffer of its own.
//! - *short* gets a listener, and for each of so many connections reads one message, writes it and closes.
//! - *http*, where hyper runs on the library, answers requests on connections that are accepted.
//! - *cores* is echo with work to do for each message, on one thread or on as many as there are cores.
//!
//! Each is written as the documentation of its library shows.

mod accept;
mod calloop;
mod connection;
mod cores;
mod epoll;
mod http;
mod libev;
mod libevent;
mod libuv;
mod mio;
mod nio_loop;
mod nio_net;
mod nio_poll;
mod polling;
mod smol;
mod tokio;

use std::{
    ffi::CStr,
    io,
    net::{TcpListener, TcpStream},
};

use crate::library::{LIBEV, LIBEVENT, LIBUV, Library};

/// The bytes that one read can take. A message that is as large or larger needs more than one.
const BUFFER: usize = 16 * 1024;

/// The bytes that one read can take of an idle connection.
const NO_BUFFER: usize = 1;

/// The bytes that one read can take of a short connection.
const SHORT_BUFFER: usize = 1024;

/// The most events that one wait of a loop returns, unless the library has a number of its own.
const EVENTS: usize = 1024;

/// The names of the services.
pub(crate) const ECHO: &str = "echo";
pub(crate) const IDLE: &str = "idle";
pub(crate) const SHORT: &str = "short";
pub(crate) const HTTP: &str = "http";
pub(crate) const CORES: &str = "cores";

/// The function of a service.
#[derive(Clone, Copy)]
pub(crate) enum Serve {
    /// Gets connections that are accepted.
    Streams(fn(Vec<TcpStream>) -> io::Result<()>),
    /// Gets a listener, and the number of connections that will come.
    Listener(fn(TcpListener, usize) -> io::Result<()>),
}

use Serve::{Listener, Streams};

/// A server on one library.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// The C library that has to be installed.
    library: Option<&'static CStr>,
    services: &'static [(&'static str, Serve)],
}

const fn rust(name: &'static str, services: &'static [(&'static str, Serve)]) -> Server {
    Server {
        name,
        library: None,
        services,
    }
}

const fn c(
    name: &'static str,
    library: &'static CStr,
    services: &'static [(&'static str, Serve)],
) -> Server {
    Server {
        name,
        library: Some(library),
        services,
    }
}

/// All of them. The first of a service is the baseline.
static ALL: [Server; 17] = [
    rust(
        "epoll",
        &[
            (ECHO, Streams(epoll::echo)),
            (IDLE, Streams(epoll::echo)),
            (SHORT, Listener(epoll::short)),
        ],
    ),
    rust(
        "nio-poll",
        &[
            (ECHO, Streams(nio_poll::echo)),
            (IDLE, Streams(nio_poll::echo)),
            (SHORT, Listener(nio_poll::short)),
        ],
    ),
    rust(
        "nio-watch",
        &[
            (ECHO, Streams(nio_loop::echo)),
            (IDLE, Streams(nio_loop::echo)),
        ],
    ),
    rust(
        "nio-net",
        &[
            (ECHO, Streams(nio_net::echo::<BUFFER>)),
            (IDLE, Streams(nio_net::echo::<NO_BUFFER>)),
            (SHORT, Listener(nio_net::short)),
            (HTTP, Streams(http::nio)),
            (CORES, Streams(cores::nio_on_one)),
        ],
    ),
    rust(
        "nio-shared",
        &[
            (ECHO, Streams(nio_net::echo_shared)),
            (IDLE, Streams(nio_net::echo_shared)),
        ],
    ),
    rust("nio-net, timer", &[(HTTP, Streams(http::nio_timer))]),
    rust("nio-net, all cores", &[(CORES, Streams(cores::nio_on_all))]),
    rust(
        "mio",
        &[
            (ECHO, Streams(mio::echo)),
            (IDLE, Streams(mio::echo)),
            (SHORT, Listener(mio::short)),
        ],
    ),
    rust(
        "polling",
        &[
            (ECHO, Streams(polling::echo)),
            (IDLE, Streams(polling::echo)),
            (SHORT, Listener(polling::short)),
        ],
    ),
    rust(
        "tokio",
        &[
            (ECHO, Streams(tokio::echo::<BUFFER>)),
            (IDLE, Streams(tokio::echo::<NO_BUFFER>)),
            (SHORT, Listener(tokio::short)),
            (HTTP, Streams(http::tokio)),
            (CORES, Streams(cores::tokio_on_one)),
        ],
    ),
    rust("tokio, timer", &[(HTTP, Streams(http::tokio_timer))]),
    rust("tokio, all cores", &[(CORES, Streams(cores::tokio_on_all))]),
    rust(
        "smol",
        &[
            (ECHO, Streams(smol::echo::<BUFFER>)),
            (IDLE, Streams(smol::echo::<NO_BUFFER>)),
            (SHORT, Listener(smol::short)),
        ],
    ),
    rust(
        "calloop",
        &[
            (ECHO, Streams(calloop::echo)),
            (IDLE, Streams(calloop::echo)),
            (SHORT, Listener(calloop::short)),
        ],
    ),
    c(
        "libuv",
        LIBUV,
        &[
            (ECHO, Streams(libuv::echo)),
            (IDLE, Streams(libuv::echo)),
            (SHORT, Listener(libuv::short)),
        ],
    ),
    c(
        "libev",
        LIBEV,
        &[
            (ECHO, Streams(libev::echo)),
            (IDLE, Streams(libev::echo)),
            (SHORT, Listener(libev::short)),
        ],
    ),
    c(
        "libevent",
        LIBEVENT,
        &[
            (ECHO, Streams(libevent::echo)),
            (IDLE, Streams(libevent::echo)),
            (SHORT, Listener(libevent::short)),
        ],
    ),
];

impl Server {
    fn find(name: &str) -> Option<&'static Server> {
        ALL.iter().find(|server| server.name == name)
    }

    fn service(&self, name: &str) -> Option<Serve> {
        let found = self.services.iter().find(|(service, _)| *service == name);
        found.map(|(_, serve)| *serve)
    }
}

/// The function of a service of the server with this name.
pub(crate) fn find(server: &str, service: &str) -> Option<Serve> {
    Server::find(server)?.service(service)
}

/// The servers that have the service, and whose libraries are installed.
pub(crate) fn with(service: &str) -> Vec<&'static Server> {
    let takes_part = |server: &&Server| {
        let installed = |name| Library::load(name).is_some();
        server.service(service).is_some() && server.library.is_none_or(installed)
    };
    ALL.iter().filter(takes_part).collect()
}
