//! A vector of slots with keys that are never given out twice: index, generation and slab.
//!
//! Laws:
//! 1. A key is given out once. The generation of a slot moves on when its value leaves, and a slot whose
//!    generations are used up is retired: it holds no value any more.
//! 2. A key names a value of the slab that gave it, and nothing in another slab: each slab has a number of
//!    its own, which its keys carry.
//! 3. A lookup finds a slot only while there is a value in it. A key that names nothing changes nothing.
//! 4. Slots are cut off the end only by [`Slab::shrink_to_fit`]. Slots made after that begin with a
//!    generation that no slot cut off has used.
//!
//! This file and `word` stand alone: they use nothing else of the crate.

use alloc::vec::Vec;
use core::iter::{Enumerate, FusedIterator};
use core::num::NonZeroU32;
use core::{fmt, slice};

use crate::word;

/// The generation of a retired slot. The first of all is 1.
const RETIRED: u32 = 0;
/// How many slots there can be: fewer than indices, so that users of the slab can give the other values a
/// meaning.
const MOST: usize = 1 << 31;

/// Names a value in a [`Slab`], from its insertion until it is removed.
///
/// A key is a plain value of 12 bytes: copy it, store it, compare it. Once its value is gone, it names
/// nothing, also when the slot has another value. In another slab it never names anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub(crate) index: u32,
    pub(crate) generation: NonZeroU32,
    slab: u32,
}

impl Key {
    /// Index and generation in one word, for a field that holds no more, as the user data of a kernel's
    /// event. The slab that gave the key finds the value by [`Slab::key_of_word`].
    ///
    /// A word is never 0, and never `usize::MAX`. On 32-bit targets it has less room than a key: the first 2²⁰
    /// indices have one of 2047 generations, which repeat, and the indices after them have none.
    ///
    /// ```
    /// let mut slab = nio_timer::Slab::new();
    /// let key = slab.insert("connection");
    /// assert_eq!(slab.key_of_word(key.to_word()), Some(key));
    /// slab.remove(key);
    /// assert_eq!(slab.key_of_word(key.to_word()), None);
    /// ```
    #[must_use]
    #[inline]
    pub fn to_word(self) -> usize {
        word::pack(self.index, self.generation)
    }
}

impl fmt::Debug for Key {
    /// Index, generation and slab: `Key(3v1 of 7)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Key({}v{} of {})",
            self.index, self.generation, self.slab
        )
    }
}

/// Values under keys that are never used twice.
///
/// [`TimerHeap`](crate::TimerHeap) keeps its timers in one. It is public because a program with timers
/// usually has other values that need keys of this kind.
///
/// Inserting, finding and removing are O(1). A freed slot is used again; memory is for the most values
/// that there were at one time.
///
/// A key of another slab names nothing: slabs are numbered, and two of them can have the same number
/// only if 2³² were made between them. (On a processor without atomic integers of 32 bits all slabs have
/// the same number.)
///
/// ```
/// use nio_timer::Slab;
///
/// let mut slab = Slab::new();
/// let key = slab.insert("first");
/// assert_eq!(slab.get(key), Some(&"first"));
/// assert_eq!(slab.remove(key), Some("first"));
///
/// let other = slab.insert("second"); // in the same slot
/// assert_eq!(slab.get(key), None);
/// assert_eq!(Slab::<&str>::new().get(other), None);
/// ```
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    /// The indices of free slots. The slot freed last is used next: it is still in the cache.
    free: Vec<u32>,
    /// How many slots are retired.
    retired: usize,
    /// The first generation of slots yet to be made.
    fresh: NonZeroU32,
    /// Which slab this is (law 2).
    id: u32,
}

/// 4 bytes and the value, as an [`Option`].
struct Slot<T> {
    /// Of the value in this slot or, in a free slot, of the next one.
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    /// An empty slab. It allocates nothing until the first value is inserted.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty slab with room for `capacity` values.
    ///
    /// # Panics
    ///
    /// As [`Vec::with_capacity`], if the capacity overflows.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Slab {
            slots: Vec::with_capacity(capacity),
            free: Vec::new(),
            retired: 0,
            fresh: NonZeroU32::MIN,
            id: next_id(),
        }
    }

    /// How many values there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len() - self.retired
    }

    /// Whether there is no value.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values fit before inserting one allocates memory again.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.capacity() - self.retired
    }

    /// Makes room for `additional` more values.
    ///
    /// # Panics
    ///
    /// As [`Vec::reserve`], if the capacity overflows.
    pub fn reserve(&mut self, additional: usize) {
        self.slots
            .reserve(additional.saturating_sub(self.free.len()));
    }

    /// Puts a value in. The key is a new one.
    ///
    /// # Panics
    ///
    /// If there are 2³¹ values already.
    #[inline]
    pub fn insert(&mut self, value: T) -> Key {
        let Some(index) = self.free.pop() else {
            return self.append(value);
        };
        let slot = &mut self.slots[index as usize];
        slot.value = Some(value);
        let generation = slot.generation;
        self.name(index, generation)
    }

    fn append(&mut self, value: T) -> Key {
        let index = self.slots.len();
        assert!(index < MOST, "a slab holds at most 2^31 values");
        let generation = self.fresh.get();
        self.slots.push(Slot {
            generation,
            value: Some(value),
        });
        self.name(index as u32, generation)
    }

    /// Takes a value out; `None` if it is gone or was never in this slab.
    #[inline]
    pub fn remove(&mut self, key: Key) -> Option<T> {
        if self.contains(key) {
            self.remove_at(key.index)
        } else {
            None
        }
    }

    /// A value; `None` if it is gone or was never in this slab.
    #[must_use]
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        let same = slot.generation == key.generation.get() && self.id == key.slab;
        slot.value.as_ref().filter(|_| same)
    }

    /// A value, mutable; `None` if it is gone or was never in this slab.
    #[must_use]
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        let same = slot.generation == key.generation.get() && self.id == key.slab;
        slot.value.as_mut().filter(|_| same)
    }

    /// Whether this key's value is in this slab.
    #[must_use]
    #[inline]
    pub fn contains(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// The key that [`Key::to_word`] made this word of, if its value is still there. On 32-bit targets it may be
    /// the key of a later value, after 2047 others in the same slot, or in a slot after the first 2²⁰.
    #[must_use]
    #[inline]
    pub fn key_of_word(&self, word: usize) -> Option<Key> {
        let key = self.key_at(word::index(word))?;
        (key.to_word() == word).then_some(key)
    }

    /// All values, in no particular order.
    #[must_use]
    pub fn iter(&self) -> SlabIter<'_, T> {
        SlabIter {
            slots: self.slots.iter().enumerate(),
            left: self.len(),
            id: self.id,
        }
    }

    /// Takes all values out. The memory is kept, and no old key becomes valid again.
    ///
    /// ```
    /// let mut slab = nio_timer::Slab::new();
    /// let key = slab.insert('a');
    /// assert_eq!(slab.take_all(), ['a']);
    /// slab.insert('b');
    /// assert_eq!(slab.get(key), None);
    /// ```
    pub fn take_all(&mut self) -> Vec<T> {
        let mut taken = Vec::with_capacity(self.len());
        let slots = 0..self.slots.len() as u32;
        taken.extend(slots.filter_map(|index| self.remove_at(index)));
        taken
    }

    /// Cuts free slots off the end and gives back memory that no value uses. Values stay where they
    /// are, so a free slot before one in use stays too.
    pub fn shrink_to_fit(&mut self) {
        while let Some(last) = self.slots.last() {
            let Some(generation) = NonZeroU32::new(last.generation) else {
                break; // retired
            };
            if last.value.is_some() {
                break;
            }
            self.fresh = self.fresh.max(generation);
            self.slots.pop();
        }
        self.slots.shrink_to_fit();
        let slots = self.slots.len();
        self.free.retain(|&index| (index as usize) < slots);
        self.free.shrink_to_fit();
    }

    /// The value in a slot, if it is in use.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.value.as_ref()
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.value.as_mut()
    }

    /// The key of the value in a slot, if it is in use.
    #[inline]
    pub(crate) fn key_at(&self, index: u32) -> Option<Key> {
        let slot = self.slots.get(index as usize)?;
        slot.value.as_ref()?;
        Some(self.name(index, slot.generation))
    }

    /// Takes out the value in a slot, which is free from then on, or retired.
    #[inline]
    pub(crate) fn remove_at(&mut self, index: u32) -> Option<T> {
        let slot = self.slots.get_mut(index as usize)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        if slot.generation == RETIRED {
            self.retired += 1;
        } else {
            self.free.push(index);
        }
        Some(value)
    }

    /// How many slots there are, free and retired ones included.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    fn name(&self, index: u32, generation: u32) -> Key {
        name(index, generation, self.id)
    }

    /// How many bytes a slot takes.
    #[cfg(test)]
    pub(crate) const SLOT: usize = size_of::<Slot<T>>();

    /// An empty slab whose generations begin with this one.
    #[cfg(test)]
    pub(crate) fn from_generation(fresh: u32) -> Self {
        Slab {
            fresh: NonZeroU32::new(fresh).unwrap(),
            ..Slab::new()
        }
    }

    /// Every slot is in use, retired, or once among the free slots.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let mut free = self.free.clone();
        free.sort_unstable();
        free.dedup();
        assert_eq!(free.len(), self.free.len(), "a slot is free twice");
        for &index in &free {
            let slot = &self.slots[index as usize];
            assert!(slot.value.is_none() && slot.generation != RETIRED);
        }
        let retired = self.slots.iter().filter(|slot| slot.generation == RETIRED);
        let live = self.slots.iter().filter(|slot| slot.value.is_some());
        assert_eq!((retired.count(), live.count()), (self.retired, self.len()));
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Slab<T> {
    /// The values, in no particular order: `{Key(0v1 of 7): "five"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The values of a slab, in no particular order; made by [`Slab::iter`].
pub struct SlabIter<'a, T> {
    slots: Enumerate<slice::Iter<'a, Slot<T>>>,
    left: usize,
    id: u32,
}

impl<'a, T> Iterator for SlabIter<'a, T> {
    type Item = (Key, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        let id = self.id;
        let found = self.slots.find_map(|(index, slot)| {
            let value = slot.value.as_ref()?;
            Some((name(index as u32, slot.generation, id), value))
        })?;
        self.left -= 1;
        Some(found)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for SlabIter<'_, T> {}
impl<T> FusedIterator for SlabIter<'_, T> {}

impl<T> Clone for SlabIter<'_, T> {
    fn clone(&self) -> Self {
        SlabIter {
            slots: self.slots.clone(),
            left: self.left,
            id: self.id,
        }
    }
}

impl<'a, T> IntoIterator for &'a Slab<T> {
    type Item = (Key, &'a T);
    type IntoIter = SlabIter<'a, T>;

    fn into_iter(self) -> SlabIter<'a, T> {
        self.iter()
    }
}

/// The key of a value; its generation is not that of a retired slot.
#[inline]
fn name(index: u32, generation: u32, slab: u32) -> Key {
    Key {
        index,
        generation: NonZeroU32::new(generation).unwrap_or(NonZeroU32::MIN),
        slab,
    }
}

/// The number of the next slab (law 2).
#[cfg(target_has_atomic = "32")]
fn next_id() -> u32 {
    use core::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Without atomics, all slabs have the same number.
#[cfg(not(target_has_atomic = "32"))]
fn next_id() -> u32 {
    0
}
