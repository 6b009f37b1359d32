//! One turn of the loop: [`Turn::take`] runs its phases.
//!
//! ```text
//!       ┌──────────────────────────────────────────────┐
//!       │ timers       callbacks whose deadline passed │
//!       │ poll         wait for I/O, run its callbacks │   between any two callbacks: first
//!       │ posts        closures of other threads       │   ticks, then woken tasks, until there
//!       │ immediates                                   │   are none or their budget is spent
//!       │ closing      callbacks that follow a close   │
//!       └──────────────────────────────────────────────┘
//! ```
//!
//! The laws:
//!
//! 1. A phase runs the callbacks that were there when it began. Those added to it meanwhile wait for
//!    the next turn.
//! 2. A callback that panics is removed. Nothing else is lost: the next turn continues after it.

use std::{collections::VecDeque, mem, panic::Location, rc::Rc};

use nio_poll::{Event, Events, Poll};
use nio_timer::Key;

use crate::{
    CallbackKind, Error, Handle,
    callbacks::Target,
    children::FIRST_RETRY,
    drain::Root,
    park::{Wait, park},
    recorder::Phase,
    registration::{OnEvent, Registration},
    state::State,
    tasks::{Running, Tasks},
    timers::Due,
    trace,
    wakers::LoopWaker,
};

/// The most events that one poll returns. At 64 bytes or less for each, the buffer fits into the cache
/// of a core beside everything else. More events come in the next turn.
const EVENTS: usize = 1024;

/// The events of the last poll. After a panic of a callback, the next turn dispatches the others.
pub(crate) struct Batch {
    events: Events,
    dispatched: usize,
    /// Signals and exits, dispatched after the I/O, so that all data that was there has been read. Each
    /// with its registration's key as a word.
    late: VecDeque<(usize, Event)>,
    /// The waiters of the next turn up to this ticket are woken after this batch and the posts.
    last_ticket: u64,
}

impl Batch {
    pub(crate) fn new() -> Batch {
        Batch {
            events: Events::with_capacity(EVENTS),
            dispatched: 0,
            late: VecDeque::new(),
            last_ticket: 0,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.dispatched == self.events.len() && self.late.is_empty()
    }
}

/// A running loop. Only a `Turn` runs callbacks and polls tasks.
pub(crate) struct Turn<'a> {
    pub(crate) handle: &'a Handle,
    pub(crate) state: &'a State,
    pub(crate) tasks: &'a Tasks,
    poll: &'a Poll,
    batch: &'a mut Batch,
    pub(crate) loop_waker: &'a mut LoopWaker,
    /// The future of `block_on`, until it is ready.
    pub(crate) root: Option<Root<'a>>,
    _running: Running,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(
        handle: &'a Handle,
        poll: &'a Poll,
        batch: &'a mut Batch,
        loop_waker: &'a mut LoopWaker,
        root: Option<Root<'a>>,
    ) -> Turn<'a> {
        let state = &*handle.state;
        // Another thread may have stopped or woken the loop between two runs. After a wake-up the first
        // poll must not wait.
        if state.collect() {
            let _parked = state.mailbox.alarm.notify();
        }
        Turn {
            handle,
            state,
            tasks: &state.tasks,
            poll,
            batch,
            loop_waker,
            root,
            _running: Running::new(&state.tasks),
        }
    }

    /// Whether the future of `block_on` is not ready yet.
    pub(crate) fn has_root(&self) -> bool {
        self.root.is_some()
    }

    /// One turn of the loop.
    pub(crate) fn take(&mut self, wait: Wait) -> Result<(), Error> {
        let _turn = self.state.record_turn();
        self.drain();
        self.run_timers();
        self.poll(wait)?;
        self.run_posts();
        self.wake_next_turn();
        self.run_immediates();
        self.run_closing();
        Ok(())
    }

    /// The same, with the timers last.
    pub(crate) fn take_timers_last(&mut self, wait: Wait) -> Result<(), Error> {
        let _turn = self.state.record_turn();
        self.drain();
        self.poll(wait)?;
        self.run_posts();
        self.wake_next_turn();
        self.run_immediates();
        self.run_closing();
        self.run_timers();
        Ok(())
    }

    /// Timers: those that are due now.
    #[inline]
    fn run_timers(&mut self) {
        if !self.state.timers.is_empty() {
            self.run_due_timers();
        }
    }

    #[inline(never)]
    fn run_due_timers(&mut self) {
        let state = self.state;
        let _phase = state.record_phase(Phase::Timers);
        let now = state.clock.now();
        state.meter.cache_time(now);
        state.timers.begin(now);
        while let Some(due) = state.timers.next_due(now) {
            state.meter.count_timer();
            match due {
                Due::Timeout(callback, origin, referenced) => {
                    state.release(referenced);
                    self.call(CallbackKind::Timeout, origin.place, callback);
                }
                Due::Interval(key, mut every, origin, periods) => {
                    let lost = OnPanic(|| drop(state.cancel_timer(key)));
                    self.call(CallbackKind::Interval, origin.place, |handle| {
                        state.run_as(Target::Timer(key), || every(handle, periods));
                        mem::forget(lost);
                        drop(state.timers.put_back(key, every));
                    });
                }
                Due::Pause(attached, direction) => {
                    attached.readiness.end_pause(self.tasks, direction);
                    self.drain();
                }
                Due::Sleep(waiter) => {
                    self.tasks.wake_waiter(waiter);
                    self.drain();
                }
            }
        }
    }

    /// Poll: waits for I/O and runs its callbacks.
    fn poll(&mut self, wait: Wait) -> Result<(), Error> {
        if self.batch.is_done() {
            self.ask_for_events(wait)?;
        }
        let _phase = self.state.record_phase(Phase::Poll);
        while let Some(event) = self.batch.events.get(self.batch.dispatched) {
            self.batch.dispatched += 1;
            if event.is_signal() || event.is_exit() {
                self.batch.late.push_back((event.token().0, event));
            } else {
                self.dispatch(event);
            }
        }
        // Before the signals and exits, the tasks that wait for the I/O.
        self.drain();
        while let Some((word, event)) = self.batch.late.pop_front() {
            self.dispatch_with_nothing_borrowed(word, event);
        }
        Ok(())
    }

    /// Wakes those that wait for this turn's I/O and posts to be over.
    #[inline]
    fn wake_next_turn(&mut self) {
        while let Some(waiter) = self.tasks.next_turn.next(self.batch.last_ticket) {
            self.tasks.wake_waiter(waiter);
        }
        self.drain();
    }

    fn ask_for_events(&mut self, wait: Wait) -> Result<(), Error> {
        let (state, batch) = (self.state, &mut *self.batch);
        if let (Wait::Always, Some(root)) = (wait, &self.root) {
            if state.is_deadlocked(self.loop_waker) {
                let place = root.task.place;
                return Err(Error::NeverWoken { place });
            }
        }
        batch.last_ticket = state.tasks.next_turn.last_ticket();
        batch.dispatched = 0;
        state.meter.forget_time();
        let wait = match wait {
            // The future of block_on is ready, so this turn is the last.
            Wait::Always if self.root.is_none() => Wait::Never,
            wait => wait,
        };
        let result = park(state, self.poll, &mut batch.events, wait);
        state.meter.count_turn(batch.events.len());
        trace::turn(batch.events.len());
        result
    }

    /// Dispatches an event to its source or watch, unless it is a stale event.
    #[inline(always)]
    fn dispatch(&mut self, event: Event) {
        let state = self.state;
        let registrations = state.registrations.borrow();
        let key = registrations.key_of_word(event.token().0);
        match key.and_then(|key| registrations.get(key)) {
            Some(Registration::Source(source)) if !source.readiness.has_other_waiters() => {
                source.readiness.notify(self.tasks, event);
            }
            // The event of the mailbox, or a stale event.
            None => {}
            Some(_) => {
                drop(registrations);
                self.dispatch_with_nothing_borrowed(event.token().0, event);
            }
        }
    }

    /// Dispatches an event where foreign code may run.
    #[inline(never)]
    fn dispatch_with_nothing_borrowed(&mut self, word: usize, event: Event) {
        let state = self.state;
        let mut registrations = state.registrations.borrow_mut();
        let Some(key) = registrations.key_of_word(word) else {
            return;
        };
        match registrations.get_mut(key) {
            None | Some(Registration::Pending) => {}
            Some(Registration::Signal(signal)) => {
                // Queued one by one: after a panic of a listener, the others run in the next turn.
                for listener in state.listeners.of(*signal).into_iter().rev() {
                    self.batch.late.push_front((listener.to_word(), event));
                }
            }
            Some(Registration::Source(source)) => {
                let source = Rc::clone(source);
                drop(registrations);
                source.readiness.notify_with_others(self.tasks, event);
            }
            Some(Registration::Watch(watch)) if !watch.wants(&event) => {}
            Some(Registration::Watch(watch)) => {
                let (kind, place) = (watch.kind(), watch.origin.place);
                let callback = watch.callback().map(Option::take);
                drop(registrations);
                match callback {
                    Some(Some(callback)) => self.run_watch(key, kind, place, callback, event),
                    Some(None) => {}
                    None => self.run_exit(key, place, event),
                }
            }
        }
    }

    fn run_watch(
        &mut self,
        key: Key,
        kind: CallbackKind,
        place: &'static Location<'static>,
        mut callback: OnEvent,
        event: Event,
    ) {
        let state = self.state;
        let lost = OnPanic(|| drop(state.remove_watch(key)));
        self.call(kind, place, |handle| {
            state.run_as(Target::Watch(key), || callback(handle, event));
            mem::forget(lost);
            drop(state.put_back_watch(key, callback));
        });
    }

    fn run_exit(&mut self, key: Key, place: &'static Location<'static>, event: Event) {
        let reaped = self.handle.reap(key, event.exit_status(), FIRST_RETRY);
        if let Some((callback, status)) = reaped {
            self.call(CallbackKind::Exit, place, |handle| callback(handle, status));
        }
    }

    /// Posts: the closures of other threads that were there when the poll returned.
    #[inline]
    fn run_posts(&mut self) {
        let _phase = self.state.record_phase(Phase::Posts);
        let count = self.state.queues.posts.borrow().len();
        for _ in 0..count {
            self.run_post();
        }
    }

    #[inline(never)]
    fn run_post(&mut self) {
        let next = self.state.queues.posts.borrow_mut().pop_front();
        if let Some(post) = next {
            self.call(CallbackKind::Post, post.place, post.closure);
        }
    }

    /// Immediates: those that were set before this phase.
    #[inline]
    fn run_immediates(&mut self) {
        let _phase = self.state.record_phase(Phase::Immediates);
        for _ in 0..self.state.queues.immediates_of_this_turn() {
            self.run_immediate();
        }
    }

    #[inline(never)]
    fn run_immediate(&mut self) {
        if let Some(immediate) = self.state.queues.next_immediate() {
            self.state.release(immediate.referenced);
            let place = immediate.origin.place;
            self.call(CallbackKind::Immediate, place, immediate.callback);
        }
    }

    /// Closing: the callbacks that follow the closes before this phase.
    #[inline]
    fn run_closing(&mut self) {
        let _phase = self.state.record_phase(Phase::Closing);
        let count = self.state.queues.closing.borrow().len();
        for _ in 0..count {
            self.run_close();
        }
    }

    #[inline(never)]
    fn run_close(&mut self) {
        let next = self.state.queues.closing.borrow_mut().pop_front();
        if let Some(close) = next {
            self.state.release(true);
            self.call(CallbackKind::Close, close.place, close.callback);
        }
    }

    /// Runs a callback, then ticks and woken tasks.
    fn call(
        &mut self,
        kind: CallbackKind,
        place: &'static Location<'static>,
        callback: impl FnOnce(&Handle),
    ) {
        self.state.meter.count_callback();
        self.handle.timed(kind, place, || callback(self.handle));
        self.drain();
    }
}

/// Runs a closure in a panic. Forgotten if there is none.
struct OnPanic<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
