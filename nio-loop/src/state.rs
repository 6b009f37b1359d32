//! The state of a loop: its parts, the count of things that keep it alive, and its end.
//!
//! The law: foreign code (a callback, a waker, a `Drop` of a user's value) never runs while state is
//! borrowed. A function that removes something returns it, and the caller drops it after the borrow.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::Location,
    rc::Rc,
    sync::{
        Arc,
        atomic::{Ordering, fence},
    },
};

use nio_poll::{Poll, Token};
use nio_timer::{Key, Slab, TimerKey};

use crate::{
    Error,
    callbacks::Target,
    clock::{Clock, Time},
    listeners::Listeners,
    mailbox::Mailbox,
    meter::Meter,
    panics::{Panics, discard},
    pool::Pool,
    queues::{Origin, Queues},
    recorder::Recorder,
    registration::{OnEvent, Registration, Watch, Watched},
    task::{Join, Outcome, Task},
    tasks::Tasks,
    timers::{Timer, Timers},
    wakers::LoopWaker,
};

/// The token of the mailbox's waker. No registration has it: its index is never that high.
pub(crate) const MAILBOX: Token = Token(usize::MAX);

pub(crate) struct State {
    /// `None` when the loop is gone.
    poll: RefCell<Option<Rc<Poll>>>,
    pub(crate) clock: Clock,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) timers: Timers,
    pub(crate) registrations: RefCell<Slab<Registration>>,
    pub(crate) listeners: Listeners,
    pub(crate) queues: Queues,
    pub(crate) tasks: Rc<Tasks>,
    /// The threads for blocking closures; made at the first one.
    pub(crate) pool: RefCell<Option<Pool>>,
    /// The number of blocking closures that tasks wait for.
    pub(crate) jobs: Cell<usize>,
    pub(crate) meter: Meter,
    pub(crate) recorder: Recorder,
    /// The callback that runs now, if it can run again.
    pub(crate) current: Cell<Option<Target>>,
    /// The number of things that keep the loop alive.
    pub(crate) alive: Cell<usize>,
    pub(crate) stopping: Cell<bool>,
    pub(crate) closed: Cell<bool>,
}

impl State {
    pub(crate) fn new(clock: Clock) -> Result<State, Error> {
        let poll = Poll::new()?;
        let waker = nio_poll::Waker::new(&poll, MAILBOX)?;
        let mailbox = Arc::new(Mailbox::new(waker));
        let meter = Meter::default();
        if !clock.is_real() {
            // On a test's clock this costs nothing.
            meter.measure_idle(Time::START);
        }
        Ok(State {
            poll: RefCell::new(Some(Rc::new(poll))),
            clock,
            mailbox: Arc::clone(&mailbox),
            timers: Timers::default(),
            registrations: RefCell::default(),
            listeners: Listeners::default(),
            queues: Queues::default(),
            tasks: Rc::new(Tasks::new(mailbox)),
            pool: RefCell::default(),
            jobs: Cell::new(0),
            meter,
            recorder: Recorder::default(),
            current: Cell::new(None),
            alive: Cell::new(0),
            stopping: Cell::new(false),
            closed: Cell::new(false),
        })
    }

    pub(crate) fn poll(&self) -> Result<Rc<Poll>, Error> {
        self.poll.borrow().clone().ok_or(Error::Closed)
    }

    #[inline]
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        match self.closed.get() {
            true => Err(Error::Closed),
            false => Ok(()),
        }
    }

    /// The place and time of a call that gives something to the loop. It is for the report, so the
    /// time of this turn is exact enough.
    pub(crate) fn origin(&self, place: &'static Location<'static>) -> Origin {
        let known = self.meter.cached_time().filter(|_| self.tasks.is_running());
        let since = known.unwrap_or_else(|| self.clock.now());
        self.meter.cache_time(since);
        Origin { place, since }
    }

    /// Counts a thing that keeps the loop alive, if it is referenced.
    pub(crate) fn retain(&self, referenced: bool) {
        self.alive.set(self.alive.get() + usize::from(referenced));
    }

    /// Undoes [`retain`](State::retain).
    pub(crate) fn release(&self, referenced: bool) {
        self.alive.set(self.alive.get() - usize::from(referenced));
    }

    /// Whether something keeps the loop alive. A notification does too: the inbox may hold a task or a
    /// post.
    pub(crate) fn is_alive(&self) -> bool {
        self.has_referenced() || self.mailbox.alarm.is_notified()
    }

    /// Whether something keeps the loop alive, without the inbox.
    pub(crate) fn has_referenced(&self) -> bool {
        self.alive.get() > 0
            || !self.queues.ticks.borrow().is_empty()
            || !self.queues.posts.borrow().is_empty()
    }

    /// Whether the loop has work that needs no event and no timer.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        !self.tasks.is_ready_empty() || !self.tasks.next_turn.is_empty() || self.queues.are_busy()
    }

    /// Whether all tasks wait and nothing can wake one: no timer, registration, blocking closure,
    /// remote or kept waker. The cheap checks come first.
    pub(crate) fn is_deadlocked(&self, loop_waker: &LoopWaker) -> bool {
        let time_passes = self.clock.is_real() || self.clock.is_automatic();
        if self.is_busy()
            || time_passes && self.timers.next_deadline().is_some()
            || self.registrations.borrow().iter().next().is_some()
            || self.jobs.get() > 0
        {
            return false;
        }
        if loop_waker.has_clones() {
            return false;
        }
        // The state and the table of tasks hold one reference each.
        let known = 2 + usize::from(loop_waker.is_made());
        let others = Arc::strong_count(&self.mailbox) - known;
        if others > 0 && self.tasks.unshared_wakers() != Some(others) {
            return false;
        }
        // A waker or a remote may have notified the loop just before it was dropped.
        fence(Ordering::Acquire);
        !self.mailbox.alarm.is_notified()
    }

    /// Marks the loop as awake, and empties the inbox. Returns whether there was a notification.
    #[inline]
    pub(crate) fn collect(&self) -> bool {
        let notified = self.mailbox.alarm.unpark();
        if notified {
            let mut inbox = self.mailbox.open();
            self.record_wake_up(inbox.woken.len(), inbox.posts.len(), inbox.stop);
            for waker in inbox.woken.drain(..) {
                if let Some(task) = self.tasks.find(waker.collect()) {
                    self.tasks.wake(task);
                }
            }
            self.queues.posts.borrow_mut().extend(inbox.posts.drain(..));
            if std::mem::take(&mut inbox.stop) {
                self.stopping.set(true);
            }
        }
        notified
    }

    /// Removes a timer.
    pub(crate) fn cancel_timer(&self, key: TimerKey) -> Option<Timer> {
        let timer = self.timers.cancel(key)?;
        self.release(timer.is_referenced());
        Some(timer)
    }

    /// Removes a watch.
    pub(crate) fn remove_watch(&self, key: Key) -> Option<Registration> {
        let mut registrations = self.registrations.borrow_mut();
        let Registration::Watch(_) = registrations.get(key)? else {
            return None;
        };
        let removed = registrations.remove(key)?;
        drop(registrations);
        if let Registration::Watch(watch) = &removed {
            self.release(watch.referenced);
            self.deregister(watch);
        }
        Some(removed)
    }

    fn deregister(&self, watch: &Watch) {
        let Ok(poll) = self.poll() else {
            return;
        };
        // It was registered, so this cannot fail, except for a process that has exited.
        let _ = match &watch.watched {
            Watched::Descriptor(descriptor, ..) => poll.deregister(descriptor),
            Watched::File(file, _) => poll.deregister_file(file),
            Watched::Signal(signal, order, _) => {
                let Some(registration) = self.listeners.remove(*signal, *order) else {
                    return; // others listen
                };
                drop(self.registrations.borrow_mut().remove(registration));
                poll.deregister_signal(*signal)
            }
            Watched::Child(child, _) => poll.deregister_process(child.id()),
            Watched::Process(pid, _) => poll.deregister_process(*pid),
        };
    }

    /// Puts the callback of a watch back after its run. Returns it if the watch was cleared meanwhile.
    pub(crate) fn put_back_watch(&self, key: Key, on_event: OnEvent) -> Option<OnEvent> {
        match self.registrations.borrow_mut().get_mut(key) {
            Some(Registration::Watch(watch)) => match watch.callback() {
                Some(callback) => callback.replace(on_event),
                None => Some(on_event),
            },
            _ => Some(on_event),
        }
    }

    /// Runs a callback that can run again; it is the current one meanwhile.
    pub(crate) fn run_as(&self, target: Target, run: impl FnOnce()) {
        /// Resets `current` also after a panic.
        struct ResetOnDrop<'a>(&'a Cell<Option<Target>>);
        impl Drop for ResetOnDrop<'_> {
            fn drop(&mut self) {
                self.0.set(None);
            }
        }
        let _reset = ResetOnDrop(&self.current);
        self.current.set(Some(target));
        run();
    }

    /// Ends a task that has finished: drops its future, then wakes its joiner. Returns the payload of
    /// a panic of a task that is not joined.
    // Not inlined: few polls end a task.
    #[inline(never)]
    #[must_use]
    pub(crate) fn finish(&self, task: &Task, outcome: Outcome) -> Option<Box<dyn Any + Send>> {
        let mut panics = Panics::default();
        let mut unjoined = None;
        panics.catch(|| drop(task.take_work()));
        let aborted = !self.tasks.remove(task);
        self.release(!aborted && task.referenced.get());
        if !aborted && task.joinable.get() {
            let before = task.set_join(Join::Finished(outcome));
            panics.catch(|| self.wake_joiner(before));
        } else {
            match outcome {
                Ok(output) => panics.catch(|| drop(output)),
                Err(payload) if panics.has_caught() => discard(payload),
                Err(payload) => unjoined = Some(payload),
            }
        }
        panics.resume();
        unjoined
    }

    /// Ends a task that has not finished, and wakes its joiner.
    pub(crate) fn abort(&self, task: &Task) {
        if self.tasks.remove(task) {
            self.release(task.referenced.get());
            let mut panics = Panics::default();
            self.drop_future(task, &mut panics);
            panics.resume();
        }
    }

    fn drop_future(&self, task: &Task, panics: &mut Panics) {
        panics.catch(|| drop(task.take_work()));
        panics.catch(|| self.wake_joiner(task.take_join()));
    }

    fn wake_joiner(&self, join: Option<Join>) {
        if let Some(Join::Waiting(waiter)) = join {
            self.tasks.wake_waiter(waiter);
        }
    }

    /// Closes the loop: drops everything that it holds, again and again until the drops add nothing
    /// new. Waiters are woken and get an error. If foreign code panics, everything else is closed
    /// before the panic goes on.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        let mut panics = Panics::default();
        panics.catch(|| drop(self.pool.take()));
        panics.drop_each(self.mailbox.close().posts);
        panics.catch(|| drop(self.meter.take_hook()));
        while self.close_parts(&mut panics) {}
        let poll = self.poll.take();
        drop(poll);
        self.alive.set(0);
        panics.resume();
    }

    /// Drops the current contents. Returns false if there were none.
    fn close_parts(&self, panics: &mut Panics) -> bool {
        let tasks = self.tasks.list();
        let registrations = self.registrations.borrow_mut().take_all();
        let timers = self.timers.take_all();
        let posts = self.queues.posts.take();
        let closing = self.queues.closing.take();
        let immediates = self.queues.immediates.borrow_mut().take_all();
        let ticks = self.queues.ticks.take();
        let next_turn = self.tasks.next_turn.take_all();
        let found = !tasks.is_empty()
            || !registrations.is_empty()
            || !timers.is_empty()
            || !posts.is_empty()
            || !closing.is_empty()
            || !immediates.is_empty()
            || !ticks.is_empty()
            || !next_turn.is_empty();
        for task in tasks {
            self.tasks.remove(&task);
            self.drop_future(&task, panics);
        }
        for registration in registrations {
            panics.catch(|| match &registration {
                // The last listener of a signal deregisters it.
                Registration::Pending | Registration::Signal(_) => {}
                Registration::Source(attached) => attached.readiness.close(&self.tasks),
                Registration::Watch(watch) => self.deregister(watch),
            });
            panics.catch(|| drop(registration));
        }
        panics.drop_each(posts);
        for timer in timers {
            panics.catch(|| match timer {
                Timer::Sleep(waiter) => self.tasks.wake_waiter(waiter),
                timer => drop(timer),
            });
        }
        panics.drop_each(closing);
        panics.drop_each(immediates);
        panics.drop_each(ticks);
        for waiter in next_turn {
            panics.catch(|| self.tasks.wake_waiter(waiter));
        }
        found
    }
}
