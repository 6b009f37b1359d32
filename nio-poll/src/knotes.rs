//! The knotes of a descriptor: from one registration to another, in one call of the kernel.
//!
//! Laws:
//! 1. A change that the kernel refuses changes nothing. A first registration is undone if a part of it is
//!    refused. In a re-registration the additions come first, in a list at whose first refusal the kernel
//!    stops (K40), so the old knotes are untouched.
//! 2. The mode of a knote is fixed when it is added (K60): another trigger is a new knote.
//! 3. A change without EV_ADD says ENOENT if there is no knote (K49). So a re-registration asks for at
//!    least one old knote without EV_ADD.

use std::{io, os::fd::RawFd, slice, time::Duration};

use nio_sys::{EventFlags, EventList, Filter, Kevent};

use crate::{
    Interest, Trigger,
    hang_up::is_refusal,
    registry::{Registration, Shared},
};

const FILTERS: [Filter; 2] = [Filter::READ, Filter::WRITE];

/// Adds a knote, or re-arms one: a oneshot that has fired is disabled (K63).
const ADD: EventFlags = EventFlags::ADD.union(EventFlags::ENABLE);

/// Whether EV_ENABLE alone sets the token and re-arms an edge (K58, K61), and so asks for the old knote.
/// Other systems need EV_ADD, and a change before it that asks.
const ENABLE_IS_ENOUGH: bool = cfg!(any(
    target_os = "linux",
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

/// Whether the answer to a change is no error. Cheaper than [`Kevent::receipt`], which makes one.
fn is_success(answer: &Kevent) -> bool {
    answer.data() == 0
}

impl Registration {
    #[inline]
    fn has(self, filter: Filter) -> bool {
        match filter {
            Filter::READ => self.interest.is_readable(),
            _ => self.interest.is_writable(),
        }
    }

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

    #[inline]
    fn knote(self, fd: RawFd, filter: Filter, flags: EventFlags) -> Kevent {
        Kevent::new(fd as usize, filter, flags).with_udata(self.token.0)
    }
}

/// A change for each filter of an interest.
struct Changes {
    list: [Kevent; 2],
    interest: Interest,
}

impl Changes {
    /// The same change for each filter.
    #[inline]
    fn each(fd: RawFd, registration: Registration, flags: EventFlags) -> Changes {
        Changes {
            list: FILTERS.map(|filter| registration.knote(fd, filter, flags)),
            interest: registration.interest,
        }
    }

    /// From one registration to another with the same trigger.
    #[inline]
    fn between(fd: RawFd, old: Registration, new: Registration) -> Changes {
        let mut list = FILTERS.map(|filter| {
            let flags = match (old.has(filter), new.has(filter)) {
                (true, true) => REARM | new.mode(),
                (false, true) => ADD | new.mode(),
                (_, false) => EventFlags::DELETE,
            };
            new.knote(fd, filter, flags)
        });
        if !old.has(Filter::WRITE) && new.has(Filter::WRITE) {
            list.swap(0, 1); // the addition first (law 1)
        }
        Changes {
            list,
            interest: old.interest | new.interest,
        }
    }

    #[inline]
    fn as_mut_slice(&mut self) -> &mut [Kevent] {
        let from = usize::from(!self.interest.is_readable());
        let to = 1 + usize::from(self.interest.is_writable());
        &mut self.list[from..to]
    }
}

impl Shared {
    /// Makes one change and returns its result.
    #[inline]
    pub(crate) fn apply(&self, mut change: Kevent) -> io::Result<()> {
        self.kqueue.apply(slice::from_mut(&mut change))?;
        change.receipt()
    }

    /// Adds the knotes of a registration, all or none.
    #[inline]
    pub(crate) fn add(&self, fd: RawFd, new: Registration) -> io::Result<Registration> {
        let mut changes = Changes::each(fd, new, ADD | new.mode());
        let answers = changes.as_mut_slice();
        self.kqueue.apply(answers)?;
        if answers.iter().all(is_success) {
            Ok(new)
        } else {
            self.settle(fd, new, answers)
        }
    }

    /// After a part of an addition was refused. A pipe without a reader is registered all the same
    /// (`hang_up`); anything else is undone.
    #[cold]
    fn settle(
        &self,
        fd: RawFd,
        mut new: Registration,
        answers: &[Kevent],
    ) -> io::Result<Registration> {
        let mut result = Ok(());
        for answer in answers {
            if let Err(error) = answer.receipt() {
                new.hung_up = is_refusal(answer, &error)
                    && self.report_hang_up(fd, new.token.0, new.mode()).is_ok();
                if !new.hung_up {
                    result = result.and(Err(error));
                }
            }
        }
        if result.is_err() {
            for answer in answers.iter().filter(|answer| is_success(answer)) {
                let _ = self.apply(answer.with_flags(EventFlags::DELETE));
            }
            self.forget_hang_up(fd, new);
        }
        result.map(|()| new)
    }

    /// Adds the knotes of many registrations in one call, all or none. An error comes with its
    /// descriptor.
    pub(crate) fn add_all(
        &self,
        all: &mut [(RawFd, Registration)],
    ) -> Result<(), (RawFd, io::Error)> {
        let Some(&(first, _)) = all.first() else {
            return Ok(());
        };
        let mut answers = Vec::with_capacity(2 * all.len());
        for &(fd, new) in &*all {
            let mut changes = Changes::each(fd, new, ADD | new.mode());
            answers.extend_from_slice(changes.as_mut_slice());
        }
        let result = self.kqueue.apply(&mut answers);
        result.map_err(|error| (first, error))?;

        let answers = answers.chunk_by(|one, other| one.ident() == other.ident());
        let mut result = Ok(());
        let mut added = Vec::with_capacity(all.len());
        for ((fd, new), answers) in all.iter_mut().zip(answers) {
            match self.settle(*fd, *new, answers) {
                Ok(settled) => {
                    *new = settled;
                    added.push((*fd, settled));
                }
                Err(error) => result = result.and(Err((*fd, error))),
            }
        }
        if result.is_err() {
            for (fd, settled) in added {
                self.undo(fd, settled);
            }
        }
        result
    }

    /// Deletes the knotes of a registration. Returns whether there was any.
    #[inline(always)]
    pub(crate) fn delete(&self, fd: RawFd, old: Registration) -> io::Result<bool> {
        let mut changes = Changes::each(fd, old.in_kernel(), EventFlags::DELETE);
        let answers = changes.as_mut_slice();
        self.kqueue.apply(answers)?;
        self.forget_hang_up(fd, old);
        if answers.iter().any(is_success) {
            return Ok(true);
        }
        none_deleted(answers)
    }

    /// Takes back knotes that were added just now. They were accepted, so they can be deleted.
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
        let mut changes = Changes::between(fd, old, new);
        let changes = changes.as_mut_slice();
        // Without room for answers, the kernel stops at the first refusal (law 1).
        let mut no_room = EventList::with_capacity(0);
        let at_once = Some(Duration::ZERO);
        let result = self.kqueue.kevent(changes, &mut no_room, at_once);
        match result {
            Ok(_) => Ok(Some(new)),
            Err(error)
                if is_absent(&error) || changes.iter().any(|change| is_refusal(change, &error)) =>
            {
                // Undo the addition that may have been made, and go step by step.
                let added = new.only(new.interest.without(old.interest));
                self.undo(fd, added);
                self.replace(fd, old, new)
            }
            Err(error) => Err(error),
        }
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
        let had = self.delete(fd, known)?;
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
        let mut probe = Changes::each(fd, known.in_kernel(), EventFlags::empty());
        let answer = probe.as_mut_slice().first().map(|probe| self.apply(*probe));
        let present = answer.is_some_and(|answer| !answer.is_err_and(|error| is_absent(&error)));
        present || self.is_refused_writer(fd, known)
    }

    /// Whether this is a pipe without a reader, whose WRITE knote the kernel refuses, or has dropped
    /// (K133): then "no such knote" does not mean that it is another file.
    #[cold]
    pub(crate) fn is_refused_writer(&self, fd: RawFd, known: Registration) -> bool {
        if cfg!(target_os = "linux") || !known.interest.is_writable() {
            return false;
        }
        let change = known.knote(fd, Filter::WRITE, EventFlags::ADD | EventFlags::DISABLE);
        match self.apply(change) {
            Ok(()) => {
                let _ = self.apply(change.with_flags(EventFlags::DELETE));
                false
            }
            Err(error) => is_refusal(&change, &error),
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
