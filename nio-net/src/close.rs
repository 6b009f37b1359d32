//! Closing a connection so that the other side gets everything that was written to it.
//!
//! The laws:
//!
//! 1. A connection that is closed while bytes of the other side are unread is reset, and the reset
//!    overtakes an answer that is on its way (RFC 9112, section 9.6). So writing ends first, and what
//!    still comes is read and thrown away.
//! 2. That is limited in time and in bytes, whatever the other side does.

use std::{io, time::Duration};

use crate::{ByteStream, Stream};

/// How long nothing must have come until closing is safe: the other side has had time to send what it
/// was about to, on any usual connection. It keeps a connection that is idle open for so long.
const QUIET: Duration = Duration::from_secs(1);

/// How many bytes are thrown away: a common limit on uploads, and little work (RFC 9112 asks for a
/// limit; it names none).
const DISCARDED: u64 = 64 << 20;

/// How much is read at once.
const BUFFER: usize = 16 * 1024;

impl<S: Stream> ByteStream<S> {
    /// Ends the connection so that the other side gets what was written: ends writing, then reads and
    /// throws away what still comes, until the other side ends too, or has sent nothing for a second.
    /// Then drop the stream. Where a read has found the end already, there is nothing to wait for.
    ///
    /// A server calls it after an answer to a request that it has not read to its end.
    /// [`Server`](crate::Server) does so for all connections.
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
    /// [`read`](Self::read). There is nothing more to do then: drop the stream.
    #[doc(alias("lingering_close", "destroySoon", "shutdown"))]
    pub async fn close_gracefully(&self, limit: Duration) -> io::Result<()> {
        const { assert!(S::SOCKET, "only a socket is closed gracefully") };
        self.end_writing()?;
        if self.read_has_ended() {
            return Ok(());
        }
        self.handle().timeout(limit, self.discard()).await?
    }

    /// Throws away what comes, until the end or until nothing comes.
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
