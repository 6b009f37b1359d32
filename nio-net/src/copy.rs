//! Copying between two streams, in both directions at once: what a proxy does.
//!
//! The laws:
//!
//! 1. The directions are independent. When one side has finished, the other reads the end, behind
//!    everything that came before; the direction back goes on.
//! 2. An error ends both. What was read and not yet written is lost then, as when the future is
//!    dropped.
//! 3. A direction has one buffer, of [`BUFFER`] bytes, and reads nothing before that is written:
//!    a slow receiver slows down its sender.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    net::Shutdown,
    task::{Context, Poll, ready},
};

use crate::{ByteStream, Readable, Writable};

/// How much is read at once in each direction. Four times as much is not noticeably faster, and a
/// proxy has two of them for each connection.
const BUFFER: usize = 16 * 1024;

/// A direction between two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the first stream to the second.
    Forth,
    /// From the second stream to the first.
    Back,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Forth => "from the first to the second",
            Way::Back => "from the second to the first",
        })
    }
}

/// Where and how copying failed. Converts into an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The stream that the direction comes from could not be read.
    #[error("reading on the way {way}: {source}")]
    Read {
        /// The direction.
        way: Way,
        /// What the system said.
        source: io::Error,
    },
    /// The stream that the direction leads to could not be written.
    #[error("writing on the way {way}: {source}")]
    Write {
        /// The direction.
        way: Way,
        /// What the system said.
        source: io::Error,
    },
}

impl CopyError {
    /// The direction that failed.
    #[must_use]
    pub fn way(&self) -> Way {
        match self {
            CopyError::Read { way, .. } | CopyError::Write { way, .. } => *way,
        }
    }
}

impl From<CopyError> for io::Error {
    fn from(error: CopyError) -> io::Error {
        let (CopyError::Read { source, .. } | CopyError::Write { source, .. }) = &error;
        io::Error::new(source.kind(), error)
    }
}

/// Copies what each of two streams reads to the other, until both have finished, and returns how
/// many bytes went [forth and back](Way).
///
/// # Errors
///
/// [`CopyError`] with the direction; the other one has ended, too.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::{UnixStream, copy_bidirectional};
/// # use std::net::Shutdown;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle().clone();
/// let (client, from_client) = UnixStream::pair(&handle)?;
/// let (server, to_server) = UnixStream::pair(&handle)?;
/// let proxy = handle.spawn(async move { copy_bidirectional(&from_client, &to_server).await });
///
/// # event_loop.block_on(async move {
/// client.write_all(b"question").await?;
/// client.shutdown(Shutdown::Write)?;
/// let (mut question, mut answer) = (Vec::new(), Vec::new());
/// server.read_to_end(&mut question, 100).await?; // the end has come, too
/// server.write_all(b"answer").await?;
/// drop(server);
/// client.read_to_end(&mut answer, 100).await?;
/// assert_eq!((&question[..], &answer[..]), (&b"question"[..], &b"answer"[..]));
/// assert_eq!(proxy.await??, (8, 6));
/// # Ok(())
/// # })?
/// # }
/// ```
pub fn copy_bidirectional<A, B>(
    first: &ByteStream<A>,
    second: &ByteStream<B>,
) -> impl Future<Output = Result<(u64, u64), CopyError>>
where
    A: Readable + Writable,
    B: Readable + Writable,
{
    copy_bidirectional_with(first, second, |_, _| {})
}

/// As [`copy_bidirectional`], and tells of each write that has succeeded: its direction, and how
/// many bytes it took; and of the end of each direction, when it is passed on, by 0 bytes. For
/// statistics, and for the timeout of a connection where nothing happens: see [`Idle`](crate::Idle).
///
/// # Errors
///
/// As [`copy_bidirectional`].
pub fn copy_bidirectional_with<A, B>(
    first: &ByteStream<A>,
    second: &ByteStream<B>,
    mut written: impl FnMut(Way, usize),
) -> impl Future<Output = Result<(u64, u64), CopyError>>
where
    A: Readable + Writable,
    B: Readable + Writable,
{
    let (mut forth, mut back) = (Copying::new(Way::Forth), Copying::new(Way::Back));
    poll_fn(move |context| {
        let one = forth.poll(context, first, second, &mut written)?;
        let other = back.poll(context, second, first, &mut written)?;
        ready!(one);
        ready!(other);
        Poll::Ready(Ok((forth.copied, back.copied)))
    })
}

/// One direction.
struct Copying {
    way: Way,
    buffer: Vec<u8>,
    /// How much of the buffer is written.
    start: usize,
    copied: u64,
    finished: bool,
}

impl Copying {
    fn new(way: Way) -> Copying {
        Copying {
            way,
            buffer: Vec::with_capacity(BUFFER),
            start: 0,
            copied: 0,
            finished: false,
        }
    }

    /// Copies until something has to be waited for, or the end is passed on.
    fn poll<A: Readable, B: Writable>(
        &mut self,
        context: &mut Context<'_>,
        from: &ByteStream<A>,
        to: &ByteStream<B>,
        written: &mut impl FnMut(Way, usize),
    ) -> Poll<Result<(), CopyError>> {
        let way = self.way;
        let read_error = |source| CopyError::Read { way, source };
        let write_error = |source| CopyError::Write { way, source };
        while !self.finished {
            if self.start < self.buffer.len() {
                let write = to.poll_write(context, &self.buffer[self.start..]);
                let n = ready!(write).map_err(write_error)?;
                self.start += n;
                self.copied += n as u64;
                written(way, n);
                continue;
            }
            self.buffer.clear();
            self.start = 0;
            let read = from.poll_read_buf(context, &mut self.buffer, BUFFER);
            if ready!(read).map_err(read_error)? == 0 {
                self.finished = true;
                finish(to).map_err(write_error)?;
                written(way, 0);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Says that nothing more is written. A pipe, which has no such call, ends when it is dropped.
pub(crate) fn finish<S: Writable>(stream: &ByteStream<S>) -> io::Result<()> {
    if !S::SOCKET {
        return Ok(());
    }
    match stream.shut_down(Shutdown::Write) {
        // A connection that is gone has finished already.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}
