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
    knote::no_such_knote,
    readiness::is_queue,
    slot::{
        DISARMED, EXCEPT, IDLE, NO_MARK, READ, Slot, Slots, VACANT, WRITE, generation, index,
        payload,
    },
};
use crate::{EventFlags, Kevent, ReadWriteFlags};

/// How many changes are made together at most: one for each filter, and one more for a pair of EV_DELETE and
/// EV_ADD.
pub(super) const RUN: usize = 4;

/// The errnos of the changes of a run; 0 is a success.
pub(super) type Errnos = [i32; RUN];

/// The effect of a set of changes on the conditions of the knotes.
#[derive(Clone, Copy, Debug, Default)]
struct Effect {
    /// A disabled or new knote is enabled.
    enables: bool,
    /// A condition is to be evaluated again.
    evaluates: bool,
}

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

    /// Applies changes of one descriptor, [`RUN`] at most.
    #[inline]
    pub(super) fn change(
        &mut self,
        epoll: &OwnedFd,
        fd: RawFd,
        changes: &[Kevent],
        active: &mut Active,
    ) -> Errnos {
        let mut errnos = Errnos::default();
        let mut slot = self.slots.get(fd);
        let (told, mut effect, mut failed) = (slot.told, Effect::default(), 0);
        for (change, errno) in changes.iter().zip(&mut errnos) {
            *errno = self.edit(&mut slot, fd, change, &mut effect);
            failed += usize::from(*errno != 0);
        }
        if failed == changes.len() {
            return errnos;
        }
        match self.sync(epoll, fd, &mut slot, effect) {
            Ok(()) => {
                self.store(fd, slot, active);
                errnos
            }
            Err(error) => self.change_after(&error, told != 0, epoll, fd, changes, active),
        }
    }

    /// As [`change`](Descriptors::change), after epoll has refused.
    #[cold]
    fn change_after(
        &mut self,
        error: &io::Error,
        had_entry: bool,
        epoll: &OwnedFd,
        fd: RawFd,
        changes: &[Kevent],
        active: &mut Active,
    ) -> Errnos {
        if is_lost(error) && had_entry {
            // The knotes went with the file that had this number (K98).
            self.forget(fd, active);
            return self.change(epoll, fd, changes, active);
        }
        let mut errnos = Errnos::default();
        if changes.len() == 1 {
            errnos[0] = error.raw_os_error().unwrap_or(libc::EINVAL);
            return errnos;
        }
        // Alone, each change has its own answer.
        for (change, errno) in changes.iter().zip(&mut errnos) {
            let change = std::slice::from_ref(change);
            *errno = self.change(epoll, fd, change, active)[0];
        }
        errnos
    }

    /// Applies a change to a slot: to its knote, or to the absence of one. Returns an errno.
    #[inline]
    fn edit(&self, slot: &mut Slot, fd: RawFd, change: &Kevent, effect: &mut Effect) -> i32 {
        let Some(index) = index(change.filter()) else {
            return libc::EINVAL;
        };
        let before = slot.knotes[index];
        let Some(after) = before.changed(change) else {
            return libc::ENOENT;
        };
        if after.exists() {
            match check_fflags(index, change.fflags()) {
                0 if index != READ && !before.exists() && is_queue(fd, slot, self.probe) => {
                    return libc::EINVAL;
                }
                0 => {}
                errno => return errno,
            }
        }
        if after.is_enabled() {
            let evaluates = EventFlags::ADD.union(EventFlags::ENABLE);
            effect.enables |= !before.is_enabled();
            effect.evaluates |= change.flags().intersects(evaluates);
        }
        if index == READ {
            let marked = after.exists() && change.fflags() != 0;
            slot.low_water = if marked { change.data() } else { NO_MARK };
        }
        (slot.knotes[index], slot.udata[index]) = (after, change.udata());
        0
    }

    /// Brings the entry of a descriptor in line with its knotes, and records it in the slot.
    #[inline]
    fn sync(
        &mut self,
        epoll: &OwnedFd,
        fd: RawFd,
        slot: &mut Slot,
        effect: Effect,
    ) -> io::Result<()> {
        let (told, wanted) = (slot.told, slot.wanted());
        let mut number = generation(slot.payload);
        if effect.enables || told == 0 {
            // 31 bits of the payload, and never 0.
            self.generation = ((self.generation + 1) & (u32::MAX >> 1)).max(1);
            number = self.generation;
        }
        let payload = payload(fd, number, wanted);
        match (told, wanted) {
            (0, 0) => match check_entry(epoll, fd) {
                // No entry, as it should be.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                result => result?,
            },
            (0, _) => add(epoll, fd, wanted, payload)?,
            (_, 0) => epoll::control(epoll, EPOLL_CTL_DEL, fd, 0, 0)?,
            _ if told != wanted || effect.evaluates || effect.enables => {
                epoll::control(epoll, EPOLL_CTL_MOD, fd, wanted, payload)?;
            }
            // Nothing changes for epoll, but it has to be asked (law 2).
            _ => check_entry(epoll, fd)?,
        }
        (slot.told, slot.payload) = (wanted, payload);
        if matches!(told, 0 | IDLE) {
            slot.error = 0;
        }
        Ok(())
    }

    /// Stores the state of a descriptor. A knote that is not enabled is not active.
    #[inline]
    pub(super) fn store(&mut self, fd: RawFd, mut slot: Slot, active: &mut Active) {
        for (knote, position) in slot.knotes.iter().zip(&mut slot.queued) {
            if !knote.is_enabled() {
                active.remove(position);
            }
        }
        if slot.told == 0 {
            slot = VACANT;
        }
        slot.special = slot.is_special() || self.counts;
        self.slots.set(fd, slot);
    }

    /// Brings the entry of a descriptor in line with its knotes after a report. An error has no caller to go to:
    /// without memory everything stays as it is, and the next event tries again.
    pub(super) fn settle(&mut self, epoll: &OwnedFd, fd: RawFd, slot: Slot, active: &mut Active) {
        let mut slot = slot;
        let (told, wanted) = (slot.told, slot.wanted());
        // A disarmed entry reports nothing: it stays until a knote is enabled again.
        let waits = matches!(wanted, 0 | IDLE) || slot.queued != [NOWHERE; 3];
        if told != wanted && !(told == DISARMED && waits) {
            let result = self.sync(epoll, fd, &mut slot, Effect::default());
            if result.is_err_and(|error| is_lost(&error)) {
                return self.forget(fd, active);
            }
        }
        self.store(fd, slot, active);
    }

    /// Drops the knotes of a file that no longer has this number.
    pub(super) fn forget(&mut self, fd: RawFd, active: &mut Active) {
        let mut slot = self.slots.get(fd);
        slot.queued
            .iter_mut()
            .for_each(|position| active.remove(position));
        self.slots.set(fd, VACANT);
    }

    /// Registers every descriptor with a new epoll set, as it is with the old one.
    pub(super) fn attach(&mut self, old: &OwnedFd, new: &OwnedFd, active: &mut Active) {
        for fd in self.slots.registered() {
            let slot = self.slots.get(fd);
            let is_used = slot.has_knotes() && check_entry(old, fd).is_ok();
            // Without the memory for an entry in the new set, the knotes are dropped.
            if !is_used || add(new, fd, slot.told, slot.payload).is_err() {
                self.forget(fd, active);
            }
        }
    }
}

/// The errno for flags of a filter that Linux cannot honour (K242).
#[inline]
fn check_fflags(index: usize, fflags: u32) -> i32 {
    let (mark, urgent) = (ReadWriteFlags::LOWAT.bits(), ReadWriteFlags::OOB.bits());
    match (index, fflags) {
        (READ | WRITE, 0) => 0,
        (READ, fflags) if fflags == mark => 0,
        (EXCEPT, fflags) if fflags == urgent => 0,
        // EXCEPT without a condition.
        (EXCEPT, 0) => libc::EINVAL,
        _ => libc::ENOTSUP,
    }
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

/// Whether a change is of READ, WRITE or EXCEPT.
pub(super) fn is_descriptors(change: &Kevent) -> bool {
    index(change.filter()).is_some()
}
