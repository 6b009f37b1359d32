//! Buffered reading, of lines and of pieces up to a delimiter.
//!
//! The laws:
//!
//! 1. A byte is taken out of the buffer only by a call that returns it. A call that fails, or whose future
//!    is dropped, takes nothing: another call finds the bytes.
//! 2. The buffer grows to no more than the limit of a call and [`CHUNK`] bytes.
//! 3. Pieces that are already in the buffer draw on the task's budget, too.

use std::{
    fmt,
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use nio_loop::poll_budget;

use crate::{ByteStream, OwnedReadHalf, OwnedWriteHalf, Stream};

/// How many bytes are read at once: several lines of a protocol.
const CHUNK: usize = 8 * 1024;

/// A stream, or a value that has one: a half, an [`Rc`] or a reference of it.
pub trait AsStream {
    /// The stream's descriptor.
    type Stream: Stream;

    /// The stream.
    fn as_stream(&self) -> &ByteStream<Self::Stream>;
}

impl<S: Stream> AsStream for ByteStream<S> {
    type Stream = S;

    fn as_stream(&self) -> &ByteStream<S> {
        self
    }
}

/// Implements [`AsStream`] for a type that dereferences to a stream.
macro_rules! by_deref {
    ($($type:ty: $parameter:ident $bound:path, $stream:ty;)*) => {$(
        impl<$parameter: $bound> AsStream for $type {
            type Stream = $stream;

            fn as_stream(&self) -> &ByteStream<$stream> {
                (**self).as_stream()
            }
        }
    )*};
}

by_deref! {
    OwnedReadHalf<S>: S Stream, S;
    OwnedWriteHalf<S>: S Stream, S;
    Rc<T>: T AsStream, T::Stream;
    &T: T AsStream, T::Stream;
}

/// Reads a stream by lines, or by pieces that end with a delimiter. It owns the stream, a half, an
/// [`Rc`] or a reference of it; writing needs no buffer and goes to the stream itself.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::UnixStream;
/// use nio_net::BufReader;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// # event_loop.block_on(async {
/// # let (stream, other) = UnixStream::pair(&handle)?;
/// # other.write_all(b"GET key\r\nQUIT\r\n").await?;
/// # other.shutdown(std::net::Shutdown::Write)?;
/// let mut reader = BufReader::new(stream);
/// // Lines of up to 8 KiB.
/// while let Some(line) = reader.read_line(8192).await? {
///     println!("{line}");
///     reader.get_ref().write_all(b"OK\r\n").await?;
///     # break;
/// }
/// # assert_eq!(reader.read_line(8192).await?, Some("QUIT"));
/// # other.shutdown(std::net::Shutdown::Write)?;
/// # assert_eq!(reader.read_line(8192).await?, None);
/// # Ok(())
/// # })?
/// # }
/// ```
///
/// Dropping a future of it loses no byte. While it waits it keeps its buffer, which never shrinks.
#[doc(alias = "readline")]
#[doc(alias = "AsyncBufRead")]
pub struct BufReader<R: AsStream> {
    stream: R,
    buffer: Vec<u8>,
    /// How many bytes of the buffer are taken.
    taken: usize,
}

impl<R: AsStream> BufReader<R> {
    /// A reader of a stream, with an empty buffer.
    pub fn new(stream: R) -> BufReader<R> {
        BufReader {
            stream,
            buffer: Vec::new(),
            taken: 0,
        }
    }

    /// The stream. Bytes that are read from it directly come after those in the buffer.
    pub fn get_ref(&self) -> &R {
        &self.stream
    }

    /// Returns the stream, and the bytes that were read and not taken.
    pub fn into_inner(mut self) -> (R, Vec<u8>) {
        self.drop_taken();
        (self.stream, self.buffer)
    }

    /// The bytes that were read and not taken.
    #[must_use]
    pub fn buffer(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Takes bytes out of the buffer.
    ///
    /// # Panics
    ///
    /// If the buffer has fewer.
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.buffer().len(), "more bytes than there are");
        self.taken += n;
    }

    /// Reads more bytes into the buffer, or waits for some. Returns false at the end of the stream. For
    /// protocols whose messages have no delimiter: look at the [`buffer`](Self::buffer), read more until
    /// there is a whole message, and [`consume`](Self::consume) it.
    ///
    /// # Errors
    ///
    /// As [`ByteStream::read`].
    #[doc(alias = "fill_buf")]
    pub async fn read_more(&mut self) -> io::Result<bool> {
        self.drop_taken();
        let BufReader { stream, buffer, .. } = self;
        let read = stream
            .as_stream()
            .read_up_to_with(CHUNK, |bytes| buffer.extend_from_slice(bytes));
        Ok(read.await?.is_some())
    }

    /// Reads as [`ByteStream::read`] does, out of the buffer first.
    ///
    /// # Errors
    ///
    /// As [`ByteStream::read`].
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.buffer().is_empty() {
            return self.stream.as_stream().read(buffer).await;
        }
        poll_fn(poll_budget).await;
        let n = buffer.len().min(self.buffer().len());
        buffer[..n].copy_from_slice(&self.buffer()[..n]);
        self.consume(n);
        Ok(n)
    }

    /// Reads exactly `len` bytes, such as the body of a message.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the peer ends writing before; those of
    /// [`ByteStream::read`]. The bytes that have arrived stay in the buffer.
    pub async fn read_exact(&mut self, len: usize) -> io::Result<&[u8]> {
        poll_fn(poll_budget).await;
        while self.buffer().len() < len {
            if !self.read_more().await? {
                let missing = len - self.buffer().len();
                return Err(crate::read::ended_early(missing));
            }
        }
        Ok(self.take(len))
    }

    /// Reads a piece that ends with a delimiter of one or more bytes, such as `b"\r\n\r\n"`, and
    /// returns it with the delimiter. At the end of the stream it returns the bytes after the last
    /// delimiter, or `None` if there are none.
    ///
    /// # Errors
    ///
    /// [`FileTooLarge`](io::ErrorKind::FileTooLarge) if the piece is longer than `limit` bytes, with the
    /// delimiter; those of [`ByteStream::read`]. The bytes that have arrived stay in the buffer.
    ///
    /// # Panics
    ///
    /// If the delimiter is empty.
    pub async fn read_until(
        &mut self,
        delimiter: &[u8],
        limit: usize,
    ) -> io::Result<Option<&[u8]>> {
        let len = self.piece(delimiter, limit).await?;
        Ok((len > 0).then(|| self.take(len)))
    }

    /// Reads a line, and returns it without its end, which is `\n` or `\r\n`. At the end of the stream
    /// it returns the text after the last line, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`FileTooLarge`](io::ErrorKind::FileTooLarge) if the line is longer than `limit` bytes, with its
    /// end; [`InvalidData`](io::ErrorKind::InvalidData) if it is not UTF-8; those of
    /// [`ByteStream::read`]. The bytes that have arrived stay in the buffer:
    /// [`read_until`](Self::read_until) takes a line whatever it contains.
    pub async fn read_line(&mut self, limit: usize) -> io::Result<Option<&str>> {
        let len = self.piece(b"\n", limit).await?;
        self.take_line(len)
    }

    /// The lines of the stream, one after the other, of up to `limit` bytes each. With the feature
    /// `futures-core` it is a `Stream`.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{BufReader, UnixStream};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// # let (stream, other) = UnixStream::pair(&handle)?;
    /// # other.write_all(b"one\ntwo").await?;
    /// # drop(other);
    /// let mut lines = BufReader::new(stream).lines(8192);
    /// let mut all = Vec::new();
    /// while let Some(line) = lines.next().await? {
    ///     all.push(line);
    /// }
    /// assert_eq!(all, ["one", "two"]);
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    pub fn lines(self, limit: usize) -> Lines<R> {
        let reader = self;
        Lines { reader, limit }
    }

    /// Reads until the buffer has a piece, and returns its length; 0 at the end.
    async fn piece(&mut self, delimiter: &[u8], limit: usize) -> io::Result<usize> {
        poll_fn(poll_budget).await;
        let mut searched = 0;
        loop {
            if let Some(len) = self.find(delimiter, limit, searched)? {
                return Ok(len);
            }
            searched = self.buffer().len();
            if !self.read_more().await? {
                return Ok(searched);
            }
        }
    }

    /// The length of the next piece, if the buffer has a whole one. The first bytes were searched before.
    fn find(&self, delimiter: &[u8], limit: usize, searched: usize) -> io::Result<Option<usize>> {
        assert!(!delimiter.is_empty(), "a delimiter without bytes");
        let buffer = self.buffer();
        let from = searched.saturating_sub(delimiter.len() - 1);
        let allowed = &buffer[from..buffer.len().min(limit).max(from)];
        let mut candidates = allowed.windows(delimiter.len());
        if let Some(at) = candidates.position(|bytes| bytes == delimiter) {
            return Ok(Some(from + at + delimiter.len()));
        }
        // At the limit itself, the end of the stream may follow.
        if buffer.len() > limit {
            let delimiter = delimiter.escape_ascii();
            let text = format!("\"{delimiter}\" has not come within the limit of {limit} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        Ok(None)
    }

    /// Takes a line of `len` bytes, with its end.
    fn take_line(&mut self, len: usize) -> io::Result<Option<&str>> {
        let bytes = &self.buffer()[..len];
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = line
            .strip_suffix(b"\r")
            .filter(|_| line.len() < len)
            .unwrap_or(line);
        let line = line.len();
        if let Err(error) = std::str::from_utf8(&bytes[..line]) {
            let text = format!("a line is not UTF-8 text: {error}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let text = std::str::from_utf8(&self.take(len)[..line]);
        Ok(text.ok().filter(|_| len > 0))
    }

    fn take(&mut self, len: usize) -> &[u8] {
        let start = self.taken;
        self.consume(len);
        &self.buffer[start..start + len]
    }

    fn drop_taken(&mut self) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
    }
}

impl<R: AsStream> fmt::Debug for BufReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufReader")
            .field("buffer", &self.buffer().len())
            .finish_non_exhaustive()
    }
}

/// The lines of a stream: see [`BufReader::lines`].
#[derive(Debug)]
pub struct Lines<R: AsStream> {
    reader: BufReader<R>,
    limit: usize,
}

impl<R: AsStream> Lines<R> {
    /// The next line, as [`BufReader::read_line`]; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of [`BufReader::read_line`].
    pub async fn next(&mut self) -> io::Result<Option<String>> {
        let line = self.reader.read_line(self.limit).await?;
        Ok(line.map(str::to_owned))
    }

    /// [`next`](Self::next), for futures written by hand.
    pub fn poll_next_line(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<String>>> {
        let Lines { reader, limit } = self;
        ready!(poll_budget(context));
        let mut searched = 0;
        let len = loop {
            if let Some(len) = reader.find(b"\n", *limit, searched)? {
                break len;
            }
            searched = reader.buffer().len();
            reader.drop_taken();
            let BufReader { stream, buffer, .. } = &mut *reader;
            let take = |bytes: &[u8]| buffer.extend_from_slice(bytes);
            let read = stream
                .as_stream()
                .poll_read_up_to_with(context, CHUNK, take);
            if ready!(read)?.is_none() {
                break searched;
            }
        };
        Poll::Ready(Ok(reader.take_line(len)?.map(str::to_owned)))
    }

    /// Returns the reader, with the bytes that are not a complete line yet.
    pub fn into_inner(self) -> BufReader<R> {
        self.reader
    }
}
