//! Timeouts of idle connections.
//!
//! The laws:
//!
//! 1. Progress is a touch; a byte that a watched stream has read or written; and a byte of its buffer
//!    that the other side has taken since. So a transfer that goes on is never idle, however slow it
//!    is and however few calls it takes.
//! 2. A touch reads the clock. The timer is moved when the work is next polled; to move it later, the
//!    timer heap writes one number.
//! 3. The work is polled before the deadline is looked at, and once more after the next poll of I/O
//!    when the deadline has passed: a result that was there in time counts.
//! 4. The system is asked for the buffers only while nothing else has made progress for an eighth of
//!    the limit, and not again once they are empty.

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

/// How many times in a limit the buffers are looked at: so exactly is it known when the other side
/// took its last byte.
const LOOKS: u32 = 8;

/// Ends work that has made no progress for some time.
///
/// The work reports its progress by [`touch`](Idle::touch). The progress of streams counts by itself
/// if they are [watched](Idle::watch): a peer that reads steadily but slowly is not idle, though a write
/// of much waits for a long time.
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
    /// When the buffers of the streams were last looked at.
    looked: Cell<Time>,
    /// Whether a buffer may have bytes that the other side has not taken.
    has_unsent: Cell<bool>,
}

/// A stream whose progress counts.
struct Watched<'a> {
    stream: &'a dyn Transfer,
    /// Whether bytes that are read count.
    counts_reads: bool,
    /// How many of the bytes that count had moved.
    moved: Cell<u64>,
    /// How many bytes its buffer had, if that is known since it moved some.
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
    /// Allows this long a time without progress, beginning now.
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

    /// Counts the progress of a stream, too: bytes that it reads and writes, in any task, and bytes
    /// that the other side takes out of the system's buffer meanwhile
    /// ([`unsent`](ByteStream::unsent); DragonFly and OpenBSD do not tell). When the last of these was
    /// taken is known to an eighth of the limit. Several streams may be watched.
    #[must_use]
    pub fn watch<S: Stream>(self, stream: &'a ByteStream<S>) -> Idle<'a> {
        self.watch_transfer(stream, true)
    }

    /// As [`watch`](Self::watch), but bytes that are read do not count. The work reports by
    /// [`touch`](Self::touch) that a request is complete: then a request has the time of the limit,
    /// and a client that sends one byte now and then (slowloris) is idle.
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
                // The alarm counts also where the work has spent the budget, so that the sleep is
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
                // Without a loop it is ready at once.
                if Pin::new(next_turn).poll(context).is_ready() {
                    context.waker().wake_by_ref();
                }
            }
            Poll::Pending
        })
        .await
    }

    /// When to look at the buffers, or, if they are empty, the deadline.
    fn alarm(&self) -> Time {
        let deadline = self.deadline();
        if !self.has_unsent.get() {
            return deadline;
        }
        let pause = (self.limit.get() / LOOKS).max(Duration::from_nanos(1));
        deadline.min(self.looked.get().max(self.last.get()) + pause)
    }

    /// Notices bytes that the streams have moved. The system need not be asked.
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

    /// Looks whether the other side has taken bytes out of the buffers.
    fn look(&self) {
        if !self.has_unsent.get() {
            return;
        }
        self.looked.set(self.handle.now());
        let mut has_unsent = false;
        for watched in &self.watched {
            let unsent = watched.stream.unsent();
            let before = watched.unsent.replace(unsent);
            // At the first look it is not known how many there were.
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
