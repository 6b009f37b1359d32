//! Copying between two streams, in one direction or in both, as a proxy does.
//!
//! The laws:
//!
//! 1. The directions are independent. When one side half-closes, the other reads the end after all bytes
//!    that came before; the other direction goes on.
//! 2. An error ends both. Bytes that were read and not yet written are lost then, as when the future
//!    is dropped.
//! 3. A direction reads at most [`BUFFER`] bytes, and reads again when all of them are written: a slow
//!    receiver slows down its sender (backpressure).
//! 4. Bytes are read into the shared buffer of the thread. A direction has memory of its own only for bytes that
//!    could not be written at once: a proxy keeps none for connections that are idle.

use std::{cell::RefCell, fmt, io};

use crate::{ByteStream, Stream, both::try_both};

/// How many bytes are read at once. Four times as many are not noticeably faster, and must be kept for a slow
/// receiver.
const BUFFER: usize = 16 * 1024;

/// A direction of copying between two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the first stream, A, to the second, B.
    AToB,
    /// From the second stream, B, to the first, A.
    BToA,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::AToB => "from A to B",
            Way::BToA => "from B to A",
        })
    }
}

/// Where and how copying failed. Converts into an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The stream could not be read.
    #[error("copying {way}: cannot read: {source}")]
    Read {
        /// The direction.
        way: Way,
        /// The system's error.
        source: io::Error,
    },
    /// The stream could not be written.
    #[error("copying {way}: cannot write: {source}")]
    Write {
        /// The direction.
        way: Way,
        /// The system's error.
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

/// Copies the bytes that come from a stream to another, until the first has ended writing, and returns
/// how many. The second can be written to afterwards.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::{UnixStream, copy};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// # event_loop.block_on(async {
/// # let (from, sender) = UnixStream::pair(&handle)?;
/// # let (to, receiver) = UnixStream::pair(&handle)?;
/// # sender.write_all(b"hello").await?;
/// # drop(sender);
/// assert_eq!(copy(&from, &to).await?, 5);
/// to.write_all(b", and more").await?;
/// # receiver.read_exact(&mut [0; 15]).await?;
/// # Ok(())
/// # })?
/// # }
/// ```
///
/// # Errors
///
/// [`CopyError`]: the first stream is A, the second is B. Bytes that were read and not yet written are
/// lost then, as when the future is dropped.
#[doc(alias = "pipe")]
#[doc(alias = "pipeline")]
pub async fn copy<A: Stream, B: Stream>(
    from: &ByteStream<A>,
    to: &ByteStream<B>,
) -> Result<u64, CopyError> {
    transfer(Way::AToB, from, to, &|_, _| {}).await
}

/// Copies the bytes that come from each of two streams to the other, until both have ended writing,
/// and returns how many bytes went [each way](Way).
///
/// # Errors
///
/// [`CopyError`] with the direction. The other direction has ended, too.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::{UnixStream, copy_bidirectional};
/// # use std::net::Shutdown;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
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
#[doc(alias = "proxy")]
pub async fn copy_bidirectional<A, B>(
    first: &ByteStream<A>,
    second: &ByteStream<B>,
) -> Result<(u64, u64), CopyError>
where
    A: Stream,
    B: Stream,
{
    copy_bidirectional_with(first, second, |_, _| {}).await
}

/// As [`copy_bidirectional`], and calls `written` after each write, with the direction and how many
/// bytes it took, and with 0 bytes when the end of a direction is passed on. For statistics, and for
/// timeouts of idle connections: see [`Idle`](crate::Idle).
///
/// # Errors
///
/// As [`copy_bidirectional`].
pub async fn copy_bidirectional_with<A, B>(
    first: &ByteStream<A>,
    second: &ByteStream<B>,
    written: impl FnMut(Way, usize),
) -> Result<(u64, u64), CopyError>
where
    A: Stream,
    B: Stream,
{
    let written = RefCell::new(written);
    let written = |way, n| (written.borrow_mut())(way, n);
    let a_to_b = pass(Way::AToB, first, second, &written);
    let b_to_a = pass(Way::BToA, second, first, &written);
    try_both(a_to_b, b_to_a).await
}

/// Copies one direction, until its end is passed on.
async fn pass<A: Stream, B: Stream>(
    way: Way,
    from: &ByteStream<A>,
    to: &ByteStream<B>,
    written: &impl Fn(Way, usize),
) -> Result<u64, CopyError> {
    let copied = transfer(way, from, to, written).await?;
    let ended = to.end_writing();
    ended.map_err(|source| CopyError::Write { way, source })?;
    written(way, 0);
    Ok(copied)
}

/// Copies bytes until the end.
async fn transfer<A: Stream, B: Stream>(
    way: Way,
    from: &ByteStream<A>,
    to: &ByteStream<B>,
    written: &impl Fn(Way, usize),
) -> Result<u64, CopyError> {
    let write_error = |source| CopyError::Write { way, source };
    let mut copied = 0;
    let mut count = |n: usize| {
        copied += n as u64;
        written(way, n);
    };
    loop {
        let read = from.read_up_to_with(BUFFER, |bytes| (bytes.len(), to.try_write_all(bytes)));
        let read = read
            .await
            .map_err(|source| CopyError::Read { way, source })?;
        let Some((len, left)) = read else {
            return Ok(copied);
        };
        let left = left.map_err(write_error)?;
        if left.len() < len {
            count(len - left.len());
        }
        let mut left = &left[..];
        while !left.is_empty() {
            let n = to.write(left).await.map_err(write_error)?;
            left = &left[n..];
            count(n);
        }
    }
}
