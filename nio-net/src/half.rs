//! The owned halves of a stream, for two tasks.
//!
//! A stream can be read and written at the same time without being split: every operation takes `&self`. The
//! halves add one thing: dropping the write half ends writing.

use std::{error, fmt, ops::Deref, rc::Rc};

use crate::{ByteStream, Stream};

/// The read half of a stream, made by [`ByteStream::into_split`]. It dereferences to the
/// stream.
pub struct OwnedReadHalf<S: Stream>(Rc<ByteStream<S>>);

/// The write half of a stream, made by [`ByteStream::into_split`]. It dereferences to the
/// stream. When it is dropped the peer reads the end.
pub struct OwnedWriteHalf<S: Stream> {
    stream: Rc<ByteStream<S>>,
    /// Whether dropping it ends writing; not so when the halves are reunited.
    ends_writing: bool,
}

impl<S: Stream> ByteStream<S> {
    /// Splits the stream into two owned halves, for two tasks. The peer reads the end when the write half is
    /// dropped; the connection is closed when both halves are.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
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
    #[doc(alias = "split")]
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
        let stream = Rc::new(self);
        let reader = OwnedReadHalf(Rc::clone(&stream));
        let ends_writing = true;
        (
            reader,
            OwnedWriteHalf {
                stream,
                ends_writing,
            },
        )
    }
}

impl<S: Stream> OwnedReadHalf<S> {
    /// Makes one stream of its two halves again. Writing does not end.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] with the halves if they are not of one stream.
    pub fn reunite(self, mut writer: OwnedWriteHalf<S>) -> Result<ByteStream<S>, ReuniteError<S>> {
        if !Rc::ptr_eq(&self.0, &writer.stream) {
            return Err(ReuniteError(self, writer));
        }
        writer.ends_writing = false;
        drop(writer);
        Ok(Rc::into_inner(self.0).expect("a stream has two halves"))
    }
}

impl<S: Stream> OwnedWriteHalf<S> {
    /// Drops the half without ending writing: the connection stays open for writing until the read half is
    /// dropped.
    pub fn forget(mut self) {
        self.ends_writing = false;
    }
}

impl<S: Stream> Deref for OwnedReadHalf<S> {
    type Target = ByteStream<S>;

    fn deref(&self) -> &ByteStream<S> {
        &self.0
    }
}

impl<S: Stream> Deref for OwnedWriteHalf<S> {
    type Target = ByteStream<S>;

    fn deref(&self) -> &ByteStream<S> {
        &self.stream
    }
}

impl<S: Stream> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.ends_writing {
            // On an error the connection is gone, and writing has ended.
            let _ = self.stream.end_writing();
        }
    }
}

/// Two halves of different streams, given back by [`OwnedReadHalf::reunite`].
pub struct ReuniteError<S: Stream>(
    /// The read half.
    pub OwnedReadHalf<S>,
    /// The write half.
    pub OwnedWriteHalf<S>,
);

impl<S: Stream + fmt::Debug> fmt::Debug for OwnedReadHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedReadHalf").field(&self.0).finish()
    }
}

impl<S: Stream + fmt::Debug> fmt::Debug for OwnedWriteHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedWriteHalf").field(&self.stream).finish()
    }
}

impl<S: Stream> fmt::Debug for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReuniteError")
    }
}

impl<S: Stream> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are not of one stream")
    }
}

impl<S: Stream> error::Error for ReuniteError<S> {}
