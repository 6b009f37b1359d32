//! Events of EVFILT_READ, EVFILT_WRITE and EVFILT_EXCEPT: from an event of epoll to the kevents of a
//! descriptor.
//!
//! [`plain`] translates nearly every event: one that needs only the knotes of the slot. The others
//! ([`Descriptors::deliver`]) are hang-ups and errors, knotes that fire once, EXCEPT, low-water marks, two modes
//! on one descriptor, counts, and events that do not fit.

use std::os::fd::{OwnedFd, RawFd};

use super::{
    active::{Active, Key, NOWHERE},
    count,
    descriptor::{Descriptors, check_entry},
    readiness::{poll_now, readiness},
    slot::{
        DISARMED, ERR, EXCEPT, FILTERS, HUP, IN, Kind, NO_MARK, ONCE, OUT, RDHUP, READ, Slot, WRITE,
    },
};
use crate::{EventFlags, Filter, Kevent, ReadWriteFlags};

/// The events that a call has collected so far.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) events: &'a mut Vec<Kevent>,
    /// The most events that there may be at this point.
    pub(super) room: usize,
    /// The knotes that go to the end of the list of active ones when the call ends.
    pub(super) again: &'a mut Vec<Key>,
}

impl Batch<'_> {
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.events.len() < self.room
    }
}

/// Turns events of epoll into kevents, up to the first that is not plain: its slot is special, there is no room
/// for it, or it is of one of the queue's own entries. Returns the events from there on.
///
/// There is room for at least one kevent of each event; `room` is the capacity of the whole list.
// Inlined into the wait: most batches need no other function.
#[inline(always)]
pub(super) fn plain<'a>(
    slots: &[Slot],
    mut rest: &'a [libc::epoll_event],
    events: &mut Vec<Kevent>,
    room: usize,
) -> &'a [libc::epoll_event] {
    // How many events may become two kevents.
    let mut twice = room.saturating_sub(events.len() + rest.len());
    let mut vacant = events.spare_capacity_mut().iter_mut();
    let before = vacant.len();
    while let Some((event, after)) = rest.split_first() {
        let (payload, mask) = (event.u64, event.events);
        let fd = payload as u32 as usize;
        let Some(slot) = slots.get(fd) else {
            break;
        };
        if slot.payload != payload || slot.special || mask & (HUP | ERR) != 0 {
            break;
        }
        let [read, write, _] = slot.knotes;
        let reads = mask & (IN | RDHUP) != 0 && read.is_enabled();
        let writes = mask & OUT != 0 && write.is_enabled();
        if reads && writes {
            if twice == 0 {
                break;
            }
            twice -= 1;
        }
        if reads {
            let Some(place) = vacant.next() else { break };
            let eof = if mask & RDHUP != 0 {
                EventFlags::EOF
            } else {
                EventFlags::empty()
            };
            let event = Kevent::new(fd, Filter::READ, read.mode() | eof);
            place.write(event.with_udata(slot.udata[READ]));
        }
        if writes {
            let Some(place) = vacant.next() else { break };
            let event = Kevent::new(fd, Filter::WRITE, write.mode());
            place.write(event.with_udata(slot.udata[WRITE]));
        }
        rest = after;
    }
    let written = before - vacant.len();
    // SAFETY: the iterator has given out the first `written` vacant places, and each was written.
    unsafe { events.set_len(events.len() + written) };
    rest
}

impl Descriptors {
    /// Turns any event of epoll into the kevents of its descriptor. False if it is stale: it belongs to no
    /// registration.
    pub(super) fn deliver(
        &mut self,
        epoll: &OwnedFd,
        event: libc::epoll_event,
        active: &mut Active,
        batch: &mut Batch<'_>,
    ) -> bool {
        let (payload, mask) = (event.u64, event.events);
        let fd = payload as u32 as RawFd;
        let mut slot = self.slots.get(fd);
        if slot.payload != payload {
            return false;
        }
        if slot.mask & ONCE != 0 {
            slot.mask = DISARMED;
        }
        let ready = readiness(fd, mask, &mut slot);
        for (index, flags) in ready.into_iter().enumerate() {
            let Some(flags) = flags.filter(|_| slot.knotes[index].is_enabled()) else {
                continue;
            };
            if batch.has_room() {
                // This event replaces one that was carried over.
                active.remove(&mut slot.queued[index]);
                report(fd, &mut slot, index, flags, self.counts, batch);
            } else {
                // Carried over to the next call (K85). An edge would not come again.
                active.push(Key::Descriptor(fd, index), &mut slot.queued[index]);
            }
        }
        self.settle(epoll, fd, slot, active);
        true
    }

    /// Reports a knote that was taken out of the list of active ones, if its condition still holds (K74, K75).
    pub(super) fn collect(
        &mut self,
        epoll: &OwnedFd,
        fd: RawFd,
        index: usize,
        active: &mut Active,
        batch: &mut Batch<'_>,
    ) {
        let mut slot = self.slots.get(fd);
        slot.queued[index] = NOWHERE;
        self.slots.set(fd, slot);
        if check_entry(epoll, fd).is_err() {
            return self.forget(fd, active);
        }
        let ready = readiness(fd, poll_now(fd, FILTERS[index].1), &mut slot);
        if let Some(flags) = ready[index] {
            report(fd, &mut slot, index, flags, self.counts, batch);
        }
        self.settle(epoll, fd, slot, active);
    }

    /// Puts a knote at the end of the list of active ones if it is still enabled.
    pub(super) fn look_again(&mut self, fd: RawFd, index: usize, active: &mut Active) {
        let mut slot = self.slots.get(fd);
        if slot.knotes[index].is_enabled() {
            active.push(Key::Descriptor(fd, index), &mut slot.queued[index]);
            self.store(fd, &mut slot, active);
        }
    }
}

/// Reports a knote whose condition holds, unless it is below its low-water mark, and changes the knote as a
/// report does.
fn report(
    fd: RawFd,
    slot: &mut Slot,
    index: usize,
    flags: EventFlags,
    counts: bool,
    batch: &mut Batch<'_>,
) {
    if index == READ && slot.low_water != NO_MARK && flags.is_empty() {
        // An end and an error, which have flags, override the mark (K156).
        if count::readable(fd) < slot.low_water {
            return;
        }
    }
    let knote = slot.knotes[index];
    let event = Kevent::new(fd as usize, FILTERS[index].0, knote.mode() | flags)
        .with_udata(slot.udata[index]);
    batch.events.push(if index == EXCEPT {
        event.with_fflags(ReadWriteFlags::OOB)
    } else if counts {
        fill_in(event, slot)
    } else {
        event
    });
    if slot.looks_again(index) {
        // epoll does not report it again.
        batch.again.push(Key::Descriptor(fd, index));
    }
    slot.knotes[index] = knote.reported();
    if index == READ && !knote.reported().exists() {
        slot.low_water = NO_MARK;
    }
}

/// Fills in the number of bytes, and the error that a stream has ended with (K105, K108).
fn fill_in(event: Kevent, slot: &mut Slot) -> Kevent {
    let fd = event.ident() as RawFd;
    let data = match event.filter() {
        Filter::READ => count::readable(fd),
        // There is no room in a pipe without a reader.
        _ if event.is_eof() && slot.kind == Some(Kind::Pipe) => 0,
        _ => count::writable(fd),
    };
    let error = &mut slot.error;
    if !event.is_eof() {
        // The socket has been connected again since it had the error.
        *error = 0;
        return event.with_data(data);
    }
    match count::take_error(fd) {
        // Connected again, too: a connection with an error has hung up.
        0 if *error != 0 && poll_now(fd, 0) & HUP == 0 => *error = 0,
        // The error was taken for the event of the other filter.
        0 => {}
        new => *error = new as u16,
    }
    event.with_data(data).with_fflags(u32::from(*error))
}
