//! What a queue knows of each descriptor: its knotes, and what epoll has been told.
//!
//! The laws:
//!
//! 1. A slot has the index of its descriptor in one vector. The queue's lock guards it.
//! 2. An event of epoll belongs to a slot if its payload is the slot's: descriptor, generation, and whether
//!    the entry is level-triggered. Any other event is stale.
//! 3. The generation changes whenever a direction is enabled that was not (K90), so an event of an earlier
//!    life, or of a batch that another thread holds, is recognised.
//! 4. A slot that is not *special* turns into events by itself. Whatever else is needed for an event makes
//!    the slot special and stands in its [`Extra`].

use std::{collections::HashMap, os::fd::RawFd};

use super::knote::Knote;
use crate::Filter;

pub(super) const IN: u32 = libc::EPOLLIN as u32;
pub(super) const OUT: u32 = libc::EPOLLOUT as u32;
pub(super) const PRI: u32 = libc::EPOLLPRI as u32;
pub(super) const RDHUP: u32 = libc::EPOLLRDHUP as u32;
pub(super) const HUP: u32 = libc::EPOLLHUP as u32;
pub(super) const ERR: u32 = libc::EPOLLERR as u32;
pub(super) const ET: u32 = libc::EPOLLET as u32;
pub(super) const ONCE: u32 = libc::EPOLLONESHOT as u32;

/// An entry that asks for nothing. epoll adds HUP and ERR to every mask; edge-triggered, they come once.
pub(super) const IDLE: u32 = ET;

/// An entry that the kernel has disarmed, after the one event of EPOLLONESHOT.
pub(super) const DISARMED: u32 = ONCE;

pub(super) const READ: usize = 0;
pub(super) const WRITE: usize = 1;
pub(super) const EXCEPT: usize = 2;

/// The filters of a descriptor, in the order in which they are reported, and what epoll calls them.
pub(super) const FILTERS: [(Filter, u32); 3] = [
    (Filter::READ, IN | RDHUP),
    (Filter::WRITE, OUT),
    (Filter::EXCEPT, PRI),
];

/// The index of a filter in [`FILTERS`], if it is one of a descriptor.
#[inline]
pub(super) fn index(filter: Filter) -> Option<usize> {
    match filter {
        Filter::READ => Some(READ),
        Filter::WRITE => Some(WRITE),
        Filter::EXCEPT => Some(EXCEPT),
        _ => None,
    }
}

/// What every descriptor has: 32 bytes, of which two share a cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// Of READ and WRITE.
    pub(super) udata: [usize; 2],
    /// What epoll was given for its entry: see [`payload`].
    pub(super) payload: u64,
    /// The mask that epoll was given; 0 is "no entry".
    pub(super) told: u32,
    /// READ and WRITE.
    pub(super) knotes: [Knote; 2],
    /// An event needs more than what is here.
    pub(super) special: bool,
}

/// What few descriptors have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extra {
    /// The knote of EVFILT_EXCEPT, and its udata.
    pub(super) except: Knote,
    pub(super) except_udata: usize,
    /// The low-water mark of READ (K156).
    pub(super) low_water: Option<i64>,
    /// A socket that is not connected hangs up without end: until it is connected its entry is
    /// edge-triggered, whatever its knotes are (K115).
    pub(super) unconnected: bool,
    /// Whether it is a pipe or a socket, once that had to be known.
    pub(super) kind: Option<Kind>,
    /// The error that a socket has reported; it can be asked for only once (K108).
    pub(super) error: u32,
    /// The positions in the list of active knotes of those that stand in it, by filter.
    pub(super) queued: [Option<u64>; 3],
}

/// What EPOLLHUP and EPOLLERR depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pipe,
    Socket,
    Other,
}

/// A slot with its extra: all that is known of a descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) slot: Slot,
    pub(super) extra: Extra,
}

impl Whole {
    #[inline]
    pub(super) fn knote(&self, index: usize) -> Knote {
        match self.slot.knotes.get(index) {
            Some(knote) => *knote,
            None => self.extra.except,
        }
    }

    #[inline]
    pub(super) fn udata(&self, index: usize) -> usize {
        match self.slot.udata.get(index) {
            Some(udata) => *udata,
            None => self.extra.except_udata,
        }
    }

    pub(super) fn set_knote(&mut self, index: usize, knote: Knote) {
        match self.slot.knotes.get_mut(index) {
            Some(place) => *place = knote,
            None => self.extra.except = knote,
        }
    }

    pub(super) fn set_udata(&mut self, index: usize, udata: usize) {
        match self.slot.udata.get_mut(index) {
            Some(place) => *place = udata,
            None => self.extra.except_udata = udata,
        }
    }

    /// Whether it has a knote.
    #[inline]
    pub(super) fn has_knotes(&self) -> bool {
        (READ..=EXCEPT).any(|index| self.knote(index).exists())
    }

    /// The mask that epoll has to be told for its knotes; 0 is "no entry".
    ///
    /// | the enabled knotes | the entry |
    /// |---|---|
    /// | all report activity | edge-triggered |
    /// | none does | level-triggered |
    /// | they differ | edge-triggered; the level one is looked at again in each call |
    /// | one, and it fires once | EPOLLONESHOT, so that one waiter is woken and the kernel disarms it |
    /// | none | edge-triggered for nothing, so that the kernel still answers for the descriptor |
    pub(super) fn wanted(&self) -> u32 {
        let (mut mask, mut enabled, mut edges, mut fires_once) = (0, 0, 0, false);
        for (index, (_, bits)) in FILTERS.into_iter().enumerate() {
            let knote = self.knote(index);
            if knote.is_enabled() {
                mask |= bits;
                enabled += 1;
                edges += i32::from(self.is_edge(index));
                fires_once = knote.fires_once();
            }
        }
        if enabled == 0 {
            return if self.has_knotes() { IDLE } else { 0 };
        }
        if edges > 0 || self.extra.unconnected {
            mask |= ET;
        }
        let plain = self.extra.low_water.is_none() && !self.extra.unconnected;
        if enabled == 1 && fires_once && plain && !self.extra.except.is_enabled() {
            mask |= ONCE;
        }
        mask
    }

    /// Whether a knote is told of activity rather than of the condition.
    fn is_edge(&self, index: usize) -> bool {
        self.knote(index).is_clear()
            || match index {
                READ => self.extra.low_water.is_some(),
                // epoll tells every entry of an end or an error, which are nothing to EXCEPT: where no
                // other knote takes them, a level-triggered entry would report them without end.
                EXCEPT => !(READ..=WRITE)
                    .any(|other| self.knote(other).is_enabled() && !self.is_edge(other)),
                _ => false,
            }
    }

    /// Whether a level-triggered knote has an edge-triggered entry: epoll tells of it once, so it stands
    /// in the list of active knotes as long as its condition holds.
    pub(super) fn looks_again(&self, index: usize) -> bool {
        let knote = self.knote(index);
        self.slot.told & ET != 0 && !knote.is_clear() && !knote.fires_once()
    }

    /// Whether an event needs more than the slot.
    pub(super) fn is_special(&self) -> bool {
        let enabled = |index: usize| self.slot.knotes[index].is_enabled();
        let once = |index: usize| enabled(index) && self.slot.knotes[index].fires_once();
        let clear = |index: usize| self.slot.knotes[index].is_clear();
        let mixed = enabled(READ) && enabled(WRITE) && clear(READ) != clear(WRITE);
        once(READ) || once(WRITE) || mixed || self.extra.is_needed()
    }
}

impl Extra {
    /// Whether there is anything in it.
    pub(super) fn is_needed(&self) -> bool {
        *self != Extra::default()
    }
}

/// The payload of a level-triggered entry has this bit.
const LEVEL: u64 = 1 << 32;

/// The payload of a descriptor's entry.
#[inline]
pub(super) fn payload(fd: RawFd, generation: u32, mask: u32) -> u64 {
    let level = if mask & (ET | ONCE) == 0 { LEVEL } else { 0 };
    u64::from(generation) << 33 | level | u64::from(fd as u32)
}

/// The generation in a payload.
#[inline]
pub(super) fn generation(payload: u64) -> u32 {
    (payload >> 33) as u32
}

/// Whether an entry with this payload reports as long as its condition holds.
pub(super) fn is_level(payload: u64) -> bool {
    payload & LEVEL != 0
}

/// The slots of a queue, by descriptor.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    extras: HashMap<RawFd, Extra>,
    /// Events say how much there is, so that every slot is special.
    pub(super) counts: bool,
}

impl Slots {
    /// The slot that an event belongs to, if no more is needed to report it.
    #[inline]
    pub(super) fn plain(&self, payload: u64) -> Option<&Slot> {
        let slot = self.slots.get(payload as u32 as usize)?;
        (slot.payload == payload && !slot.special).then_some(slot)
    }

    /// What is known of a descriptor.
    #[inline]
    pub(super) fn get(&self, fd: RawFd) -> Whole {
        let slot = self.slots.get(fd as usize).copied().unwrap_or_default();
        let extra = if slot.special {
            self.extras.get(&fd).copied().unwrap_or_default()
        } else {
            Extra::default()
        };
        Whole { slot, extra }
    }

    /// Stores what is known of a descriptor now.
    #[inline]
    pub(super) fn set(&mut self, fd: RawFd, mut whole: Whole) {
        let was_special = self.slots.get(fd as usize).is_some_and(|slot| slot.special);
        whole.slot.special = whole.is_special() || self.counts;
        if whole.extra.is_needed() {
            self.extras.insert(fd, whole.extra);
        } else if was_special {
            self.extras.remove(&fd);
        }
        if self.slots.len() <= fd as usize {
            let length = (fd as usize + 1).next_power_of_two().max(FIRST);
            self.slots.resize(length, Slot::default());
        }
        self.slots[fd as usize] = whole.slot;
    }

    /// The descriptors that have an entry of epoll.
    pub(super) fn registered(&self) -> Vec<RawFd> {
        let slots = self.slots.iter().enumerate();
        let registered = slots.filter(|(_, slot)| slot.told != 0);
        registered.map(|(fd, _)| fd as RawFd).collect()
    }
}

/// How many slots the vector has at first.
const FIRST: usize = 64;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{EventFlags, Kevent};
    use proptest::prelude::*;

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_slot_takes_32_bytes() {
        assert_eq!(size_of::<Slot>(), 32);
    }

    #[test]
    fn a_payload_holds_descriptor_generation_and_mode() {
        for fd in [0, 7, RawFd::MAX] {
            for number in [0, 1, u32::MAX >> 1] {
                let edge = payload(fd, number, IN | ET);
                let level = payload(fd, number, IN);
                assert_eq!((edge as u32, level as u32), (fd as u32, fd as u32));
                assert_eq!((generation(edge), generation(level)), (number, number));
                assert!(is_level(level) && !is_level(edge));
                assert!(!is_level(payload(fd, number, IN | ONCE)));
            }
        }
    }

    fn knotes() -> impl Strategy<Value = Knote> {
        let flags = (0_u16..16, any::<bool>()).prop_map(|(mode, enabled)| {
            let state = if enabled {
                EventFlags::ENABLE
            } else {
                EventFlags::DISABLE
            };
            let flags = EventFlags::from_bits_retain(mode << 4) | state | EventFlags::ADD;
            Knote::NONE
                .changed(&Kevent::new(3, Filter::READ, flags))
                .unwrap()
        });
        proptest::option::of(flags).prop_map(Option::unwrap_or_default)
    }

    proptest! {
        #[test]
        fn a_slot_is_special_if_its_events_need_more_than_its_knotes(
            knotes in [knotes(), knotes()],
            except in knotes(),
            low_water in any::<Option<i64>>(),
            fd in 0..200,
        ) {
            let mut whole = Whole::default();
            whole.slot.knotes = knotes;
            whole.slot.payload = payload(fd, 1, IN);
            whole.extra.except = except;
            whole.extra.low_water = low_water;
            let mut slots = Slots::default();
            slots.set(fd, whole);
            let stored = slots.get(fd);
            prop_assert_eq!(stored.extra, whole.extra);
            prop_assert_eq!(stored.slot.knotes, knotes);
            let plain = slots.plain(whole.slot.payload).is_some();
            prop_assert_eq!(plain, !stored.slot.special);
            if plain {
                // One mode for both, no disarming, nothing to look at again.
                prop_assert!(whole.wanted() & (ONCE | PRI) == 0);
                prop_assert!(!knotes.iter().any(|knote| knote.is_enabled() && knote.fires_once()));
            }
        }
    }
}
