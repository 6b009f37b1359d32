//! Looking up host names by a blocking call, on another thread unless no loop runs yet.

use std::{
    future::poll_fn,
    io,
    net::{SocketAddr, ToSocketAddrs},
};

use nio_loop::{Handle, poll_budget};

use crate::{
    Error, ToAddresses,
    address::{Addresses, Host},
};

/// Looks up the addresses of a host, in the order in which the system would try them: at least one, without
/// duplicates. Numeric addresses are returned as they are. `async` functions such as
/// [`TcpStream::connect`](crate::TcpStream::connect) look names up themselves.
///
/// getaddrinfo(3) runs on one of the loop's threads for slow closures ([`Handle::spawn_slow`]), so it delays no
/// other work. Dropping the future removes the look-up from their queue; a call that has begun cannot be
/// stopped.
///
/// In a static program with musl, names come from `/etc/hosts` and from the name servers in `/etc/resolv.conf`. Where
/// both files are missing, as in an empty container, look-ups fail after some seconds, that of `localhost` too.
///
/// ```
/// # use nio_loop::EventLoop;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// let addresses = event_loop.block_on(nio_net::resolve(&handle, "localhost:80"))??;
/// assert!(addresses.iter().all(|address| address.ip().is_loopback()));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Address`] if it is no address; [`Error::Resolve`] with the name; [`Error::Loop`] if the
/// loop is gone or has no thread.
#[doc(alias = "dns.lookup")]
#[doc(alias = "lookup_host")]
#[doc(alias = "getaddrinfo")]
#[doc(alias = "uv_getaddrinfo")]
pub async fn resolve(handle: &Handle, host: impl ToAddresses) -> Result<Vec<SocketAddr>, Error> {
    poll_fn(poll_budget).await;
    match host.to_addresses()? {
        Addresses::One(address) => Ok(vec![address]),
        Addresses::Several(addresses) => Ok(addresses),
        Addresses::Host(host) => look_up(handle, &host).await,
    }
}

/// The addresses of a host name.
pub(crate) async fn look_up(handle: &Handle, host: &Host) -> Result<Vec<SocketAddr>, Error> {
    let owned = host.clone();
    let lookup = handle.spawn_slow(move || look_up_here(&owned))?;
    match lookup.abort_on_drop().await {
        Ok(addresses) => addresses,
        // The closure does not panic, so the loop is gone.
        Err(_) => Err(nio_loop::Error::Closed.into()),
    }
}

/// The addresses of a host name, by a call that blocks.
pub(crate) fn look_up_here(host: &Host) -> Result<Vec<SocketAddr>, Error> {
    let fail = |source| Error::Resolve {
        name: host.name.clone(),
        source,
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in (host.name.as_str(), host.port)
        .to_socket_addrs()
        .map_err(fail)?
    {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    match addresses.is_empty() {
        true => Err(fail(io::ErrorKind::NotFound.into())),
        false => Ok(addresses),
    }
}
