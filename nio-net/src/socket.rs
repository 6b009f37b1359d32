//! A TCP socket before it is a connection or a listener.

use std::{
    io,
    net::{self, SocketAddr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nio_loop::{Handle, Source};

use crate::{Error, Options, TcpListener, TcpStream, raw, tcp};

/// A TCP socket whose options are to be set, and which may be bound to an address, before it
/// connects or listens.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::TcpSocket;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle().clone();
/// let socket = TcpSocket::new_v4()?;
/// socket.options().set_reuse_port(true)?;
/// socket.bind("127.0.0.1:0".parse()?)?;
/// let listener = socket.listen(&handle, 64)?;
/// # drop(listener);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    /// It is no connection, but has no better type in the standard library.
    socket: net::TcpStream,
}

impl TcpSocket {
    /// A socket for IP version 4.
    ///
    /// # Errors
    ///
    /// Those of a process or a system that has no more descriptors.
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::of_family(libc::AF_INET)
    }

    /// A socket for IP version 6.
    ///
    /// # Errors
    ///
    /// As [`new_v4`](TcpSocket::new_v4), and where the system has no version 6.
    pub fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::of_family(libc::AF_INET6)
    }

    /// A socket for the version of IP of an address.
    ///
    /// # Errors
    ///
    /// As [`new_v4`](TcpSocket::new_v4) or [`new_v6`](TcpSocket::new_v6).
    pub fn new(address: SocketAddr) -> io::Result<TcpSocket> {
        if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }
    }

    fn of_family(family: libc::c_int) -> io::Result<TcpSocket> {
        let socket = raw::socket(family, libc::SOCK_STREAM)?.into();
        Ok(TcpSocket { socket })
    }

    /// Its options.
    #[must_use]
    pub fn options(&self) -> Options<'_> {
        Options::of(self)
    }

    /// Binds the socket to an address of this machine, to listen on it or to connect from it. Port 0
    /// lets the system choose one.
    ///
    /// # Errors
    ///
    /// [`Error::LocalAddress`] with the address.
    pub fn bind(&self, address: SocketAddr) -> Result<(), Error> {
        raw::bind(self, &address).map_err(|source| Error::LocalAddress { address, source })
    }

    /// The address that it is bound to; one of zeroes if it is not.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Connects to an address. Dropping the future ends the attempt.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] with the address; [`Error::Loop`] if the loop is gone.
    pub async fn connect(self, handle: &Handle, address: SocketAddr) -> Result<TcpStream, Error> {
        let fail = |source| Error::Connect { address, source };
        let source = self.begin_connect(handle, address)?;
        tcp::connected(&source).await.map_err(fail)?;
        Ok(TcpStream { source })
    }

    /// Begins a connection, which is made when [`tcp::is_connected`] says so.
    pub(crate) fn begin_connect(
        self,
        handle: &Handle,
        address: SocketAddr,
    ) -> Result<Source<net::TcpStream>, Error> {
        let begun = raw::connect(&self, &address);
        begun.map_err(|source| Error::Connect { address, source })?;
        Ok(Source::new(handle, self.socket)?)
    }

    /// Listens for connections, of which `backlog` may wait to be accepted; the system may have a
    /// limit of its own. A socket that is not bound gets a port that the system chooses.
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] with the address; [`Error::Loop`] if the loop is gone.
    pub fn listen(self, handle: &Handle, backlog: u32) -> Result<TcpListener, Error> {
        let address = self.local_addr().unwrap_or(UNKNOWN);
        let listener = self.into_listener(None, backlog);
        TcpListener::new(
            handle,
            listener.map_err(|source| Error::Bind { address, source })?,
        )
    }

    /// Listens, on an address that it has or on this one.
    pub(crate) fn into_listener(
        self,
        address: Option<SocketAddr>,
        backlog: u32,
    ) -> io::Result<net::TcpListener> {
        if let Some(address) = address {
            raw::bind(&self, &address)?;
        }
        raw::listen(&self, backlog)?;
        Ok(OwnedFd::from(self.socket).into())
    }
}

/// The address of a socket that does not tell it.
const UNKNOWN: SocketAddr = SocketAddr::V4(net::SocketAddrV4::new(net::Ipv4Addr::UNSPECIFIED, 0));

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
