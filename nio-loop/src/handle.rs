//! The handle: what callbacks and tasks hold to use their loop.
//!
//! What it can do stands where it belongs: `timer`, `sleep`, `queues`, `watch`, `task`, `blocking`,
//! `remote`, `clock`, `meter` and `report`. Here is what concerns all kinds of callbacks.

use std::{fmt, rc::Rc};

use nio_timer::TimerKey;

use crate::{core::Core, slab::Key, source::Entry, timer::Timer};

/// Uses a loop: arms timers, watches descriptors, spawns tasks. Cheap to clone, and not [`Send`];
/// other threads use a [`Remote`](crate::Remote).
///
/// When the [`EventLoop`](crate::EventLoop) has been dropped, handles that are left do nothing:
/// callbacks given to them are dropped at once and never run.
#[derive(Clone)]
pub struct Handle {
    pub(crate) core: Rc<Core>,
}

/// Names one callback of a loop, to clear it or to change whether it keeps the loop alive. An id is
/// never used twice: when its callback is gone it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackId(pub(crate) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Timer(TimerKey),
    Immediate(Key),
    Watch(Key),
    /// Of a loop that is gone.
    Nothing,
}

impl Handle {
    /// Removes a callback, whichever function has set it. From now on it does not run, also where it
    /// was due in this very turn. Returns false if it was gone already.
    pub fn clear(&self, id: CallbackId) -> bool {
        let core = &self.core;
        match id.0 {
            Kind::Timer(key) => core.cancel_timer(key).is_some(),
            Kind::Immediate(key) => core.remove_immediate(key).is_some(),
            Kind::Watch(key) => core.remove_watch(key).is_some(),
            Kind::Nothing => false,
        }
    }

    /// Clears a callback when the guard is dropped, for callbacks that must not outlive what they
    /// belong to.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::{CallbackGuard, EventLoop};
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// struct Session { _keepalive: CallbackGuard }
    ///
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// let pings = handle.set_interval(Duration::from_secs(30), |_, _| println!("ping"));
    /// let session = Session { _keepalive: handle.guard(pings) };
    /// drop(session);
    /// assert!(!event_loop.run()?); // nothing is left
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "the callback is cleared when the guard is dropped"]
    pub fn guard(&self, id: CallbackId) -> CallbackGuard {
        let handle = self.clone();
        CallbackGuard { handle, id }
    }

    /// Says that a callback does not keep the loop alive: when only such are left, the loop ends and
    /// they do not run. Returns false if the callback is gone.
    pub fn unref(&self, id: CallbackId) -> bool {
        self.set_referenced(id, false)
    }

    /// Takes [`unref`](Handle::unref) back. Returns false if the callback is gone.
    pub fn reref(&self, id: CallbackId) -> bool {
        self.set_referenced(id, true)
    }

    fn set_referenced(&self, id: CallbackId, to: bool) -> bool {
        let core = &self.core;
        match id.0 {
            Kind::Timer(key) => match core.timers.borrow_mut().get_mut(key) {
                Some(Timer::Timeout { referenced, .. } | Timer::Interval { referenced, .. }) => {
                    core.change_reference(referenced, to);
                    true
                }
                _ => false,
            },
            Kind::Immediate(key) => core.reference_immediate(key, to),
            Kind::Watch(key) => match core.sources.borrow_mut().get_mut(key) {
                Some(Entry::Watch(watch)) => {
                    core.change_reference(&mut watch.referenced, to);
                    true
                }
                _ => false,
            },
            Kind::Nothing => false,
        }
    }

    /// Makes [`run`](crate::EventLoop::run) and its relatives return when this turn is done. What is
    /// still set stays set. A stop while the loop does not run makes the next run return at once.
    pub fn stop(&self) {
        self.core.stopping.set(true);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("alive", &self.core.alive.get())
            .finish_non_exhaustive()
    }
}

/// Clears a callback when it is dropped. Made by [`Handle::guard`].
#[derive(Debug)]
pub struct CallbackGuard {
    handle: Handle,
    id: CallbackId,
}

impl CallbackGuard {
    /// The callback.
    #[must_use]
    pub fn id(&self) -> CallbackId {
        self.id
    }
}

impl Drop for CallbackGuard {
    fn drop(&mut self) {
        self.handle.clear(self.id);
    }
}
