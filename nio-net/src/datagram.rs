//! Sockets of datagrams: what UDP and Unix sockets of this kind can both do.
//!
//! The laws:
//!
//! 1. A future does its system call in the poll in which it is ready: one that is dropped has taken
//!    and sent nothing.
//! 2. A datagram is taken or sent as a whole, or cut off where the buffer ends; an empty one is one,
//!    too. There is no end.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    net::{self, SocketAddr},
    os::{
        fd::{AsFd, BorrowedFd},
        unix,
    },
    task::{Context, Poll, ready},
};

use nio_loop::{Direction, Handle, Source};

use crate::{
    Batch, Error, Options, Socket,
    raw::{self, datagram::Received},
    stream::poll_again_later,
};

/// A socket of datagrams: [`UdpSocket`](crate::UdpSocket) and [`UnixDatagram`](crate::UnixDatagram)
/// are this. Dropping it closes it.
///
/// All operations take `&self`; several tasks may receive and send.
///
/// | waits | does not wait | for futures written by hand |
/// |---|---|---|
/// | [`recv`](Self::recv), [`recv_from`](Self::recv_from), [`recv_buf_from`](Self::recv_buf_from) | [`try_recv`](Self::try_recv), [`try_recv_from`](Self::try_recv_from) | [`poll_recv`](Self::poll_recv), [`poll_recv_from`](Self::poll_recv_from) |
/// | [`peek_from`](Self::peek_from) | [`try_peek_from`](Self::try_peek_from) | [`poll_peek_from`](Self::poll_peek_from) |
/// | [`recv_many`](Self::recv_many) | [`try_recv_many`](Self::try_recv_many) | [`poll_recv_many`](Self::poll_recv_many) |
/// | [`send`](Self::send), [`send_to`](Self::send_to) | [`try_send`](Self::try_send), [`try_send_to`](Self::try_send_to) | [`poll_send`](Self::poll_send), [`poll_send_to`](Self::poll_send_to) |
/// | [`send_many`](Self::send_many), [`send_many_to`](Self::send_many_to) | | |
/// | [`readable`](Self::readable), [`writable`](Self::writable) | | [`poll_readable`](Self::poll_readable), [`poll_writable`](Self::poll_writable) |
pub struct DatagramSocket<S: Datagrams> {
    source: Source<S>,
}

/// A socket of the standard library that receives and sends datagrams.
pub trait Datagrams: Socket {
    /// Whether a send that would block may wait for the queue of the receiver. Of that the loop knows
    /// nothing: it says never that there is room again, or all the time.
    const WAITS_FOR_RECEIVER: bool;
}

impl Datagrams for net::UdpSocket {
    const WAITS_FOR_RECEIVER: bool = false;
}

impl Datagrams for unix::net::UnixDatagram {
    const WAITS_FOR_RECEIVER: bool = true;
}

impl<S: Datagrams> DatagramSocket<S> {
    pub(crate) fn new(handle: &Handle, socket: S) -> Result<DatagramSocket<S>, Error> {
        let source = Source::new(handle, socket)?;
        Ok(DatagramSocket { source })
    }

    /// Takes a socket of the standard library into the loop.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking, or the loop is gone.
    pub fn from_std(handle: &Handle, socket: S) -> io::Result<DatagramSocket<S>> {
        socket.set_nonblocking(true)?;
        raw::no_sigpipe(&socket)?;
        Ok(DatagramSocket::new(handle, socket)?)
    }

    /// Takes the socket out of the loop. It stays non-blocking.
    #[must_use]
    pub fn into_std(self) -> S {
        self.source.into_inner()
    }

    /// The socket of the standard library, for what it can do without waiting.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        self.source.get_ref()
    }

    /// The handle of the loop it belongs to.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.source.handle()
    }

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<S::Address> {
        self.get_ref().local_addr()
    }

    /// The options of the socket.
    #[must_use]
    pub fn options(&self) -> Options<'_> {
        Options::of(self)
    }

    /// The error that the socket has come to, which is forgotten by being asked for (SO_ERROR).
    /// Operations report it by themselves.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.get_ref().take_error()
    }
}

/// Receiving.
impl<S: Datagrams> DatagramSocket<S> {
    /// Receives a datagram, or waits for one, and returns how many bytes it has; 0 is an empty one.
    /// What `buffer` has no room for is lost. Dropping the future loses no datagram.
    ///
    /// # Errors
    ///
    /// On a connected UDP socket [`ConnectionRefused`](io::ErrorKind::ConnectionRefused), if the
    /// other side has said so to something that was sent.
    pub fn recv(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        poll_fn(move |context| self.poll_recv(context, buffer))
    }

    /// As [`recv`](Self::recv), with the address of the sender.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_from(
        &self,
        buffer: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, S::Address)>> {
        poll_fn(move |context| self.poll_recv_from(context, buffer))
    }

    /// As [`recv_from`](Self::recv_from), into the memory that `buffer` has in reserve, which need
    /// not be initialised; the datagram is appended.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_buf_from(
        &self,
        buffer: &mut Vec<u8>,
    ) -> impl Future<Output = io::Result<(usize, S::Address)>> {
        poll_fn(move |context| {
            let receive = |socket: &S| raw::datagram::receive_spare(socket, buffer);
            self.poll_receive(context, receive)
        })
    }

    /// As [`recv_from`](Self::recv_from), and leaves the datagram to be received again.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn peek_from(
        &self,
        buffer: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, S::Address)>> {
        poll_fn(move |context| self.poll_peek_from(context, buffer))
    }

    /// Waits until there is a datagram or an error. Several tasks may be told so of the same one.
    ///
    /// # Errors
    ///
    /// If the loop is gone.
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> {
        poll_fn(|context| self.poll_readable(context))
    }

    /// Receives a datagram that is there already.
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

    /// As [`peek_from`](Self::peek_from), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, S::Address)> {
        self.try_receive(|socket| raw::datagram::receive(socket, buffer, libc::MSG_PEEK))
    }

    /// [`recv`](Self::recv), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let (n, _) = ready!(self.poll_recv_from(context, buffer))?;
        Poll::Ready(Ok(n))
    }

    /// [`recv_from`](Self::recv_from), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, S::Address)>> {
        let receive = |socket: &S| raw::datagram::receive(socket, buffer, 0);
        self.poll_receive(context, receive)
    }

    /// [`peek_from`](Self::peek_from), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, S::Address)>> {
        let peek = |socket: &S| raw::datagram::receive(socket, buffer, libc::MSG_PEEK);
        self.poll_receive(context, peek)
    }

    /// [`readable`](Self::readable), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
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

    fn poll_receive(
        &self,
        context: &mut Context<'_>,
        receive: impl FnMut(&S) -> io::Result<Received<S::Address>>,
    ) -> Poll<io::Result<(usize, S::Address)>> {
        let received = ready!(self.source.poll_io(context, Direction::Read, receive))?;
        Poll::Ready(Ok((received.len, received.from)))
    }
}

/// Receiving many at once.
impl<S: Datagrams> DatagramSocket<S> {
    /// Receives the datagrams that are there, or waits for one: as many as the batch has room for,
    /// and no more than 64. What the batch had before is gone. Returns how many; at least one.
    /// Dropping the future loses no datagram.
    ///
    /// It is one system call on Linux (with glibc) and NetBSD, and one for each datagram elsewhere.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{Batch, UdpSocket};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle().clone();
    /// # let sender = UdpSocket::bind(&handle, "127.0.0.1:0".parse()?)?;
    /// let socket = UdpSocket::bind(&handle, "127.0.0.1:0".parse()?)?;
    /// # let address = socket.local_addr()?;
    /// # event_loop.block_on(async {
    /// # sender.send_to(b"hello", &address).await?;
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
    pub fn recv_many(
        &self,
        batch: &mut Batch<S::Address>,
    ) -> impl Future<Output = io::Result<usize>> {
        poll_fn(move |context| self.poll_recv_many(context, batch))
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

    /// [`recv_many`](Self::recv_many), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv_many(
        &self,
        context: &mut Context<'_>,
        batch: &mut Batch<S::Address>,
    ) -> Poll<io::Result<usize>> {
        let receive = |socket: &S| batch.receive(socket);
        self.source.poll_io(context, Direction::Read, receive)
    }
}

/// Sending.
impl<S: Datagrams> DatagramSocket<S> {
    /// Sends a datagram to the address that the socket is connected to, or waits until there is room
    /// for it. Dropping the future has sent nothing.
    ///
    /// # Errors
    ///
    /// If it is too long, if the socket is not connected, or if there is no way to the receiver. UDP
    /// has an error without a name on macOS and the BSDs (ENOBUFS) when the network interface is
    /// busy: try again later.
    pub fn send(&self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>> {
        poll_fn(move |context| self.poll_send(context, bytes))
    }

    /// Sends a datagram to an address, or waits until there is room for it. Dropping the future has
    /// sent nothing.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_to<'a>(
        &'a self,
        bytes: &'a [u8],
        to: &'a S::Address,
    ) -> impl Future<Output = io::Result<usize>> + use<'a, S> {
        poll_fn(move |context| self.poll_send_to(context, bytes, to))
    }

    /// Sends datagrams to the address that the socket is connected to: as many as there is room for,
    /// and no more than 64. Returns how many; at least one, if there is one. Dropping the future has
    /// sent nothing.
    ///
    /// It is one system call on Linux (with glibc) and NetBSD, and one for each datagram elsewhere.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), of the first one; an error of a later one comes when it is the first.
    pub fn send_many<'a>(
        &'a self,
        datagrams: &'a [&'a [u8]],
    ) -> impl Future<Output = io::Result<usize>> + use<'a, S> {
        self.send_each(datagrams.len(), |i| (datagrams[i], None))
    }

    /// As [`send_many`](Self::send_many), each to an address of its own.
    ///
    /// # Errors
    ///
    /// As [`send_many`](Self::send_many).
    pub fn send_many_to<'a>(
        &'a self,
        datagrams: &'a [(&'a [u8], S::Address)],
    ) -> impl Future<Output = io::Result<usize>> + use<'a, S> {
        self.send_each(datagrams.len(), |i| (datagrams[i].0, Some(&datagrams[i].1)))
    }

    /// Waits until there is room to send, or there is an error. Several tasks may be told so of the
    /// same room. Of a Unix socket this is the room here, not that at the receiver, for which only
    /// [`send`](Self::send) and its like wait: to try again and again keeps the loop busy.
    ///
    /// # Errors
    ///
    /// If the loop is gone.
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> {
        poll_fn(|context| self.poll_writable(context))
    }

    /// As [`send`](Self::send), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room; those of
    /// [`send`](Self::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_send_any(bytes, None)
    }

    /// As [`send_to`](Self::send_to), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn try_send_to(&self, bytes: &[u8], to: &S::Address) -> io::Result<usize> {
        self.try_send_any(bytes, Some(to))
    }

    /// [`send`](Self::send), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let send = |socket: &S| raw::datagram::send_to::<S::Address>(socket, bytes, None);
        self.poll_send_with(context, send)
    }

    /// [`send_to`](Self::send_to), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        to: &S::Address,
    ) -> Poll<io::Result<usize>> {
        let send = |socket: &S| raw::datagram::send_to(socket, bytes, Some(to));
        self.poll_send_with(context, send)
    }

    /// [`writable`](Self::writable), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`writable`](Self::writable).
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let source = &self.source;
        source.poll_io(context, Direction::Write, raw::ready_to_write)
    }

    fn send_each<'a, F>(
        &'a self,
        count: usize,
        datagram: F,
    ) -> impl Future<Output = io::Result<usize>> + use<'a, S, F>
    where
        F: Fn(usize) -> (&'a [u8], Option<&'a S::Address>),
        S::Address: 'a,
    {
        poll_fn(move |context| {
            if count == 0 {
                return Poll::Ready(Ok(0));
            }
            let send = |socket: &S| raw::datagram::send_many(socket, count, &datagram);
            self.poll_send_with(context, send)
        })
    }

    fn try_send_any(&self, bytes: &[u8], to: Option<&S::Address>) -> io::Result<usize> {
        let send = |socket: &S| Self::not_told(raw::datagram::send_to(socket, bytes, to));
        match self.source.try_io(Direction::Write, send) {
            Err(error) if S::WAITS_FOR_RECEIVER && is_full(&error) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            result => result,
        }
    }

    fn poll_send_with(
        &self,
        context: &mut Context<'_>,
        mut send: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let send = |socket: &S| Self::not_told(send(socket));
        match ready!(self.source.poll_io(context, Direction::Write, send)) {
            Err(error) if S::WAITS_FOR_RECEIVER && is_full(&error) => {
                poll_again_later(self.handle(), context);
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }

    /// A send that would block is told by the loop when it would not, but where it waits for the
    /// receiver: there, all systems are made to say what the BSDs say.
    fn not_told(result: io::Result<usize>) -> io::Result<usize> {
        result.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock if S::WAITS_FOR_RECEIVER => {
                io::Error::from_raw_os_error(libc::ENOBUFS)
            }
            _ => error,
        })
    }
}

/// Whether an error says that there is no room at the receiver.
fn is_full(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOBUFS)
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

/// A UDP socket.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::UdpSocket;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle().clone();
/// let one = UdpSocket::bind(&handle, "127.0.0.1:0".parse()?)?;
/// let other = UdpSocket::bind(&handle, "127.0.0.1:0".parse()?)?;
/// let address = other.local_addr()?;
/// event_loop.block_on(async {
///     one.send_to(b"hello", &address).await?;
///     let mut bytes = [0; 2048];
///     let (n, from) = other.recv_from(&mut bytes).await?;
///     assert_eq!((&bytes[..n], from), (&b"hello"[..], one.local_addr()?));
///     Ok(())
/// })?
/// # }
/// ```
pub type UdpSocket = DatagramSocket<net::UdpSocket>;

impl DatagramSocket<net::UdpSocket> {
    /// A socket of an address of this machine. Port 0 lets the system choose one; the unspecified
    /// address (`0.0.0.0`, `[::]`) receives for all of them.
    ///
    /// # Errors
    ///
    /// [`Error::LocalAddress`] with the address; [`Error::Loop`] if the loop is gone.
    pub fn bind(handle: &Handle, address: SocketAddr) -> Result<UdpSocket, Error> {
        UdpSocket::bind_with(handle, address, |_| Ok(()))
    }

    /// As [`bind`](Self::bind), with options that must be set before, as
    /// [`set_reuse_port`](Options::set_reuse_port) must for several receivers of one group.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), and what `set` returns.
    pub fn bind_with(
        handle: &Handle,
        address: SocketAddr,
        set: impl FnOnce(Options<'_>) -> Result<(), Error>,
    ) -> Result<UdpSocket, Error> {
        let fail = |source| Error::LocalAddress { address, source };
        let family = match address {
            SocketAddr::V4(_) => libc::AF_INET,
            SocketAddr::V6(_) => libc::AF_INET6,
        };
        let socket = raw::socket(family, libc::SOCK_DGRAM).map_err(fail)?;
        set(Options::of(&socket))?;
        raw::bind(&socket, &address).map_err(fail)?;
        DatagramSocket::new(handle, socket.into())
    }

    /// Connects the socket to an address, without any traffic: it [sends](Self::send) to it, receives
    /// from nobody else, and is told when there is nobody.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] with the address.
    pub fn connect(&self, address: SocketAddr) -> Result<(), Error> {
        let connected = self.get_ref().connect(address);
        connected.map_err(|source| Error::Connect { address, source })
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if it is not.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    /// Whether it may send to a broadcast address (SO_BROADCAST).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.get_ref().set_broadcast(broadcast)
    }
}
