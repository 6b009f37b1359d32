//! The budget of a task's poll: how many awaits may be ready at once before others have their turn.
//!
//! The laws:
//!
//! 1. Each poll of a task begins with the whole budget, and every await that is ready at once draws
//!    one unit.
//! 2. When the budget is spent an await is pending, and the task is woken after the next poll of
//!    I/O. So no task, descriptor or interval keeps the loop to itself.
//! 3. Outside of a task there is no budget.

use std::{
    cell::Cell,
    mem,
    task::{Context, Poll, ready},
};

use crate::tasks;

/// Units for one poll of a task. A read of 64 KiB takes about 10 µs, so that a poll that spends it
/// all takes a third of a millisecond; the poll of I/O that follows costs as much as one of its
/// reads or less. libuv has as many, tokio 128.
const UNITS: u64 = 32;

/// Outside of a task: more than is ever drawn.
const UNLIMITED: u64 = u64::MAX / 2;

thread_local! {
    /// How many units are left. Of the thread, not of a loop: a task may await what belongs to
    /// another loop.
    static LEFT: Cell<u64> = const { Cell::new(UNLIMITED) };
}

/// Draws one unit on the budget of the task that is polled now. For futures written by hand that
/// can be ready at once, such as a channel or a semaphore, so that a loop over them does not keep
/// all other tasks, timers and I/O waiting. When the budget is spent this is pending: return
/// [`Poll::Pending`] too, and the task is woken after the next poll of I/O.
///
/// Outside of a task of a loop it is always ready. [`Source::poll_io`](crate::Source::poll_io) and
/// all futures of this crate do this by themselves.
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

/// Draws a unit for an await. Pending if the budget is spent: then the await is to be pending, too.
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

/// A unit that was drawn. Dropping it gives it back: an await that is pending costs none.
pub(crate) struct Unit(());

impl Unit {
    /// The await is ready.
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

/// A poll of a task begins, with the whole budget.
#[inline]
pub(crate) fn fill() {
    LEFT.set(UNITS);
}

/// For work that is polled for the last time: it gets the whole budget.
pub(crate) fn refill() {
    LEFT.set(LEFT.get().max(UNITS));
}

/// While it lives, budgets are those of tasks of this loop. When it is dropped, the budget is again
/// that of the task that runs this loop, or there is none.
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
