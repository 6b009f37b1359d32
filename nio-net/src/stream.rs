//! A TCP connection.

use std::{
    io::{self, Read, Write},
    net::{self, Shutdown, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
};

use nio_loop::{Direction, Handle, Source};

use crate::{Error, raw};

/// A TCP connection. Dropping it closes it.
#[derive(Debug)]
pub struct TcpStream {
    source: Source<net::TcpStream>,
}

impl TcpStream {
    /// Connects to an address. Dropping the future ends the attempt.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] with the address; [`Error::Loop`] if the loop is gone.
    pub async fn connect(handle: &Handle, address: SocketAddr) -> Result<TcpStream, Error> {
        let fail = |source| Error::Connect { address, source };
        let stream = raw::begin_connect(address).map_err(fail)?;
        let source = Source::new(handle, stream)?;
        let connected = source.io(Direction::Write, connected);
        connected.await.map_err(fail)?;
        Ok(TcpStream { source })
    }

    /// Takes a connection of the standard library into the loop.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking, or the loop is gone.
    pub fn from_std(handle: &Handle, stream: net::TcpStream) -> io::Result<TcpStream> {
        stream.set_nonblocking(true)?;
        let source = Source::new(handle, stream)?;
        Ok(TcpStream { source })
    }

    /// Reads what is there, or waits until something is, and returns how many bytes. 0 says that
    /// the other side has finished (or that `buffer` is empty). Dropping the future loses no byte.
    ///
    /// # Errors
    ///
    /// [`ConnectionReset`](io::ErrorKind::ConnectionReset) and the like.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len();
        let read = |mut stream: &net::TcpStream| stream.read(buffer);
        let n = self.source.io(Direction::Read, read).await?;
        if 0 < n && n < room {
            // The socket is empty now; asking it again would only be told so.
            self.source.exhausted(Direction::Read);
        }
        Ok(n)
    }

    /// Reads until `buffer` is full. If the future is dropped, what it has read is lost.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the other side finishes before; those of
    /// [`read`](TcpStream::read).
    pub async fn read_exact(&self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read(buffer).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => buffer = &mut buffer[n..],
            }
        }
        Ok(())
    }

    /// Writes as much as there is room for, or waits until there is some, and returns how many
    /// bytes. Dropping the future has written nothing.
    ///
    /// # Errors
    ///
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) or
    /// [`ConnectionReset`](io::ErrorKind::ConnectionReset) if the connection is gone.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let write = |mut stream: &net::TcpStream| stream.write(bytes);
        let n = self.source.io(Direction::Write, write).await?;
        if 0 < n && n < bytes.len() {
            self.source.exhausted(Direction::Write);
        }
        Ok(n)
    }

    /// Writes everything. If the future is dropped, a part of it may have been written.
    ///
    /// # Errors
    ///
    /// As [`write`](TcpStream::write).
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => bytes = &bytes[n..],
            }
        }
        Ok(())
    }

    /// Closes one half or both. After `Write` the other side reads the end; it may go on writing.
    /// Takes effect at once: nothing is buffered here that would have to be written first.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.source.get_ref().shutdown(how)
    }

    /// Whether small writes are sent at once (TCP_NODELAY) or may be held back to be joined.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.source.get_ref().set_nodelay(nodelay)
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().local_addr()
    }

    /// The address of the other side.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().peer_addr()
    }

    /// Takes the connection out of the loop. It stays non-blocking.
    #[must_use]
    pub fn into_std(self) -> net::TcpStream {
        self.source.into_inner()
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.get_ref().as_fd()
    }
}

/// Whether a connection is made. "Writable" alone does not tell: some systems say it too early, and
/// all of them when the attempt has failed.
fn connected(stream: &net::TcpStream) -> io::Result<()> {
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
