//! Closing a connection so that the peer gets everything that was written to it.
//!
//! The laws:
//!
//! 1. Closing a connection that has unread bytes resets it, and the reset may discard an answer that the peer
//!    has not read yet (RFC 9112, section 9.6). So this ends writing first, then reads and discards the bytes
//!    that still arrive (lingering close).
//! 2. The lingering has a limit in time and in bytes, whatever the peer does.

use std::{future::poll_fn, io, time::Duration};

use nio_loop::poll_budget;

use crate::{ByteStream, Stream};

/// Closing is safe after this time without a byte: on a usual connection, all bytes that the peer had sent
/// have arrived. An idle connection stays open for this long.
const QUIET: Duration = Duration::from_secs(1);

/// The limit on discarded bytes: a common limit on uploads, and little work. (RFC 9112 asks for a limit, but
/// names none.)
const DISCARDED: u64 = 64 << 20;

/// How much is read at once.
const BUFFER: usize = 16 * 1024;

impl<S: Stream> ByteStream<S> {
    /// Lingering close: ends writing, then reads and discards bytes until the peer ends writing, or until no
    /// byte has arrived for a second. So the peer gets all that was written. Drop the stream afterwards. If a
    /// read has already found the end, this returns at once.
    ///
    /// A server uses it after the answer to a request that it has not read completely.
    /// [`Server`](crate::Server) closes all connections this way.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// # let (stream, client) = UnixStream::pair(&handle)?;
    /// # client.write_all(&[0; 1000]).await?;
    /// # let client = handle.spawn(async move {
    /// #     let mut answer = Vec::new();
    /// #     client.read_to_end(&mut answer, 100).await.map(|_| answer)
    /// # });
    /// stream.write_all(b"413 Content Too Large").await?;
    /// stream.close_gracefully(Duration::from_secs(5)).await?;
    /// drop(stream);
    /// # assert_eq!(client.await??, b"413 Content Too Large");
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`TimedOut`](io::ErrorKind::TimedOut) if bytes still come after `limit`,
    /// [`FileTooLarge`](io::ErrorKind::FileTooLarge) after 64 MiB of them; those of
    /// [`read`](Self::read). Drop the stream then, too.
    #[doc(alias("lingering_close", "destroySoon", "shutdown"))]
    pub async fn close_gracefully(&self, limit: Duration) -> io::Result<()> {
        const { assert!(S::SOCKET, "only a socket is closed gracefully") };
        poll_fn(poll_budget).await;
        self.end_writing()?;
        if self.read_has_ended() {
            return Ok(());
        }
        self.handle().timeout(limit, self.discard()).await?
    }

    /// Reads and discards bytes, until the end or until none has arrived for [`QUIET`].
    async fn discard(&self) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(BUFFER);
        let mut left = DISCARDED;
        loop {
            buffer.clear();
            let read = self.read_buf(&mut buffer);
            let n = match self.handle().timeout(QUIET, read).await {
                Ok(read) => read? as u64,
                Err(_) => return Ok(()),
            };
            if n == 0 {
                return Ok(());
            }
            left = left.checked_sub(n).ok_or(io::ErrorKind::FileTooLarge)?;
        }
    }
}
