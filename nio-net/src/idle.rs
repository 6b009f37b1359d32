//! Timeouts of connections where nothing happens.
//!
//! The laws:
//!
//! 1. Saying that something has happened costs a look at the clock. The timer is moved when the work
//!    is next polled; to push it later, the heap of timers writes one number.
//! 2. The work is polled before the time is looked at: what is ready at the very moment counts.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use nio_loop::{Elapsed, Handle, Time};

/// Ends work in which nothing has happened for a while.
///
/// What happens, and counts, is for the work to say, by [`touch`](Idle::touch):
///
/// ```
/// # use std::time::Duration;
/// # use nio_loop::{Clock, EventLoop};
/// # use nio_net::{Idle, UnixStream};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
/// # let handle = event_loop.handle().clone();
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
    /// Allows this long a time in which nothing happens, beginning now.
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

    /// Says that something has happened: the time begins anew.
    pub fn touch(&self) {
        self.last.set(self.handle.now());
    }

    /// Allows another time, since what has happened last, for a part of the work that may need more or
    /// less of it. A shorter one counts when the work is next polled, so it is the work that says so.
    pub fn set_limit(&self, limit: Duration) {
        self.limit.set(limit);
    }

    /// When the time is over if nothing happens any more.
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.last.get() + self.limit.get()
    }

    /// Does some work for as long as something happens. If nothing has for too long, it is dropped.
    /// Several pieces of work may be under way; each is ended by itself.
    ///
    /// # Errors
    ///
    /// [`Elapsed`].
    pub async fn limit<F: Future>(&self, work: F) -> Result<F::Output, Elapsed> {
        let mut work = pin!(work);
        let mut sleep = self.handle.sleep_until(self.deadline());
        poll_fn(|context| {
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if sleep.deadline() != self.deadline() {
                sleep.reset(self.deadline());
            }
            let limit = self.limit.get();
            let sleep = Pin::new(&mut sleep).poll(context);
            sleep.map(|()| Err(Elapsed { limit }))
        })
        .await
    }
}
