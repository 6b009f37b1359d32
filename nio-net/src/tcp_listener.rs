//! Listening for TCP connections: on an address, on several, on those of a host.

use std::{
    io,
    net::{self, SocketAddr},
};

use nio_loop::Handle;

use crate::{Error, Listener, TcpSocket, listener::BACKLOG, resolve};

/// Listens for TCP connections.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::{TcpListener, TcpStream};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse()?)?;
/// let address = listener.local_addr()?;
/// # let client = handle.spawn({ let handle = handle.clone(); async move {
/// #     TcpStream::connect(&handle, address).await }});
/// # let (stream, peer) = event_loop.block_on(async move {
/// let (stream, peer) = listener.accept().await?;
/// # std::io::Result::Ok((stream, peer)) })??;
/// # assert_eq!(stream.peer_addr()?, peer);
/// # Ok(())
/// # }
/// ```
pub type TcpListener = Listener<net::TcpListener>;

impl Listener<net::TcpListener> {
    /// Listens on an address. Port 0 lets the system choose one, which
    /// [`local_addr`](Listener::local_addr) tells. The address may be one whose last connections
    /// are still in TIME_WAIT (SO_REUSEADDR). For anything else there is [`TcpSocket`].
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] with the address; [`Error::Loop`] if the loop is gone.
    pub fn bind(handle: &Handle, address: SocketAddr) -> Result<TcpListener, Error> {
        let listener = listen(address, false);
        let listener = listener.map_err(|source| Error::Bind { address, source })?;
        Ok(Listener::new(handle, listener)?)
    }

    /// Listens on several addresses, such as those of a host, with a listener for each. Port 0 becomes
    /// the same port for all, one that is free at each of them. Sockets of IP version 6 are for that
    /// version only, so that both versions may be among the addresses. The first address that fails is
    /// the error; then none is listened on.
    pub fn bind_all(
        handle: &Handle,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<TcpListener>, Error> {
        bind_each(handle, addresses.into_iter().collect(), |_| false)
    }

    /// [Listens](Self::bind_all) on all addresses of a host, by its name. Addresses that this machine
    /// does not have are left out, as long as it has one of them.
    ///
    /// # Errors
    ///
    /// [`Error::Resolve`] with the name; [`Error::Bind`] with the address that cannot be listened
    /// on; [`Error::Loop`] if the loop is gone.
    pub async fn bind_host(
        handle: &Handle,
        name: &str,
        port: u16,
    ) -> Result<Vec<TcpListener>, Error> {
        let addresses = resolve(handle, name, port).await?;
        bind_each(handle, addresses, |error| {
            error.kind() == io::ErrorKind::AddrNotAvailable
                || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
        })
    }
}

/// How many ports that the system has chosen for one address are tried at the others. Nearly always
/// the first is free at all of them; where none is, there are hardly any ports left.
const PORTS_TRIED: u32 = 8;

/// Listens on all addresses but those whose error is `passed_over`, unless there is no other.
fn bind_each(
    handle: &Handle,
    addresses: Vec<SocketAddr>,
    passed_over: impl Fn(&io::Error) -> bool,
) -> Result<Vec<TcpListener>, Error> {
    let mut more_ports = match addresses.iter().any(|address| address.port() == 0) {
        true => PORTS_TRIED - 1,
        false => 0,
    };
    loop {
        match bind_at_one_port(handle, &addresses, &passed_over) {
            Err(Error::Bind { source, .. })
                if more_ports > 0 && source.kind() == io::ErrorKind::AddrInUse =>
            {
                more_ports -= 1;
            }
            result => return result,
        }
    }
}

/// As [`bind_each`], with the first port that the system chooses.
fn bind_at_one_port(
    handle: &Handle,
    addresses: &[SocketAddr],
    passed_over: impl Fn(&io::Error) -> bool,
) -> Result<Vec<TcpListener>, Error> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let (mut port, mut last_error) = (0, None);
    for &(mut address) in addresses {
        if address.port() == 0 {
            address.set_port(port);
        }
        let fail = |source| Error::Bind { address, source };
        match listen(address, true) {
            Ok(listener) => {
                port = listener.local_addr().map_err(fail)?.port();
                listeners.push(Listener::new(handle, listener)?);
            }
            Err(error) if passed_over(&error) => last_error = Some(fail(error)),
            Err(error) => return Err(fail(error)),
        }
    }
    match last_error {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

fn listen(address: SocketAddr, only_v6: bool) -> io::Result<net::TcpListener> {
    let socket = TcpSocket::new(address)?;
    socket.options().set_reuse_addr(true)?;
    if only_v6 && address.is_ipv6() {
        socket.options().set_only_v6(true)?;
    }
    socket.listen_on(address, BACKLOG)
}
