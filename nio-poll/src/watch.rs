//! Watches: all registrations except those of a descriptor's readiness. Each is one knote.
//!
//! Laws:
//! 1. Some watches end by themselves: a one-shot timer expires, a process exits, a file is closed. Their
//!    entries leave the table when the key is used again, when the poll is printed, or when the table has
//!    doubled since the last search. So the table has at most twice as many entries as there are watches.
//! 2. Ending a watch asks the kernel, even if the table has no entry.

use std::{os::unix::net::UnixStream, sync::Arc, time::Instant};

use nio_sys::{CaughtSignal, EventFlags, Filter, Kevent};

use crate::{
    Error, FileChange, Poll, Signal, Subject, Timer, Token,
    knotes::is_absent,
    registry::{Registry, Shared},
};

/// The table is not searched for ended watches while it has fewer entries.
const FEW: usize = 64;

/// One watch, as it was registered.
pub(crate) struct Watch {
    pub(crate) knote: Kevent,
    /// When a one-shot timer expires.
    pub(crate) expires: Option<Instant>,
    /// Keeps a signal from its default action.
    #[expect(dead_code, reason = "only its drop matters")]
    pub(crate) caught: Option<CaughtSignal>,
    /// The sockets of a waker where the kernel has no user events.
    pub(crate) pair: Option<Arc<(UnixStream, UnixStream)>>,
}

impl Watch {
    pub(crate) fn new(knote: Kevent) -> Watch {
        Watch {
            knote,
            expires: None,
            caught: None,
            pair: None,
        }
    }

    fn key(&self) -> (Filter, usize) {
        (self.knote.filter(), self.knote.ident())
    }

    /// The line of this watch in the debug output of a poll.
    pub(crate) fn line(&self) -> String {
        let (ident, token) = (self.knote.ident(), Token(self.knote.udata()));
        match self.knote.filter() {
            Filter::SIGNAL => format!("{:?}: {token:?}", Signal::from_raw(ident as i32)),
            Filter::PROC => format!("{}: {token:?}", Subject::Process(ident as u32)),
            Filter::TIMER => format!("timer: {:?}, {token:?}", Timer::of(&self.knote)),
            Filter::USER => format!("waker: {token:?}"),
            _ => {
                let subject = Subject::File(ident as i32);
                let changes = FileChange::from_fflags(self.knote.fflags());
                format!("{subject}: {changes:?}, {token:?}")
            }
        }
    }
}

impl Registry {
    /// Adds an entry, or replaces one.
    pub(crate) fn insert(&mut self, shared: &Shared, watch: Watch) {
        if self.watches.len() >= self.most_watches.max(FEW) {
            self.remove_ended(shared);
        }
        self.watches.insert(watch.key(), watch);
    }

    /// Removes the entries of watches that have ended by themselves (law 1).
    pub(crate) fn remove_ended(&mut self, shared: &Shared) {
        let now = Instant::now();
        self.watches
            .retain(|_, watch| !shared.has_ended(watch, now));
        self.most_watches = 2 * self.watches.len();
    }
}

impl Shared {
    /// Whether a watch has ended by itself. A change without effect asks the kernel; for a timer the time
    /// decides.
    fn has_ended(&self, watch: &Watch, now: Instant) -> bool {
        match watch.knote.filter() {
            Filter::PROC | Filter::VNODE => {
                let probe = self.apply(&[watch.knote.with_flags(EventFlags::empty())]);
                probe.is_err_and(|error| is_absent(&error))
            }
            _ => watch.expires.is_some_and(|expires| expires <= now),
        }
    }
}

impl Poll {
    /// Registers a watch.
    pub(crate) fn watch(&self, subject: Subject, watch: Watch) -> Result<(), Error> {
        let shared = self.shared();
        let refused = |source| Error::Refused { subject, source };
        let mut registry = shared.lock().map_err(refused)?;
        if let Some(known) = registry.watches.get(&watch.key()) {
            if !shared.has_ended(known, Instant::now()) {
                let token = Token(known.knote.udata());
                return Err(Error::AlreadyRegistered { subject, token });
            }
        }
        shared.apply(&[watch.knote]).map_err(refused)?;
        registry.insert(shared, watch);
        Ok(())
    }

    /// Ends a watch (law 2). One that has ended by itself may be ended once more.
    pub(crate) fn unwatch(
        &self,
        subject: Subject,
        filter: Filter,
        ident: usize,
    ) -> Result<(), Error> {
        let shared = self.shared();
        let refused = |source| Error::Refused { subject, source };
        let mut registry = shared.lock().map_err(refused)?;
        let known = registry.watches.contains_key(&(filter, ident));
        match shared.apply(&[Kevent::new(ident, filter, EventFlags::DELETE)]) {
            Ok(()) => {}
            Err(error) if known && is_absent(&error) && ends_by_itself(filter) => {}
            Err(error) if known && !is_absent(&error) => return Err(refused(error)),
            Err(_) => {
                registry.watches.remove(&(filter, ident));
                return Err(Error::NotRegistered { subject });
            }
        }
        let ended = registry.watches.remove(&(filter, ident));
        drop(registry);
        drop(ended); // restores the default action of a signal, without the lock
        Ok(())
    }
}

fn ends_by_itself(filter: Filter) -> bool {
    matches!(filter, Filter::TIMER | Filter::PROC)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn entries_of_expired_timers_leave_the_table_as_it_grows() {
        let poll = Poll::new().unwrap();
        let live = Timer::Every(Duration::from_secs(3600));
        for token in 0..10 {
            poll.register_timer(live, Token(token)).unwrap();
        }
        for token in 10..5000 {
            let once = Timer::After(Duration::from_nanos(1));
            poll.register_timer(once, Token(token)).unwrap();
            assert!(poll.shared().lock().unwrap().watches.len() <= FEW + 1);
        }
        for token in 0..10 {
            poll.deregister_timer(Token(token)).unwrap();
        }
    }
}
