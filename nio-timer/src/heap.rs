//! The timer heap: a slab that holds the timers, and a queue that orders them by deadline.
//!
//! Laws:
//! 1. Every timer in the slab has one entry, in the queue or in a drain (`drain.rs`). The queue has no
//!    other entries: a cancelled timer leaves nothing in it.
//! 2. An entry in the queue is never later than its timer. It is exact if both have the same arming
//!    number; otherwise the timer has been postponed, and the entry is corrected when it comes first
//!    ([`TimerHeap::settle`]) or a drain begins.
//! 3. Armings are numbered: of two timers, the one armed later has the greater number. When the
//!    numbers are used up, all timers get new ones in the same order ([`TimerHeap::renumber`]).

use crate::TimerKey;
use crate::drain::Drain;
use crate::queue::{DRAINED, Entry, Queue};
use crate::slab::Slab;

/// A timer: its deadline, the number of its last arming, and its payload.
pub(crate) struct Timer<D, T> {
    pub(crate) deadline: D,
    /// The number of its last arming.
    pub(crate) arming: u32,
    pub(crate) payload: T,
}

/// Timers in the order of their deadlines, each with a payload.
///
/// `D` is a deadline: any type that can be copied and ordered, as `u64`, `Duration` or
/// `Instant`. `T` is the payload of a timer, which the heap only stores.
///
/// The [crate's documentation](crate) has the laws and the cost of each operation.
///
/// ```
/// use nio_timer::TimerHeap;
///
/// let mut heap = TimerHeap::new();
/// let tea = heap.insert(180, "tea is ready");
/// heap.insert(60, "water boils");
///
/// heap.reschedule(tea, 240);
/// assert_eq!(heap.next_deadline(), Some(60));
/// assert_eq!(heap.pop_expired(100).map(|(_, _, text)| text), Some("water boils"));
/// assert_eq!(heap.pop_expired(100), None);
/// assert_eq!(heap.cancel(tea), Some("tea is ready"));
/// ```
pub struct TimerHeap<D, T> {
    pub(crate) queue: Queue<D>,
    pub(crate) slab: Slab<Timer<D, T>>,
    pub(crate) drain: Drain<D>,
    /// The number of the next arming.
    pub(crate) next_arming: u32,
}

impl<D: Ord + Copy, T> TimerHeap<D, T> {
    /// An empty heap. It allocates nothing until the first timer is inserted.
    ///
    /// ```
    /// let heap = nio_timer::TimerHeap::<u64, &str>::new();
    /// assert_eq!((heap.len(), heap.capacity()), (0, 0));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty heap with room for `capacity` timers.
    ///
    /// # Panics
    ///
    /// As [`Vec::with_capacity`](alloc::vec::Vec::with_capacity), if the capacity overflows.
    ///
    /// ```
    /// let heap = nio_timer::TimerHeap::<u64, &str>::with_capacity(1000);
    /// assert!(heap.capacity() >= 1000);
    /// ```
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        TimerHeap {
            queue: Queue::with_capacity(capacity),
            slab: Slab::with_capacity(capacity),
            drain: Drain::new(),
            next_arming: 0,
        }
    }

    /// How many timers there are. A timer that is cancelled or popped is gone at once.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::new();
    /// let key = heap.insert(5, ());
    /// assert_eq!(heap.len(), 1);
    /// heap.cancel(key);
    /// assert_eq!(heap.len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is no timer.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::new();
    /// assert!(heap.is_empty());
    /// heap.insert(5, ());
    /// assert!(!heap.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many timers fit before inserting one allocates memory again. A [drain](Self::begin_drain)
    /// needs memory of its own, which is kept for the next drain.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::with_capacity(8);
    /// let before = heap.capacity();
    /// heap.extend((0..8).map(|deadline| (deadline, ())));
    /// assert_eq!(heap.capacity(), before);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.queue.capacity().min(self.slab.capacity())
    }

    /// Makes room for `additional` more timers.
    ///
    /// # Panics
    ///
    /// As [`Vec::reserve`](alloc::vec::Vec::reserve), if the capacity overflows.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::<u64, ()>::new();
    /// heap.reserve(100);
    /// assert!(heap.capacity() >= 100);
    /// ```
    pub fn reserve(&mut self, additional: usize) {
        self.queue.reserve(self.len(), additional);
        self.slab.reserve(additional);
    }

    /// Gives back memory that no timer uses. Timers keep their slots, so a free slot before one in use
    /// stays too.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::with_capacity(1000);
    /// heap.insert(5, ());
    /// heap.shrink_to_fit();
    /// assert!(heap.capacity() < 1000);
    /// ```
    pub fn shrink_to_fit(&mut self) {
        self.drain.remove_stale(&self.slab); // their slots may be cut off
        self.drain.shrink_to_fit();
        self.slab.shrink_to_fit();
        self.queue.shrink_to(self.slab.slots());
    }

    /// Drops all timers, and ends a drain. The memory is kept, and no old key becomes valid again.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::new();
    /// let key = heap.insert(5, "gone");
    /// heap.clear();
    /// heap.insert(5, "new");
    /// assert_eq!((heap.len(), heap.get(key)), (1, None));
    /// ```
    pub fn clear(&mut self) {
        // One by one: if the drop of a payload panics, the laws hold for the remaining timers.
        while let Some(due) = self.first_due() {
            self.drain.remove_first();
            drop(self.slab.remove_at(due.slot()));
        }
        self.drain.now = None;
        while let Some(entry) = self.queue.remove_any() {
            drop(self.slab.remove_at(entry.slot()));
        }
    }

    /// Arms a timer. Among timers with equal deadlines it comes last.
    ///
    /// During a [drain](Self::begin_drain), a deadline before the drain's `now` counts as that `now`.
    ///
    /// # Panics
    ///
    /// If there are 2³¹ timers already.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::new();
    /// let key = heap.insert(5, "five");
    /// assert_eq!((heap.deadline(key), heap.get(key)), (Some(5), Some(&"five")));
    /// ```
    #[inline]
    pub fn insert(&mut self, deadline: D, payload: T) -> TimerKey {
        let (deadline, arming) = self.arm(deadline);
        let key = self.slab.insert(Timer {
            deadline,
            arming,
            payload,
        });
        self.queue.push(Entry::new(deadline, arming, key.index));
        TimerKey(key)
    }

    /// Cancels a timer before it expires, and returns its payload; `None` if the timer is gone or is
    /// another heap's.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::new();
    /// let key = heap.insert(5, "five");
    /// assert_eq!(heap.cancel(key), Some("five"));
    /// assert_eq!(heap.cancel(key), None);
    /// ```
    #[inline]
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        let timer = self.slab.remove(key.0)?;
        match self.queue.position(key.0.index) {
            DRAINED => self.drain.count_stale(&self.slab),
            position => self.queue.remove(position),
        }
        Some(timer.payload)
    }

    /// Arms a timer again, for another deadline: as if it were cancelled and inserted, but it keeps its
    /// key and payload. `false` if the timer is gone or is another heap's.
    ///
    /// Among equal deadlines it comes last from now on, even if its deadline stays the same.
    /// During a [drain](Self::begin_drain), a deadline before the drain's `now` counts as that `now`.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::new();
    /// let idle = heap.insert(5, "the peer is idle");
    /// assert!(heap.reschedule(idle, 9)); // it is not: it sent something
    /// assert_eq!(heap.pop_expired(8), None);
    /// assert_eq!(heap.pop_expired(9), Some((idle, 9, "the peer is idle")));
    /// assert!(!heap.reschedule(idle, 20));
    /// ```
    #[inline]
    pub fn reschedule(&mut self, key: TimerKey, deadline: D) -> bool {
        if self.drain.now.is_some() {
            return self.reschedule_while_draining(key, deadline);
        }
        self.rearm(key, deadline)
    }

    /// Not part of `reschedule`, so that the common case does not test for a drain again.
    #[inline(never)]
    fn reschedule_while_draining(&mut self, key: TimerKey, deadline: D) -> bool {
        self.rearm(key, deadline)
    }

    #[inline(always)] // into two callers: with a drain and without
    fn rearm(&mut self, key: TimerKey, deadline: D) -> bool {
        let (deadline, arming) = self.arm(deadline);
        let Some(timer) = self.slab.get_mut(key.0) else {
            return false;
        };
        let postponed = timer.deadline <= deadline;
        timer.deadline = deadline;
        timer.arming = arming;
        // A postponed timer keeps its entry, which is early enough (law 2).
        if !postponed || self.drain.now.is_some() {
            self.update_entry(Entry::new(deadline, arming, key.0.index));
        }
        true
    }

    /// Restores laws 1 and 2 after a timer in the queue or in a drain was rescheduled.
    fn update_entry(&mut self, entry: Entry<D>) {
        match self.queue.position(entry.slot()) {
            DRAINED => {
                self.queue.push(entry);
                self.drain.count_stale(&self.slab);
            }
            position if entry.deadline < self.queue.at(position).deadline => {
                self.queue.advance(position, entry);
            }
            // Its entry is still early enough.
            _ => {}
        }
    }

    /// The first deadline, until which a loop may sleep. It is exact: entries of postponed timers are
    /// corrected first, so it takes `&mut self`.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap = TimerHeap::new();
    /// let key = heap.insert(5, ());
    /// heap.reschedule(key, 7);
    /// assert_eq!(heap.next_deadline(), Some(7));
    /// ```
    #[inline]
    pub fn next_deadline(&mut self) -> Option<D> {
        Some(self.first()?.deadline)
    }

    /// The first timer, without taking it.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap: TimerHeap<_, _> = [(5, "five"), (3, "three")].into_iter().collect();
    /// let (key, deadline, text) = heap.peek().unwrap();
    /// assert_eq!((deadline, *text), (3, "three"));
    /// heap.cancel(key);
    /// ```
    #[inline]
    pub fn peek(&mut self) -> Option<(TimerKey, D, &mut T)> {
        let slot = self.first()?.slot();
        self.timer_at(slot)
    }

    /// Takes the first timer if it is due at `now`: the one with the earliest deadline, and among equal
    /// deadlines the one armed first. `None` if nothing is due.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap: TimerHeap<_, _> = [(5, "five"), (3, "three"), (9, "nine")].into_iter().collect();
    /// let mut fired = Vec::new();
    /// while let Some((_key, _deadline, text)) = heap.pop_expired(6) {
    ///     fired.push(text);
    /// }
    /// assert_eq!(fired, ["three", "five"]);
    /// ```
    #[inline]
    pub fn pop_expired(&mut self, now: D) -> Option<(TimerKey, D, T)> {
        let first = self.first()?;
        if first.deadline <= now {
            self.take(first)
        } else {
            None
        }
    }

    /// The deadline and number of an arming that happens now.
    #[inline]
    fn arm(&mut self, deadline: D) -> (D, u32) {
        if self.next_arming == u32::MAX {
            self.renumber();
        }
        let arming = self.next_arming;
        self.next_arming += 1;
        let deadline = self.drain.now.map_or(deadline, |now| deadline.max(now));
        (deadline, arming)
    }

    /// Gives all timers new arming numbers, from 0, in the same order. This happens at most once in
    /// 2³¹ armings.
    #[cold]
    fn renumber(&mut self) {
        self.drain.remove_stale(&self.slab);
        for entry in self.queue.entries_mut() {
            *entry = exact(&self.slab, entry.slot()).unwrap_or(*entry);
        }
        self.queue.sort();
        self.next_arming = 0;
        // The entries of a drain come before all in the queue.
        for entry in self.drain.entries_mut().chain(self.queue.entries_mut()) {
            *entry = Entry::new(entry.deadline, self.next_arming, entry.slot());
            if let Some(timer) = self.slab.at_mut(entry.slot()) {
                timer.arming = self.next_arming;
            }
            self.next_arming += 1;
        }
    }

    /// The entry of the first timer, which is exact.
    #[inline]
    fn first(&mut self) -> Option<Entry<D>> {
        match self.first_due() {
            None => self.settle(),
            due => due,
        }
    }

    /// Corrects the first entry of the queue until it is exact, and returns it (law 2).
    #[inline]
    fn settle(&mut self) -> Option<Entry<D>> {
        loop {
            let first = self.queue.first()?;
            let exact = exact(&self.slab, first.slot())?;
            if exact.arming() == first.arming() {
                return Some(first);
            }
            self.queue.postpone(0, exact);
        }
    }

    /// Takes the timer whose entry is first.
    #[inline]
    pub(crate) fn take(&mut self, first: Entry<D>) -> Option<(TimerKey, D, T)> {
        if self.drain.is_empty() {
            self.queue.remove(0);
        } else {
            self.drain.remove_first();
        }
        let key = self.slab.key_at(first.slot())?;
        let timer = self.slab.remove_at(first.slot())?;
        Some((TimerKey(key), timer.deadline, timer.payload))
    }

    #[inline]
    pub(crate) fn timer_at(&mut self, slot: u32) -> Option<(TimerKey, D, &mut T)> {
        let key = self.slab.key_at(slot)?;
        let timer = self.slab.at_mut(slot)?;
        Some((TimerKey(key), timer.deadline, &mut timer.payload))
    }
}

/// The entry that the timer in a slot should have.
#[inline]
pub(crate) fn exact<D: Ord + Copy, T>(slab: &Slab<Timer<D, T>>, slot: u32) -> Option<Entry<D>> {
    let timer = slab.at(slot)?;
    Some(Entry::new(timer.deadline, timer.arming, slot))
}

/// Whether this is the entry of a timer that has not been cancelled or rescheduled since.
#[inline]
pub(crate) fn has<D: Ord + Copy, T>(slab: &Slab<Timer<D, T>>, entry: Entry<D>) -> bool {
    let timer = slab.at(entry.slot());
    timer.is_some_and(|timer| timer.arming == entry.arming())
}

impl<D: Ord + Copy, T> Default for TimerHeap<D, T> {
    fn default() -> Self {
        Self::new()
    }
}
