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
    task::{Context, Poll},
};

use crate::wakers;

/// Units for one poll of a task. A read of 64 KiB takes about 10 µs, so that a poll that spends it
/// all takes a third of a millisecond; the poll of I/O that follows costs as much as one of its
/// reads or less. libuv has as many, tokio 128.
const UNITS: u64 = 32;

/// Outside of a task: more than is ever drawn.
const UNLIMITED: u64 = u64::MAX - REFUSED;

/// An await of this poll was refused because the budget was spent.
const REFUSED: u64 = 1;

/// What a unit counts beside that flag.
const UNIT: u64 = 2;

thread_local! {
    /// How many units are left, and whether an await was refused. Of the thread, not of a loop: a
    /// task may await what belongs to another loop.
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
    if is_spent(context) {
        return Poll::Pending;
    }
    draw();
    Poll::Ready(())
}

/// Whether the budget is spent. If so, the await is to be pending.
#[inline]
pub(crate) fn is_spent(context: &mut Context<'_>) -> bool {
    LEFT.get() < UNIT && refuse(context)
}

#[cold]
fn refuse(context: &Context<'_>) -> bool {
    LEFT.set(LEFT.get() | REFUSED);
    wakers::wake_in_next_turn(context.waker());
    true
}

/// Draws a unit, if one is left.
#[inline]
pub(crate) fn draw() {
    let left = LEFT.get();
    if left >= UNIT {
        LEFT.set(left - UNIT);
    }
}

/// For work that is polled for the last time: it gets the whole budget.
pub(crate) fn refill() {
    let left = LEFT.get();
    LEFT.set(left.max(UNITS * UNIT) | left & REFUSED);
}

/// The budget of one poll.
pub(crate) struct Allowance {
    /// That of the task which runs this loop, if it is run by a task of another one.
    outer: u64,
}

impl Allowance {
    #[inline]
    pub(crate) fn new() -> Allowance {
        let outer = LEFT.replace(UNITS * UNIT);
        Allowance { outer }
    }

    /// Returns whether an await was refused.
    #[inline]
    pub(crate) fn end(self) -> bool {
        LEFT.replace(self.outer) & REFUSED != 0
    }
}
