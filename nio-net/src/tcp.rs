//! TCP connections.

use std::{
    io,
    net::{self, SocketAddr},
};

use nio_loop::{Direction, Handle, Source};

use crate::{ByteStream, Error, TcpSocket, connect::connect_any, resolve};

/// A TCP connection. What it can do is, for the most part, what every [`ByteStream`] can.
pub type TcpStream = ByteStream<net::TcpStream>;

impl ByteStream<net::TcpStream> {
    /// Connects to an address. Dropping the future ends the attempt.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] with the address; [`Error::Loop`] if the loop is gone.
    pub async fn connect(handle: &Handle, address: SocketAddr) -> Result<TcpStream, Error> {
        let socket = TcpSocket::new(address);
        let socket = socket.map_err(|source| Error::Connect { address, source })?;
        socket.connect(handle, address).await
    }

    /// Connects to the first of several addresses that answers (Happy Eyeballs, RFC 8305): they are
    /// tried one after the other, IP versions in turn, and each has 250 ms before the next one is
    /// tried beside it, or less if it fails. When a connection is made, all other attempts end.
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

    /// As [`connect_any`](Self::connect_any), with sockets that `set` has prepared, each for the
    /// address that it is given: for the options that must be set before connecting, and to connect
    /// from an address of one's own. For a host, [look up](crate::resolve) its addresses before.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{TcpListener, TcpStream, resolve};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle().clone();
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
    /// As [`connect_any`](Self::connect_any). An error of `set` is that of its address: the others
    /// are tried all the same.
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
    /// # let handle = event_loop.handle().clone();
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

    /// The address of the other side.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    /// Whether small writes are sent at once (TCP_NODELAY) or may be held back to be joined.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
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

/// Waits until a connection that was begun is made.
pub(crate) async fn connected(source: &Source<net::TcpStream>) -> io::Result<()> {
    source.io(Direction::Write, is_connected).await
}

/// Whether a connection is made. "Writable" alone does not tell: some systems say it too early, and
/// all of them when the attempt has failed.
pub(crate) fn is_connected(stream: &net::TcpStream) -> io::Result<()> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(()),
        // macOS may say EINVAL while the connection is being made.
        Err(error)
            if error.kind() == io::ErrorKind::NotConnected
                || error.kind() == io::ErrorKind::InvalidInput =>
        {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error),
    }
}
