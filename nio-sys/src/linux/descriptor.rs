//! Changes of EVFILT_READ, EVFILT_WRITE and EVFILT_EXCEPT: the knotes of a descriptor, which share one entry of
//! epoll.
//!
//! The laws:
//!
//! 1. A change of a slot makes one epoll_ctl(2), and is stored only if that succeeded. Changes of one
//!    descriptor that follow each other in a list are made together.
//! 2. The table may be out of date: the descriptor may have been closed and its number given to another file.
//!    Every change asks epoll, and the answer corrects the table. So a descriptor has an entry for as long as
//!    it has knotes, also while all of them are disabled.
//! 3. A change with EV_ADD or EV_ENABLE evaluates the condition of its knote again (K61): EPOLL_CTL_MOD
//!    reports a condition that holds, also if the mask stays the same.

use std::{
    io,
    os::fd::{OwnedFd, RawFd},
};

use libc::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD};

use super::{
    active::{Active, NOWHERE},
    epoll,
    knote::{Knote, descriptor, invalid, no_such_knote, unsupported},
    readiness::is_queue,
    slot::{
        DISARMED, EXCEPT, IDLE, NO_MARK, READ, Slot, Slots, VACANT, WRITE, generation, index,
        is_level, payload,
    },
};
use crate::{EventFlags, Kevent, ReadWriteFlags};

/// How many changes are made together at most: one for each filter, and one more for a pair of EV_DELETE and
/// EV_ADD.
const RUN: usize = 4;

/// The flags of a change that evaluates its condition again (law 3).
const RENEWS: EventFlags = EventFlags::ADD.union(EventFlags::ENABLE);

/// The READ, WRITE and EXCEPT knotes of one queue whose descriptors epoll takes.
#[derive(Debug)]
pub(super) struct Descriptors {
    pub(super) slots: Slots,
    /// The `data` of events is the number of bytes, so every slot is special.
    pub(super) counts: bool,
    /// The last generation that was given to an entry.
    generation: u32,
    /// An eventfd, which only an epoll set takes as an entry: tells whether a descriptor is a queue.
    probe: RawFd,
}

impl Descriptors {
    pub(super) fn new(counts: bool, probe: RawFd) -> Descriptors {
        Descriptors {
            slots: Slots::default(),
            counts,
            generation: 0,
            probe,
        }
    }

    /// Makes the first change, together with those of the same descriptor that follow it, and returns how many
    /// these are. An error is that of the first change alone ([`is_of_another`]).
    pub(super) fn change(
        &mut self,
        epoll: &OwnedFd,
        changes: &[Kevent],
        active: &mut Active,
    ) -> io::Result<usize> {
        let first = &changes[0];
        let fd = descriptor(first)?;
        let mut slot = self.slots.get(fd);
        let had_entry = slot.mask != 0;
        let (mut count, mut renews) = (0, false);
        for change in changes.iter().take(RUN) {
            if change.ident() != first.ident() {
                break;
            }
            match self.edit(&mut slot, change) {
                Ok(knote) => renews |= knote.is_enabled() && change.flags().intersects(RENEWS),
                Err(error) if count == 0 => return Err(error),
                Err(_) => break,
            }
            count += 1;
        }
        match self.sync(epoll, fd, &mut slot, renews) {
            Ok(()) => {
                self.store(fd, &mut slot, active);
                Ok(count)
            }
            Err(error) if had_entry && is_lost(&error) => {
                // The knotes went with the file that had this number (K98).
                self.forget(fd, active);
                self.change(epoll, changes, active)
            }
            // Alone, each change has its own answer.
            Err(_) if count > 1 => self.change(epoll, &changes[..1], active),
            Err(error) => Err(error),
        }
    }

    /// Applies a change to a slot: to its knote, or to the absence of one. Returns the knote afterwards.
    #[inline]
    fn edit(&self, slot: &mut Slot, change: &Kevent) -> io::Result<Knote> {
        let index = index(change.filter()).ok_or_else(no_such_knote)?;
        let before = slot.knotes[index];
        let after = before.changed(change)?;
        if after.exists() {
            check_fflags(index, change.fflags())?;
            if index != READ && !before.exists() && is_queue(descriptor(change)?, slot, self.probe)
            {
                return Err(invalid());
            }
        }
        if index == READ {
            let marked = after.exists() && change.fflags() != 0;
            slot.low_water = if marked { change.data() } else { NO_MARK };
        }
        (slot.knotes[index], slot.udata[index]) = (after, change.udata());
        Ok(after)
    }

    /// Brings the entry of a descriptor in line with its knotes, and records it in the slot. `renews`: a condition
    /// is to be evaluated, by a new generation.
    #[inline]
    fn sync(
        &mut self,
        epoll: &OwnedFd,
        fd: RawFd,
        slot: &mut Slot,
        renews: bool,
    ) -> io::Result<()> {
        let (mask, wanted) = (slot.mask, slot.wanted());
        let mut number = generation(slot.payload);
        if renews || mask == 0 || is_level(payload(0, 0, wanted)) != is_level(slot.payload) {
            // 31 bits of the payload, and never 0.
            self.generation = ((self.generation + 1) & (u32::MAX >> 1)).max(1);
            number = self.generation;
        }
        let payload = payload(fd, number, wanted);
        match (mask, wanted) {
            (0, 0) => match check_entry(epoll, fd) {
                // No entry, as it should be.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                result => result?,
            },
            (0, _) => add(epoll, fd, wanted, payload)?,
            (_, 0) => epoll::control(epoll, EPOLL_CTL_DEL, fd, 0, 0)?,
            _ if mask != wanted || renews => {
                epoll::control(epoll, EPOLL_CTL_MOD, fd, wanted, payload)?;
            }
            // Nothing changes for epoll, but it has to be asked (law 2).
            _ => check_entry(epoll, fd)?,
        }
        (slot.mask, slot.payload) = (wanted, payload);
        if matches!(mask, 0 | IDLE) {
            slot.error = 0;
        }
        Ok(())
    }

    /// Stores the state of a descriptor. A knote that is not enabled is not active.
    #[inline]
    pub(super) fn store(&mut self, fd: RawFd, slot: &mut Slot, active: &mut Active) {
        if slot.queued != [NOWHERE; 3] {
            for (knote, position) in slot.knotes.iter().zip(&mut slot.queued) {
                if !knote.is_enabled() {
                    active.remove(position);
                }
            }
        }
        if slot.mask == 0 {
            *slot = VACANT;
        }
        slot.special = slot.is_special() || self.counts;
        self.slots.set(fd, *slot);
    }

    /// Brings the entry of a descriptor in line with its knotes after a report. An error has no caller to go to:
    /// without memory everything stays as it is, and the next event tries again.
    pub(super) fn settle(
        &mut self,
        epoll: &OwnedFd,
        fd: RawFd,
        mut slot: Slot,
        active: &mut Active,
    ) {
        let (mask, wanted) = (slot.mask, slot.wanted());
        // A disarmed entry reports nothing: it stays until a knote is enabled again.
        let waits = matches!(wanted, 0 | IDLE) || slot.queued != [NOWHERE; 3];
        if mask != wanted && !(mask == DISARMED && waits) {
            let result = self.sync(epoll, fd, &mut slot, false);
            if result.is_err_and(|error| is_lost(&error)) {
                return self.forget(fd, active);
            }
        }
        self.store(fd, &mut slot, active);
    }

    /// Drops the knotes of a file that no longer has this number.
    pub(super) fn forget(&mut self, fd: RawFd, active: &mut Active) {
        let mut slot = self.slots.get(fd);
        slot.queued
            .iter_mut()
            .for_each(|position| active.remove(position));
        self.slots.set(fd, VACANT);
    }

    /// Registers every descriptor with a new epoll set, as it is with the old one, and drops the knotes of closed
    /// descriptors. It is an error if there is not enough memory; then no other knote is dropped.
    pub(super) fn attach(
        &mut self,
        old: &OwnedFd,
        new: &OwnedFd,
        active: &mut Active,
    ) -> io::Result<()> {
        for fd in self.slots.registered() {
            let slot = self.slots.get(fd);
            if !slot.has_knotes() || check_entry(old, fd).is_err() {
                self.forget(fd, active);
                continue;
            }
            match add(new, fd, slot.mask, slot.payload) {
                // Closed meanwhile.
                Err(error) if is_lost(&error) => self.forget(fd, active),
                result => result?,
            }
        }
        Ok(())
    }
}

/// An error for flags of a filter that Linux cannot honour (K242).
#[inline]
fn check_fflags(index: usize, fflags: u32) -> io::Result<()> {
    let (mark, urgent) = (ReadWriteFlags::LOWAT.bits(), ReadWriteFlags::OOB.bits());
    match (index, fflags) {
        (READ | WRITE, 0) => Ok(()),
        (READ, fflags) if fflags == mark => Ok(()),
        (EXCEPT, fflags) if fflags == urgent => Ok(()),
        // EXCEPT without a condition.
        (EXCEPT, 0) => Err(invalid()),
        _ => Err(unsupported()),
    }
}

/// Whether an error means that the change is not for a descriptor that epoll takes: it names no knote of one, or
/// epoll has refused a file.
pub(super) fn is_of_another(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EPERM))
}

/// Whether an error of epoll means that the descriptor is not the one that was registered. EPERM is the answer
/// for a file, which never has an entry.
pub(super) fn is_lost(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(errno, Some(libc::ENOENT | libc::EBADF | libc::EPERM))
}

/// An error if the epoll set no longer has the entry, or the descriptor is closed. It asks by adding the
/// entry, which changes nothing if there is one.
pub(super) fn check_entry(set: &OwnedFd, fd: RawFd) -> io::Result<()> {
    match epoll::control(set, EPOLL_CTL_ADD, fd, IDLE, u64::from(fd as u32)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            epoll::control(set, EPOLL_CTL_DEL, fd, 0, 0)?;
            Err(no_such_knote())
        }
    }
}

/// Adds an entry. If there is one, the table did not know it: the file got this number back from a duplicate.
fn add(set: &OwnedFd, fd: RawFd, mask: u32, payload: u64) -> io::Result<()> {
    match epoll::control(set, EPOLL_CTL_ADD, fd, mask, payload) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            epoll::control(set, EPOLL_CTL_MOD, fd, mask, payload)
        }
        result => result,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::os::{fd::AsRawFd, unix::net::UnixStream};

    use super::*;

    #[test]
    fn a_change_between_level_and_edge_makes_a_new_generation() {
        let (set, probe) = (epoll::create().unwrap(), epoll::eventfd().unwrap());
        let mut descriptors = Descriptors::new(false, probe.as_raw_fd());
        let mut active = Active::default();
        let (socket, _peer) = UnixStream::pair().unwrap();
        let clear = EventFlags::ADD | EventFlags::CLEAR;
        for change in [
            Kevent::read(&socket, EventFlags::ADD),
            Kevent::write(&socket, clear),
        ] {
            descriptors.change(&set, &[change], &mut active).unwrap();
        }
        let edge = descriptors.slots.get(socket.as_raw_fd()).payload;
        // Deletes the edge-triggered one, which evaluates no condition.
        let delete = Kevent::write(&socket, EventFlags::DELETE);
        descriptors.change(&set, &[delete], &mut active).unwrap();
        let level = descriptors.slots.get(socket.as_raw_fd()).payload;
        assert!(is_level(level) && !is_level(edge));
        assert_ne!(generation(level), generation(edge));
    }
}
