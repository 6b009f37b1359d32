//! Connections by name.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

use nio_loop::{Handle, Lane};
use nio_net::TcpStream;

/// Connects to `HOST:PORT`, where the host is a name or an address: to the first of its addresses
/// that answers within a time, which each of them has.
///
/// # Errors
///
/// Whether the name or the connection is the problem.
pub async fn connect(handle: &Handle, target: &str, limit: Duration) -> io::Result<TcpStream> {
    let mut last = None;
    for address in addresses(handle, target, limit).await? {
        let connecting = handle.timeout(limit, TcpStream::connect(handle, address));
        match connecting.await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Some(error.into()),
            Err(elapsed) => last = Some(explain("cannot connect to", target, &elapsed.into())),
        }
    }
    Err(last.unwrap_or_else(|| {
        let nothing = io::ErrorKind::NotFound.into();
        explain("no address belongs to", target, &nothing)
    }))
}

async fn addresses(handle: &Handle, target: &str, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = target.parse() {
        return Ok(vec![address]);
    }
    // The system's way to ask for names blocks, for as long as it takes servers far away to answer.
    let name = target.to_owned();
    let asking = handle.spawn_blocking_on(Lane::Names, move || {
        name.to_socket_addrs().map(Vec::from_iter)
    })?;
    let failed = |error: nio_loop::JoinError| io::Error::other(error.to_string());
    let answer = async { asking.await.map_err(failed)? };
    let answer = handle.timeout(limit, answer).await;
    let answer = answer.unwrap_or_else(|elapsed| Err(elapsed.into()));
    answer.map_err(|error| explain("cannot find", target, &error))
}

fn explain(what: &str, target: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {target}: {error}"))
}
