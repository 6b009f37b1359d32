//! TCP connections.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    net::{self, SocketAddr},
    task::{Context, Poll},
};

use nio_loop::{Direction, Handle, poll_budget};

use crate::{ByteStream, Error, TcpSocket, connect::connect_any, raw, resolve, stream::Descriptor};

/// A TCP connection. Most of its operations are those of every [`ByteStream`].
pub type TcpStream = ByteStream<net::TcpStream>;

impl ByteStream<net::TcpStream> {
    /// Connects to an address. Dropping the future ends the attempt.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] with the address; [`Error::Loop`] if the loop is gone.
    pub async fn connect(handle: &Handle, address: SocketAddr) -> Result<TcpStream, Error> {
        poll_fn(poll_budget).await;
        let socket = TcpSocket::new(address);
        let socket = socket.map_err(|source| Error::Connect { address, source })?;
        Ok(socket.connect(handle, address).await?)
    }

    /// Connects to the first of several addresses that answers (Happy Eyeballs, RFC 8305). The
    /// addresses are tried one after the other, IP versions in turn. Each has 250 ms before the next
    /// is tried beside it, or less if it fails. When a connection is made, all other attempts end.
    /// Dropping the future ends all.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectAny`] with each address and its error; [`Error::Loop`] if the loop is gone.
    pub async fn connect_any(
        handle: &Handle,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<TcpStream, Error> {
        TcpStream::connect_any_with(handle, addresses, |_, _| Ok(())).await
    }

    /// As [`connect_any`](Self::connect_any), with a socket for each address that `set` prepares: it
    /// sets the options that must be set before connecting, or binds to a local address. For a host,
    /// [look up](crate::resolve) its addresses first.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{TcpListener, TcpStream, resolve};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse()?)?;
    /// # let port = listener.local_addr()?.port();
    /// # event_loop.block_on(async {
    /// let addresses = resolve(&handle, "localhost", port).await?;
    /// let stream = TcpStream::connect_any_with(&handle, addresses, |socket, _| {
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
    /// As [`connect_any`](Self::connect_any). An error of `set` counts as the error of its address:
    /// the others are still tried.
    pub async fn connect_any_with(
        handle: &Handle,
        addresses: impl IntoIterator<Item = SocketAddr>,
        set: impl FnMut(&TcpSocket, SocketAddr) -> Result<(), Error>,
    ) -> Result<TcpStream, Error> {
        connect_any(handle, addresses.into_iter().collect(), set).await
    }

    /// Connects to a host by its name: [looks it up](crate::resolve) and
    /// [tries](Self::connect_any) its addresses.
    ///
    /// How long that may take is up to the system, and often minutes; give it a limit:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{TcpListener, TcpStream};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse()?)?;
    /// # let port = listener.local_addr()?.port();
    /// # event_loop.block_on(async {
    /// let connect = TcpStream::connect_host(&handle, "localhost", port);
    /// let stream = handle.timeout(Duration::from_secs(10), connect).await??;
    /// # drop(stream);
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Resolve`] with the name; those of [`connect_any`](Self::connect_any).
    pub async fn connect_host(handle: &Handle, name: &str, port: u16) -> Result<TcpStream, Error> {
        TcpStream::connect_any(handle, resolve(handle, name, port).await?).await
    }

    /// The address of this side.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        raw::local_addr(self)
    }

    /// The address of the other side.
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    /// Whether small writes are sent at once (TCP_NODELAY) or may be held back to be joined.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.get_ref().set_nodelay(nodelay)
    }

    /// Whether small writes are sent at once.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.get_ref().nodelay()
    }
}

/// A connection that is being made.
pub(crate) struct Connecting {
    pub(crate) stream: TcpStream,
    /// The result of connect(2).
    is_made: bool,
    /// Whether an event was waited for. Before that, a look at the connection would only repeat
    /// the result of connect(2): it is under way.
    waited: Cell<bool>,
}

impl Connecting {
    /// Of a stream for which connect(2) was called, and whether the connection is made.
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
        if self.is_made {
            return Ok(());
        }
        match self.waited.replace(true) {
            true => check_connected(&socket.inner),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// Whether a connection is made. "Writable" alone does not tell: some systems say it too early, and
/// all of them when the attempt has failed. Then there is no address of a peer, but an error.
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
