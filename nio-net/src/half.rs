//! The halves of a stream.
//!
//! A stream needs no splitting to be read and written at once; its halves are for code that is to do
//! one of both, and for an end of writing that comes by itself.

use std::{
    error, fmt,
    future::Future,
    io::{self, IoSlice, IoSliceMut},
    net::Shutdown,
    ops::Deref,
    rc::Rc,
    task::{Context, Poll},
};

use crate::{ByteStream, Readable, Socket, Writable};

/// The half of a stream that reads: [borrowed](ByteStream::split), `P` being a reference to the
/// stream, or [owned](ByteStream::into_split), `P` being an [`Rc`] of it.
pub struct ReadHalf<P>(P);

/// The half of a stream that writes, borrowed or owned as [`ReadHalf`]. When an owned one is dropped,
/// the other side reads the end.
pub struct WriteHalf<P: Owner> {
    stream: P,
    /// Whether dropping it says that nothing more is written.
    finishes: bool,
}

/// The half of a stream that reads, owned.
pub type OwnedReadHalf<S> = ReadHalf<Rc<ByteStream<S>>>;

/// The half of a stream that writes, owned: when it is dropped, the other side reads the end.
pub type OwnedWriteHalf<S> = WriteHalf<Rc<ByteStream<S>>>;

/// What a half holds its stream by.
pub trait Owner {
    /// Says that the half that writes is gone.
    #[doc(hidden)]
    fn finish(&self);
}

impl<S: Writable> Owner for &ByteStream<S> {
    fn finish(&self) {}
}

impl<S: Socket + Writable> Owner for Rc<ByteStream<S>> {
    fn finish(&self) {
        // A connection that is gone has finished already.
        let _ = self.shut_down(Shutdown::Write);
    }
}

/// Two halves that are not of the same stream, given back by [`reunite`](OwnedReadHalf::reunite).
pub struct ReuniteError<S: Socket + Writable>(
    /// The half that reads.
    pub OwnedReadHalf<S>,
    /// The half that writes.
    pub OwnedWriteHalf<S>,
);

/// Halves.
impl<S: Socket + Readable + Writable> ByteStream<S> {
    /// Two halves that borrow the stream: one reads, the other writes.
    #[must_use]
    pub fn split(&self) -> (ReadHalf<&ByteStream<S>>, WriteHalf<&ByteStream<S>>) {
        (ReadHalf(self), WriteHalf::new(self))
    }

    /// Two halves that own the stream: for two tasks. The other side reads the end when the half
    /// that writes is dropped; the connection is closed when both are.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle().clone();
    /// # event_loop.block_on(async {
    /// # let (stream, other) = UnixStream::pair(&handle)?;
    /// let (reader, writer) = stream.into_split();
    /// handle.spawn(async move { writer.write_all(b"question").await });
    /// # other.read_exact(&mut [0; 8]).await?;
    /// # other.write_all(b"answer").await?;
    /// # drop(other);
    /// let mut answer = Vec::new();
    /// reader.read_to_end(&mut answer, 1000).await?;
    /// # assert_eq!(answer, b"answer");
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
        let stream = Rc::new(self);
        (ReadHalf(Rc::clone(&stream)), WriteHalf::new(stream))
    }
}

impl<S: Socket + Writable> OwnedReadHalf<S> {
    /// Makes a stream of its two halves again. The other side reads no end.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] with the halves if they are not of one stream.
    pub fn reunite(self, mut writer: OwnedWriteHalf<S>) -> Result<ByteStream<S>, ReuniteError<S>> {
        if !Rc::ptr_eq(&self.0, &writer.stream) {
            return Err(ReuniteError(self, writer));
        }
        writer.finishes = false;
        drop(writer);
        Ok(Rc::into_inner(self.0).expect("there is no third half"))
    }
}

/// What the whole stream can do, too.
impl<S: Readable + 'static, P: Deref<Target = ByteStream<S>>> ReadHalf<P> {
    /// See [`ByteStream::read`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn read(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        self.0.read(buffer)
    }

    /// See [`ByteStream::read_vectored`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn read_vectored(
        &self,
        buffers: &mut [IoSliceMut<'_>],
    ) -> impl Future<Output = io::Result<usize>> {
        self.0.read_vectored(buffers)
    }

    /// See [`ByteStream::read_buf`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn read_buf(&self, buffer: &mut Vec<u8>) -> impl Future<Output = io::Result<usize>> {
        self.0.read_buf(buffer)
    }

    /// See [`ByteStream::read_exact`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn read_exact(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<()>> {
        self.0.read_exact(buffer)
    }

    /// See [`ByteStream::read_to_end`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn read_to_end(
        &self,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> impl Future<Output = io::Result<usize>> {
        self.0.read_to_end(buffer, limit)
    }

    /// See [`ByteStream::readable`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> {
        self.0.readable()
    }

    /// See [`ByteStream::try_read`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }

    /// See [`ByteStream::poll_read`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read(context, buffer)
    }
}

impl<P: Owner> WriteHalf<P> {
    fn new(stream: P) -> WriteHalf<P> {
        let finishes = true;
        WriteHalf { stream, finishes }
    }
}

/// What the whole stream can do, too.
impl<S: Writable + 'static, P: Owner + Deref<Target = ByteStream<S>>> WriteHalf<P> {
    /// See [`ByteStream::write`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn write(&self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>> {
        self.stream.write(bytes)
    }

    /// See [`ByteStream::write_vectored`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn write_vectored(
        &self,
        pieces: &[IoSlice<'_>],
    ) -> impl Future<Output = io::Result<usize>> {
        self.stream.write_vectored(pieces)
    }

    /// See [`ByteStream::write_all`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn write_all(&self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> {
        self.stream.write_all(bytes)
    }

    /// See [`ByteStream::write_all_vectored`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn write_all_vectored<'a>(
        &'a self,
        pieces: &'a mut [IoSlice<'_>],
    ) -> impl Future<Output = io::Result<()>> {
        self.stream.write_all_vectored(pieces)
    }

    /// See [`ByteStream::writable`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> {
        self.stream.writable()
    }

    /// See [`ByteStream::try_write`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.try_write(bytes)
    }

    /// See [`ByteStream::poll_write`].
    ///
    /// # Errors
    ///
    /// As the method of the stream.
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.poll_write(context, bytes)
    }
}

/// The rest of what a stream can do: its addresses, its options.
impl<S: Readable + 'static, P: Deref<Target = ByteStream<S>>> AsRef<ByteStream<S>> for ReadHalf<P> {
    fn as_ref(&self) -> &ByteStream<S> {
        &self.0
    }
}

/// The rest of what a stream can do: its addresses, its options, its shutdown.
impl<S: Writable, P: Owner + Deref<Target = ByteStream<S>>> AsRef<ByteStream<S>> for WriteHalf<P> {
    fn as_ref(&self) -> &ByteStream<S> {
        &self.stream
    }
}

impl<P: Owner> Drop for WriteHalf<P> {
    fn drop(&mut self) {
        if self.finishes {
            self.stream.finish();
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for ReadHalf<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadHalf").field(&self.0).finish()
    }
}

impl<P: Owner + fmt::Debug> fmt::Debug for WriteHalf<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteHalf").field(&self.stream).finish()
    }
}

impl<S: Socket + Writable> fmt::Debug for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReuniteError")
    }
}

impl<S: Socket + Writable> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are not of one stream")
    }
}

impl<S: Socket + Writable> error::Error for ReuniteError<S> {}
