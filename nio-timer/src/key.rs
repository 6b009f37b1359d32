//! The name of a timer.
//!
//! A key is a slot and the generation of the timer in it: 8 bytes, and [`Option<TimerKey>`] is no
//! larger. A slot that is used again has another generation, so a key that has outlived its
//! timer names nothing, never somebody else's timer.

use core::fmt;
use core::num::NonZeroU32;

/// Names a timer of a [`TimerHeap`](crate::TimerHeap), from its insertion until it is popped or cancelled.
///
/// A key is a plain value: copy it, store it, compare it. It owns nothing, and dropping it does
/// not cancel the timer. A key whose timer is gone is refused by every method, for ever.
///
/// ```
/// use nio_timer::{TimerHeap, TimerKey};
///
/// let mut heap = TimerHeap::new();
/// let old = heap.insert(10, "old");
/// heap.cancel(old);
///
/// let new = heap.insert(10, "new"); // in the same place, but another timer
/// assert_ne!(old, new);
/// assert_eq!(heap.get(old), None);
/// assert_eq!(size_of::<Option<TimerKey>>(), size_of::<TimerKey>());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey {
    pub(crate) slot: u32,
    pub(crate) generation: NonZeroU32,
}

impl fmt::Debug for TimerKey {
    /// Slot and generation: `TimerKey(3v1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimerKey({}v{})", self.slot, self.generation)
    }
}
