//! Unix sockets: streams and datagrams within a machine.

use std::{
    future::poll_fn,
    io,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::{self, SocketAddr},
    },
};

use nio_loop::{Direction, Handle, poll_budget};

use crate::{
    ByteStream, DatagramSocket, Error, Listener, ToUnixAddress, UnixSocket, listener::BACKLOG, raw,
    write,
};

/// A connection between two processes of one machine, or within one. Most of its operations are those
/// of every [`ByteStream`]; it also carries file descriptors and tells the credentials of the other
/// side.
#[doc(alias = "uv_pipe_t")]
#[doc(alias = "IPC")]
pub type UnixStream = ByteStream<net::UnixStream>;

/// Listens for connections to a Unix socket. Its file stays when it is dropped: remove it, or the next bind to
/// its path fails.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::{UnixListener, UnixStream};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
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

/// The credentials of the peer of a [`UnixStream`], from when the connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Credentials {
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// The process, on Linux and Apple's systems. It may have ended since, and its number may be in use
    /// again.
    pub process: Option<i32>,
}

impl ByteStream<net::UnixStream> {
    /// Connects to the socket of a path, or of an address. Dropping the future ends the attempt.
    ///
    /// If the listener's queue is full, it tries again every few milliseconds on Linux, which reports no event
    /// when there is room. Other systems refuse the connection.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] if it cannot be the path of a socket; [`Error::ConnectUnix`] with the address;
    /// [`Error::Loop`] if the loop is gone.
    #[doc(alias = "net.connect")]
    #[doc(alias = "uv_pipe_connect")]
    pub async fn connect(handle: &Handle, to: impl ToUnixAddress) -> Result<UnixStream, Error> {
        poll_fn(poll_budget).await;
        let address = to.to_unix_address()?.0;
        let socket = UnixSocket::new_stream().map_err(|source| Error::ConnectUnix {
            address: address.clone().into(),
            source,
        })?;
        Ok(socket.connect(handle, address).await?)
    }

    /// Two streams that are connected with each other.
    ///
    /// # Errors
    ///
    /// If the process or the system has no more descriptors; if the loop is gone.
    pub fn pair(handle: &Handle) -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((
            UnixStream::from_std(handle, one)?,
            UnixStream::from_std(handle, other)?,
        ))
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        raw::local_addr(self)
    }

    /// The address of the peer. A stream that has connected is usually unnamed.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    /// The credentials of the peer, as the system knows them. NetBSD and DragonFly have none for streams of
    /// [`pair`](UnixStream::pair).
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

    /// Writes as [`write`](ByteStream::write) does, and sends descriptors with the first byte (SCM_RIGHTS). The
    /// peer gets its own descriptors of the same open files, in the same mode: for a descriptor in a loop that
    /// is [non-blocking mode](crate#blocking-mode).
    ///
    /// ```
    /// # use std::{io::Write, os::fd::AsFd};
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
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
    pub async fn write_with_descriptors(
        &self,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        if bytes.is_empty() || descriptors.len() > raw::unix::DESCRIPTORS {
            poll_fn(poll_budget).await;
            let text = match bytes.is_empty() {
                true => "descriptors need at least one byte to be sent with; give one".into(),
                false => format!(
                    "{} descriptors do not fit into one message; send at most {}",
                    descriptors.len(),
                    raw::unix::DESCRIPTORS
                ),
            };
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self.write_with(|socket| {
            let sent = raw::unix::send_with_descriptors(socket, bytes, descriptors);
            write::sent(&self.source, sent, bytes.len())
        })
        .await
    }

    /// Reads as [`read`](ByteStream::read) does, and appends the descriptors that were sent with the bytes. A
    /// read stops after bytes that were sent with descriptors. (With other read operations the descriptors are
    /// lost: the system closes them.) The descriptors are close-on-exec, and in the
    /// [mode](crate#blocking-mode) that they have at the sender.
    ///
    /// # Errors
    ///
    /// As [`read`](ByteStream::read); an error if the process has no room for all descriptors. Then all
    /// of them are closed, and the bytes are lost.
    pub async fn read_with_descriptors(
        &self,
        buffer: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
    ) -> io::Result<usize> {
        if buffer.is_empty() {
            poll_fn(poll_budget).await;
            return Ok(0);
        }
        let source = &self.source;
        let read = source.io(Direction::Read, |socket| {
            raw::unix::receive_with_descriptors(socket, buffer, descriptors)
        });
        read.await
    }
}

impl Listener<net::UnixListener> {
    /// Listens on a path, where there must be no file yet, or on an address, which may be an abstract
    /// one on Linux.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] if it cannot be the path of a socket; [`Error::BindUnix`] with the address;
    /// [`Error::Loop`] if the loop is gone.
    #[doc(alias = "uv_pipe_bind")]
    pub fn bind(handle: &Handle, to: impl ToUnixAddress) -> Result<UnixListener, Error> {
        let socket = UnixSocket::bound(libc::SOCK_STREAM, &to.to_unix_address()?.0)?;
        Ok(socket.listen(handle, BACKLOG)?)
    }
}

/// A Unix datagram socket. While the receiver's queue is full a send waits, and tries again every millisecond,
/// because the system reports no event when there is room.
///
/// No datagram is lost while its sender and its receiver are open, and those of one sender stay in
/// order. FreeBSD keeps the datagrams of a connected sender in a buffer of that sender: when it is
/// closed, datagrams that were not received yet may be lost, and the order between several senders is
/// not kept.
///
/// The file of a socket that is bound stays when the socket is dropped.
pub type UnixDatagram = DatagramSocket<net::UnixDatagram>;

impl DatagramSocket<net::UnixDatagram> {
    /// A socket of a path, where there must be no file yet, or of an address, which may be an abstract
    /// one on Linux.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] if it cannot be the path of a socket; [`Error::BindUnix`] with the address;
    /// [`Error::Loop`] if the loop is gone.
    pub fn bind(handle: &Handle, to: impl ToUnixAddress) -> Result<UnixDatagram, Error> {
        let socket = UnixSocket::bound(libc::SOCK_DGRAM, &to.to_unix_address()?.0)?;
        Ok(socket.datagram(handle)?)
    }

    /// A socket without an address, which only sends.
    ///
    /// # Errors
    ///
    /// If the process or the system has no more descriptors; if the loop is gone.
    pub fn unbound(handle: &Handle) -> io::Result<UnixDatagram> {
        Ok(UnixDatagram::from_std(
            handle,
            net::UnixDatagram::unbound()?,
        )?)
    }

    /// Two sockets that are connected with each other.
    ///
    /// # Errors
    ///
    /// If the process or the system has no more descriptors; if the loop is gone.
    pub fn pair(handle: &Handle) -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((
            UnixDatagram::from_std(handle, one)?,
            UnixDatagram::from_std(handle, other)?,
        ))
    }

    /// Connects the socket to a path or an address: it [sends](DatagramSocket::send) there and receives
    /// from no other.
    ///
    /// # Errors
    ///
    /// [`Error::Path`] if it cannot be the path of a socket; [`Error::ConnectUnix`] with the address.
    pub fn connect(&self, to: impl ToUnixAddress) -> Result<(), Error> {
        let address = &to.to_unix_address()?.0;
        let connected = raw::connect(self, address).map(drop);
        connected.map_err(|source| Error::ConnectUnix {
            address: address.clone().into(),
            source,
        })
    }

    /// Sends a datagram to a path or an address, or waits until there is room for it. If the future is
    /// dropped, nothing has been sent.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`Error::Path`] if it cannot be the path of a socket.
    pub async fn send_to(&self, bytes: &[u8], to: impl ToUnixAddress) -> io::Result<usize> {
        match to.to_unix_address() {
            Ok(address) => self.send_to_one(bytes, &address.0).await,
            Err(error) => {
                poll_fn(poll_budget).await;
                Err(error.into())
            }
        }
    }

    /// As [`send_to`](Self::send_to), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room; those of
    /// [`send_to`](Self::send_to).
    pub fn try_send_to(&self, bytes: &[u8], to: impl ToUnixAddress) -> io::Result<usize> {
        self.try_send_to_one(bytes, &to.to_unix_address()?.0)
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }
}
