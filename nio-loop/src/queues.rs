//! What runs once and soon: ticks, immediates, and what comes at the close of a turn.

use std::{collections::VecDeque, panic::Location};

use crate::{
    CallbackId, Handle,
    core::{Call, Core, Origin},
    handle::Kind,
    slab::{Key, Slab},
};

/// Immediates by key, and the keys in order. A cleared one leaves its key behind.
#[derive(Default)]
pub(crate) struct Immediates {
    pub(crate) callbacks: Slab<Immediate>,
    pub(crate) order: VecDeque<Key>,
    /// How many of them keep the loop alive, and so from sleeping.
    pub(crate) referenced: usize,
}

pub(crate) struct Immediate {
    pub(crate) call: Call,
    pub(crate) origin: Origin,
    pub(crate) referenced: bool,
}

impl Core {
    /// Takes an immediate out of the loop.
    pub(crate) fn remove_immediate(&self, key: Key) -> Option<Immediate> {
        let mut immediates = self.immediates.borrow_mut();
        let immediate = immediates.callbacks.remove(key)?;
        immediates.referenced -= usize::from(immediate.referenced);
        self.release(immediate.referenced);
        Some(immediate)
    }

    /// Changes whether an immediate keeps the loop alive. Returns false if there is none.
    pub(crate) fn reference_immediate(&self, key: Key, to: bool) -> bool {
        let mut immediates = self.immediates.borrow_mut();
        let immediates = &mut *immediates;
        let Some(immediate) = immediates.callbacks.get_mut(key) else {
            return false;
        };
        immediates.referenced -= usize::from(immediate.referenced);
        immediates.referenced += usize::from(to);
        self.change_reference(&mut immediate.referenced, to);
        self.rouse();
        true
    }
}

impl Handle {
    /// Runs a callback after the I/O events of this turn; if the immediates of this turn are already
    /// running, of the next one. Immediates run in the order in which they were set.
    #[track_caller]
    pub fn set_immediate(&self, callback: impl FnOnce(&Handle) + 'static) -> CallbackId {
        self.immediate_at(Location::caller(), callback)
    }

    pub(crate) fn immediate_at(
        &self,
        place: &'static Location<'static>,
        callback: impl FnOnce(&Handle) + 'static,
    ) -> CallbackId {
        let core = &self.core;
        if core.closed.get() {
            return CallbackId(Kind::Nothing);
        }
        let immediate = Immediate {
            call: Call::new(callback, place),
            origin: core.origin(place),
            referenced: true,
        };
        core.retain(true);
        let mut immediates = core.immediates.borrow_mut();
        let key = immediates.callbacks.insert(immediate);
        immediates.order.push_back(key);
        immediates.referenced += 1;
        core.rouse();
        CallbackId(Kind::Immediate(key))
    }

    /// Runs a callback as soon as the one that runs now has returned: before woken tasks, and before
    /// anything else that the loop does. It cannot be cleared.
    ///
    /// A tick that sets the next one for ever keeps the loop from everything else for 100,000 of
    /// them, which is reported as a [`Warning`](crate::Warning) and never intended; the next ones
    /// wait for the other phases then. [`set_immediate`](Handle::set_immediate) is for what goes on
    /// for ever.
    #[track_caller]
    pub fn next_tick(&self, callback: impl FnOnce(&Handle) + 'static) {
        let core = &self.core;
        if !core.closed.get() {
            let call = Call::new(callback, Location::caller());
            core.ticks.borrow_mut().push_back(call);
            core.rouse();
        }
    }

    /// Ends a callback as [`clear`](Handle::clear) does, and runs another one when that is over: in
    /// the last phase of this turn, in the order of the calls. There, what was closed is gone: its
    /// descriptor is no more registered, and closed if nobody else has it. Returns false, and drops
    /// the closure, if the callback was gone already.
    ///
    /// ```
    /// # use std::{cell::Cell, rc::Rc, time::Duration};
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle().clone();
    /// let closed = Rc::new(Cell::new(false));
    /// let flag = Rc::clone(&closed);
    /// let timeout = handle.set_timeout(Duration::from_secs(3600), |_| unreachable!());
    /// handle.close(timeout, move |_| flag.set(true));
    /// event_loop.run()?;
    /// assert!(closed.get());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn close(&self, id: CallbackId, then: impl FnOnce(&Handle) + 'static) -> bool {
        let found = self.clear(id);
        if found {
            let call = Call::new(then, Location::caller());
            self.core.retain(true);
            self.core.closing.borrow_mut().push_back(call);
            self.core.rouse();
        }
        found
    }
}
