//! The ids of callbacks: clearing and closing callbacks, and referencing them.

use std::panic::Location;

use nio_timer::{Key, TimerKey};

use crate::{Handle, queues::Call, registration::Registration};

/// Identifies one callback of a loop, to clear it or to change whether it keeps the loop alive. An id
/// is never used twice: when its callback is gone, the id is stale and never matches another
/// callback, in this loop or in another.
#[doc(alias("uv_handle_t", "Timeout"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackId(pub(crate) Target);

/// The kind and key of a callback. A key belongs to one slab, and so to one loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Timer(TimerKey),
    Immediate(Key),
    Watch(Key),
    /// The callback was given to a loop that was gone.
    Nothing,
}

/// # Housekeeping
impl Handle {
    /// Removes a callback of any kind. A cleared callback never runs, even if it was already due in
    /// this turn. Returns false if the callback was gone already.
    #[doc(alias(
        "clearTimeout",
        "clearInterval",
        "clearImmediate",
        "uv_timer_stop",
        "uv_poll_stop",
        "uv_signal_stop",
        "removeListener",
        "cancel"
    ))]
    pub fn clear(&self, id: CallbackId) -> bool {
        let state = &self.state;
        match id.0 {
            Target::Timer(key) => state.cancel_timer(key).is_some(),
            Target::Immediate(key) => {
                let removed = state.queues.remove_immediate(key);
                state.release(removed.as_ref().is_some_and(|it| it.referenced));
                removed.is_some()
            }
            Target::Watch(key) => state.remove_watch(key).is_some(),
            Target::Nothing => false,
        }
    }

    /// Removes a callback like [`clear`](Handle::clear), and runs `then` in the closing phase of this
    /// turn, in the order of the calls. By then the descriptor of a watch is no longer registered, and
    /// it is closed unless the program has another reference to it. Returns false, and drops `then`, if
    /// the callback was gone already.
    ///
    /// ```
    /// # use std::{cell::Cell, rc::Rc, time::Duration};
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// let closed = Rc::new(Cell::new(false));
    /// let flag = Rc::clone(&closed);
    /// let timeout = handle.set_timeout(Duration::from_secs(3600), |_| unreachable!());
    /// handle.close(timeout, move |_| flag.set(true));
    /// event_loop.run()?;
    /// assert!(closed.get());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("uv_close", "destroy"))]
    #[track_caller]
    pub fn close(&self, id: CallbackId, then: impl FnOnce(&Handle) + 'static) -> bool {
        let found = self.clear(id);
        if found {
            let call = Call::new(then, Location::caller());
            self.state.retain(true);
            self.state.queues.closing.borrow_mut().push_back(call);
            self.state.mailbox.notify_if_parked();
        }
        found
    }

    /// A guard that clears the callback when it is dropped, for callbacks that must not outlive their
    /// owner.
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
    #[doc(alias("DropGuard"))]
    #[must_use = "the callback is cleared when the guard is dropped"]
    pub fn guard(&self, id: CallbackId) -> CallbackGuard {
        let handle = self.clone();
        CallbackGuard { handle, id }
    }

    /// Unreferences a callback: it no longer keeps the loop alive. When only unreferenced callbacks are
    /// left, the loop ends and they do not run. Returns false if the callback is gone.
    #[doc(alias("uv_unref"))]
    pub fn unref(&self, id: CallbackId) -> bool {
        self.set_referenced(id, false)
    }

    /// Undoes [`unref`](Handle::unref): the callback keeps the loop alive again. Returns false if the
    /// callback is gone.
    #[doc(alias("ref", "uv_ref", "hasRef"))]
    pub fn reref(&self, id: CallbackId) -> bool {
        self.set_referenced(id, true)
    }

    fn set_referenced(&self, id: CallbackId, to: bool) -> bool {
        let state = &self.state;
        let before = match id.0 {
            Target::Timer(key) => state.timers.reference(key, to),
            Target::Immediate(key) => state.queues.reference_immediate(key, to),
            Target::Watch(key) => match state.registrations.borrow_mut().get_mut(key) {
                Some(Registration::Watch(watch)) => {
                    Some(std::mem::replace(&mut watch.referenced, to))
                }
                _ => None,
            },
            Target::Nothing => None,
        };
        if let Some(before) = before {
            state.release(before);
            state.retain(to);
            state.mailbox.notify_if_parked();
        }
        before.is_some()
    }

    /// Stops the loop: [`run`](crate::EventLoop::run) and its relatives return at the end of this turn.
    /// Callbacks and tasks stay. If the loop does not run now, its next run returns at once. A stop
    /// during [`block_on`](crate::EventLoop::block_on) does not end it, but the next run returns at once.
    #[doc(alias("uv_stop", "process.exit"))]
    pub fn stop(&self) {
        self.state.stopping.set(true);
    }

    /// The id of the callback that runs now, so that an interval, a watch, or a callback of a signal or
    /// file can clear or change itself. `None` in ticks, in tasks, and in callbacks that run once: their
    /// id is gone already.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let mut left = 3;
    /// event_loop.handle().set_interval(Duration::from_millis(1), move |handle, _| {
    ///     left -= 1;
    ///     if left == 0 {
    ///         handle.clear(handle.current().expect("an interval has an id"));
    ///     }
    /// });
    /// event_loop.run()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn current(&self) -> Option<CallbackId> {
        self.state.current.get().map(CallbackId)
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
