//! EVFILT_SIGNAL: the knotes of signals. [`signal_handler`](super::signal_handler) counts them.
//!
//! Every queue that watches a signal has the signal's eventfd in its epoll set, edge-triggered.

use std::{collections::HashMap, io, os::fd::OwnedFd};

use super::{
    epoll,
    knote::{Knote, no_such_knote},
    queue::{Active, EDGE, SIGNAL, internal},
    signal_handler::Installed,
};
use crate::{EventFlags, Filter, Kevent};

/// The signal knotes of one queue, by number.
#[derive(Debug, Default)]
pub(super) struct Signals {
    knotes: HashMap<usize, SignalKnote>,
}

#[derive(Debug)]
struct SignalKnote {
    knote: Knote,
    /// The count that has been reported.
    seen: usize,
    /// The serial of its entry in the list of active knotes, if it has one.
    queued: Option<u64>,
    installed: Installed,
}

impl SignalKnote {
    fn pending(&self) -> usize {
        self.installed.count().wrapping_sub(self.seen)
    }

    /// Has it in the list of active knotes, or not.
    fn enqueue(&mut self, number: usize, active: &mut Active) {
        if !self.knote.is_enabled() || self.pending() == 0 {
            active.cancel(self.queued.take());
        } else if self.queued.is_none() {
            self.queued = Some(active.push(Filter::SIGNAL, number));
        }
    }
}

impl Signals {
    /// Applies a change.
    pub(super) fn change(
        &mut self,
        epoll: &OwnedFd,
        change: &Kevent,
        active: &mut Active,
    ) -> io::Result<()> {
        let (number, flags) = (change.ident(), change.flags());
        if let Some(known) = self.knotes.get_mut(&number) {
            if flags.contains(EventFlags::DELETE) {
                active.cancel(known.queued);
                self.remove(epoll, number);
            } else {
                if flags.contains(EventFlags::ADD) {
                    known.installed.renew()?;
                }
                known.knote.modify(change);
                known.enqueue(number, active);
            }
            return Ok(());
        }
        if !flags.contains(EventFlags::ADD) {
            return Err(no_such_knote());
        }
        let installed = Installed::new(number)?;
        attach(epoll, number, &installed)?;
        let knote = SignalKnote {
            knote: Knote::new(&change.with_flags(flags | EventFlags::CLEAR)),
            seen: installed.count(),
            installed,
            queued: None,
        };
        self.knotes.insert(number, knote);
        Ok(())
    }

    /// Registers the eventfds with a new epoll set.
    pub(super) fn attach(&self, epoll: &OwnedFd) -> io::Result<()> {
        let mut knotes = self.knotes.iter();
        knotes.try_for_each(|(&number, known)| attach(epoll, number, &known.installed))
    }

    fn remove(&mut self, epoll: &OwnedFd, number: usize) {
        if let Some(known) = self.knotes.remove(&number) {
            let eventfd = known.installed.eventfd();
            // It is registered; if it were not, there would be nothing to do.
            let _ = epoll::control(epoll, libc::EPOLL_CTL_DEL, eventfd, 0, 0);
        }
    }

    /// The handler has written the eventfd of a signal.
    pub(super) fn activate(&mut self, number: usize, active: &mut Active) {
        if let Some(knote) = self.knotes.get_mut(&number) {
            knote.enqueue(number, active);
        }
    }

    /// Makes the event of a knote that was found in the list of active ones.
    pub(super) fn collect(
        &mut self,
        epoll: &OwnedFd,
        number: usize,
        serial: u64,
    ) -> Option<Kevent> {
        let known = self.knotes.get_mut(&number)?;
        if known.queued != Some(serial) {
            return None;
        }
        known.queued = None;
        let pending = known.pending();
        if pending == 0 || !known.knote.is_enabled() {
            return None;
        }
        known.seen = known.seen.wrapping_add(pending);
        let event = known
            .knote
            .event(number, Filter::SIGNAL, EventFlags::empty())
            .with_data(pending as i64);
        if known.knote.is_oneshot() {
            self.remove(epoll, number);
        } else if known.knote.fires_once() {
            known.knote.disable();
        }
        Some(event)
    }
}

/// Registers the eventfd of a signal.
fn attach(epoll: &OwnedFd, number: usize, installed: &Installed) -> io::Result<()> {
    let payload = internal(SIGNAL + number as u32);
    epoll::control(
        epoll,
        libc::EPOLL_CTL_ADD,
        installed.eventfd(),
        EDGE,
        payload,
    )
}
