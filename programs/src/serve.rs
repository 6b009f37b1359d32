//! What the servers among the programs have in common: their options, and what they say.
//!
//! The first SIGINT (Ctrl-C) or SIGTERM is the beginning of the end: no more connections are
//! accepted, and those that are open have a while to finish. The second ends the process.

use std::{io, net::SocketAddr, os::fd::AsFd, time::Duration};

use clap::Args;
use nio_loop::{Elapsed, Handle};
use nio_net::{Connection, Idle, Options, ServeOptions, Server, TcpListener};

use crate::{Failure, complain, say, seconds};

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

impl Serving {
    /// The options for nio-net, without an idle limit: each program has its own.
    pub fn options(self) -> ServeOptions {
        ServeOptions::new()
            .connections(self.connections)
            .grace(self.grace)
            .idle(None)
            .exit_on_second_signal(true)
    }
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

/// Serves the connections of an address until the program is told to end. Says so in a line that
/// begins with "listening on ADDRESS"; errors of connections are said.
///
/// # Errors
///
/// What to do about the address; that not all connections were finished in time.
pub async fn serve(
    handle: &Handle,
    address: SocketAddr,
    options: ServeOptions,
    hint: impl FnOnce(SocketAddr) -> String,
    connection: impl AsyncFn(Connection<'_>) -> io::Result<()> + 'static,
) -> Result<(), Failure> {
    raise_limit();
    let listener = TcpListener::bind(handle, address).await.map_err(explain)?;
    let address = listener.local_addr()?;
    let server = talkative(Server::with(handle, options));
    let serving = server.serve(listener, async move |client: Connection<'_>| {
        // Answers are small, and their readers are waiting for them.
        let _ = client.set_nodelay(true);
        connection(client).await
    });
    say(format_args!("listening on {address}; {}", hint(address)));
    Ok(serving.await?)
}

/// Has a server say the errors of its connections, and what it waits for at its end.
#[must_use]
pub fn talkative(server: Server) -> Server {
    let server = server.on_error(|error| complain(error));
    let shutdown = server.shutdown().clone();
    let waits = async move {
        shutdown.begun().await;
        match shutdown.guards() {
            0 => {}
            open => complain(format_args!("ending when {open} connections have finished")),
        }
    };
    server.handle().spawn(waits).unref();
    server
}

/// Allows as many descriptors as may be. Mostly it is 1024 at first, for the sake of programs from
/// before poll(2). Where it stays, accepting waits when there are none.
pub fn raise_limit() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// Does the work of a connection, unless nothing happens in it for too long.
///
/// # Errors
///
/// Those of the work, and that.
pub async fn unless_idle(
    idle: &Idle<'_>,
    work: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let ended = idle.limit(work).await;
    ended.unwrap_or_else(|Elapsed { limit }| {
        let text = format!("nothing has happened for {limit:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
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
    Failure(error.into().to_string())
}
