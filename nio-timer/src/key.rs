//! The name of a timer: a [`Key`] of the heap's slab.

use core::fmt;

use crate::slab::Key;

/// Names a timer of a [`TimerHeap`](crate::TimerHeap), from its insertion until it is popped or cancelled.
///
/// A key is a plain value of 12 bytes, and [`Option<TimerKey>`] is no larger: copy it, store it, compare
/// it. It owns nothing, and dropping it does not cancel the timer. A key whose timer is gone is refused
/// by every method, and so is a key of another heap.
///
/// ```
/// use nio_timer::{TimerHeap, TimerKey};
///
/// let mut heap = TimerHeap::new();
/// let old = heap.insert(10, "old");
/// heap.cancel(old);
///
/// let new = heap.insert(10, "new"); // in the same slot, but another timer
/// assert_ne!(old, new);
/// assert_eq!(heap.get(old), None);
/// assert_eq!(size_of::<Option<TimerKey>>(), size_of::<TimerKey>());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey(pub(crate) Key);

impl fmt::Debug for TimerKey {
    /// Slot and generation: `TimerKey(3v1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimerKey({}v{})", self.0.index, self.0.generation)
    }
}
