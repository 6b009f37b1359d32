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
    readiness::{poll_now, readiness},
    slot::{ERR, EXCEPT, FILTERS, HUP, IN, Kind, ONCE, OUT, RDHUP, READ, Slots, WRITE, Whole},
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

/// Turns an event into the kevents of its descriptor if its slot is enough for that, and there is room.
/// Whether it did.
#[inline]
pub(super) fn plain(slots: &Slots, event: libc::epoll_event, batch: &mut Batch<'_>) -> bool {
    let (payload, mask) = (event.u64, event.events);
    let Some(slot) = slots.plain(payload) else {
        return false;
    };
    let [read, write] = slot.knotes;
    let reads = mask & (IN | RDHUP) != 0 && read.is_enabled();
    let writes = mask & OUT != 0 && write.is_enabled();
    let needed = usize::from(reads) + usize::from(writes);
    if mask & (HUP | ERR) != 0 || batch.events.len() + needed > batch.room {
        return false;
    }
    let fd = payload as u32 as usize;
    if reads {
        let eof = if mask & RDHUP != 0 {
            EventFlags::EOF
        } else {
            EventFlags::empty()
        };
        let event = Kevent::new(fd, Filter::READ, read.mode() | eof);
        batch.events.push(event.with_udata(slot.udata[READ]));
    }
    if writes {
        let event = Kevent::new(fd, Filter::WRITE, write.mode());
        batch.events.push(event.with_udata(slot.udata[WRITE]));
    }
    true
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
        let mut whole = self.slots.get(fd);
        if whole.slot.payload != payload {
            return false;
        }
        if whole.slot.told & ONCE != 0 {
            whole.slot.told = ONCE;
        }
        let ready = readiness(fd, mask, &mut whole.extra);
        for (index, flags) in ready.into_iter().enumerate() {
            let Some(flags) = flags.filter(|_| whole.knote(index).is_enabled()) else {
                continue;
            };
            if batch.has_room() {
                // This event says what one that was carried over would have said.
                active.remove(whole.extra.queued[index].take());
                self.report(fd, index, flags, &mut whole, batch);
            } else if whole.extra.queued[index].is_none() {
                // Carried over to the next call (K85). An edge would not come again.
                whole.extra.queued[index] = Some(active.push(Key::Descriptor(fd, index)));
            }
        }
        self.settle(epoll, fd, whole, active);
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
        let mut whole = self.slots.get(fd);
        whole.extra.queued[index] = None;
        if check_entry(epoll, fd).is_err() {
            return self.forget(fd, active);
        }
        let ready = readiness(fd, poll_now(fd, FILTERS[index].1), &mut whole.extra);
        if let Some(flags) = ready[index] {
            self.report(fd, index, flags, &mut whole, batch);
        }
        self.settle(epoll, fd, whole, active);
    }

    /// Puts a knote at the end of the list of active ones, if it is still enabled.
    pub(super) fn look_again(&mut self, fd: RawFd, index: usize, active: &mut Active) {
        let mut whole = self.slots.get(fd);
        if whole.knote(index).is_enabled() && whole.extra.queued[index].is_none() {
            whole.extra.queued[index] = Some(active.push(Key::Descriptor(fd, index)));
            self.store(fd, whole, active);
        }
    }

    /// Reports a knote whose condition holds, unless it is below its low-water mark, and does what follows
    /// from a report.
    fn report(
        &mut self,
        fd: RawFd,
        index: usize,
        flags: EventFlags,
        whole: &mut Whole,
        batch: &mut Batch<'_>,
    ) {
        if index == READ && flags.is_empty() {
            // An end and an error override the mark (K156).
            let below = |&mark: &i64| count::readable(fd) < mark && poll_now(fd, 0) & ERR == 0;
            if whole.extra.low_water.as_ref().is_some_and(below) {
                return;
            }
        }
        let knote = whole.knote(index);
        let mut event = Kevent::new(fd as usize, FILTERS[index].0, knote.mode() | flags)
            .with_udata(whole.udata(index));
        if index == EXCEPT {
            event = event.with_fflags(ReadWriteFlags::OOB);
        } else if self.slots.counts {
            event = fill_in(event, whole);
        }
        batch.events.push(event);
        if whole.looks_again(index) {
            // epoll tells no more of it.
            batch.again.push(Key::Descriptor(fd, index));
        }
        whole.set_knote(index, knote.reported());
        if index == READ && !knote.reported().exists() {
            whole.extra.low_water = None;
        }
    }
}

/// Fills in how much there is, and the error that a stream has ended with (K105, K108).
fn fill_in(event: Kevent, whole: &mut Whole) -> Kevent {
    let fd = event.ident() as RawFd;
    let data = match event.filter() {
        Filter::READ => count::readable(fd),
        // There is no room in a pipe without a reader.
        _ if event.is_eof() && whole.extra.kind == Some(Kind::Pipe) => 0,
        _ => count::writable(fd),
    };
    let error = &mut whole.extra.error;
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
