//! Reading timers, one by its key or all; and making a heap from many (`Extend`, `FromIterator`).

use core::fmt;
use core::iter::FusedIterator;

use crate::heap::Timer;
use crate::slab::SlabIter;
use crate::{TimerHeap, TimerKey};

impl<D: Ord + Copy, T> TimerHeap<D, T> {
    /// The payload of a timer; `None` if the timer is gone or is another heap's.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::new();
    /// let key = heap.insert(5, "five");
    /// assert_eq!(heap.get(key), Some(&"five"));
    /// ```
    #[must_use]
    #[inline]
    pub fn get(&self, key: TimerKey) -> Option<&T> {
        Some(&self.slab.get(key.0)?.payload)
    }

    /// The payload of a timer, mutable; `None` if the timer is gone or is another heap's.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::new();
    /// let key = heap.insert(5, 1);
    /// *heap.get_mut(key).unwrap() += 1;
    /// assert_eq!(heap.cancel(key), Some(2));
    /// ```
    #[must_use]
    #[inline]
    pub fn get_mut(&mut self, key: TimerKey) -> Option<&mut T> {
        Some(&mut self.slab.get_mut(key.0)?.payload)
    }

    /// The deadline of a timer; `None` if the timer is gone or is another heap's.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::new();
    /// let key = heap.insert(5, "five");
    /// heap.reschedule(key, 7);
    /// assert_eq!(heap.deadline(key), Some(7));
    /// ```
    #[must_use]
    #[inline]
    pub fn deadline(&self, key: TimerKey) -> Option<D> {
        Some(self.slab.get(key.0)?.deadline)
    }

    /// Whether this key's timer is in this heap and has not expired.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::new();
    /// let key = heap.insert(5, "five");
    /// assert!(heap.contains(key));
    /// heap.pop_expired(5);
    /// assert!(!heap.contains(key));
    /// ```
    #[must_use]
    #[inline]
    pub fn contains(&self, key: TimerKey) -> bool {
        self.slab.contains(key.0)
    }

    /// All timers, in no particular order.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let heap: TimerHeap<_, _> = [(5, "five"), (3, "three")].into_iter().collect();
    /// assert_eq!(heap.iter().map(|(_, deadline, _)| deadline).min(), Some(3));
    /// ```
    pub fn iter(&self) -> Iter<'_, D, T> {
        Iter(self.slab.iter())
    }
}

/// The timers of a heap, in no particular order; made by [`TimerHeap::iter`].
pub struct Iter<'a, D, T>(SlabIter<'a, Timer<D, T>>);

impl<'a, D: Copy, T> Iterator for Iter<'a, D, T> {
    type Item = (TimerKey, D, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, timer) = self.0.next()?;
        Some((TimerKey(key), timer.deadline, &timer.payload))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<D: Copy, T> ExactSizeIterator for Iter<'_, D, T> {}
impl<D: Copy, T> FusedIterator for Iter<'_, D, T> {}

impl<D, T> Clone for Iter<'_, D, T> {
    fn clone(&self) -> Self {
        Iter(self.0.clone())
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
