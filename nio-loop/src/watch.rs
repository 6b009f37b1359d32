//! Descriptors and signals that callbacks wait for.

use std::{os::fd::AsFd, rc::Rc};

use nio_poll::{Event, Poll, Signal};

use crate::{Handle, core::Core, slab::Key, source::Entry};

/// A callback that runs at each event.
pub(crate) type OnEvent = Box<dyn FnMut(&Handle, Event)>;

pub(crate) struct Watch {
    pub(crate) what: Watched,
    /// Absent while it runs.
    pub(crate) callback: Option<OnEvent>,
    pub(crate) referenced: bool,
}

pub(crate) enum Watched {
    /// Kept here, so that it is not closed while it is registered.
    Descriptor(Rc<dyn AsFd>),
    Signal(Signal),
}

impl Watch {
    pub(crate) fn deregister(&self, poll: &Poll) {
        // It was registered, so there is nothing to fail.
        let _ = match &self.what {
            Watched::Descriptor(descriptor) => poll.deregister(descriptor),
            Watched::Signal(signal) => poll.deregister_signal(*signal),
        };
    }
}

impl Core {
    /// Ends a watch.
    pub(crate) fn remove_watch(&self, key: Key) -> Option<Entry> {
        let entry = self.sources.borrow_mut().remove(key)?;
        entry.deregister(&self.poll);
        if let Entry::Watch(watch) = &entry {
            self.release(watch.referenced);
        }
        Some(entry)
    }

    /// Puts the callback of a watch back after its run, or returns it if the watch was cleared
    /// meanwhile.
    pub(crate) fn put_back_watch(&self, key: Key, on_event: OnEvent) -> Option<OnEvent> {
        match self.sources.borrow_mut().get_mut(key) {
            Some(Entry::Watch(watch)) => watch.callback.replace(on_event),
            _ => Some(on_event),
        }
    }
}
