//! Connecting to one of several addresses: Happy Eyeballs (RFC 8305).
//!
//! The laws:
//!
//! 1. The versions of IP alternate, beginning with that of the first address; within a version the order
//!    stays.
//! 2. The next attempt begins [`STAGGER`] after the last one, or at once when one fails. The earlier
//!    attempts go on.
//! 3. The first successful connection ends all other attempts, and so does dropping the future.

use std::{future::poll_fn, io, net::SocketAddr, pin::Pin, task::Poll, time::Duration};

use nio_loop::{Handle, poll_budget};

use crate::{
    Error, TcpSocket, TcpStream, ToAddresses, address::Addresses, resolve::look_up, tcp::Connecting,
};

/// The time between the beginnings of two attempts; RFC 8305, section 8, recommends 250 ms.
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to an address, or to the first of several that answers. `set` sets the options of each socket.
pub(crate) async fn connect(
    handle: &Handle,
    to: impl ToAddresses,
    mut set: impl FnMut(&TcpSocket, SocketAddr) -> Result<(), Error>,
) -> Result<TcpStream, Error> {
    poll_fn(poll_budget).await;
    match to.to_addresses()? {
        Addresses::One(address) => {
            let Attempt { connecting, .. } = Attempt::begin(handle, address, set)?;
            let fail = |source| Error::Connect { address, source };
            let finished = connecting.finish().await;
            finished.map_err(|error| Error::of_wait(error, fail))?;
            Ok(connecting.stream)
        }
        Addresses::Several(addresses) => {
            let failed = |errors| Error::ConnectAny { host: None, errors };
            race(handle, addresses, &mut set).await?.map_err(failed)
        }
        Addresses::Host(host) => {
            let addresses = look_up(handle, &host).await?;
            let raced = race(handle, addresses, &mut set).await?;
            raced.map_err(|errors| Error::ConnectAny {
                host: Some(host.to_string()),
                errors,
            })
        }
    }
}

/// Addresses, each with its error.
type Errors = Vec<(SocketAddr, io::Error)>;

/// Connects to the first address that answers. The outer error is that of a loop that is gone.
async fn race(
    handle: &Handle,
    addresses: Vec<SocketAddr>,
    set: &mut impl FnMut(&TcpSocket, SocketAddr) -> Result<(), Error>,
) -> Result<Result<TcpStream, Errors>, Error> {
    let mut addresses = alternate(addresses).into_iter();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut errors = Vec::new();
    loop {
        if let Some(address) = addresses.next() {
            let error = match Attempt::begin(handle, address, &mut *set) {
                Ok(attempt) => {
                    attempts.push(attempt);
                    None
                }
                Err(Error::Connect { source, .. }) => Some(source),
                Err(error @ Error::Loop(_)) => return Err(error),
                Err(error) => Some(error.into()),
            };
            if let Some(error) = error {
                errors.push((address, error));
                continue;
            }
        }
        if attempts.is_empty() {
            return Ok(Err(errors));
        }
        let more = addresses.len() > 0;
        match first(handle, &attempts, more.then_some(STAGGER)).await {
            None => {}
            Some((i, Ok(()))) => return Ok(Ok(attempts.swap_remove(i).connecting.stream)),
            Some((i, Err(error))) => {
                let address = attempts.remove(i).address;
                match Error::of_wait(error, |source| Error::Connect { address, source }) {
                    Error::Connect { source, .. } => errors.push((address, source)),
                    gone => return Err(gone),
                }
            }
        }
    }
}

/// An attempt to connect to an address.
struct Attempt {
    address: SocketAddr,
    connecting: Connecting,
}

impl Attempt {
    fn begin(
        handle: &Handle,
        address: SocketAddr,
        set: impl FnOnce(&TcpSocket, SocketAddr) -> Result<(), Error>,
    ) -> Result<Attempt, Error> {
        let socket = TcpSocket::new(address);
        let socket = socket.map_err(|source| Error::Connect { address, source })?;
        set(&socket, address)?;
        let connecting = socket.begin_connect(handle, address)?;
        Ok(Attempt {
            address,
            connecting,
        })
    }
}

/// Waits for the first attempt that finishes, and returns its index and result; `None` after the limit.
async fn first(
    handle: &Handle,
    attempts: &[Attempt],
    limit: Option<Duration>,
) -> Option<(usize, io::Result<()>)> {
    let mut limit = limit.map(|limit| handle.sleep(limit));
    poll_fn(|context| {
        for (i, attempt) in attempts.iter().enumerate() {
            if let Poll::Ready(result) = attempt.connecting.poll_finish(context) {
                return Poll::Ready(Some((i, result)));
            }
        }
        match &mut limit {
            Some(limit) => Pin::new(limit).poll(context).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

/// Puts addresses into the order in which they are tried.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return addresses;
    };
    let first_is_v4 = first.is_ipv4();
    let (one, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == first_is_v4);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut order = Vec::new();
    while one.len() + other.len() > 0 {
        order.extend(one.next());
        order.extend(other.next());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(addresses: &[&str]) -> Vec<String> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        let order = alternate(addresses.collect());
        order
            .iter()
            .map(|address| address.ip().to_string())
            .collect()
    }

    #[test]
    fn versions_of_ip_alternate_beginning_with_the_first_address() {
        let (a, b, c) = ("10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1");
        let (x, y) = ("[::1]:1", "[::2]:1");
        assert_eq!(
            order(&[a, b, x, c, y]),
            ["10.0.0.1", "::1", "10.0.0.2", "::2", "10.0.0.3"]
        );
        assert_eq!(
            order(&[x, y, a, b, c]),
            ["::1", "10.0.0.1", "::2", "10.0.0.2", "10.0.0.3"]
        );
        assert_eq!(order(&[b, a]), ["10.0.0.2", "10.0.0.1"]);
        assert!(order(&[]).is_empty());
    }
}
