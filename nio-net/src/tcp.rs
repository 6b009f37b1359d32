//! TCP connections.

use std::{
    cell::Cell,
    io,
    net::{self, SocketAddr},
    task::{Context, Poll},
};

use nio_loop::{Direction, Handle};

use crate::{ByteStream, Error, TcpSocket, ToAddresses, connect, raw, stream::Descriptor};

/// A TCP connection.
///
/// ```
/// # use std::net::Shutdown;
/// # use nio_loop::EventLoop;
/// # use nio_net::{TcpListener, TcpStream};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// # event_loop.block_on(async {
/// # let listener = TcpListener::bind(&handle, "localhost:0").await?;
/// # let port = listener.local_addr()?.port();
/// # handle.spawn(async move {
/// #     let (stream, _) = listener.accept().await?;
/// #     nio_net::copy(&stream, &stream).await?;
/// #     std::io::Result::Ok(())
/// # }).detach();
/// let stream = TcpStream::connect(&handle, ("localhost", port)).await?;
/// stream.set_nodelay(true)?;
/// stream.write_all(b"question").await?;
/// stream.shutdown(Shutdown::Write)?; // the peer reads the end
/// let mut answer = Vec::new();
/// stream.read_to_end(&mut answer, 64 * 1024).await?; // up to 64 KiB
/// # assert_eq!(answer, b"question");
/// # Ok(())
/// # })?
/// # }
/// ```
///
/// | to | there is |
/// |---|---|
/// | make one | [`connect`](Self::connect), [`connect_with`](Self::connect_with) options, [`TcpListener::accept`](crate::Listener::accept), [`from_std`](ByteStream::from_std) |
/// | read | [`read`](ByteStream::read), [`read_with`](ByteStream::read_with) the shared buffer of the thread, [`read_exact`](ByteStream::read_exact), [`read_to_end`](ByteStream::read_to_end); lines by a [`BufReader`](crate::BufReader) |
/// | write | [`write_all`](ByteStream::write_all), [`write_all_vectored`](ByteStream::write_all_vectored), [`send_file_all`](ByteStream::send_file_all) |
/// | copy | [`copy`](crate::copy), [`copy_bidirectional`](crate::copy_bidirectional) |
/// | end writing | [`shutdown`](ByteStream::shutdown); dropping it closes the connection |
/// | read and write in two tasks | an [`Rc`](std::rc::Rc) of it, or [`into_split`](ByteStream::into_split) |
/// | limit the time | [`Handle::timeout`], [`Idle`](crate::Idle) |
/// | set options | [`set_nodelay`](Self::set_nodelay), [`options`](ByteStream::options) |
///
/// It is a [`ByteStream`], as Unix connections and pipes are: all its operations are documented there.
#[doc(alias = "net.Socket")]
#[doc(alias = "socket")]
#[doc(alias = "uv_tcp_t")]
pub type TcpStream = ByteStream<net::TcpStream>;

impl ByteStream<net::TcpStream> {
    /// Connects to an address: `"localhost:8080"`, `("::1", 8080)`, a [`SocketAddr`] and more, see
    /// [`ToAddresses`].
    ///
    /// Of several addresses, or a host name that has several, it connects to the first that answers (Happy
    /// Eyeballs, RFC 8305). It tries them in order, alternating versions of IP. The next attempt begins after
    /// 250 ms, or as soon as one fails. The first connection ends all other attempts. Dropping the future ends
    /// all.
    ///
    /// A socket that TCP would connect to itself, at a port of this machine where no socket listens, is refused.
    ///
    /// The system's limit on connecting is often minutes, so give it your own:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{TcpListener, TcpStream};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// # let listener = TcpListener::bind(&handle, "localhost:0").await?;
    /// # let port = listener.local_addr()?.port();
    /// let connect = TcpStream::connect(&handle, ("localhost", port));
    /// let stream = handle.timeout(Duration::from_secs(10), connect).await??;
    /// # drop(stream);
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] with the address; [`Error::ConnectAny`] with the host, each address and its
    /// error; [`Error::Address`] if it is no address; [`Error::Resolve`] with the name;
    /// [`Error::Loop`] if the loop is gone.
    #[doc(alias = "net.connect")]
    #[doc(alias = "net.createConnection")]
    #[doc(alias = "uv_tcp_connect")]
    #[doc(alias = "connect_host")]
    #[doc(alias = "happy eyeballs")]
    pub async fn connect(handle: &Handle, to: impl ToAddresses) -> Result<TcpStream, Error> {
        connect::connect(handle, to, |_, _| Ok(())).await
    }

    /// As [`connect`](Self::connect), but calls `set` with the socket for each address, to set options that must
    /// be set before connecting, or to bind to a local address.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{TcpListener, TcpStream};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// # let listener = TcpListener::bind(&handle, "localhost:0").await?;
    /// # let port = listener.local_addr()?.port();
    /// let stream = TcpStream::connect_with(&handle, ("localhost", port), |socket, _| {
    ///     socket.options().set_receive_buffer_size(1024 * 1024)
    /// });
    /// # stream.await?;
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect). Of several addresses, an error of `set` counts as the error of
    /// its address: the others are still tried. Of one, it is returned as it is.
    pub async fn connect_with(
        handle: &Handle,
        to: impl ToAddresses,
        set: impl FnMut(&TcpSocket, SocketAddr) -> Result<(), Error>,
    ) -> Result<TcpStream, Error> {
        connect::connect(handle, to, set).await
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        raw::local_addr(self)
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    /// Whether small writes are sent at once (TCP_NODELAY), or may be delayed and joined (Nagle's algorithm).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2): on some systems, if the connection is gone.
    #[doc(alias = "setNoDelay")]
    #[doc(alias = "uv_tcp_nodelay")]
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.get_ref().set_nodelay(nodelay)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.get_ref().nodelay()
    }
}

/// A connection in progress.
pub(crate) struct Connecting {
    pub(crate) stream: TcpStream,
    /// The result of connect(2).
    is_made: bool,
    /// Whether an event was waited for. Before that, checking the connection would only repeat the
    /// result of connect(2).
    waited: Cell<bool>,
}

impl Connecting {
    /// Takes a stream for which connect(2) was called, and whether that made the connection.
    pub(crate) fn new(stream: TcpStream, is_made: bool) -> Connecting {
        let waited = Cell::new(false);
        Connecting {
            stream,
            is_made,
            waited,
        }
    }

    /// Waits until the connection is made or has failed.
    pub(crate) async fn finish(&self) -> io::Result<()> {
        let source = &self.stream.source;
        source
            .io(Direction::Write, |socket| self.check(socket))
            .await
    }

    /// [`finish`](Connecting::finish), for futures written by hand.
    pub(crate) fn poll_finish(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let source = &self.stream.source;
        source.poll_io(context, Direction::Write, |socket| self.check(socket))
    }

    fn check(&self, socket: &Descriptor<net::TcpStream>) -> io::Result<()> {
        if !self.is_made {
            match self.waited.replace(true) {
                true => check_connected(&socket.inner)?,
                false => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
        refuse_itself(&socket.inner)
    }
}

/// Whether a connection is made. "Writable" alone does not tell: some systems report it too early, and
/// all of them report it when the attempt has failed. Then the socket has no peer, but an error.
fn check_connected(stream: &net::TcpStream) -> io::Result<()> {
    match stream.peer_addr() {
        Ok(_) => Ok(()),
        // macOS may say EINVAL while the connection is being made.
        Err(error)
            if error.kind() == io::ErrorKind::NotConnected
                || error.kind() == io::ErrorKind::InvalidInput =>
        {
            Err(match stream.take_error()? {
                Some(error) => error,
                None => io::ErrorKind::WouldBlock.into(),
            })
        }
        Err(error) => Err(error),
    }
}

/// An error if the socket is connected to itself. TCP can do that (simultaneous open, RFC 9293) when no
/// socket listens on a port of this machine and the system chooses that port for this side.
fn refuse_itself(stream: &net::TcpStream) -> io::Result<()> {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) if local == peer => {
            Err(io::Error::from_raw_os_error(libc::ECONNREFUSED))
        }
        _ => Ok(()),
    }
}
