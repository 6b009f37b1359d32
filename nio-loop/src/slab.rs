//! A vector of slots whose keys are never mistaken for one another.
//!
//! A key is an index and the generation of its slot; the generation changes each time the slot is
//! emptied, so a key of an earlier tenant finds nothing.

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::atomic::{AtomicU32, Ordering},
};

/// Names one value in a [`Slab`], for as long as it is there. 8 bytes, and an `Option` of it is no
/// larger: each connection has several. The generation is the upper half, the index the lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(NonZeroU64);

/// How many bits of a `usize` the index gets: half of them, or 20 where there are only 32, which is
/// more than a 32-bit system can open descriptors.
const INDEX_BITS: u32 = if usize::BITS == 64 { 32 } else { 20 };

impl Key {
    /// A key that no slab gives, for who is in no table.
    pub(crate) const NONE: Key = Key(NonZeroU64::MAX);

    fn new(index: u32, generation: NonZeroU32) -> Key {
        let number = u64::from(generation.get()) << 32 | u64::from(index);
        Key(NonZeroU64::new(number).expect("the generation is not zero"))
    }

    fn index(self) -> u32 {
        self.0.get() as u32
    }

    fn generation(self) -> u32 {
        (self.0.get() >> 32) as u32
    }

    /// The key in one word, so that it can travel through the kernel.
    pub(crate) fn to_word(self) -> usize {
        (self.generation() as usize) << INDEX_BITS | self.index() as usize
    }
}

/// A [`Key`] that any thread can read. Two words, as not every 32-bit system has an atomic of 64 bits:
/// whoever changes it knows that nobody reads it meanwhile.
pub(crate) struct AtomicKey {
    index: AtomicU32,
    generation: AtomicU32,
}

impl AtomicKey {
    pub(crate) fn new(key: Key) -> AtomicKey {
        AtomicKey {
            index: AtomicU32::new(key.index()),
            generation: AtomicU32::new(key.generation()),
        }
    }

    pub(crate) fn set(&self, key: Key) {
        self.index.store(key.index(), Ordering::Relaxed);
        self.generation.store(key.generation(), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Key {
        let generation = self.generation.load(Ordering::Relaxed);
        let generation = NonZeroU32::new(generation).expect("it is that of a key");
        Key::new(self.index.load(Ordering::Relaxed), generation)
    }
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    /// The indices of the empty slots, the one emptied last at the end.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    /// The one of the key that it has given last, or else will give next.
    generation: NonZeroU32,
    value: Option<T>,
}

impl<T> Slot<T> {
    /// Takes out what is in it. Its next key is another one.
    fn empty(&mut self) -> Option<T> {
        let value = self.value.take()?;
        self.generation = self.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        Some(value)
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// How many bytes a value takes.
    #[cfg(test)]
    pub(crate) const SLOT: usize = size_of::<Slot<T>>();

    pub(crate) fn insert(&mut self, value: T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: NonZeroU32::MIN,
                value: None,
            });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        let key = Key::new(index, slot.generation);
        slot.value = Some(value);
        key
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index() as usize)?;
        if slot.generation.get() == key.generation() {
            slot.value.as_mut()
        } else {
            None
        }
    }

    pub(crate) fn contains(&self, key: Key) -> bool {
        let slot = self.slots.get(key.index() as usize);
        slot.is_some_and(|slot| slot.generation.get() == key.generation() && slot.value.is_some())
    }

    /// What a word names, with its key, if that is still there.
    pub(crate) fn get_by_word(&mut self, word: usize) -> Option<(Key, &mut T)> {
        let index = (word & ((1 << INDEX_BITS) - 1)) as u32;
        let slot = self.slots.get_mut(index as usize)?;
        let key = Key::new(index, slot.generation);
        if key.to_word() != word {
            return None;
        }
        slot.value.as_mut().map(|value| (key, value))
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        if !self.contains(key) {
            return None;
        }
        self.free.push(key.index());
        self.slots[key.index() as usize].empty()
    }

    /// What is in it, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().zip(0..).filter_map(|(slot, index)| {
            let key = Key::new(index, slot.generation);
            slot.value.as_ref().map(|value| (key, value))
        })
    }

    /// Takes everything out.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        let mut taken = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Some(value) = slot.empty() {
                self.free.push(index as u32);
                taken.push(value);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_takes_one_word_and_none_takes_no_more() {
        assert_eq!(size_of::<Key>(), 8);
        assert_eq!(size_of::<Option<Key>>(), 8);
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_begins_again() {
        let mut slab = Slab::default();
        let first = slab.insert('a');
        slab.slots[0].generation = NonZeroU32::MAX;
        let last = Key::new(0, NonZeroU32::MAX);
        assert_eq!(slab.remove(last), Some('a'));
        assert_eq!(slab.insert('b'), first);
    }

    #[test]
    fn a_key_of_an_earlier_tenant_finds_nothing() {
        let mut slab = Slab::default();
        let old = slab.insert('a');
        assert_eq!(slab.remove(old), Some('a'));
        let new = slab.insert('b');
        assert_eq!(new.index(), old.index(), "the slot is used again");
        assert_eq!(slab.get_mut(old), None);
        assert_eq!(slab.remove(old), None);
        assert_eq!(slab.get_by_word(old.to_word()), None);
        assert_eq!(slab.get_by_word(new.to_word()), Some((new, &mut 'b')));
    }

    proptest! {
        #[test]
        fn it_is_a_map_whose_keys_are_never_used_twice(
            steps in proptest::collection::vec((any::<bool>(), any::<usize>()), 1..120)
        ) {
            let mut slab = Slab::default();
            let mut model = HashMap::new();
            let mut keys = Vec::new();
            for (number, (insert, pick)) in steps.into_iter().enumerate() {
                if insert || keys.is_empty() {
                    let key = slab.insert(number);
                    prop_assert!(model.insert(key, number).is_none());
                    prop_assert!(!keys.contains(&key));
                    keys.push(key);
                } else {
                    let key = keys[pick % keys.len()];
                    prop_assert_eq!(slab.remove(key), model.remove(&key));
                }
                for key in &keys {
                    prop_assert_eq!(slab.contains(*key), model.contains_key(key));
                    prop_assert_eq!(slab.get_mut(*key).copied(), model.get(key).copied());
                    let found = slab.get_by_word(key.to_word()).map(|(key, value)| (key, *value));
                    prop_assert_eq!(found, model.get(key).map(|value| (*key, *value)));
                }
            }
            let mut left = slab.take_all();
            let mut expected: Vec<_> = model.into_values().collect();
            left.sort();
            expected.sort();
            prop_assert_eq!(left, expected);
        }
    }
}
