//! EVFILT_READ, EVFILT_WRITE and EVFILT_EXCEPT, changed: the knotes of a descriptor, which share one entry of
//! epoll.
//!
//! The laws:
//!
//! 1. A change of a slot makes one epoll_ctl(2), and is stored only if that succeeded. Changes of one
//!    descriptor that follow each other in a list are made together.
//! 2. The table is never trusted alone: the descriptor may have been closed and its number given to another
//!    file. Every change asks epoll, and the answer corrects the table. So a descriptor has an entry for as
//!    long as it has knotes: one that asks for nothing while all of them are disabled.
//! 3. A change that enables, or alters, a knote evaluates its condition again (K61): EPOLL_CTL_MOD reports
//!    what is ready, also where the mask stays the same.

use std::{
    io,
    os::fd::{OwnedFd, RawFd},
};

use libc::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD};

use super::{
    active::Active,
    epoll,
    knote::{invalid, no_such_knote, unsupported},
    readiness::is_queue,
    slot::{DISARMED, EXCEPT, IDLE, READ, Slots, Whole, generation, index, payload},
};
use crate::{EventFlags, Filter, Kevent, ReadWriteFlags};

/// How many changes are made together at most: one for each filter, and one to spare for a pair of EV_DELETE
/// and EV_ADD.
pub(super) const RUN: usize = 4;

/// The errnos of the changes of a run; 0 is a success.
pub(super) type Errnos = [i32; RUN];

/// What a set of changes does to the conditions of the knotes.
#[derive(Clone, Copy, Debug, Default)]
struct Effect {
    /// A knote is enabled that was not.
    enables: bool,
    /// A condition is to be evaluated again.
    evaluates: bool,
}

/// The READ, WRITE and EXCEPT knotes of one queue whose descriptors epoll takes.
#[derive(Debug)]
pub(super) struct Descriptors {
    pub(super) slots: Slots,
    /// The last generation that was given to an entry.
    generation: u32,
    /// An eventfd, to ask with whether a descriptor is a queue.
    probe: RawFd,
}

impl Descriptors {
    pub(super) fn new(counts: bool, probe: RawFd) -> Descriptors {
        let mut slots = Slots::default();
        slots.counts = counts;
        Descriptors {
            slots,
            generation: 0,
            probe,
        }
    }

    /// Applies changes of one descriptor, [`RUN`] at most.
    pub(super) fn change(
        &mut self,
        epoll: &OwnedFd,
        fd: RawFd,
        changes: &[Kevent],
        active: &mut Active,
    ) -> Errnos {
        let mut errnos = Errnos::default();
        let before = self.slots.get(fd);
        let (mut after, mut effect) = (before, Effect::default());
        for (change, errno) in changes.iter().zip(&mut errnos) {
            if let Err(error) = self.edit(&mut after, fd, change, &mut effect) {
                *errno = error.raw_os_error().unwrap_or(libc::EINVAL);
            }
        }
        if errnos[..changes.len()].iter().all(|&errno| errno != 0) {
            return errnos;
        }
        match self.sync(epoll, fd, &before, after, effect, active) {
            Ok(()) => errnos,
            Err(error) if is_lost(&error) && before.slot.told != 0 => {
                // The knotes went with the file that had this number (K98).
                self.forget(fd, active);
                self.change(epoll, fd, changes, active)
            }
            Err(error) if changes.len() == 1 => {
                errnos[0] = error.raw_os_error().unwrap_or(libc::EINVAL);
                errnos
            }
            // Alone, each change has its own answer.
            Err(_) => {
                for (change, errno) in changes.iter().zip(&mut errnos) {
                    let change = std::slice::from_ref(change);
                    *errno = self.change(epoll, fd, change, active)[0];
                }
                errnos
            }
        }
    }

    /// What a change does to a knote, or to the absence of one.
    fn edit(
        &self,
        whole: &mut Whole,
        fd: RawFd,
        change: &Kevent,
        effect: &mut Effect,
    ) -> io::Result<()> {
        let index = index(change.filter()).ok_or_else(invalid)?;
        let before = whole.knote(index);
        let after = before.changed(change)?;
        if after.exists() {
            let fflags = ReadWriteFlags::from_bits_retain(change.fflags());
            check_fflags(change.filter(), fflags)?;
            if !before.exists() && index != READ && is_queue(fd, self.probe) {
                return Err(invalid());
            }
            if index == READ {
                whole.extra.low_water = (!fflags.is_empty()).then_some(change.data());
            }
            whole.set_udata(index, change.udata());
            if after.is_enabled() {
                effect.enables |= !before.is_enabled();
                effect.evaluates |= !change.flags().contains(EventFlags::DISABLE);
            }
        } else if index == READ {
            whole.extra.low_water = None;
        } else if index == EXCEPT {
            whole.extra.except_udata = 0;
        }
        whole.set_knote(index, after);
        Ok(())
    }

    /// Makes `after` the state of a descriptor: first in epoll, then in the table. On failure neither has
    /// changed.
    fn sync(
        &mut self,
        epoll: &OwnedFd,
        fd: RawFd,
        before: &Whole,
        mut after: Whole,
        effect: Effect,
        active: &mut Active,
    ) -> io::Result<()> {
        let (told, wanted) = (before.slot.told, after.wanted());
        let mut number = generation(before.slot.payload);
        if effect.enables || told == 0 {
            number = self.next_generation();
        }
        let new = if wanted == 0 {
            0
        } else {
            payload(fd, number, wanted)
        };
        match (told, wanted) {
            (0, 0) => check_entry(epoll, fd).or_else(|error| match error.raw_os_error() {
                // No entry, as it should be.
                Some(libc::ENOENT) => Ok(()),
                _ => Err(error),
            })?,
            (0, _) => add(epoll, fd, wanted, new)?,
            (_, 0) => epoll::control(epoll, EPOLL_CTL_DEL, fd, 0, 0)?,
            _ if told != wanted || effect.evaluates || effect.enables => {
                epoll::control(epoll, EPOLL_CTL_MOD, fd, wanted, new)?;
            }
            // There is nothing to tell epoll, but it is to be asked (law 2).
            _ => check_entry(epoll, fd)?,
        }
        if matches!(told, 0 | IDLE) {
            after.extra.error = 0;
        }
        if wanted == 0 {
            (after.extra.kind, after.extra.unconnected) = (None, false);
        }
        (after.slot.told, after.slot.payload) = (wanted, new);
        self.store(fd, after, active);
        Ok(())
    }

    /// Stores the state of a descriptor. A knote that is not enabled is not active.
    pub(super) fn store(&mut self, fd: RawFd, mut whole: Whole, active: &mut Active) {
        for index in READ..=EXCEPT {
            if !whole.knote(index).is_enabled() {
                active.remove(whole.extra.queued[index].take());
            }
        }
        self.slots.set(fd, whole);
    }

    /// Brings the entry of a descriptor in line with its knotes after a report. No caller can be told of an
    /// error: where there is no memory all stays as it is, and the next event tries again.
    pub(super) fn settle(&mut self, epoll: &OwnedFd, fd: RawFd, whole: Whole, active: &mut Active) {
        let (told, wanted) = (whole.slot.told, whole.wanted());
        // A disarmed entry reports nothing: it stays until a knote is to report again.
        let waits = matches!(wanted, 0 | IDLE) || whole.extra.queued.iter().any(Option::is_some);
        if told == wanted || told == DISARMED && waits {
            return self.store(fd, whole, active);
        }
        match self.sync(epoll, fd, &whole, whole, Effect::default(), active) {
            Ok(()) => {}
            Err(error) if is_lost(&error) => self.forget(fd, active),
            Err(_) => self.store(fd, whole, active),
        }
    }

    /// Drops the knotes of a file that has this number no more.
    pub(super) fn forget(&mut self, fd: RawFd, active: &mut Active) {
        self.store(fd, Whole::default(), active);
    }

    /// Registers every descriptor with a new epoll set, as it is with the old one.
    pub(super) fn attach(&mut self, old: &OwnedFd, new: &OwnedFd, active: &mut Active) {
        for fd in self.slots.registered() {
            let mut whole = self.slots.get(fd);
            let is_used = whole.has_knotes() && check_entry(old, fd).is_ok();
            // It was possible with the old set; without the memory for the new one it is silent.
            if !is_used || add(new, fd, whole.slot.told, whole.slot.payload).is_err() {
                whole = Whole::default();
            }
            self.store(fd, whole, active);
        }
    }

    fn next_generation(&mut self) -> u32 {
        // 31 bits of the payload, and never 0.
        self.generation = self.generation % 0x7FFF_FFFF + 1;
        self.generation
    }
}

/// Refuses what cannot be told (K242).
fn check_fflags(filter: Filter, fflags: ReadWriteFlags) -> io::Result<()> {
    match filter {
        Filter::READ if ReadWriteFlags::LOWAT.contains(fflags) => Ok(()),
        Filter::WRITE if fflags.is_empty() => Ok(()),
        Filter::EXCEPT if fflags == ReadWriteFlags::OOB => Ok(()),
        // Nothing to be exceptional about.
        Filter::EXCEPT if fflags.is_empty() => Err(invalid()),
        _ => Err(unsupported()),
    }
}

/// The error by which epoll says that a descriptor is not the one that was registered. EPERM is said of
/// files, which never have an entry.
pub(super) fn is_lost(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(errno, Some(libc::ENOENT | libc::EBADF | libc::EPERM))
}

/// The error of an entry that an epoll set does not have any more, or of a descriptor that is closed. It is
/// asked by adding the entry, which changes nothing where there is one.
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

/// Adds an entry. The table has lost track if there is one: the file came back to this number by way of a
/// duplicate.
fn add(set: &OwnedFd, fd: RawFd, mask: u32, payload: u64) -> io::Result<()> {
    match epoll::control(set, EPOLL_CTL_ADD, fd, mask, payload) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            epoll::control(set, EPOLL_CTL_MOD, fd, mask, payload)
        }
        result => result,
    }
}

/// Whether a knote exists, for the run of changes that the engine puts together.
pub(super) fn is_descriptors(change: &Kevent) -> bool {
    index(change.filter()).is_some()
}
