//! EVFILT_USER: events that the program triggers itself, wholly in user space.
//!
//! Most of them only wake a thread: EV_CLEAR, no fflags and no data. Such a knote is *quick* while it is
//! enabled and its ident is small: it stands in a table that can be read without the lock, and whether
//! it is triggered is a bit of the queue's [`Bell`]. The laws:
//!
//! 1. The bit of a quick knote is its trigger. Any change but a mere trigger first makes it an
//!    ordinary one, and takes the bit with it.
//! 2. A bit that was set for a knote that is quick no more (by a thread that looked a moment before) is a
//!    trigger of what the knote is now, if there is one.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    sync::Arc,
};

use super::{
    bell::{Bell, QUICK},
    knote::{Knote, no_such_knote},
    queue::{Active, Collected},
    slot::{Slot, Table},
};
use crate::{EventFlags, Filter, Kevent, UserFlags};

/// The user knotes of one queue, by ident.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// Mostly one or two, which a tree finds faster than a hash.
    knotes: BTreeMap<usize, User>,
    /// The quick ones, by ident: each in the place of a READ knote.
    quick: Arc<Table>,
    bell: Arc<Bell>,
    /// A bit has been taken back whose edge may still be there.
    pub(super) silenced: bool,
}

/// Whether a change does nothing but trigger a user knote that may be quick.
#[inline]
pub(super) fn is_trigger(change: &Kevent) -> bool {
    change.filter() == Filter::USER
        && change.ident() < QUICK as usize
        && change.flags().difference(EventFlags::RECEIPT).is_empty()
        && change.fflags() == UserFlags::TRIGGER.bits()
        && change.data() == 0
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

    /// Whether it may be quick: all that is to be known of it is that it has been triggered.
    fn is_simple(&self) -> bool {
        let only_clear = self.knote.is_clear() && !self.knote.fires_once();
        only_clear
            && self.knote.is_enabled()
            && (self.fflags, self.data, self.triggered) == (0, 0, false)
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
    pub(super) fn quick(&self) -> Arc<Table> {
        Arc::clone(&self.quick)
    }

    pub(super) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Applies a change.
    pub(super) fn change(&mut self, change: &Kevent, active: &mut Active) -> io::Result<()> {
        self.slow_down(change.ident(), active);
        let result = self.change_any(change, active);
        self.quicken(change.ident());
        result
    }

    /// Makes a knote quick, if it is simple.
    fn quicken(&mut self, ident: usize) {
        let simple = self.knotes.get(&ident).filter(|user| user.is_simple());
        let Some(user) = simple.filter(|_| ident < QUICK as usize) else {
            return;
        };
        let slot = Slot {
            knotes: [Some(user.knote), None, None],
            plain: true,
            ..Slot::default()
        };
        self.quick.get_or_grow(ident as i32).store(&slot);
    }

    /// Makes a knote that is quick an ordinary one.
    fn slow_down(&mut self, ident: usize, active: &mut Active) {
        let Some(cell) = self.quick.get(ident).filter(|cell| !cell.is_vacant()) else {
            return;
        };
        cell.clear();
        if self.bell.cancel(1 << ident) {
            self.silenced = true;
            self.activate(ident, active);
        }
    }

    /// Triggers a knote by the bit that it has, or had when somebody looked (law 2).
    pub(super) fn activate(&mut self, ident: usize, active: &mut Active) {
        if let Some(user) = self.knotes.get_mut(&ident) {
            if let Some(cell) = self.quick.get(ident) {
                cell.clear();
            }
            user.triggered = true;
            user.enqueue(ident, active);
        }
    }

    fn change_any(&mut self, change: &Kevent, active: &mut Active) -> io::Result<()> {
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
        let event = self.collect_any(ident, serial, active);
        self.quicken(ident);
        event
    }

    fn collect_any(&mut self, ident: usize, serial: u64, active: &mut Active) -> Collected {
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
