//! Draining: firing what is due while what fires arms, cancels and reschedules.
//!
//! Laws:
//! 1. What is due when a drain begins is what it yields, in order: what is armed meanwhile waits for
//!    the next one, what is cancelled or rescheduled meanwhile is not yielded.
//! 2. Nothing is set aside: a drain is a time and an arming number, and the heap is complete at each
//!    moment. So a drain may be left half-way, and every other method may be called meanwhile.
//! 3. While a drain is under way no timer is armed for an earlier time than its `now`. So whatever
//!    is due and armed before the drain stands before whatever is armed during it, and the first
//!    timer tells whether the drain is at its end.

use crate::TimerKey;
use crate::heap::{Drain, TimerHeap};
use crate::queue::Entry;

impl<D: Ord + Copy, T> TimerHeap<D, T> {
    /// Begins to drain: from now on [`pop_drained`](Self::pop_drained) yields the timers that are due
    /// at `now`, as of this moment.
    ///
    /// This is what an event loop does with its timers. Between one timer and the next the heap is
    /// not borrowed, so the callback of a timer may use it as it likes:
    ///
    /// - a timer that it inserts or reschedules is not yielded by this drain, whatever its deadline:
    ///   a timer that re-arms itself for "at once" can't keep the loop from going on;
    /// - a timer that it cancels is not yielded, though it was due;
    /// - a deadline earlier than `now` counts as `now` until the drain ends: time doesn't run backwards.
    ///
    /// A drain ends when there is nothing more to yield. One that is left half-way loses nothing:
    /// the next call of `begin_drain` begins another, and what is still due is part of it.
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
        self.drain = Some(Drain {
            now,
            seq: self.next_seq,
        });
    }

    /// The next timer of the drain under way, left where it is. `None` at its end, or if there is none.
    ///
    /// The timer comes again and again until it is taken, cancelled or rescheduled. This is how an
    /// interval keeps its key: look at it, reschedule it, and only then run its callback, which may
    /// cancel or reschedule it in turn. (One that is late by more than a period has to choose: the next
    /// deadline that is to come keeps its beat, one that has passed counts as `now`.)
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
        let slot = self.first_drained()?.slot;
        self.timer_at(slot)
    }

    /// Takes the next timer of the drain under way. `None` at its end, or if there is none.
    ///
    /// [`begin_drain`](Self::begin_drain) tells what a drain yields.
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

    /// The first entry if the drain yields it; otherwise this is the drain's end.
    #[inline]
    fn first_drained(&mut self) -> Option<Entry<D>> {
        let drain = self.drain?;
        match self.settle() {
            Some(first) if first.deadline <= drain.now && first.seq < drain.seq => Some(first),
            _ => {
                self.drain = None;
                None
            }
        }
    }
}
