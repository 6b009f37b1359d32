//! A socket that accepts connections.

use std::{
    io,
    net::{self, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
};

use nio_loop::{Direction, Handle, Source};

use crate::{Error, TcpStream};

/// Listens for TCP connections.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::{TcpListener, TcpStream};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle().clone();
/// let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse()?)?;
/// let address = listener.local_addr()?;
/// # let client = handle.spawn({ let handle = handle.clone(); async move {
/// #     TcpStream::connect(&handle, address).await }});
/// # let (stream, peer) = event_loop.block_on(async move {
/// let (stream, peer) = listener.accept().await?;
/// # std::io::Result::Ok((stream, peer)) })??;
/// # assert_eq!(stream.peer_addr()?, peer);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpListener {
    source: Source<net::TcpListener>,
}

impl TcpListener {
    /// Listens on an address. Port 0 lets the system choose one, which
    /// [`local_addr`](TcpListener::local_addr) tells. The address may be one whose last connections
    /// are still in TIME_WAIT (SO_REUSEADDR).
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] with the address; [`Error::Loop`] if the loop is gone.
    pub fn bind(handle: &Handle, address: SocketAddr) -> Result<TcpListener, Error> {
        let bind = || {
            let listener = net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = bind().map_err(|source| Error::Bind { address, source })?;
        let source = Source::new(handle, listener)?;
        Ok(TcpListener { source })
    }

    /// Takes a listener of the standard library into the loop.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking, or the loop is gone.
    pub fn from_std(handle: &Handle, listener: net::TcpListener) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        let source = Source::new(handle, listener)?;
        Ok(TcpListener { source })
    }

    /// Waits for a connection and returns it with the address of its other side. Dropping the future
    /// loses no connection.
    ///
    /// # Errors
    ///
    /// Mostly those of a process or a system that has no more descriptors (`EMFILE`, `ENFILE`): the
    /// connection stays in the queue, so wait a little before accepting again. A connection that
    /// broke while it was in the queue is passed over.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            match self
                .source
                .io(Direction::Read, net::TcpListener::accept)
                .await
            {
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
                Ok((stream, peer)) => {
                    let stream = TcpStream::from_std(self.source.handle(), stream)?;
                    return Ok((stream, peer));
                }
            }
        }
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// None that a listener can have.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.get_ref().local_addr()
    }

    /// Takes the listener out of the loop. It stays non-blocking.
    #[must_use]
    pub fn into_std(self) -> net::TcpListener {
        self.source.into_inner()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.get_ref().as_fd()
    }
}
