//! A TCP socket before it is a connection or a listener.

use std::{
    io,
    net::{self, SocketAddr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nio_loop::Handle;

use crate::{
    Error, Listener, Options, Refused, TcpListener, TcpStream, ToAddresses, address::numeric, raw,
    resolve, tcp::Connecting,
};

/// A TCP socket whose options are to be set, and which may be bound to an address, before it
/// connects or listens.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::TcpSocket;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// let socket = TcpSocket::new_v4()?;
/// socket.options().set_reuse_port(true)?;
/// socket.bind("127.0.0.1:0")?;
/// let listener = socket.listen(&handle, 64)?;
/// # drop(listener);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    /// Not connected; the standard library has no other type for it.
    socket: net::TcpStream,
}

impl TcpSocket {
    /// A socket for IP version 4.
    ///
    /// # Errors
    ///
    /// If the process or the system has no more descriptors.
    pub fn new_v4() -> io::Result<TcpSocket> {
        TcpSocket::of_family(libc::AF_INET)
    }

    /// A socket for IP version 6.
    ///
    /// # Errors
    ///
    /// If the process or the system has no more descriptors, or the system does not support it.
    pub fn new_v6() -> io::Result<TcpSocket> {
        TcpSocket::of_family(libc::AF_INET6)
    }

    /// A socket for the version of IP of an address.
    ///
    /// # Errors
    ///
    /// As [`new_v4`](Self::new_v4) and [`new_v6`](Self::new_v6).
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
    /// lets the system choose one. Of several addresses it is the first. No host name is looked up.
    ///
    /// # Errors
    ///
    /// [`Error::LocalAddress`] with the address; [`Error::Address`] if it is no address.
    pub fn bind(&self, to: impl ToAddresses) -> Result<(), Error> {
        let address = numeric(to)?[0];
        raw::bind(self, &address).map_err(|source| Error::LocalAddress { address, source })
    }

    /// The address that it is bound to; all zeroes if it is not bound.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Connects to an address. Of several addresses, or a host name that has several, it is the first
    /// of the socket's version of IP: to try all, use
    /// [`TcpStream::connect_with`](TcpStream::connect_with). Dropping the future ends the attempt.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] with the address; [`Error::Address`] if it is no address;
    /// [`Error::Resolve`] with the name; [`Error::Loop`] if the loop is gone. The socket comes back
    /// with the error. After a failed attempt only Linux lets it connect again.
    pub async fn connect(
        self,
        handle: &Handle,
        to: impl ToAddresses,
    ) -> Result<TcpStream, Refused<TcpSocket>> {
        let address = match resolve(handle, to).await {
            Ok(addresses) => self.choose(&addresses),
            Err(error) => return Err(Refused { error, value: self }),
        };
        let connecting = self.begin_connect(handle, address)?;
        match connecting.finish().await {
            Ok(()) => Ok(connecting.stream),
            Err(error) => {
                let socket = connecting.stream.take_out();
                let fail = |source| Error::Connect { address, source };
                let error = Error::of_wait(error, fail);
                let value = TcpSocket { socket };
                Err(Refused { error, value })
            }
        }
    }

    /// The first address of the socket's version of IP. If there is none, another one, which the system
    /// refuses with its error.
    fn choose(&self, addresses: &[SocketAddr]) -> SocketAddr {
        let is_v4 = self.local_addr().is_ok_and(|local| local.is_ipv4());
        let mut fitting = addresses
            .iter()
            .filter(|address| address.is_ipv4() == is_v4);
        *fitting.next().unwrap_or(&addresses[0])
    }

    /// Begins a connection.
    pub(crate) fn begin_connect(
        self,
        handle: &Handle,
        address: SocketAddr,
    ) -> Result<Connecting, Refused<TcpSocket>> {
        let is_made = match raw::connect(&self, &address) {
            Ok(is_made) => is_made,
            Err(source) => {
                let error = Error::Connect { address, source };
                return Err(Refused { error, value: self });
            }
        };
        match TcpStream::adopt(handle, self.socket) {
            Ok(stream) => Ok(Connecting::new(stream, is_made)),
            Err(Refused { error, value }) => {
                let value = TcpSocket { socket: value };
                Err(Refused { error, value })
            }
        }
    }

    /// Listens for connections, of which `backlog` may wait to be accepted; the system may have a
    /// limit of its own. A socket that is not bound gets a port that the system chooses.
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] with the address; [`Error::Loop`] if the loop is gone. The socket comes back
    /// with the error.
    pub fn listen(self, handle: &Handle, backlog: u32) -> Result<TcpListener, Refused<TcpSocket>> {
        if let Err(source) = raw::listen(&self, backlog) {
            let address = self.local_addr().unwrap_or(UNKNOWN);
            let error = Error::Bind { address, source };
            return Err(Refused { error, value: self });
        }
        let listener = OwnedFd::from(self.socket).into();
        Listener::new(handle, [listener]).map_err(|Refused { error, value }| {
            let socket = OwnedFd::from(value).into();
            let value = TcpSocket { socket };
            Refused { error, value }
        })
    }

    /// Listens on an address.
    pub(crate) fn listen_on(
        self,
        address: SocketAddr,
        backlog: u32,
    ) -> io::Result<net::TcpListener> {
        raw::bind(&self, &address)?;
        raw::listen(&self, backlog)?;
        Ok(OwnedFd::from(self.socket).into())
    }
}

/// For an error, if getsockname(2) fails.
const UNKNOWN: SocketAddr = SocketAddr::V4(net::SocketAddrV4::new(net::Ipv4Addr::UNSPECIFIED, 0));

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
