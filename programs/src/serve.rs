//! Code that the servers share: their options, their log lines and their graceful shutdown.
//!
//! The first SIGINT (Ctrl-C) or SIGTERM begins the shutdown: the server accepts no more connections, and
//! open connections have a time limit to finish. The second ends the process.

use std::{io, net::SocketAddr, os::fd::AsFd, time::Duration};

use clap::Args;
use nio_loop::Handle;
use nio_net::{Connection, Options, ServeOptions, Server, TcpListener};

use crate::{Failure, exit, print_error, print_line, seconds};

/// The options that all servers have.
#[derive(Args, Clone, Copy, Debug)]
pub struct Serving {
    /// Limit on open connections; more wait to be accepted
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = at_least_one)]
    pub connections: usize,
    /// Seconds that open connections have to finish after Ctrl-C
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub grace: Duration,
}

impl Serving {
    /// The options for nio-net, without an idle limit: each program sets its own.
    pub fn options(self) -> ServeOptions {
        ServeOptions::new()
            .connections(self.connections)
            .grace(self.grace)
            .idle(None)
            .on_second_signal(|signal| exit(128 + signal.as_raw()))
    }
}

/// Parses the value of an option that is a count of at least 1.
///
/// # Errors
///
/// The reason, if it is not one.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("not a number of at least 1".into()),
    }
}

/// Serves the connections of an address until the shutdown. Prints a line that begins with "listening on
/// ADDRESS", and logs the errors of connections.
///
/// # Errors
///
/// If the address cannot be listened on; if connections were still open after the time limit.
pub async fn serve(
    handle: &Handle,
    address: SocketAddr,
    options: ServeOptions,
    hint: impl FnOnce(SocketAddr) -> String,
    connection: impl AsyncFn(Connection<'_>) -> io::Result<()> + 'static,
) -> Result<(), Failure> {
    raise_limit();
    let listener = TcpListener::bind(handle, address).await?;
    let address = listener.local_addr()?;
    let server = with_log(Server::with(handle, options));
    let serving = server.serve(listener, async move |client: Connection<'_>| {
        // Answers are small and must not be delayed.
        let _ = client.set_nodelay(true);
        connection(client).await
    });
    print_line(format_args!("listening on {address}; {}", hint(address)));
    Ok(serving.await?)
}

/// Makes a server log the errors of its connections, and how many are open when its shutdown begins.
#[must_use]
pub fn with_log(server: Server) -> Server {
    let server = server.on_error(|error| print_error(error));
    let shutdown = server.shutdown().clone();
    let log_shutdown = async move {
        shutdown.begun().await;
        match shutdown.guards() {
            0 => {}
            open => print_error(format_args!("ending when {open} connections have finished")),
        }
    };
    server.handle().spawn(log_shutdown).unref();
    server
}

/// Raises the limit on file descriptors to the maximum. The default is usually 1024, for programs that use
/// select(2). If it cannot be raised, the server pauses accepting at the limit.
pub fn raise_limit() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// Makes dropping a connection reset it. Its peer then knows that data is missing, and the kernel keeps no
/// unread bytes for it.
pub fn reset(stream: &impl AsFd) {
    // If this fails, the peer reads an end instead.
    let _ = Options::of(stream).set_linger(Some(Duration::ZERO));
}
