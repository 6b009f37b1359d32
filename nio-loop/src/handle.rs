//! The handle: what callbacks and tasks hold to use their loop.

use std::{fmt, future::Future, os::fd::AsFd, rc::Rc, sync::Arc, time::Duration};

use nio_poll::{Event, Interest, Signal, Token, Trigger};
use nio_timer::TimerKey;

use crate::{
    Error, JoinHandle, Remote, Sleep,
    clock::nanos,
    core::{Core, Immediate},
    slab::Key,
    source::Entry,
    task,
    timer::Timer,
    watch::{OnEvent, Watch, Watched},
};

/// Uses a loop: arms timers, watches descriptors, spawns tasks. Cheap to clone, and not [`Send`];
/// other threads use a [`Remote`].
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
pub struct CallbackId(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Timer(TimerKey),
    Immediate(Key),
    Watch(Key),
    /// Of a loop that is gone.
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
    pub fn set_timeout(
        &self,
        delay: Duration,
        callback: impl FnOnce(&Handle) + 'static,
    ) -> CallbackId {
        self.add_timer(
            delay,
            Timer::Timeout {
                callback: Box::new(callback),
                referenced: true,
            },
        )
    }

    /// Runs a callback every `period`, until it is cleared. Its second argument says how many
    /// periods have passed since its last run: 1, or more when the loop was busy for longer than a
    /// period. What was missed is not made up for, and the phase is kept: the n-th period ends n
    /// periods after the interval was set.
    ///
    /// A period of zero is one of a nanosecond: the callback runs once in each turn.
    ///
    /// ```
    /// # use std::{cell::Cell, rc::Rc, time::Duration};
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle().clone();
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
    pub fn set_interval(
        &self,
        period: Duration,
        callback: impl FnMut(&Handle, u64) + 'static,
    ) -> CallbackId {
        self.add_timer(
            period,
            Timer::Interval {
                period: nanos(period).max(1),
                callback: Some(Box::new(callback)),
                referenced: true,
            },
        )
    }

    fn add_timer(&self, delay: Duration, timer: Timer) -> CallbackId {
        if self.core.closed.get() {
            return CallbackId(Kind::Nothing);
        }
        let deadline = self.core.deadline(delay);
        self.core.retain(timer.is_referenced());
        let key = self.core.timers.borrow_mut().insert(deadline, timer);
        CallbackId(Kind::Timer(key))
    }

    /// Runs a callback after the I/O events of this turn; if the immediates of this turn are already
    /// running, of the next one. Immediates run in the order in which they were set.
    pub fn set_immediate(&self, callback: impl FnOnce(&Handle) + 'static) -> CallbackId {
        if self.core.closed.get() {
            return CallbackId(Kind::Nothing);
        }
        let immediate = Immediate {
            callback: Box::new(callback),
            referenced: true,
        };
        self.core.retain(true);
        let mut immediates = self.core.immediates.borrow_mut();
        let key = immediates.callbacks.insert(immediate);
        immediates.order.push_back(key);
        immediates.referenced += 1;
        CallbackId(Kind::Immediate(key))
    }

    /// Runs a callback as soon as the one that runs now has returned: before woken tasks, and before
    /// anything else that the loop does. It cannot be cleared. A tick that sets the next one for ever
    /// keeps the loop from everything else; [`set_immediate`](Handle::set_immediate) does not.
    pub fn next_tick(&self, callback: impl FnOnce(&Handle) + 'static) {
        if !self.core.closed.get() {
            self.core.ticks.borrow_mut().push_back(Box::new(callback));
        }
    }

    /// Runs a callback in each turn in which a descriptor is readable or writable (or has come to
    /// its end, or to an error). The loop keeps the descriptor until the watch is cleared; to use it
    /// elsewhere too, give the loop an [`Rc`] of it. Put it into non-blocking mode before.
    ///
    /// The registration is level-triggered: what the callback leaves unread is reported again.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if the descriptor is watched already or the system refuses it;
    /// [`Error::Closed`] if the loop is gone.
    ///
    /// ```
    /// # use std::{io::{Read, Write}, os::unix::net::UnixStream, rc::Rc};
    /// # use nio_loop::{EventLoop, Interest};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle().clone();
    /// let (ours, mut theirs) = UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// handle.watch(ours, Interest::READABLE, |handle, mut stream, _event| {
    ///     let mut text = [0; 16];
    ///     assert_eq!(stream.read(&mut text).unwrap(), 5);
    ///     handle.stop();
    /// })?;
    /// theirs.write_all(b"hello")?;
    /// event_loop.run()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch<S: AsFd + 'static>(
        &self,
        source: S,
        interest: Interest,
        mut callback: impl FnMut(&Handle, &S, Event) + 'static,
    ) -> Result<CallbackId, Error> {
        let source = Rc::new(source);
        let descriptor: Rc<dyn AsFd> = source.clone();
        let watched = Watched::Descriptor(Rc::clone(&descriptor));
        let on_event: OnEvent = Box::new(move |handle, event| callback(handle, &source, event));
        self.add_watch(watched, on_event, |token| {
            let poll = &self.core.poll;
            poll.register_with(&descriptor, token, interest, Trigger::Level)
        })
    }

    /// Runs a callback when a signal was sent to the process; the number says how often since the
    /// last time, and is a hint: signals merge while they wait. As long as it is set, the signal does
    /// not do what it does by default.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if this loop has a callback for the signal already or the signal cannot be
    /// caught; [`Error::Closed`] if the loop is gone.
    pub fn on_signal(
        &self,
        signal: Signal,
        mut callback: impl FnMut(&Handle, u64) + 'static,
    ) -> Result<CallbackId, Error> {
        let on_event: OnEvent = Box::new(move |handle, event| {
            callback(handle, event.count().max(1).unsigned_abs());
        });
        self.add_watch(Watched::Signal(signal), on_event, |token| {
            self.core.poll.register_signal(signal, token)
        })
    }

    fn add_watch(
        &self,
        what: Watched,
        on_event: OnEvent,
        register: impl FnOnce(Token) -> Result<(), nio_poll::Error>,
    ) -> Result<CallbackId, Error> {
        if self.core.closed.get() {
            return Err(Error::Closed);
        }
        let watch = Watch {
            what,
            callback: Some(on_event),
            referenced: true,
        };
        let key = self.core.sources.borrow_mut().insert(Entry::Watch(watch));
        // With nothing borrowed: a descriptor of the user's making may do anything when it is
        // asked for its number.
        if let Err(error) = register(Token(key.to_word())) {
            let entry = self.core.sources.borrow_mut().remove(key);
            drop(entry);
            return Err(error.into());
        }
        self.core.retain(true);
        Ok(CallbackId(Kind::Watch(key)))
    }

    /// Removes a callback, whichever of the functions above has set it. From now on it does not run,
    /// also where it was due in this very turn. Returns false if it was gone already.
    pub fn clear(&self, id: CallbackId) -> bool {
        let core = &self.core;
        match id.0 {
            Kind::Timer(key) => core.cancel_timer(key).is_some(),
            Kind::Immediate(key) => core.remove_immediate(key).is_some(),
            Kind::Watch(key) => core.remove_watch(key).is_some(),
            Kind::Nothing => false,
        }
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
            Kind::Immediate(key) => {
                let mut immediates = core.immediates.borrow_mut();
                let immediates = &mut *immediates;
                let Some(immediate) = immediates.callbacks.get_mut(key) else {
                    return false;
                };
                immediates.referenced -= usize::from(immediate.referenced);
                immediates.referenced += usize::from(to);
                core.change_reference(&mut immediate.referenced, to);
                true
            }
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

    /// Runs a future on the loop, beside everything else. The loop stays alive until it has
    /// finished. It is polled for the first time when the callback that runs now has returned.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle().clone();
    /// let answer = event_loop.block_on(async {
    ///     let task = handle.spawn({
    ///         let handle = handle.clone();
    ///         async move {
    ///             handle.sleep(Duration::from_millis(1)).await;
    ///             42
    ///         }
    ///     });
    ///     task.await
    /// })??;
    /// assert_eq!(answer, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        task::spawn(&self.core, future)
    }

    /// A future that is ready when `duration` has passed from now, and never earlier. One of zero is
    /// ready at once: awaiting it gives nothing else a turn.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(Rc::clone(&self.core), self.core.deadline(duration))
    }

    /// Reaches this loop from other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        Remote::new(Arc::clone(&self.core.mailbox))
    }

    /// Makes [`run`](crate::EventLoop::run) and its relatives return when this turn is done. What is
    /// still set stays set. A stop while the loop does not run makes the next run return at once.
    pub fn stop(&self) {
        self.core.stopping.set(true);
    }
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
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("alive", &self.core.alive.get())
            .finish_non_exhaustive()
    }
}
