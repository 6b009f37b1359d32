//! Servers: a task for each connection, a limit on connections, and graceful shutdown.
//!
//! The laws:
//!
//! 1. A connection holds a permit and a guard of the shutdown, from when it is accepted until it is closed.
//! 2. An error, a panic or an idle limit ends its own connection and no other. The server ends by its shutdown,
//!    or when accepting fails permanently.
//! 3. When the future of `serve` is ready or dropped, none of its tasks and connections is left.

use std::{cell::OnceCell, fmt, future::Future, io, net, ops::Deref, rc::Rc, time::Duration};

use nio_loop::{CallbackGuard, Handle, Signal};

use crate::{
    ByteStream, GracefulShutdown, Guard, Idle, Listen, Listener, Permit, Semaphore, ServeOptions,
    Stream, Unfinished, panics::without_panic,
};

/// Serves connections: accepts them up to a limit, runs a handler for each, and shuts down gracefully
/// by SIGINT (Ctrl-C) and SIGTERM.
///
/// An echo server:
///
/// ```
/// use nio_net::{Server, TcpListener};
/// # use nio_net::TcpStream;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// nio_loop::run(async |handle| {
///     let listener = TcpListener::bind(&handle, "localhost:0").await?;
///     # let address = listener.local_addr()?;
///     let server = Server::new(&handle).on_error(|error| println!("{error}"));
///     # let shutdown = server.shutdown().clone();
///     # let client = handle.spawn({ let handle = handle.clone(); async move {
///     #     let client = TcpStream::connect(&handle, address).await?;
///     #     client.write_all(b"hello").await?;
///     #     client.read_exact(&mut [0; 5]).await?;
///     #     shutdown.begin();
///     #     Ok::<_, Box<dyn std::error::Error>>(())
///     # }});
///     let echo = async |client: nio_net::Connection<'_>| {
///         let mut bytes = [0; 4096];
///         // Until the client or the server ends.
///         while let Some(read) = client.unless_shutdown(client.read(&mut bytes)).await {
///             match read? {
///                 0 => break,
///                 n => client.write_all(&bytes[..n]).await?,
///             }
///         }
///         Ok(())
///     };
///     server.serve(listener, echo).await?;
///     # client.await??;
///     Ok(())
/// })?
/// # }
/// ```
///
/// Clones share the server. Several listeners, of any kind, have one limit and one shutdown: serve each
/// with its own task:
///
/// ```
/// # use nio_net::{Server, TcpListener};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// nio_loop::run(async |handle| {
///     let server = Server::new(&handle);
///     let mut serving = handle.join_set();
///     for address in ["127.0.0.1:0", "127.0.0.1:0"] {
///         let listener = TcpListener::bind(&handle, address).await?;
///         let greet = async |client: nio_net::Connection<'_>| client.write_all(b"hello\n").await;
///         serving.spawn(server.serve(listener, greet));
///     }
///     # server.shutdown().begin();
///     while let Some(ended) = serving.join_next().await {
///         ended??;
///     }
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone)]
#[doc(alias("createServer", "serve", "cluster"))]
pub struct Server {
    handle: Handle,
    options: ServeOptions,
    permits: Semaphore,
    shutdown: GracefulShutdown,
    on_error: Option<Rc<OnError>>,
    signals: Rc<OnceCell<[CallbackGuard; 2]>>,
}

type OnError = dyn Fn(&ConnectionError);

impl Server {
    /// A server with the default [options](ServeOptions::new).
    #[must_use]
    pub fn new(handle: &Handle) -> Server {
        Server::with(handle, ServeOptions::new())
    }

    /// A server with options.
    #[must_use]
    pub fn with(handle: &Handle, options: ServeOptions) -> Server {
        let permits = Semaphore::new(options.connections);
        Server::with_permits(handle, options, permits)
    }

    /// A server whose limit is shared with servers of other threads.
    pub(crate) fn with_permits(
        handle: &Handle,
        options: ServeOptions,
        permits: Semaphore,
    ) -> Server {
        Server {
            handle: handle.clone(),
            options,
            permits,
            shutdown: GracefulShutdown::new(handle),
            on_error: None,
            signals: Rc::default(),
        }
    }

    /// Calls a function with each error of a connection: the error or panic of its handler, or that it was idle
    /// for too long. By default errors are ignored. The function runs on the loop's thread, so it must not
    /// block; a write to a terminal or a pipe may block.
    #[must_use]
    pub fn on_error(self, on_error: impl Fn(&ConnectionError) + 'static) -> Server {
        let on_error: Option<Rc<OnError>> = Some(Rc::new(on_error));
        Server { on_error, ..self }
    }

    /// The shutdown of the server, to begin it or to wait for its beginning.
    #[must_use]
    pub fn shutdown(&self) -> &GracefulShutdown {
        &self.shutdown
    }

    /// The handle of the loop that it serves on.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The number of open connections, of all listeners, and of all threads of [`Cores`](crate::Cores).
    #[must_use]
    pub fn connections(&self) -> usize {
        self.permits.taken()
    }

    /// Serves the connections of a listener until the shutdown begins: a task runs the handler for each. Then
    /// the listener is closed, and the open connections, of all listeners of this server, have the
    /// [grace](ServeOptions::grace) to end.
    ///
    /// When the handler returns, also with an error, the connection is
    /// [closed gracefully](ByteStream::close_gracefully). It is reset instead if it was
    /// [idle](ServeOptions::idle) with unsent bytes, or if the handler has
    /// [set](crate::Options::set_linger) its lingering to zero.
    ///
    /// Broken connections are skipped. While descriptors or memory have run out, accepting pauses. Any other
    /// error of accepting begins the shutdown of the whole server.
    ///
    /// Dropping the future closes the listener and its connections.
    ///
    /// # Errors
    ///
    /// [`ServeError::Signal`] if a signal cannot be listened to; [`ServeError::Accept`];
    /// [`ServeError::CutOff`] if connections were still open after the grace.
    pub fn serve<L, F>(
        &self,
        listener: Listener<L>,
        handler: F,
    ) -> impl Future<Output = Result<(), ServeError>> + use<L, F>
    where
        L: Listen,
        F: AsyncFn(Connection<'_, L>) -> io::Result<()> + 'static,
    {
        let listening = self.listen_to_signals();
        let server = Rc::new(self.clone());
        async move {
            listening?;
            let (shutdown, handler) = (&server.shutdown, Rc::new(handler));
            let mut tasks = listener.handle().join_set();
            let mut failed = None;
            while let Some(accepted) = shutdown
                .unless_begun(server.permits.accept(&listener))
                .await
            {
                match accepted {
                    Ok((stream, peer, permit)) => {
                        let held = (permit, shutdown.guard());
                        let (server, handler) = (Rc::clone(&server), Rc::clone(&handler));
                        let serving = server.serve_connection(handler, stream, peer, held);
                        while tasks.try_join_next().is_some() {} // those that have ended
                        tasks.spawn(serving);
                    }
                    Err(error) => {
                        failed = Some(ServeError::Accept(error));
                        shutdown.begin();
                    }
                }
            }
            drop(listener);
            let finished = shutdown.finish(server.options.grace).await;
            drop(tasks);
            match failed {
                Some(error) => Err(error),
                None => finished.map_err(ServeError::CutOff),
            }
        }
    }

    /// Serves one connection, and closes it.
    async fn serve_connection<L, F>(
        self: Rc<Server>,
        handler: Rc<F>,
        stream: ByteStream<L::Stream>,
        peer: L::Address,
        held: (Permit, Guard),
    ) where
        L: Listen,
        F: AsyncFn(Connection<'_, L>) -> io::Result<()> + 'static,
    {
        let stream = Rc::new(stream);
        let limit = self.options.idle.unwrap_or(Duration::MAX);
        let idle = Idle::new(&self.handle, limit);
        let idle = match self.options.counts_reads {
            true => idle.watch(&stream),
            false => idle.watch_sending(&stream),
        };
        let connection = Connection {
            stream: &stream,
            peer: &peer,
            shutdown: &self.shutdown,
            idle: &idle,
        };
        let work = async { handler(connection).await };
        let result = match idle.limit(without_panic(work)).await {
            Ok(result) => result,
            Err(elapsed) => {
                if stream.unsent() > Some(0) {
                    // Without a reset the system would keep the bytes for a peer that does not read.
                    let _ = stream.options().set_linger(Some(Duration::ZERO));
                }
                let text = format!("no progress for {:?}", elapsed.limit);
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
        };
        if let (Err(error), Some(on_error)) = (result, &self.on_error) {
            let peer = format!("{peer:?}");
            on_error(&ConnectionError { peer, error });
        }
        self.close(&stream).await;
        drop(idle);
        drop(stream);
        drop(held);
    }

    /// Closes a connection. An error means that the connection is gone, so it is ignored.
    async fn close<S: Stream>(&self, stream: &ByteStream<S>) {
        let limit = self.options.linger;
        let is_to_be_reset = matches!(stream.options().linger(), Ok(Some(Duration::ZERO)));
        if !limit.is_zero() && !is_to_be_reset {
            let _ = stream.close_gracefully(limit).await;
        }
    }

    /// Listens to the signals, until the last clone of the server is dropped.
    pub(crate) fn listen_to_signals(&self) -> Result<(), ServeError> {
        if !self.options.signals || self.signals.get().is_some() {
            return Ok(());
        }
        let listen = |signal: Signal| {
            let (shutdown, second) = (self.shutdown.clone(), self.options.on_second_signal);
            let id = self.handle.on_signal(signal, move |_, _| match second {
                _ if !shutdown.has_begun() => shutdown.begin(),
                Some(function) => function(signal),
                None => shutdown.cut_off(),
            });
            let id = id.map_err(|source| ServeError::Signal { signal, source })?;
            Ok(self.handle.guard(id))
        };
        let guards = [listen(Signal::INTERRUPT)?, listen(Signal::TERMINATE)?];
        let _ = self.signals.set(guards);
        Ok(())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("options", &self.options)
            .field("permits", &self.permits)
            .field("shutdown", &self.shutdown)
            .finish_non_exhaustive()
    }
}

/// A connection of a [`Server`], for its handler. It dereferences to the stream.
///
/// It ends when the handler returns. A handler that gives a clone of the [`stream`](Self::stream) to
/// other tasks waits for them.
pub struct Connection<'a, L: Listen = net::TcpListener> {
    /// The stream.
    pub stream: &'a Rc<ByteStream<L::Stream>>,
    /// The peer's address.
    pub peer: &'a L::Address,
    /// The shutdown of the server.
    pub shutdown: &'a GracefulShutdown,
    /// The limit of the time without progress. It watches the stream.
    pub idle: &'a Idle<'a>,
}

impl<L: Listen> Connection<'_, L> {
    /// Runs some work until the server shuts down: then it drops the work and returns `None`. Use it to wait
    /// for a request, as in the example of [`Server`]. A request that has arrived should still be answered.
    pub async fn unless_shutdown<F: Future>(&self, work: F) -> Option<F::Output> {
        self.shutdown.unless_begun(work).await
    }
}

impl<L: Listen> Clone for Connection<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L: Listen> Copy for Connection<'_, L> {}

impl<L: Listen> Deref for Connection<'_, L> {
    type Target = ByteStream<L::Stream>;

    fn deref(&self) -> &ByteStream<L::Stream> {
        self.stream
    }
}

impl<L: Listen> fmt::Debug for Connection<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// The error by which a connection of a [`Server`] ended.
#[derive(Debug, thiserror::Error)]
#[error("{peer}: {error}")]
#[non_exhaustive]
pub struct ConnectionError {
    /// The peer's address.
    pub peer: String,
    /// The error of the handler; [`TimedOut`](io::ErrorKind::TimedOut) if the connection was idle,
    /// [`Other`](io::ErrorKind::Other) if the handler panicked.
    #[source]
    pub error: io::Error,
}

/// The error by which a [`Server`] ended. Converts into an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The server cannot listen to a signal. [`ServeOptions::signals`] turns signals off.
    #[error("cannot listen to signal {signal:?}: {source}")]
    Signal {
        /// The signal.
        signal: Signal,
        /// The error of the loop.
        source: nio_loop::Error,
    },
    /// Connections cannot be accepted any more.
    #[error("cannot accept connections: {0}")]
    Accept(#[source] io::Error),
    /// Connections were still open after the grace, or at the second signal.
    #[error("cut off: {0}")]
    CutOff(#[source] Unfinished),
}

impl From<ServeError> for io::Error {
    fn from(error: ServeError) -> io::Error {
        let kind = match &error {
            ServeError::Signal { .. } => io::ErrorKind::Other,
            ServeError::Accept(source) => source.kind(),
            ServeError::CutOff(_) => io::ErrorKind::TimedOut,
        };
        io::Error::new(kind, error)
    }
}
