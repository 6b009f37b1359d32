//! A vector of slots whose keys are never mistaken for one another.
//!
//! A key is an index and a generation. The law: a key is given out once. A slot's generation moves on
//! when it is emptied, and a slot that has been through all generations is not used again.

use std::num::{NonZeroU32, NonZeroU64};

/// Names one value in a [`Slab`], for as long as it is there. 8 bytes, and an `Option` of it is no
/// larger. The generation is the upper half, the index the lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(NonZeroU64);

/// How many bits of a `usize` the index gets: half of them, or 20 where there are only 32, which is
/// more than a 32-bit system can open descriptors.
const INDEX_BITS: u32 = if usize::BITS == 64 { 32 } else { 20 };

impl Key {
    fn new(index: u32, generation: NonZeroU32) -> Key {
        let number = u64::from(generation.get()) << 32 | u64::from(index);
        Key(NonZeroU64::new(number).expect("the generation is not zero"))
    }

    fn index(self) -> usize {
        self.0.get() as u32 as usize
    }

    fn generation(self) -> u32 {
        (self.0.get() >> 32) as u32
    }

    pub(crate) fn to_number(self) -> u64 {
        self.0.get()
    }

    /// The key of a number of [`to_number`](Key::to_number).
    pub(crate) fn from_number(number: u64) -> Option<Key> {
        NonZeroU64::new(number).map(Key)
    }

    /// The key in one word, so that it can travel through the kernel.
    pub(crate) fn to_word(self) -> usize {
        (self.generation() as usize) << INDEX_BITS | self.index()
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
    /// That of the key given last, or else of the next one.
    generation: NonZeroU32,
    value: Option<T>,
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
    pub(crate) fn insert(&mut self, value: T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: NonZeroU32::MIN,
                value: None,
            });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.value = Some(value);
        Key::new(index, slot.generation)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index())?;
        match slot.generation.get() == key.generation() {
            true => slot.value.as_ref(),
            false => None,
        }
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index())?;
        match slot.generation.get() == key.generation() {
            true => slot.value.as_mut(),
            false => None,
        }
    }

    /// The value that a word names, with its key, if it is still there.
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
        self.get(key)?;
        self.empty(key.index())
    }

    fn empty(&mut self, index: usize) -> Option<T> {
        let slot = &mut self.slots[index];
        let value = slot.value.take()?;
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(index as u32);
        }
        Some(value)
    }

    /// Every value, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().zip(0..).filter_map(|(slot, index)| {
            let key = Key::new(index, slot.generation);
            slot.value.as_ref().map(|value| (key, value))
        })
    }

    /// Takes everything out.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        let slots = 0..self.slots.len();
        slots.filter_map(|index| self.empty(index)).collect()
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
    fn a_slot_whose_generations_are_used_up_is_not_used_again() {
        let mut slab = Slab::default();
        slab.insert('a');
        slab.slots[0].generation = NonZeroU32::MAX;
        let last = Key::new(0, NonZeroU32::MAX);
        assert_eq!(slab.remove(last), Some('a'));
        assert_eq!(slab.insert('b').index(), 1);
        assert_eq!(slab.get(last), None);
    }

    #[test]
    fn a_key_of_an_earlier_value_finds_nothing() {
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
                    prop_assert_eq!(slab.get(*key), model.get(key));
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
