//! EVFILT_SIGNAL: the number of deliveries of a signal, which [`signal_handler`](super::signal_handler) counts.
//!
//! Every queue that watches a signal has the signal's eventfd in its epoll set, edge-triggered.

use std::{io, os::fd::RawFd};

use super::{
    filterops::{Answer, Filterops, Host, Report},
    signal_handler::Installed,
};
use crate::{EventFlags, Kevent};

/// A signal that is watched.
#[derive(Debug)]
pub(super) struct Signal {
    installed: Installed,
    /// The count that has been reported, and the number in the last report.
    seen: usize,
    reported: usize,
}

impl Signal {
    /// EV_ADD of a new knote.
    pub(super) fn new(change: &Kevent) -> io::Result<Signal> {
        let installed = Installed::new(change.ident())?;
        Ok(Signal {
            seen: installed.count(),
            reported: 0,
            installed,
        })
    }
}

impl Filterops for Signal {
    fn descriptor(&self) -> Option<RawFd> {
        Some(self.installed.eventfd())
    }

    fn touch(&mut self, change: &Kevent, _: &mut Host<'_>) -> io::Result<()> {
        if change.flags().contains(EventFlags::ADD) {
            self.installed.renew()?;
        }
        Ok(())
    }

    fn report(&mut self) -> Answer {
        self.reported = self.installed.count().wrapping_sub(self.seen);
        if self.reported == 0 {
            return Answer::Nothing;
        }
        Answer::Event(Report {
            data: self.reported as i64,
            ..Report::default()
        })
    }

    fn clear(&mut self) {
        self.seen = self.seen.wrapping_add(self.reported);
    }
}
