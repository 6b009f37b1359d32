//! The life of a server: it listens, serves as many connections at once as it may, and ends when it
//! is told to.
//!
//! The first SIGINT (Ctrl-C) or SIGTERM is the beginning of the end: no more connections are
//! accepted, and those that are open have a while to finish. The second ends the process.

use std::{io, net::SocketAddr, os::fd::AsFd, time::Duration};

use clap::Args;
use nio_loop::{Elapsed, Handle, Signal};
use nio_net::{GracefulShutdown, Idle, Options, Semaphore, TcpListener, TcpStream};

use crate::{Failure, complain, exit, say, seconds};

/// The options that all servers have.
#[derive(Args, Clone, Copy, Debug)]
pub struct Serving {
    /// How many connections may be open at once; more have to wait
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = at_least_one)]
    pub connections: usize,
    /// How many seconds open connections have to finish after Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub grace: Duration,
}

/// A number of things without which there is nothing to do, as an option of a program.
///
/// # Errors
///
/// What is wrong with it.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("not a number of at least 1".into()),
    }
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    options: Serving,
    /// Its graceful shutdown.
    pub shutdown: GracefulShutdown,
    /// A permit for each connection.
    pub permits: Semaphore,
}

impl Server {
    /// Listens, and says so in a line that begins with "listening on ADDRESS".
    ///
    /// # Errors
    ///
    /// What to do about the address.
    pub fn start(
        handle: &Handle,
        address: SocketAddr,
        options: Serving,
        hint: impl FnOnce(SocketAddr) -> String,
    ) -> Result<Server, Failure> {
        let listener = TcpListener::bind(handle, address).map_err(explain)?;
        let server = Server::of(handle, listener, options)?;
        let address = server.listener.local_addr()?;
        say(format_args!("listening on {address}; {}", hint(address)));
        Ok(server)
    }

    /// A server that listens already, and that says nothing.
    ///
    /// # Errors
    ///
    /// If the signals cannot be listened for.
    pub fn of(handle: &Handle, listener: TcpListener, options: Serving) -> Result<Server, Failure> {
        raise_limit();
        let shutdown = GracefulShutdown::new(handle);
        begin_on_signals(handle, &shutdown)?;
        Ok(Server {
            listener,
            options,
            shutdown,
            permits: Semaphore::new(options.connections),
        })
    }

    /// Serves each connection by a task of its own, until the end. Errors of connections are said.
    ///
    /// # Errors
    ///
    /// If not all connections were finished in time.
    pub async fn serve<F>(
        self,
        mut connection: impl FnMut(TcpStream, SocketAddr) -> F,
    ) -> Result<(), Failure>
    where
        F: Future<Output = io::Result<()>> + 'static,
    {
        let (listener, shutdown, permits) = (self.listener, self.shutdown, self.permits);
        while let Some(accepted) = shutdown.unless_begun(permits.accept(&listener)).await {
            let (stream, peer, permit) = accepted?;
            let guard = shutdown.guard();
            // Answers are small, and their readers are waiting for them.
            let _ = stream.set_nodelay(true);
            let connection = connection(stream, peer);
            let task = async move {
                if let Err(error) = connection.await {
                    complain(format_args!("{peer}: {error}"));
                }
                drop((guard, permit));
            };
            listener.handle().spawn(task).detach();
        }
        drop(listener);
        let finished = shutdown.finish(self.options.grace).await;
        finished.map_err(|unfinished| Failure(format!("cut off: {unfinished}")))
    }
}

/// Allows as many descriptors as may be. Mostly it is 1024 at first, for the sake of programs from
/// before poll(2). Where it stays, accepting waits when there are none.
pub fn raise_limit() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

fn begin_on_signals(handle: &Handle, shutdown: &GracefulShutdown) -> Result<(), Failure> {
    for signal in [Signal::INTERRUPT, Signal::TERMINATE] {
        let shutdown = shutdown.clone();
        let id = handle.on_signal(signal, move |_, _| {
            if shutdown.has_begun() {
                exit(128 + signal.as_raw()); // as a shell has it
            }
            if shutdown.guards() > 0 {
                let open = shutdown.guards();
                complain(format_args!("ending when {open} connections have finished"));
            }
            shutdown.begin();
        })?;
        handle.unref(id);
    }
    Ok(())
}

/// Does the work of a connection, unless nothing happens in it for too long.
///
/// # Errors
///
/// Those of the work, and that.
pub async fn unless_idle(
    idle: &Idle,
    work: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let ended = idle.limit(work).await;
    ended.unwrap_or_else(|Elapsed { limit }| {
        let text = format!("nothing has happened for {limit:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
}

/// Sends an answer. It may take as long as it likes if some of it is taken now and then.
///
/// # Errors
///
/// Those of the connection.
pub async fn send(stream: &TcpStream, mut bytes: &[u8], idle: &Idle) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[stream.write(bytes).await?..];
        idle.touch();
    }
    Ok(())
}

/// Has a connection end by a reset when it is dropped. Its client does not take it for a good end, and
/// what it has not read is not kept for it by the kernel.
pub fn reset(stream: &impl AsFd) {
    // Where this is not possible, the other side sees an end.
    let _ = Options::of(stream).set_linger(Some(Duration::ZERO));
}

/// Says what to do when an address cannot be listened on.
#[must_use]
pub fn explain(error: impl Into<nio_net::Error>) -> Failure {
    let error = error.into();
    let text = error.to_string();
    let advice = match io::Error::from(error).kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; choose another port, or 0 for one that is free"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; 0.0.0.0 stands for all that it has"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 are root's; choose one above",
        _ => return Failure(text),
    };
    Failure(format!("{text}\n{advice}"))
}
