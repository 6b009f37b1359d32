//! Looking up host names, by a blocking call on another thread.

use std::{
    future::poll_fn,
    io,
    net::{SocketAddr, ToSocketAddrs},
};

use nio_loop::{Handle, JoinHandle, poll_budget};

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
    let lookup = move || -> io::Result<Vec<SocketAddr>> {
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in (owned.name.as_str(), owned.port).to_socket_addrs()? {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    };
    let mut lookup = Lookup(handle.spawn_slow(lookup)?);
    let addresses = match (&mut lookup.0).await {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(io::ErrorKind::NotFound.into()),
        Ok(addresses) => addresses,
        // The closure does not panic, so the loop is gone.
        Err(_) => return Err(nio_loop::Error::Closed.into()),
    };
    addresses.map_err(|source| Error::Resolve {
        name: host.name.clone(),
        source,
    })
}

/// A look-up that is cancelled when this is dropped.
struct Lookup(JoinHandle<io::Result<Vec<SocketAddr>>>);

impl Drop for Lookup {
    fn drop(&mut self) {
        self.0.abort();
    }
}
