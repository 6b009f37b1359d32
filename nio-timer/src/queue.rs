//! An indexed 4-ary heap: who is next, and where each slot's entry stands.
//!
//! Laws:
//! 1. No entry comes before its parent; the children of place `p` are `4p + 1 ..= 4p + 4`.
//! 2. `places[entry.slot]` is the place of that entry. The places of slots that have no entry are
//!    left over and mean nothing.
//! 3. An entry's order, `(deadline, seq)`, is total: no two entries share a `seq`.
//!
//! The deadlines stand in the entries, so finding the least of four children reads neighbours in
//! memory and follows no pointer. The places stand in a vector of their own, 4 bytes each, because
//! every level an entry moves writes one of them: in the slots they would be a cache line each.

use alloc::vec::Vec;

/// Children per entry. Two make the heap deeper, eight make each level dearer; both measured slower.
const ARITY: usize = 4;

/// What is ordered: a slot by its deadline, then by when it was armed.
#[derive(Clone, Copy)]
pub(crate) struct Entry<D> {
    pub(crate) deadline: D,
    pub(crate) seq: u64,
    pub(crate) slot: u32,
}

impl<D: Ord> Entry<D> {
    /// Whether this entry comes first. `&` and `|` instead of `&&` and `||`: there is nothing to
    /// save by stopping early, and a branch here is one that no processor can predict.
    #[inline]
    fn before(&self, other: &Self) -> bool {
        (self.deadline < other.deadline)
            | ((self.deadline == other.deadline) & (self.seq < other.seq))
    }
}

pub(crate) struct Queue<D> {
    entries: Vec<Entry<D>>,
    places: Vec<u32>,
}

impl<D: Ord + Copy> Queue<D> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Queue {
            entries: Vec::with_capacity(capacity),
            places: Vec::with_capacity(capacity),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.entries.capacity().min(self.places.capacity())
    }

    pub(crate) fn reserve(&mut self, additional: usize) {
        self.entries.reserve(additional);
        let wanted = self.entries.len().saturating_add(additional);
        self.places
            .reserve(wanted.saturating_sub(self.places.len()));
    }

    /// Gives back unused memory; `slots` is how many slots there still are.
    pub(crate) fn shrink_to_fit(&mut self, slots: usize) {
        self.entries.shrink_to_fit();
        self.places.truncate(slots);
        self.places.shrink_to_fit();
    }

    #[inline]
    pub(crate) fn first(&self) -> Option<Entry<D>> {
        self.entries.first().copied()
    }

    /// The entry of a slot that has one.
    #[inline]
    pub(crate) fn entry(&self, slot: u32) -> Entry<D> {
        self.entries[self.places[slot as usize] as usize]
    }

    #[inline]
    pub(crate) fn push(&mut self, entry: Entry<D>) {
        if self.places.len() <= entry.slot as usize {
            self.places.resize(entry.slot as usize + 1, 0);
        }
        self.entries.push(entry);
        self.rise(self.entries.len() - 1, entry);
    }

    /// Takes the entry of a slot out; the last entry fills the gap.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) {
        let place = self.places[slot as usize] as usize;
        let Some(last) = self.entries.pop() else {
            return;
        };
        if place == self.entries.len() {
            return;
        }
        if last.before(&self.entries[place]) {
            self.rise(place, last);
        } else {
            self.sink(place, last);
        }
    }

    /// Takes the entry that is last in memory (not in time), and returns its slot.
    pub(crate) fn remove_any(&mut self) -> Option<u32> {
        self.entries.pop().map(|entry| entry.slot)
    }

    /// Moves a slot's entry forward in time, to a place nearer the top.
    #[inline]
    pub(crate) fn advance(&mut self, entry: Entry<D>) {
        self.rise(self.places[entry.slot as usize] as usize, entry);
    }

    /// Moves the first entry back in time.
    #[inline]
    pub(crate) fn postpone_first(&mut self, entry: Entry<D>) {
        self.sink(0, entry);
    }

    /// Puts `entry` where the gap at `place` ends after moving later parents down into it.
    #[inline]
    fn rise(&mut self, mut place: usize, entry: Entry<D>) {
        while place > 0 {
            let parent = (place - 1) / ARITY;
            let above = self.entries[parent];
            if !entry.before(&above) {
                break;
            }
            self.put(place, above);
            place = parent;
        }
        self.put(place, entry);
    }

    /// Moves the gap at `place` down to a leaf, always along the least child, and lets `entry`
    /// rise from there. What is put in a gap was a leaf or has been postponed, so it belongs near
    /// the bottom: comparing it at every level on the way down would cost more than the way back.
    #[inline]
    fn sink(&mut self, mut place: usize, entry: Entry<D>) {
        while let Some(child) = self.least_child(place) {
            self.put(place, self.entries[child]);
            place = child;
        }
        self.rise(place, entry);
    }

    /// The place of the child that comes first.
    #[inline]
    fn least_child(&self, place: usize) -> Option<usize> {
        let first = ARITY * place + 1;
        if let Some([a, b, c, d]) = self.entries.get(first..first + ARITY) {
            let (left, ab) = if b.before(a) { (1, b) } else { (0, a) };
            let (right, cd) = if d.before(c) { (3, d) } else { (2, c) };
            return Some(first + if cd.before(ab) { right } else { left });
        }
        let mut rest = first..self.entries.len();
        let mut least = rest.next()?;
        for child in rest {
            if self.entries[child].before(&self.entries[least]) {
                least = child;
            }
        }
        Some(least)
    }

    #[inline]
    fn put(&mut self, place: usize, entry: Entry<D>) {
        self.entries[place] = entry;
        self.places[entry.slot as usize] = place as u32;
    }

    /// The entries, in no particular order.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> &[Entry<D>] {
        &self.entries
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        for (place, entry) in self.entries.iter().enumerate() {
            assert_eq!(self.places[entry.slot as usize] as usize, place, "law 2");
            if place > 0 {
                assert!(
                    self.entries[(place - 1) / ARITY].before(entry),
                    "laws 1 and 3"
                );
            }
        }
    }
}
