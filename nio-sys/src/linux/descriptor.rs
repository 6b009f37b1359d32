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
//! 3. A change with EV_ADD or EV_ENABLE evaluates the condition of its knote again (K61): EPOLL_CTL_MOD
//!    reports what is ready, also where the mask stays the same.

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
    slot::{DISARMED, EXCEPT, IDLE, READ, Slots, View, generation, index, payload},
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
    /// Events say how much there is, so that every slot is special.
    pub(super) counts: bool,
    /// The last generation that was given to an entry.
    generation: u32,
    /// An eventfd, to ask with whether a descriptor is a queue.
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
        let (counts, probe) = (self.counts, self.probe);
        let mut view = match self.slots.get_or_grow(fd) {
            Ok(view) => view,
            Err(error) => return refused(&error, changes.len()),
        };
        let before = view.snapshot();
        let (mut effect, mut failed) = (Effect::default(), 0);
        for (change, errno) in changes.iter().zip(&mut errnos) {
            if let Err(error) = edit(&mut view, change, probe, &mut effect) {
                *errno = error.raw_os_error().unwrap_or(libc::EINVAL);
                failed += 1;
            }
        }
        if failed == changes.len() {
            return errnos;
        }
        match sync(epoll, &mut view, effect, &mut self.generation) {
            Ok(()) => {
                remove_disabled(&mut view, active);
                view.finish(counts);
                errnos
            }
            Err(error) => {
                let had_entry = before.0.told != 0;
                view.restore(before);
                self.change_after(&error, had_entry, epoll, fd, changes, active)
            }
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
        if changes.len() == 1 {
            return refused(error, 1);
        }
        // Alone, each change has its own answer.
        let mut errnos = Errnos::default();
        for (change, errno) in changes.iter().zip(&mut errnos) {
            let change = std::slice::from_ref(change);
            *errno = self.change(epoll, fd, change, active)[0];
        }
        errnos
    }

    /// Brings the entry of a descriptor in line with its knotes after a report. No caller can be told of an
    /// error: where there is no memory all stays as it is, and the next event tries again.
    pub(super) fn settle(&mut self, epoll: &OwnedFd, fd: RawFd, active: &mut Active) {
        let Some(mut view) = self.slots.get(fd) else {
            return;
        };
        let (told, wanted) = (view.slot.told, view.wanted());
        let queued = view.extra().map_or([None; 3], |extra| extra.queued);
        // A disarmed entry reports nothing: it stays until a knote is to report again.
        let waits = matches!(wanted, 0 | IDLE) || queued.iter().any(Option::is_some);
        if told != wanted && !(told == DISARMED && waits) {
            let result = sync(epoll, &mut view, Effect::default(), &mut self.generation);
            if result.is_err_and(|error| is_lost(&error)) {
                return self.forget(fd, active);
            }
        }
        remove_disabled(&mut view, active);
        view.finish(self.counts);
    }

    /// Drops the knotes of a file that has this number no more.
    pub(super) fn forget(&mut self, fd: RawFd, active: &mut Active) {
        if let Some(extra) = self.slots.take(fd) {
            extra
                .queued
                .into_iter()
                .for_each(|position| active.remove(position));
        }
    }

    /// Registers every descriptor with a new epoll set, as it is with the old one.
    pub(super) fn attach(&mut self, old: &OwnedFd, new: &OwnedFd, active: &mut Active) {
        for fd in self.slots.registered() {
            let Some(view) = self.slots.get(fd) else {
                continue;
            };
            let is_used = view.has_knotes() && check_entry(old, fd).is_ok();
            // It was possible with the old set; without the memory for the new one it is silent.
            if !is_used || add(new, fd, view.slot.told, view.slot.payload).is_err() {
                self.forget(fd, active);
            }
        }
    }
}

/// What a change does to a knote, or to the absence of one.
#[inline]
fn edit(view: &mut View<'_>, change: &Kevent, probe: RawFd, effect: &mut Effect) -> io::Result<()> {
    let index = index(change.filter()).ok_or_else(invalid)?;
    let before = view.knote(index);
    let after = before.changed(change)?;
    if after.exists() {
        check_fflags(change)?;
        if index != READ && !before.exists() && is_queue(view.fd, probe) {
            return Err(invalid());
        }
        if after.is_enabled() {
            let evaluates = EventFlags::ADD.union(EventFlags::ENABLE);
            effect.enables |= !before.is_enabled();
            effect.evaluates |= change.flags().intersects(evaluates);
        }
        if index == READ && (change.fflags() != 0 || view.has_extra()) {
            view.extra_mut().low_water = (change.fflags() != 0).then_some(change.data());
        }
    }
    view.set_knote(index, after, change.udata());
    Ok(())
}

/// Tells epoll of the knotes of a descriptor, and notes what it was told. On failure neither has changed.
#[inline]
fn sync(
    epoll: &OwnedFd,
    view: &mut View<'_>,
    effect: Effect,
    last_generation: &mut u32,
) -> io::Result<()> {
    let (fd, told, wanted) = (view.fd, view.slot.told, view.wanted());
    let mut number = generation(view.slot.payload);
    if effect.enables || told == 0 {
        // 31 bits of the payload, and never 0.
        *last_generation = (*last_generation + 1) & (u32::MAX >> 1);
        number = (*last_generation).max(1);
    }
    let new = payload(fd, number, wanted);
    match (told, wanted) {
        (0, 0) => match check_entry(epoll, fd) {
            // No entry, as it should be.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            result => result?,
        },
        (0, _) => add(epoll, fd, wanted, new)?,
        (_, 0) => epoll::control(epoll, EPOLL_CTL_DEL, fd, 0, 0)?,
        _ if told != wanted || effect.evaluates || effect.enables => {
            epoll::control(epoll, EPOLL_CTL_MOD, fd, wanted, new)?;
        }
        // There is nothing to tell epoll, but it is to be asked (law 2).
        _ => check_entry(epoll, fd)?,
    }
    if view.has_extra() {
        let extra = view.extra_mut();
        if matches!(told, 0 | IDLE) {
            extra.error = 0;
        }
        if wanted == 0 {
            (extra.kind, extra.unconnected) = (None, false);
        }
    }
    view.slot.told = wanted;
    view.slot.payload = if wanted == 0 { 0 } else { new };
    Ok(())
}

/// The errnos of changes that fail for one reason.
#[cold]
fn refused(error: &io::Error, count: usize) -> Errnos {
    let mut errnos = Errnos::default();
    errnos[..count].fill(error.raw_os_error().unwrap_or(libc::EINVAL));
    errnos
}

/// Takes the knotes that are not enabled out of the list of active ones.
#[inline]
fn remove_disabled(view: &mut View<'_>, active: &mut Active) {
    if view.has_extra() {
        for index in READ..=EXCEPT {
            if !view.knote(index).is_enabled() {
                active.remove(view.extra_mut().queued[index].take());
            }
        }
    }
}

/// Refuses what cannot be told (K242).
#[inline]
fn check_fflags(change: &Kevent) -> io::Result<()> {
    let fflags = ReadWriteFlags::from_bits_retain(change.fflags());
    match change.filter() {
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
