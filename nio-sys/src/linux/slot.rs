//! What is known of each descriptor: written under the queue's lock, read by waits without it.
//!
//! The laws:
//!
//! 1. Who writes has the lock. A wait that only translates plain events takes none.
//! 2. What a wait reads of a slot stood there at one moment: a version, odd while the slot is being
//!    written, is read before and after the rest. Where they differ the wait looks again, under the
//!    lock.
//! 3. A slot never moves and is never freed before its queue: the table grows by whole chunks.
//! 4. The masks of a slot's entries in the epoll sets follow from its knotes, so they are computed
//!    and not kept ([`Slot::wanted`]).

use std::{os::fd::RawFd, sync::OnceLock};

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};

use super::knote::Knote;
use crate::{EventFlags, Filter};

pub(super) const IN: u32 = libc::EPOLLIN as u32;
pub(super) const OUT: u32 = libc::EPOLLOUT as u32;
pub(super) const PRI: u32 = libc::EPOLLPRI as u32;
pub(super) const RDHUP: u32 = libc::EPOLLRDHUP as u32;
const ET: u32 = libc::EPOLLET as u32;

/// The filters of a descriptor, in the order in which they are reported, and what epoll calls them.
pub(super) const FILTERS: [(Filter, u32); 3] = [
    (Filter::READ, IN | RDHUP),
    (Filter::WRITE, OUT),
    (Filter::EXCEPT, PRI),
];

pub(super) const READ: usize = 0;
pub(super) const WRITE: usize = 1;
pub(super) const EXCEPT: usize = 2;

/// The place of a filter in [`FILTERS`].
#[inline]
pub(super) fn place(filter: Filter) -> usize {
    match filter {
        Filter::READ => READ,
        Filter::WRITE => WRITE,
        _ => EXCEPT,
    }
}

/// The mask of an entry that asks for nothing. epoll adds HUP and ERR to every mask; being
/// edge-triggered, they come once and not for ever.
pub(super) const IDLE: u32 = ET;

/// Which epoll set an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    Main,
    Side,
}

/// What is known of one descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// In the order of [`FILTERS`].
    pub(super) knotes: [Option<Knote>; 3],
    /// Which registration with epoll this is: the upper half of its payload.
    pub(super) generation: u32,
    /// A socket that is not connected hangs up for ever: until it is connected, its entry is
    /// edge-triggered whatever its knotes are (K115).
    pub(super) quiet: bool,
    /// READ has a low-water mark: its entry is edge-triggered, and as long as the condition holds it
    /// stays in the list of active knotes (K156).
    pub(super) marked: bool,
    /// Neither of the above, no second entry, no knote that fires once, no counts and no event carried
    /// over: an event is made of what is here, and nothing has to be done after it.
    pub(super) plain: bool,
}

impl Slot {
    /// The masks of its entries in the main set and in the side set; 0: no entry. A descriptor with
    /// knotes has one in the main set.
    pub(super) fn wanted(&self) -> (u32, u32) {
        let (mut clear, mut level) = (0, 0);
        for (place, (knote, (_, mask))) in self.knotes.iter().zip(FILTERS).enumerate() {
            match knote {
                Some(knote) if !knote.is_enabled() => {}
                Some(knote) if self.is_edge(place, knote) => clear |= mask,
                Some(_) => level |= mask,
                None => {}
            }
        }
        match (clear, level) {
            (0, 0) if self.knotes.iter().any(Option::is_some) => (IDLE, 0),
            (0, level) if !self.quiet => (level, 0),
            (clear, level) if clear == 0 || level == 0 || self.quiet => (edge(clear | level), 0),
            (clear, level) => (edge(clear), level),
        }
    }

    /// Whether a knote is told of activity rather than of the condition.
    pub(super) fn is_edge(&self, place: usize, knote: &Knote) -> bool {
        knote.is_clear()
            || match place {
                READ => self.marked,
                // An end or an error is told to every entry, and is nothing to EXCEPT: where no other
                // knote takes it, it would come for ever.
                EXCEPT => !self.has_level_other_than_except(),
                _ => false,
            }
    }

    fn has_level_other_than_except(&self) -> bool {
        let others = self.knotes[..EXCEPT].iter().enumerate();
        others
            .filter_map(|(place, knote)| Some((place, knote.as_ref()?)))
            .any(|(place, knote)| knote.is_enabled() && !self.is_edge(place, knote))
    }

    /// The knote that an event of this filter from this set is for.
    pub(super) fn listener(&self, set: Set, place: usize) -> Option<Knote> {
        let knote = self.knotes[place].filter(Knote::is_enabled)?;
        let of_side = !self.is_edge(place, &knote) && self.wanted().1 != 0;
        (of_side == (set == Set::Side)).then_some(knote)
    }
}

/// The mask made edge-triggered; nothing stays nothing.
pub(super) fn edge(mask: u32) -> u32 {
    if mask == 0 { 0 } else { mask | ET }
}

/// A [`Slot`] where all threads can see it.
///
/// 32 bytes, of which two share a cache line: a version, the generation, a byte for each knote
/// ([`Knote::to_byte`]), one byte of the marks below, four to spare, and the udata of READ and WRITE.
/// That of EXCEPT, which is rare, its owner keeps.
#[derive(Debug, Default)]
pub(super) struct Cell {
    version: AtomicU32,
    generation: AtomicU32,
    bytes: AtomicU32,
    udata: [AtomicUsize; 2],
}

/// The marks of the fourth byte.
const QUIET: u8 = 1;
const MARKED: u8 = 2;
pub(super) const PLAIN: u8 = 4;

/// The knotes of a slot as it keeps them.
#[derive(Debug, Default)]
pub(super) struct Knotes {
    bytes: [u8; 3],
    udata: [usize; 2],
}

impl Knotes {
    #[inline]
    pub(super) fn put(&mut self, place: usize, knote: &Knote) {
        self.bytes[place] = knote.to_byte();
        if let Some(udata) = self.udata.get_mut(place) {
            *udata = knote.udata;
        }
    }
}

/// What a wait has to know of a plain slot.
pub(super) struct Plain {
    /// How READ and WRITE are listened to, if they are: the mode of the knote, and its udata.
    pub(super) listeners: [Option<(EventFlags, usize)>; 2],
}

impl Cell {
    /// What is in it. Called under the lock.
    pub(super) fn load(&self, except: impl FnOnce() -> usize) -> Slot {
        let bytes = self.bytes.load(Ordering::Relaxed).to_le_bytes();
        let udata = |place: usize| self.udata[place].load(Ordering::Relaxed);
        let [read, write, third, marks] = bytes;
        Slot {
            knotes: [
                Knote::from_byte(read, || udata(READ)),
                Knote::from_byte(write, || udata(WRITE)),
                Knote::from_byte(third, except),
            ],
            generation: self.generation.load(Ordering::Relaxed),
            quiet: marks & QUIET != 0,
            marked: marks & MARKED != 0,
            plain: marks & PLAIN != 0,
        }
    }

    /// Whether it has no knotes. Called under the lock.
    #[inline]
    pub(super) fn is_vacant(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) & 0x00FF_FFFF == 0
    }

    /// Whether it is plain and its knotes are those of just these filters. Called under the lock.
    #[inline]
    pub(super) fn is_plain_with(&self, knotes: &Knotes) -> bool {
        let [read, write, third] = knotes.bytes;
        let wanted = u32::from_le_bytes([read, write, third, PLAIN]);
        let filters = u32::from_le_bytes([Knote::PRESENT, Knote::PRESENT, Knote::PRESENT, PLAIN]);
        self.bytes.load(Ordering::Relaxed) & filters == wanted & filters
    }

    /// Takes its knotes out. Called under the lock.
    #[inline]
    pub(super) fn clear(&self) {
        let generation = self.generation.load(Ordering::Relaxed);
        self.write(generation, &Knotes::default(), 0);
    }

    /// Puts another slot into it. Called under the lock.
    pub(super) fn store(&self, slot: &Slot) {
        let mut knotes = Knotes::default();
        for (place, knote) in slot.knotes.iter().enumerate() {
            if let Some(knote) = knote {
                knotes.put(place, knote);
            }
        }
        let mark = |is: bool, mark| if is { mark } else { 0 };
        let marks = mark(slot.quiet, QUIET) | mark(slot.marked, MARKED) | mark(slot.plain, PLAIN);
        self.write(slot.generation, &knotes, marks);
    }

    /// The writer's half of law 2: whoever reads anything written between the two stores to the version
    /// sees the first of them at the latest when it asks again. Called under the lock.
    #[inline]
    pub(super) fn write(&self, generation: u32, knotes: &Knotes, marks: u8) {
        let [read, write, third] = knotes.bytes;
        let bytes = u32::from_le_bytes([read, write, third, marks]);
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version | 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.generation.store(generation, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        self.udata[READ].store(knotes.udata[READ], Ordering::Relaxed);
        self.udata[WRITE].store(knotes.udata[WRITE], Ordering::Relaxed);
        self.version
            .store(version.wrapping_add(2), Ordering::Release);
    }

    /// What a wait has to know, if the slot is plain and of this generation. Called without the lock.
    #[inline]
    pub(super) fn read_plain(&self, generation: u32) -> Option<Plain> {
        let version = self.version.load(Ordering::Acquire);
        let of_now = self.generation.load(Ordering::Relaxed) == generation;
        let bytes = self.bytes.load(Ordering::Relaxed).to_le_bytes();
        let listener = |place: usize| {
            let udata = self.udata[place].load(Ordering::Relaxed);
            Knote::mode_if_enabled(bytes[place]).map(|mode| (mode, udata))
        };
        let listeners = [listener(READ), listener(WRITE)];
        // What is read above is read before the version is asked again.
        fence(Ordering::Acquire);
        let undisturbed = self.version.load(Ordering::Relaxed) == version && version % 2 == 0;
        (undisturbed && of_now && bytes[3] & PLAIN != 0).then_some(Plain { listeners })
    }
}

/// How many slots the first chunk has. Each further one has twice as many as the one before.
const FIRST: usize = 64;

/// How many chunks there are room for: enough for every descriptor there can be.
const CHUNKS: usize = 26;

/// The slots of one queue, by descriptor.
#[derive(Debug, Default)]
pub(super) struct Table {
    chunks: [OnceLock<Box<[Cell]>>; CHUNKS],
}

impl Table {
    /// Which chunk a descriptor is in, and what the first one there is; no chunk that exists, for a number
    /// that no descriptor has.
    #[inline]
    fn place(fd: usize) -> (usize, usize) {
        let log = fd.saturating_add(FIRST).ilog2();
        ((log - FIRST.ilog2()) as usize, (1 << log) - FIRST)
    }

    /// The chunk of a descriptor, as far as there is memory for it, and its first descriptor.
    #[inline]
    pub(super) fn chunk(&self, fd: usize) -> (&[Cell], usize) {
        let (chunk, first) = Table::place(fd);
        let cells = self.chunks.get(chunk).and_then(OnceLock::get);
        (cells.map_or(&[], |cells| cells), first)
    }

    /// The slot of a descriptor, if there is memory for it yet.
    #[inline]
    pub(super) fn get(&self, fd: usize) -> Option<&Cell> {
        let (cells, first) = self.chunk(fd);
        cells.get(fd - first)
    }

    /// The slot of a descriptor.
    pub(super) fn get_or_grow(&self, fd: RawFd) -> &Cell {
        let (chunk, first) = Table::place(fd as usize);
        let cells = self.chunks[chunk].get_or_init(|| zeroed(FIRST << chunk));
        &cells[fd as usize - first]
    }

    /// All descriptors that there is memory for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> + use<> {
        let chunks = self.chunks.iter().enumerate();
        let there = chunks.filter(|(_, chunk)| chunk.get().is_some());
        let ranges = there.map(|(chunk, _)| {
            let first = (FIRST << chunk) - FIRST;
            first..first + (FIRST << chunk)
        });
        let ranges: Vec<_> = ranges.collect();
        ranges.into_iter().flatten().map(|fd| fd as RawFd)
    }
}

/// That many empty slots. Memory that comes zeroed from the system is not touched, so what no
/// descriptor uses takes none.
#[cfg(not(all(test, loom)))]
fn zeroed(count: usize) -> Box<[Cell]> {
    let layout = std::alloc::Layout::array::<Cell>(count).expect("less than all memory");
    // SAFETY: the layout has a size, as `count` is FIRST at least and a Cell is no empty type.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    if memory.is_null() {
        std::alloc::handle_alloc_error(layout);
    }
    let cells = std::ptr::slice_from_raw_parts_mut(memory.cast::<Cell>(), count);
    // SAFETY: the memory is of the global allocator and of just the layout of this slice, nobody else
    // has it, and a Cell consists of atomic integers, for which zero is a valid value.
    unsafe { Box::from_raw(cells) }
}

#[cfg(all(test, loom))]
fn zeroed(count: usize) -> Box<[Cell]> {
    (0..count).map(|_| Cell::default()).collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Kevent;
    use proptest::prelude::*;

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_slot_takes_32_bytes() {
        assert_eq!(size_of::<Cell>(), 32);
    }

    #[test]
    fn every_descriptor_has_a_slot_of_its_own() {
        for fd in (0..5000).chain([RawFd::MAX as usize]) {
            let (chunk, first) = Table::place(fd);
            assert!(chunk < CHUNKS);
            // Each chunk begins where the one before ends.
            assert_eq!(first, (0..chunk).map(|chunk| FIRST << chunk).sum());
            assert!((first..first + (FIRST << chunk)).contains(&fd));
        }
        for fd in [RawFd::MAX as usize + FIRST, usize::MAX] {
            assert!(Table::default().get(fd).is_none());
        }
    }

    #[test]
    fn the_descriptors_of_a_table_are_those_of_its_chunks() {
        let table = Table::default();
        assert_eq!(table.descriptors().count(), 0);
        table.get_or_grow(70);
        assert!(table.get(63).is_none() && table.get(191).is_some() && table.get(192).is_none());
        assert_eq!(
            table.descriptors().collect::<Vec<_>>(),
            (64..192).collect::<Vec<_>>()
        );
    }

    fn knotes() -> impl Strategy<Value = Option<Knote>> {
        let flags = (0_u16..16).prop_map(|mode| EventFlags::from_bits_retain(mode << 4));
        let knote = (any::<usize>(), flags, any::<bool>()).prop_map(|(udata, mode, enabled)| {
            let state = if enabled {
                EventFlags::ENABLE
            } else {
                EventFlags::DISABLE
            };
            Knote::new(&Kevent::new(3, Filter::READ, mode | state).with_udata(udata))
        });
        proptest::option::of(knote)
    }

    proptest! {
        #[test]
        fn what_was_stored_is_loaded_and_what_is_plain_is_read_without_the_lock(
            knotes in [knotes(), knotes(), knotes()],
            generation in any::<u32>(),
            marks in any::<[bool; 3]>(),
        ) {
            let [quiet, marked, plain] = marks;
            let slot = Slot { knotes, generation, quiet, marked, plain };
            let cell = Cell::default();
            prop_assert!(cell.is_vacant());
            cell.store(&slot);
            prop_assert_eq!(cell.load(|| knotes[EXCEPT].unwrap().udata), slot);
            prop_assert_eq!(cell.is_vacant(), knotes.iter().all(Option::is_none));
            prop_assert!(cell.read_plain(generation.wrapping_add(1)).is_none());
            let read = cell.read_plain(generation);
            prop_assert_eq!(read.is_some(), plain);
            for (place, listener) in read.into_iter().flat_map(|read| read.listeners).enumerate() {
                let expected = knotes[place].filter(Knote::is_enabled);
                prop_assert_eq!(
                    listener.map(|(mode, udata)| {
                        Kevent::new(3, Filter::READ, mode).with_udata(udata)
                    }).map(|event| format!("{event:?}")),
                    expected
                        .map(|knote| knote.event(3, Filter::READ, EventFlags::empty()))
                        .map(|event| format!("{event:?}"))
                );
            }
        }
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p nio-sys --release --lib loom_` tries all orders in which a
/// reader and the writer can meet.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{sync::Arc, thread};

    use super::*;

    /// A slot of this generation, with udata that tells of it. Odd ones are disabled, which a reader
    /// of an even one must not notice.
    fn slot(generation: u32, number: usize) -> Slot {
        let state = if number % 2 == 0 {
            EventFlags::CLEAR
        } else {
            EventFlags::CLEAR | EventFlags::DISABLE
        };
        let change = crate::Kevent::new(3, Filter::READ, state);
        let knote = |udata| Some(Knote::new(&change.with_udata(udata)));
        Slot {
            knotes: [knote(number), knote(number + 100), None],
            generation,
            plain: true,
            ..Slot::default()
        }
    }

    /// What a reader may see: both knotes of one number, or neither as they are disabled.
    fn check(read: Option<Plain>, numbers: &[usize]) {
        let Some(Plain { listeners }) = read else {
            return;
        };
        let udata = listeners.map(|listener| listener.map(|(_, udata)| udata));
        let allowed = numbers.iter().map(|&number| match number % 2 {
            0 => [Some(number), Some(number + 100)],
            _ => [None, None],
        });
        assert!(
            allowed.into_iter().any(|allowed| allowed == udata),
            "{udata:?}"
        );
    }

    /// Reads while one slot after the other is written over `first`; then what was written last is read.
    fn read_while(first: Slot, next: &[Slot], numbers: &'static [usize]) {
        let cell = Arc::new(Cell::default());
        cell.store(&first);
        let reader = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || check(cell.read_plain(first.generation), numbers))
        };
        next.iter().for_each(|slot| cell.store(slot));
        reader.join().unwrap();
        let last = next.last().unwrap();
        assert!(cell.read_plain(last.generation).is_some());
    }

    #[test]
    fn loom_a_reader_sees_a_registration_whole_or_not_at_all() {
        loom::model(|| read_while(slot(1, 2), &[slot(2, 4)], &[2]));
    }

    #[test]
    fn loom_a_reader_sees_a_change_of_a_registration_whole_or_not_at_all() {
        loom::model(|| read_while(slot(1, 2), &[slot(1, 3)], &[2, 3]));
    }

    #[test]
    fn loom_a_reader_does_not_mix_a_registration_with_one_that_looks_the_same() {
        // All orders would take minutes.
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(|| read_while(slot(1, 2), &[slot(1, 3), slot(1, 4)], &[2, 3, 4]));
    }
}
