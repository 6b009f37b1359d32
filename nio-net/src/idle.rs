//! Timeouts of idle connections.
//!
//! The laws:
//!
//! 1. Progress is a touch, a byte that a watched stream has read or written, or a byte that the peer has taken
//!    out of the stream's send buffer. So a transfer that goes on is never idle, however slow it is and however
//!    few calls it makes.
//! 2. A touch reads the clock. The timer is moved when the work is next polled; to move it later, the
//!    timer heap writes one number.
//! 3. The work is polled before the deadline is checked, and once more after the next poll of I/O when the
//!    deadline has passed: a result that was ready in time counts.
//! 4. The send buffers are checked only after an eighth of the limit without other progress, and no more once
//!    they are empty.

use std::{
    cell::Cell,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use nio_loop::{Elapsed, Handle, NextTurn, Time, poll_budget};

use crate::{ByteStream, Stream};

/// How many times in a limit the send buffers are checked: the time of the peer's last byte is known this
/// precisely.
const LOOKS: u32 = 8;

/// Ends work that has made no progress for some time.
///
/// The work reports its progress by [`touch`](Idle::touch). Streams that are [watched](Idle::watch) report
/// theirs: a peer that reads slowly but steadily is not idle, even while one write waits for a long time.
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
/// let idle = Idle::new(&handle, Duration::from_secs(60)).watch(&stream);
/// let echo = async {
///     let mut bytes = [0; 4096];
///     while let n @ 1.. = stream.read(&mut bytes).await? {
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
#[doc(alias("keepAliveTimeout", "keep-alive timeout", "setTimeout"))]
pub struct Idle<'a> {
    handle: Handle,
    limit: Cell<Duration>,
    last: Cell<Time>,
    watched: Vec<Watched<'a>>,
    /// When the send buffers were last checked.
    looked: Cell<Time>,
    /// Whether a send buffer may have bytes that the peer has not taken.
    has_unsent: Cell<bool>,
}

/// A stream whose progress counts.
struct Watched<'a> {
    stream: &'a dyn Transfer,
    /// Whether bytes that are read count.
    counts_reads: bool,
    /// The number of bytes moved that count as progress, at the last check.
    moved: Cell<u64>,
    /// The number of bytes in the send buffer at the last check, if the stream has moved none since.
    unsent: Cell<Option<usize>>,
}

/// The progress of a stream of any kind.
trait Transfer {
    fn moved(&self, counts_reads: bool) -> u64;
    fn unsent(&self) -> Option<usize>;
}

impl<S: Stream> Transfer for ByteStream<S> {
    fn moved(&self, counts_reads: bool) -> u64 {
        match counts_reads {
            true => self.bytes_written().wrapping_add(self.bytes_read()),
            false => self.bytes_written(),
        }
    }

    fn unsent(&self) -> Option<usize> {
        self.unsent()
    }
}

impl<'a> Idle<'a> {
    /// A limit of the time without progress, counted from now.
    #[must_use]
    pub fn new(handle: &Handle, limit: Duration) -> Idle<'a> {
        let now = handle.now();
        Idle {
            handle: handle.clone(),
            limit: Cell::new(limit),
            last: Cell::new(now),
            watched: Vec::new(),
            looked: Cell::new(now),
            has_unsent: Cell::new(false),
        }
    }

    /// Counts the progress of a stream, too: bytes that it reads and writes, in any task, and bytes that the
    /// peer takes out of the system's send buffer ([`unsent`](ByteStream::unsent); not known on DragonFly
    /// and OpenBSD). The time of the latter is known to an eighth of the limit. Several streams may be watched.
    #[must_use]
    pub fn watch<S: Stream>(self, stream: &'a ByteStream<S>) -> Idle<'a> {
        self.watch_transfer(stream, true)
    }

    /// As [`watch`](Self::watch), but bytes that are read do not count. The work calls
    /// [`touch`](Self::touch) when a request is complete. So the limit is that of a whole request, and a
    /// client that sends one byte now and then (slowloris) is idle.
    #[must_use]
    #[doc(alias("requestTimeout", "headersTimeout", "slowloris"))]
    pub fn watch_sending<S: Stream>(self, stream: &'a ByteStream<S>) -> Idle<'a> {
        self.watch_transfer(stream, false)
    }

    fn watch_transfer(mut self, stream: &'a dyn Transfer, counts_reads: bool) -> Idle<'a> {
        self.watched.push(Watched {
            stream,
            counts_reads,
            moved: Cell::new(stream.moved(counts_reads)),
            unsent: Cell::new(None),
        });
        self.has_unsent.set(true);
        self
    }

    /// Reports progress: the limit counts from now again.
    pub fn touch(&self) {
        self.last.set(self.handle.now());
    }

    /// Sets the limit, counted from the last progress, for a part of the work that needs a longer or a
    /// shorter one. A shorter limit counts from the next poll of the work, so the work should set it.
    pub fn set_limit(&self, limit: Duration) {
        self.limit.set(limit);
    }

    /// The deadline, if there is no more progress.
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.last.get() + self.limit.get()
    }

    /// Runs some work while it makes progress, and drops it after the limit without progress. It may be called
    /// several times at once; each call ends independently.
    ///
    /// # Errors
    ///
    /// [`Elapsed`].
    pub async fn limit<F: Future>(&self, work: F) -> Result<F::Output, Elapsed> {
        poll_fn(poll_budget).await;
        let mut work = pin!(work);
        let mut sleep = self.handle.sleep_until(self.alarm());
        let mut next_turn: Option<NextTurn> = None;
        poll_fn(|context| {
            let is_last = match &mut next_turn {
                Some(next_turn) => Pin::new(next_turn).poll(context).is_ready(),
                None => false,
            };
            if let Poll::Ready(output) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            self.notice();
            if is_last {
                self.look();
            }
            loop {
                let alarm = self.alarm();
                if sleep.deadline() != alarm {
                    sleep.reset(alarm);
                    next_turn = None;
                } else if is_last {
                    let limit = self.limit.get();
                    return Poll::Ready(Err(Elapsed { limit }));
                }
                // The deadline also counts when the work has used up the budget, so that the sleep is
                // never ready.
                let is_ready = Pin::new(&mut sleep).poll(context).is_ready();
                if !is_ready && self.handle.now() < alarm {
                    return Poll::Pending;
                }
                self.look();
                if self.alarm() == alarm {
                    break;
                }
            }
            if next_turn.is_none() {
                let next_turn = next_turn.insert(self.handle.next_turn());
                // The sleep is ready at once if the loop is gone.
                if Pin::new(next_turn).poll(context).is_ready() {
                    context.waker().wake_by_ref();
                }
            }
            Poll::Pending
        })
        .await
    }

    /// When to check the send buffers; the deadline if they are empty.
    fn alarm(&self) -> Time {
        let deadline = self.deadline();
        if !self.has_unsent.get() {
            return deadline;
        }
        let pause = (self.limit.get() / LOOKS).max(Duration::from_nanos(1));
        deadline.min(self.looked.get().max(self.last.get()) + pause)
    }

    /// Touches if the streams have moved bytes. This makes no system call.
    fn notice(&self) {
        for watched in &self.watched {
            let moved = watched.stream.moved(watched.counts_reads);
            if watched.moved.replace(moved) != moved {
                watched.unsent.set(None);
                self.has_unsent.set(true);
                self.touch();
            }
        }
    }

    /// Touches if the peer has taken bytes out of the send buffers.
    fn look(&self) {
        if !self.has_unsent.get() {
            return;
        }
        self.looked.set(self.handle.now());
        let mut has_unsent = false;
        for watched in &self.watched {
            let unsent = watched.stream.unsent();
            let before = watched.unsent.replace(unsent);
            // The first check has nothing to compare with.
            if unsent.zip(before).is_some_and(|(now, before)| now < before) {
                self.touch();
            }
            has_unsent |= unsent > Some(0);
        }
        self.has_unsent.set(has_unsent);
    }
}

impl fmt::Debug for Idle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle")
            .field("limit", &self.limit.get())
            .field("last", &self.last.get())
            .field("watched", &self.watched.len())
            .finish_non_exhaustive()
    }
}
