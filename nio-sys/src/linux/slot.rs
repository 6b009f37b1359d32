//! The state of each descriptor: its knotes, and its entry in the epoll set.
//!
//! The laws:
//!
//! 1. A slot has the index of its descriptor in one vector. The queue's lock guards it.
//! 2. An event of epoll belongs to a slot if its payload is the slot's: descriptor, generation, and whether
//!    the entry is level-triggered. Any other event is stale.
//! 3. A change with EV_ADD or EV_ENABLE makes a new generation (K90), and so does one between level and edge. So an
//!    event of an earlier registration, or of a batch that another thread holds, is recognised as stale, and no
//!    payload that was stale is a slot's again.
//! 4. An event of a slot that is not *special* needs only the knotes to become kevents.

use std::os::fd::RawFd;

use super::{
    active::{NOWHERE, Position},
    knote::Knote,
};
use crate::Filter;

pub(super) const IN: u32 = libc::EPOLLIN as u32;
pub(super) const OUT: u32 = libc::EPOLLOUT as u32;
pub(super) const PRI: u32 = libc::EPOLLPRI as u32;
pub(super) const RDHUP: u32 = libc::EPOLLRDHUP as u32;
pub(super) const HUP: u32 = libc::EPOLLHUP as u32;
pub(super) const ERR: u32 = libc::EPOLLERR as u32;
pub(super) const ET: u32 = libc::EPOLLET as u32;
pub(super) const ONCE: u32 = libc::EPOLLONESHOT as u32;

/// The mask of an entry without an enabled knote. epoll adds HUP and ERR to every mask; edge-triggered, they
/// come once.
pub(super) const IDLE: u32 = ET;

/// An entry that the kernel has disarmed, after the one event of EPOLLONESHOT.
pub(super) const DISARMED: u32 = ONCE;

pub(super) const READ: usize = 0;
pub(super) const WRITE: usize = 1;
pub(super) const EXCEPT: usize = 2;

/// The filters of a descriptor, in the order in which they are reported, and the bits of epoll for them.
pub(super) const FILTERS: [(Filter, u32); 3] = [
    (Filter::READ, IN | RDHUP),
    (Filter::WRITE, OUT),
    (Filter::EXCEPT, PRI),
];

/// The index of a filter in [`FILTERS`]; `None` for any other filter.
#[inline]
pub(super) fn index(filter: Filter) -> Option<usize> {
    match filter {
        Filter::READ => Some(READ),
        Filter::WRITE => Some(WRITE),
        Filter::EXCEPT => Some(EXCEPT),
        _ => None,
    }
}

/// The state of a descriptor: 64 bytes, one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// By filter, as all arrays here.
    pub(super) udata: [usize; 3],
    /// The payload of its entry: see [`payload`].
    pub(super) payload: u64,
    /// The low-water mark of READ (K156).
    pub(super) low_water: i64,
    /// The positions of its knotes in the list of active ones.
    pub(super) queued: [Position; 3],
    /// The mask of its entry; 0 is "no entry".
    pub(super) mask: u32,
    /// The error that the socket has reported: asking a socket for its error clears it (K108).
    pub(super) error: u16,
    pub(super) knotes: [Knote; 3],
    /// A socket that is not connected hangs up without end: until it is connected its entry is
    /// edge-triggered, with knotes of any mode (K115).
    pub(super) unconnected: bool,
    /// Whether it is a pipe or a socket, once a hang-up or an error has asked for it.
    pub(super) kind: Option<Kind>,
    /// An event needs more than the knotes (law 4).
    pub(super) special: bool,
}

/// No low-water mark: every count of bytes reaches it.
pub(super) const NO_MARK: i64 = i64::MIN;

/// A descriptor that is not registered.
pub(super) const VACANT: Slot = Slot {
    udata: [0; 3],
    payload: 0,
    low_water: NO_MARK,
    queued: [NOWHERE; 3],
    mask: 0,
    error: 0,
    knotes: [Knote::NONE; 3],
    unconnected: false,
    kind: None,
    special: false,
};

/// The kinds of descriptors for which EPOLLHUP and EPOLLERR mean different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pipe,
    Socket,
    Other,
}

impl Slot {
    #[inline]
    pub(super) fn has_knotes(&self) -> bool {
        self.knotes != [Knote::NONE; 3]
    }

    /// The mask that its knotes need; 0 is "no entry".
    ///
    /// | the enabled knotes | the entry |
    /// |---|---|
    /// | all EV_CLEAR | edge-triggered |
    /// | none EV_CLEAR | level-triggered |
    /// | both | edge-triggered; the condition of the level one is asked again in each call |
    /// | one, which fires once | EPOLLONESHOT, so that one waiter is woken and the kernel disarms it |
    /// | none | [`IDLE`], so that epoll still tells whether the descriptor is the same |
    #[inline]
    pub(super) fn wanted(&self) -> u32 {
        let [read, write, except] = self.knotes;
        let bits = |is: bool, mask: u32| if is { mask } else { 0 };
        let clears = |knote: Knote| knote.is_enabled() && knote.is_clear();
        let marked = read.is_enabled() && self.low_water != NO_MARK;
        let mut mask = bits(read.is_enabled(), IN | RDHUP) | bits(write.is_enabled(), OUT);
        let mut edge = clears(read) || clears(write) || marked || self.unconnected;
        let mut once = false;
        if except.is_enabled() {
            // epoll reports a hang-up or an error to every entry, and EXCEPT ignores them. Without a
            // level-triggered knote that takes them, a level-triggered entry would wake every wait.
            edge |= except.is_clear() || mask == 0;
            mask |= PRI;
        } else if read.is_enabled() != write.is_enabled() {
            let only = if read.is_enabled() { read } else { write };
            once = only.fires_once() && !marked && !self.unconnected;
        }
        if mask == 0 {
            return bits(self.has_knotes(), IDLE);
        }
        mask | bits(edge, ET) | bits(once, ONCE)
    }

    /// Whether a level-triggered knote has an edge-triggered entry: epoll reports it once, so it stays in the
    /// list of active knotes while its condition holds.
    pub(super) fn looks_again(&self, index: usize) -> bool {
        let knote = self.knotes[index];
        self.mask & ET != 0 && !knote.is_clear() && !knote.fires_once()
    }

    /// Whether an event needs more than the knotes.
    #[inline]
    pub(super) fn is_special(&self) -> bool {
        let [read, write, except] = self.knotes;
        let mixed = read.is_enabled() && write.is_enabled() && read.is_clear() != write.is_clear();
        let once = |knote: Knote| knote.is_enabled() && knote.fires_once();
        mixed
            || once(read)
            || once(write)
            || except.exists()
            || self.unconnected
            || self.low_water != NO_MARK
            || self.queued != [NOWHERE; 3]
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

/// Whether the entry with this payload is level-triggered.
pub(super) fn is_level(payload: u64) -> bool {
    payload & LEVEL != 0
}

/// The slots of a queue, by descriptor.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    #[inline]
    pub(super) fn as_slice(&self) -> &[Slot] {
        &self.0
    }

    /// The state of a descriptor.
    #[inline]
    pub(super) fn get(&self, fd: RawFd) -> Slot {
        self.0.get(fd as usize).copied().unwrap_or(VACANT)
    }

    /// Stores the state of a descriptor that is open.
    #[inline]
    pub(super) fn set(&mut self, fd: RawFd, slot: Slot) {
        match self.0.get_mut(fd as usize) {
            Some(place) => *place = slot,
            None => self.grow(fd as usize, slot),
        }
    }

    #[cold]
    fn grow(&mut self, fd: usize, slot: Slot) {
        // By a quarter, so that little is unused where there are many.
        let length = (fd + 1).max(self.0.len() / 4 * 5).max(FIRST);
        self.0.reserve_exact(length - self.0.len());
        self.0.resize(length, VACANT);
        self.0[fd] = slot;
    }

    /// The descriptors that have an entry of epoll.
    pub(super) fn registered(&self) -> Vec<RawFd> {
        let slots = self.0.iter().enumerate();
        let registered = slots.filter(|(_, slot)| slot.mask != 0);
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
    fn a_slot_takes_64_bytes() {
        assert_eq!(size_of::<Slot>(), 64);
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
            knotes in [knotes(), knotes(), knotes()],
            low_water in proptest::option::of(any::<i64>()),
            unconnected in any::<bool>(),
        ) {
            let low_water = low_water.unwrap_or(NO_MARK);
            let slot = Slot { knotes, low_water, unconnected, ..VACANT };
            let enabled = knotes.iter().filter(|knote| knote.is_enabled());
            prop_assert_eq!(slot.wanted() == 0, !slot.has_knotes());
            prop_assert_eq!(slot.wanted() & (IN | OUT | PRI) == 0, enabled.clone().count() == 0);
            if !slot.is_special() {
                // One mode for both, no disarming, nothing to look at again.
                prop_assert!(slot.wanted() & (ONCE | PRI) == 0);
                prop_assert!(!enabled.clone().any(|knote| knote.fires_once()));
                let stored = Slot { mask: slot.wanted(), ..slot };
                let again = |index: usize| knotes[index].is_enabled() && stored.looks_again(index);
                prop_assert!(!again(READ) && !again(WRITE));
            }
        }
    }
}
