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

use std::{collections::HashMap, io, os::fd::RawFd};

use super::{active::Position, knote::Knote};
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
    /// It has an [`Extra`].
    has_extra: bool,
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
    pub(super) queued: [Option<Position>; 3],
}

/// What EPOLLHUP and EPOLLERR depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pipe,
    Socket,
    Other,
}

/// A slot with its extra, if it has one: all that is known of a descriptor.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) fd: RawFd,
    pub(super) slot: &'a mut Slot,
    extras: &'a mut HashMap<RawFd, Extra>,
}

/// What a descriptor was like before a change.
pub(super) type Snapshot = (Slot, Option<Box<Extra>>);

impl View<'_> {
    #[inline]
    pub(super) fn extra(&self) -> Option<&Extra> {
        if self.slot.has_extra {
            self.extras.get(&self.fd)
        } else {
            None
        }
    }

    /// The extra, made if there is none.
    #[inline(never)]
    pub(super) fn extra_mut(&mut self) -> &mut Extra {
        self.slot.has_extra = true;
        self.extras.entry(self.fd).or_default()
    }

    #[inline]
    pub(super) fn has_extra(&self) -> bool {
        self.slot.has_extra
    }

    #[inline]
    pub(super) fn snapshot(&self) -> Snapshot {
        (*self.slot, self.extra().map(|extra| Box::new(*extra)))
    }

    pub(super) fn restore(&mut self, (slot, extra): Snapshot) {
        *self.slot = slot;
        match extra {
            Some(extra) => drop(self.extras.insert(self.fd, *extra)),
            None => drop(self.extras.remove(&self.fd)),
        }
    }

    #[inline]
    fn except(&self) -> Knote {
        self.extra().map_or(Knote::NONE, |extra| extra.except)
    }

    #[inline]
    pub(super) fn low_water(&self) -> Option<i64> {
        self.extra().and_then(|extra| extra.low_water)
    }

    #[inline]
    pub(super) fn knote(&self, index: usize) -> Knote {
        match self.slot.knotes.get(index) {
            Some(knote) => *knote,
            None => self.except(),
        }
    }

    pub(super) fn udata(&self, index: usize) -> usize {
        match self.slot.udata.get(index) {
            Some(udata) => *udata,
            None => self.extra().map_or(0, |extra| extra.except_udata),
        }
    }

    /// Stores a knote and its udata.
    #[inline]
    pub(super) fn set_knote(&mut self, index: usize, knote: Knote, udata: usize) {
        if index < EXCEPT {
            (self.slot.knotes[index], self.slot.udata[index]) = (knote, udata);
        } else {
            let extra = self.extra_mut();
            (extra.except, extra.except_udata) = (knote, if knote.exists() { udata } else { 0 });
        }
        if index == READ && !knote.exists() && self.slot.has_extra {
            self.extra_mut().low_water = None;
        }
    }

    /// Whether it has a knote.
    #[inline]
    pub(super) fn has_knotes(&self) -> bool {
        self.slot.knotes != [Knote::NONE; 2] || self.except().exists()
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
    #[inline]
    pub(super) fn wanted(&self) -> u32 {
        let [read, write] = self.slot.knotes;
        let bits = |enabled: bool, mask: u32| if enabled { mask } else { 0 };
        let mut mask = bits(read.is_enabled(), IN | RDHUP) | bits(write.is_enabled(), OUT);
        let clears = |knote: Knote| knote.is_enabled() && knote.is_clear();
        let mut edge = clears(read) || clears(write);
        let only = if read.is_enabled() { read } else { write };
        let one = read.is_enabled() != write.is_enabled();
        let mut once = one && only.fires_once();
        if let Some(extra) = self.extra() {
            let marked = extra.low_water.is_some();
            edge |= marked && read.is_enabled() || extra.unconnected && mask != 0;
            once &= !marked && !extra.unconnected && !extra.except.is_enabled();
            if extra.except.is_enabled() {
                // epoll tells every entry of an end or an error, which are nothing to EXCEPT: where no
                // level-triggered knote takes them, a level-triggered entry would report them without end.
                edge |= extra.except.is_clear() || mask == 0;
                mask |= PRI;
            }
        }
        if mask == 0 {
            return if self.has_knotes() { IDLE } else { 0 };
        }
        mask | bits(edge, ET) | bits(once, ONCE)
    }

    /// Whether a level-triggered knote has an edge-triggered entry: epoll tells of it once, so it stands
    /// in the list of active knotes as long as its condition holds.
    pub(super) fn looks_again(&self, index: usize) -> bool {
        let knote = self.knote(index);
        self.slot.told & ET != 0 && !knote.is_clear() && !knote.fires_once()
    }

    /// The end of a change: drops an extra that is a default one, and notes whether an event needs more than
    /// the slot.
    #[inline]
    pub(super) fn finish(self, counts: bool) {
        if self.slot.has_extra && self.extras.get(&self.fd) == Some(&Extra::default()) {
            self.slot.has_extra = false;
            self.extras.remove(&self.fd);
        }
        let [read, write] = self.slot.knotes;
        let mixed = read.is_enabled() && write.is_enabled() && read.is_clear() != write.is_clear();
        let once = |knote: Knote| knote.is_enabled() && knote.fires_once();
        self.slot.special = mixed || once(read) || once(write) || self.slot.has_extra || counts;
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
}

impl Slots {
    /// All of them, for the events that need no more.
    #[inline]
    pub(super) fn as_slice(&self) -> &[Slot] {
        &self.slots
    }

    /// What is known of a descriptor, if there is a slot for it.
    #[inline]
    pub(super) fn get(&mut self, fd: RawFd) -> Option<View<'_>> {
        let Slots { slots, extras } = self;
        let slot = slots.get_mut(fd as usize)?;
        Some(View { fd, slot, extras })
    }

    /// What is known of a descriptor, with a slot made for it if it is open (K32).
    #[inline]
    pub(super) fn get_or_grow(&mut self, fd: RawFd) -> io::Result<View<'_>> {
        if self.slots.len() <= fd as usize {
            self.grow(fd)?;
        }
        let Slots { slots, extras } = self;
        let slot = &mut slots[fd as usize];
        Ok(View { fd, slot, extras })
    }

    #[cold]
    fn grow(&mut self, fd: RawFd) -> io::Result<()> {
        // SAFETY: F_GETFD takes no further argument.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
            return Err(io::Error::last_os_error());
        }
        let length = (fd as usize + 1).next_power_of_two().max(FIRST);
        self.slots.resize(length, Slot::default());
        Ok(())
    }

    /// Forgets a descriptor, and returns its extra.
    pub(super) fn take(&mut self, fd: RawFd) -> Option<Extra> {
        if let Some(slot) = self.slots.get_mut(fd as usize) {
            *slot = Slot::default();
        }
        self.extras.remove(&fd)
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
            let mut slots = Slots::default();
            slots.slots.resize(200, Slot::default());
            let mut view = slots.get(fd).unwrap();
            view.slot.knotes = knotes;
            view.set_knote(EXCEPT, except, 7);
            view.extra_mut().low_water = low_water;
            let (wanted, snapshot) = (view.wanted(), view.snapshot());
            view.finish(false);
            let mut stored = slots.get(fd).unwrap();
            prop_assert_eq!(stored.slot.knotes, knotes);
            prop_assert_eq!(stored.knote(EXCEPT), except);
            prop_assert_eq!(stored.low_water(), low_water);
            prop_assert_eq!(stored.wanted(), wanted);
            if !stored.slot.special {
                // One mode for both, no disarming, nothing to look at again.
                prop_assert!(wanted & (ONCE | PRI) == 0);
                prop_assert!(!knotes.iter().any(|knote| knote.is_enabled() && knote.fires_once()));
            }
            stored.set_knote(READ, Knote::NONE, 1);
            stored.set_knote(EXCEPT, Knote::NONE, 1);
            stored.restore(snapshot);
            prop_assert_eq!(stored.wanted(), wanted);
        }
    }
}
