//! Draining: yielding the timers that are due while their callbacks insert, cancel and reschedule.
//!
//! Laws:
//! 1. A drain yields, in order, the timers that were due when it began. A timer armed meanwhile waits
//!    for the next drain; a timer cancelled or rescheduled meanwhile is not yielded.
//! 2. When a drain begins, all its entries leave the queue and are sorted, which costs less than
//!    removing the first of the queue each time. The timers stay in the slab; their position is
//!    `DRAINED`.
//! 3. Stale entries, of timers that were cancelled or rescheduled meanwhile, stay until they come first
//!    or are more than half of the entries. So memory is only for timers that were due at one time.
//! 4. During a drain no timer is armed for an earlier time than its `now`. So the entries of the drain
//!    come before all in the queue. A drain may stop half-way, and every other method may be called
//!    meanwhile.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use crate::TimerKey;
use crate::heap::{Timer, TimerHeap, exact, has};
use crate::queue::Entry;
use crate::slab::Slab;

/// The last drain.
pub(crate) struct Drain<D> {
    /// `None` if it has ended.
    pub(crate) now: Option<D>,
    /// The entries that are not yielded yet, in order, stale ones included.
    due: VecDeque<Entry<D>>,
    /// How many of the entries are stale.
    stale: usize,
    /// Used only while a drain begins; kept to reuse its memory.
    found: Vec<u32>,
}

impl<D: Ord + Copy> Drain<D> {
    pub(crate) fn new() -> Self {
        Drain {
            now: None,
            due: VecDeque::new(),
            stale: 0,
            found: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether there is no entry, stale ones included.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Takes the first entry out.
    #[inline]
    pub(crate) fn remove_first(&mut self) {
        self.due.pop_front();
    }

    /// Counts an entry that has become stale (law 3).
    pub(crate) fn count_stale<T>(&mut self, slab: &Slab<Timer<D, T>>) {
        self.stale += 1;
        if self.stale > self.due.len() / 2 {
            self.remove_stale(slab);
        }
    }

    /// Removes stale entries.
    pub(crate) fn remove_stale<T>(&mut self, slab: &Slab<Timer<D, T>>) {
        self.due.retain(|&entry| has(slab, entry));
        self.stale = 0;
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.due.shrink_to_fit();
        self.found.shrink_to_fit();
    }

    /// The entries, stale ones included.
    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry<D>> {
        self.due.iter_mut()
    }

    /// The entries that are not stale.
    #[cfg(test)]
    pub(crate) fn check<T>(&self, slab: &Slab<Timer<D, T>>) -> Vec<Entry<D>> {
        assert!(self.due.iter().is_sorted_by(|a, b| a.order(b).is_lt()));
        let due = self.due.iter().copied();
        let due: Vec<_> = due.filter(|&entry| has(slab, entry)).collect();
        assert_eq!(self.due.len() - due.len(), self.stale, "law 3");
        assert!(self.found.is_empty());
        due
    }
}

impl<D: Ord + Copy, T> TimerHeap<D, T> {
    /// Begins to drain: from now on [`pop_drained`](Self::pop_drained) yields the timers that are due
    /// at `now`, as of this moment.
    ///
    /// An event loop runs its timers this way. Between two timers the heap is not borrowed, so the
    /// callback of a timer may use it:
    ///
    /// - a timer that it inserts or reschedules is not yielded by this drain, with any deadline: a timer
    ///   that arms itself again for "now" does not keep the loop in this phase;
    /// - a timer that it cancels is not yielded, though it was due;
    /// - a deadline earlier than `now` counts as `now` until the drain ends.
    ///
    /// A drain ends when it has yielded all its timers. A drain that stops half-way loses nothing: the next
    /// call of `begin_drain` begins another, which yields the timers that are still due.
    ///
    /// # Panics
    ///
    /// As [`Vec::reserve`], if the memory for the timers that are due overflows.
    ///
    /// ```
    /// use nio_timer::TimerHeap;
    ///
    /// let mut heap = TimerHeap::new();
    /// heap.insert(1, "a");
    /// let b = heap.insert(2, "b");
    ///
    /// heap.begin_drain(2);
    /// assert_eq!(heap.pop_drained().unwrap().2, "a");
    /// heap.insert(0, "d"); // due, but not part of this drain
    /// heap.cancel(b); // part of this drain, but cancelled
    /// assert_eq!(heap.pop_drained(), None);
    ///
    /// heap.begin_drain(2);
    /// assert_eq!(heap.pop_drained().unwrap().2, "d");
    /// ```
    #[inline]
    pub fn begin_drain(&mut self, now: D) {
        self.drain.now = Some(now);
        // Entries that an earlier drain has not yielded come first in this one, unless `now` has gone
        // backwards.
        while let Some(&last) = self.drain.due.back() {
            if last.deadline <= now {
                break;
            }
            self.drain.due.pop_back();
            if has(&self.slab, last) {
                self.queue.push(last);
            } else {
                self.drain.stale -= 1;
            }
        }
        if self
            .queue
            .first()
            .is_some_and(|first| first.deadline <= now)
        {
            self.collect_due(now);
        }
    }

    /// Moves entries that are due from the queue to the drain. Entries of postponed timers are corrected.
    fn collect_due(&mut self, now: D) {
        let before = self.drain.due.len();
        let mut found = mem::take(&mut self.drain.found);
        self.queue.find_until(now, &mut found);
        // The farthest from the top first. The entry that fills a gap is not due, so it stays below
        // the entries that were found, whose positions do not change.
        while let Some(position) = found.pop() {
            let entry = self.queue.at(position);
            let exact = exact(&self.slab, entry.slot()).unwrap_or(entry);
            if exact.deadline <= now {
                self.queue.remove_to_drain(position);
                self.drain.due.push_back(exact);
            } else {
                self.queue.postpone(position, exact);
            }
        }
        self.drain.found = found;
        self.drain.due.make_contiguous()[before..].sort_unstable_by(Entry::order);
    }

    /// The next timer of the drain, without taking it. `None` at the drain's end, or without a drain.
    ///
    /// Returns the same timer until it is taken, cancelled or rescheduled. So an interval can keep its key:
    /// peek at it, reschedule it, and only then run its callback, which may cancel or reschedule it. (A
    /// deadline that has passed counts as `now`; an interval that is late by more than a period keeps its
    /// phase if it is rescheduled to its next deadline in the future.)
    ///
    /// ```
    /// use nio_timer::TimerHeap;
    ///
    /// enum Timer {
    ///     Once(&'static str),
    ///     Every(u64, &'static str),
    /// }
    ///
    /// let mut heap = TimerHeap::new();
    /// heap.insert(10, Timer::Once("once"));
    /// let ticker = heap.insert(5, Timer::Every(5, "tick"));
    /// let mut fired = Vec::new();
    ///
    /// for now in [5, 10, 15] {
    ///     heap.begin_drain(now);
    ///     while let Some((key, deadline, timer)) = heap.peek_drained() {
    ///         if let &mut Timer::Every(period, text) = timer {
    ///             heap.reschedule(key, deadline + period);
    ///             fired.push((now, text));
    ///         } else if let Some((_, _, Timer::Once(text))) = heap.pop_drained() {
    ///             fired.push((now, text));
    ///         }
    ///     }
    /// }
    /// assert_eq!(fired, [(5, "tick"), (10, "once"), (10, "tick"), (15, "tick")]);
    /// assert!(heap.cancel(ticker).is_some());
    /// ```
    #[inline]
    pub fn peek_drained(&mut self) -> Option<(TimerKey, D, &mut T)> {
        let slot = self.first_drained()?.slot();
        self.timer_at(slot)
    }

    /// Takes the next timer of the drain. `None` at the drain's end, or without a drain.
    ///
    /// [`begin_drain`](Self::begin_drain) says which timers a drain yields.
    ///
    /// ```
    /// # use nio_timer::TimerHeap;
    /// let mut heap: TimerHeap<_, _> = [(3, "c"), (1, "a"), (2, "b")].into_iter().collect();
    /// heap.begin_drain(2);
    /// while let Some((_key, deadline, text)) = heap.pop_drained() {
    ///     heap.insert(deadline + 10, text); // nothing is borrowed: a callback may do this
    /// }
    /// assert_eq!(heap.next_deadline(), Some(3));
    /// ```
    #[inline]
    pub fn pop_drained(&mut self) -> Option<(TimerKey, D, T)> {
        let first = self.first_drained()?;
        self.take(first)
    }

    /// The first entry of the drain; without one, the drain ends.
    #[inline]
    fn first_drained(&mut self) -> Option<Entry<D>> {
        let first = self.first_due();
        if first.is_none() {
            self.drain.now = None;
        }
        first
    }

    /// The first entry of the drain that is not stale.
    #[inline]
    pub(crate) fn first_due(&mut self) -> Option<Entry<D>> {
        loop {
            let first = *self.drain.due.front()?;
            if has(&self.slab, first) {
                return Some(first);
            }
            self.drain.due.pop_front();
            self.drain.stale -= 1;
        }
    }
}
