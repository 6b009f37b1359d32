//! An indexed 4-ary heap: it finds the first entry, and the position of each slot's entry.
//!
//! Laws:
//! 1. No entry comes before its parent; the children of position `p` are `4p + 1 ..= 4p + 4`.
//! 2. For each slot, the position of its entry is known.
//! 3. The order of entries, by deadline and then by arming, is total: no two entries share an arming.
//!
//! The entries hold the deadlines, so finding the least of four children reads neighbours in memory and
//! follows no pointer. The positions are in a vector of their own: every step of a walk through the heap
//! writes one, and the vector is small enough to stay in the cache.

use alloc::vec::Vec;
use core::cmp::Ordering;
use core::slice;

/// Children per entry: half the depth of a binary heap, and the four children are neighbours in memory.
const ARITY: usize = 4;
/// The position of a slot whose timer has left the queue for a drain.
pub(crate) const DRAINED: u32 = u32::MAX;

/// A slot, ordered by its deadline, then by its arming.
///
/// 16 bytes for deadlines of 8 bytes: four children are as long as a cache line.
#[derive(Clone, Copy)]
pub(crate) struct Entry<D> {
    pub(crate) deadline: D,
    /// The arming in the upper half, the slot in the lower: one comparison for both.
    rank: u64,
}

impl<D: Ord + Copy> Entry<D> {
    #[inline]
    pub(crate) fn new(deadline: D, arming: u32, slot: u32) -> Self {
        Entry {
            deadline,
            rank: u64::from(arming) << 32 | u64::from(slot),
        }
    }

    #[inline]
    pub(crate) fn arming(self) -> u32 {
        (self.rank >> 32) as u32
    }

    #[inline]
    pub(crate) fn slot(self) -> u32 {
        self.rank as u32
    }

    /// Whether this entry comes before another. `&` and `|` instead of `&&` and `||`: a branch here could not be predicted.
    #[inline]
    fn before(self, other: Self) -> bool {
        (self.deadline < other.deadline)
            | ((self.deadline == other.deadline) & (self.rank < other.rank))
    }

    /// As `before`, for sorting.
    #[inline]
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        (self.deadline, self.rank).cmp(&(other.deadline, other.rank))
    }
}

pub(crate) struct Queue<D> {
    entries: Vec<Entry<D>>,
    /// By slot: the position of its entry, or `DRAINED`. Meaningless for a free slot.
    positions: Vec<u32>,
}

impl<D: Ord + Copy> Queue<D> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Queue {
            entries: Vec::with_capacity(capacity),
            positions: Vec::with_capacity(capacity),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.entries.capacity().min(self.positions.capacity())
    }

    /// Makes room for `live + additional` timers.
    pub(crate) fn reserve(&mut self, live: usize, additional: usize) {
        let wanted = live.saturating_add(additional);
        let more = |len: usize| wanted.saturating_sub(len);
        self.entries.reserve(more(self.entries.len()));
        self.positions.reserve(more(self.positions.len()));
    }

    /// Gives back unused memory, now that there are `slots` slots.
    pub(crate) fn shrink_to(&mut self, slots: usize) {
        self.positions.truncate(slots);
        self.positions.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    #[inline]
    pub(crate) fn first(&self) -> Option<Entry<D>> {
        self.entries.first().copied()
    }

    #[inline]
    pub(crate) fn at(&self, position: u32) -> Entry<D> {
        self.entries[position as usize]
    }

    /// The position of a slot's entry, or `DRAINED`.
    #[inline]
    pub(crate) fn position(&self, slot: u32) -> u32 {
        self.positions[slot as usize]
    }

    /// Adds an entry. Its slot has had one before, or is the next one.
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry<D>) {
        let last = self.entries.len();
        self.entries.push(entry);
        if entry.slot() as usize == self.positions.len() {
            self.positions.push(0);
        }
        rise(&mut self.entries, &mut self.positions, last, entry);
    }

    /// Takes the entry at `position` out; the last entry fills the gap. (From another branch, it may have
    /// to rise above the gap; `sink` allows that, too.)
    #[inline]
    pub(crate) fn remove(&mut self, position: u32) {
        let position = position as usize;
        let Some(last) = self.entries.pop() else {
            return;
        };
        if ARITY * position + 1 < self.entries.len() {
            sink(&mut self.entries, &mut self.positions, position, last);
        } else if position < self.entries.len() {
            // A leaf, as three in four are.
            rise(&mut self.entries, &mut self.positions, position, last);
        }
    }

    /// As `remove`, for an entry that a drain takes.
    #[inline]
    pub(crate) fn remove_to_drain(&mut self, position: u32) {
        let slot = self.at(position).slot();
        self.positions[slot as usize] = DRAINED;
        self.remove(position);
    }

    /// Takes the entry that is last in memory (not the last in time).
    pub(crate) fn remove_any(&mut self) -> Option<Entry<D>> {
        self.entries.pop()
    }

    /// Moves the entry at `position` forward in time: to where `entry` belongs, nearer the top.
    #[inline]
    pub(crate) fn advance(&mut self, position: u32, entry: Entry<D>) {
        rise(
            &mut self.entries,
            &mut self.positions,
            position as usize,
            entry,
        );
    }

    /// Moves the entry at `position` back in time.
    #[inline]
    pub(crate) fn postpone(&mut self, position: u32, entry: Entry<D>) {
        sink(
            &mut self.entries,
            &mut self.positions,
            position as usize,
            entry,
        );
    }

    /// The positions of all entries up to `now`, the nearest to the top first.
    pub(crate) fn find_until(&self, now: D, found: &mut Vec<u32>) {
        found.clear();
        let mut from = 0..1;
        let mut next = 0;
        loop {
            for position in from {
                match self.entries.get(position) {
                    Some(entry) if entry.deadline <= now => found.push(position as u32),
                    _ => {}
                }
            }
            let Some(&parent) = found.get(next) else {
                return;
            };
            next += 1;
            let first = ARITY * parent as usize + 1;
            from = first..first + ARITY;
        }
    }

    /// The entries, in no particular order unless they have just been sorted. A caller that changes
    /// their order sorts them afterwards.
    pub(crate) fn entries_mut(&mut self) -> slice::IterMut<'_, Entry<D>> {
        self.entries.iter_mut()
    }

    /// Sorts the entries: a sorted vector is a heap, too.
    pub(crate) fn sort(&mut self) {
        self.entries.sort_unstable_by(Entry::order);
        for (position, entry) in self.entries.iter().enumerate() {
            self.positions[entry.slot() as usize] = position as u32;
        }
    }

    /// The entries, in no particular order.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> &[Entry<D>] {
        &self.entries
    }

    #[cfg(test)]
    pub(crate) fn check(&self) {
        for (position, &entry) in self.entries.iter().enumerate() {
            assert_eq!(self.position(entry.slot()) as usize, position, "law 2");
            if position > 0 {
                assert!(
                    self.entries[(position - 1) / ARITY].before(entry),
                    "laws 1 and 3"
                );
            }
        }
    }
}

// The walks through the heap take slices, so that the compiler knows that no write moves or resizes the
// vectors.

/// Puts `entry` where the gap at `position` ends after moving later parents down into it.
#[inline(always)] // usually one comparison and two writes, less than a call with six arguments
fn rise<D: Ord + Copy>(
    entries: &mut [Entry<D>],
    positions: &mut [u32],
    mut position: usize,
    entry: Entry<D>,
) {
    while position > 0 {
        let parent = (position - 1) / ARITY;
        let above = entries[parent];
        if !entry.before(above) {
            break;
        }
        put(entries, positions, position, above);
        position = parent;
    }
    put(entries, positions, position, entry);
}

/// Moves the gap at `position` down to a leaf, always along the least child, and lets `entry`
/// rise from there. The entry was a leaf or has been postponed, so it belongs near the bottom:
/// comparing it at every level on the way down would cost more than the way back.
fn sink<D: Ord + Copy>(
    entries: &mut [Entry<D>],
    positions: &mut [u32],
    mut position: usize,
    entry: Entry<D>,
) {
    while let Some((child, least)) = least_child(entries, position) {
        put(entries, positions, position, least);
        position = child;
    }
    rise(entries, positions, position, entry);
}

/// The child that comes first, and its position.
#[inline]
fn least_child<D: Ord + Copy>(entries: &[Entry<D>], position: usize) -> Option<(usize, Entry<D>)> {
    let first = ARITY * position + 1;
    let children = entries.get(first..)?;
    let less = |one: (usize, Entry<D>), other: (usize, Entry<D>)| {
        if other.1.before(one.1) { other } else { one }
    };
    // Compares two pairs, then their winners, by value: loading the winners again by index would make
    // each level wait for memory twice.
    if let Some(&[a, b, c, d]) = children.first_chunk::<ARITY>() {
        let left = less((first, a), (first + 1, b));
        let right = less((first + 2, c), (first + 3, d));
        return Some(less(left, right));
    }
    let few = children.iter().copied().enumerate();
    few.map(|(at, entry)| (first + at, entry)).reduce(less)
}

#[inline]
fn put<D: Ord + Copy>(
    entries: &mut [Entry<D>],
    positions: &mut [u32],
    position: usize,
    entry: Entry<D>,
) {
    entries[position] = entry;
    positions[entry.slot() as usize] = position as u32;
}
