//! The engine: applies changes and collects the active knotes, under the lock of the queue.
//!
//! The laws:
//!
//! 1. The life of a knote is the same for all filters ([`knote`](super::knote)) and is applied here, and in
//!    [`descriptor`](super::descriptor) for those that share an entry of epoll. A filter knows its condition.
//! 2. A change that fails leaves everything as it was (K54).
//! 3. An enabled knote whose condition may hold is in the list of active knotes. Whether the condition does
//!    hold is asked when the knote is collected (K74).

use std::{
    collections::BTreeMap,
    io,
    os::fd::{OwnedFd, RawFd},
};

use super::{
    active::{Active, Key, NOWHERE, Position},
    deliver::Batch,
    descriptor::{Descriptors, is_of_another},
    epoll::{self, EDGE},
    file,
    filterops::{self, Answer, Filterops, Host, attach},
    knote::{Knote, invalid, no_such_knote},
    slot,
    stale::Stale,
    wake::Edge,
    watch::Watches,
};
use crate::{Filter, Kevent};

/// The payload of the queue's eventfd.
pub(super) const WAKE: u64 = INTERNAL;

/// The payload of the queue's inotify descriptor.
pub(super) const WATCH: u64 = INTERNAL | 1;

/// The payload of a knote's own descriptor: this, and the knote's number in the upper half.
const KNOTE: u64 = INTERNAL | 2;

/// A bit in the payload of each of the queue's own entries, and in no descriptor's number.
const INTERNAL: u64 = 1 << 31;

/// Whether a payload is that of a user's descriptor.
#[inline]
pub(super) fn is_descriptor(payload: u64) -> bool {
    payload & INTERNAL == 0
}

/// Everything that the lock of a queue guards.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) descriptors: Descriptors,
    /// The numbers of all other knotes.
    numbers: BTreeMap<(Filter, usize), u32>,
    knotes: Vec<Option<Entry>>,
    vacant: Vec<u32>,
    watches: Watches,
    pub(super) active: Active,
    /// The knotes that go to the end of the list when the call ends.
    again: Vec<Key>,
    pub(super) edge: Edge,
    pub(super) stale: Stale,
    /// An eventfd that is always readable, once the epoll set has been made again.
    pub(super) release: Option<OwnedFd>,
}

/// A knote that is not one of a descriptor's entry.
#[derive(Debug)]
struct Entry {
    filter: Filter,
    ident: usize,
    udata: usize,
    knote: Knote,
    condition: Box<dyn Filterops>,
    /// Its position in the list of active knotes.
    queued: Position,
}

impl Entry {
    /// Puts the knote into the list if it is enabled and its condition holds; takes it out otherwise.
    #[inline]
    fn evaluate(&mut self, id: u32, active: &mut Active) {
        if !self.knote.is_enabled() || matches!(self.condition.report(), Answer::Nothing) {
            active.remove(&mut self.queued);
        } else {
            active.push(Key::Knote(id), &mut self.queued);
        }
    }
}

impl Engine {
    pub(super) fn new(counts: bool, eventfd: RawFd) -> Engine {
        Engine {
            descriptors: Descriptors::new(counts, eventfd),
            numbers: BTreeMap::new(),
            knotes: Vec::new(),
            vacant: Vec::new(),
            watches: Watches::default(),
            active: Active::default(),
            again: Vec::new(),
            edge: Edge::default(),
            stale: Stale::default(),
            release: None,
        }
    }

    /// Makes the first change, together with those of the same descriptor that follow it. Returns how many these
    /// are and their errno: 0, or that of the first change, which was made alone.
    pub(super) fn change(&mut self, epoll: &OwnedFd, changes: &[Kevent]) -> (usize, i32) {
        let first = &changes[0];
        let result = match slot::index(first.filter()) {
            None => self.change_knote(epoll, first),
            Some(_) => match self.descriptors.change(epoll, changes, &mut self.active) {
                Ok(count) => return (count, 0),
                // A file, which epoll does not take.
                Err(error) if is_of_another(&error) => self.change_knote(epoll, first),
                Err(error) => Err(error),
            },
        };
        let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EINVAL);
        (1, result.map_or_else(errno, |()| 0))
    }

    /// A change of a knote that is not in a descriptor's entry.
    fn change_knote(&mut self, epoll: &OwnedFd, change: &Kevent) -> io::Result<()> {
        if !file::is_watched(change.filter()) {
            return self.make(epoll, change);
        }
        // Notices from before the change are handled by the old flags. The end of a watch is a notice too, and
        // must not leave the queue readable.
        self.read_notices(epoll);
        let result = self.make(epoll, change);
        self.read_notices(epoll);
        result
    }

    fn make(&mut self, epoll: &OwnedFd, change: &Kevent) -> io::Result<()> {
        let Some(id) = self.find(epoll, change) else {
            return self.add(epoll, change);
        };
        let (entry, mut host) = parts(&mut self.knotes, &mut self.watches, epoll, id)?;
        let after = entry.knote.changed(change)?;
        if !after.exists() {
            self.remove(epoll, id);
            return Ok(());
        }
        entry.condition.touch(change, &mut host)?;
        (entry.knote, entry.udata) = (after, change.udata());
        entry.evaluate(id, &mut self.active);
        Ok(())
    }

    /// EV_ADD of a new knote. A filter that Linux does not have has no knotes, so any change of one comes here.
    fn add(&mut self, epoll: &OwnedFd, change: &Kevent) -> io::Result<()> {
        if !filterops::exists(change.filter()) {
            return Err(invalid());
        }
        Knote::NONE.changed(change)?;
        let id = self.vacant.pop().unwrap_or_else(|| {
            self.knotes.push(None);
            self.knotes.len() as u32 - 1
        });
        let watches = &mut self.watches;
        let made = attach(change, &mut Host { epoll, watches, id }).and_then(|made| {
            let add = |fd| epoll::control(epoll, libc::EPOLL_CTL_ADD, fd, EDGE, payload(id));
            made.0.descriptor().map_or(Ok(()), add).map(|()| made)
        });
        let (condition, implied) = made.inspect_err(|_| self.vacant.push(id))?;
        let knote = Knote::NONE.changed(&change.with_flags(change.flags() | implied))?;
        let has_descriptor = condition.descriptor().is_some();
        let entry = self.knotes[id as usize].insert(Entry {
            filter: change.filter(),
            ident: change.ident(),
            udata: change.udata(),
            knote,
            condition,
            queued: NOWHERE,
        });
        if !has_descriptor {
            // A knote with a descriptor needs no look: epoll reports a condition that holds already.
            entry.evaluate(id, &mut self.active);
        }
        self.numbers.insert((change.filter(), change.ident()), id);
        Ok(())
    }

    /// The knote that a change names. A knote whose ident names another file or process by now is removed
    /// (K98).
    fn find(&mut self, epoll: &OwnedFd, change: &Kevent) -> Option<u32> {
        let id = *self.numbers.get(&(change.filter(), change.ident()))?;
        let entry = self.knotes[id as usize].as_ref()?;
        if entry.condition.is_named(&mut self.watches) {
            return Some(id);
        }
        self.remove(epoll, id);
        None
    }

    fn remove(&mut self, epoll: &OwnedFd, id: u32) {
        let Some(mut entry) = self.knotes[id as usize].take() else {
            return;
        };
        self.active.remove(&mut entry.queued);
        self.numbers.remove(&(entry.filter, entry.ident));
        self.vacant.push(id);
        entry.condition.detach(&mut self.watches, id);
        if let Some(fd) = entry.condition.descriptor() {
            // A child of fork(2) may hold the descriptor open, which would keep the entry.
            let _ = epoll::control(epoll, libc::EPOLL_CTL_DEL, fd, 0, 0);
        }
    }

    /// Puts a knote into the list if it is enabled: its condition may hold.
    fn activate(&mut self, id: u32) {
        if let Some(Some(entry)) = self.knotes.get_mut(id as usize) {
            if entry.knote.is_enabled() {
                self.active.push(Key::Knote(id), &mut entry.queued);
            }
        }
    }

    /// Handles an event of one of the queue's own entries.
    #[inline(never)]
    pub(super) fn wake(&mut self, epoll: &OwnedFd, payload: u64) {
        match payload {
            WAKE => self.edge.returned(),
            WATCH => self.read_notices(epoll),
            knote => self.activate((knote >> 32) as u32),
        }
    }

    /// Turns any event of a user's descriptor into kevents. False if it is stale.
    #[inline(never)]
    pub(super) fn deliver(
        &mut self,
        epoll: &OwnedFd,
        event: libc::epoll_event,
        events: &mut Vec<Kevent>,
        room: usize,
    ) -> bool {
        let again = &mut self.again;
        let mut batch = Batch {
            events,
            room,
            again,
        };
        self.descriptors
            .deliver(epoll, event, &mut self.active, &mut batch)
    }

    /// Whether a knote is active, or was reported in this call and may still be active.
    #[inline]
    pub(super) fn has_active(&self) -> bool {
        !self.active.is_empty() || !self.again.is_empty()
    }

    /// Reports the active knotes, oldest first, while there is room. A knote that is still active goes to the
    /// end of the list.
    #[inline(never)]
    pub(super) fn collect(&mut self, epoll: &OwnedFd, events: &mut Vec<Kevent>, room: usize) {
        while events.len() < room {
            let again = &mut self.again;
            match self.active.pop() {
                None => break,
                Some(Key::Descriptor(fd, index)) => {
                    let mut batch = Batch {
                        events,
                        room,
                        again,
                    };
                    let active = &mut self.active;
                    self.descriptors
                        .collect(epoll, fd, index, active, &mut batch);
                }
                Some(Key::Knote(id)) => events.extend(self.report(epoll, id)),
            }
        }
        for at in 0..self.again.len() {
            match self.again[at] {
                Key::Descriptor(fd, index) => {
                    self.descriptors.look_again(fd, index, &mut self.active);
                }
                Key::Knote(id) => self.activate(id),
            }
        }
        self.again.clear();
    }

    /// The event of a knote that was taken out of the list, if its condition holds.
    fn report(&mut self, epoll: &OwnedFd, id: u32) -> Option<Kevent> {
        let entry = self.knotes[id as usize].as_mut()?;
        entry.queued = NOWHERE;
        let answer = if entry.condition.is_named(&mut self.watches) {
            entry.condition.report()
        } else {
            Answer::Last(None)
        };
        let report = match answer {
            Answer::Nothing => return None,
            Answer::Event(report) => Some(report),
            Answer::Last(report) => report,
        };
        let event = report.map(|report| {
            let flags = entry.knote.mode() | report.flags;
            Kevent::new(entry.ident, entry.filter, flags)
                .with_udata(entry.udata)
                .with_fflags(report.fflags)
                .with_data(report.data)
        });
        let after = entry.knote.reported();
        if matches!(answer, Answer::Last(_)) || !after.exists() {
            self.remove(epoll, id);
            return event;
        }
        entry.knote = after;
        if after.is_clear() {
            entry.condition.clear();
        } else if after.is_enabled() {
            self.again.push(Key::Knote(id));
        }
        event
    }

    /// Reads the notices of inotify, and passes them to the knotes that listen.
    fn read_notices(&mut self, epoll: &OwnedFd) {
        for notice in self.watches.read() {
            for id in self.watches.listeners(&notice) {
                let Ok((entry, mut host)) = parts(&mut self.knotes, &mut self.watches, epoll, id)
                else {
                    continue;
                };
                if !entry.condition.is_named(host.watches) {
                    self.remove(epoll, id);
                } else if entry.condition.notice(&notice, &mut host) {
                    entry.evaluate(id, &mut self.active);
                }
            }
        }
    }

    /// Registers everything with a new epoll set, as it is with the old one.
    pub(super) fn attach(&mut self, old: &OwnedFd, new: &OwnedFd) -> io::Result<()> {
        for (id, entry) in self.knotes.iter().enumerate() {
            let condition = entry.as_ref().map(|entry| &entry.condition);
            if let Some(fd) = condition.and_then(|condition| condition.descriptor()) {
                epoll::control(new, libc::EPOLL_CTL_ADD, fd, EDGE, payload(id as u32))?;
            }
        }
        self.watches.attach(new)?;
        self.descriptors.attach(old, new, &mut self.active)
    }
}

/// The payload of the descriptor of a knote.
fn payload(id: u32) -> u64 {
    u64::from(id) << 32 | KNOTE
}

/// A knote, and the parts of the queue that its filter may use.
fn parts<'a>(
    knotes: &'a mut [Option<Entry>],
    watches: &'a mut Watches,
    epoll: &'a OwnedFd,
    id: u32,
) -> io::Result<(&'a mut Entry, Host<'a>)> {
    let entry = knotes.get_mut(id as usize).and_then(Option::as_mut);
    Ok((
        entry.ok_or_else(no_such_knote)?,
        Host { epoll, watches, id },
    ))
}
