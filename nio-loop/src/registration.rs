//! What is registered with the poll of a loop: watches and sources.

use std::{os::fd::AsFd, process::Child, process::ExitStatus, rc::Rc};

use nio_poll::{Event, Poll, Signal};

use crate::{CallbackKind, Handle, queues::Origin, sources::Readiness};

/// What a token of the poll stands for.
pub(crate) enum Registration {
    /// A watch that is being registered.
    Pending,
    /// A callback. Boxed, as most registrations are sources.
    Watch(Box<Watch>),
    /// A [`Source`](crate::Source).
    Source(Rc<Attached>),
}

/// The part of a [`Source`](crate::Source) that its loop shares.
pub(crate) struct Attached {
    pub(crate) handle: Handle,
    pub(crate) readiness: Readiness,
}

/// A callback that runs at each event.
pub(crate) type OnEvent = Box<dyn FnMut(&Handle, Event)>;

/// A callback for the exit of a child.
pub(crate) type OnExit = Box<dyn FnOnce(&Handle, ExitStatus)>;

pub(crate) struct Watch {
    pub(crate) watched: Watched,
    pub(crate) origin: Origin,
    pub(crate) referenced: bool,
}

/// What is watched, and by which callback. That is absent while it runs. A descriptor is kept here,
/// so that it is not closed while it is registered.
pub(crate) enum Watched {
    Descriptor(Rc<dyn AsFd>, Option<OnEvent>),
    File(Rc<dyn AsFd>, Option<OnEvent>),
    Signal(Signal, Option<OnEvent>),
    Child(Child, OnExit),
}

impl Watch {
    pub(crate) fn kind(&self) -> CallbackKind {
        match self.watched {
            Watched::Descriptor(..) => CallbackKind::Watch,
            Watched::File(..) => CallbackKind::Change,
            Watched::Signal(..) => CallbackKind::Signal,
            Watched::Child(..) => CallbackKind::Exit,
        }
    }

    pub(crate) fn callback(&mut self) -> Option<&mut Option<OnEvent>> {
        match &mut self.watched {
            Watched::Descriptor(_, callback)
            | Watched::File(_, callback)
            | Watched::Signal(_, callback) => Some(callback),
            Watched::Child(..) => None,
        }
    }

    pub(crate) fn deregister(&self, poll: &Poll) {
        // It was registered, so there is nothing to fail; but a process that has exited is no more.
        let _ = match &self.watched {
            Watched::Descriptor(descriptor, _) => poll.deregister(descriptor),
            Watched::File(file, _) => poll.deregister_file(file),
            Watched::Signal(signal, _) => poll.deregister_signal(*signal),
            Watched::Child(child, _) => poll.deregister_process(child.id()),
        };
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
