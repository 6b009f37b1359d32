//! Reading from streams.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSliceMut},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use nio_loop::{Direction, Source, Waiting, poll_budget};

use crate::{ByteStream, Stream, raw, shared_buffer, stream::Descriptor};

/// How much [`ByteStream::read_to_end`] reserves at first; then the vector doubles.
const FIRST_RESERVE: usize = 4096;

/// Reading.
impl<S: Stream> ByteStream<S> {
    /// Reads the bytes that have arrived, or waits for some, and returns how many. 0 means that the peer has
    /// ended writing (or that `buffer` is empty). Dropping the future loses no byte.
    ///
    /// # Errors
    ///
    /// Those of recv(2), such as [`ConnectionReset`](io::ErrorKind::ConnectionReset).
    #[doc(alias = "recv")]
    #[doc(alias = "uv_read_start")]
    pub fn read(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        const { assert!(S::READABLE, "this stream cannot be read") };
        let waiting = self.source.waiting(Direction::Read);
        Read { waiting, buffer }
    }

    /// As [`read`](Self::read), into several buffers, one after the other.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let room = raw::room_of(buffers.iter().map(|buffer| buffer.len()));
        self.read_into(room, |fd| raw::read_vectored(fd, buffers))
            .await
    }

    /// As [`read`](Self::read), into the spare capacity of `buffer`, which need not be initialised;
    /// the bytes are appended. `buffer` does not grow beyond its capacity, and one that has no room
    /// left reads 0 bytes.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
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
    pub async fn read_buf(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        self.read_buf_up_to(buffer, usize::MAX).await
    }

    async fn read_buf_up_to(&self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let room = limit.min(buffer.capacity() - buffer.len());
        self.read_into(room, |fd| raw::read_spare(fd, buffer, limit))
            .await
    }

    /// Reads the bytes that have arrived, or waits for some, into the shared buffer of the thread, and calls
    /// `take` with them. `None` means that the peer has ended writing. A connection that waits keeps no
    /// buffer: see [Thousands of connections](crate#thousands-of-connections).
    ///
    /// `take` gets at most 65,536 bytes. It must use all of them, or copy those that are needed later: the
    /// buffer is reused when it returns. Dropping the future before it is ready loses no byte.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// # let (stream, other) = UnixStream::pair(&handle)?;
    /// # other.write_all(b"one\ntwo\n").await?;
    /// # drop(other);
    /// let mut lines = 0;
    /// let mut count = |bytes: &[u8]| lines += bytes.iter().filter(|byte| **byte == b'\n').count();
    /// while stream.read_with(&mut count).await?.is_some() {}
    /// assert_eq!(lines, 2);
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    #[doc(alias = "uv_alloc_cb")]
    #[doc(alias = "on data")]
    pub fn read_with<R>(
        &self,
        take: impl FnOnce(&[u8]) -> R,
    ) -> impl Future<Output = io::Result<Option<R>>> {
        self.read_up_to_with(shared_buffer::SIZE, take)
    }

    /// As [`read_with`](Self::read_with), at most `limit` bytes.
    pub(crate) fn read_up_to_with<R, F: FnOnce(&[u8]) -> R>(
        &self,
        limit: usize,
        take: F,
    ) -> impl Future<Output = io::Result<Option<R>>> + use<'_, S, R, F> {
        const { assert!(S::READABLE, "this stream cannot be read") };
        ReadWith {
            waiting: self.source.waiting(Direction::Read),
            limit,
            take: Some(take),
        }
    }

    /// Reads until `buffer` is full. If the future is dropped, it is not known how much of the buffer
    /// it has filled.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the peer ends writing before; those
    /// of [`read`](Self::read).
    pub async fn read_exact(&self, mut buffer: &mut [u8]) -> io::Result<()> {
        loop {
            match self.read(buffer).await? {
                0 if buffer.is_empty() => return Ok(()),
                0 => return Err(ended_early(buffer.len())),
                n if n == buffer.len() => return Ok(()),
                n => buffer = &mut mem::take(&mut buffer)[n..],
            }
        }
    }

    /// Reads until the peer ends writing, and appends everything to `buffer`; returns how many
    /// bytes that were. If the future is dropped, the bytes that it has read are in `buffer`, and another call
    /// continues after them.
    ///
    /// # Errors
    ///
    /// [`FileTooLarge`](io::ErrorKind::FileTooLarge) if more than `limit` bytes arrive; then `limit` + 1 of
    /// them are in `buffer`. Those of [`read`](Self::read); the bytes that arrived before are in `buffer`.
    pub async fn read_to_end(&self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let start = buffer.len();
        loop {
            // One byte beyond the limit shows that there are too many.
            let room = (limit - (buffer.len() - start)).saturating_add(1);
            if buffer.len() == buffer.capacity() {
                buffer.reserve(room.min(FIRST_RESERVE));
            }
            if self.read_buf_up_to(buffer, room).await? == 0 {
                return Ok(buffer.len() - start);
            }
            if buffer.len() - start > limit {
                let text = format!("more bytes came than the limit of {limit}");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
            }
        }
    }

    /// As [`read`](Self::read), but leaves the bytes to be read again. Only for sockets.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); ENOTSOCK if the stream is no socket.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            poll_fn(poll_budget).await;
            return Ok(0);
        }
        let source = &self.source;
        source.io(Direction::Read, |fd| raw::peek(fd, buffer)).await
    }

    /// Waits until a read would not block: there are bytes, the end, or an error. It calls poll(2) each time,
    /// so [`read`](Self::read) is cheaper. It may be ready in several tasks for the same byte.
    ///
    /// # Errors
    ///
    /// Those of poll(2); if the loop is gone. An error of the stream is left to the read.
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> {
        self.source.io(Direction::Read, raw::ready_to_read)
    }

    /// As [`read`](Self::read), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if no bytes have arrived; those of [`read`](Self::read).
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        const { assert!(S::READABLE, "this stream cannot be read") };
        let read = |fd: &Descriptor<S>| raw::read(fd, buffer);
        self.source.try_io(Direction::Read, read)
    }

    /// As [`read_vectored`](Self::read_vectored), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if no bytes have arrived; those of [`read`](Self::read).
    pub fn try_read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        const { assert!(S::READABLE, "this stream cannot be read") };
        let read = |fd: &Descriptor<S>| raw::read_vectored(fd, buffers);
        self.source.try_io(Direction::Read, read)
    }

    /// As [`read_buf`](Self::read_buf), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if no bytes have arrived; those of [`read`](Self::read).
    pub fn try_read_buf(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        const { assert!(S::READABLE, "this stream cannot be read") };
        if buffer.len() == buffer.capacity() {
            return Ok(0);
        }
        let read = |fd: &Descriptor<S>| raw::read_spare(fd, buffer, usize::MAX);
        self.source.try_io(Direction::Read, read)
    }

    /// As [`read_with`](Self::read_with), without waiting. If no bytes have arrived, `take` is not called.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if no bytes have arrived; those of [`read`](Self::read).
    pub fn try_read_with<R>(&self, take: impl FnOnce(&[u8]) -> R) -> io::Result<Option<R>> {
        const { assert!(S::READABLE, "this stream cannot be read") };
        shared_buffer::with_buffer(|buffer| {
            let n = self.try_read(buffer)?;
            Ok((n > 0).then(|| take(&buffer[..n])))
        })
    }

    /// As [`peek`](Self::peek), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if no bytes have arrived; those of [`peek`](Self::peek).
    pub fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let peek = |fd: &Descriptor<S>| raw::peek(fd, buffer);
        self.source.try_io(Direction::Read, peek)
    }

    /// [`read`](Self::read), for futures written by hand.
    #[inline]
    pub fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_into(context, buffer.len(), |fd| raw::read(fd, buffer))
    }

    /// [`read_vectored`](Self::read_vectored), for futures written by hand.
    pub fn poll_read_vectored(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let room = raw::room_of(buffers.iter().map(|buffer| buffer.len()));
        self.poll_read_into(context, room, |fd| raw::read_vectored(fd, buffers))
    }

    /// [`read_buf`](Self::read_buf) of at most `limit` bytes, for futures written by hand.
    pub fn poll_read_buf(
        &self,
        context: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let room = limit.min(buffer.capacity() - buffer.len());
        self.poll_read_into(context, room, |fd| raw::read_spare(fd, buffer, limit))
    }

    /// [`read_up_to_with`](Self::read_up_to_with), for futures written by hand.
    pub(crate) fn poll_read_up_to_with<R>(
        &self,
        context: &mut Context<'_>,
        limit: usize,
        take: impl FnOnce(&[u8]) -> R,
    ) -> Poll<io::Result<Option<R>>> {
        shared_buffer::with_buffer(|buffer| {
            let n = ready!(self.poll_read(context, &mut buffer[..limit]))?;
            Poll::Ready(Ok((n > 0).then(|| take(&buffer[..n]))))
        })
    }

    /// [`readable`](Self::readable), for futures written by hand.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let source = &self.source;
        source.poll_io(context, Direction::Read, raw::ready_to_read)
    }

    /// Reads into `room` bytes.
    async fn read_into(
        &self,
        room: usize,
        mut read: impl FnMut(&Descriptor<S>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        const { assert!(S::READABLE, "this stream cannot be read") };
        // On some systems a read of 0 bytes would block.
        if room == 0 {
            poll_fn(poll_budget).await;
            return Ok(0);
        }
        let source = &self.source;
        let read = source.io(Direction::Read, |fd| after_read(source, read(fd)?, room));
        read.await
    }

    #[inline(always)]
    fn poll_read_into(
        &self,
        context: &mut Context<'_>,
        room: usize,
        mut read: impl FnMut(&Descriptor<S>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        const { assert!(S::READABLE, "this stream cannot be read") };
        if room == 0 {
            return poll_budget(context).map(|()| Ok(0));
        }
        let source = &self.source;
        source.poll_io(context, Direction::Read, |fd| {
            after_read(source, read(fd)?, room)
        })
    }
}

/// The error of a peer that has ended writing too early.
pub(crate) fn ended_early(missing: usize) -> io::Error {
    let text = format!("the peer has ended writing; {missing} bytes are missing");
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

/// The future of [`ByteStream::read`]. A method of a named type can be inlined into the task that
/// awaits it, which saves a tenth of the instructions of an echo.
struct Read<'a, 'b, S: Stream> {
    waiting: Waiting<'a, Descriptor<S>>,
    buffer: &'b mut [u8],
}

impl<S: Stream> Future for Read<'_, '_, S> {
    type Output = io::Result<usize>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Read { waiting, buffer } = &mut *self;
        if buffer.is_empty() {
            ready!(poll_budget(context));
            return Poll::Ready(Ok(0));
        }
        let (source, room) = (waiting.source(), buffer.len());
        waiting.poll_io(context, |fd| {
            after_read(source, raw::read(fd, buffer)?, room)
        })
    }
}

/// The future of [`ByteStream::read_with`].
struct ReadWith<'a, S: Stream, F> {
    waiting: Waiting<'a, Descriptor<S>>,
    limit: usize,
    /// `Some` until the future is ready.
    take: Option<F>,
}

// The closure is never pinned.
impl<S: Stream, F> Unpin for ReadWith<'_, S, F> {}

impl<S: Stream, R, F: FnOnce(&[u8]) -> R> Future for ReadWith<'_, S, F> {
    type Output = io::Result<Option<R>>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ReadWith {
            waiting,
            limit,
            take,
        } = &mut *self;
        shared_buffer::with_buffer(|buffer| {
            let buffer = &mut buffer[..*limit];
            let (source, room) = (waiting.source(), buffer.len());
            let read = waiting.poll_io(context, |fd| {
                after_read(source, raw::read(fd, buffer)?, room)
            });
            let n = ready!(read)?;
            let take = take.take().expect("not polled after it was ready");
            Poll::Ready(Ok((n > 0).then(|| take(&buffer[..n]))))
        })
    }
}

/// Marks the source not ready after a short read, if a short read proves that no bytes are left.
#[inline(always)]
fn after_read<S: Stream>(
    source: &Source<Descriptor<S>>,
    n: usize,
    room: usize,
) -> io::Result<usize> {
    if S::SHORT_READ_IS_ALL && 0 < n && n < room {
        source.exhausted(Direction::Read);
    }
    Ok(n)
}
