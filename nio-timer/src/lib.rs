//! A timer heap that knows no clock.
//!
//! [`TimerHeap<D, T>`](TimerHeap) keeps deadlines of any ordered type, each with a payload, and tells
//! which is next and which have expired. It never reads a clock, does no I/O and needs neither
//! dependencies nor `std`, so the same heap serves an event loop, a game and a simulation with integer
//! time. The [`Slab`] that holds its timers can be used alone.
//!
//! ```
//! use nio_timer::TimerHeap;
//!
//! let mut heap = TimerHeap::new();
//! heap.insert(30, "close the idle connection");
//! let answer = heap.insert(10, "the answer is late");
//!
//! // The answer came in time.
//! assert_eq!(heap.cancel(answer), Some("the answer is late"));
//!
//! // How long may we sleep? Which timers are due when we wake?
//! assert_eq!(heap.next_deadline(), Some(30));
//! while let Some((_key, deadline, text)) = heap.pop_expired(31) {
//!     assert_eq!((deadline, text), (30, "close the idle connection"));
//! }
//! ```
//!
//! # Laws
//!
//! 1. **Never early**: a timer expires at a `now` that is not before its deadline.
//! 2. **In order**: by deadline, and among equal deadlines in the order of arming. Rescheduling arms
//!    again, so it moves a timer behind its equals.
//! 3. **Once**: a timer that is popped or cancelled is gone, and so is its key. Every method answers
//!    `None` or `false` to a key whose timer is gone, and to a key of another heap.
//! 4. **A drain yields the timers that were due when it began** ([`TimerHeap::begin_drain`]): a timer
//!    armed meanwhile waits for the next drain, a timer cancelled meanwhile is not yielded.
//! 5. **Exact**: [`TimerHeap::len`] counts timers that will expire, [`TimerHeap::next_deadline`] is the
//!    deadline of one of them.
//! 6. **Bounded**: memory is for the greatest number of timers that existed and were due at one time,
//!    however many have been armed and cancelled before. No timer has an allocation of its own.
//! 7. **No panics**, except when memory is exhausted, or when the order of the deadlines contradicts
//!    itself.
//!
//! # What it costs
//!
//! With *n* timers:
//!
//! | operation | cost |
//! |---|---|
//! | [`insert`](TimerHeap::insert) | O(log *n*); O(1) if most others are due earlier, as with timeouts |
//! | [`cancel`](TimerHeap::cancel) | O(log *n*); O(1) for a timeout that is young |
//! | [`reschedule`](TimerHeap::reschedule) to later | O(1): one write; the heap is corrected if the old deadline comes first |
//! | [`reschedule`](TimerHeap::reschedule) to earlier | O(log *n*) |
//! | [`next_deadline`](TimerHeap::next_deadline), [`peek`](TimerHeap::peek) | O(1), and O(log *n*) for each postponed timer whose old deadline came first |
//! | [`pop_expired`](TimerHeap::pop_expired) | the same and, if a timer is taken, O(log *n*) |
//! | [`begin_drain`](TimerHeap::begin_drain) | O(1) if nothing is due; O(log *n*) for each timer that is due, or was before it was postponed |
//! | [`pop_drained`](TimerHeap::pop_drained), [`peek_drained`](TimerHeap::peek_drained) | O(1) |
//! | [`get`](TimerHeap::get), [`get_mut`](TimerHeap::get_mut), [`deadline`](TimerHeap::deadline), [`contains`](TimerHeap::contains) | O(1) |
//! | memory, for deadlines of 8 bytes | 44 bytes per timer, 4 more once it is free, 20 more if a drain yields it, and the payload (as an [`Option`]) |
//!
//! To take many timers that are due, a drain is several times as fast as `pop_expired`: it sorts them, and
//! does not restore the heap's order after each. At most once in 2³¹ armings, inserting or rescheduling
//! one timer costs O(*n* log *n*), because the arming numbers are used up and start again.
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
//! **A `now` that goes backwards** is no problem: the heap keeps no `now` except during a drain, and each
//! call decides again which timers are due.
//!
//! # How to read the source
//!
//! `slab` holds values under keys that are never used twice, and `word` packs such a key; the two stand
//! alone. `queue` is an indexed
//! 4-ary heap of deadlines. `heap` joins the two, `drain` takes many timers at once, `iter` looks at
//! them.

#![cfg_attr(docsrs, feature(doc_cfg))]
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
mod word;

pub use heap::TimerHeap;
pub use iter::Iter;
pub use key::TimerKey;
pub use slab::{Key, Slab, SlabIter};
