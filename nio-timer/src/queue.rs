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

    /// Takes the first entry out, as `remove` does, but without looking for it.
    #[inline]
    pub(crate) fn remove_first(&mut self) {
        let Some(last) = self.entries.pop() else {
            return;
        };
        if !self.entries.is_empty() {
            self.sink(0, last);
        }
    }

    /// Puts `entry` where the gap at `place` ends after moving later parents down into it.
    #[inline]
    fn rise(&mut self, place: usize, entry: Entry<D>) {
        rise(&mut self.entries, &mut self.places, place, entry);
    }

    /// Moves the gap at `place` down to a leaf, always along the least child, and lets `entry`
    /// rise from there. What is put in a gap was a leaf or has been postponed, so it belongs near
    /// the bottom: comparing it at every level on the way down would cost more than the way back.
    fn sink(&mut self, mut place: usize, entry: Entry<D>) {
        let (entries, places) = (&mut self.entries[..], &mut self.places[..]);
        while let Some(child) = least_child(entries, place) {
            put(entries, places, place, entries[child]);
            place = child;
        }
        rise(entries, places, place, entry);
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

// The walks through the heap are functions of slices: so the compiler knows that nothing they write
// moves or resizes what they read.

#[inline]
fn rise<D: Ord + Copy>(
    entries: &mut [Entry<D>],
    places: &mut [u32],
    mut place: usize,
    entry: Entry<D>,
) {
    while place > 0 {
        let parent = (place - 1) / ARITY;
        let above = entries[parent];
        if !entry.before(&above) {
            break;
        }
        put(entries, places, place, above);
        place = parent;
    }
    put(entries, places, place, entry);
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
fn put<D: Copy>(entries: &mut [Entry<D>], places: &mut [u32], place: usize, entry: Entry<D>) {
    entries[place] = entry;
    places[entry.slot as usize] = place as u32;
}
