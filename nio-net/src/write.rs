//! Writing to streams.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use nio_loop::{Direction, Source, Waiting, poll_budget};

use crate::{ByteStream, Stream, raw, stream::Descriptor};

/// How long a write waits when the system has no memory (ENOBUFS). A timer is needed because no event reports
/// that there is memory again: the socket itself may be writable all the time.
const NO_BUFFERS_PAUSE: Duration = Duration::from_millis(1);

/// Writing.
impl<S: Stream> ByteStream<S> {
    /// Writes as many bytes as there is room for, or waits for room, and returns how many. If the future is
    /// dropped, nothing has been written.
    ///
    /// # Errors
    ///
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) or
    /// [`ConnectionReset`](io::ErrorKind::ConnectionReset) if the peer is gone.
    #[doc(alias = "send")]
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_with(|fd| self.send(fd, bytes)).await
    }

    /// As [`write`](Self::write), of several pieces in one system call.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    #[doc(alias = "cork")]
    #[doc(alias = "writev")]
    pub async fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(|fd| self.send_vectored(fd, pieces)).await
    }

    /// Writes everything. If the future is dropped, a part of it may have been written.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write). It is not known how many bytes were written before.
    #[doc(alias = "socket.write")]
    #[doc(alias = "uv_write")]
    #[doc(alias = "drain")]
    pub fn write_all(&self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> {
        const { assert!(S::WRITABLE, "this stream cannot be written") };
        WriteAll {
            waiting: self.source.waiting(Direction::Write),
            bytes,
        }
    }

    /// Writes all bytes of several pieces. It changes `pieces` to keep count; their content afterwards is not
    /// defined. If the future is dropped, a part may have been written.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// use std::io::IoSlice;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
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
    /// As [`write`](Self::write). It is not known how many bytes were written before.
    pub async fn write_all_vectored(&self, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        // A write of only empty pieces would return 0, which means an end.
        IoSlice::advance_slices(&mut pieces, 0);
        if pieces.is_empty() {
            poll_fn(poll_budget).await;
        }
        while !pieces.is_empty() {
            match self.write_vectored(pieces).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => IoSlice::advance_slices(&mut pieces, n),
            }
        }
        Ok(())
    }

    /// Waits until a write would not block: there is room, or an error. It calls poll(2) each time, and may be
    /// ready in several tasks for the same room.
    ///
    /// # Errors
    ///
    /// Those of poll(2); if the loop is gone. An error of the stream is left to the write.
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> {
        self.source.io(Direction::Write, raw::ready_to_write)
    }

    /// As [`write`](Self::write), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none; those of
    /// [`write`](Self::write).
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_with(|fd| self.send(fd, bytes))
    }

    /// Writes as many bytes as there is room for, and returns a copy of the others, to be written by
    /// [`write_all`](Self::write_all). Usually there are none, and then it allocates nothing.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write).
    #[doc(alias = "uv_try_write")]
    pub fn try_write_all(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(bytes.to_vec()),
            written => Ok(bytes[written?..].to_vec()),
        }
    }

    /// As [`write_vectored`](Self::write_vectored), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.try_write_with(|fd| self.send_vectored(fd, pieces))
    }

    /// [`write`](Self::write), for futures written by hand.
    #[inline]
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(context, |fd| self.send(fd, bytes))
    }

    /// [`write_vectored`](Self::write_vectored), for futures written by hand.
    pub fn poll_write_vectored(
        &self,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(context, |fd| self.send_vectored(fd, pieces))
    }

    /// [`writable`](Self::writable), for futures written by hand.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let source = &self.source;
        source.poll_io(context, Direction::Write, raw::ready_to_write)
    }

    #[inline(always)]
    fn send(&self, fd: &Descriptor<S>, bytes: &[u8]) -> io::Result<usize> {
        sent(&self.source, raw::send(fd, bytes), bytes.len())
    }

    fn send_vectored(&self, fd: &Descriptor<S>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let len = raw::room_of(pieces.iter().map(|piece| piece.len()));
        sent(&self.source, raw::send_vectored(fd, pieces), len)
    }

    /// Writes by an operation that passes its result to [`sent`].
    pub(crate) async fn write_with(
        &self,
        write: impl FnMut(&Descriptor<S>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        const { assert!(S::WRITABLE, "this stream cannot be written") };
        self.source.io(Direction::Write, write).await
    }

    fn try_write_with(
        &self,
        write: impl FnOnce(&Descriptor<S>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        const { assert!(S::WRITABLE, "this stream cannot be written") };
        self.source.try_io(Direction::Write, write)
    }

    #[inline(always)]
    fn poll_write_with(
        &self,
        context: &mut Context<'_>,
        write: impl FnMut(&Descriptor<S>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        const { assert!(S::WRITABLE, "this stream cannot be written") };
        self.source.poll_io(context, Direction::Write, write)
    }
}

/// The future of [`ByteStream::write_all`]: as [`read`](ByteStream::read)'s, it can be inlined.
struct WriteAll<'a, 'b, S: Stream> {
    waiting: Waiting<'a, Descriptor<S>>,
    bytes: &'b [u8],
}

impl<S: Stream> Future for WriteAll<'_, '_, S> {
    type Output = io::Result<()>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let WriteAll { waiting, bytes } = &mut *self;
        if bytes.is_empty() {
            ready!(poll_budget(context));
            return Poll::Ready(Ok(()));
        }
        let source = waiting.source();
        waiting.poll_io(context, |fd| {
            let n = raw::send(fd, bytes).map_err(|error| not_sent(source, error))?;
            *bytes = bytes.get(n..).unwrap_or_default();
            match bytes.is_empty() {
                true => Ok(()),
                false => Err(sent_less(n)),
            }
        })
    }
}

/// Handles the result of a write of `len` bytes. After a partial write there is no room left.
#[inline(always)]
pub(crate) fn sent<S: Stream>(
    source: &Source<Descriptor<S>>,
    result: io::Result<usize>,
    len: usize,
) -> io::Result<usize> {
    match result {
        Ok(n) => {
            if 0 < n && n < len {
                source.exhausted(Direction::Write);
            }
            Ok(n)
        }
        Err(error) => Err(not_sent(source, error)),
    }
}

/// Marks the source not ready after a partial write: there is no room left.
#[cold]
fn sent_less(n: usize) -> io::Error {
    match n {
        0 => io::ErrorKind::WriteZero.into(),
        _ => io::ErrorKind::WouldBlock.into(),
    }
}

/// Handles an error of a write: if the system has no memory, the write would block until a pause is over.
#[cold]
pub(crate) fn not_sent<S: Stream>(source: &Source<Descriptor<S>>, error: io::Error) -> io::Error {
    if error.raw_os_error() != Some(libc::ENOBUFS) {
        return error;
    }
    match source.pause(Direction::Write, NO_BUFFERS_PAUSE) {
        Ok(()) => io::ErrorKind::WouldBlock.into(),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use nio_loop::EventLoop;

    use super::*;
    use crate::UnixStream;

    const NO_BUFFERS: i32 = libc::ENOBUFS;

    /// Runs a write of five bytes to a stream for which the system has no memory at first, and returns
    /// how often it was tried.
    fn tries_of_a_write(without_memory: u32, by_hand: bool) -> u32 {
        let mut event_loop = EventLoop::new().unwrap();
        let (stream, _other) = UnixStream::pair(&event_loop.handle()).unwrap();
        let mut tries = 0;
        let mut write = |_: &Descriptor<_>| {
            tries += 1;
            let result = match tries > without_memory {
                true => Ok(5),
                false => Err(io::Error::from_raw_os_error(NO_BUFFERS)),
            };
            sent(&stream.source, result, 5)
        };
        let written = event_loop.block_on(async {
            match by_hand {
                true => poll_fn(|context| stream.poll_write_with(context, &mut write)).await,
                false => stream.write_with(&mut write).await,
            }
        });
        assert_eq!(written.unwrap().unwrap(), 5);
        tries
    }

    #[test]
    fn l65_a_write_that_finds_no_memory_is_tried_again_a_little_later() {
        for by_hand in [false, true] {
            assert_eq!(tries_of_a_write(0, by_hand), 1);
            assert_eq!(tries_of_a_write(3, by_hand), 4);
        }
    }

    #[test]
    fn l65_to_a_write_that_does_not_wait_no_memory_is_no_room() {
        let event_loop = EventLoop::new().unwrap();
        let (stream, _other) = UnixStream::pair(&event_loop.handle()).unwrap();
        let fails = |error: io::Error| {
            let write = |_: &Descriptor<_>| sent(&stream.source, Err(error), 5);
            stream.try_write_with(write).unwrap_err()
        };
        let error = fails(io::ErrorKind::BrokenPipe.into());
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let error = fails(io::Error::from_raw_os_error(NO_BUFFERS));
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
