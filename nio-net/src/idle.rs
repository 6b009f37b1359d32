//! Timeouts of idle connections.
//!
//! The laws:
//!
//! 1. A touch reads the clock. The timer is moved when the work is next polled; to move it later, the
//!    timer heap writes one number.
//! 2. The work is polled before the deadline is looked at, and once more after the next poll of I/O
//!    when the deadline has passed: a result that was there in time counts.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use nio_loop::{Elapsed, Handle, NextTurn, Time, poll_budget};

/// Ends work that has made no progress for some time.
///
/// The work reports its progress by [`touch`](Idle::touch). To count the progress of a long write, write
/// in pieces ([`write`](crate::ByteStream::write)) and touch after each.
///
/// ```
/// # use std::time::Duration;
/// # use nio_loop::{Clock, EventLoop};
/// # use nio_net::{Idle, UnixStream};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
/// # let handle = event_loop.handle();
/// # event_loop.block_on(async {
/// # let (stream, other) = UnixStream::pair(&handle)?;
/// # other.write_all(b"hello").await?;
/// let idle = Idle::new(&handle, Duration::from_secs(60));
/// let echo = async {
///     let mut bytes = [0; 4096];
///     while let n @ 1.. = stream.read(&mut bytes).await? {
///         idle.touch();
///         stream.write_all(&bytes[..n]).await?;
///     }
///     Ok::<_, std::io::Error>(())
/// };
/// let elapsed = idle.limit(echo).await.unwrap_err();
/// assert_eq!(elapsed.limit, Duration::from_secs(60));
/// # Ok(())
/// # })?
/// # }
/// ```
#[derive(Debug)]
pub struct Idle {
    handle: Handle,
    limit: Cell<Duration>,
    last: Cell<Time>,
}

impl Idle {
    /// Allows this long a time without progress, beginning now.
    #[must_use]
    pub fn new(handle: &Handle, limit: Duration) -> Idle {
        let handle = handle.clone();
        let (limit, last) = (Cell::new(limit), Cell::new(handle.now()));
        Idle {
            handle,
            limit,
            last,
        }
    }

    /// Reports progress: the time begins again.
    pub fn touch(&self) {
        self.last.set(self.handle.now());
    }

    /// Sets the limit, counted from the last progress, for a part of the work that needs a longer or a
    /// shorter one. A shorter limit counts from the next poll of the work, so the work should set it.
    pub fn set_limit(&self, limit: Duration) {
        self.limit.set(limit);
    }

    /// When the time is over if there is no more progress.
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.last.get() + self.limit.get()
    }

    /// Does some work while it makes progress. After the limit without progress it is dropped. Several
    /// pieces of work may be under way; each ends by itself.
    ///
    /// # Errors
    ///
    /// [`Elapsed`].
    pub async fn limit<F: Future>(&self, work: F) -> Result<F::Output, Elapsed> {
        poll_fn(poll_budget).await;
        let mut work = pin!(work);
        let mut sleep = self.handle.sleep_until(self.deadline());
        let mut next_turn: Option<NextTurn> = None;
        poll_fn(|context| {
            let is_last = match &mut next_turn {
                Some(next_turn) => Pin::new(next_turn).poll(context).is_ready(),
                None => false,
            };
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            let deadline = self.deadline();
            if sleep.deadline() != deadline {
                sleep.reset(deadline);
                next_turn = None;
            } else if is_last {
                let limit = self.limit.get();
                return Poll::Ready(Err(Elapsed { limit }));
            }
            // The deadline counts also where the work has spent the budget, so that the sleep is
            // never ready.
            let is_over =
                Pin::new(&mut sleep).poll(context).is_ready() || self.handle.now() >= deadline;
            if is_over && next_turn.is_none() {
                let next_turn = next_turn.insert(self.handle.next_turn());
                // Without a loop it is ready at once.
                if Pin::new(next_turn).poll(context).is_ready() {
                    context.waker().wake_by_ref();
                }
            }
            Poll::Pending
        })
        .await
    }
}
