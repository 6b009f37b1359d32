//! What is registered with a poll.
//!
//! The kernel knows it too, but cannot be asked: without this table, a second registration of the
//! same thing would silently replace the first. The kernel also forgets by itself, when a descriptor
//! is closed or a process has exited, so what the table says is checked before it is an error.

use std::{collections::HashMap, fmt, os::fd::RawFd};

use nio_sys::{CaughtSignal, EventFlags, Filter, Kevent};

use crate::{Interest, Signal, Subject, Token, Trigger};

/// The tables of one poll.
#[derive(Default)]
pub(crate) struct Registry {
    /// Descriptors that are watched for reading and writing, by number.
    descriptors: Vec<Option<Registration>>,
    /// Everything else, by filter and ident, as it was registered.
    pub(crate) others: HashMap<(Filter, usize), Kevent>,
    /// While a signal is watched it is kept from doing what it does by default.
    pub(crate) caught: HashMap<Signal, CaughtSignal>,
}

impl Registry {
    pub(crate) fn descriptor(&self, fd: RawFd) -> Option<Registration> {
        *self.descriptors.get(fd as usize)?
    }

    pub(crate) fn set_descriptor(&mut self, fd: RawFd, registration: Option<Registration>) {
        let index = fd as usize;
        if index >= self.descriptors.len() {
            self.descriptors.resize(index + 1, None);
        }
        self.descriptors[index] = registration;
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for (fd, known) in self.descriptors.iter().enumerate() {
            if let Some(known) = known {
                let Registration {
                    token,
                    interest,
                    trigger,
                } = known;
                list.entry(&format_args!(
                    "descriptor {fd}: {interest:?}, {trigger:?}, {token:?}"
                ));
            }
        }
        let mut others: Vec<_> = self.others.values().collect();
        others.sort_by_key(|knote| (knote.filter(), knote.ident()));
        for knote in others {
            let ident = knote.ident();
            let subject = match knote.filter() {
                Filter::SIGNAL => Subject::Signal(Signal::from_raw(ident as i32)),
                Filter::PROC => Subject::Process(ident as u32),
                Filter::TIMER => Subject::Timer(Token(ident)),
                _ => Subject::File(ident as RawFd),
            };
            list.entry(&format_args!("{subject}: {:?}", Token(knote.udata())));
        }
        list.finish()
    }
}

/// How a descriptor is registered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registration {
    pub(crate) token: Token,
    pub(crate) interest: Interest,
    pub(crate) trigger: Trigger,
}

const FILTERS: [Filter; 2] = [Filter::READ, Filter::WRITE];

impl Registration {
    fn has(self, filter: Filter) -> bool {
        match filter {
            Filter::READ => self.interest.is_readable(),
            _ => self.interest.is_writable(),
        }
    }

    /// What the trigger is called in the flags of a knote.
    fn mode(self) -> EventFlags {
        match self.trigger {
            Trigger::Edge => EventFlags::CLEAR,
            Trigger::Level => EventFlags::empty(),
            Trigger::Oneshot => EventFlags::DISPATCH,
        }
    }

    /// A change of one knote of this registration.
    fn knote(self, fd: RawFd, filter: Filter, flags: EventFlags) -> Kevent {
        Kevent::new(fd as usize, filter, flags | self.mode()).with_udata(self.token.0)
    }

    /// The same change of each of its knotes.
    pub(crate) fn knotes(self, fd: RawFd, flags: EventFlags) -> impl Iterator<Item = Kevent> {
        FILTERS
            .into_iter()
            .filter(move |&filter| self.has(filter))
            .map(move |filter| self.knote(fd, filter, flags))
    }
}

/// The changes of one call: two deletions and two additions at most, the deletions first.
pub(crate) struct Changes {
    list: [Kevent; 4],
    len: usize,
    /// The mode of what is added.
    pub(crate) mode: EventFlags,
}

impl Changes {
    /// What leads from one registration of a descriptor to another. What a knote's mode is, is
    /// fixed when it is added, so another trigger takes a deletion and an addition.
    pub(crate) fn between(
        fd: RawFd,
        old: Option<Registration>,
        new: Option<Registration>,
    ) -> Changes {
        let filler = Kevent::new(0, Filter::READ, EventFlags::empty());
        let mut changes = Changes {
            list: [filler; 4],
            len: 0,
            mode: new.map_or(EventFlags::empty(), Registration::mode),
        };
        for filter in FILTERS {
            let old = old.filter(|old| old.has(filter));
            let new = new.filter(|new| new.has(filter));
            match (old, new) {
                (Some(old), Some(new)) if old.trigger == new.trigger => {}
                (Some(old), _) => changes.push(old.knote(fd, filter, EventFlags::DELETE)),
                (None, _) => {}
            }
        }
        for knote in new
            .into_iter()
            .flat_map(|new| new.knotes(fd, EventFlags::ADD | EventFlags::ENABLE))
        {
            changes.push(knote);
        }
        changes
    }

    fn push(&mut self, change: Kevent) {
        self.list[self.len] = change;
        self.len += 1;
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [Kevent] {
        &mut self.list[..self.len]
    }
}
