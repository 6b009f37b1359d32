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
    panic::{AssertUnwindSafe, Location, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    CallbackKind, Handle, Time, Warning,
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
        loop {
            while let Some(place) = self.next_tick() {
                if ticks == 0 {
                    let ticks = TICKS_BETWEEN_CALLBACKS;
                    return self.handle.warn(&Warning::TickFlood { ticks, place });
                }
                ticks -= 1;
                self.run_tick();
            }
            while !state.tasks.is_ready_empty() && !share.is_used_up(state) {
                let Some(task) = state.tasks.pop() else {
                    break;
                };
                share.spent |= self.run_task(&task);
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
    fn run_task(&mut self, task: &Rc<Task>) -> bool {
        let (handle, state) = (self.handle, self.state);
        state.meter.count_task();
        let mut spent = false;
        if state.meter.is_timing() || cfg!(feature = "tracing") {
            handle.timed(CallbackKind::Task, task.place, || {
                spent = self.poll_any(task)
            });
        } else {
            spent = self.poll_any(task);
        }
        if spent {
            state.later.add(Waiter::Task(Rc::clone(task)));
        }
        spent
    }

    fn poll_any(&mut self, task: &Rc<Task>) -> bool {
        match &self.root {
            Some(root) if Rc::ptr_eq(&root.task, task) => self.poll_root(),
            _ => self.poll_task(task),
        }
    }

    fn poll_task(&self, task: &Rc<Task>) -> bool {
        let state = self.state;
        let Some(mut work) = task.take_work() else {
            return false;
        };
        let poll = |context: &mut Context<'_>| {
            catch_unwind(AssertUnwindSafe(|| work.as_mut().work(context)))
        };
        let (polled, spent) = state.tasks.poll_as(task, poll);
        match polled {
            // It has aborted itself if it comes back.
            Ok(Poll::Pending) => drop(task.put_back(work)),
            Ok(Poll::Ready(output)) => state.finish(task, work, Ok(output)),
            Err(payload) => state.finish(task, work, Err(payload)),
        }
        spent && !task.is_over()
    }

    /// Polls the future of `block_on`. Its panic is one of `block_on`.
    #[inline(never)]
    fn poll_root(&mut self) -> bool {
        let Some(Root { task, future }) = &mut self.root else {
            return false;
        };
        let poll = |context: &mut Context<'_>| future.as_mut().poll(context);
        let (polled, spent) = self.state.tasks.poll_as(task, poll);
        if polled.is_ready() {
            self.root = None;
        }
        spent && polled.is_pending()
    }
}

/// How much tasks may run between two callbacks.
struct Share {
    polls: u32,
    /// When it ends, from the first look at the clock.
    end: Option<Time>,
    /// A poll has spent its budget since the last look.
    spent: bool,
}

impl Share {
    fn new() -> Share {
        Share {
            polls: 0,
            end: None,
            spent: false,
        }
    }

    /// Counts a poll, unless the share is used up. On a clock of a test only the polls count.
    #[inline]
    fn is_used_up(&mut self, state: &State) -> bool {
        if self.polls == POLLS_BETWEEN_CALLBACKS {
            return true;
        }
        let looks = self.spent || self.polls % POLLS_PER_LOOK == 1;
        self.polls += 1;
        looks && state.clock.is_real() && self.is_late(state.clock.now())
    }

    fn is_late(&mut self, now: Time) -> bool {
        self.spent = false;
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
