//! EVFILT_USER: events that the program triggers itself, wholly in user space.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
};

use super::{
    knote::{Knote, no_such_knote},
    queue::{Active, Collected},
};
use crate::{EventFlags, Filter, Kevent, UserFlags};

/// The user knotes of one queue, by ident.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// Mostly one or two, which a tree finds faster than a hash.
    knotes: BTreeMap<usize, User>,
}

#[derive(Debug)]
struct User {
    knote: Knote,
    /// The 24 bits that NOTE_FFAND, NOTE_FFOR and NOTE_FFCOPY work on.
    fflags: u32,
    data: i64,
    triggered: bool,
    /// The serial of its entry in the list of active knotes, if it has one.
    queued: Option<u64>,
}

impl User {
    /// What a change does beyond what it does to every knote.
    fn touch(&mut self, change: &Kevent) {
        let given = change.fflags();
        let bits = given & UserFlags::FFLAGSMASK.bits();
        match UserFlags::from_bits_retain(given) & UserFlags::FFCTRLMASK {
            UserFlags::FFAND => self.fflags &= bits,
            UserFlags::FFOR => self.fflags |= bits,
            UserFlags::FFCOPY => self.fflags = bits,
            _ => {}
        }
        self.data = change.data();
        if given & UserFlags::TRIGGER.bits() != 0 {
            self.triggered = true;
        }
    }

    /// Has it in the list of active knotes, or not.
    fn enqueue(&mut self, ident: usize, active: &mut Active) {
        if !self.triggered || !self.knote.is_enabled() {
            active.cancel(self.queued.take());
        } else if self.queued.is_none() {
            self.queued = Some(active.push(Filter::USER, ident));
        }
    }
}

impl Users {
    /// Applies a change.
    pub(super) fn change(&mut self, change: &Kevent, active: &mut Active) -> io::Result<()> {
        let (ident, flags) = (change.ident(), change.flags());
        let user = match self.knotes.entry(ident) {
            Entry::Occupied(entry) if flags.contains(EventFlags::DELETE) => {
                active.cancel(entry.remove().queued);
                return Ok(());
            }
            Entry::Occupied(entry) => {
                let user = entry.into_mut();
                user.knote.modify(change);
                user.touch(change);
                if flags.contains(EventFlags::CLEAR) {
                    // EV_CLEAR in a modification resets the state, a trigger in the very same
                    // change included (K167).
                    user.triggered = false;
                }
                user
            }
            Entry::Vacant(entry) if flags.contains(EventFlags::ADD) => {
                let user = entry.insert(User {
                    knote: Knote::new(change),
                    fflags: 0,
                    data: 0,
                    triggered: false,
                    queued: None,
                });
                user.fflags = change.fflags() & UserFlags::FFLAGSMASK.bits();
                user.data = change.data();
                user.triggered = change.fflags() & UserFlags::TRIGGER.bits() != 0;
                user
            }
            Entry::Vacant(_) => return Err(no_such_knote()),
        };
        user.enqueue(ident, active);
        Ok(())
    }

    /// Makes the event of a knote that was found in the list of active ones.
    pub(super) fn collect(&mut self, ident: usize, serial: u64, active: &mut Active) -> Collected {
        let Entry::Occupied(mut entry) = self.knotes.entry(ident) else {
            return None;
        };
        let user = entry.get_mut();
        if user.queued != Some(serial) {
            return None;
        }
        user.queued = None;
        if !user.triggered || !user.knote.is_enabled() {
            return None;
        }
        let event = user
            .knote
            .event(ident, Filter::USER, EventFlags::empty())
            .with_fflags(user.fflags)
            .with_data(user.data);
        if user.knote.is_oneshot() {
            entry.remove();
            return Some(event);
        }
        if user.knote.is_clear() {
            user.triggered = false;
            user.data = 0;
        }
        if user.knote.fires_once() {
            user.knote.disable();
        }
        user.enqueue(ident, active);
        Some(event)
    }
}
