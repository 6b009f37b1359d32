//! The budget of one poll of a task: how many awaits may be ready at once before other tasks run.
//!
//! The laws:
//!
//! 1. Each poll of a task begins with the whole budget. Every await that is ready at once draws one
//!    unit.
//! 2. When the budget is spent, awaits are pending, and the task is woken after the next poll of I/O.
//!    So no task, descriptor or interval blocks the loop.
//! 3. Outside of a task there is no budget.

use std::{
    cell::Cell,
    mem,
    task::{Context, Poll, ready},
};

use crate::tasks;

/// Units for one poll of a task. A read of 64 KiB takes about 10 µs, so 32 of them take a third of a
/// millisecond; the poll of I/O that follows costs at most as much as one read. libuv has the same
/// limit, tokio 128.
const UNITS: u64 = 32;

/// Outside of a task: more than is ever drawn.
const UNLIMITED: u64 = u64::MAX / 2;

thread_local! {
    /// The units left. One count for the thread, not for each loop: a task may await a future of
    /// another loop.
    static LEFT: Cell<u64> = const { Cell::new(UNLIMITED) };
}

/// Draws one unit on the budget of the task that is polled now. Call it in hand-written futures that
/// can be ready at once, like those of a channel or a semaphore; then a task that awaits them in a
/// loop does not starve other tasks, timers and I/O. When the budget is spent this is pending: return
/// [`Poll::Pending`] too; the task is woken after the next poll of I/O.
///
/// Outside of a task it is always ready. [`Source::poll_io`](crate::Source::poll_io) and all futures
/// of this crate call it themselves.
///
/// ```
/// # use std::{future::poll_fn, task::{Poll, ready}, time::Duration};
/// # use nio_loop::EventLoop;
/// # fn main() -> Result<(), nio_loop::Error> {
/// let mut event_loop = EventLoop::new()?;
/// let handle = event_loop.handle();
/// let always_ready = async {
///     loop {
///         poll_fn(|context| {
///             ready!(nio_loop::poll_budget(context));
///             Poll::Ready(())
///         })
///         .await;
///     }
/// };
/// let limit = Duration::from_millis(1);
/// let elapsed: Result<(), _> = event_loop.block_on(handle.timeout(limit, always_ready))?;
/// assert!(elapsed.is_err());
/// # Ok(())
/// # }
/// ```
#[doc(alias("coop", "poll_proceed", "consume_budget"))]
pub fn poll_budget(context: &mut Context<'_>) -> Poll<()> {
    ready!(draw(context)).spend();
    Poll::Ready(())
}

/// Draws a unit for an await. If this is pending, the budget is spent and the await must be pending too.
#[inline(always)]
pub(crate) fn draw(context: &mut Context<'_>) -> Poll<Unit> {
    let left = LEFT.get();
    if left == 0 {
        tasks::wake_in_next_turn(context.waker());
        return Poll::Pending;
    }
    LEFT.set(left - 1);
    Poll::Ready(Unit(()))
}

/// A unit that was drawn. Dropping it gives it back, because a pending await costs nothing.
pub(crate) struct Unit(());

impl Unit {
    /// Keeps the unit drawn: the await is ready.
    #[inline(always)]
    pub(crate) fn spend(self) {
        mem::forget(self);
    }
}

impl Drop for Unit {
    #[inline(always)]
    fn drop(&mut self) {
        LEFT.set(LEFT.get() + 1);
    }
}

/// Sets the whole budget, at the beginning of a poll.
#[inline]
pub(crate) fn fill() {
    LEFT.set(UNITS);
}

/// Restores the whole budget, for a future that is polled for the last time.
pub(crate) fn refill() {
    LEFT.set(LEFT.get().max(UNITS));
}

/// A guard that restores the budget when it is dropped: the budget of an outer task that runs this
/// loop, or none.
pub(crate) struct Scope {
    outer: u64,
}

impl Scope {
    pub(crate) fn new() -> Scope {
        Scope { outer: LEFT.get() }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        LEFT.set(self.outer);
    }
}
