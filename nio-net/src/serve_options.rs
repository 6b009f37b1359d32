//! The options of a server, which its listeners and threads share.

use std::time::Duration;

/// How a [`Server`](crate::Server) serves. The defaults are good for most.
///
/// ```
/// use std::time::Duration;
/// use nio_net::ServeOptions;
///
/// let options = ServeOptions::new()
///     .connections(10_000)
///     .idle(Duration::from_secs(60))
///     .grace(Duration::from_secs(30));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ServeOptions {
    pub(crate) connections: usize,
    pub(crate) idle: Option<Duration>,
    pub(crate) counts_reads: bool,
    pub(crate) grace: Duration,
    pub(crate) linger: Duration,
    pub(crate) signals: bool,
    pub(crate) exits: bool,
}

impl ServeOptions {
    /// The defaults: 1000 connections, an idle limit of five minutes, a grace of ten seconds, and
    /// SIGINT and SIGTERM begin the shutdown.
    pub fn new() -> ServeOptions {
        ServeOptions {
            connections: 1000,
            idle: Some(Duration::from_secs(5 * 60)),
            counts_reads: true,
            grace: Duration::from_secs(10),
            linger: Duration::from_secs(5),
            signals: true,
            exits: false,
        }
    }

    /// How many connections may be open at once, of all listeners of the server together; more wait in
    /// the kernel's queue. By default 1000. Each takes a descriptor, of which a process may
    /// have 256 (macOS) or 1024 (Linux) unless it raises its limit (setrlimit(2)). With none left,
    /// accepting pauses until there are some.
    #[doc(alias("max connections", "maxConnections", "backpressure"))]
    pub fn connections(self, connections: usize) -> ServeOptions {
        ServeOptions {
            connections,
            ..self
        }
    }

    /// How long a connection may make no progress; then its handler is dropped and it is closed. By
    /// default five minutes; `None` is no limit. What counts as progress:
    /// [`Idle::watch`](crate::Idle::watch), and a [`touch`](crate::Idle::touch) of the connection's
    /// [`idle`](crate::Connection::idle), by which a handler may also change the limit.
    #[doc(alias("keep-alive timeout", "keepAliveTimeout", "setTimeout"))]
    pub fn idle(self, limit: impl Into<Option<Duration>>) -> ServeOptions {
        ServeOptions {
            idle: limit.into(),
            counts_reads: true,
            ..self
        }
    }

    /// As [`idle`](Self::idle), but bytes that are read are no progress; for protocols of requests and
    /// answers: [`Idle::watch_sending`](crate::Idle::watch_sending). The handler touches the
    /// connection's [`idle`](crate::Connection::idle) when a request is complete.
    #[doc(alias("requestTimeout", "headersTimeout", "slowloris"))]
    pub fn idle_sending(self, limit: Duration) -> ServeOptions {
        ServeOptions {
            idle: Some(limit),
            counts_reads: false,
            ..self
        }
    }

    /// How long connections that are open may go on when the shutdown has begun; then they are cut
    /// off. By default ten seconds.
    #[doc(alias("graceful shutdown"))]
    pub fn grace(self, grace: Duration) -> ServeOptions {
        ServeOptions { grace, ..self }
    }

    /// How long the close of a connection may take when its handler has returned: see
    /// [`close_gracefully`](crate::ByteStream::close_gracefully). By default five seconds; with zero
    /// the connection is closed at once, and a client that still sends may not get its answer.
    pub fn linger(self, limit: Duration) -> ServeOptions {
        let linger = limit;
        ServeOptions { linger, ..self }
    }

    /// Whether SIGINT (Ctrl-C) and SIGTERM begin the shutdown, and a second one cuts off the
    /// connections that are open. By default they do. Without it, begin the
    /// [shutdown](crate::Server::shutdown) yourself.
    pub fn signals(self, signals: bool) -> ServeOptions {
        ServeOptions { signals, ..self }
    }

    /// Whether the second signal ends the process at once, with the exit status that a shell has for
    /// the signal: 128 and its number. By default it does not.
    pub fn exit_on_second_signal(self, exits: bool) -> ServeOptions {
        ServeOptions { exits, ..self }
    }
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        ServeOptions::new()
    }
}
