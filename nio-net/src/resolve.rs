//! Looking up host names, for which the system has only a blocking call.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
};

use nio_loop::{Handle, JoinHandle, poll_budget};

use crate::Error;

/// The addresses of a host, by its name (or by its address: `"::1"`), each with `port`, in the order
/// in which the system would try them. There is at least one, and none is there twice.
///
/// The system looks the name up on one of the loop's threads for slow closures
/// ([`Handle::spawn_slow`]), so that nothing else waits for it. Dropping the future takes the name out
/// of their queue; a call that has begun cannot be stopped.
///
/// ```
/// # use nio_loop::EventLoop;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// let addresses = event_loop.block_on(nio_net::resolve(&handle, "localhost", 80))??;
/// assert!(addresses.iter().all(|address| address.ip().is_loopback()));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Resolve`] with the name; [`Error::Loop`] if the loop is gone or has no thread.
pub async fn resolve(handle: &Handle, name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    poll_fn(poll_budget).await;
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let owned = name.to_owned();
    let lookup = move || -> io::Result<Vec<SocketAddr>> {
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in (owned.as_str(), port).to_socket_addrs()? {
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
        // It did not panic, so its loop is gone.
        Err(_) => return Err(nio_loop::Error::Closed.into()),
    };
    addresses.map_err(|source| Error::Resolve {
        name: name.to_owned(),
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
