//! The engine: applies changes, waits, and translates what epoll says into kevents.

use std::{
    collections::VecDeque,
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    bell::{Bell, LIST},
    epoll,
    fd::{Descriptors, deliver_plain},
    file::{self, Files},
    fork::Home,
    knote::invalid,
    process::{PROCESS, Processes},
    queue_numbers,
    signal::Signals,
    slot::{Cell, Set, Table},
    timer::{self, Timers},
    user::{Users, is_trigger},
    vnode::Vnodes,
    watch::Watches,
};
use crate::{EventFlags, EventList, Filter, Kevent};

/// The flags that a change may have; the bits of EV_SYSFLAGS are ignored (K30) and any other is
/// an error (K243).
const KNOWN: EventFlags = EventFlags::ADD
    .union(EventFlags::DELETE)
    .union(EventFlags::ENABLE)
    .union(EventFlags::DISABLE)
    .union(EventFlags::ONESHOT)
    .union(EventFlags::CLEAR)
    .union(EventFlags::RECEIPT)
    .union(EventFlags::DISPATCH);

/// EV_SYSFLAGS: the bits that belong to the system.
const SYSTEM: u16 = 0xF000;

/// The mask of the queue's own entries.
pub(super) const EDGE: u32 = (libc::EPOLLIN | libc::EPOLLET) as u32;

/// The lower half of the payload of every entry that is not a user's descriptor. No descriptor has
/// this number.
pub(super) const INTERNAL: u32 = u32::MAX;

/// The payloads of the queue's own entries: [`INTERNAL`] below, one of these above.
const WAKE: u32 = 0;
pub(super) const SIDE: u32 = 1;
pub(super) const WATCH: u32 = 2;
/// This and the signal's number: the entry of a signal.
pub(super) const SIGNAL: u32 = 0x100;

/// What a filter makes of a knote that was in the list of active ones: its event, if its condition
/// still holds.
pub(super) type Collected = Option<Kevent>;

/// A kqueue made of an epoll set.
#[derive(Debug)]
pub(crate) struct Queue {
    home: Home,
    epoll: OwnedFd,
    /// What rings the bell. Edge-triggered: each write is an edge of its own, and only one that has
    /// become needless is read.
    eventfd: OwnedFd,
    bell: Arc<Bell>,
    /// What waits have to know of plain descriptors; written by [`Descriptors`].
    slots: Arc<Table>,
    /// What they have to know of quick user knotes; written by [`Users`].
    quick: Arc<Table>,
    /// How many events have come to nothing because they belong to no registration; counted by
    /// [`Descriptors`].
    sightings: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    descriptors: Descriptors,
    users: Users,
    timers: Timers,
    signals: Signals,
    processes: Processes,
    vnodes: Vnodes,
    files: Files,
    watches: Watches,
    active: Active,
    /// An eventfd that is always readable, once the epoll set has been made anew.
    gong: Option<OwnedFd>,
    /// The batch being translated has events that were carried over from an earlier call.
    collected_descriptor: bool,
}

impl Queue {
    /// A queue; `counts` says whether READ and WRITE events are to say how much there is.
    pub(crate) fn new(counts: bool) -> io::Result<Queue> {
        let mut state = State::default();
        if counts {
            state.descriptors.count();
        }
        let queue = Queue {
            home: Home::new(),
            epoll: epoll::create()?,
            eventfd: epoll::eventfd()?,
            bell: state.users.bell(),
            slots: state.descriptors.slots(),
            quick: state.users.quick(),
            sightings: state.descriptors.sightings(),
            state: Mutex::new(state),
        };
        queue.attach_eventfd(&queue.epoll)?;
        queue_numbers::add(queue.epoll.as_raw_fd() as usize);
        Ok(queue)
    }

    /// kevent(2).
    #[inline]
    pub(crate) fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut EventList,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        events.clear();
        self.check_home()?;
        if !changes.is_empty() {
            self.change(changes, events)?;
            if !events.is_empty() {
                // Errors and receipts return at once, without events (K42).
                return Ok(());
            }
        }
        if events.capacity() == 0 {
            return Ok(());
        }
        self.wait(events, timeout, false)
    }

    /// As kevent(2) without changes, but goes on after an interruption.
    #[inline]
    pub(crate) fn wait_on(
        &self,
        events: &mut EventList,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        events.clear();
        self.check_home()?;
        if events.capacity() == 0 {
            return Ok(());
        }
        self.wait(events, timeout, true)
    }

    /// All changes, each one's result written over it.
    #[inline]
    pub(crate) fn apply(&self, changes: &mut [Kevent]) -> io::Result<()> {
        self.check_home()?;
        if let [change] = changes {
            if self.trigger_quickly(change) {
                *change = receipt(change, 0);
                return Ok(());
            }
        }
        let mut state = self.lock();
        let mut rest = changes;
        while !rest.is_empty() {
            let (count, errno) = state.step(&self.epoll, rest);
            let (done, after) = rest.split_at_mut(count);
            for change in done {
                *change = receipt(change, errno);
            }
            rest = after;
        }
        self.unlock(state);
        Ok(())
    }

    /// Triggers a user knote without the lock, if it is a quick one and nothing else is asked for.
    #[inline]
    fn trigger_quickly(&self, change: &Kevent) -> bool {
        let ident = change.ident();
        // The udata stays what it is (K58).
        let is_known = |cell: &Cell| {
            let plain = cell.read_plain(0);
            plain.is_some_and(|plain| {
                plain.listeners[0].is_some_and(|(_, udata)| udata == change.udata())
            })
        };
        if !is_trigger(change) || !self.quick.get(ident).is_some_and(is_known) {
            return false;
        }
        self.bell.ring(1 << ident, || self.give_edge());
        true
    }

    fn give_edge(&self) {
        epoll::signal(self.eventfd.as_raw_fd());
    }

    /// Applies changes; errors and receipts become entries of `events`. Where there is no room for
    /// an error the call fails at that change (K40), where there is none for a receipt it is
    /// dropped (K46).
    #[inline(never)]
    fn change(&self, changes: &[Kevent], events: &mut EventList) -> io::Result<()> {
        let mut state = self.lock();
        let mut outcome = Ok(());
        let mut done = 0;
        while done < changes.len() && outcome.is_ok() {
            let (count, errno) = state.step(&self.epoll, &changes[done..]);
            for change in &changes[done..done + count] {
                let wanted = errno != 0 || change.flags().contains(EventFlags::RECEIPT);
                if wanted && events.len() < events.capacity() {
                    events.events.push(receipt(change, errno));
                } else if errno != 0 {
                    outcome = Err(io::Error::from_raw_os_error(errno));
                    break;
                }
            }
            done += count;
        }
        self.unlock(state);
        if outcome.is_err() {
            // A call that fails returns no entries (K41).
            events.clear();
        }
        outcome
    }

    /// Waits until at least one event is there, the time is up, or a signal handler has run; `resumes`
    /// says to go on after that.
    #[inline]
    fn wait(
        &self,
        events: &mut EventList,
        timeout: Option<Duration>,
        resumes: bool,
    ) -> io::Result<()> {
        let start = timeout.filter(|t| !t.is_zero()).map(|_| Instant::now());
        match self.ask(events, timeout, resumes)? {
            Some(stuck) if events.is_empty() => self.resume(events, timeout, start, stuck, resumes),
            _ => Ok(()),
        }
    }

    /// What epoll has returned has come to nothing (another thread was faster, the descriptor is not
    /// the one it was), or was an interruption: waits on, for the rest of the time (K92).
    #[cold]
    fn resume(
        &self,
        events: &mut EventList,
        timeout: Option<Duration>,
        start: Option<Instant>,
        mut stuck: bool,
        resumes: bool,
    ) -> io::Result<()> {
        loop {
            let passed = start.map_or(Duration::ZERO, |start| start.elapsed());
            let left = timeout.map(|timeout| timeout.saturating_sub(passed));
            // When the time is up, what has come to nothing may still have hidden something, if it took
            // all the room.
            if stuck && left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            stuck = match self.ask(events, left, resumes)? {
                Some(stuck) if events.is_empty() => stuck,
                _ => return Ok(()),
            };
        }
    }

    /// One wait on epoll, and what it comes to: nothing if the time is up, or else whether it is of no use
    /// to ask again where there are no events ([`translate`](Queue::translate)).
    #[inline]
    fn ask(
        &self,
        events: &mut EventList,
        timeout: Option<Duration>,
        resumes: bool,
    ) -> io::Result<Option<bool>> {
        let room = events.capacity();
        let began = self.sightings.load(Ordering::Acquire);
        match epoll::wait(&self.epoll, &mut events.epoll, room, timeout) {
            Ok(()) if events.epoll.is_empty() && !self.bell.is_rung() => return Ok(None),
            Ok(()) => {}
            Err(error) if resumes && error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        let has_all = events.epoll.len() < room;
        Ok(Some(self.translate(events, began) || has_all))
    }

    /// Turns the batch that epoll returned, and what the bell says, into kevents. Returns whether it is of
    /// no use to ask again, because what comes to nothing would only come again.
    ///
    /// Plain descriptors and quick user knotes take no lock. Whatever else is first, from there on the
    /// rest is translated under it.
    #[inline]
    fn translate(&self, events: &mut EventList, began: usize) -> bool {
        let room = events.capacity();
        let EventList { events, epoll, .. } = events;
        let mut rest = deliver_plain(&self.slots, epoll, events, room);
        let mut bits = 0;
        // Each event of the batch has one place at least: no knote starves.
        let has_place = events.len() < room;
        if rest.first().is_none_or(is_bell) && has_place && self.bell.is_rung() {
            rest = rest.get(1..).unwrap_or_default();
            bits = self.deliver_quick(self.bell.take(), events, room - rest.len());
            rest = deliver_plain(&self.slots, rest, events, room);
        }
        !(rest.is_empty() && bits == 0) && self.translate_any(rest, bits, events, room, began)
    }

    /// Turns bits of the bell into the kevents of quick user knotes, while there is room. Returns the
    /// others.
    #[inline]
    fn deliver_quick(&self, mut bits: usize, events: &mut Vec<Kevent>, room: usize) -> usize {
        while bits & !LIST != 0 && events.len() < room {
            let ident = bits.trailing_zeros() as usize;
            let plain = self.quick.get(ident).and_then(|cell| cell.read_plain(0));
            let Some((mode, udata)) = plain.and_then(|plain| plain.listeners[0]) else {
                break;
            };
            events.push(Kevent::new(ident, Filter::USER, mode).with_udata(udata));
            bits &= bits - 1;
        }
        bits
    }

    /// As [`translate`](Queue::translate), of the rest, and of bits that have been taken.
    #[inline(never)]
    fn translate_any(
        &self,
        mut rest: &[libc::epoll_event],
        bits: usize,
        events: &mut Vec<Kevent>,
        room: usize,
        began: usize,
    ) -> bool {
        let mut state = self.lock();
        state.descriptors.begin(began);
        state.collected_descriptor = false;
        if bits != 0 {
            state.answer(&self.epoll, bits, events, room - rest.len());
        }
        loop {
            if !state.collected_descriptor {
                rest = deliver_plain(&self.slots, rest, events, room);
            }
            let Some((event, after)) = rest.split_first() else {
                break;
            };
            let room = room - after.len();
            if is_bell(event) {
                state.answer(&self.epoll, self.bell.take(), events, room);
            } else {
                state.event(&self.epoll, *event, events, room);
            }
            rest = after;
        }
        // The bell may have rung where its edge is still to come.
        if events.len() < room && self.bell.is_rung() {
            state.answer(&self.epoll, self.bell.take(), events, room);
        }
        // Without the memory or the descriptor for it, it stays as it is: slow, but right.
        let stuck = state.descriptors.haunted() && self.rebuild(&mut state).is_err();
        self.unlock(state);
        stuck
    }

    /// Makes the epoll set anew, without the entries that no call can remove, and puts it in the place
    /// of the old one. Threads that wait in the old one are woken, all of them: it is given something that
    /// is always ready. Whoever watches this queue from outside has to begin again.
    fn rebuild(&self, state: &mut State) -> io::Result<()> {
        let epoll = epoll::create()?;
        self.attach_eventfd(&epoll)?;
        state.timers.attach(&epoll)?;
        state.signals.attach(&epoll)?;
        state.processes.attach(&epoll)?;
        state.watches.attach(&epoll)?;
        let gong = state.gong()?;
        let side = state.descriptors.attach(&self.epoll, &epoll)?;
        let (add, del) = (libc::EPOLL_CTL_ADD, libc::EPOLL_CTL_DEL);
        let level = libc::EPOLLIN as u32;
        epoll::control(&self.epoll, add, gong, level, internal(WAKE))
            .and_then(|()| {
                // The limit on descriptors may be below the number of this one by now.
                epoll::replace(&self.epoll, &epoll).inspect_err(|_| {
                    let _ = epoll::control(&self.epoll, del, gong, 0, 0);
                })
            })
            .inspect_err(|_| state.descriptors.stay(side))
    }

    fn attach_eventfd(&self, epoll: &OwnedFd) -> io::Result<()> {
        let fd = self.eventfd.as_raw_fd();
        epoll::control(epoll, libc::EPOLL_CTL_ADD, fd, EDGE, internal(WAKE))
    }

    /// The child of the process that made a queue does not have it (K4).
    #[inline]
    fn check_home(&self) -> io::Result<()> {
        if self.home.is_here() {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::EBADF))
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock panics, and each change is whole before the next.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the lock, and sees to it that law 2 holds from then on.
    #[inline]
    fn unlock(&self, mut state: MutexGuard<'_, State>) {
        let silenced = std::mem::take(&mut state.users.silenced);
        if !state.active.is_empty() {
            drop(state);
            self.bell.ring_list(|| self.give_edge());
        } else if self.bell.cancel(LIST) || silenced {
            // All that it was for has been deleted, or came with a wait that another edge ended.
            let take_edge = || epoll::unsignal(&self.eventfd);
            self.bell.hush(take_edge, || self.give_edge());
        }
    }
}

impl State {
    /// What wakes whoever waits where it is added.
    fn gong(&mut self) -> io::Result<RawFd> {
        if self.gong.is_none() {
            let gong = epoll::eventfd()?;
            epoll::signal(gong.as_raw_fd());
            self.gong = Some(gong);
        }
        Ok(self.gong.as_ref().expect("made just above").as_raw_fd())
    }

    /// Applies the first change, or the first two where they make one epoll_ctl. Returns how many
    /// it took and their errno, 0 being a success.
    #[inline]
    fn step(&mut self, epoll: &OwnedFd, changes: &[Kevent]) -> (usize, i32) {
        match self.descriptors.change_plain(epoll, changes) {
            0 => {
                let (count, result) = self.step_any(epoll, changes);
                // All errors that come here have a number.
                let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EINVAL);
                (count, result.err().map_or(0, errno))
            }
            count => (count, 0),
        }
    }

    /// As [`step`](State::step), for all that is not plain.
    #[inline(never)]
    fn step_any(&mut self, epoll: &OwnedFd, changes: &[Kevent]) -> (usize, io::Result<()>) {
        let change = &changes[0];
        if let Err(error) = validate(change) {
            return (1, Err(error));
        }
        match change.filter() {
            Filter::READ | Filter::WRITE | Filter::EXCEPT => {
                let second = changes
                    .get(1)
                    .filter(|second| self.descriptors.go_together(change, second))
                    .filter(|second| validate(second).is_ok());
                let count = 1 + usize::from(second.is_some());
                match self
                    .descriptors
                    .change(epoll, &changes[..count], &mut self.active)
                {
                    Err(error) if file::is_concerned(&error) => {
                        self.read_notices(epoll);
                        let (watches, active) = (&mut self.watches, &mut self.active);
                        let result = self.files.change(epoll, watches, change, active);
                        self.read_notices(epoll);
                        (1, result)
                    }
                    result => (count, result),
                }
            }
            Filter::VNODE => {
                self.read_notices(epoll);
                let (watches, active) = (&mut self.watches, &mut self.active);
                let result = self.vnodes.change(epoll, watches, change, active);
                self.read_notices(epoll);
                (1, result)
            }
            Filter::USER => (1, self.users.change(change, &mut self.active)),
            Filter::TIMER => (1, self.timers.change(epoll, change, &mut self.active)),
            Filter::SIGNAL => (1, self.signals.change(epoll, change, &mut self.active)),
            Filter::PROC | Filter::PROCDESC => {
                (1, self.processes.change(epoll, change, &mut self.active))
            }
            _ => (1, Err(invalid())),
        }
    }

    /// One event of epoll: a descriptor's, or one of the queue's own entries. Apart from the loop over
    /// plain events, which has no use for its many variables.
    #[inline(never)]
    fn event(
        &mut self,
        epoll: &OwnedFd,
        event: libc::epoll_event,
        events: &mut Vec<Kevent>,
        room: usize,
    ) {
        let mut batch = Batch {
            events,
            active: &mut self.active,
            room,
            repeats: self.collected_descriptor,
        };
        if event.u64 as u32 != INTERNAL {
            self.descriptors
                .deliver(epoll, Set::Main, event, &mut batch);
            return;
        }
        match (event.u64 >> 32) as u32 {
            SIDE => return self.descriptors.deliver_side(epoll, &mut batch),
            WATCH => self.read_notices(epoll),
            clock @ (timer::MONOTONIC | timer::REALTIME) => {
                self.timers.expire(clock, &mut self.active);
            }
            signal @ SIGNAL..PROCESS => {
                let number = (signal - SIGNAL) as usize;
                self.signals.activate(number, &mut self.active);
            }
            process => self.processes.activate(process, &mut self.active),
        }
        self.collect(epoll, events, room);
    }

    /// What the bell says: makes the knotes of these bits active, and collects what is.
    fn answer(&mut self, epoll: &OwnedFd, bits: usize, events: &mut Vec<Kevent>, room: usize) {
        let mut quick = bits & !LIST;
        while quick != 0 {
            let ident = quick.trailing_zeros() as usize;
            self.users.activate(ident, &mut self.active);
            quick &= quick - 1;
        }
        self.collect(epoll, events, room);
    }

    /// Reads what inotify has to tell and passes it on to the knotes that listen.
    fn read_notices(&mut self, epoll: &OwnedFd) {
        let (watches, active) = (&mut self.watches, &mut self.active);
        for notice in watches.read() {
            if notice.mask & libc::IN_Q_OVERFLOW != 0 {
                self.vnodes.overflow(epoll, watches, active);
                self.files.overflow(watches, active);
            }
            for (filter, ident) in watches.listeners(notice.wd) {
                match filter {
                    Filter::VNODE => self.vnodes.notice(epoll, watches, ident, &notice, active),
                    _ if notice.mask & libc::IN_MODIFY == 0 => {}
                    _ => self.files.notice(watches, (filter, ident), active),
                }
            }
            if notice.mask & libc::IN_IGNORED != 0 {
                for (filter, ident) in watches.forget(notice.wd) {
                    match filter {
                        Filter::VNODE => {
                            self.vnodes
                                .unwatched(epoll, watches, ident, notice.wd, active);
                        }
                        _ => self
                            .files
                            .unwatched(epoll, watches, (filter, ident), active),
                    }
                }
            }
        }
    }

    /// Moves active knotes into the event list, each at most once, while there is room.
    fn collect(&mut self, epoll: &OwnedFd, events: &mut Vec<Kevent>, room: usize) {
        let reported = events.len();
        for _ in 0..self.active.len() {
            if events.len() >= room {
                break;
            }
            let Some(entry) = self.active.pop() else {
                break;
            };
            let (filter, ident, serial) = (entry.filter, entry.ident, entry.serial);
            let mut earlier = events[..reported].iter();
            if earlier.any(|event| event.ident() == ident && event.filter() == filter) {
                // It is active again already, and has to wait for the next call (K84).
                self.active.list.push_back(entry);
                continue;
            }
            let active = &mut self.active;
            let event = match filter {
                Filter::USER => self.users.collect(ident, serial, active),
                Filter::TIMER => self.timers.collect(ident, serial, active),
                Filter::PROC | Filter::PROCDESC => {
                    self.processes.collect(epoll, filter, ident, serial, active)
                }
                Filter::SIGNAL => self.signals.collect(epoll, ident, serial),
                Filter::VNODE => {
                    let watches = &mut self.watches;
                    self.vnodes.collect(watches, ident, serial, active)
                }
                _ if self.files.has_queued((filter, ident), serial) => {
                    let watches = &mut self.watches;
                    self.files.collect(watches, (filter, ident), active)
                }
                _ => {
                    self.collected_descriptor = true;
                    self.descriptors
                        .collect(epoll, filter, ident, serial, active)
                }
            };
            events.extend(event);
        }
    }
}

/// What a call has collected so far.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    events: &'a mut Vec<Kevent>,
    pub(super) active: &'a mut Active,
    /// How many events there may be now.
    room: usize,
    /// Some of the events were carried over from an earlier call, so a fresh one may say the same.
    repeats: bool,
}

impl Batch<'_> {
    /// How many more events fit.
    pub(super) fn room(&self) -> usize {
        self.room.saturating_sub(self.events.len())
    }

    pub(super) fn has_room(&self) -> bool {
        self.events.len() < self.room
    }

    /// Whether this knote's event is already there: a knote comes once in a call (K84).
    pub(super) fn has_repeated(&self, ident: usize, filter: Filter) -> bool {
        self.repeats
            && self
                .events
                .iter()
                .any(|event| event.ident() == ident && event.filter() == filter)
    }

    pub(super) fn push(&mut self, event: Kevent) {
        self.events.push(event);
    }
}

/// Whether an event of epoll is the edge of the bell.
#[inline]
fn is_bell(event: &libc::epoll_event) -> bool {
    event.u64 == internal(WAKE)
}

/// The payload of one of the queue's own entries.
#[inline]
pub(super) fn internal(which: u32) -> u64 {
    u64::from(which) << 32 | u64::from(INTERNAL)
}

/// The entry that reports what came of a change: EV_ERROR, and the errno or 0 (K38, K43, K45).
#[inline]
fn receipt(change: &Kevent, errno: i32) -> Kevent {
    Kevent::new(change.ident(), change.filter(), EventFlags::ERROR)
        .with_udata(change.udata())
        .with_data(i64::from(errno))
}

/// What can be said of the flags of a change without looking at its knote.
fn validate(change: &Kevent) -> io::Result<()> {
    let flags = EventFlags::from_bits_retain(change.flags().bits() & !SYSTEM);
    let both = |a: EventFlags, b: EventFlags| flags.contains(a | b);
    let sound = KNOWN.contains(flags)
        && !both(EventFlags::ADD, EventFlags::DELETE)
        && !both(EventFlags::ENABLE, EventFlags::DISABLE);
    if sound { Ok(()) } else { Err(invalid()) }
}

/// The list of active knotes: those whose condition user space knows to hold, oldest first. An
/// entry whose serial its knote does not know any more is of an earlier life, and is passed over.
#[derive(Debug, Default)]
pub(super) struct Active {
    list: VecDeque<ActiveKnote>,
    next_serial: u64,
}

#[derive(Debug)]
struct ActiveKnote {
    filter: Filter,
    ident: usize,
    serial: u64,
}

impl Active {
    /// Adds a knote at the end and returns the serial by which it will know its entry.
    pub(super) fn push(&mut self, filter: Filter, ident: usize) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.list.push_back(ActiveKnote {
            filter,
            ident,
            serial,
        });
        serial
    }

    /// Takes out the entry of a knote that is active no more, if it has one: the queue must not stay
    /// readable for its sake (K8).
    pub(super) fn cancel(&mut self, queued: Option<u64>) {
        // Mostly there is none, or it is the first.
        let Some(serial) = queued else {
            return;
        };
        let place = self.list.iter().position(|entry| entry.serial == serial);
        place.and_then(|place| self.list.remove(place));
    }

    fn pop(&mut self) -> Option<ActiveKnote> {
        self.list.pop_front()
    }

    fn len(&self) -> usize {
        self.list.len()
    }

    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        queue_numbers::remove(self.epoll.as_raw_fd() as usize);
        // Only in a child of fork(2) can it be locked: another thread of the parent was changing it. It is
        // half changed, and left alone.
        if matches!(self.state.try_lock(), Err(TryLockError::WouldBlock)) {
            mem::forget(mem::take(&mut self.state));
        }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
