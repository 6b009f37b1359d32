//! Sockets that accept connections.
//!
//! The laws:
//!
//! 1. A connection stays in the kernel's queue until an `accept` is ready with it.
//! 2. Without descriptors or memory an accept fails once, and the next ones wait for a pause: no
//!    connection is lost, the loop is not busy, and accepting goes on by itself.
//! 3. While the listener is paused, accepts wait at the source, as they do for a connection. When the
//!    pause ends, the source wakes them one after the other.

use std::{
    cell::Cell,
    fmt, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    task::{Context, Poll, ready},
    time::Duration,
};

use nio_loop::{Direction, Handle, Source};

use crate::{
    ByteStream, Listen, Options, Refused,
    error::{adopt, into_blocking, set_nonblocking},
    raw,
};

/// How many connections may wait to be accepted. It leaves room for a burst; systems have limits of
/// their own below, some of 128.
pub(crate) const BACKLOG: u32 = 1024;

/// How long accepting pauses after a first shortage of descriptors or memory; twice as long after
/// each further one, up to [`LONGEST_PAUSE`]. Nothing reports when there are some again.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How many broken connections [`Listener::try_accept`] passes over. The BSDs report one at each
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
pub struct Listener<L: Listen> {
    source: Source<L>,
    /// Whether the user has paused it.
    paused: Cell<bool>,
    /// How long the pause of the next shortage is.
    pause: Cell<Duration>,
}

/// A connection, and the address of its other side.
pub type Accepted<L> = (ByteStream<<L as Listen>::Stream>, <L as Listen>::Address);

impl<L: Listen> Listener<L> {
    pub(crate) fn new(handle: &Handle, listener: L) -> Result<Listener<L>, Refused<L>> {
        Ok(Listener {
            source: adopt(handle, listener)?,
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
        let listener = Listener::new(handle, listener)?;
        match set_nonblocking(listener.get_ref(), false) {
            Ok(()) => Ok(listener),
            Err(error) => Err(Refused {
                error,
                value: listener.source.into_inner(),
            }),
        }
    }

    /// Takes the listener out of the loop, in [blocking mode](crate#blocking-mode).
    #[must_use]
    pub fn into_std(self) -> L {
        into_blocking(self.source.into_inner())
    }

    /// The listener of the standard library, for its calls that do not wait.
    #[must_use]
    pub fn get_ref(&self) -> &L {
        self.source.get_ref()
    }

    /// The handle of the loop that the listener belongs to.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.source.handle()
    }

    /// Waits for a connection and returns it with the address of its other side. Dropping the future
    /// loses no connection. A connection that broke while it was in the queue is passed over.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{TcpListener, TcpStream};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse()?)?;
    /// # let address = listener.local_addr()?;
    /// # let client = handle.spawn({ let handle = handle.clone(); async move {
    /// #     TcpStream::connect(&handle, address).await.map(drop) }});
    /// # event_loop.block_on(async move {
    /// loop {
    ///     let (stream, peer) = listener.accept().await?;
    ///     println!("{peer} is here");
    ///     handle.spawn(async move { stream.write_all(b"hello").await });
    ///     # return std::io::Result::Ok(());
    /// }
    /// # })??;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of a process or a system that has no more descriptors (`EMFILE`, `ENFILE`) or no memory.
    /// The connection stays in the queue, and the next accept waits for a pause, the longer the more
    /// often it fails (5 ms to 1 s): a loop that reports the error and accepts again is not busy.
    /// [`next`](Listener::next) does not report it.
    pub async fn accept(&self) -> io::Result<Accepted<L>> {
        loop {
            if let Some((accepted, ())) = self.accept_with(|| Some(())).await? {
                return Ok(accepted);
            }
        }
    }

    /// Accepts with a permit, which is not held while this waits. `None` if there was no permit; then
    /// it is not known whether there is a connection.
    pub(crate) async fn accept_with<P>(
        &self,
        mut acquire: impl FnMut() -> Option<P>,
    ) -> io::Result<Option<(Accepted<L>, P)>> {
        loop {
            let accept = self.source.io(Direction::Read, |listener| {
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

    /// The next connection: as [`accept`](Listener::accept), but a shortage of descriptors or memory
    /// is waited out in silence.
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
            let source = &self.source;
            let accepted = source.poll_io(context, Direction::Read, |listener| {
                self.check_open()?;
                raw::accept(listener)
            });
            if let Some(accepted) = self.accepted(ready!(accepted)) {
                return Poll::Ready(accepted);
            }
        }
    }

    /// Accepts a connection that waits already.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none, or if the listener is
    /// [paused](Listener::pause) or in the pause of a shortage;
    /// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) if a thousand connections in a row were
    /// broken, or the listener was shut down; those of [`accept`](Listener::accept).
    pub fn try_accept(&self) -> io::Result<Accepted<L>> {
        self.check_open()?;
        for _ in 0..BROKEN_IN_A_ROW {
            match self.source.try_io(Direction::Read, raw::accept) {
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

    /// Waits until it is worth trying to [accept](Self::try_accept): there is a connection or an
    /// error, and the listener is in no pause. Several tasks may be told of the same connection. It
    /// asks the kernel by poll(2) each time.
    pub async fn readable(&self) -> io::Result<()> {
        let source = &self.source;
        let look = source.io(Direction::Read, |listener| {
            self.check_open()?;
            raw::ready_to_read(listener)
        });
        look.await
    }

    /// Waits for a connection and resets it, so that the other side sees at once that it is not
    /// served. Returns its address.
    pub async fn reject(&self) -> io::Result<L::Address> {
        let (stream, peer) = self.accept().await?;
        // Where this fails the other side reads the end instead.
        let _ = stream.options().set_linger(Some(Duration::ZERO));
        Ok(peer)
    }

    /// Makes a stream of the result of accept(2). `None` if it is an error of the connection, which is
    /// passed over.
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
        // It fails if the loop is gone, and then accepts fail, too; or if there is no memory to register
        // the listener. Then the next accept is tried at once.
        let _ = self.source.pause(Direction::Read, pause);
    }

    /// Accepts no more connections until it is [resumed](Listener::resume): they wait in the queue,
    /// and when that is full the system refuses them. Accepts wait.
    pub fn pause(&self) {
        self.paused.set(true);
    }

    /// Accepts connections again.
    pub fn resume(&self) {
        if self.paused.replace(false) {
            self.source.wake(Direction::Read);
        }
    }

    /// Whether it is [paused](Listener::pause).
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> io::Result<L::Address> {
        raw::local_addr(self)
    }

    /// The options of the socket. Most systems give a connection the options that the listener had
    /// when the connection was made.
    #[must_use]
    pub fn options(&self) -> Options<'_> {
        Options::of(self)
    }

    /// The error that is pending on the socket (SO_ERROR). Asking clears it. The errors of
    /// connections are not among them.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        raw::take_error(self)
    }
}

/// Whether an error is of the connection that would have been accepted, and no reason to stop. Linux
/// reports network errors of the connection and refusals of a firewall (accept(2) has the list); other
/// systems say only that the connection is gone.
pub(crate) fn is_of_the_connection(error: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
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

/// Whether an error says that descriptors or memory have run out; others may give some back.
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
        f.debug_tuple("Listener").field(self.get_ref()).finish()
    }
}
