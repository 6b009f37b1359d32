//! Datagram sockets, UDP and Unix: the type, and receiving. Sending is in `send`.
//!
//! The laws:
//!
//! 1. A future makes its system call in the poll in which it is ready: a future that is dropped while
//!    pending has received nothing and sent nothing.
//! 2. A datagram is received or sent as a whole, or cut off at the end of the buffer. An empty datagram is
//!    not an end; datagram sockets have no end.

use std::{
    fmt,
    future::Future,
    io,
    os::fd::{AsFd, BorrowedFd},
    task::{Context, Poll},
};

use nio_loop::{Direction, Handle, Source};

use crate::{
    Batch, Datagrams, Options, Refused,
    error::{adopt, into_blocking, set_nonblocking},
    raw::{self, datagram::Received},
};

/// A datagram socket: [`UdpSocket`](crate::UdpSocket) and [`UnixDatagram`](crate::UnixDatagram) are
/// this type. Dropping it closes it.
///
/// All operations take `&self`; several tasks may receive and send.
///
/// | waits | does not wait | for futures written by hand |
/// |---|---|---|
/// | [`recv`](Self::recv), [`recv_from`](Self::recv_from), [`recv_buf_from`](Self::recv_buf_from) | [`try_recv`](Self::try_recv), [`try_recv_from`](Self::try_recv_from) | |
/// | [`peek`](Self::peek), [`peek_from`](Self::peek_from) | [`try_peek`](Self::try_peek), [`try_peek_from`](Self::try_peek_from) | [`poll_peek`](Self::poll_peek) |
/// | [`io`](Self::io) | [`try_io`](Self::try_io) | |
/// | [`recv_many`](Self::recv_many) | [`try_recv_many`](Self::try_recv_many) | |
/// | [`send`](Self::send), [`send_to`](crate::UdpSocket::send_to) | [`try_send`](Self::try_send), [`try_send_to`](crate::UdpSocket::try_send_to) | |
/// | [`send_many`](Self::send_many), [`send_many_to`](Self::send_many_to) | | |
/// | [`readable`](Self::readable), [`writable`](Self::writable) | | [`poll_readable`](Self::poll_readable), [`poll_writable`](Self::poll_writable) |
pub struct DatagramSocket<S: Datagrams> {
    pub(crate) source: Source<S>,
}

impl<S: Datagrams> DatagramSocket<S> {
    pub(crate) fn new(handle: &Handle, socket: S) -> Result<DatagramSocket<S>, Refused<S>> {
        let source = adopt(handle, socket)?;
        Ok(DatagramSocket { source })
    }

    /// Takes a socket of the standard library into the loop, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// [`Error::Option`](crate::Error::Option) if it cannot be made non-blocking;
    /// [`Error::Loop`](crate::Error::Loop) if the loop is gone. The socket comes back with the error.
    pub fn from_std(handle: &Handle, socket: S) -> Result<DatagramSocket<S>, Refused<S>> {
        let socket = DatagramSocket::new(handle, socket)?;
        match set_nonblocking(&socket, true) {
            Ok(()) => Ok(socket),
            Err(error) => Err(Refused {
                error,
                value: socket.source.into_inner(),
            }),
        }
    }

    /// Takes the socket out of the loop, in [blocking mode](crate#blocking-mode).
    #[must_use]
    pub fn into_std(self) -> S {
        into_blocking(self.source.into_inner())
    }

    /// The socket of the standard library, for its calls that do not wait.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        self.source.get_ref()
    }

    /// The handle of the loop that the socket belongs to.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.source.handle()
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<S::Address> {
        raw::local_addr(self)
    }

    /// The options of the socket.
    #[must_use]
    pub fn options(&self) -> Options<'_> {
        Options::of(self)
    }

    /// Makes a system call of yours on the socket, and waits while the call would block. Use it for
    /// calls that this crate does not have, such as recvmsg(2) with ancillary data.
    ///
    /// # Errors
    ///
    /// Those of the call, except for "would block" and "interrupted"; if the loop is gone.
    #[doc(alias = "async_io")]
    pub async fn io<R>(
        &self,
        direction: Direction,
        call: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.io(direction, call).await
    }

    /// As [`io`](Self::io), without waiting.
    ///
    /// # Errors
    ///
    /// Those of the call; [`WouldBlock`](io::ErrorKind::WouldBlock) without making the call if the socket
    /// was not reported ready since the last one that would block.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        call: impl FnOnce(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.try_io(direction, call)
    }

    /// Takes the error that is pending on the socket (SO_ERROR). Operations on the socket report it, too.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        raw::take_error(self)
    }
}

/// Receiving.
impl<S: Datagrams> DatagramSocket<S> {
    /// Receives a datagram, or waits for one, and returns how many bytes it has; 0 is an empty one.
    /// Bytes that `buffer` has no room for are lost. Dropping the future loses no datagram.
    ///
    /// # Errors
    ///
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) on a connected UDP socket, if the
    /// peer has answered a datagram with an error (ICMP).
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_from(buffer).await?.0)
    }

    /// As [`recv`](Self::recv), with the address of the sender.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    #[doc(alias = "on message")]
    #[doc(alias = "uv_udp_recv_start")]
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.receive(|socket| raw::datagram::receive(socket, buffer, 0))
            .await
    }

    /// As [`recv_from`](Self::recv_from), into the spare capacity of `buffer`, which need not be
    /// initialised; the datagram is appended.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_buf_from(&self, buffer: &mut Vec<u8>) -> io::Result<(usize, S::Address)> {
        self.receive(|socket| raw::datagram::receive_spare(socket, buffer))
            .await
    }

    /// As [`recv`](Self::recv), and leaves the datagram to be received again.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.peek_from(buffer).await?.0)
    }

    /// As [`recv_from`](Self::recv_from), and leaves the datagram to be received again.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.receive(|socket| raw::datagram::receive(socket, buffer, libc::MSG_PEEK))
            .await
    }

    /// Waits until there is a datagram or an error. It calls poll(2) each time, and may be ready in several
    /// tasks for the same datagram.
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> {
        self.source.io(Direction::Read, raw::ready_to_read)
    }

    /// As [`recv`](Self::recv), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none; those of [`recv`](Self::recv).
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_recv_from(buffer).map(|(n, _)| n)
    }

    /// As [`try_recv`](Self::try_recv), with the address of the sender.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.try_receive(|socket| raw::datagram::receive(socket, buffer, 0))
    }

    /// As [`peek`](Self::peek), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_peek_from(buffer).map(|(n, _)| n)
    }

    /// As [`peek_from`](Self::peek_from), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.try_receive(|socket| raw::datagram::receive(socket, buffer, libc::MSG_PEEK))
    }

    /// [`peek`](Self::peek), for futures written by hand.
    pub fn poll_peek(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let peek = |socket: &S| raw::datagram::receive(socket, buffer, libc::MSG_PEEK);
        let peeked: Poll<io::Result<Received<S::Address>>> =
            self.source.poll_io(context, Direction::Read, peek);
        peeked.map_ok(|received| received.len)
    }

    /// [`readable`](Self::readable), for futures written by hand.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let source = &self.source;
        source.poll_io(context, Direction::Read, raw::ready_to_read)
    }

    fn try_receive(
        &self,
        receive: impl FnOnce(&S) -> io::Result<Received<S::Address>>,
    ) -> io::Result<(usize, S::Address)> {
        let received = self.source.try_io(Direction::Read, receive)?;
        Ok((received.len, received.from))
    }

    async fn receive(
        &self,
        receive: impl FnMut(&S) -> io::Result<Received<S::Address>>,
    ) -> io::Result<(usize, S::Address)> {
        let received = self.source.io(Direction::Read, receive).await?;
        Ok((received.len, received.from))
    }
}

/// Receiving several datagrams at once.
impl<S: Datagrams> DatagramSocket<S> {
    /// Receives the datagrams that have arrived, or waits for one: at most 64, and no more than the batch
    /// has room for. They replace the datagrams of the batch. Returns their number, at least one.
    /// Dropping the future loses no datagram.
    ///
    /// It is one system call on Linux (with glibc), FreeBSD and NetBSD, and one for each datagram
    /// elsewhere.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{Batch, UdpSocket};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// let socket = UdpSocket::bind(&handle, "127.0.0.1:0").await?;
    /// # let sender = UdpSocket::bind(&handle, "127.0.0.1:0").await?;
    /// # sender.send_to(b"hello", socket.local_addr()?).await?;
    /// let mut batch = Batch::new(32, 2048);
    /// socket.recv_many(&mut batch).await?;
    /// for datagram in batch.iter() {
    ///     println!("{} bytes from {}", datagram.bytes.len(), datagram.from);
    ///     # assert_eq!(datagram.bytes, b"hello");
    /// }
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_many(&self, batch: &mut Batch<S::Address>) -> io::Result<usize> {
        let receive = |socket: &S| batch.receive(socket);
        self.source.io(Direction::Read, receive).await
    }

    /// As [`recv_many`](Self::recv_many), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    pub fn try_recv_many(&self, batch: &mut Batch<S::Address>) -> io::Result<usize> {
        self.source
            .try_io(Direction::Read, |socket| batch.receive(socket))
    }
}

impl<S: Datagrams> AsFd for DatagramSocket<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<S: Datagrams + fmt::Debug> fmt::Debug for DatagramSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = self.get_ref();
        f.debug_tuple("DatagramSocket").field(socket).finish()
    }
}
