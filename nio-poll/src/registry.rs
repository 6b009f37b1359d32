//! What is registered with a poll.
//!
//! The kernel knows it too, but cannot be asked: without this table, a second registration of the
//! same thing would silently replace the first. The kernel also forgets by itself, when a descriptor
//! is closed or a process has exited, so what the table says is checked before it is an error.

use std::{collections::HashMap, fmt, os::fd::RawFd};

use nio_sys::{CaughtSignal, EventFlags, Filter, Kevent};

use crate::{FileChange, Interest, Signal, Subject, Timer, Token, Trigger, user::UserEvent};

/// The tables of one poll.
#[derive(Default)]
pub(crate) struct Registry {
    /// Descriptors that are watched for reading and writing, by number.
    descriptors: Vec<Option<Registration>>,
    /// Everything else, by filter and ident, as it was registered.
    pub(crate) others: HashMap<(Filter, usize), Kevent>,
    /// User events, but not those of wakers.
    pub(crate) users: HashMap<Token, UserEvent>,
    /// The tokens of the wakers, to be shown.
    pub(crate) wakers: Vec<Token>,
    /// While a signal is watched it is kept from doing what it does by default.
    pub(crate) caught: HashMap<Signal, CaughtSignal>,
}

impl Registry {
    #[inline]
    pub(crate) fn descriptor(&self, fd: RawFd) -> Option<Registration> {
        *self.descriptors.get(fd as usize)?
    }

    #[inline]
    pub(crate) fn set_descriptor(&mut self, fd: RawFd, registration: Option<Registration>) {
        match self.descriptors.get_mut(fd as usize) {
            Some(place) => *place = registration,
            None => self.grow(fd as usize, registration),
        }
    }

    #[cold]
    fn grow(&mut self, index: usize, registration: Option<Registration>) {
        self.descriptors.resize(index + 1, None);
        self.descriptors[index] = registration;
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for (fd, known) in self.descriptors.iter().enumerate() {
            if let Some(known) = known {
                let (interest, trigger, token) = (known.interest, known.trigger, known.token);
                list.entry(&format_args!(
                    "descriptor {fd}: {interest:?}, {trigger:?}, {token:?}"
                ));
            }
        }
        let mut others: Vec<_> = self.others.values().collect();
        others.sort_by_key(|knote| (knote.filter(), knote.ident()));
        for knote in others {
            let (ident, token) = (knote.ident(), Token(knote.udata()));
            match knote.filter() {
                Filter::SIGNAL => {
                    let subject = Subject::Signal(Signal::from_raw(ident as i32));
                    list.entry(&format_args!("{subject}: {token:?}"));
                }
                Filter::PROC => {
                    let subject = Subject::Process(ident as u32);
                    list.entry(&format_args!("{subject}: {token:?}"));
                }
                Filter::TIMER => {
                    list.entry(&format_args!("timer: {:?}, {token:?}", Timer::of(knote)));
                }
                _ => {
                    let subject = Subject::File(ident as RawFd);
                    let changes = FileChange::from_fflags(knote.fflags());
                    list.entry(&format_args!("{subject}: {changes:?}, {token:?}"));
                }
            }
        }
        let mut users: Vec<_> = self.users.keys().collect();
        users.sort_unstable();
        for token in users {
            list.entry(&format_args!("user event: {token:?}"));
        }
        for token in &self.wakers {
            list.entry(&format_args!("waker: {token:?}"));
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
    #[inline]
    fn has(self, filter: Filter) -> bool {
        match filter {
            Filter::READ => self.interest.is_readable(),
            _ => self.interest.is_writable(),
        }
    }

    /// Whether the knote of a filter can stay when this registration follows `old`. What a knote's mode
    /// is, is fixed when it is added (K60).
    #[inline]
    fn keeps(self, old: Registration, filter: Filter) -> bool {
        self.has(filter) && self.trigger == old.trigger
    }
}

/// What a trigger is called in the flags of a knote.
#[inline]
pub(crate) fn mode(trigger: Trigger) -> EventFlags {
    match trigger {
        Trigger::Edge => EventFlags::CLEAR,
        Trigger::Level => EventFlags::empty(),
        Trigger::Oneshot => EventFlags::DISPATCH,
    }
}

/// The changes that lead from one registration of a descriptor to another: two deletions and two
/// additions at most, the deletions first.
pub(crate) struct Changes {
    list: [Kevent; 4],
    len: usize,
    /// How many of them are deletions.
    pub(crate) deletions: usize,
    /// The mode of what is added.
    pub(crate) mode: EventFlags,
}

impl Changes {
    #[inline(always)]
    pub(crate) fn between(
        fd: RawFd,
        old: Option<Registration>,
        new: Option<Registration>,
    ) -> Changes {
        let change = |filter, flags| Kevent::new(fd as usize, filter, flags);
        let mut changes = Changes {
            list: [change(Filter::READ, EventFlags::empty()); 4],
            len: 0,
            deletions: 0,
            mode: new.map_or(EventFlags::empty(), |new| mode(new.trigger)),
        };
        if let Some(old) = old {
            for filter in FILTERS {
                if old.has(filter) && !new.is_some_and(|new| new.keeps(old, filter)) {
                    changes.push(change(filter, EventFlags::DELETE));
                }
            }
            changes.deletions = changes.len;
        }
        if let Some(new) = new {
            // An addition also enables: a oneshot that has fired is disabled (K63).
            let flags = EventFlags::ADD | EventFlags::ENABLE | changes.mode;
            for filter in FILTERS {
                if new.has(filter) {
                    changes.push(change(filter, flags).with_udata(new.token.0));
                }
            }
        }
        changes
    }

    #[inline]
    fn push(&mut self, change: Kevent) {
        self.list[self.len] = change;
        self.len += 1;
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Kevent] {
        &mut self.list[..self.len]
    }
}
