//! Where timers live: slots that are used again, and keys that notice.
//!
//! Laws:
//! 1. A key is given out once. A slot's generation moves on when its timer leaves, and a slot that
//!    has been through all generations is retired: it holds no timer any more.
//! 2. Slots are cut off the end only in [`Slab::shrink_to_fit`], and slots made after that begin
//!    with a generation that no cut slot has used.
//! 3. Two slabs begin with different generations, so a key of one is unknown to the other.
//!
//! Law 3 holds by distance: with `n` slabs, the nearest two begin about `2^32 / n` generations apart,
//! and a slot would have to be used that often before a foreign key could be mistaken.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use crate::TimerKey;
use crate::queue::Entry;

/// The generation of a slot that is retired.
const RETIRED: u32 = 0;
/// How many slots there can be. Their numbers are 32 bits, and so are those of armings, which are given
/// anew when they run out: with half as many timers at most, that is not soon again.
const MOST: usize = 1 << 31;

/// A timer: when it is due, when it was armed, what it carries.
///
/// 16 bytes and the payload, for deadlines of 8 bytes.
pub(crate) struct Slot<D, T> {
    /// Of the timer in this slot or, in a free slot, of the next one.
    generation: u32,
    /// The number of its last arming.
    pub(crate) arming: u32,
    pub(crate) deadline: D,
    /// `None` in a free slot.
    payload: Option<T>,
}

pub(crate) struct Slab<D, T> {
    slots: Vec<Slot<D, T>>,
    /// The free slots; the one freed last, which the cache still knows, is used next. A list through
    /// the slots would need no memory, but make each insertion wait for the one before: after many
    /// timers have expired, free slots are all over the place.
    free: Vec<u32>,
    /// How many slots are retired.
    retired: usize,
    /// The first generation of all: a slot that would get it a second time is retired.
    birth: u32,
    /// The first generation of the slots yet to be made.
    fresh: u32,
}

impl<D: Ord + Copy, T> Slab<D, T> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let birth = first_generation();
        Slab {
            slots: Vec::with_capacity(capacity),
            free: Vec::new(),
            retired: 0,
            birth,
            fresh: birth,
        }
    }

    /// How many timers there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len() - self.retired
    }

    pub(crate) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Makes room for `additional` more timers.
    pub(crate) fn reserve(&mut self, additional: usize) {
        let wanted = self.len().saturating_add(additional);
        self.slots.reserve(wanted.saturating_sub(self.slots.len()));
    }

    #[inline]
    pub(crate) fn insert(&mut self, deadline: D, arming: u32, payload: T) -> TimerKey {
        let Some(index) = self.free.pop() else {
            return self.append(deadline, arming, payload);
        };
        let slot = &mut self.slots[index as usize];
        slot.deadline = deadline;
        slot.arming = arming;
        slot.payload = Some(payload);
        TimerKey {
            slot: index,
            generation: nonzero(slot.generation),
        }
    }

    fn append(&mut self, deadline: D, arming: u32, payload: T) -> TimerKey {
        let index = self.slots.len();
        assert!(index < MOST, "a heap holds at most 2^31 timers");
        let generation = self.fresh;
        self.slots.push(Slot {
            generation,
            arming,
            deadline,
            payload: Some(payload),
        });
        TimerKey {
            slot: index as u32,
            generation: nonzero(generation),
        }
    }

    /// Takes a timer out of its slot, which is free from then on, or retired.
    #[inline]
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<T> {
        let birth = self.birth;
        let slot = self.get_mut(key)?;
        let payload = slot.payload.take();
        slot.generation = nonzero(slot.generation.wrapping_add(1)).get();
        if slot.generation == birth {
            slot.generation = RETIRED;
            self.retired += 1;
        } else {
            self.free.push(key.slot);
        }
        payload
    }

    /// The slot of a live timer. The generation alone tells: that of a free slot is not given out
    /// yet, and that of a retired one is no key's.
    #[inline]
    pub(crate) fn get(&self, key: TimerKey) -> Option<&Slot<D, T>> {
        let slot = self.slots.get(key.slot as usize)?;
        (slot.generation == key.generation.get()).then_some(slot)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: TimerKey) -> Option<&mut Slot<D, T>> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        (slot.generation == key.generation.get()).then_some(slot)
    }

    /// The slot at `index`, with its key if there is a timer in it.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> &Slot<D, T> {
        &self.slots[index as usize]
    }

    /// The entry that the timer in the slot at `index` should have.
    #[inline]
    pub(crate) fn entry(&self, index: u32) -> Entry<D> {
        let slot = self.at(index);
        Entry::new(slot.deadline, slot.arming, index)
    }

    /// Whether this is the entry of a timer that has not been cancelled or armed anew since.
    #[inline]
    pub(crate) fn has(&self, entry: Entry<D>) -> bool {
        let slot = self.at(entry.slot());
        (slot.arming == entry.arming()) & slot.payload.is_some()
    }

    /// The key of the timer in the slot at `index`.
    #[inline]
    pub(crate) fn key(&self, index: u32) -> TimerKey {
        TimerKey {
            slot: index,
            generation: nonzero(self.at(index).generation),
        }
    }

    /// Gives the timer in the slot at `index` another arming's number.
    pub(crate) fn renumber(&mut self, index: u32, arming: u32) {
        self.slots[index as usize].arming = arming;
    }

    /// All slots, free ones included.
    pub(crate) fn slots(&self) -> core::slice::Iter<'_, Slot<D, T>> {
        self.slots.iter()
    }

    /// Cuts free slots off the end, gives back unused memory, and tells how many slots are left.
    pub(crate) fn shrink_to_fit(&mut self) -> usize {
        while let Some(last) = self.slots.last() {
            if last.payload.is_some() || last.generation == RETIRED {
                break;
            }
            let used = |generation: u32| generation.wrapping_sub(self.birth);
            if used(last.generation) > used(self.fresh) {
                self.fresh = last.generation;
            }
            self.slots.pop();
        }
        self.slots.shrink_to_fit();
        let slots = self.slots.len();
        self.free.retain(|&index| (index as usize) < slots);
        self.free.shrink_to_fit();
        slots
    }

    /// An empty slab whose generations begin with `next` and run out before `birth`.
    #[cfg(test)]
    pub(crate) fn with_generations(next: u32, birth: u32) -> Self {
        Slab {
            birth,
            fresh: next,
            ..Slab::with_capacity(0)
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
            let slot = self.at(index);
            assert!(slot.payload.is_none() && slot.generation != RETIRED);
        }
        let retired = self
            .slots
            .iter()
            .filter(|slot| slot.generation == RETIRED)
            .count();
        let live = self.slots.iter().filter(|slot| slot.payload.is_some());
        assert_eq!((retired, live.count()), (self.retired, self.len()));
    }
}

impl<D, T> Slot<D, T> {
    #[inline]
    pub(crate) fn payload(&self) -> Option<&T> {
        self.payload.as_ref()
    }

    #[inline]
    pub(crate) fn payload_mut(&mut self) -> Option<&mut T> {
        self.payload.as_mut()
    }

    /// The key of this slot's timer, if there is one, given where the slot is.
    pub(crate) fn key(&self, index: u32) -> Option<TimerKey> {
        let generation = nonzero(self.generation);
        self.payload.is_some().then_some(TimerKey {
            slot: index,
            generation,
        })
    }
}

/// The generation after `u32::MAX` is 1: 0 is no generation.
#[inline]
fn nonzero(generation: u32) -> NonZeroU32 {
    NonZeroU32::new(generation).unwrap_or(NonZeroU32::MIN)
}

/// Where the next slab's generations begin (law 3).
#[cfg(target_has_atomic = "32")]
fn first_generation() -> u32 {
    use core::sync::atomic::{AtomicU32, Ordering};
    /// 2^32 divided by the golden ratio: its multiples stay as far apart as points on a circle can.
    const STRIDE: u32 = 0x9E37_79B9;
    static NEXT: AtomicU32 = AtomicU32::new(1);
    nonzero(NEXT.fetch_add(STRIDE, Ordering::Relaxed)).get()
}

/// Without atomics there is nothing to tell slabs apart by: law 3 is void.
#[cfg(not(target_has_atomic = "32"))]
fn first_generation() -> u32 {
    1
}
