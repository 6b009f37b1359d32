//! The registrations of a loop: watches, signals and sources.

use std::{os::fd::AsFd, process::Child, process::ExitStatus, rc::Rc};

use nio_poll::{Event, Interest, Signal};

use crate::{CallbackKind, Handle, listeners::Order, queues::Origin, readiness::Readiness};

/// A registration with the poll. Its key is the token.
pub(crate) enum Registration {
    /// A watch that is being registered.
    Pending,
    /// A watch. Boxed, because most registrations are sources.
    Watch(Box<Watch>),
    /// A signal. Each of its callbacks is a watch of its own.
    Signal(Signal),
    /// A [`Source`](crate::Source).
    Source(Rc<Attached>),
}

/// The part of a [`Source`](crate::Source) that it shares with its loop.
pub(crate) struct Attached {
    pub(crate) handle: Handle,
    pub(crate) readiness: Readiness,
}

/// The callback of a watch; it runs at each event.
pub(crate) type OnEvent = Box<dyn FnMut(&Handle, Event)>;

/// The callback for the exit of a child.
pub(crate) type OnExit = Box<dyn FnOnce(&Handle, ExitStatus)>;

pub(crate) struct Watch {
    pub(crate) watched: Watched,
    pub(crate) origin: Origin,
    pub(crate) referenced: bool,
}

/// The watched thing and its callback, which is taken out while it runs. A descriptor is kept here so
/// that it is not closed while it is registered.
pub(crate) enum Watched {
    Descriptor(Rc<dyn AsFd>, Interest, Option<OnEvent>),
    File(Rc<dyn AsFd>, Option<OnEvent>),
    Signal(Signal, Order, Option<OnEvent>),
    Child(Child, OnExit),
    /// A child that is borrowed by a future.
    Process(u32, Option<OnEvent>),
}

impl Watch {
    pub(crate) fn kind(&self) -> CallbackKind {
        match self.watched {
            Watched::Descriptor(..) => CallbackKind::Watch,
            Watched::File(..) => CallbackKind::Change,
            Watched::Signal(..) => CallbackKind::Signal,
            Watched::Child(..) | Watched::Process(..) => CallbackKind::Exit,
        }
    }

    pub(crate) fn callback(&mut self) -> Option<&mut Option<OnEvent>> {
        match &mut self.watched {
            Watched::Descriptor(_, _, callback)
            | Watched::File(_, callback)
            | Watched::Signal(_, _, callback)
            | Watched::Process(_, callback) => Some(callback),
            Watched::Child(..) => None,
        }
    }

    /// Whether the watch is interested in an event: its interest may have changed since the poll.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        let Watched::Descriptor(_, interest, _) = &self.watched else {
            return true;
        };
        event.is_readable() && interest.is_readable()
            || event.is_writable() && interest.is_writable()
            || event.is_priority() && interest.is_priority()
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_registration_takes_16_bytes_and_that_of_a_source_56() {
        assert_eq!(size_of::<Option<Registration>>(), 16);
        assert_eq!(size_of::<Attached>(), 56);
    }
}
