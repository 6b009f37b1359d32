//! Streams of bytes: TCP connections, Unix connections and pipes. Reading is in `read`, writing in
//! `write`.
//!
//! The laws:
//!
//! 1. A future makes its system call in the poll in which it is ready: a future that is dropped while
//!    pending has read nothing and written nothing. Futures that make several calls document what is lost.
//! 2. No operation allocates, except those that return a vector, and the first
//!    [`read_with`](ByteStream::read_with) of a thread.
//! 3. After a short read or a partial write, no call is made before the loop reports readiness: it would
//!    block. (For reads only where [`SHORT_READ_IS_ALL`](Stream::SHORT_READ_IS_ALL).)
//! 4. Every byte that is read or written is counted, by every operation except the system calls of the user (`io`,
//!    `try_io`). A peek is not a read.
//! 5. After writing has ended, ending it again makes no system call. On the BSDs a second one would end reading
//!    too, and lose the bytes that the peer still sends.
//! 6. A descriptor that leaves the loop is in blocking mode.

use std::{
    cell::Cell,
    fmt, io,
    net::Shutdown,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::Stdio,
};

use nio_loop::{Direction, Handle, Source};

use crate::{
    Error, Options, Refused, Stream,
    error::{adopt, into_blocking, set_nonblocking},
    raw,
};

/// A stream of bytes: [`TcpStream`](crate::TcpStream), [`UnixStream`](crate::UnixStream),
/// [`PipeReader`](crate::PipeReader) and [`PipeWriter`](crate::PipeWriter) are this type over
/// different descriptors. Your own types, for a terminal for example, can implement [`Stream`].
/// Dropping it closes the descriptor.
///
/// All operations take `&self`, so one task can read while another writes: give both an
/// [`Rc`](std::rc::Rc) of it, or [split](ByteStream::into_split) it. If several tasks read, or several
/// write, the bytes of one system call stay together; the order of the tasks is not defined.
///
/// | waits | does not wait | for futures written by hand |
/// |---|---|---|
/// | [`read`](Self::read), [`read_vectored`](Self::read_vectored), [`read_buf`](Self::read_buf) | [`try_read`](Self::try_read), [`try_read_vectored`](Self::try_read_vectored), [`try_read_buf`](Self::try_read_buf) | [`poll_read`](Self::poll_read), [`poll_read_vectored`](Self::poll_read_vectored), [`poll_read_buf`](Self::poll_read_buf) |
/// | [`read_with`](Self::read_with) | [`try_read_with`](Self::try_read_with) | |
/// | [`read_exact`](Self::read_exact), [`read_to_end`](Self::read_to_end) | | |
/// | [`peek`](Self::peek) | [`try_peek`](Self::try_peek) | |
/// | [`write`](Self::write), [`write_vectored`](Self::write_vectored) | [`try_write`](Self::try_write), [`try_write_vectored`](Self::try_write_vectored) | [`poll_write`](Self::poll_write), [`poll_write_vectored`](Self::poll_write_vectored) |
/// | [`write_all`](Self::write_all), [`write_all_vectored`](Self::write_all_vectored) | [`try_write_all`](Self::try_write_all) | |
/// | [`send_file`](Self::send_file), [`send_file_all`](Self::send_file_all) | | |
/// | [`ready`](Self::ready) | | |
/// | [`io`](Self::io) | [`try_io`](Self::try_io) | |
/// | [`readable`](Self::readable), [`writable`](Self::writable) | | [`poll_readable`](Self::poll_readable), [`poll_writable`](Self::poll_writable) |
///
/// A `try_…` operation that would block returns an error of the kind
/// [`WouldBlock`](io::ErrorKind::WouldBlock). A `poll_…` operation that is pending wakes the context's waker
/// when it should be polled again.
#[doc(alias = "uv_stream_t")]
#[doc(alias = "AsyncRead")]
#[doc(alias = "AsyncWrite")]
pub struct ByteStream<S: Stream> {
    pub(crate) source: Source<Descriptor<S>>,
}

/// A stream's descriptor with its state. The flags are in the padding after the descriptor, so they take no
/// memory.
pub(crate) struct Descriptor<S> {
    pub(crate) inner: S,
    /// A read has found the end.
    read_ended: Cell<bool>,
    pub(crate) writing_ended: Cell<bool>,
    /// The total of bytes read.
    read: Cell<u64>,
    /// The total of bytes written.
    written: Cell<u64>,
}

impl<S> Descriptor<S> {
    /// Counts a read of `n` bytes into a buffer of `room` bytes.
    #[inline]
    pub(crate) fn count_read(&self, n: usize, room: usize) {
        if n == 0 && room > 0 {
            self.read_ended.set(true);
        }
        self.read.set(self.read.get().wrapping_add(n as u64));
    }

    /// Counts a write of `n` bytes.
    #[inline]
    pub(crate) fn count_written(&self, n: usize) {
        let written = self.written.get().wrapping_add(n as u64);
        self.written.set(written);
    }
}

impl<S: AsFd> AsFd for Descriptor<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<S: Stream> ByteStream<S> {
    /// Makes a stream of a descriptor that is in non-blocking mode. [`from_std`](Self::from_std) sets
    /// the mode, too.
    ///
    /// # Errors
    ///
    /// [`Error::Blocking`] if the descriptor is in blocking mode; [`Error::Loop`] if the loop is gone.
    /// The descriptor comes back with the error.
    pub fn new(handle: &Handle, descriptor: S) -> Result<ByteStream<S>, Refused<S>> {
        let error = match raw::is_nonblocking(&descriptor) {
            Ok(true) => return ByteStream::adopt(handle, descriptor),
            Ok(false) => Error::Blocking,
            Err(source) => {
                let name = "O_NONBLOCK";
                Error::Option {
                    name,
                    value: None,
                    source,
                }
            }
        };
        let value = descriptor;
        Err(Refused { error, value })
    }

    /// Makes a stream of a descriptor in non-blocking mode, without checking the mode.
    pub(crate) fn adopt(handle: &Handle, inner: S) -> Result<ByteStream<S>, Refused<S>> {
        let descriptor = Descriptor {
            inner,
            read_ended: Cell::new(false),
            writing_ended: Cell::new(false),
            read: Cell::new(0),
            written: Cell::new(0),
        };
        match adopt(handle, descriptor) {
            Ok(source) => Ok(ByteStream { source }),
            Err(Refused { error, value }) => {
                let value = value.inner;
                Err(Refused { error, value })
            }
        }
    }

    /// Takes a connection of the standard library into the loop, and makes it non-blocking. It may
    /// come from another thread, and from another loop, which it leaves by
    /// [`into_std`](Self::into_std):
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut here = EventLoop::new()?;
    /// # let handle = here.handle();
    /// # let (stream, other) = UnixStream::pair(&handle)?;
    /// let stream = stream.into_std();
    /// let there = std::thread::spawn(move || {
    ///     let mut event_loop = EventLoop::new().unwrap();
    ///     let stream = UnixStream::from_std(&event_loop.handle(), stream).unwrap();
    ///     event_loop.block_on(async move { stream.write_all(b"hello").await.unwrap() })
    /// });
    /// # let mut bytes = [0; 5];
    /// # here.block_on(async { other.read_exact(&mut bytes).await })??;
    /// # there.join().unwrap()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Option`] if it cannot be made non-blocking; [`Error::Loop`] if the loop is gone. The
    /// connection comes back with the error.
    pub fn from_std(handle: &Handle, stream: S) -> Result<ByteStream<S>, Refused<S>> {
        let stream = ByteStream::adopt(handle, stream)?;
        match set_nonblocking(&stream, S::SOCKET) {
            Ok(()) => Ok(stream),
            Err(error) => Err(Refused {
                error,
                value: stream.take_out(),
            }),
        }
    }

    /// Takes the stream out of the loop, in [blocking mode](crate#blocking-mode).
    #[doc(alias = "into_inner")]
    #[must_use]
    pub fn into_std(self) -> S {
        into_blocking(self.take_out())
    }

    /// Takes the descriptor out of the loop, in its present mode.
    pub(crate) fn take_out(self) -> S {
        self.source.into_inner().inner
    }

    /// The handle of the loop that the stream belongs to.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.source.handle()
    }

    /// The descriptor.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.source.get_ref().inner
    }

    /// Shuts down reading, writing or both. After `Write` the peer reads the end; it may go on
    /// writing. It takes effect at once, as nothing is buffered here. A write that waits fails with
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe). Once writing has ended, ending it again changes
    /// nothing and makes no system call.
    ///
    /// After `Read`, a read finds the end; on Linux after the bytes that had arrived before.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone. A pipe has no
    /// shutdown: its end is dropped.
    #[doc(alias = "socket.end")]
    #[doc(alias = "half-close")]
    #[doc(alias = "uv_shutdown")]
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let writing_ended = &self.source.get_ref().writing_ended;
        let how = match how {
            Shutdown::Write if writing_ended.get() => return Ok(()),
            Shutdown::Both if writing_ended.get() => Shutdown::Read,
            how => how,
        };
        raw::shutdown(self, how)?;
        if how != Shutdown::Read {
            writing_ended.set(true);
            // Linux reports no event when a full Unix socket is shut down for writing.
            self.source.wake(Direction::Write);
        }
        Ok(())
    }

    /// Ends writing on a socket. A pipe has no such call; it ends when it is dropped.
    pub(crate) fn end_writing(&self) -> io::Result<()> {
        if !S::SOCKET {
            return Ok(());
        }
        match self.shutdown(Shutdown::Write) {
            // The connection is gone, so writing has ended.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    /// Makes a system call of yours on the descriptor, and waits while the call would block. Use it for
    /// calls that this crate does not have, such as an ioctl(2) of a device. Bytes that the call reads or writes
    /// are not counted: an [`Idle`](crate::Idle) limit does not see them, so [`touch`](crate::Idle::touch) it.
    ///
    /// ```
    /// # use std::io::Read;
    /// # use nio_loop::{Direction, EventLoop};
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// # let (stream, other) = UnixStream::pair(&handle)?;
    /// # other.write_all(b"hello").await?;
    /// let mut bytes = [0; 5];
    /// let n = stream.io(Direction::Read, |mut socket| socket.read(&mut bytes)).await?;
    /// # assert_eq!(&bytes[..n], b"hello");
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the call, except for "would block" and "interrupted"; if the loop is gone.
    #[doc(alias = "async_io")]
    pub async fn io<R>(
        &self,
        direction: Direction,
        mut call: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        let call = |descriptor: &Descriptor<S>| call(&descriptor.inner);
        self.source.io(direction, call).await
    }

    /// As [`io`](Self::io), without waiting; bytes are not counted here either.
    ///
    /// # Errors
    ///
    /// Those of the call; [`WouldBlock`](io::ErrorKind::WouldBlock) without making the call if the stream
    /// was not reported ready since the last one that would block.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        call: impl FnOnce(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source
            .try_io(direction, |descriptor| call(&descriptor.inner))
    }

    /// Whether a read has found the end.
    pub(crate) fn read_has_ended(&self) -> bool {
        self.source.get_ref().read_ended.get()
    }

    /// The total of bytes read, for statistics.
    #[doc(alias("bytesRead"))]
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.source.get_ref().read.get()
    }

    /// The total of bytes written, for statistics. Some may still be in the system's send buffer: see
    /// [`unsent`](Self::unsent).
    #[doc(alias("bytesWritten"))]
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.source.get_ref().written.get()
    }

    /// How many bytes are in the system's send buffer: written, and not yet acknowledged by the peer's
    /// system (for a Unix socket on Linux: not yet read). For a Unix socket, Linux counts the memory that
    /// they take, which is more. `None` where it is not known: pipes, DragonFly and OpenBSD. On the BSDs and
    /// macOS a Unix socket has no send buffer, so it is 0.
    ///
    /// It is SIOCOUTQ on Linux (tcp(7)), SO_NWRITE on macOS, FIONWRITE on FreeBSD and NetBSD.
    #[doc(alias("bufferSize", "writableLength", "SIOCOUTQ"))]
    #[must_use]
    pub fn unsent(&self) -> Option<usize> {
        raw::unsent(self)
    }

    /// The options of the socket.
    #[must_use]
    #[doc(alias = "setsockopt")]
    pub fn options(&self) -> Options<'_> {
        Options::of(self)
    }

    /// Takes the error that is pending on the connection (SO_ERROR). Reads and writes report it, too.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2), also if it is no socket.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        raw::take_error(self)
    }
}

impl<S: Stream> AsFd for ByteStream<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

/// Gives the stream to a child, as its stdin, stdout or stderr, in
/// [blocking mode](crate#blocking-mode). The peer reads the end only after the
/// [`Command`](std::process::Command), which keeps a copy, is dropped.
impl<S: Stream + Into<OwnedFd>> From<ByteStream<S>> for Stdio {
    fn from(stream: ByteStream<S>) -> Stdio {
        Stdio::from(stream.into_std().into())
    }
}

impl<S: Stream + fmt::Debug> fmt::Debug for ByteStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByteStream").field(self.get_ref()).finish()
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use std::net;

    use super::*;

    #[test]
    fn a_stream_takes_four_words() {
        assert_eq!(size_of::<ByteStream<net::TcpStream>>(), 32);
    }
}
