//! Sockets that accept connections.
//!
//! The laws:
//!
//! 1. A connection stays in the kernel's queue until an `accept` is ready with it.
//! 2. When descriptors or memory have run out, an accept fails once, and the next ones wait for a pause: no
//!    connection is lost, the loop does not spin, and accepting goes on without further calls.
//! 3. While the listener is paused, accepts wait at the source, as they do for a connection. When the
//!    pause ends, the source wakes them one after the other.
//! 4. A listener has a socket for each of its addresses. An accept waits for all of them, and they take
//!    turns.

use std::{
    cell::Cell,
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    task::{Context, Poll, ready},
    time::Duration,
};

use nio_loop::Handle;

use crate::{
    ByteStream, Listen, Options, Refused,
    error::{into_blocking, set_nonblocking},
    raw,
    round_robin::RoundRobin,
};

/// The backlog: how many connections may wait to be accepted. It leaves room for a burst. Systems have lower
/// limits, some of 128.
pub(crate) const BACKLOG: u32 = 1024;

/// How long accepting pauses after descriptors or memory have run out; doubled each time, up to
/// [`LONGEST_PAUSE`]. A timer is needed because no event reports that there are some again.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How many broken connections [`Listener::try_accept`] skips. The BSDs report one at each
/// accept(2) of a listener that was shut down.
const BROKEN_IN_A_ROW: u32 = 1000;

/// Listens for connections: [`TcpListener`](crate::TcpListener) and
/// [`UnixListener`](crate::UnixListener) are this type. Dropping it refuses the connections that wait
/// to be accepted.
///
/// All operations take `&self`; several tasks may accept from one listener.
///
/// | waits | does not wait | for futures written by hand |
/// |---|---|---|
/// | [`accept`](Self::accept), [`next`](Self::next) | [`try_accept`](Self::try_accept) | [`poll_accept`](Self::poll_accept) |
/// | [`reject`](Self::reject) | | |
/// | [`readable`](Self::readable) | | |
/// | [`io`](Self::io) | [`try_io`](Self::try_io) | |
pub struct Listener<L: Listen> {
    sockets: RoundRobin<L>,
    /// Whether the user has paused it.
    paused: Cell<bool>,
    /// The length of the next pause.
    pause: Cell<Duration>,
}

/// A connection, and the address of its peer.
pub type Accepted<L> = (ByteStream<<L as Listen>::Stream>, <L as Listen>::Address);

impl<L: Listen> Listener<L> {
    /// Makes a listener of several sockets. If the loop refuses them, the error has one socket, and the
    /// others are closed.
    pub(crate) fn new(
        handle: &Handle,
        sockets: impl IntoIterator<Item = L>,
    ) -> Result<Listener<L>, Refused<L>> {
        Ok(Listener {
            sockets: RoundRobin::new(handle, sockets)?,
            paused: Cell::new(false),
            pause: Cell::new(FIRST_PAUSE),
        })
    }

    /// An error that says "would block" while it is paused.
    fn check_open(&self) -> io::Result<()> {
        match self.paused.get() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(()),
        }
    }

    /// Takes a listener of the standard library into the loop, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// [`Error::Option`](crate::Error::Option) if it cannot be made non-blocking;
    /// [`Error::Loop`](crate::Error::Loop) if the loop is gone. The listener comes back with the error.
    pub fn from_std(handle: &Handle, listener: L) -> Result<Listener<L>, Refused<L>> {
        Listener::from_all(handle, [listener])
    }

    /// As [`from_std`](Self::from_std), of a socket for each address. The error has the first of them.
    pub(crate) fn from_all(
        handle: &Handle,
        sockets: impl IntoIterator<Item = L>,
    ) -> Result<Listener<L>, Refused<L>> {
        let listener = Listener::new(handle, sockets)?;
        let made = listener
            .sockets()
            .try_for_each(|socket| set_nonblocking(socket, false));
        match made {
            Ok(()) => Ok(listener),
            Err(error) => Err(Refused {
                error,
                value: listener.sockets.into_sockets().remove(0),
            }),
        }
    }

    /// Takes the sockets out of the loop, in [blocking mode](crate#blocking-mode): one for each address,
    /// usually one.
    #[must_use]
    pub fn into_std(self) -> Vec<L> {
        let sockets = self.sockets.into_sockets().into_iter();
        sockets.map(into_blocking).collect()
    }

    /// The sockets of the standard library, for their calls that do not wait: one for each address.
    pub fn sockets(&self) -> impl ExactSizeIterator<Item = &L> {
        self.sockets.sockets()
    }

    /// The socket of the first address; usually it is the only one.
    #[must_use]
    pub fn get_ref(&self) -> &L {
        self.sockets.first().get_ref()
    }

    /// The handle of the loop that the listener belongs to.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.sockets.first().handle()
    }

    /// Waits for a connection and returns it with the address of its peer. Dropping the future loses no
    /// connection. A connection that broke while it was in the queue is skipped.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{TcpListener, TcpStream};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// # let listener = TcpListener::bind(&handle, "127.0.0.1:0").await?;
    /// # let client = TcpStream::connect(&handle, listener.local_addr()?).await?;
    /// loop {
    ///     let (stream, peer) = listener.accept().await?;
    ///     println!("{peer} has connected");
    ///     handle.spawn(async move { stream.write_all(b"hello").await });
    ///     # return Ok(());
    /// }
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If descriptors (`EMFILE`, `ENFILE`) or memory have run out. The connection stays in the queue, and
    /// the next accept waits for a pause of 5 ms to 1 s, doubled with each failure, so a program that logs
    /// the error and accepts again does not spin. [`next`](Listener::next) does not return this error.
    ///
    /// If the loop is gone. On Linux also if the socket was shut down by shutdown(2); on other systems, drop the
    /// listener instead.
    #[doc(alias = "on connection")]
    #[doc(alias = "uv_accept")]
    pub async fn accept(&self) -> io::Result<Accepted<L>> {
        loop {
            if let Some((accepted, ())) = self.accept_with(|| Some(())).await? {
                return Ok(accepted);
            }
        }
    }

    /// Accepts with a permit, which is not held while this waits. `None` if no permit was free; then a
    /// connection may still be in the queue.
    pub(crate) async fn accept_with<P>(
        &self,
        mut acquire: impl FnMut() -> Option<P>,
    ) -> io::Result<Option<(Accepted<L>, P)>> {
        loop {
            let accept = self.sockets.io(|listener| {
                self.check_open()?;
                let Some(permit) = acquire() else {
                    return Ok(None);
                };
                Ok(Some((raw::accept(listener)?, permit)))
            });
            let (result, permit) = match accept.await {
                Ok(Some((accepted, permit))) => (Ok(accepted), Some(permit)),
                Ok(None) => return Ok(None),
                Err(error) => (Err(error), None),
            };
            if let Some(accepted) = self.accepted(result) {
                return accepted.map(|accepted| Some(accepted).zip(permit));
            }
        }
    }

    /// As [`accept`](Listener::accept), but waits without an error while descriptors or memory have run out.
    ///
    /// # Errors
    ///
    /// As [`accept`](Listener::accept), except for a shortage.
    pub async fn next(&self) -> io::Result<Accepted<L>> {
        loop {
            match self.accept().await {
                Err(error) if is_shortage(&error) => {}
                result => return result,
            }
        }
    }

    /// [`accept`](Listener::accept), for futures written by hand.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Accepted<L>>> {
        loop {
            let accepted = self.sockets.poll_io(context, |listener| {
                self.check_open()?;
                raw::accept(listener)
            });
            if let Some(accepted) = self.accepted(ready!(accepted)) {
                return Poll::Ready(accepted);
            }
        }
    }

    /// As [`accept`](Listener::accept), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none, or if the listener is
    /// [paused](Listener::pause), also after descriptors have run out;
    /// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) if a thousand connections in a row were
    /// broken, or the listener was shut down; those of [`accept`](Listener::accept).
    pub fn try_accept(&self) -> io::Result<Accepted<L>> {
        self.check_open()?;
        for _ in 0..BROKEN_IN_A_ROW {
            match self.sockets.try_io(raw::accept) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    if let Some(accepted) = self.accepted(result) {
                        return accepted;
                    }
                }
            }
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// Waits until [`try_accept`](Self::try_accept) would not block: there is a connection or an error, and
    /// the listener is not paused. It calls poll(2) each time, and may be ready in several tasks for the same
    /// connection.
    ///
    /// # Errors
    ///
    /// Those of poll(2); if the loop is gone.
    pub async fn readable(&self) -> io::Result<()> {
        let look = self.sockets.io(|listener| {
            self.check_open()?;
            raw::ready_to_read(listener)
        });
        look.await
    }

    /// Waits for a connection and resets it, so that the peer knows at once that it is not served. Returns the
    /// peer's address.
    ///
    /// # Errors
    ///
    /// As [`accept`](Listener::accept).
    pub async fn reject(&self) -> io::Result<L::Address> {
        let (stream, peer) = self.accept().await?;
        // If this fails, the peer reads the end instead.
        let _ = stream.options().set_linger(Some(Duration::ZERO));
        Ok(peer)
    }

    /// Makes a stream of the result of accept(2). `None` for an error of the connection, which is skipped.
    fn accepted(
        &self,
        result: io::Result<(OwnedFd, L::Address)>,
    ) -> Option<io::Result<Accepted<L>>> {
        match result {
            Ok((stream, peer)) => {
                self.pause.set(FIRST_PAUSE);
                let stream = ByteStream::adopt(self.handle(), L::Stream::from(stream));
                Some(stream.map(|stream| (stream, peer)).map_err(Into::into))
            }
            Err(error) if is_of_the_connection(&error) => None,
            Err(error) => {
                if is_shortage(&error) {
                    self.pause_for_shortage();
                }
                Some(Err(error))
            }
        }
    }

    fn pause_for_shortage(&self) {
        let pause = self.pause.get();
        self.pause.set((pause * 2).min(LONGEST_PAUSE));
        self.sockets.pause(pause);
    }

    /// Makes a system call of yours on the sockets in turn, such as accept(2) with other flags, and waits
    /// while the call would block and while the listener is paused.
    ///
    /// # Errors
    ///
    /// Those of the call, except for "would block" and "interrupted"; if the loop is gone.
    #[doc(alias = "async_io")]
    pub async fn io<R>(&self, mut call: impl FnMut(&L) -> io::Result<R>) -> io::Result<R> {
        let call = |listener: &L| {
            self.check_open()?;
            call(listener)
        };
        self.sockets.io(call).await
    }

    /// As [`io`](Self::io), without waiting.
    ///
    /// # Errors
    ///
    /// Those of the call; [`WouldBlock`](io::ErrorKind::WouldBlock) without making the call if the listener
    /// is paused, or was not reported ready since the last call that would block.
    pub fn try_io<R>(&self, call: impl FnMut(&L) -> io::Result<R>) -> io::Result<R> {
        self.check_open()?;
        self.sockets.try_io(call)
    }

    /// Accepts no more connections until it is [resumed](Listener::resume): they wait in the queue,
    /// and when that is full the system refuses them. Accepts wait.
    pub fn pause(&self) {
        self.paused.set(true);
    }

    /// Accepts connections again.
    pub fn resume(&self) {
        if self.paused.replace(false) {
            self.sockets.wake();
        }
    }

    /// Whether it is [paused](Listener::pause).
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// The address it listens on; the first, if there are several.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<L::Address> {
        raw::local_addr(self)
    }

    /// All addresses it listens on.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addrs(&self) -> io::Result<Vec<L::Address>> {
        self.sockets().map(raw::local_addr).collect()
    }

    /// The options of the socket of the first address; [`Options::of`] has those of the
    /// [others](Self::sockets). Most systems give a connection the options that the listener had
    /// when the connection was made.
    #[must_use]
    pub fn options(&self) -> Options<'_> {
        Options::of(self)
    }

    /// Takes the error that is pending on the listening socket (SO_ERROR). Errors of connections are not
    /// reported here.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        raw::take_error(self)
    }
}

/// Whether an error of accept(2) belongs to the connection, so that accepting goes on. Linux reports network
/// errors of the connection and refusals of a firewall (accept(2) has the list); other systems report only
/// that the connection is gone.
pub(crate) fn is_of_the_connection(error: &io::Error) -> bool {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if matches!(error.raw_os_error(), Some(libc::ENONET | libc::EPERM)) {
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

/// Whether an error means that descriptors or memory have run out, which may pass.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

impl<L: Listen> AsFd for Listener<L> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<L: Listen + fmt::Debug> fmt::Debug for Listener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener ")?;
        f.debug_list().entries(self.sockets()).finish()
    }
}
