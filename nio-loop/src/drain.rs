//! Ticks and woken tasks, which run between two callbacks.
//!
//! The laws:
//!
//! 1. Ticks run until there are none, then tasks until there are none. A tick that a task sets runs
//!    after the ready tasks. Of a flood of ticks a bounded number runs.
//! 2. Tasks run for a bounded number of polls or about a millisecond, so tasks that wake each other
//!    without end starve neither timers nor I/O. The remaining ready tasks run first the next time.
//! 3. A task that has spent its budget continues in the next turn.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    CallbackKind, Clock, Handle, Time, Warning, budget,
    state::State,
    task::{Output, Task, Waiter},
    trace,
    turn::Turn,
};

/// The most polls of tasks between two callbacks (law 2).
const POLLS_BETWEEN_CALLBACKS: u32 = 256;

/// The time for tasks between two callbacks (law 2). A poll that takes longer is not interrupted.
const TIME_BETWEEN_CALLBACKS: Duration = Duration::from_millis(1);

/// The clock is read once in this many polls, because that costs as much as polling a task. It is also
/// read after a poll that has spent its budget.
const POLLS_PER_LOOK: u32 = 8;

/// The most ticks between two callbacks. No program needs that many. In NodeJS, ticks that set each
/// other block the loop for ever; it used to warn at 1,000.
const TICKS_BETWEEN_CALLBACKS: usize = 100_000;

/// The future of `block_on` and its task. Unlike other tasks, this one does not own its future.
pub(crate) struct Root<'a> {
    pub(crate) task: Rc<Task>,
    pub(crate) future: Pin<&'a mut dyn Future<Output = ()>>,
}

impl Turn<'_> {
    /// Runs ticks and woken tasks, until there are none or the limits are reached.
    #[inline]
    pub(crate) fn drain(&mut self) {
        if !self.tasks.is_ready_empty() || !self.state.queues.ticks.borrow().is_empty() {
            self.run_ticks_and_tasks();
        }
    }

    fn run_ticks_and_tasks(&mut self) {
        let mut ticks = TICKS_BETWEEN_CALLBACKS;
        let mut share = Share::default();
        loop {
            while let Some(place) = self.next_tick() {
                if ticks == 0 {
                    let ticks = TICKS_BETWEEN_CALLBACKS;
                    self.handle.warn(&Warning::TickFlood { ticks, place });
                    return self.run_tasks(&mut share);
                }
                ticks -= 1;
                self.run_tick();
            }
            self.run_tasks(&mut share);
            if self.state.queues.ticks.borrow().is_empty() {
                return;
            }
        }
    }

    /// The place where the next tick was set, if there is one.
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

    /// Polls ready tasks, until there are none or their share is used up.
    fn run_tasks(&mut self, share: &mut Share) {
        let _budgets = budget::Scope::new();
        loop {
            let run = AssertUnwindSafe(|| self.poll_tasks(share));
            match catch_unwind(run) {
                Ok(()) => return,
                Err(payload) => self.end_of_panic(payload),
            }
        }
    }

    fn poll_tasks(&mut self, share: &mut Share) {
        while !share.is_over {
            let Some(task) = self.tasks.pop() else {
                return;
            };
            let is_told = self.state.is_recorded() || cfg!(feature = "tracing");
            let spent = match self.state.meter.is_timing() || is_told {
                true => self.poll_timed(task),
                false => self.poll_task(task),
            };
            share.count(self.state, spent);
        }
    }

    #[inline(never)]
    fn poll_timed(&mut self, task: Rc<Task>) -> bool {
        let (handle, place) = (self.handle, task.place);
        let mut spent = false;
        handle.timed(CallbackKind::Task, place, || spent = self.poll_task(task));
        spent
    }

    /// Polls a task. Returns whether it has spent its budget and continues in the next turn.
    #[inline(always)]
    fn poll_task(&mut self, task: Rc<Task>) -> bool {
        self.loop_waker.release_if_cloned(self.tasks);
        let waker = match task.own_waker() {
            Some(waker) => waker,
            None => self
                .loop_waker
                .for_task(&self.tasks.mailbox, task.key.get()),
        };
        self.tasks.begin_poll(Rc::clone(&task), waker);
        budget::fill();
        let context = &mut Context::from_waker(waker);
        let polled = match task.poll(context) {
            Some(polled) => polled,
            None => poll_root(&mut self.root, &task, context),
        };
        let spent = self.tasks.end_poll();
        match polled {
            Poll::Ready(output) => self.finish(&task, output),
            // The task has aborted itself.
            Poll::Pending if task.is_over() => drop(task.take_work()),
            Poll::Pending if spent => {
                self.tasks.next_turn.add(Waiter::Task(task));
                return true;
            }
            Poll::Pending => {}
        }
        false
    }

    #[inline(never)]
    fn finish(&mut self, task: &Rc<Task>, output: Output) {
        if self.is_root(task) {
            self.root = None;
        }
        // Nothing is returned: the task has not panicked.
        let _ = self.state.finish(task, Ok(output));
    }

    fn is_root(&self, task: &Rc<Task>) -> bool {
        let root = self.root.as_ref();
        root.is_some_and(|root| Rc::ptr_eq(&root.task, task))
    }

    /// A panic in the poll of a task ends that task. A panic of the future of `block_on`, or outside of
    /// a poll, goes on.
    #[cold]
    fn end_of_panic(&mut self, payload: Box<dyn Any + Send>) {
        match self.tasks.take_polled() {
            Some(task) if !self.is_root(&task) => {
                if let Some(payload) = self.state.finish(&task, Err(payload)) {
                    self.handle.warn_of_panic(task.place, payload);
                }
            }
            _ => resume_unwind(payload),
        }
    }
}

/// Polls the future of `block_on`, if this is its task. Any other task without a future is over.
#[inline(never)]
fn poll_root(
    root: &mut Option<Root<'_>>,
    task: &Rc<Task>,
    context: &mut Context<'_>,
) -> Poll<Output> {
    match root {
        Some(root) if Rc::ptr_eq(&root.task, task) => {
            let polled = root.future.as_mut().poll(context);
            polled.map(|()| Box::new(()) as Output)
        }
        _ => Poll::Pending,
    }
}

/// The share of time that tasks have used between two callbacks.
#[derive(Default)]
struct Share {
    polls: u32,
    /// The end of the share; set when the clock is first read.
    end: Option<Time>,
    is_over: bool,
}

impl Share {
    /// Counts a poll. On a test's clock only the number of polls is limited.
    #[inline(always)]
    fn count(&mut self, state: &State, spent: bool) {
        self.polls += 1;
        let enough = self.polls == POLLS_BETWEEN_CALLBACKS;
        if enough || spent || self.polls % POLLS_PER_LOOK == 2 {
            self.is_over = enough || self.is_late(&state.clock);
        }
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
    /// Runs a callback or a poll, and warns if it is slow.
    pub(crate) fn timed(
        &self,
        kind: CallbackKind,
        place: &'static Location<'static>,
        run: impl FnOnce(),
    ) {
        let State { clock, meter, .. } = &*self.state;
        trace::callback(kind, place);
        let run = || {
            let _recorded = self.state.record_callback(kind, place);
            run();
        };
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
