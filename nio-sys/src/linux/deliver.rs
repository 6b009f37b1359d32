//! EVFILT_READ, EVFILT_WRITE and EVFILT_EXCEPT, reported: from an event of epoll to the kevents of a
//! descriptor.
//!
//! [`plain`] is what nearly every event takes: all that it needs is in the slot. Everything else
//! ([`Descriptors::deliver`]) is rare: hang-ups and errors, knotes that fire once, EXCEPT, low-water marks,
//! two modes on one descriptor, counts, and events that do not fit.

use std::os::fd::{OwnedFd, RawFd};

use super::{
    active::{Active, Key},
    count,
    descriptor::{Descriptors, check_entry},
    readiness::{Readiness, poll_now, readiness},
    slot::{
        DISARMED, ERR, EXCEPT, Extra, FILTERS, HUP, IN, Kind, ONCE, OUT, RDHUP, READ, Slot, View,
        WRITE,
    },
};
use crate::{EventFlags, Filter, Kevent, ReadWriteFlags};

/// What a call has collected so far.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) events: &'a mut Vec<Kevent>,
    /// How many events there may be now.
    pub(super) room: usize,
    /// The knotes that go to the end of the list of active ones when the call is over.
    pub(super) again: &'a mut Vec<Key>,
}

impl Batch<'_> {
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.events.len() < self.room
    }
}

/// Turns events of epoll into kevents, up to the first that is not plain: its slot is not enough for it, it
/// has no room, or it is not a descriptor's. Returns the others.
///
/// There is room for one kevent of each event at least; `room` is that of the whole list.
pub(super) fn plain<'a>(
    slots: &[Slot],
    mut rest: &'a [libc::epoll_event],
    events: &mut Vec<Kevent>,
    room: usize,
) -> &'a [libc::epoll_event] {
    // How many events may come to two kevents.
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
        let [read, write] = slot.knotes;
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
        let view = self
            .slots
            .get(fd)
            .filter(|view| view.slot.payload == payload);
        let Some(mut view) = view else {
            return false;
        };
        if view.slot.told & ONCE != 0 {
            view.slot.told = DISARMED;
        }
        let ready = look(mask, &mut view);
        for (index, flags) in ready.into_iter().enumerate() {
            let Some(flags) = flags.filter(|_| view.knote(index).is_enabled()) else {
                continue;
            };
            if batch.has_room() {
                if view.has_extra() {
                    // This event says what one that was carried over would have said.
                    active.remove(view.extra_mut().queued[index].take());
                }
                report(&mut view, index, flags, self.counts, batch);
            } else {
                // Carried over to the next call (K85). An edge would not come again.
                let queued = &mut view.extra_mut().queued[index];
                queued.get_or_insert_with(|| active.push(Key::Descriptor(fd, index)));
            }
        }
        self.settle(epoll, fd, active);
        true
    }

    /// Reports a knote that was found in the list of active ones, if its condition still holds (K74, K75).
    pub(super) fn collect(
        &mut self,
        epoll: &OwnedFd,
        fd: RawFd,
        index: usize,
        active: &mut Active,
        batch: &mut Batch<'_>,
    ) {
        let Some(mut view) = self.slots.get(fd) else {
            return;
        };
        view.extra_mut().queued[index] = None;
        if check_entry(epoll, fd).is_err() {
            return self.forget(fd, active);
        }
        let ready = look(poll_now(fd, FILTERS[index].1), &mut view);
        if let Some(flags) = ready[index] {
            report(&mut view, index, flags, self.counts, batch);
        }
        self.settle(epoll, fd, active);
    }

    /// Puts a knote at the end of the list of active ones, if it is still enabled.
    pub(super) fn look_again(&mut self, fd: RawFd, index: usize, active: &mut Active) {
        let view = self
            .slots
            .get(fd)
            .filter(|view| view.knote(index).is_enabled());
        if let Some(mut view) = view {
            let queued = &mut view.extra_mut().queued[index];
            queued.get_or_insert_with(|| active.push(Key::Descriptor(fd, index)));
            view.finish(self.counts);
        }
    }
}

/// What a mask says of the filters of a descriptor.
fn look(mask: u32, view: &mut View<'_>) -> Readiness {
    let fd = view.fd;
    if mask & (HUP | ERR) != 0 || view.has_extra() {
        return readiness(fd, mask, view.extra_mut());
    }
    readiness(fd, mask, &mut Extra::default())
}

/// Reports a knote whose condition holds, unless it is below its low-water mark, and does what follows from a
/// report.
fn report(
    view: &mut View<'_>,
    index: usize,
    flags: EventFlags,
    counts: bool,
    batch: &mut Batch<'_>,
) {
    let fd = view.fd;
    if index == READ && flags.is_empty() {
        // An end and an error override the mark (K156).
        let below = |mark| count::readable(fd) < mark && poll_now(fd, 0) & ERR == 0;
        if view.low_water().is_some_and(below) {
            return;
        }
    }
    let (knote, udata) = (view.knote(index), view.udata(index));
    let event = Kevent::new(fd as usize, FILTERS[index].0, knote.mode() | flags).with_udata(udata);
    batch.events.push(if index == EXCEPT {
        event.with_fflags(ReadWriteFlags::OOB)
    } else if counts {
        fill_in(event, view.extra_mut())
    } else {
        event
    });
    if view.looks_again(index) {
        // epoll tells no more of it.
        batch.again.push(Key::Descriptor(fd, index));
    }
    view.set_knote(index, knote.reported(), udata);
}

/// Fills in how much there is, and the error that a stream has ended with (K105, K108).
fn fill_in(event: Kevent, extra: &mut Extra) -> Kevent {
    let fd = event.ident() as RawFd;
    let data = match event.filter() {
        Filter::READ => count::readable(fd),
        // There is no room in a pipe without a reader.
        _ if event.is_eof() && extra.kind == Some(Kind::Pipe) => 0,
        _ => count::writable(fd),
    };
    let error = &mut extra.error;
    if !event.is_eof() {
        // The socket has been connected again since it had the error.
        *error = 0;
        return event.with_data(data);
    }
    match count::take_error(fd) {
        // Connected again, too: a connection that has failed for good has hung up.
        0 if *error != 0 && poll_now(fd, 0) & HUP == 0 => *error = 0,
        // The other filter reports it, too.
        0 => {}
        new => *error = new,
    }
    event.with_data(data).with_fflags(*error)
}
