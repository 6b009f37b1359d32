//! Sockets that accept connections.
//!
//! The laws:
//!
//! 1. A connection stays in the kernel's queue until an `accept` is ready with it.
//! 2. After an accept the loop has a turn before the next one, so that a burst of connections holds
//!    up neither those that are open nor another process that accepts from the same queue.
//! 3. Without descriptors or memory an accept fails, once, and the next ones wait: no connection is
//!    lost, the loop does not run idle, and accepting goes on by itself.
//! 4. Whoever is kept waiting waits at the source, as for a connection, and so the loop keeps nobody
//!    who is gone. Whenever the gate opens, the source is told.

use std::{
    cell::Cell,
    fmt,
    future::{Future, poll_fn},
    io,
    net::{self, SocketAddr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use nio_loop::{Direction, Handle, NextTurn, Source};

use crate::{ByteStream, Error, Options, Readable, Socket, TcpSocket, Writable, raw, resolve};

/// How many connections wait to be accepted, where nothing else is said. A burst is to fit into it;
/// systems have limits of their own below, and some of 128.
pub(crate) const BACKLOG: u32 = 1024;

/// How long accepting waits after a first shortage of descriptors or memory; twice as long after
/// each further one, up to [`LONGEST_PAUSE`]. Nothing tells when there are some again.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Listens for connections: [`TcpListener`] and [`UnixListener`](crate::UnixListener) are this.
/// Dropping it refuses the connections that wait to be accepted.
///
/// All operations take `&self`; several tasks may accept from one listener.
///
/// | waits | does not wait | for futures written by hand |
/// |---|---|---|
/// | [`accept`](Self::accept) | [`try_accept`](Self::try_accept) | [`poll_accept`](Self::poll_accept) |
/// | [`next`](Incoming::next) of [`incoming`](Self::incoming) | | [`poll_next`](Incoming::poll_next) |
/// | [`reject`](Self::reject) | | |
/// | [`readable`](Self::readable) | | [`poll_readable`](Self::poll_readable) |
pub struct Listener<L: Listens> {
    inner: Rc<Inner<L>>,
}

/// A socket of the standard library that accepts connections.
pub trait Listens: Socket + 'static {
    /// The connections.
    type Stream: Socket + Readable + Writable + From<OwnedFd>;
}

/// A connection, and the address of its other side.
pub type Accepted<L> = (ByteStream<<L as Listens>::Stream>, <L as Socket>::Address);

impl Listens for net::TcpListener {
    type Stream = net::TcpStream;
}

/// A listener. A timer that waits out a shortage has a weak reference to it.
struct Inner<L: Listens> {
    source: Source<L>,
    gate: Gate,
}

/// What keeps connections waiting.
struct Gate {
    /// The user wants it.
    paused: Cell<bool>,
    /// There was a shortage a short while ago.
    short: Cell<bool>,
    /// How long the next shortage is waited out.
    pause: Cell<Duration>,
    /// How many connections may be accepted in a row, and how many were.
    burst: Cell<u32>,
    in_a_row: Cell<u32>,
    /// The turn that comes before the next accept.
    turn: Cell<Option<NextTurn>>,
}

impl Gate {
    /// An error that says "would block" if it is closed.
    fn check(&self) -> io::Result<()> {
        if self.paused.get() || self.short.get() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    }
}

impl<L: Listens> Inner<L> {
    /// Has those who wait try again, if nothing keeps them waiting any more.
    fn go_on(&self) {
        if self.gate.check().is_ok() {
            self.source.wake(Direction::Read);
        }
    }
}

impl<L: Listens> Listener<L> {
    pub(crate) fn new(handle: &Handle, listener: L) -> Result<Listener<L>, Error> {
        let source = Source::new(handle, listener)?;
        let gate = Gate {
            paused: Cell::new(false),
            short: Cell::new(false),
            pause: Cell::new(FIRST_PAUSE),
            burst: Cell::new(1),
            in_a_row: Cell::new(0),
            turn: Cell::new(None),
        };
        let inner = Rc::new(Inner { source, gate });
        Ok(Listener { inner })
    }

    /// Takes a listener of the standard library into the loop.
    ///
    /// # Errors
    ///
    /// If it cannot be made non-blocking, or the loop is gone.
    pub fn from_std(handle: &Handle, listener: L) -> io::Result<Listener<L>> {
        listener.set_nonblocking(true)?;
        Ok(Listener::new(handle, listener)?)
    }

    /// Takes the listener out of the loop. It stays non-blocking.
    #[must_use]
    pub fn into_std(self) -> L {
        // The timer shares it only while it wakes, and wakers, which may go to any thread, have none.
        let inner = Rc::into_inner(self.inner).expect("nobody shares it");
        inner.source.into_inner()
    }

    /// The handle of the loop it belongs to.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.inner.source.handle()
    }

    /// Waits for a connection and returns it with the address of its other side. Dropping the future
    /// loses no connection. A connection that broke while it was in the queue is passed over.
    ///
    /// # Errors
    ///
    /// Mostly those of a process or a system that has no more descriptors (`EMFILE`, `ENFILE`) or no
    /// memory. The connection stays in the queue, and the next call waits for a little while before
    /// it tries again, the longer the more often it fails (5 ms to 1 s): a loop that reports the
    /// error and accepts again is no busy one. [`incoming`](Listener::incoming) does not report it.
    pub fn accept(&self) -> impl Future<Output = io::Result<Accepted<L>>> {
        poll_fn(|context| self.poll_accept(context))
    }

    /// [`accept`](Listener::accept), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`accept`](Listener::accept).
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Accepted<L>>> {
        let Inner { source, gate } = &*self.inner;
        loop {
            if gate.in_a_row.get() >= gate.burst.get() {
                let turn = gate.turn.take();
                let mut turn = turn.unwrap_or_else(|| self.handle().next_turn());
                if Pin::new(&mut turn).poll(context).is_pending() {
                    gate.turn.set(Some(turn));
                    return Poll::Pending;
                }
                gate.in_a_row.set(0);
            }
            let accept = |listener: &L| {
                gate.check()?;
                raw::accept(listener)
            };
            match source.poll_io(context, Direction::Read, accept) {
                Poll::Pending => {
                    gate.in_a_row.set(0);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(accepted)) => {
                    gate.in_a_row.set(gate.in_a_row.get() + 1);
                    return Poll::Ready(self.admit(accepted));
                }
                Poll::Ready(Err(error)) if is_of_the_connection(&error) => {}
                Poll::Ready(Err(error)) => {
                    if is_shortage(&error) {
                        self.wait_out_shortage();
                    }
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// Accepts a connection that waits already.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none, or if the listener is
    /// [paused](Listener::pause) or waits out a shortage; those of [`accept`](Listener::accept).
    pub fn try_accept(&self) -> io::Result<Accepted<L>> {
        let Inner { source, gate } = &*self.inner;
        gate.check()?;
        loop {
            match source.try_io(Direction::Read, raw::accept) {
                Ok(accepted) => return self.admit(accepted),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    if is_shortage(&error) {
                        self.wait_out_shortage();
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Waits until it is worth trying to [accept](Self::try_accept): there is a connection or an
    /// error, and the listener is neither [paused](Self::pause) nor waits out a shortage. Several
    /// tasks may be told so of the same connection. How many are accepted before the loop has a turn
    /// is up to whoever tries.
    ///
    /// ```
    /// # use std::io;
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{TcpListener, TcpStream};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle().clone();
    /// # let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse()?)?;
    /// # let address = listener.local_addr()?;
    /// # let client = handle.spawn({ let handle = handle.clone(); async move {
    /// #     TcpStream::connect(&handle, address).await.map(drop) }});
    /// # let (stream, peer) = event_loop.block_on(async move {
    /// let (stream, peer) = loop {
    ///     listener.readable().await?;
    ///     match listener.try_accept() {
    ///         Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
    ///         result => break result?,
    ///     }
    /// };
    /// # io::Result::Ok((stream, peer)) })??;
    /// # assert_eq!(stream.peer_addr()?, peer);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the loop is gone.
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> {
        poll_fn(|context| self.poll_readable(context))
    }

    /// [`readable`](Self::readable), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Inner { source, gate } = &*self.inner;
        source.poll_io(context, Direction::Read, |listener| {
            gate.check()?;
            raw::ready_to_read(listener)
        })
    }

    /// Takes what was accepted into the loop.
    fn admit(&self, (stream, peer): (OwnedFd, L::Address)) -> io::Result<Accepted<L>> {
        self.inner.gate.pause.set(FIRST_PAUSE);
        let stream = ByteStream::new(self.handle(), L::Stream::from(stream))?;
        Ok((stream, peer))
    }

    /// Closes the gate for a little while.
    fn wait_out_shortage(&self) {
        let gate = &self.inner.gate;
        gate.short.set(true);
        let pause = gate.pause.get();
        gate.pause.set((pause * 2).min(LONGEST_PAUSE));
        let inner = Rc::downgrade(&self.inner);
        let opens = self.handle().set_timeout(pause, move |_| {
            if let Some(inner) = inner.upgrade() {
                inner.gate.short.set(false);
                inner.go_on();
            }
        });
        // A listener does not keep the loop alive; the task that accepts does.
        self.handle().unref(opens);
    }

    /// The connections, one after the other, for as long as one likes; a shortage of descriptors or
    /// memory is waited out in silence.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{TcpListener, TcpStream};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle().clone();
    /// # let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse()?)?;
    /// # let address = listener.local_addr()?;
    /// # let client = handle.spawn({ let handle = handle.clone(); async move {
    /// #     TcpStream::connect(&handle, address).await.map(drop) }});
    /// # event_loop.block_on(async move {
    /// let incoming = listener.incoming();
    /// loop {
    ///     let (stream, peer) = incoming.next().await?;
    ///     println!("{peer} is here");
    ///     handle.spawn(async move { stream.write_all(b"hello").await });
    ///     # return std::io::Result::Ok(());
    /// }
    /// # })??;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_, L> {
        Incoming { listener: self }
    }

    /// Waits for a connection and ends it at once: the other side sees that it is reset, instead of
    /// waiting for somebody who has no time. Returns its address.
    ///
    /// # Errors
    ///
    /// As [`accept`](Listener::accept).
    pub async fn reject(&self) -> io::Result<L::Address> {
        let (stream, peer) = self.accept().await?;
        // Where this is not possible, the other side sees an end instead of a reset.
        let _ = stream.options().set_linger(Some(Duration::ZERO));
        Ok(peer)
    }

    /// Accepts no more connections, until it is [resumed](Listener::resume): they wait in the queue,
    /// and when that is full the system refuses them. Those who accept wait.
    pub fn pause(&self) {
        self.inner.gate.paused.set(true);
    }

    /// Accepts connections again.
    pub fn resume(&self) {
        if self.inner.gate.paused.replace(false) {
            self.inner.go_on();
        }
    }

    /// Whether it is [paused](Listener::pause).
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.inner.gate.paused.get()
    }

    /// How many connections are accepted in a row before the loop has a turn: 1 if nothing else is
    /// said, which is fair to the connections that are open and to other processes that accept from
    /// the same queue. A server of many short connections may gain by more. 0 is taken for 1.
    pub fn set_burst(&self, connections: u32) {
        self.inner.gate.burst.set(connections.max(1));
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// None that a listener can have.
    pub fn local_addr(&self) -> io::Result<L::Address> {
        self.inner.source.get_ref().local_addr()
    }

    /// The options of the socket. Most systems give a connection those that the listener had when
    /// the connection was made.
    #[must_use]
    pub fn options(&self) -> Options<'_> {
        Options::of(self)
    }

    /// The error that the socket has come to, which is forgotten by being asked for (SO_ERROR). What
    /// a connection has come to is not among them.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.source.get_ref().take_error()
    }
}

/// Whether an error is of the connection that would have been accepted, and so no reason to stop.
/// Linux reports what the network has said of it (accept(2) has the list); the others say only that
/// it is gone.
fn is_of_the_connection(error: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
    if error.raw_os_error() == Some(libc::ENONET) {
        return true;
    }
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
        )
    )
}

/// Whether an error says that something has run out that others may give back.
fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// The connections that come to a [`Listener`].
pub struct Incoming<'a, L: Listens> {
    listener: &'a Listener<L>,
}

impl<L: Listens> Incoming<'_, L> {
    /// The next connection, and the address of its other side. Dropping the future loses no
    /// connection.
    ///
    /// # Errors
    ///
    /// As [`Listener::accept`], but for those that pass.
    pub fn next(&self) -> impl Future<Output = io::Result<Accepted<L>>> {
        poll_fn(|context| self.poll_next(context))
    }

    /// [`next`](Incoming::next), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`next`](Incoming::next).
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<io::Result<Accepted<L>>> {
        loop {
            match self.listener.poll_accept(context) {
                Poll::Ready(Err(error)) if is_shortage(&error) => {}
                result => return result,
            }
        }
    }
}

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
pub type TcpListener = Listener<net::TcpListener>;

impl Listener<net::TcpListener> {
    /// Listens on an address. Port 0 lets the system choose one, which
    /// [`local_addr`](Listener::local_addr) tells. The address may be one whose last connections
    /// are still in TIME_WAIT (SO_REUSEADDR). For anything else there is [`TcpSocket`].
    ///
    /// # Errors
    ///
    /// [`Error::Bind`] with the address; [`Error::Loop`] if the loop is gone.
    pub fn bind(handle: &Handle, address: SocketAddr) -> Result<TcpListener, Error> {
        let listener = listen(address, false);
        let listener = listener.map_err(|source| Error::Bind { address, source })?;
        Listener::new(handle, listener)
    }

    /// Listens on several addresses, as those that a name has, with a listener for each. Port 0
    /// becomes the same port for all, one that is free at each of them. Sockets of IP version 6 are for that version only, so that
    /// both versions may be among the addresses.
    ///
    /// # Errors
    ///
    /// As [`bind`](Listener::bind), for the first address that fails; then none is listened on.
    pub fn bind_all(
        handle: &Handle,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<TcpListener>, Error> {
        bind_each(handle, addresses.into_iter().collect(), |_| false)
    }

    /// [Listens](Self::bind_all) on all addresses of a host, by its name, as long as there is one
    /// that this machine has; those that it has not are left out.
    ///
    /// # Errors
    ///
    /// [`Error::Resolve`] with the name; [`Error::Bind`] with the address that cannot be listened
    /// on; [`Error::Loop`] if the loop is gone.
    pub async fn bind_host(
        handle: &Handle,
        name: &str,
        port: u16,
    ) -> Result<Vec<TcpListener>, Error> {
        let addresses = resolve(handle, name, port).await?;
        bind_each(handle, addresses, |error| {
            error.kind() == io::ErrorKind::AddrNotAvailable
                || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
        })
    }
}

/// How many ports that the system has chosen for one address are tried at the others. One is free
/// at all of them almost always; where none is, there are hardly any ports left.
const PORTS_TRIED: u32 = 8;

/// Listens on all addresses but those whose error is `passed_over`, unless there is no other.
fn bind_each(
    handle: &Handle,
    addresses: Vec<SocketAddr>,
    passed_over: impl Fn(&io::Error) -> bool,
) -> Result<Vec<TcpListener>, Error> {
    let mut more_ports = match addresses.iter().any(|address| address.port() == 0) {
        true => PORTS_TRIED - 1,
        false => 0,
    };
    loop {
        match bind_at_one_port(handle, &addresses, &passed_over) {
            Err(Error::Bind { source, .. })
                if more_ports > 0 && source.kind() == io::ErrorKind::AddrInUse =>
            {
                more_ports -= 1;
            }
            result => return result,
        }
    }
}

/// As [`bind_each`], with the first port that the system chooses.
fn bind_at_one_port(
    handle: &Handle,
    addresses: &[SocketAddr],
    passed_over: impl Fn(&io::Error) -> bool,
) -> Result<Vec<TcpListener>, Error> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let (mut port, mut last_error) = (0, None);
    for &(mut address) in addresses {
        if address.port() == 0 {
            address.set_port(port);
        }
        let fail = |source| Error::Bind { address, source };
        match listen(address, true) {
            Ok(listener) => {
                port = listener.local_addr().map_err(fail)?.port();
                listeners.push(Listener::new(handle, listener)?);
            }
            Err(error) if passed_over(&error) => last_error = Some(fail(error)),
            Err(error) => return Err(fail(error)),
        }
    }
    match last_error {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

fn listen(address: SocketAddr, only_v6: bool) -> io::Result<net::TcpListener> {
    let socket = TcpSocket::new(address)?;
    socket.options().set_reuse_addr(true)?;
    if only_v6 && address.is_ipv6() {
        socket.options().set_only_v6(true)?;
    }
    socket.into_listener(Some(address), BACKLOG)
}

impl<L: Listens> AsFd for Listener<L> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.source.get_ref().as_fd()
    }
}

impl<L: Listens + fmt::Debug> fmt::Debug for Listener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener")
            .field(self.inner.source.get_ref())
            .finish()
    }
}
