//! The knotes of a descriptor: from one registration to another, in one call of the kernel.
//!
//! Laws:
//! 1. A change that the kernel refuses changes nothing. The kernel stops at the first refusal of a list (K40).
//!    The additions are undone then. In a re-registration they come first, so the old knotes are untouched.
//! 2. The mode of a knote is fixed when it is added (K60): another trigger is a new knote.
//! 3. A change without EV_ADD says ENOENT if there is no knote (K49). So a re-registration asks for at
//!    least one old knote without EV_ADD.

use std::{io, os::fd::RawFd, time::Duration};

use nio_sys::{EventFlags, EventList, Filter, Kevent, ReadWriteFlags};

use crate::{
    Interest, Trigger,
    hang_up::is_refusal,
    registry::{Registration, Shared},
};

/// The filter of each part of an interest, with its fflags.
const FILTERS: [(Interest, Filter, ReadWriteFlags); MOST] = [
    (Interest::READABLE, Filter::READ, ReadWriteFlags::empty()),
    (Interest::WRITABLE, Filter::WRITE, ReadWriteFlags::empty()),
    #[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
    (Interest::PRIORITY, Filter::EXCEPT, ReadWriteFlags::OOB),
];

/// Whether the system has a filter for an interest.
pub(crate) const fn has_filter(interest: Interest) -> bool {
    HAS_EXCEPT || !interest.is_priority()
}

const HAS_EXCEPT: bool = cfg!(not(any(target_os = "freebsd", target_os = "netbsd")));

/// The most knotes that a descriptor can have.
const MOST: usize = 2 + HAS_EXCEPT as usize;

/// Adds a knote, or re-arms one: a oneshot that has fired is disabled (K63).
const ADD: EventFlags = EventFlags::ADD.union(EventFlags::ENABLE);

/// Whether EV_ENABLE alone sets the token and re-arms an edge (K58, K61), and so asks for the old knote.
/// Other systems need EV_ADD, and a change before it that asks.
const ENABLE_IS_ENOUGH: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_vendor = "apple"
));

/// Re-arms a knote that exists.
const REARM: EventFlags = if ENABLE_IS_ENOUGH {
    EventFlags::ENABLE
} else {
    ADD
};

/// The errors that mean "no such knote" (K50).
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EBADF))
}

impl Registration {
    /// The part of it with this interest, perhaps none.
    fn only(self, interest: Interest) -> Registration {
        Registration { interest, ..self }
    }

    /// The part that has knotes in the kernel.
    #[inline]
    fn in_kernel(self) -> Registration {
        if self.hung_up {
            self.only(self.interest.without(Interest::WRITABLE))
        } else {
            self
        }
    }

    /// The flag that makes a knote report as the trigger says.
    #[inline]
    pub(crate) fn mode(self) -> EventFlags {
        match self.trigger {
            Trigger::Edge => EventFlags::CLEAR,
            Trigger::Level => EventFlags::empty(),
            Trigger::Oneshot => EventFlags::DISPATCH,
        }
    }
}

/// Changes of the knotes of one descriptor.
struct Changes {
    list: [Kevent; MOST],
    length: usize,
}

impl Changes {
    /// The same change for each filter of a registration.
    #[inline]
    fn each(fd: RawFd, of: Registration, flags: EventFlags) -> Changes {
        let list = [Kevent::new(0, Filter::READ, EventFlags::empty()); MOST];
        Changes { list, length: 0 }.and(fd, of, of.interest, flags)
    }

    /// These changes, and then one for each filter of an interest.
    #[inline]
    fn and(mut self, fd: RawFd, of: Registration, each: Interest, flags: EventFlags) -> Changes {
        for (interest, filter, fflags) in FILTERS {
            if each.contains(interest) {
                self.list[self.length] = Kevent::new(fd as usize, filter, flags)
                    .with_fflags(fflags)
                    .with_udata(of.token.0);
                self.length += 1;
            }
        }
        self
    }

    /// From one registration to another with the same trigger. The additions come first (law 1).
    #[inline]
    fn between(fd: RawFd, old: Registration, new: Registration) -> Changes {
        let (before, after) = (old.interest, new.interest);
        Changes::each(fd, new.only(after.without(before)), ADD | new.mode())
            .and(fd, new, after.and(before), REARM | new.mode())
            .and(fd, new, before.without(after), EventFlags::DELETE)
    }

    #[inline]
    fn as_slice(&self) -> &[Kevent] {
        &self.list[..self.length]
    }

    #[inline]
    fn as_mut_slice(&mut self) -> &mut [Kevent] {
        &mut self.list[..self.length]
    }
}

impl Shared {
    /// Makes changes, up to the first that the kernel refuses: without room for answers it stops there (K40).
    #[inline]
    pub(crate) fn apply(&self, changes: &[Kevent]) -> io::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut no_room = EventList::with_capacity(0);
        let at_once = Some(Duration::ZERO);
        self.kqueue.kevent(changes, &mut no_room, at_once).map(drop)
    }

    /// Adds the knotes of a registration, all or none.
    #[inline]
    pub(crate) fn add(&self, fd: RawFd, new: Registration) -> io::Result<Registration> {
        let changes = Changes::each(fd, new, ADD | new.mode());
        match self.apply(changes.as_slice()) {
            Ok(()) => Ok(new),
            Err(error) => self.settle(fd, new, error),
        }
    }

    /// Called after a part of an addition was refused. A pipe without a reader is still registered
    /// (`hang_up`); anything else is undone.
    #[cold]
    fn settle(&self, fd: RawFd, new: Registration, error: io::Error) -> io::Result<Registration> {
        let hung_up = Registration {
            hung_up: true,
            ..new
        };
        let mut result = Err(error);
        if new.interest.is_writable() && result.as_ref().is_err_and(is_refusal) {
            let reading = Changes::each(fd, hung_up.in_kernel(), ADD | new.mode());
            result = self
                .apply(reading.as_slice())
                .and_then(|()| self.report_hang_up(fd, new.token.0, new.mode()));
        }
        if result.is_err() {
            self.undo(fd, new);
        }
        result.map(|()| hung_up)
    }

    /// Adds the knotes of many registrations in one call, all or none. An error comes with its
    /// descriptor.
    pub(crate) fn add_all(
        &self,
        all: &mut [(RawFd, Registration)],
    ) -> Result<(), (RawFd, io::Error)> {
        let mut changes = Vec::with_capacity(MOST * all.len());
        for &(fd, new) in &*all {
            changes.extend_from_slice(Changes::each(fd, new, ADD | new.mode()).as_slice());
        }
        if self.apply(&changes).is_ok() {
            return Ok(());
        }
        // One by one, to find the descriptor that is refused. A knote that exists is not added twice.
        for index in 0..all.len() {
            let (fd, new) = all[index];
            match self.add(fd, new) {
                Ok(added) => all[index].1 = added,
                Err(error) => {
                    // Also of those after it: the first call may have come further.
                    for &(fd, added) in &*all {
                        self.undo(fd, added);
                    }
                    return Err((fd, error));
                }
            }
        }
        Ok(())
    }

    /// Deletes the knotes of a registration. Returns whether there was any.
    #[inline]
    pub(crate) fn delete(&self, fd: RawFd, old: Registration) -> io::Result<bool> {
        let mut changes = Changes::each(fd, old.in_kernel(), EventFlags::DELETE);
        let answers = changes.as_mut_slice();
        // With receipts: the kernel must delete one knote even if the other does not exist.
        self.kqueue.apply(answers)?;
        self.forget_hang_up(fd, old);
        let is_deleted = |answer: &Kevent| answer.data() == 0;
        if answers.iter().any(is_deleted) {
            return Ok(true);
        }
        none_deleted(answers)
    }

    /// Takes back knotes that may have been added just now. Those that were can be deleted.
    #[cold]
    fn undo(&self, fd: RawFd, added: Registration) {
        let _ = self.delete(fd, added);
    }

    /// From one registration to another with the same trigger. `None` if the kernel knows nothing of the
    /// old one.
    #[inline]
    pub(crate) fn change(
        &self,
        fd: RawFd,
        old: Registration,
        new: Registration,
    ) -> io::Result<Option<Registration>> {
        if !ENABLE_IS_ENOUGH && !self.has(fd, old) {
            return Ok(None);
        }
        let Err(error) = self.apply(Changes::between(fd, old, new).as_slice()) else {
            return Ok(Some(new));
        };
        // The additions that may have been made.
        self.undo(fd, new.only(new.interest.without(old.interest)));
        if is_absent(&error) || is_refusal(&error) {
            // Step by step.
            return self.replace(fd, old, new);
        }
        Err(error)
    }

    /// From any registration to any other, in three steps. `None` if the kernel knows nothing of the old
    /// one.
    #[cold]
    pub(crate) fn replace(
        &self,
        fd: RawFd,
        old: Registration,
        new: Registration,
    ) -> io::Result<Option<Registration>> {
        let known = old.in_kernel();
        self.forget_hang_up(fd, old);
        // The additions that may be refused come first (law 1).
        let added = new.only(new.interest.without(known.interest));
        let added = self.add(fd, added).inspect_err(|_| {
            if old.hung_up {
                let _ = self.report_hang_up(fd, old.token.0, old.mode());
            }
        })?;
        let had = self
            .delete(fd, known)
            .inspect_err(|_| self.undo(fd, added))?;
        if !had && !added.hung_up && !self.is_refused_writer(fd, old) {
            self.undo(fd, added);
            return Ok(None);
        }
        match self.add(fd, new.only(new.interest.without(added.interest))) {
            Ok(kept) => Ok(Some(Registration {
                hung_up: added.hung_up || kept.hung_up,
                ..new
            })),
            Err(error) => {
                // Back to the old one. It was accepted before.
                self.undo(fd, added);
                let _ = self.add(fd, old);
                Err(error)
            }
        }
    }

    /// Whether the kernel still has the knotes of a registration: whether its file is open under this
    /// number. It is asked by a change that changes nothing.
    pub(crate) fn has(&self, fd: RawFd, known: Registration) -> bool {
        let probe = Changes::each(fd, known.in_kernel(), EventFlags::empty());
        let answer = probe.as_slice().first().map(|probe| self.apply(&[*probe]));
        let present = answer.is_some_and(|answer| !answer.is_err_and(|error| is_absent(&error)));
        present || self.is_refused_writer(fd, known)
    }

    /// Whether this is a pipe without a reader, whose WRITE knote the kernel has refused or dropped
    /// (K133): then "no such knote" does not mean that it is another file.
    #[cold]
    pub(crate) fn is_refused_writer(&self, fd: RawFd, known: Registration) -> bool {
        if cfg!(any(target_os = "linux", target_os = "android")) || !known.interest.is_writable() {
            return false;
        }
        let writing = known.only(Interest::WRITABLE);
        let probe = Changes::each(fd, writing, EventFlags::ADD | EventFlags::DISABLE);
        match self.apply(probe.as_slice()) {
            Ok(()) => {
                self.undo(fd, writing);
                false
            }
            Err(error) => is_refusal(&error),
        }
    }
}

/// After no knote was deleted: an error, unless it is that there was none.
#[cold]
fn none_deleted(answers: &[Kevent]) -> io::Result<bool> {
    let mut errors = answers.iter().filter_map(|answer| answer.receipt().err());
    let refusal = errors.find(|error| !is_absent(error));
    refusal.map_or(Ok(false), Err)
}
