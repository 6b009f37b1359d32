//! EVFILT_READ, EVFILT_WRITE and EVFILT_EXCEPT: the knotes of a descriptor, told by one epoll entry.
//!
//! The laws:
//!
//! 1. The slot of a descriptor says what epoll has been told: the masks of its entries. Whoever
//!    changes a knote calls [`Descriptors::sync`], which makes one epoll_ctl(2), or none.
//! 2. While the enabled knotes of a descriptor are all EV_CLEAR its entry is EPOLLET, while none is
//!    the entry is level-triggered. Where they differ, the level-triggered one stands in a second
//!    epoll set, the *side set*, which is nested in the main one.
//! 3. The table is never trusted alone: a descriptor may have been closed and its number given to
//!    another file. Every change asks epoll, whose answer corrects the table; every event carries
//!    the generation of the registration that it belongs to. So a descriptor has an entry for as
//!    long as it has knotes: one that asks for nothing while all of them are disabled.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use libc::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD};

use super::{
    count, epoll,
    knote::{Knote, invalid, no_such_knote},
    queue::{Active, Batch, SIDE, internal, is_queue},
};
use crate::{EventFlags, Filter, Kevent, ReadWriteFlags};

const IN: u32 = libc::EPOLLIN as u32;
const OUT: u32 = libc::EPOLLOUT as u32;
const ERR: u32 = libc::EPOLLERR as u32;
const HUP: u32 = libc::EPOLLHUP as u32;
const PRI: u32 = libc::EPOLLPRI as u32;
const RDHUP: u32 = libc::EPOLLRDHUP as u32;
const ET: u32 = libc::EPOLLET as u32;

/// The mask of an entry that asks for nothing. epoll adds HUP and ERR to every mask; being
/// edge-triggered, they come once and not for ever.
const IDLE: u32 = ET;

/// Which epoll set an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    Main,
    Side,
}

/// The READ and WRITE knotes of one queue, by descriptor.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    slots: Vec<Slot>,
    side: Option<Side>,
    /// Events that a call had no room for, by the serial of their entry in the list of active
    /// knotes. Seldom anything else than empty.
    carried: HashMap<(RawFd, Filter), u64>,
    /// The low-water marks of those that have one.
    marks: HashMap<RawFd, i64>,
    /// Where events are to say how much there is: the errors of sockets, which can be asked for only
    /// once.
    errors: Option<HashMap<RawFd, u32>>,
    next_generation: u32,
    /// The payload of the last event that belonged to no registration.
    stale: Option<u64>,
    /// Such an event came again: see [`Descriptors::haunted`].
    haunted: bool,
}

/// The second epoll set, made when a descriptor first needs it.
#[derive(Debug)]
struct Side {
    epoll: OwnedFd,
    batch: Vec<libc::epoll_event>,
}

/// The filters of this file, in the order in which they are reported, and what epoll calls them.
const FILTERS: [(Filter, u32); 3] = [
    (Filter::READ, IN | RDHUP),
    (Filter::WRITE, OUT),
    (Filter::EXCEPT, PRI),
];

/// The place of a filter in [`FILTERS`].
fn place(filter: Filter) -> usize {
    match filter {
        Filter::READ => READ,
        Filter::WRITE => WRITE,
        _ => 2,
    }
}

const READ: usize = 0;
const WRITE: usize = 1;

/// What is known of one descriptor. 64 bytes: a cache line, or two halves.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// In the order of [`FILTERS`].
    knotes: [Option<Knote>; 3],
    /// Which registration with epoll this is: the upper half of its payload.
    generation: u32,
    /// The masks that stand in the main set and in the side set; 0: no entry. A descriptor with
    /// knotes has one in the main set.
    main: u32,
    side: u32,
    /// A socket that is not connected hangs up for ever: until it is connected, its entry is
    /// edge-triggered whatever its knotes are (K115).
    quiet: bool,
    /// READ has a low-water mark: its entry is edge-triggered, and as long as the condition holds it
    /// stays in the list of active knotes (K156).
    marked: bool,
    /// Nothing of the above, no second entry, no knote that fires once, and no counts: an event is made
    /// of what is here, and nothing has to be done after it.
    plain: bool,
}

/// What a mask says of the filters: `None` is "not ready", else EV_EOF or no flag.
type Readiness = [Option<EventFlags>; 3];

const NEVER_CONNECTED: Readiness = [None; 3];

impl Slot {
    /// Whether a knote is told of activity rather than of the condition.
    fn is_edge(&self, place: usize, knote: &Knote) -> bool {
        knote.is_clear() || self.marked && place == READ
    }

    /// The masks that the enabled knotes ask for, in the main and in the side set.
    fn wanted(&self) -> (u32, u32) {
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

    /// The knote that an event of this filter from this set is for.
    fn listener(&self, set: Set, place: usize) -> Option<Knote> {
        let knote = self.knotes[place].filter(Knote::is_enabled)?;
        let of_side = self.side != 0 && !self.is_edge(place, &knote);
        (of_side == (set == Set::Side)).then_some(knote)
    }
}

/// The mask made edge-triggered; nothing stays nothing.
fn edge(mask: u32) -> u32 {
    if mask == 0 { 0 } else { mask | ET }
}

/// The payload of a descriptor's entries.
fn payload(fd: RawFd, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(fd as u32)
}

/// The error by which epoll says that a descriptor is not the one that was registered. EPERM is
/// said of files, which never have an entry.
fn is_lost(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(errno, Some(libc::ENOENT | libc::EBADF | libc::EPERM))
}

impl Descriptors {
    /// Has events say how much there is.
    pub(super) fn count(&mut self) {
        self.errors = Some(HashMap::new());
    }

    /// Whether two successive changes can be made by one epoll_ctl: the READ and the WRITE of one
    /// descriptor, both added or both deleted. Either both succeed or both fail, in the same way.
    pub(super) fn go_together(&self, first: &Kevent, second: &Kevent) -> bool {
        let pair = matches!(
            (first.filter(), second.filter()),
            (Filter::READ, Filter::WRITE) | (Filter::WRITE, Filter::READ)
        );
        if !pair || first.ident() != second.ident() {
            return false;
        }
        let both = |flag| first.flags().contains(flag) && second.flags().contains(flag);
        let slot = self.slots.get(first.ident());
        both(EventFlags::ADD) && first.fflags() | second.fflags() == 0 && !is_queue(first.ident())
            || both(EventFlags::DELETE)
                && slot.is_some_and(|slot| slot.knotes[..2].iter().all(Option::is_some))
    }

    /// Applies one change, or two that go together.
    pub(super) fn change(
        &mut self,
        main: &OwnedFd,
        changes: &[Kevent],
        active: &mut Active,
    ) -> io::Result<()> {
        let fd = RawFd::try_from(changes[0].ident())
            .map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        if self.errors.is_none() && self.marks.is_empty() && self.carried.is_empty() {
            let plain = if changes[0].flags().contains(EventFlags::DELETE) {
                self.delete_last(main, fd, changes)
            } else {
                self.add_first(main, fd, changes)
            };
            if plain.is_some() {
                return Ok(());
            }
        }
        self.change_any(main, fd, changes)?;
        self.drop_carried(fd, changes, active);
        Ok(())
    }

    /// Adds the first knotes of a descriptor, if they are plain and of one mode: what most programs
    /// do first with most descriptors. Otherwise, and if epoll refuses, it has done nothing.
    fn add_first(&mut self, main: &OwnedFd, fd: RawFd, changes: &[Kevent]) -> Option<()> {
        let slot = self.slots.get_mut(fd as usize)?;
        if slot.main != 0 {
            return None;
        }
        let mode = changes[0].flags() & EventFlags::CLEAR;
        let mut added = Slot {
            generation: self.next_generation.wrapping_add(1),
            plain: true,
            ..Slot::default()
        };
        for change in changes {
            let harmless = EventFlags::RECEIPT.union(EventFlags::ENABLE);
            let place = place(change.filter());
            let plain = change.flags().difference(harmless) == EventFlags::ADD | mode
                && change.fflags() == 0
                && (place == READ || place == WRITE && !is_queue(change.ident()));
            if !plain {
                return None;
            }
            added.knotes[place] = Some(Knote::new(change));
            added.main |= FILTERS[place].1;
        }
        if !mode.is_empty() {
            added.main = edge(added.main);
        }
        let payload = payload(fd, added.generation);
        epoll::control(main, EPOLL_CTL_ADD, fd, added.main, payload).ok()?;
        self.next_generation = added.generation;
        *slot = added;
        Some(())
    }

    /// Deletes the last knotes of a descriptor, if they are plain. Otherwise, and if epoll refuses, it
    /// has done nothing.
    fn delete_last(&mut self, main: &OwnedFd, fd: RawFd, changes: &[Kevent]) -> Option<()> {
        let slot = self.slots.get_mut(fd as usize)?;
        let mut left = slot.knotes.map(|knote| knote.is_some());
        for change in changes {
            // A knote that is not there is an error.
            if !std::mem::take(&mut left[place(change.filter())]) {
                return None;
            }
        }
        if !slot.plain || left.contains(&true) {
            return None;
        }
        epoll::control(main, EPOLL_CTL_DEL, fd, 0, 0).ok()?;
        (slot.knotes, slot.main) = ([None; 3], 0);
        Some(())
    }

    /// Applies any change, or two that go together.
    fn change_any(&mut self, main: &OwnedFd, fd: RawFd, changes: &[Kevent]) -> io::Result<()> {
        let before = self.slots.get(fd as usize).copied().unwrap_or_default();
        let mut after = before;
        for change in changes {
            edit(&mut after, change)?;
        }
        // A change other than "delete" and "disable" evaluates the condition anew (K61): its entry
        // is written again even where the mask stays the same.
        let mut touched = [false; 3];
        for change in changes {
            let silent = EventFlags::DELETE.union(EventFlags::DISABLE);
            touched[place(change.filter())] = !change.flags().intersects(silent);
        }
        match self.sync(main, fd, after, touched) {
            Err(error) if is_lost(&error) && before.main != 0 => {
                // The knotes went with the file that had this number (K98).
                self.slots[fd as usize] = Slot::default();
                if changes
                    .iter()
                    .all(|change| change.flags().contains(EventFlags::ADD))
                {
                    return self.change_any(main, fd, changes);
                }
                Err(no_such_knote())
            }
            Ok(()) => {
                self.mark(fd, changes);
                Ok(())
            }
            result => result,
        }
    }

    /// Forgets the events that were carried over and that a change has made pointless.
    fn drop_carried(&mut self, fd: RawFd, changes: &[Kevent], active: &mut Active) {
        if self.carried.is_empty() {
            return;
        }
        let slot = self.slots[fd as usize];
        for filter in changes.iter().map(Kevent::filter) {
            if !slot.knotes[place(filter)].is_some_and(|knote| knote.is_enabled()) {
                active.cancel(self.carried.remove(&(fd, filter)));
            }
        }
    }

    /// Keeps the low-water mark of a change.
    fn mark(&mut self, fd: RawFd, changes: &[Kevent]) {
        if self.slots[fd as usize].marked {
            let read = changes
                .iter()
                .find(|change| change.filter() == Filter::READ);
            self.marks.extend(read.map(|change| (fd, change.data())));
        } else if !self.marks.is_empty() {
            self.marks.remove(&fd);
        }
    }

    /// Makes `after` the state of a descriptor: first in epoll, then in the table. On failure
    /// neither has changed. `touched` are the filters whose conditions are to be evaluated anew.
    fn sync(
        &mut self,
        main: &OwnedFd,
        fd: RawFd,
        mut after: Slot,
        touched: [bool; 3],
    ) -> io::Result<()> {
        let before = self.slots.get(fd as usize).copied().unwrap_or_default();
        (after.main, after.side) = after.wanted();
        let mut knotes = after.knotes.iter().flatten();
        let lasting = knotes.all(|knote| !knote.fires_once());
        after.plain =
            lasting && after.side == 0 && !(after.quiet || after.marked) && self.errors.is_none();
        if matches!(before.main, 0 | IDLE) {
            // No knote was enabled: whatever another thread still holds of it is out of date.
            self.next_generation = self.next_generation.wrapping_add(1);
            after.generation = self.next_generation;
            if let Some(errors) = &mut self.errors {
                errors.remove(&fd);
            }
        }
        let payload = payload(fd, after.generation);
        let touches = |set| {
            let mut touched = touched.iter().enumerate();
            touched.any(|(place, touched)| *touched && after.listener(set, place).is_some())
        };
        let (touch_main, touch_side) = (touches(Set::Main), touches(Set::Side));

        if before.side != after.side || touch_side {
            let side = self.side(main)?;
            write_entry(&side.epoll, fd, before.side, after.side, payload)?;
        }
        let result = if before.main != after.main || touch_main {
            write_entry(main, fd, before.main, after.main, payload)
        } else {
            // There is nothing to tell epoll, but it is to be asked (law 3).
            check_entry(main, fd)
        };
        if let (Err(_), Some(side)) = (&result, &self.side) {
            if before.side != after.side {
                // Back to what it was; nothing can be done if that fails too.
                let _ = write_entry(&side.epoll, fd, after.side, before.side, payload);
            }
        }
        result?;
        if self.slots.len() <= fd as usize {
            self.slots.resize(fd as usize + 1, Slot::default());
        }
        self.slots[fd as usize] = after;
        Ok(())
    }

    /// The side set, nested in the main one.
    fn side(&mut self, main: &OwnedFd) -> io::Result<&Side> {
        if self.side.is_none() {
            let epoll = epoll::create()?;
            let fd = epoll.as_raw_fd();
            epoll::control(main, EPOLL_CTL_ADD, fd, IN, internal(SIDE))?;
            let batch = Vec::with_capacity(64);
            self.side = Some(Side { epoll, batch });
        }
        Ok(self.side.as_ref().expect("made just above"))
    }

    /// Turns events of epoll into kevents, up to the first that is special in any way: what the loops
    /// of most programs see, and nothing else. Returns the rest.
    #[inline]
    pub(super) fn deliver_plain<'a>(
        &self,
        mut rest: &'a [libc::epoll_event],
        events: &mut Vec<Kevent>,
        room: usize,
    ) -> &'a [libc::epoll_event] {
        if !self.carried.is_empty() {
            return rest;
        }
        while let Some((event, after)) = rest.split_first() {
            let (fd, mask) = (event.u64 as u32 as usize, event.events);
            let slot = match self.slots.get(fd) {
                Some(slot) if slot.plain && mask & (HUP | ERR | PRI) == 0 => slot,
                _ => break,
            };
            let both = mask & OUT != 0 && mask & (IN | RDHUP) != 0;
            let last = events.len() + usize::from(both);
            // Each of the others has to have a place. That the list does not grow is known, but not
            // to the compiler.
            let fits = last + after.len() < room && last < events.capacity();
            if !fits || slot.generation != (event.u64 >> 32) as u32 {
                break;
            }
            let mut push = |place: usize, flags| {
                if let Some(knote) = slot.knotes[place].filter(Knote::is_enabled) {
                    events.push(knote.event(fd, FILTERS[place].0, flags));
                }
            };
            if mask & RDHUP != 0 {
                push(READ, EventFlags::EOF);
            } else if mask & IN != 0 {
                push(READ, EventFlags::empty());
            }
            if mask & OUT != 0 {
                push(WRITE, EventFlags::empty());
            }
            rest = after;
        }
        rest
    }

    /// Turns any event of epoll into the kevents of its descriptor.
    pub(super) fn deliver(
        &mut self,
        main: &OwnedFd,
        set: Set,
        event: libc::epoll_event,
        batch: &mut Batch<'_>,
    ) {
        let (fd, mask) = (event.u64 as u32 as usize, event.events);
        let slot = match self.slots.get(fd) {
            Some(slot) if slot.generation == (event.u64 >> 32) as u32 => *slot,
            _ => {
                self.haunted |= self.stale == Some(event.u64);
                self.stale = Some(event.u64);
                return;
            }
        };
        let ready = readiness(fd as RawFd, mask);
        let quiet = ready == NEVER_CONNECTED;
        if quiet != slot.quiet {
            self.hush(main, fd as RawFd, quiet);
        }
        for (place, (filter, _)) in FILTERS.into_iter().enumerate() {
            if let (Some(flags), Some(knote)) = (ready[place], slot.listener(set, place)) {
                self.report(main, fd, filter, knote, flags, batch);
            }
        }
    }

    /// Puts an event into the batch, or has it carried over to the next call (K85).
    fn report(
        &mut self,
        main: &OwnedFd,
        fd: usize,
        filter: Filter,
        knote: Knote,
        flags: EventFlags,
        batch: &mut Batch<'_>,
    ) {
        if batch.has_repeated(fd, filter) {
            return;
        }
        if !self.carried.is_empty() {
            // This event says what the one carried over would have said.
            self.carried.remove(&(fd as RawFd, filter));
        }
        if !batch.has_room() {
            self.carry(fd as RawFd, filter, batch.active);
            return;
        }
        if let Some(event) = self.event(main, fd, filter, knote, flags, batch.active) {
            batch.push(event);
        }
    }

    /// Makes the event of a knote whose condition holds, unless it is below its low-water mark, and
    /// does what has to be done after a delivery.
    fn event(
        &mut self,
        main: &OwnedFd,
        ident: usize,
        filter: Filter,
        knote: Knote,
        flags: EventFlags,
        active: &mut Active,
    ) -> Option<Kevent> {
        let fd = ident as RawFd;
        let mut event = knote.event(ident, filter, flags);
        if filter == Filter::READ && !self.marks.is_empty() {
            if let Some(mark) = self.marks.get(&fd) {
                // The end of the stream and an error override the mark.
                let below = flags.is_empty() && count::readable(fd) < *mark;
                if below && epoll::poll_now(fd, 0) & ERR == 0 {
                    return None;
                }
                if !knote.is_clear() && !knote.fires_once() {
                    self.carry(fd, filter, active);
                }
            }
        }
        if filter == Filter::EXCEPT {
            event = event.with_fflags(ReadWriteFlags::OOB);
        } else if let Some(errors) = &mut self.errors {
            event = fill_in(event, errors.entry(fd).or_insert(0));
        }
        if knote.fires_once() {
            self.retire(main, fd, filter);
        }
        Some(event)
    }

    /// Keeps an event for the next call: only that it was there. What it says is found out then.
    fn carry(&mut self, fd: RawFd, filter: Filter, active: &mut Active) {
        let serial = active.push(filter, fd as usize);
        self.carried.insert((fd, filter), serial);
    }

    /// The event that was carried over, if its condition still holds (K74, K75).
    pub(super) fn collect(
        &mut self,
        main: &OwnedFd,
        filter: Filter,
        ident: usize,
        serial: u64,
        active: &mut Active,
    ) -> Option<Kevent> {
        let fd = ident as RawFd;
        if self.carried.get(&(fd, filter)) != Some(&serial) {
            return None;
        }
        self.carried.remove(&(fd, filter));
        let place = place(filter);
        let knote = self.slots.get(ident)?.knotes[place].filter(Knote::is_enabled)?;
        if check_entry(main, fd).is_err() {
            // The knotes went with the file that had this number (K98).
            self.slots[ident] = Slot::default();
            return None;
        }
        let mask = epoll::poll_now(fd, FILTERS[place].1);
        let flags = readiness(fd, mask)[place]?;
        self.event(main, ident, filter, knote, flags, active)
    }

    /// After the one event of a knote: EV_ONESHOT deletes it, EV_DISPATCH disables it.
    fn retire(&mut self, main: &OwnedFd, fd: RawFd, filter: Filter) {
        let mut after = self.slots[fd as usize];
        let knote = &mut after.knotes[place(filter)];
        *knote = knote.filter(|knote| !knote.is_oneshot()).map(|mut knote| {
            knote.disable();
            knote
        });
        self.settle(main, fd, after);
    }

    /// Makes the entry of an unconnected socket edge-triggered, and level-triggered again when it
    /// has something to say.
    fn hush(&mut self, main: &OwnedFd, fd: RawFd, quiet: bool) {
        let mut after = self.slots[fd as usize];
        after.quiet = quiet;
        self.settle(main, fd, after);
    }

    /// Changes that no caller asked for, so that no caller can be told of an error. The only
    /// ones possible say that the descriptor has been closed, and its knotes with it.
    fn settle(&mut self, main: &OwnedFd, fd: RawFd, after: Slot) {
        if self.sync(main, fd, after, [false; 3]).is_err() {
            self.slots[fd as usize] = Slot::default();
        }
    }

    /// Whether an epoll set has an entry that belongs to no registration and that reports again and
    /// again. That is so when a descriptor was closed while it was registered, a duplicate of it is
    /// still open, and its number has gone to another file: then no call can name the entry any more.
    pub(super) fn haunted(&self) -> bool {
        self.haunted
    }

    /// Registers everything with a new main set, as it is with the old one.
    pub(super) fn attach(&mut self, old: &OwnedFd, new: &OwnedFd) {
        self.haunted = false;
        self.stale = None;
        let had_side = self.side.take().is_some();
        for fd in 0..self.slots.len() {
            let slot = self.slots[fd];
            if slot.main == 0 {
                continue;
            }
            if check_entry(old, fd as RawFd).is_err() {
                // The knotes went with the file that had this number (K98).
                self.slots[fd] = Slot::default();
                continue;
            }
            let payload = payload(fd as RawFd, slot.generation);
            // It was possible with the old set; without the memory for the new one it is silent.
            let _ = write_entry(new, fd as RawFd, 0, slot.main, payload);
            if had_side && slot.side != 0 {
                if let Ok(side) = self.side(new) {
                    let _ = write_entry(&side.epoll, fd as RawFd, 0, slot.side, payload);
                }
            }
        }
    }

    /// Delivers what is ready in the side set.
    pub(super) fn deliver_side(&mut self, main: &OwnedFd, batch: &mut Batch<'_>) {
        let Some(mut side) = self.side.take() else {
            return;
        };
        // No error is possible: the set is ours and a zero timeout is never interrupted. What does
        // not fit stays ready.
        let room = batch.room().max(1);
        let _ = epoll::wait(
            &side.epoll,
            &mut side.batch,
            room,
            Some(std::time::Duration::ZERO),
        );
        let ready = std::mem::take(&mut side.batch);
        self.side = Some(side);
        for &event in &ready {
            self.deliver(main, Set::Side, event, batch);
        }
        if let Some(side) = &mut self.side {
            side.batch = ready;
        }
    }
}

/// What a change does to a knote, or to the absence of one.
fn edit(slot: &mut Slot, change: &Kevent) -> io::Result<()> {
    let (filter, flags) = (change.filter(), change.flags());
    let knote = &mut slot.knotes[place(filter)];
    if knote.is_none() && !flags.contains(EventFlags::ADD) {
        return Err(no_such_knote());
    }
    if flags.contains(EventFlags::DELETE) {
        *knote = None;
        slot.marked &= filter != Filter::READ;
        return Ok(());
    }
    let fflags = ReadWriteFlags::from_bits_retain(change.fflags());
    match filter {
        Filter::READ if ReadWriteFlags::LOWAT.contains(fflags) => {
            slot.marked = !fflags.is_empty();
        }
        Filter::WRITE if fflags.is_empty() => {}
        Filter::EXCEPT if fflags == ReadWriteFlags::OOB => {}
        // Nothing to be exceptional about.
        Filter::EXCEPT if fflags.is_empty() => return Err(invalid()),
        // What is asked for cannot be told (K242).
        _ => return Err(io::Error::from_raw_os_error(libc::ENOTSUP)),
    }
    match knote {
        Some(knote) => knote.modify(change),
        // A queue is never writable, and epoll would let it be waited for in vain (K10).
        None if filter != Filter::READ && is_queue(change.ident()) => return Err(invalid()),
        None => *knote = Some(Knote::new(change)),
    }
    Ok(())
}

/// Fills in how much there is, and the error that a stream has ended with (K105, K108).
fn fill_in(event: Kevent, error: &mut u32) -> Kevent {
    let fd = event.ident() as RawFd;
    let data = match event.filter() {
        Filter::READ => count::readable(fd),
        _ => count::writable(fd),
    };
    if !event.is_eof() {
        return event.with_data(data);
    }
    // The other filter will want to know it too.
    if *error == 0 {
        *error = count::take_error(fd);
    }
    event.with_data(data).with_fflags(*error)
}

/// The error of an entry that an epoll set does not have any more, or of a descriptor that is
/// closed. It is asked by adding the entry, which changes nothing where there is one.
fn check_entry(set: &OwnedFd, fd: RawFd) -> io::Result<()> {
    match epoll::control(set, EPOLL_CTL_ADD, fd, IDLE, u64::from(fd as u32)) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            epoll::control(set, EPOLL_CTL_DEL, fd, 0, 0)?;
            Err(no_such_knote())
        }
    }
}

/// Brings one entry of an epoll set from one mask to another; 0 is "no entry".
fn write_entry(set: &OwnedFd, fd: RawFd, from: u32, to: u32, payload: u64) -> io::Result<()> {
    let result = match (from, to) {
        (0, 0) => return Ok(()),
        (0, _) => epoll::control(set, EPOLL_CTL_ADD, fd, to, payload),
        (_, 0) => epoll::control(set, EPOLL_CTL_DEL, fd, 0, 0),
        (_, _) => epoll::control(set, EPOLL_CTL_MOD, fd, to, payload),
    };
    match result.as_ref().map_err(io::Error::raw_os_error) {
        // The table lost track: the file came back to this number by way of a duplicate.
        Err(Some(libc::EEXIST)) => epoll::control(set, EPOLL_CTL_MOD, fd, to, payload),
        // The limit on watches of a user is, for kqueue, a lack of memory.
        Err(Some(libc::ENOSPC)) => Err(io::Error::from_raw_os_error(libc::ENOMEM)),
        _ => result,
    }
}

/// What a mask says.
fn readiness(fd: RawFd, mask: u32) -> Readiness {
    if mask & (HUP | ERR) != 0 {
        return hang_up(fd, mask);
    }
    // Almost always.
    let none = EventFlags::empty();
    let eof = if mask & RDHUP != 0 {
        EventFlags::EOF
    } else {
        none
    };
    [
        (mask & (IN | RDHUP) != 0).then_some(eof),
        (mask & OUT != 0).then_some(none),
        (mask & PRI != 0).then_some(none),
    ]
}

/// A mask with EPOLLHUP or EPOLLERR, which mean different things for different files.
fn hang_up(fd: RawFd, mask: u32) -> Readiness {
    let kind = epoll::file_type(fd);
    let only_hup = mask & HUP != 0 && mask & (IN | RDHUP | ERR) == 0;
    if kind == libc::S_IFSOCK && only_hup {
        // Never connected, or closed by the peer with nobody having asked about reading?
        if epoll::poll_now(fd, IN | RDHUP) & (IN | RDHUP) == 0 {
            return NEVER_CONNECTED;
        }
    }
    // An error of a pipe is "the other end is gone"; an error of a socket need not end it.
    let both_ends = if kind == libc::S_IFIFO {
        HUP | ERR
    } else {
        HUP
    };
    let none = EventFlags::empty();
    let end = |ends| {
        if mask & ends != 0 {
            EventFlags::EOF
        } else {
            none
        }
    };
    [
        Some(end(RDHUP | both_ends)),
        Some(end(both_ends)),
        (mask & PRI != 0).then_some(none),
    ]
}
