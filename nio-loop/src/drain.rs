//! Between two callbacks: ticks, then the tasks that were woken.
//!
//! The laws:
//!
//! 1. Ticks run until there are none, then tasks until there are none; a tick that a task has set
//!    runs after the tasks that are ready.
//! 2. Tasks run for a bounded number of polls, or for about a millisecond, so that tasks that wake
//!    each other without end keep neither timers nor I/O from their turn. Those that are left are
//!    next.
//! 3. A task that has spent its budget goes on in the next turn.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    CallbackKind, Clock, Handle, Time, Warning,
    state::State,
    tasks::{Task, Waiter},
    trace,
    turn::Turn,
};

/// How many tasks are polled between two callbacks at most, so that tasks that wake each other
/// without end keep neither timers nor I/O from their turn.
const POLLS_BETWEEN_CALLBACKS: u32 = 256;

/// How long tasks are polled between two callbacks. A poll that takes longer is not interrupted.
const TIME_BETWEEN_CALLBACKS: Duration = Duration::from_millis(1);

/// After how many polls the clock is read, which costs as much as polling a task. It is also read
/// after a poll that has spent its budget.
const POLLS_PER_LOOK: u32 = 8;

/// How many ticks run between two callbacks at most. No program means to have so many: NodeJS would
/// never come back from ticks that set each other, and used to warn at 1,000.
const TICKS_BETWEEN_CALLBACKS: usize = 100_000;

/// The future of `block_on`: a task like any other, but for where its future is kept.
pub(crate) struct Root<'a> {
    pub(crate) task: Rc<Task>,
    pub(crate) future: Pin<&'a mut dyn Future<Output = ()>>,
}

impl Turn<'_> {
    /// Between two callbacks: ticks, then woken tasks, until there are none or enough have run. Those
    /// that are left are next.
    #[inline]
    pub(crate) fn drain(&mut self) {
        let state = self.state;
        if !state.tasks.is_ready_empty() || !state.queues.ticks.borrow().is_empty() {
            self.run_ticks_and_tasks();
        }
    }

    fn run_ticks_and_tasks(&mut self) {
        let state = self.state;
        let mut ticks = TICKS_BETWEEN_CALLBACKS;
        let mut share = Share::new();
        let mut may_poll = true;
        loop {
            while let Some(place) = self.next_tick() {
                if ticks == 0 {
                    let ticks = TICKS_BETWEEN_CALLBACKS;
                    return self.handle.warn(&Warning::TickFlood { ticks, place });
                }
                ticks -= 1;
                self.run_tick();
            }
            while may_poll {
                let Some(task) = state.tasks.pop() else {
                    break;
                };
                let spent = self.run_task(task);
                may_poll = share.has_more(state, spent);
            }
            if state.queues.ticks.borrow().is_empty() {
                return;
            }
        }
    }

    /// Where the next tick was set, if there is one.
    fn next_tick(&self) -> Option<&'static Location<'static>> {
        let ticks = self.state.queues.ticks.borrow();
        ticks.front().map(|tick| tick.place)
    }

    fn run_tick(&self) {
        let tick = self.state.queues.ticks.borrow_mut().pop_front();
        if let Some(tick) = tick {
            let run = || (tick.callback)(self.handle);
            self.handle.timed(CallbackKind::Tick, tick.place, run);
        }
    }

    /// Polls a task that was woken. Returns whether it has spent its budget: then it goes on in the
    /// next turn.
    #[inline(always)]
    fn run_task(&mut self, task: Rc<Task>) -> bool {
        if self.state.meter.is_timing() || cfg!(feature = "tracing") {
            return self.run_timed_task(task);
        }
        self.poll_any(task)
    }

    #[inline(never)]
    fn run_timed_task(&mut self, task: Rc<Task>) -> bool {
        let (handle, place) = (self.handle, task.place);
        let mut spent = false;
        handle.timed(CallbackKind::Task, place, || spent = self.poll_any(task));
        spent
    }

    #[inline(always)]
    fn poll_any(&mut self, task: Rc<Task>) -> bool {
        match &self.root {
            Some(root) if Rc::ptr_eq(&root.task, &task) => self.poll_root(task),
            _ => self.poll_task(task),
        }
    }

    #[inline(always)]
    fn poll_task(&mut self, task: Rc<Task>) -> bool {
        let state = self.state;
        let Some(mut work) = task.take_work() else {
            return false;
        };
        let poll = |context: &mut Context<'_>| {
            catch_unwind(AssertUnwindSafe(|| work.as_mut().work(context)))
        };
        let (polled, task, spent) = state.tasks.poll_as(task, self.lent, poll);
        match polled {
            // It has aborted itself if it comes back.
            Ok(Poll::Pending) => drop(task.put_back(work)),
            Ok(Poll::Ready(output)) => drop(state.finish(&task, work, Ok(output))),
            Err(payload) => {
                if let Some(payload) = state.finish(&task, work, Err(payload)) {
                    self.handle.warn_of_panic(task.place, payload);
                }
            }
        }
        let goes_on = spent && !task.is_over();
        if goes_on {
            state.later.add(Waiter::Task(task));
        }
        goes_on
    }

    /// Polls the future of `block_on`. Its panic is one of `block_on`.
    #[inline(never)]
    fn poll_root(&mut self, task: Rc<Task>) -> bool {
        let Some(Root { future, .. }) = &mut self.root else {
            return false;
        };
        let poll = |context: &mut Context<'_>| {
            catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)))
        };
        let (polled, task, spent) = self.state.tasks.poll_as(task, self.lent, poll);
        let polled = polled.unwrap_or_else(|payload| resume_unwind(payload));
        if polled.is_ready() {
            self.root = None;
        }
        let goes_on = spent && polled.is_pending();
        if goes_on {
            self.state.later.add(Waiter::Task(task));
        }
        goes_on
    }
}

/// How much tasks may run between two callbacks.
struct Share {
    polls: u32,
    /// When it ends, from the first look at the clock.
    end: Option<Time>,
}

impl Share {
    fn new() -> Share {
        Share {
            polls: 0,
            end: None,
        }
    }

    /// Counts a poll, which may have spent its budget. Returns whether there may be another one. On a
    /// clock of a test only the polls count.
    #[inline]
    fn has_more(&mut self, state: &State, spent: bool) -> bool {
        self.polls += 1;
        let looks = spent || self.polls % POLLS_PER_LOOK == 2;
        self.polls < POLLS_BETWEEN_CALLBACKS && !(looks && self.is_late(&state.clock))
    }

    #[cold]
    fn is_late(&mut self, clock: &Clock) -> bool {
        if !clock.is_real() {
            return false;
        }
        let now = clock.now();
        let end = *self.end.get_or_insert(now + TIME_BETWEEN_CALLBACKS);
        now >= end
    }
}

impl Handle {
    /// Runs something, and tells how long it takes if that is wanted.
    pub(crate) fn timed(
        &self,
        kind: CallbackKind,
        place: &'static Location<'static>,
        run: impl FnOnce(),
    ) {
        let State { clock, meter, .. } = &*self.state;
        trace::callback(kind, place);
        if !meter.is_timing() {
            return run();
        }
        let start = clock.now();
        run();
        let took = clock.now() - start;
        if meter.is_slow(took) {
            self.warn(&Warning::Slow { kind, place, took });
        }
    }
}
