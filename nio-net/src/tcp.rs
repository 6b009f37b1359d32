//! TCP connections.

use std::{
    io,
    net::{self, SocketAddr},
};

use nio_loop::{Direction, Handle, Source};

use crate::{ByteStream, Error, TcpSocket};

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
