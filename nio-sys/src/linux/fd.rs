//! EVFILT_READ, EVFILT_WRITE and EVFILT_EXCEPT: the knotes of a descriptor, told by one epoll entry.
//!
//! The laws:
//!
//! 1. The slot of a descriptor says what epoll has been told: the masks of its entries
//!    ([`Slot::wanted`]). Whoever changes a knote calls [`Descriptors::sync`], which makes one
//!    epoll_ctl(2), or none.
//! 2. While the enabled knotes of a descriptor are all EV_CLEAR its entry is EPOLLET, while none is
//!    the entry is level-triggered. Where they differ, the level-triggered one stands in a second
//!    epoll set, the *side set*, which is nested in the main one. A knote that epoll tells of activity
//!    only though its mode is not EV_CLEAR ([`Slot::is_edge`]) stays in the list of active knotes as long
//!    as its condition holds.
//! 3. A wait reads the slots without the lock, if they are plain. So before epoll is told of a change the
//!    slot is plain no more, or has another generation than what epoll is told: who gets an event of the
//!    new state waits for the lock, and finds the new slot.
//! 4. The table is never trusted alone: a descriptor may have been closed and its number given to
//!    another file. Every change asks epoll, whose answer corrects the table; every event carries
//!    the generation of the registration that it belongs to. So a descriptor has an entry for as
//!    long as it has knotes: one that asks for nothing while all of them are disabled.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use libc::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD};

use super::{
    count, epoll,
    knote::{Knote, invalid, no_such_knote},
    queue::{Active, Batch, INTERNAL, SIDE, internal},
    queue_numbers::contains as is_queue,
    slot::{
        EXCEPT, FILTERS, IDLE, IN, Knotes, OUT, PLAIN, PRI, RDHUP, READ, Set, Slot, Table, WRITE,
        edge, place,
    },
};
use crate::{EventFlags, Filter, Kevent, ReadWriteFlags};

const ERR: u32 = libc::EPOLLERR as u32;
const HUP: u32 = libc::EPOLLHUP as u32;

/// The READ and WRITE knotes of one queue, by descriptor.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    /// Shared with the waits, which read it without the lock.
    slots: Arc<Table>,
    /// The udata of EXCEPT knotes, for which the slots have no room.
    excepts: HashMap<RawFd, usize>,
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
    /// The payloads of events that belonged to no registration, each with its number among them.
    stale: HashMap<u64, usize>,
    /// How many of those there have been. Shared with the waits, which look before they begin.
    sightings: Arc<AtomicUsize>,
    /// How many there had been when the wait began whose events are being translated.
    began: usize,
    /// Such an event came again: see [`Descriptors::haunted`].
    haunted: bool,
}

/// The second epoll set, made when a descriptor first needs it.
#[derive(Debug)]
pub(super) struct Side {
    epoll: OwnedFd,
    batch: Vec<libc::epoll_event>,
}

/// How many events that belong to no registration are remembered.
const MOST_STALE: usize = 1024;

/// What a mask says of the filters: `None` is "not ready", else EV_EOF or no flag.
type Readiness = [Option<EventFlags>; 3];

const NEVER_CONNECTED: Readiness = [None; 3];

/// What else a change may say that adds a plain knote.
const PLAIN_ADD: EventFlags = EventFlags::ENABLE.union(EventFlags::CLEAR);

/// Whether two changes are the READ and the WRITE of one descriptor, and ask the same of both.
#[inline]
fn are_twins(first: &Kevent, second: &Kevent) -> bool {
    first.ident() == second.ident()
        && first.flags() == second.flags()
        && place(first.filter()) + place(second.filter()) == READ + WRITE
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
    /// The slots, for those who wait.
    pub(super) fn slots(&self) -> Arc<Table> {
        Arc::clone(&self.slots)
    }

    /// How many events belonged to no registration, for those who wait.
    pub(super) fn sightings(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.sightings)
    }

    /// What comes next was returned by a wait that began when there had been so many.
    pub(super) fn begin(&mut self, sightings: usize) {
        self.began = sightings;
    }

    /// Has events say how much there is.
    pub(super) fn count(&mut self) {
        self.errors = Some(HashMap::new());
    }

    /// What is known of a descriptor.
    fn slot(&self, fd: RawFd) -> Slot {
        match self.slots.get(fd as usize) {
            Some(cell) => cell.load(|| self.excepts.get(&fd).copied().unwrap_or_default()),
            None => Slot::default(),
        }
    }

    /// Puts down what is known of a descriptor now.
    fn set_slot(&mut self, fd: RawFd, mut slot: Slot) {
        slot.plain = self.is_plain(fd, &slot);
        match slot.knotes[EXCEPT] {
            Some(knote) => drop(self.excepts.insert(fd, knote.udata)),
            None if self.excepts.is_empty() => {}
            None => drop(self.excepts.remove(&fd)),
        }
        self.slots.get_or_grow(fd).store(&slot);
    }

    /// Whether an event of a descriptor is made of its slot alone ([`Slot::plain`]).
    fn is_plain(&self, fd: RawFd, slot: &Slot) -> bool {
        let mut knotes = slot.knotes.iter().flatten();
        let lasting = knotes.all(|knote| !knote.fires_once());
        let is_carried = |(filter, _)| self.carried.contains_key(&(fd, filter));
        lasting
            && slot.wanted().1 == 0
            && !(slot.quiet || slot.marked)
            && self.errors.is_none()
            && (self.carried.is_empty() || !FILTERS.into_iter().any(is_carried))
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
        let are_there = || {
            let fd = RawFd::try_from(first.ident()).unwrap_or(RawFd::MAX);
            self.slot(fd).knotes[..2].iter().all(Option::is_some)
        };
        both(EventFlags::ADD) && first.fflags() | second.fflags() == 0 && !is_queue(first.ident())
            || both(EventFlags::DELETE) && are_there()
    }

    /// Makes the first change, or the first two, if they are what most programs do most often: adding
    /// the first knotes of a descriptor, plain ones of one mode, or deleting its last ones. Returns how
    /// many it has made. If they are anything else, or epoll refuses, it has done nothing: 0.
    #[inline]
    pub(super) fn change_plain(&mut self, main: &OwnedFd, changes: &[Kevent]) -> usize {
        let (first, count) = match changes {
            [first, second, ..] if are_twins(first, second) => (first, 2),
            changes => (&changes[0], 1),
        };
        let is_special = self.errors.is_some() || !self.carried.is_empty();
        if place(first.filter()) == EXCEPT || is_special {
            return 0;
        }
        let mut knotes = Knotes::default();
        let mut mask = 0;
        for change in &changes[..count] {
            let place = place(change.filter());
            knotes.put(place, &Knote::new(change));
            mask |= FILTERS[place].1;
        }
        let done = match first.flags().difference(EventFlags::RECEIPT) {
            EventFlags::DELETE => self.delete_last(main, first.ident(), &knotes),
            flags if flags.difference(PLAIN_ADD) == EventFlags::ADD => {
                let fflags = first.fflags() | changes[count - 1].fflags();
                let is_queue = mask & OUT != 0 && is_queue(first.ident());
                let mask = if flags.contains(EventFlags::CLEAR) {
                    edge(mask)
                } else {
                    mask
                };
                fflags == 0 && !is_queue && self.add_first(main, first.ident(), mask, &knotes)
            }
            _ => false,
        };
        if done { count } else { 0 }
    }

    #[inline]
    fn add_first(&mut self, main: &OwnedFd, fd: usize, mask: u32, knotes: &Knotes) -> bool {
        let Some(cell) = self.slots.get(fd).filter(|cell| cell.is_vacant()) else {
            return false;
        };
        let generation = self.next_generation.wrapping_add(1);
        let fd = fd as RawFd;
        if epoll::control(main, EPOLL_CTL_ADD, fd, mask, payload(fd, generation)).is_err() {
            return false;
        }
        self.next_generation = generation;
        cell.write(generation, knotes, PLAIN);
        true
    }

    #[inline]
    fn delete_last(&mut self, main: &OwnedFd, fd: usize, knotes: &Knotes) -> bool {
        let Some(cell) = self.slots.get(fd).filter(|cell| cell.is_plain_with(knotes)) else {
            return false;
        };
        if epoll::control(main, EPOLL_CTL_DEL, fd as RawFd, 0, 0).is_err() {
            return false;
        }
        cell.clear();
        true
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
        self.change_any(main, fd, changes)?;
        self.drop_carried(fd, changes, active);
        Ok(())
    }

    /// Applies any change, or two that go together.
    fn change_any(&mut self, main: &OwnedFd, fd: RawFd, changes: &[Kevent]) -> io::Result<()> {
        let before = self.slot(fd);
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
            Err(error) if is_lost(&error) && before.wanted().0 != 0 => {
                self.forget(fd);
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

    /// The knotes went with the file that had this number (K98).
    fn forget(&mut self, fd: RawFd) {
        self.marks.remove(&fd);
        self.set_slot(fd, Slot::default());
    }

    /// Forgets the events that were carried over and that a change has made pointless.
    fn drop_carried(&mut self, fd: RawFd, changes: &[Kevent], active: &mut Active) {
        if self.carried.is_empty() {
            return;
        }
        let slot = self.slot(fd);
        for filter in changes.iter().map(Kevent::filter) {
            if !slot.knotes[place(filter)].is_some_and(|knote| knote.is_enabled()) {
                active.cancel(self.carried.remove(&(fd, filter)));
            }
        }
        self.set_slot(fd, slot);
    }

    /// Keeps the low-water mark of a change.
    fn mark(&mut self, fd: RawFd, changes: &[Kevent]) {
        if self.slot(fd).marked {
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
        let before = self.slot(fd);
        if before.plain {
            // When epoll knows, another thread may get an event of what comes after. It is not to take it
            // for one of what was before, so it has to wait for the lock.
            let closed = Slot {
                plain: false,
                ..before
            };
            self.slots.get_or_grow(fd).store(&closed);
        }
        let result = self.sync_entries(main, fd, before, &mut after, touched);
        match result {
            Ok(()) => self.set_slot(fd, after),
            Err(_) if before.plain => self.set_slot(fd, before),
            Err(_) => {}
        }
        result
    }

    /// What [`sync`](Descriptors::sync) does in epoll, and to the generation.
    fn sync_entries(
        &mut self,
        main: &OwnedFd,
        fd: RawFd,
        before: Slot,
        after: &mut Slot,
        touched: [bool; 3],
    ) -> io::Result<()> {
        let (main_before, side_before) = before.wanted();
        let (main_after, side_after) = after.wanted();
        let touches = |set| {
            let mut touched = touched.iter().enumerate();
            touched.any(|(place, touched)| *touched && after.listener(set, place).is_some())
        };
        let (touch_main, touch_side) = (touches(Set::Main), touches(Set::Side));
        let is_told = main_before != main_after || touch_main;

        if is_told && matches!(main_before, 0 | IDLE) {
            // No knote was enabled: whatever another thread still holds of it is out of date.
            self.next_generation = self.next_generation.wrapping_add(1);
            after.generation = self.next_generation;
            if let Some(errors) = &mut self.errors {
                errors.remove(&fd);
            }
        }
        let payload = payload(fd, after.generation);
        if side_before != side_after || touch_side {
            let side = self.side(main)?;
            write_entry(&side.epoll, fd, side_before, side_after, payload)?;
        }
        let result = if is_told {
            write_entry(main, fd, main_before, main_after, payload)
        } else {
            // There is nothing to tell epoll, but it is to be asked (law 4).
            check_entry(main, fd)
        };
        if let (Err(_), Some(side)) = (&result, &self.side) {
            if side_before != side_after {
                // Back to what it was; nothing can be done if that fails too.
                let _ = write_entry(&side.epoll, fd, side_after, side_before, payload);
            }
        }
        result
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

    /// Turns any event of epoll into the kevents of its descriptor.
    pub(super) fn deliver(
        &mut self,
        main: &OwnedFd,
        set: Set,
        event: libc::epoll_event,
        batch: &mut Batch<'_>,
    ) {
        let (fd, mask) = (event.u64 as u32 as usize, event.events);
        let slot = self.slot(fd as RawFd);
        if slot.generation != (event.u64 >> 32) as u32 {
            return self.note_stale(event.u64);
        }
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
        if !batch.has_room() {
            // One that is carried over already keeps its place, or it would never be the first.
            if !self.carried.contains_key(&(fd as RawFd, filter)) {
                self.carry(fd as RawFd, filter, batch.active);
            }
            return;
        }
        if !self.carried.is_empty() {
            // This event says what the one carried over would have said.
            self.take_carried(fd as RawFd, filter);
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
        if filter == Filter::READ && self.slot(fd).marked {
            if let Some(mark) = self.marks.get(&fd) {
                // The end of the stream and an error override the mark.
                let below = flags.is_empty() && count::readable(fd) < *mark;
                if below && epoll::poll_now(fd, 0) & ERR == 0 {
                    return None;
                }
            }
        }
        let is_level = !knote.is_clear() && !knote.fires_once();
        if is_level && self.slot(fd).is_edge(place(filter), &knote) {
            // epoll tells no more of it: the next call has a look.
            self.carry(fd, filter, active);
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
        self.set_slot(fd, self.slot(fd));
    }

    /// Forgets an event that was carried over.
    fn take_carried(&mut self, fd: RawFd, filter: Filter) {
        if self.carried.remove(&(fd, filter)).is_some() {
            self.set_slot(fd, self.slot(fd));
        }
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
        self.take_carried(fd, filter);
        let place = place(filter);
        let knote = self.slot(fd).knotes[place].filter(Knote::is_enabled)?;
        if check_entry(main, fd).is_err() {
            self.forget(fd);
            return None;
        }
        let mask = epoll::poll_now(fd, FILTERS[place].1);
        let flags = readiness(fd, mask)[place]?;
        self.event(main, ident, filter, knote, flags, active)
    }

    /// After the one event of a knote: EV_ONESHOT deletes it, EV_DISPATCH disables it.
    fn retire(&mut self, main: &OwnedFd, fd: RawFd, filter: Filter) {
        let mut after = self.slot(fd);
        let knote = &mut after.knotes[place(filter)];
        *knote = knote.filter(|knote| !knote.is_oneshot()).map(|mut knote| {
            knote.disable();
            knote
        });
        after.marked &= after.knotes[READ].is_some();
        self.settle(main, fd, after);
    }

    /// Makes the entry of an unconnected socket edge-triggered, and level-triggered again when it
    /// has something to say.
    fn hush(&mut self, main: &OwnedFd, fd: RawFd, quiet: bool) {
        let mut after = self.slot(fd);
        after.quiet = quiet;
        self.settle(main, fd, after);
    }

    /// Changes that no caller asked for, so that no caller can be told of an error. Mostly it says
    /// that the descriptor has been closed, and its knotes with it. Where there is no memory or no
    /// descriptor for the side set, all stays as it is, and the next event tries again.
    fn settle(&mut self, main: &OwnedFd, fd: RawFd, after: Slot) {
        let result = self.sync(main, fd, after, [false; 3]);
        if result.is_err_and(|error| is_lost(&error)) {
            self.forget(fd);
        }
    }

    /// Notes an event that belongs to no registration. Mostly another thread was faster: the knote was
    /// changed while this one came back from its wait. A wait that began after that does not return it.
    fn note_stale(&mut self, payload: u64) {
        if let Some(number) = self.stale.get(&payload) {
            self.haunted |= *number <= self.began;
            return;
        }
        if self.stale.len() == MOST_STALE {
            // Any one goes, and only one: where more than these come again and again, one after the
            // other, most of them are still there when they do.
            let any = self.stale.keys().next().copied();
            any.and_then(|any| self.stale.remove(&any));
        }
        let number = self.sightings.fetch_add(1, Ordering::Release) + 1;
        self.stale.insert(payload, number);
    }

    /// Whether an epoll set has an entry that belongs to no registration and that reports again and
    /// again. That is so when a descriptor was closed while it was registered, a duplicate of it is
    /// still open, and its number has gone to another file: then no call can name the entry any more.
    pub(super) fn haunted(&self) -> bool {
        self.haunted
    }

    /// Registers everything with a new main set, as it is with the old one, and with a new side set.
    /// Returns that of the old one.
    pub(super) fn attach(&mut self, old: &OwnedFd, new: &OwnedFd) -> io::Result<Option<Side>> {
        let old_side = self.side.take();
        let had_side = old_side.is_some();
        if had_side {
            if let Err(error) = self.side(new) {
                self.side = old_side;
                return Err(error);
            }
        }
        self.haunted = false;
        self.stale.clear();
        for fd in self.slots.descriptors() {
            let slot = self.slot(fd);
            let (main_mask, side_mask) = slot.wanted();
            if main_mask == 0 {
                continue;
            }
            if check_entry(old, fd).is_err() {
                self.forget(fd);
                continue;
            }
            let payload = payload(fd, slot.generation);
            // It was possible with the old set; without the memory for the new one it is silent.
            let _ = write_entry(new, fd, 0, main_mask, payload);
            if had_side && side_mask != 0 {
                if let Ok(side) = self.side(new) {
                    let _ = write_entry(&side.epoll, fd, 0, side_mask, payload);
                }
            }
        }
        Ok(old_side)
    }

    /// Goes on with the old main set, and its side set.
    pub(super) fn stay(&mut self, side: Option<Side>) {
        self.side = side;
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

/// Turns events of epoll into kevents, up to the first that is special in any way: what the loops of
/// most programs see, and nothing else. Returns the rest. Takes no lock.
///
/// There is room for one kevent of each event at least: `room` is that of the whole list.
// Where there is nothing to be done, as of a mere wake, that is seen without a call.
#[inline]
pub(super) fn deliver_plain<'a>(
    slots: &Table,
    rest: &'a [libc::epoll_event],
    events: &mut Vec<Kevent>,
    room: usize,
) -> &'a [libc::epoll_event] {
    match rest.first() {
        Some(event) if event.u64 as u32 != INTERNAL => {
            deliver_some_plain(slots, rest, events, room)
        }
        _ => rest,
    }
}

#[inline(never)]
fn deliver_some_plain<'a>(
    slots: &Table,
    mut rest: &'a [libc::epoll_event],
    events: &mut Vec<Kevent>,
    room: usize,
) -> &'a [libc::epoll_event] {
    // How many events may come to two kevents.
    let mut spare = room.saturating_sub(events.len() + rest.len());
    let mut places = events.spare_capacity_mut().iter_mut();
    let free = places.len();
    // The next descriptor is mostly in the chunk of the last one.
    let (mut cells, mut first) = slots.chunk(0);
    while let Some((event, after)) = rest.split_first() {
        let (fd, mask) = (event.u64 as u32 as usize, event.events);
        let cell = match cells.get(fd.wrapping_sub(first)) {
            Some(cell) => cell,
            None => {
                (cells, first) = slots.chunk(fd);
                match cells.get(fd - first) {
                    Some(cell) => cell,
                    None => break,
                }
            }
        };
        if mask & (HUP | ERR | PRI) != 0 {
            break;
        }
        let Some(plain) = cell.read_plain((event.u64 >> 32) as u32) else {
            break;
        };
        let reads = mask & (IN | RDHUP) != 0;
        if reads && mask & OUT != 0 {
            if spare == 0 {
                break;
            }
            spare -= 1;
        }
        if let (true, Some((mode, udata))) = (reads, plain.listeners[READ]) {
            let eof = if mask & RDHUP != 0 {
                EventFlags::EOF
            } else {
                EventFlags::empty()
            };
            let event = Kevent::new(fd, Filter::READ, mode | eof).with_udata(udata);
            places.next().map(|place| place.write(event));
        }
        if let (true, Some((mode, udata))) = (mask & OUT != 0, plain.listeners[WRITE]) {
            let event = Kevent::new(fd, Filter::WRITE, mode).with_udata(udata);
            places.next().map(|place| place.write(event));
        }
        rest = after;
    }
    let written = free - places.len();
    // SAFETY: as many places after the last event have been written, in order, and they are within the
    // capacity.
    unsafe { events.set_len(events.len() + written) };
    rest
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
        // Whatever ended it once, it has been connected again since.
        *error = 0;
        return event.with_data(data);
    }
    match count::take_error(fd) {
        // It has been connected again since: what failed for good has hung up.
        0 if *error != 0 && epoll::poll_now(fd, 0) & HUP == 0 => *error = 0,
        // The other filter wants to know it, too.
        0 => {}
        new => *error = new,
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
