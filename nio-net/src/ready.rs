//! Which directions of a stream are ready, and which have ended.

use std::{future::poll_fn, io, task::Poll};

use nio_loop::{Direction, Interest, poll_budget};

use crate::{ByteStream, Stream, raw};

/// The result of [`ByteStream::ready`]. The fields of a direction that was not in the interest are false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ready {
    /// A read would not block: there are bytes, the end or an error.
    pub readable: bool,
    /// A read would find the end or an error: there are no bytes before it.
    pub read_ended: bool,
    /// A write would not block: there is room, or an error.
    pub writable: bool,
    /// A write would fail: writing was ended, or the system knows that the peer reads no more.
    pub write_ended: bool,
}

impl<S: Stream> ByteStream<S> {
    /// Waits until one of the directions is ready, and returns which are ready and which have ended. It calls
    /// poll(2) each time, and may be ready in several tasks for the same byte. Urgent data is not waited for.
    ///
    /// ```
    /// # use nio_loop::{EventLoop, Interest};
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// let (one, other) = UnixStream::pair(&handle)?;
    /// let ready = one.ready(Interest::READABLE | Interest::WRITABLE).await?;
    /// assert!(ready.writable && !ready.readable);
    /// drop(other);
    /// assert!(one.ready(Interest::READABLE).await?.read_ended);
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the interest has neither direction; those of poll(2); if
    /// the loop is gone.
    #[doc(alias = "is_read_closed")]
    #[doc(alias = "is_write_closed")]
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        if !interest.is_readable() && !interest.is_writable() {
            poll_fn(poll_budget).await;
            let text = format!(
                "no direction to wait for in {interest:?}; give Interest::READABLE or Interest::WRITABLE"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let read = self.source.waiting(Direction::Read);
        let write = self.source.waiting(Direction::Write);
        poll_fn(|context| {
            let readable = match interest.is_readable() {
                true => read.poll_io(context, raw::ready_to_read),
                false => Poll::Pending,
            };
            let writable = match interest.is_writable() && readable.is_pending() {
                true => write.poll_io(context, raw::ready_to_write),
                false => Poll::Pending,
            };
            match (readable, writable) {
                (Poll::Pending, Poll::Pending) => Poll::Pending,
                (Poll::Ready(result), _) | (_, Poll::Ready(result)) => Poll::Ready(result),
            }
        })
        .await?;
        self.look(interest)
    }

    fn look(&self, interest: Interest) -> io::Result<Ready> {
        let mut ready = Ready::default();
        if interest.is_readable() {
            ready.readable = raw::ready_to_read(self).is_ok();
            ready.read_ended = ready.readable && raw::readable_bytes(self)? == 0;
        }
        if interest.is_writable() {
            ready.writable = raw::ready_to_write(self).is_ok();
            let ended_here = self.source.get_ref().writing_ended.get();
            ready.write_ended = ended_here || raw::has_no_reader(self, S::SOCKET)?;
        }
        Ok(ready)
    }
}
