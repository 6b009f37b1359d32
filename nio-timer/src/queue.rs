//! An indexed 4-ary heap: who is next, and where each slot's entry stands.
//!
//! Laws:
//! 1. No entry comes before its parent; the children of place `p` are `4p + 1 ..= 4p + 4`.
//! 2. The slot of each entry knows its place.
//! 3. An entry's order, `(deadline, seq)`, is total: no two entries share a `seq`.
//!
//! The deadlines stand in the entries, so finding the least of four children reads neighbours in
//! memory and follows no pointer.

use alloc::vec::Vec;

use crate::slab::Slot;

/// Children per entry: half the depth of a binary heap, and the four to compare are neighbours.
const ARITY: usize = 4;

/// What is ordered: a slot by its deadline, then by when it was armed.
#[derive(Clone, Copy)]
pub(crate) struct Entry<D> {
    pub(crate) deadline: D,
    pub(crate) seq: u64,
    pub(crate) slot: u32,
}

impl<D: Ord + Copy> Entry<D> {
    #[inline]
    fn before(&self, other: &Self) -> bool {
        before((self.deadline, self.seq), (other.deadline, other.seq))
    }
}

/// Which comes first. `&` and `|` instead of `&&` and `||`: there is nothing to save by stopping
/// early, and a branch here is one that no processor can predict.
#[inline]
fn before<D: Ord>(one: (D, u64), other: (D, u64)) -> bool {
    (one.0 < other.0) | ((one.0 == other.0) & (one.1 < other.1))
}

pub(crate) struct Queue<D> {
    entries: Vec<Entry<D>>,
}

impl<D: Ord + Copy> Queue<D> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Queue {
            entries: Vec::with_capacity(capacity),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.entries.capacity()
    }

    pub(crate) fn reserve(&mut self, additional: usize) {
        self.entries.reserve(additional);
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.entries.shrink_to_fit();
    }

    #[inline]
    pub(crate) fn first(&self) -> Option<Entry<D>> {
        self.entries.first().copied()
    }

    #[inline]
    pub(crate) fn deadline_at(&self, place: u32) -> D {
        self.entries[place as usize].deadline
    }

    #[inline]
    pub(crate) fn push<T>(&mut self, slots: &mut [Slot<D, T>], entry: Entry<D>) {
        self.entries.push(entry);
        let last = self.entries.len() - 1;
        rise(&mut self.entries, slots, last, entry);
    }

    /// Takes the entry at `place` out; the last entry fills the gap. (It may have to rise above the
    /// gap, if it comes from another branch; `sink` lets it.)
    #[inline]
    pub(crate) fn remove<T>(&mut self, slots: &mut [Slot<D, T>], place: u32) {
        let Some(last) = self.entries.pop() else {
            return;
        };
        if (place as usize) < self.entries.len() {
            sink(&mut self.entries, slots, place as usize, last);
        }
    }

    /// Takes the entry that is last in memory (not in time), and returns its slot.
    pub(crate) fn remove_any(&mut self) -> Option<u32> {
        self.entries.pop().map(|entry| entry.slot)
    }

    /// Moves the entry at `place` forward in time: to where `entry` belongs, nearer the top.
    #[inline]
    pub(crate) fn advance<T>(&mut self, slots: &mut [Slot<D, T>], place: u32, entry: Entry<D>) {
        rise(&mut self.entries, slots, place as usize, entry);
    }

    /// Moves the first entry back in time.
    #[inline]
    pub(crate) fn postpone_first<T>(&mut self, slots: &mut [Slot<D, T>], entry: Entry<D>) {
        sink(&mut self.entries, slots, 0, entry);
    }

    /// The entries, in no particular order.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> &[Entry<D>] {
        &self.entries
    }

    #[cfg(test)]
    pub(crate) fn check<T>(&self, slots: &[Slot<D, T>]) {
        for (place, entry) in self.entries.iter().enumerate() {
            assert_eq!(slots[entry.slot as usize].place as usize, place, "law 2");
            if place > 0 {
                assert!(
                    self.entries[(place - 1) / ARITY].before(entry),
                    "laws 1 and 3"
                );
            }
        }
    }
}

// The walks through the heap are functions of slices: so the compiler knows that nothing they write
// moves or resizes what they read.

/// Puts `entry` where the gap at `place` ends after moving later parents down into it.
#[inline]
fn rise<D: Ord + Copy, T>(
    entries: &mut [Entry<D>],
    slots: &mut [Slot<D, T>],
    mut place: usize,
    entry: Entry<D>,
) {
    while place > 0 {
        let parent = (place - 1) / ARITY;
        let above = entries[parent];
        if !entry.before(&above) {
            break;
        }
        put(entries, slots, place, above);
        place = parent;
    }
    put(entries, slots, place, entry);
}

/// Moves the gap at `place` down to a leaf, always along the least child, and lets `entry`
/// rise from there. What is put in a gap was a leaf or has been postponed, so it belongs near
/// the bottom: comparing it at every level on the way down would cost more than the way back.
fn sink<D: Ord + Copy, T>(
    entries: &mut [Entry<D>],
    slots: &mut [Slot<D, T>],
    mut place: usize,
    entry: Entry<D>,
) {
    while let Some(child) = least_child(entries, place) {
        put(entries, slots, place, entries[child]);
        place = child;
    }
    rise(entries, slots, place, entry);
}

/// The place of the child that comes first.
#[inline]
fn least_child<D: Ord + Copy>(entries: &[Entry<D>], place: usize) -> Option<usize> {
    let first = ARITY * place + 1;
    let children = entries.get(first..)?;
    let Some(four) = children.first_chunk::<ARITY>() else {
        let by_order = |a: usize, b: usize| {
            if children[b].before(&children[a]) {
                b
            } else {
                a
            }
        };
        return Some(first + (0..children.len()).reduce(by_order)?);
    };
    // Two pairs, then their winners. What wins a pair is carried on by value: to load it again by
    // its number would make each level wait for memory twice.
    let [a, b, c, d] = four.each_ref().map(|entry| (entry.deadline, entry.seq));
    let (second, fourth) = (before(b, a), before(d, c));
    let left = if second { b } else { a };
    let right = if fourth { d } else { c };
    let (left_place, right_place) = (usize::from(second), 2 + usize::from(fourth));
    Some(
        first
            + if before(right, left) {
                right_place
            } else {
                left_place
            },
    )
}

#[inline]
fn put<D: Copy, T>(
    entries: &mut [Entry<D>],
    slots: &mut [Slot<D, T>],
    place: usize,
    entry: Entry<D>,
) {
    entries[place] = entry;
    slots[entry.slot as usize].place = place as u32;
}
