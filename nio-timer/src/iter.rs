//! Going over all timers, and making a heap of many: `Iter`, `Extend`, `FromIterator`, `Debug`.

use core::fmt;
use core::iter::{Enumerate, FusedIterator};
use core::slice;

use crate::slab::Slot;
use crate::{TimerHeap, TimerKey};

/// The timers of a heap, in no particular order; made by [`TimerHeap::iter`].
pub struct Iter<'a, D, T> {
    slots: Enumerate<slice::Iter<'a, Slot<D, T>>>,
    left: usize,
}

impl<'a, D: Ord + Copy, T> Iter<'a, D, T> {
    pub(crate) fn new(heap: &'a TimerHeap<D, T>) -> Self {
        Iter {
            slots: heap.slab.slots().enumerate(),
            left: heap.len(),
        }
    }
}

impl<'a, D: Copy, T> Iterator for Iter<'a, D, T> {
    type Item = (TimerKey, D, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        let timer = self.slots.find_map(|(index, slot)| {
            Some((slot.key(index as u32)?, slot.deadline, slot.payload()?))
        })?;
        self.left -= 1;
        Some(timer)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<D: Copy, T> ExactSizeIterator for Iter<'_, D, T> {}
impl<D: Copy, T> FusedIterator for Iter<'_, D, T> {}

impl<D, T> Clone for Iter<'_, D, T> {
    fn clone(&self) -> Self {
        Iter {
            slots: self.slots.clone(),
            left: self.left,
        }
    }
}

impl<D: fmt::Debug + Copy, T: fmt::Debug> fmt::Debug for Iter<'_, D, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a, D: Ord + Copy, T> IntoIterator for &'a TimerHeap<D, T> {
    type Item = (TimerKey, D, &'a T);
    type IntoIter = Iter<'a, D, T>;

    fn into_iter(self) -> Iter<'a, D, T> {
        self.iter()
    }
}

impl<D: Ord + Copy, T> Extend<(D, T)> for TimerHeap<D, T> {
    /// Inserts timers for which no key is needed; equal deadlines expire in this order.
    fn extend<I: IntoIterator<Item = (D, T)>>(&mut self, timers: I) {
        let timers = timers.into_iter();
        self.reserve(timers.size_hint().0);
        for (deadline, payload) in timers {
            self.insert(deadline, payload);
        }
    }
}

impl<D: Ord + Copy, T> FromIterator<(D, T)> for TimerHeap<D, T> {
    fn from_iter<I: IntoIterator<Item = (D, T)>>(timers: I) -> Self {
        let mut heap = TimerHeap::new();
        heap.extend(timers);
        heap
    }
}

impl<D: fmt::Debug + Ord + Copy, T: fmt::Debug> fmt::Debug for TimerHeap<D, T> {
    /// The timers, in no particular order: `{TimerKey(0v1): (5, "five")}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(key, deadline, payload)| (key, (deadline, payload))),
            )
            .finish()
    }
}
