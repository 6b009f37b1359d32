//! The options of a server.

use std::time::Duration;

use nio_loop::Signal;

/// The options of a [`Server`](crate::Server). The defaults suit most servers.
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
#[derive(Clone, Debug)]
#[must_use]
pub struct ServeOptions {
    pub(crate) connections: usize,
    pub(crate) idle: Option<Duration>,
    pub(crate) counts_reads: bool,
    pub(crate) grace: Duration,
    pub(crate) linger: Duration,
    pub(crate) signals: bool,
    pub(crate) on_second_signal: Option<fn(Signal)>,
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
            on_second_signal: None,
        }
    }

    /// The limit on open connections, of all listeners of the server together; more wait in the kernel's
    /// queue. By default 1000. Each takes a descriptor; a process may have 256 (macOS) or 1024 (Linux)
    /// unless it raises its limit (setrlimit(2)). When they have run out, accepting pauses until some are
    /// free.
    ///
    /// # Panics
    ///
    /// If the limit is 0.
    #[doc(alias("max connections", "maxConnections", "backpressure"))]
    #[track_caller]
    pub fn connections(self, connections: usize) -> ServeOptions {
        assert!(
            connections > 0,
            "a limit of no connections serves none; give at least 1"
        );
        ServeOptions {
            connections,
            ..self
        }
    }

    /// The limit of the time without progress; then the handler is dropped and the connection is closed. By
    /// default five minutes; `None` is no limit. Progress is defined at [`Idle::watch`](crate::Idle::watch). A
    /// handler can [`touch`](crate::Idle::touch) the connection's [`idle`](crate::Connection::idle), and change
    /// its limit.
    #[doc(alias("keep-alive timeout", "keepAliveTimeout", "setTimeout"))]
    pub fn idle(self, limit: impl Into<Option<Duration>>) -> ServeOptions {
        ServeOptions {
            idle: limit.into(),
            counts_reads: true,
            ..self
        }
    }

    /// As [`idle`](Self::idle), but bytes that are read do not count as progress, for protocols of requests and
    /// answers: see [`Idle::watch_sending`](crate::Idle::watch_sending). The handler touches the connection's
    /// [`idle`](crate::Connection::idle) when a request is complete.
    #[doc(alias("requestTimeout", "headersTimeout", "slowloris"))]
    pub fn idle_sending(self, limit: Duration) -> ServeOptions {
        ServeOptions {
            idle: Some(limit),
            counts_reads: false,
            ..self
        }
    }

    /// How long open connections may go on after the shutdown has begun; then they are cut off. By default ten
    /// seconds.
    #[doc(alias("graceful shutdown"))]
    pub fn grace(self, grace: Duration) -> ServeOptions {
        ServeOptions { grace, ..self }
    }

    /// The limit of the lingering close after the handler has returned: see
    /// [`close_gracefully`](crate::ByteStream::close_gracefully). By default five seconds. With zero the
    /// connection is closed at once, and a client that still sends may not receive the answer.
    pub fn linger(self, limit: Duration) -> ServeOptions {
        let linger = limit;
        ServeOptions { linger, ..self }
    }

    /// Whether SIGINT (Ctrl-C) and SIGTERM begin the shutdown, and a second one cuts off the
    /// connections that are open. By default they do. If they do not, the program begins the
    /// [shutdown](crate::Server::shutdown).
    pub fn signals(self, signals: bool) -> ServeOptions {
        ServeOptions { signals, ..self }
    }

    /// Calls a function at the second signal, instead of cutting off the open connections. A program
    /// that exits at once uses it to write its last log lines first. With [`Cores`](crate::Cores), each
    /// thread calls it.
    ///
    /// ```
    /// use nio_net::ServeOptions;
    ///
    /// let options = ServeOptions::new().on_second_signal(|signal| {
    ///     // Write what is still to be written, then end as a shell reports it.
    ///     std::process::exit(128 + signal.as_raw());
    /// });
    /// ```
    pub fn on_second_signal(self, function: fn(Signal)) -> ServeOptions {
        let on_second_signal = Some(function);
        ServeOptions {
            on_second_signal,
            ..self
        }
    }
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        ServeOptions::new()
    }
}
