//! The handle: callbacks and tasks hold it to use their loop.
//!
//! Here are the callbacks that need no descriptor. Those of descriptors, signals, children and files
//! are in `watch`; futures in `join`, `sleep` and `source`; other threads in `remote` and `blocking`.

use std::{fmt, panic::Location, rc::Rc, time::Duration};

use nio_timer::TimerKey;

use crate::{
    clock::{Time, nanos},
    queues::{Call, Immediate, Origin},
    slab::Key,
    sources::Registration,
    state::State,
    timers::{MissedTicks, Timer, at_least_a_nanosecond},
};

/// Uses a loop: arms timers, watches descriptors, spawns tasks. Cheap to clone, and not [`Send`];
/// other threads use a [`Remote`](crate::Remote).
///
/// When the [`EventLoop`](crate::EventLoop) has been dropped, handles that are left do nothing:
/// callbacks given to them are dropped at once and never run.
#[derive(Clone)]
pub struct Handle {
    pub(crate) state: Rc<State>,
}

/// Names one callback of a loop, to clear it or to change whether it keeps the loop alive. An id is
/// never used twice: when its callback is gone it names nothing, and in another loop it never named
/// anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackId {
    event_loop: u64,
    target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Timer(TimerKey),
    Immediate(Key),
    Watch(Key),
    /// Of a loop that was gone.
    Nothing,
}

impl Handle {
    /// Runs a callback once, when `delay` has passed and never earlier. Timeouts run in the order of
    /// their deadlines, those of equal deadlines in the order in which they were set. One that is
    /// set by a callback runs in the next turn at the earliest, also with a delay of zero.
    ///
    /// A delay too long for the clock (584 years) never passes.
    ///
    /// ```
    /// # use std::{rc::Rc, cell::Cell, time::Duration};
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let done = Rc::new(Cell::new(false));
    /// let flag = Rc::clone(&done);
    /// event_loop.handle().set_timeout(Duration::from_millis(5), move |_| flag.set(true));
    /// event_loop.run()?;
    /// assert!(done.get());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn set_timeout(
        &self,
        delay: Duration,
        callback: impl FnOnce(&Handle) + 'static,
    ) -> CallbackId {
        let (since, place) = (self.now(), Location::caller());
        let timer = Timer::Timeout {
            delay: nanos(delay),
            callback: Box::new(callback),
            origin: Origin { place, since },
            referenced: true,
        };
        self.add_timer(since + delay, timer)
    }

    /// Runs a callback every `period`, until it is cleared. Its second argument says how many
    /// periods have passed since its last run: 1, or more when the loop was busy for longer than a
    /// period. Missed runs are skipped, and the n-th period ends n periods after the interval was set.
    /// [`set_interval_with`](Handle::set_interval_with) has other ways.
    ///
    /// A period of zero is one of a nanosecond: the callback runs once in each turn.
    ///
    /// ```
    /// # use std::{cell::Cell, rc::Rc, time::Duration};
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// let ticks = Rc::new(Cell::new(0));
    /// let count = Rc::clone(&ticks);
    /// let interval = handle.set_interval(Duration::from_millis(1), move |_, periods| {
    ///     count.set(count.get() + periods);
    /// });
    /// handle.set_timeout(Duration::from_millis(10), move |handle| {
    ///     handle.clear(interval);
    /// });
    /// event_loop.run()?;
    /// assert!(ticks.get() >= 9);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn set_interval(
        &self,
        period: Duration,
        callback: impl FnMut(&Handle, u64) + 'static,
    ) -> CallbackId {
        self.set_interval_with(period, MissedTicks::Skip, callback)
    }

    /// As [`set_interval`](Handle::set_interval), with a choice of what becomes of periods that the
    /// loop was too busy to run.
    #[track_caller]
    pub fn set_interval_with(
        &self,
        period: Duration,
        missed: MissedTicks,
        callback: impl FnMut(&Handle, u64) + 'static,
    ) -> CallbackId {
        let period = at_least_a_nanosecond(period);
        let (since, place) = (self.now(), Location::caller());
        let due = since + period;
        let timer = Timer::Interval {
            due,
            period: nanos(period),
            missed,
            callback: Some(Box::new(callback)),
            origin: Origin { place, since },
            referenced: true,
        };
        self.add_timer(due, timer)
    }

    fn add_timer(&self, deadline: Time, timer: Timer) -> CallbackId {
        let state = &self.state;
        if state.closed.get() {
            return self.id(Target::Nothing);
        }
        state.retain(timer.is_referenced());
        let key = state.timers.insert(deadline, timer);
        state.mailbox.rouse();
        self.id(Target::Timer(key))
    }

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
        let state = &self.state;
        if state.closed.get() {
            return self.id(Target::Nothing);
        }
        let key = state.queues.add_immediate(Immediate {
            callback: Box::new(callback),
            origin: state.origin(place),
            referenced: true,
        });
        state.retain(true);
        state.mailbox.rouse();
        self.id(Target::Immediate(key))
    }

    /// Runs a callback as soon as the one that runs now has returned: before woken tasks, and before
    /// anything else that the loop does. It cannot be cleared.
    ///
    /// Ticks that set one another without end keep everything else waiting, for 100,000 of them. That
    /// is reported as a [`Warning`](crate::Warning), and the other phases have their turn before the
    /// next ticks. Use [`set_immediate`](Handle::set_immediate) to go on without end.
    #[track_caller]
    pub fn next_tick(&self, callback: impl FnOnce(&Handle) + 'static) {
        if !self.state.closed.get() {
            let call = Call::new(callback, Location::caller());
            self.state.queues.ticks.borrow_mut().push_back(call);
            self.state.mailbox.rouse();
        }
    }

    /// Removes a callback, whichever function has set it. From now on it does not run, even if it
    /// was already due in this turn. Returns false if it was gone already.
    pub fn clear(&self, id: CallbackId) -> bool {
        let state = &self.state;
        match self.target(id) {
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

    /// Begins the delay of a timeout again from now, or the period of an interval, also within the
    /// interval's own callback. For idle timeouts: it costs a small part of clearing and setting, and
    /// nothing is allocated. Returns false if the callback is gone, as that of a timeout is from when
    /// it runs, or if it is no timer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::{Clock, EventLoop};
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
    /// let handle = event_loop.handle();
    /// let idle = handle.set_timeout(Duration::from_secs(30), |handle| {
    ///     assert_eq!(handle.now().since_start(), Duration::from_secs(55));
    /// });
    /// handle.set_timeout(Duration::from_secs(25), move |handle| {
    ///     assert!(handle.refresh(idle)); // a message has come
    /// });
    /// event_loop.run()?;
    /// assert!(!handle.refresh(idle));
    /// # Ok(())
    /// # }
    /// ```
    pub fn refresh(&self, id: CallbackId) -> bool {
        let Target::Timer(key) = self.target(id) else {
            return false;
        };
        let refreshed = self.state.timers.refresh(key, self.now());
        if refreshed {
            self.state.mailbox.rouse();
        }
        refreshed
    }

    /// The id of the callback that runs now, for one that clears or changes itself: an interval, a
    /// watch, or the callback of a signal or of a file. `None` in a callback that runs once, whose id is
    /// gone already, and in ticks and tasks.
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
        self.state.current.get().map(|target| self.id(target))
    }

    /// Ends a callback as [`clear`](Handle::clear) does, and runs another one when that is over: in
    /// the last phase of this turn, in the order of the calls. There, what was closed is gone: its
    /// descriptor is no longer registered, and closed unless the program has another reference to it. Returns false, and drops
    /// the closure, if the callback was gone already.
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
    #[track_caller]
    pub fn close(&self, id: CallbackId, then: impl FnOnce(&Handle) + 'static) -> bool {
        let found = self.clear(id);
        if found {
            let call = Call::new(then, Location::caller());
            self.state.retain(true);
            self.state.queues.closing.borrow_mut().push_back(call);
            self.state.mailbox.rouse();
        }
        found
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

    /// Says that a callback does not keep the loop alive: when only such callbacks are left, the loop
    /// ends and they do not run. Returns false if the callback is gone.
    pub fn unref(&self, id: CallbackId) -> bool {
        self.set_referenced(id, false)
    }

    /// Takes [`unref`](Handle::unref) back. Returns false if the callback is gone.
    pub fn reref(&self, id: CallbackId) -> bool {
        self.set_referenced(id, true)
    }

    fn set_referenced(&self, id: CallbackId, to: bool) -> bool {
        let state = &self.state;
        let before = match self.target(id) {
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
            state.mailbox.rouse();
        }
        before.is_some()
    }

    pub(crate) fn id(&self, target: Target) -> CallbackId {
        CallbackId {
            event_loop: self.state.id,
            target,
        }
    }

    /// What an id names, if it is one of this loop.
    pub(crate) fn target(&self, id: CallbackId) -> Target {
        match id.event_loop == self.state.id {
            true => id.target,
            false => Target::Nothing,
        }
    }

    /// Makes [`run`](crate::EventLoop::run) and its relatives return when this turn is done. What is
    /// still set stays set. A stop while the loop does not run makes the next run return at once, and
    /// so does one during [`block_on`](crate::EventLoop::block_on), which goes on until its future is
    /// ready.
    pub fn stop(&self) {
        self.state.stopping.set(true);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("alive", &self.state.alive.get())
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
