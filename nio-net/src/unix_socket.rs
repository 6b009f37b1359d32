//! A Unix socket before it connects, listens or carries datagrams.

use std::{
    future::poll_fn,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::SocketAddr,
    },
    time::Duration,
};

use nio_loop::{Handle, poll_budget};

use crate::{
    ByteStream, DatagramSocket, Error, Listener, Options, Refused, ToUnixAddress, UnixDatagram,
    UnixListener, UnixStream, advice::is_stale, error::adopt, raw,
};

/// How long a connect that finds the listener's queue full waits before it tries again; at first, and
/// at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

/// A Unix socket whose options are to be set, and which may be bound to an address, before it connects,
/// listens, or carries datagrams.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::UnixSocket;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// # let path = std::env::temp_dir().join(format!("nio-net-socket-{}", std::process::id()));
/// let socket = UnixSocket::new_stream()?;
/// socket.options().set_send_buffer_size(64 * 1024)?;
/// socket.bind(&path)?;
/// let listener = socket.listen(&handle, 64)?;
/// # std::fs::remove_file(&path)?;
/// # drop(listener);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UnixSocket {
    socket: OwnedFd,
    /// SOCK_STREAM or SOCK_DGRAM.
    kind: libc::c_int,
}

impl UnixSocket {
    /// A socket for a connection or a listener.
    ///
    /// # Errors
    ///
    /// If the process or the system has no more descriptors.
    pub fn new_stream() -> io::Result<UnixSocket> {
        UnixSocket::of_kind(libc::SOCK_STREAM)
    }

    /// A socket for datagrams.
    ///
    /// # Errors
    ///
    /// If the process or the system has no more descriptors.
    pub fn new_datagram() -> io::Result<UnixSocket> {
        UnixSocket::of_kind(libc::SOCK_DGRAM)
    }

    fn of_kind(kind: libc::c_int) -> io::Result<UnixSocket> {
        let socket = raw::socket(libc::AF_UNIX, kind)?;
        Ok(UnixSocket { socket, kind })
    }

    /// A socket that is bound to an address.
    pub(crate) fn bound(kind: libc::c_int, address: &SocketAddr) -> Result<UnixSocket, Error> {
        let socket = UnixSocket::of_kind(kind);
        let socket = socket.map_err(|source| not_bound(address, kind, source))?;
        socket.bind(address)?;
        Ok(socket)
    }

    /// Its options.
    #[must_use]
    pub fn options(&self) -> Options<'_> {
        Options::of(self)
    }

    /// Binds the socket to a path, where there must be no file yet, or to an address, which may be an
    /// abstract one on Linux.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] if it cannot be the path of a socket; [`Error::BindUnix`] with the address.
    pub fn bind(&self, to: impl ToUnixAddress) -> Result<(), Error> {
        let address = &to.to_unix_address()?.0;
        let bound = raw::bind(self, address);
        bound.map_err(|source| not_bound(address, self.kind, source))
    }

    /// The address that it is bound to; the unnamed address if it is not bound.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        raw::local_addr(self)
    }

    /// Connects to a path or an address, as [`UnixStream::connect`] does. Dropping the future ends the
    /// attempt.
    ///
    /// # Errors
    ///
    /// As [`UnixStream::connect`], and [`Error::ConnectUnix`] if it is a socket for datagrams. The socket
    /// comes back with the error.
    pub async fn connect(
        self,
        handle: &Handle,
        to: impl ToUnixAddress,
    ) -> Result<UnixStream, Refused<UnixSocket>> {
        poll_fn(poll_budget).await;
        let connected = match to.to_unix_address() {
            Ok(address) => self.try_connect(handle, &address.0).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(()) => self.adopt(handle, ByteStream::adopt),
            Err(error) => Err(Refused { error, value: self }),
        }
    }

    async fn try_connect(&self, handle: &Handle, address: &SocketAddr) -> Result<(), Error> {
        let fail = |source| Error::ConnectUnix {
            address: address.clone().into(),
            source,
        };
        if self.kind != libc::SOCK_STREAM {
            return Err(fail(io::Error::from_raw_os_error(libc::EPROTOTYPE)));
        }
        let mut pause = FIRST_PAUSE;
        loop {
            drop(adopt(handle, self.as_fd())?);
            match raw::connect(self, address) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(fail(error)),
            }
            handle.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Listens for connections, of which `backlog` may wait to be accepted; the system may have a limit of
    /// its own.
    ///
    /// # Errors
    ///
    /// [`Error::BindUnix`] with the address if it is not bound, or a socket for datagrams;
    /// [`Error::Loop`] if the loop is gone. The socket comes back with the error.
    pub fn listen(
        self,
        handle: &Handle,
        backlog: u32,
    ) -> Result<UnixListener, Refused<UnixSocket>> {
        if let Err(source) = raw::listen(&self, backlog) {
            let error = self.unusable(source);
            return Err(Refused { error, value: self });
        }
        self.adopt(handle, |handle, socket| Listener::new(handle, [socket]))
    }

    /// Makes it a datagram socket.
    ///
    /// # Errors
    ///
    /// [`Error::BindUnix`] with the address if it is a socket for connections; [`Error::Loop`] if the loop
    /// is gone. The socket comes back with the error.
    pub fn datagram(self, handle: &Handle) -> Result<UnixDatagram, Refused<UnixSocket>> {
        if self.kind != libc::SOCK_DGRAM {
            let error = self.unusable(io::Error::from_raw_os_error(libc::EPROTOTYPE));
            return Err(Refused { error, value: self });
        }
        self.adopt(handle, DatagramSocket::new)
    }

    /// Takes the socket into the loop as another type, or gives it back.
    fn adopt<S: From<OwnedFd> + Into<OwnedFd>, T>(
        self,
        handle: &Handle,
        adopt: impl FnOnce(&Handle, S) -> Result<T, Refused<S>>,
    ) -> Result<T, Refused<UnixSocket>> {
        let kind = self.kind;
        adopt(handle, self.socket.into()).map_err(|Refused { value, error }| {
            let socket = value.into();
            Refused {
                error,
                value: UnixSocket { socket, kind },
            }
        })
    }

    fn unusable(&self, source: io::Error) -> Error {
        let unnamed = || SocketAddr::from_pathname("").expect("the unnamed address");
        let address = self.local_addr().unwrap_or_else(|_| unnamed());
        not_bound(&address, self.kind, source)
    }
}

/// The error of a socket that cannot use an address.
fn not_bound(address: &SocketAddr, kind: libc::c_int, source: io::Error) -> Error {
    Error::BindUnix {
        stale: is_stale(address, kind, &source),
        address: address.clone().into(),
        source,
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
