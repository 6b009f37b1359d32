//! Listening for TCP connections: on an address, on several, on those of a host.

use std::{
    future::poll_fn,
    io,
    net::{self, SocketAddr},
};

use nio_loop::{Handle, poll_budget};

use crate::{
    Error, Listener, TcpSocket, ToAddresses, address::Addresses, listener::BACKLOG,
    resolve::look_up,
};

/// Listens for TCP connections.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::{TcpListener, TcpStream};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// # event_loop.block_on(async {
/// let listener = TcpListener::bind(&handle, "127.0.0.1:0").await?;
/// # let client = TcpStream::connect(&handle, listener.local_addr()?).await?;
/// let (stream, peer) = listener.accept().await?;
/// # assert_eq!((stream.peer_addr()?, peer), (peer, client.local_addr()?));
/// # Ok(())
/// # })?
/// # }
/// ```
///
/// It is a [`Listener`], as that for Unix sockets is: accepting is documented there.
#[doc(alias = "net.Server")]
#[doc(alias = "uv_tcp_t")]
pub type TcpListener = Listener<net::TcpListener>;

impl Listener<net::TcpListener> {
    /// Listens on an address. With port 0 the system chooses a port: [`local_addr`](Listener::local_addr)
    /// returns it. Old connections of the address may still be in TIME_WAIT (SO_REUSEADDR). For other
    /// options use a [`TcpSocket`].
    ///
    /// Of several addresses, or a host name that has several, it listens on all, with one socket for each and
    /// the same port: `"localhost:0"` accepts at `127.0.0.1` and at `[::1]`. Then sockets of IP version 6
    /// are for that version only. Addresses of a host name that this machine does not have are skipped, if it
    /// has at least one. The single address `[::]` also accepts IP version 4 on Linux and Apple's systems; for
    /// both versions on every system, give `0.0.0.0` and `[::]` in an array.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{TcpListener, TcpStream};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// let listener = TcpListener::bind(&handle, "localhost:0").await?;
    /// for address in listener.local_addrs()? {
    ///     println!("listening on {address}");
    ///     # TcpStream::connect(&handle, address).await?;
    ///     # listener.accept().await?;
    /// }
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] with the first address that fails; then it listens on none.
    /// [`Error::Address`] if it is no address; [`Error::Resolve`] with the name;
    /// [`Error::Loop`] if the loop is gone.
    #[doc(alias = "net.createServer")]
    #[doc(alias = "server.listen")]
    #[doc(alias = "uv_tcp_bind")]
    #[doc(alias = "uv_listen")]
    pub async fn bind(handle: &Handle, to: impl ToAddresses) -> Result<TcpListener, Error> {
        poll_fn(poll_budget).await;
        let sockets = match to.to_addresses()? {
            Addresses::One(address) => vec![listen(address, false)?],
            Addresses::Several(addresses) => listen_on_all(&addresses, |_| false, listen)?,
            Addresses::Host(host) => {
                let addresses = look_up(handle, &host).await?;
                listen_on_all(&addresses, is_foreign, listen)?
            }
        };
        Ok(Listener::new(handle, sockets.into_iter().flatten())?)
    }
}

/// Whether this machine does not have the address, or its version of IP.
pub(crate) fn is_foreign(error: &Error) -> bool {
    let (Error::Bind { source, .. } | Error::LocalAddress { source, .. }) = error else {
        return false;
    };
    source.kind() == io::ErrorKind::AddrNotAvailable
        || source.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// How many ports that the system chooses for the first address are tried at the others. Nearly always the
/// first is free at all of them.
const PORTS_TRIED: u32 = 8;

/// Listens on all addresses except those with an error that is `passed_over`; an error if none is left. `listen`
/// makes the sockets of an address, at least one, and is told whether those of IP version 6 are for that version
/// only.
pub(crate) fn listen_on_all(
    addresses: &[SocketAddr],
    passed_over: impl Fn(&Error) -> bool,
    listen: impl Fn(SocketAddr, bool) -> Result<Vec<net::TcpListener>, Error>,
) -> Result<Vec<Vec<net::TcpListener>>, Error> {
    let mut more_ports = match addresses.iter().any(|address| address.port() == 0) {
        true => PORTS_TRIED - 1,
        false => 0,
    };
    loop {
        match listen_at_one_port(addresses, &passed_over, &listen) {
            Err(Error::Bind { source, .. })
                if more_ports > 0 && source.kind() == io::ErrorKind::AddrInUse =>
            {
                more_ports -= 1;
            }
            result => return result,
        }
    }
}

/// As [`listen_on_all`], with the first port that the system chooses.
fn listen_at_one_port(
    addresses: &[SocketAddr],
    passed_over: impl Fn(&Error) -> bool,
    listen: impl Fn(SocketAddr, bool) -> Result<Vec<net::TcpListener>, Error>,
) -> Result<Vec<Vec<net::TcpListener>>, Error> {
    let mut listeners = Vec::new();
    let (mut port, mut last_error) = (0, None);
    for &(mut address) in addresses {
        if address.port() == 0 {
            address.set_port(port);
        }
        match listen(address, true) {
            Ok(sockets) => {
                let local = sockets[0].local_addr();
                port = local
                    .map_err(|source| Error::Bind { address, source })?
                    .port();
                listeners.push(sockets);
            }
            Err(error) if passed_over(&error) => last_error = Some(error),
            Err(error) => return Err(error),
        }
    }
    match last_error {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

fn listen(address: SocketAddr, only_v6: bool) -> Result<Vec<net::TcpListener>, Error> {
    let listener = socket(address, only_v6).and_then(|socket| socket.listen_on(address, BACKLOG));
    let listener = listener.map_err(|source| Error::Bind { address, source })?;
    Ok(vec![listener])
}

/// A socket that may be bound to an address with connections in TIME_WAIT.
pub(crate) fn socket(address: SocketAddr, only_v6: bool) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new(address)?;
    socket.options().set_reuse_addr(true)?;
    if only_v6 && address.is_ipv6() {
        socket.options().set_only_v6(true)?;
    }
    Ok(socket)
}
