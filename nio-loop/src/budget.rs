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
const UNITS: u32 = 32;

#[derive(Clone, Copy)]
struct Budget {
    /// Units that are left; `u32::MAX` where there is no budget.
    left: u32,
    /// An await was refused because the budget was spent.
    refused: bool,
}

impl Budget {
    const UNLIMITED: Budget = Budget {
        left: u32::MAX,
        refused: false,
    };
    const WHOLE: Budget = Budget {
        left: UNITS,
        refused: false,
    };
}

thread_local! {
    /// Of the thread, not of a loop: a task may await what belongs to another loop.
    static BUDGET: Cell<Budget> = const { Cell::new(Budget::UNLIMITED) };
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
/// let handle = event_loop.handle().clone();
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
    BUDGET.get().left == 0 && refuse(context)
}

#[cold]
fn refuse(context: &Context<'_>) -> bool {
    let budget = BUDGET.get();
    BUDGET.set(Budget {
        refused: true,
        ..budget
    });
    wakers::wake_in_next_turn(context.waker());
    true
}

/// Draws a unit, if one is left.
#[inline]
pub(crate) fn draw() {
    let budget = BUDGET.get();
    if budget.left != u32::MAX {
        let left = budget.left.saturating_sub(1);
        BUDGET.set(Budget { left, ..budget });
    }
}

/// For work that is polled for the last time: it gets the whole budget.
pub(crate) fn refill() {
    let budget = BUDGET.get();
    if budget.left != u32::MAX {
        let left = UNITS;
        BUDGET.set(Budget { left, ..budget });
    }
}

/// The budget of one poll, for as long as it lives.
pub(crate) struct Allowance {
    /// That of the task which runs this loop, if it is run by a task of another one.
    outer: Budget,
}

impl Allowance {
    #[inline]
    pub(crate) fn new() -> Allowance {
        Allowance {
            outer: BUDGET.replace(Budget::WHOLE),
        }
    }

    /// Whether an await was refused.
    pub(crate) fn was_refused(&self) -> bool {
        BUDGET.get().refused
    }
}

impl Drop for Allowance {
    #[inline]
    fn drop(&mut self) {
        BUDGET.set(self.outer);
    }
}
