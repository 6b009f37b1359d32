//! Unix sockets: streams and datagrams within a machine.

use std::{
    future::{Future, poll_fn},
    io,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::{self, SocketAddr},
    },
    path::Path,
    task::{Context, Poll},
    time::Duration,
};

use nio_loop::{Direction, Handle};

use crate::{
    ByteStream, Channel, DatagramSocket, Error, Listener, Readable, Writable,
    listener::{BACKLOG, Listens},
    raw,
};

/// A connection between two processes of one machine, or within one. What it can do is, for the most
/// part, what every [`ByteStream`] can; besides, it carries descriptors and tells who is on the other
/// side.
pub type UnixStream = ByteStream<net::UnixStream>;

/// Listens for connections to a Unix socket. Its file stays when it is dropped: remove it, or the
/// next one that binds to it is refused.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::{UnixListener, UnixStream};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle().clone();
/// # let path = std::env::temp_dir().join(format!("nio-net-doc-{}", std::process::id()));
/// let listener = UnixListener::bind(&handle, &path)?;
/// # event_loop.block_on(async move {
/// let client = UnixStream::connect(&handle, &path).await?;
/// let (stream, _) = listener.accept().await?;
/// assert_eq!(stream.peer_credentials()?, client.peer_credentials()?);
/// std::fs::remove_file(&path)?;
/// # Ok(())
/// # })?
/// # }
/// ```
pub type UnixListener = Listener<net::UnixListener>;

impl Channel for net::UnixStream {
    const SOCKET: bool = true;
    /// A read ends where descriptors were sent along, whatever is behind them.
    const SHORT_READ_IS_ALL: bool = false;
}
impl Readable for net::UnixStream {}
impl Writable for net::UnixStream {}

impl Listens for net::UnixListener {
    type Stream = net::UnixStream;
}

/// Who is on the other side of a [`UnixStream`], or was when the connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Credentials {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// The process, on Linux and Apple's systems. The number may have become another's since.
    pub process: Option<i32>,
}

/// How long a connection waits that finds the queue of the listener full, before it tries again; at
/// first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

impl ByteStream<net::UnixStream> {
    /// Connects to the socket of a path. Dropping the future ends the attempt.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] if it cannot be the path of a socket; those of
    /// [`connect_addr`](UnixStream::connect_addr).
    pub async fn connect(handle: &Handle, path: impl AsRef<Path>) -> Result<UnixStream, Error> {
        UnixStream::connect_addr(handle, &address(path.as_ref())?).await
    }

    /// Connects to an address, which may be an abstract one on Linux. If the listener's queue is full,
    /// Linux wants to be asked again, without saying when: it is, every few milliseconds. Elsewhere
    /// the connection is refused then.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectUnix`] with the address; [`Error::Loop`] if the loop is gone.
    pub async fn connect_addr(handle: &Handle, address: &SocketAddr) -> Result<UnixStream, Error> {
        let fail = |source| Error::ConnectUnix {
            address: address.clone().into(),
            source,
        };
        let socket = raw::socket(libc::AF_UNIX, libc::SOCK_STREAM).map_err(fail)?;
        let mut pause = FIRST_PAUSE;
        loop {
            match raw::connect(&socket, address) {
                Ok(()) => return ByteStream::new(handle, socket.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(fail(error)),
            }
            handle.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Two streams that are connected with each other.
    ///
    /// # Errors
    ///
    /// Those of a process or a system that has no more descriptors; if the loop is gone.
    pub fn pair(handle: &Handle) -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((
            UnixStream::from_std(handle, one)?,
            UnixStream::from_std(handle, other)?,
        ))
    }

    /// The address of the other side. One that connects has none of its own, as a rule.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    /// Who is on the other side. The system says so, not the other side. NetBSD and DragonFly do not
    /// say it of streams that [`pair`](UnixStream::pair) has made.
    ///
    /// # Errors
    ///
    /// Those of the system's call.
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        let (user, group, process) = raw::unix::peer(self)?;
        Ok(Credentials {
            user,
            group,
            process,
        })
    }

    /// Writes as [`write`](ByteStream::write) does, and sends descriptors along with the first byte.
    /// The other side gets descriptors of its own for what these are open on.
    ///
    /// ```
    /// # use std::{io::Write, os::fd::AsFd};
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle().clone();
    /// # event_loop.block_on(async {
    /// # let (one, other) = UnixStream::pair(&handle)?;
    /// one.write_with_descriptors(b"!", &[std::io::stdout().as_fd()]).await?;
    ///
    /// let (mut byte, mut descriptors) = ([0], Vec::new());
    /// other.read_with_descriptors(&mut byte, &mut descriptors).await?;
    /// std::fs::File::from(descriptors.remove(0)).write_all(b"hello\n")?;
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`write`](ByteStream::write); [`InvalidInput`](io::ErrorKind::InvalidInput) if `bytes` is
    /// empty or there are more than 253 descriptors (OpenBSD: 127, DragonFly: 64).
    pub fn write_with_descriptors(
        &self,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> impl Future<Output = io::Result<usize>> {
        poll_fn(move |context| self.poll_write_with_descriptors(context, bytes, descriptors))
    }

    fn poll_write_with_descriptors(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() || descriptors.len() > raw::unix::DESCRIPTORS {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        self.poll_write_with(context, bytes.len(), |socket| {
            raw::unix::send_with_descriptors(socket, bytes, descriptors)
        })
    }

    /// Reads as [`read`](ByteStream::read) does, and appends the descriptors that came along. A read
    /// ends behind bytes that had some. (Other ways of reading lose them: the system closes them.)
    /// The descriptors are close-on-exec.
    ///
    /// # Errors
    ///
    /// As [`read`](ByteStream::read); an error if the process has no room for all descriptors, which
    /// are all closed then, and the bytes are lost.
    pub fn read_with_descriptors(
        &self,
        buffer: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
    ) -> impl Future<Output = io::Result<usize>> {
        poll_fn(move |context| {
            if buffer.is_empty() {
                return Poll::Ready(Ok(0));
            }
            let source = &self.source;
            source.poll_io(context, Direction::Read, |socket| {
                raw::unix::receive_with_descriptors(socket, buffer, descriptors)
            })
        })
    }
}

impl Listener<net::UnixListener> {
    /// Listens on a path, where there must be no file yet.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] if it cannot be the path of a socket; those of
    /// [`bind_addr`](UnixListener::bind_addr).
    pub fn bind(handle: &Handle, path: impl AsRef<Path>) -> Result<UnixListener, Error> {
        UnixListener::bind_addr(handle, &address(path.as_ref())?)
    }

    /// Listens on an address, which may be an abstract one on Linux.
    ///
    /// # Errors
    ///
    /// [`Error::BindUnix`] with the address; [`Error::Loop`] if the loop is gone.
    pub fn bind_addr(handle: &Handle, address: &SocketAddr) -> Result<UnixListener, Error> {
        let listen = || {
            let socket = raw::socket(libc::AF_UNIX, libc::SOCK_STREAM)?;
            raw::bind(&socket, address)?;
            raw::listen(&socket, BACKLOG)?;
            Ok(socket.into())
        };
        let listener = listen().map_err(|source| Error::BindUnix {
            address: address.clone().into(),
            source,
        })?;
        Listener::new(handle, listener)
    }
}

/// A Unix socket of datagrams. They are neither lost nor out of order. One that has no room at the
/// receiver waits; as the system does not tell when there is room, it tries again every millisecond.
///
/// The file of one that is bound stays when it is dropped.
pub type UnixDatagram = DatagramSocket<net::UnixDatagram>;

impl DatagramSocket<net::UnixDatagram> {
    /// A socket of a path, where there must be no file yet.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] if it cannot be the path of a socket; those of [`bind_addr`](Self::bind_addr).
    pub fn bind(handle: &Handle, path: impl AsRef<Path>) -> Result<UnixDatagram, Error> {
        UnixDatagram::bind_addr(handle, &address(path.as_ref())?)
    }

    /// A socket of an address, which may be an abstract one on Linux.
    ///
    /// # Errors
    ///
    /// [`Error::BindUnix`] with the address; [`Error::Loop`] if the loop is gone.
    pub fn bind_addr(handle: &Handle, address: &SocketAddr) -> Result<UnixDatagram, Error> {
        let bind = || {
            let socket = raw::socket(libc::AF_UNIX, libc::SOCK_DGRAM)?;
            raw::bind(&socket, address)?;
            Ok(socket.into())
        };
        let socket = bind().map_err(|source| Error::BindUnix {
            address: address.clone().into(),
            source,
        })?;
        DatagramSocket::new(handle, socket)
    }

    /// A socket without an address, which only sends.
    ///
    /// # Errors
    ///
    /// Those of a process or a system that has no more descriptors; if the loop is gone.
    pub fn unbound(handle: &Handle) -> io::Result<UnixDatagram> {
        UnixDatagram::from_std(handle, net::UnixDatagram::unbound()?)
    }

    /// Two sockets that are connected with each other.
    ///
    /// # Errors
    ///
    /// Those of a process or a system that has no more descriptors; if the loop is gone.
    pub fn pair(handle: &Handle) -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((
            UnixDatagram::from_std(handle, one)?,
            UnixDatagram::from_std(handle, other)?,
        ))
    }

    /// Connects the socket to an address: it [sends](DatagramSocket::send) to it and receives from
    /// nobody else.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectUnix`] with the address.
    pub fn connect(&self, address: &SocketAddr) -> Result<(), Error> {
        raw::connect(self, address).map_err(|source| Error::ConnectUnix {
            address: address.clone().into(),
            source,
        })
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if it is not.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }
}

/// The address of a path.
pub(crate) fn address(path: &Path) -> Result<SocketAddr, Error> {
    SocketAddr::from_pathname(path).map_err(|source| Error::Path {
        path: path.into(),
        source,
    })
}
