//! A timer heap that knows no clock.
//!
//! [`TimerHeap<D, T>`](TimerHeap) keeps deadlines of any ordered type, each with a payload, and tells
//! which is next and which have expired. It never reads a clock, does no I/O and needs no
//! dependency and no `std`, so the same heap serves an event loop, a game and a simulation that
//! counts its time in integers.
//!
//! ```
//! use nio_timer::TimerHeap;
//!
//! let mut heap = TimerHeap::new();
//! heap.insert(30, "close the idle connection");
//! let answer = heap.insert(10, "the answer is late");
//!
//! // The answer came in time, as most do.
//! assert_eq!(heap.cancel(answer), Some("the answer is late"));
//!
//! // How long may we sleep? And what is due when we wake?
//! assert_eq!(heap.next_deadline(), Some(30));
//! while let Some((_key, deadline, text)) = heap.pop_expired(31) {
//!     assert_eq!((deadline, text), (30, "close the idle connection"));
//! }
//! ```
//!
//! # Laws
//!
//! 1. **Never early**: a timer expires at a `now` that is not before its deadline.
//! 2. **In order**: by deadline, and among equal deadlines by when they were armed. Rescheduling
//!    arms anew, so it moves a timer behind its equals.
//! 3. **Once**: a timer that is popped or cancelled is gone, and so is its key. A key that is spent, or
//!    is another heap's, is `None` or `false` in every method, never another timer.
//! 4. **A drain yields what was due when it began** ([`TimerHeap::begin_drain`]): what is armed
//!    meanwhile waits for the next one, what is cancelled meanwhile does not come.
//! 5. **Exact**: [`TimerHeap::len`] counts timers that will expire, [`TimerHeap::next_deadline`] is the
//!    deadline of one of them.
//! 6. **Bounded**: memory is for the most timers there ever were, and were due, at one time, whatever has
//!    been armed and cancelled before; nothing is allocated for a timer of its own.
//! 7. **No surprises**: no method panics, but for memory that no computer has, or deadlines whose order
//!    contradicts itself.
//!
//! # What it costs
//!
//! With *n* timers:
//!
//! | operation | cost |
//! |---|---|
//! | [`insert`](TimerHeap::insert) | O(log *n*); O(1) if most others are due earlier, as with timeouts |
//! | [`cancel`](TimerHeap::cancel) | O(log *n*); O(1) for a timeout that is young |
//! | [`reschedule`](TimerHeap::reschedule) to later | O(1): one write; the heap is put right if the old deadline comes first |
//! | [`reschedule`](TimerHeap::reschedule) to earlier | O(log *n*) |
//! | [`next_deadline`](TimerHeap::next_deadline), [`peek`](TimerHeap::peek) | O(1), and O(log *n*) for each timer pushed later whose old deadline came first |
//! | [`pop_expired`](TimerHeap::pop_expired) | the same and, if a timer is taken, O(log *n*) |
//! | [`begin_drain`](TimerHeap::begin_drain) | O(1) if nothing is due; O(log *n*) for each timer that is, or was before it was pushed later |
//! | [`pop_drained`](TimerHeap::pop_drained), [`peek_drained`](TimerHeap::peek_drained) | O(1) |
//! | [`get`](TimerHeap::get), [`get_mut`](TimerHeap::get_mut), [`deadline`](TimerHeap::deadline), [`contains`](TimerHeap::contains) | O(1) |
//! | memory, for deadlines of 8 bytes | 36 bytes per timer, 4 more once it is free, 20 more if a drain yields it, and the payload (as an [`Option`]) |
//!
//! To take many timers that are due, a drain is several times as fast as `pop_expired`: it sorts them, and
//! need not keep a heap in order after each. Once in 2³¹ armings or more, inserting or
//! rescheduling one timer costs O(*n* log *n*), when the numbers that tell which was armed first run out.
//!
//! # Special problems
//!
//! **A payload's `Drop`** runs inside [`TimerHeap::clear`], and nowhere else: every other method hands the
//! payload back. If dropping it might reach the same heap again, through a `RefCell` say, take the heap
//! out first (`mem::take`) and drop that.
//!
//! **Deadlines that mean never.** Don't insert them; but the greatest value of `D` does no harm.
//!
//! **An interval** is a timer that is rescheduled each time it comes, under the same key:
//! [`TimerHeap::peek_drained`] shows how.
//!
//! **A `now` that goes backwards** is no problem, as no `now` is kept except while a drain is under way:
//! what is due is decided anew by each call.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;

mod drain;
mod heap;
mod iter;
mod key;
mod queue;
mod slab;
#[cfg(test)]
mod tests;

pub use heap::TimerHeap;
pub use iter::Iter;
pub use key::TimerKey;
