//! Streams of bytes: what TCP connections, Unix connections and pipes can all do.
//!
//! The laws:
//!
//! 1. A future does its system call in the poll in which it is ready, and has done nothing before.
//!    So one that is dropped has taken nothing and given nothing; those that make several calls say
//!    what is lost.
//! 2. A future is no larger than its arguments (but that of `read_to_end` remembers where it began),
//!    and no operation allocates.
//! 3. After a short read or write nothing is tried before the loop says so: the next one would block.
//!    (A read only where [`SHORT_READ_IS_ALL`](crate::Channel::SHORT_READ_IS_ALL).)

use std::{
    fmt,
    future::{Future, poll_fn},
    io::{self, IoSlice, IoSliceMut},
    mem,
    net::Shutdown,
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use nio_loop::{Direction, Handle, Source};

use crate::{Error, Options, Readable, Socket, Writable, raw};

/// How long a write waits that found the system without memory (ENOBUFS). Nothing tells when there
/// is some again: the socket itself may have room all the time.
const NO_BUFFERS_PAUSE: Duration = Duration::from_millis(1);

/// A stream of bytes: [`TcpStream`](crate::TcpStream), [`UnixStream`](crate::UnixStream),
/// [`PipeReader`](crate::PipeReader) and [`PipeWriter`](crate::PipeWriter) are this, each over a
/// descriptor of its own type, and so can be a terminal, over a type of yours that is a
/// [`Channel`](crate::Channel).
/// Dropping it closes the descriptor.
///
/// All operations take `&self`, so that one task can read what another writes; give both an
/// [`Rc`](std::rc::Rc) of it, or [split](ByteStream::split) it. Where several tasks read, or write,
/// each operation's bytes stay together, and which task is first is not defined.
///
/// | waits | does not wait | for futures written by hand |
/// |---|---|---|
/// | [`read`](Self::read), [`read_vectored`](Self::read_vectored), [`read_buf`](Self::read_buf) | [`try_read`](Self::try_read), [`try_read_vectored`](Self::try_read_vectored), [`try_read_buf`](Self::try_read_buf) | [`poll_read`](Self::poll_read), [`poll_read_vectored`](Self::poll_read_vectored), [`poll_read_buf`](Self::poll_read_buf) |
/// | [`read_exact`](Self::read_exact), [`read_to_end`](Self::read_to_end) | | |
/// | [`peek`](Self::peek) | [`try_peek`](Self::try_peek) | [`poll_peek`](Self::poll_peek) |
/// | [`write`](Self::write), [`write_vectored`](Self::write_vectored) | [`try_write`](Self::try_write), [`try_write_vectored`](Self::try_write_vectored) | [`poll_write`](Self::poll_write), [`poll_write_vectored`](Self::poll_write_vectored) |
/// | [`write_all`](Self::write_all), [`write_all_vectored`](Self::write_all_vectored) | | |
/// | [`readable`](Self::readable), [`writable`](Self::writable) | | [`poll_readable`](Self::poll_readable), [`poll_writable`](Self::poll_writable) |
///
/// What `try_…` would have to wait for is an error of the kind
/// [`WouldBlock`](io::ErrorKind::WouldBlock). What `poll_…` waits for, it waits for in the name of
/// the context's waker, for as long as it takes; several may wait.
pub struct ByteStream<S: AsFd> {
    pub(crate) source: Source<S>,
}

impl<S: AsFd> ByteStream<S> {
    /// Makes a stream of a descriptor, which must be in non-blocking mode. For the sockets of the
    /// standard library there is [`from_std`](ByteStream::from_std).
    ///
    /// # Errors
    ///
    /// [`Error::Loop`] if the loop is gone.
    pub fn new(handle: &Handle, descriptor: S) -> Result<ByteStream<S>, Error> {
        let source = Source::new(handle, descriptor)?;
        Ok(ByteStream { source })
    }

    /// The handle of the loop it belongs to.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.source.handle()
    }

    /// The descriptor's owner.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        self.source.get_ref()
    }

    /// Takes the descriptor out of the loop. It stays non-blocking.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.source.into_inner()
    }

    pub(crate) fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        raw::shutdown(self, how)?;
        // Of a full Unix socket, Linux does not say that writing has ended.
        if how != Shutdown::Read {
            self.source.wake(Direction::Write);
        }
        Ok(())
    }
}

/// Reading.
impl<S: Readable> ByteStream<S> {
    /// Reads what is there, or waits until something is, and returns how many bytes. 0 says that
    /// the other side has finished (or that `buffer` is empty). Dropping the future loses no byte.
    ///
    /// # Errors
    ///
    /// [`ConnectionReset`](io::ErrorKind::ConnectionReset) and the like.
    pub fn read(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        Read {
            stream: self,
            buffer,
        }
    }

    /// As [`read`](Self::read), into several buffers, one after the other.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_vectored(
        &self,
        buffers: &mut [IoSliceMut<'_>],
    ) -> impl Future<Output = io::Result<usize>> {
        poll_fn(move |context| self.poll_read_vectored(context, buffers))
    }

    /// As [`read`](Self::read), into the memory that `buffer` has in reserve, which need not be
    /// initialised; what was read is appended. `buffer` does not grow beyond its capacity, and one
    /// that has no room left reads 0 bytes.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle().clone();
    /// # event_loop.block_on(async {
    /// # let (stream, other) = UnixStream::pair(&handle)?;
    /// # other.write_all(b"hello").await?;
    /// let mut buffer = Vec::with_capacity(64 * 1024);
    /// stream.read_buf(&mut buffer).await?;
    /// assert_eq!(buffer, b"hello");
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_buf(&self, buffer: &mut Vec<u8>) -> impl Future<Output = io::Result<usize>> {
        poll_fn(move |context| self.poll_read_buf(context, buffer, usize::MAX))
    }

    /// Reads until `buffer` is full. If the future is dropped, nobody knows how much of the buffer
    /// it has filled.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the other side finishes before; those of
    /// [`read`](Self::read).
    pub fn read_exact(&self, mut buffer: &mut [u8]) -> impl Future<Output = io::Result<()>> {
        poll_fn(move |context| {
            while !buffer.is_empty() {
                match ready!(self.poll_read(context, buffer))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                    n => buffer = &mut mem::take(&mut buffer)[n..],
                }
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Reads until the other side finishes, and appends everything to `buffer`; returns how many
    /// bytes that were. If the future is dropped, what it has read is in `buffer`, and another call
    /// goes on behind it.
    ///
    /// # Errors
    ///
    /// [`FileTooLarge`](io::ErrorKind::FileTooLarge) if more than `limit` bytes come; `limit` and
    /// one of them are in `buffer` then. Those of [`read`](Self::read), with what came before in
    /// `buffer`.
    pub fn read_to_end(
        &self,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> impl Future<Output = io::Result<usize>> {
        let start = buffer.len();
        poll_fn(move |context| {
            loop {
                // One more than allowed tells too many from just enough.
                let room = (limit - (buffer.len() - start)).saturating_add(1);
                if buffer.len() == buffer.capacity() {
                    buffer.reserve(room.min(FIRST_RESERVE));
                }
                if ready!(self.poll_read_buf(context, buffer, room))? == 0 {
                    return Poll::Ready(Ok(buffer.len() - start));
                }
                if buffer.len() - start > limit {
                    return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
                }
            }
        })
    }

    /// Waits until there is something to read, the other side has finished, or the stream has come
    /// to an error: a read would not wait. Several tasks may be told so of the same byte.
    ///
    /// # Errors
    ///
    /// If the loop is gone.
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> {
        poll_fn(|context| self.poll_readable(context))
    }

    /// Reads what is there.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is; those of [`read`](Self::read).
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |stream: &S| raw::read(stream, buffer);
        self.source.try_io(Direction::Read, read)
    }

    /// As [`read_vectored`](Self::read_vectored), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let read = |stream: &S| raw::read_vectored(stream, buffers);
        self.source.try_io(Direction::Read, read)
    }

    /// As [`read_buf`](Self::read_buf), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_buf(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        if buffer.len() == buffer.capacity() {
            return Ok(0);
        }
        let read = |stream: &S| raw::read_spare(stream, buffer, usize::MAX);
        self.source.try_io(Direction::Read, read)
    }

    /// [`read`](Self::read), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    #[inline]
    pub fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_with(context, buffer.len(), |stream| raw::read(stream, buffer))
    }

    /// [`read_vectored`](Self::read_vectored), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn poll_read_vectored(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        // Of more buffers than one call takes, it fills the first ones.
        let room = buffers
            .iter()
            .take(raw::SLICES)
            .map(|buffer| buffer.len())
            .sum();
        self.poll_read_with(context, room, |stream| raw::read_vectored(stream, buffers))
    }

    /// [`read_buf`](Self::read_buf) of at most `limit` bytes, for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn poll_read_buf(
        &self,
        context: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let room = limit.min(buffer.capacity() - buffer.len());
        self.poll_read_with(context, room, |stream| {
            raw::read_spare(stream, buffer, limit)
        })
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

    /// Reads into `room` bytes. There is always that much room: a system may wait with a read of
    /// nothing.
    #[inline(always)]
    fn poll_read_with(
        &self,
        context: &mut Context<'_>,
        room: usize,
        read: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if room == 0 {
            return Poll::Ready(Ok(0));
        }
        let n = ready!(self.source.poll_io(context, Direction::Read, read))?;
        if S::SHORT_READ_IS_ALL && 0 < n && n < room {
            // It is empty now; asking it again would only be told so.
            self.source.exhausted(Direction::Read);
        }
        Poll::Ready(Ok(n))
    }
}

/// How much [`ByteStream::read_to_end`] makes room for at first; then the vector doubles.
const FIRST_RESERVE: usize = 4096;

/// Writing.
impl<S: Writable> ByteStream<S> {
    /// Writes as much as there is room for, or waits until there is some, and returns how many
    /// bytes. Dropping the future has written nothing.
    ///
    /// # Errors
    ///
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) or
    /// [`ConnectionReset`](io::ErrorKind::ConnectionReset) if the other side is gone.
    pub fn write(&self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>> {
        poll_fn(move |context| self.poll_write(context, bytes))
    }

    /// As [`write`](Self::write), of several pieces, one after the other, as if they were one.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_vectored(
        &self,
        pieces: &[IoSlice<'_>],
    ) -> impl Future<Output = io::Result<usize>> {
        poll_fn(move |context| self.poll_write_vectored(context, pieces))
    }

    /// Writes everything. If the future is dropped, a part of it may have been written.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_all(&self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> {
        WriteAll {
            stream: self,
            bytes,
        }
    }

    /// Writes several pieces, one after the other. `pieces` is used for keeping count: its content
    /// afterwards is not defined. If the future is dropped, a part may have been written.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// use std::io::IoSlice;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle().clone();
    /// # event_loop.block_on(async {
    /// # let (stream, other) = UnixStream::pair(&handle)?;
    /// let mut pieces = [IoSlice::new(b"head"), IoSlice::new(b" and body")];
    /// stream.write_all_vectored(&mut pieces).await?;
    /// # let mut buffer = [0; 13];
    /// # other.read_exact(&mut buffer).await?;
    /// # assert_eq!(&buffer, b"head and body");
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_all_vectored<'a>(
        &'a self,
        mut pieces: &'a mut [IoSlice<'_>],
    ) -> impl Future<Output = io::Result<()>> {
        poll_fn(move |context| {
            // Empty pieces at the front would look like an end.
            IoSlice::advance_slices(&mut pieces, 0);
            while !pieces.is_empty() {
                match ready!(self.poll_write_vectored(context, pieces))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    n => IoSlice::advance_slices(&mut pieces, n),
                }
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Waits until there is room to write, or the stream has come to an error: a write would not
    /// wait. Several tasks may be told so of the same room.
    ///
    /// # Errors
    ///
    /// If the loop is gone.
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> {
        poll_fn(|context| self.poll_writable(context))
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none; those of
    /// [`write`](Self::write).
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let write = |stream: &S| raw::send(stream, bytes);
        let result = self.source.try_io(Direction::Write, write);
        result.map_err(no_buffers_would_block)
    }

    /// As [`write_vectored`](Self::write_vectored), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let write = |stream: &S| raw::send_vectored(stream, pieces);
        let result = self.source.try_io(Direction::Write, write);
        result.map_err(no_buffers_would_block)
    }

    /// [`write`](Self::write), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    #[inline]
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(context, bytes.len(), |stream| raw::send(stream, bytes))
    }

    /// [`write_vectored`](Self::write_vectored), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn poll_write_vectored(
        &self,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Of more pieces than one call takes, it takes the first ones.
        let len = pieces
            .iter()
            .take(raw::SLICES)
            .map(|piece| piece.len())
            .sum();
        self.poll_write_with(context, len, |stream| raw::send_vectored(stream, pieces))
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

    #[inline(always)]
    pub(crate) fn poll_write_with(
        &self,
        context: &mut Context<'_>,
        len: usize,
        write: impl FnMut(&S) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        match ready!(self.source.poll_io(context, Direction::Write, write)) {
            Ok(n) => {
                if 0 < n && n < len {
                    self.source.exhausted(Direction::Write);
                }
                Poll::Ready(Ok(n))
            }
            Err(error) if is_no_buffers(&error) => {
                poll_again_later(self.handle(), context);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// The future of [`ByteStream::read`]. It and [`WriteAll`] are what most programs do most of the time,
/// and no closures, because only of a method one can say that it becomes a part of the task that awaits
/// it: that saves a tenth of the instructions of an echo.
struct Read<'a, 'b, S: AsFd> {
    stream: &'a ByteStream<S>,
    buffer: &'b mut [u8],
}

impl<S: Readable> Future for Read<'_, '_, S> {
    type Output = io::Result<usize>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.stream.poll_read(context, self.buffer)
    }
}

/// The future of [`ByteStream::write_all`].
struct WriteAll<'a, 'b, S: AsFd> {
    stream: &'a ByteStream<S>,
    bytes: &'b [u8],
}

impl<S: Writable> Future for WriteAll<'_, '_, S> {
    type Output = io::Result<()>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.bytes.is_empty() {
            match ready!(self.stream.poll_write(context, self.bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.bytes = &self.bytes[n..],
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether the system has no memory for a write. It will have some.
fn is_no_buffers(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOBUFS)
}

fn no_buffers_would_block(error: io::Error) -> io::Error {
    if is_no_buffers(&error) {
        return io::ErrorKind::WouldBlock.into();
    }
    error
}

/// Wakes a task in a little while.
#[cold]
pub(crate) fn poll_again_later(handle: &Handle, context: &Context<'_>) {
    let waker = context.waker().clone();
    handle.set_timeout(NO_BUFFERS_PAUSE, move |_| waker.wake());
}

/// What sockets can do besides.
impl<S: Socket + Readable + Writable> ByteStream<S> {
    /// Takes a connection of the standard library into the loop. It may come from another thread,
    /// and from another loop, which it leaves by [`into_std`](Self::into_std):
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut here = EventLoop::new()?;
    /// # let handle = here.handle().clone();
    /// # let (stream, other) = UnixStream::pair(&handle)?;
    /// let stream = stream.into_std();
    /// let there = std::thread::spawn(move || {
    ///     let mut event_loop = EventLoop::new().unwrap();
    ///     let stream = UnixStream::from_std(event_loop.handle(), stream).unwrap();
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
    /// If it cannot be made non-blocking, or the loop is gone.
    pub fn from_std(handle: &Handle, stream: S) -> io::Result<ByteStream<S>> {
        stream.set_nonblocking(true)?;
        raw::no_sigpipe(&stream)?;
        Ok(ByteStream::new(handle, stream)?)
    }

    /// Takes the connection out of the loop. It stays non-blocking.
    #[must_use]
    pub fn into_std(self) -> S {
        self.into_inner()
    }

    /// Reads what is there, or waits until something is, and leaves it to be read again.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn peek(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        poll_fn(move |context| self.poll_peek(context, buffer))
    }

    /// As [`peek`](Self::peek), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let peek = |stream: &S| raw::peek(stream, buffer);
        self.source.try_io(Direction::Read, peek)
    }

    /// [`peek`](Self::peek), for futures written by hand.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn poll_peek(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let peek = |stream: &S| raw::peek(stream, buffer);
        self.source.poll_io(context, Direction::Read, peek)
    }

    /// Closes one half or both. After `Write` the other side reads the end; it may go on writing.
    /// Takes effect at once: nothing is buffered here that would have to be written first. A write
    /// that waits is a [`BrokenPipe`](io::ErrorKind::BrokenPipe) then. Shutting down again changes
    /// nothing.
    ///
    /// After `Read`, a read finds the end, on Linux behind what had arrived before.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the connection is gone; outside of Linux
    /// perhaps also if there is nothing left to shut down.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.shut_down(how)
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

    /// The error that the connection has come to, which is forgotten by being asked for (SO_ERROR).
    /// Reads and writes report it by themselves.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.get_ref().take_error()
    }
}

impl<S: AsFd> AsFd for ByteStream<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<S: AsFd + fmt::Debug> fmt::Debug for ByteStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByteStream").field(self.get_ref()).finish()
    }
}

#[cfg(test)]
mod tests {
    use nio_loop::EventLoop;

    use super::*;
    use crate::UnixStream;

    /// Runs a write of five bytes to a stream for which the system has no memory at first, and
    /// returns how often it was tried.
    fn tries_of_a_write(without_memory: u32) -> u32 {
        let mut event_loop = EventLoop::new().unwrap();
        let (stream, _other) = UnixStream::pair(event_loop.handle()).unwrap();
        let mut tries = 0;
        let written = event_loop.block_on(poll_fn(|context| {
            stream.poll_write_with(context, 5, |_| {
                tries += 1;
                match tries > without_memory {
                    true => Ok(5),
                    false => Err(io::Error::from_raw_os_error(libc::ENOBUFS)),
                }
            })
        }));
        assert_eq!(written.unwrap().unwrap(), 5);
        tries
    }

    #[test]
    fn l65_a_write_that_finds_no_memory_is_tried_again_a_little_later() {
        assert_eq!(tries_of_a_write(0), 1);
        assert_eq!(tries_of_a_write(3), 4);
    }

    #[test]
    fn l65_to_those_who_try_no_memory_is_no_room() {
        let error = io::Error::from_raw_os_error(libc::ENOBUFS);
        let error = no_buffers_would_block(error);
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let error = no_buffers_would_block(io::ErrorKind::BrokenPipe.into());
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
