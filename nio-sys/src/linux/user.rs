//! EVFILT_USER: events that the program triggers. Their state is in user space alone.

use std::io;

use super::filterops::{Answer, Filterops, Host, Report};
use crate::{EventFlags, Kevent, UserFlags};

/// The state of a user event.
#[derive(Debug)]
pub(super) struct User {
    /// The 24 bits that NOTE_FFAND, NOTE_FFOR and NOTE_FFCOPY work on.
    fflags: u32,
    data: i64,
    triggered: bool,
}

impl User {
    /// EV_ADD of a new knote. NOTE_TRIGGER in the same change triggers it (K163).
    pub(super) fn new(change: &Kevent) -> User {
        User {
            fflags: change.fflags() & UserFlags::FFLAGSMASK.bits(),
            data: change.data(),
            triggered: change.fflags() & UserFlags::TRIGGER.bits() != 0,
        }
    }
}

impl Filterops for User {
    fn touch(&mut self, change: &Kevent, _: &mut Host<'_>) -> io::Result<()> {
        let given = change.fflags();
        let bits = given & UserFlags::FFLAGSMASK.bits();
        match UserFlags::from_bits_retain(given) & UserFlags::FFCTRLMASK {
            UserFlags::FFAND => self.fflags &= bits,
            UserFlags::FFOR => self.fflags |= bits,
            UserFlags::FFCOPY => self.fflags = bits,
            _ => {}
        }
        self.data = change.data();
        self.triggered |= given & UserFlags::TRIGGER.bits() != 0;
        if change.flags().contains(EventFlags::CLEAR) {
            // EV_CLEAR in a modification resets the state, including a trigger in the same change (K167).
            self.triggered = false;
        }
        Ok(())
    }

    fn report(&mut self) -> Answer {
        if !self.triggered {
            return Answer::Nothing;
        }
        Answer::Event(Report {
            fflags: self.fflags,
            data: self.data,
            ..Report::default()
        })
    }

    fn clear(&mut self) {
        self.triggered = false;
        self.data = 0;
    }
}
