//! The loop itself. [`Turn::take`] is the whole of it.
//!
//! ```text
//!       ┌──────────────────────────────────────────────┐
//!       │ timers       callbacks whose deadline passed │
//!       │ poll         wait for I/O, run its callbacks │   between any two callbacks:
//!       │              then what other threads posted  │   first ticks, then woken tasks,
//!       │ check        immediates                      │   until there are none
//!       └──────────────────────────────────────────────┘
//! ```
//!
//! What a phase adds to itself waits for the next turn.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use nio_poll::Event;

use crate::{
    Error, Handle,
    clock::NEVER,
    core::{Core, MAILBOX},
    source::Entry,
    task::RootWaker,
    timer::Due,
};

/// How many tasks are polled between two callbacks at most, so that tasks that wake each other for
/// ever keep neither timers nor I/O from their turn.
const TASKS_BETWEEN_CALLBACKS: usize = 256;

/// An event loop. It owns everything that is registered with it; [`handle`](EventLoop::handle)
/// gives what uses it.
///
/// ```
/// use std::time::Duration;
/// use nio_loop::EventLoop;
///
/// # fn main() -> Result<(), nio_loop::Error> {
/// let mut event_loop = EventLoop::new()?;
/// event_loop.handle().set_timeout(Duration::from_millis(10), |_| println!("done"));
/// event_loop.run()?; // returns when nothing is left to wait for
/// # Ok(())
/// # }
/// ```
///
/// Dropping it drops all callbacks and tasks without running them.
pub struct EventLoop {
    handle: Handle,
}

/// How long a turn may wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Until something happens, or at once if nothing keeps the loop alive.
    Alive,
    /// Until something happens, or not at all once the root is ready.
    Root,
    /// Not at all.
    Never,
}

impl EventLoop {
    /// A loop with nothing to do.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`], mostly because the limit on open descriptors is reached.
    pub fn new() -> Result<EventLoop, Error> {
        let core = Core::new()?.into();
        Ok(EventLoop {
            handle: Handle { core },
        })
    }

    /// What uses this loop. Clone it into callbacks and tasks.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs until nothing keeps the loop alive, or until it is stopped. Returns whether something
    /// still keeps it alive.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if waiting fails, which no correct program sees. The loop can be run again.
    ///
    /// # Panics
    ///
    /// A panic of a callback passes through. Nothing but that callback is lost: the loop can be run
    /// again, and goes on where it was.
    pub fn run(&mut self) -> Result<bool, Error> {
        let mut turn = Turn::new(&self.handle, None);
        while turn.goes_on() && turn.core().is_alive() {
            turn.take(Wait::Alive)?;
        }
        Ok(self.finish())
    }

    /// Takes one turn that begins with the poll and ends with the timers: it waits until something
    /// happens or a timer is due, and not at all if one is due already. Returns whether something
    /// keeps the loop alive.
    ///
    /// # Errors
    ///
    /// As [`run`](EventLoop::run).
    pub fn run_once(&mut self) -> Result<bool, Error> {
        let mut turn = Turn::new(&self.handle, None);
        if turn.goes_on() {
            turn.drain();
            turn.poll_and_check(Wait::Alive)?;
            turn.run_timers();
        }
        Ok(self.finish())
    }

    /// Takes one turn that does not wait. Returns whether something keeps the loop alive.
    ///
    /// # Errors
    ///
    /// As [`run`](EventLoop::run).
    pub fn run_nowait(&mut self) -> Result<bool, Error> {
        let mut turn = Turn::new(&self.handle, None);
        if turn.goes_on() {
            turn.take(Wait::Never)?;
        }
        Ok(self.finish())
    }

    /// Runs the loop until a future is ready, and returns its output. Whatever else the loop has to
    /// do goes on meanwhile, and stays there afterwards. A [stop](Handle::stop) does not end it.
    ///
    /// # Errors
    ///
    /// As [`run`](EventLoop::run).
    pub fn block_on<F: Future>(&mut self, future: F) -> Result<F::Output, Error> {
        let mut output = None;
        {
            let root = pin!(async { output = Some(future.await) });
            let mut turn = Turn::new(&self.handle, Some(root));
            turn.core().mailbox.leave(|inbox| inbox.root_woken = true);
            turn.drain();
            while turn.root.is_some() {
                turn.take(Wait::Root)?;
            }
        }
        self.finish();
        Ok(output.expect("the root is gone only when it is ready"))
    }

    /// The end of a run: a stop has had its effect.
    fn finish(&self) -> bool {
        self.handle.core.stopping.set(false);
        self.handle.core.is_alive()
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.handle.core.close();
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("handle", &self.handle)
            .finish()
    }
}

/// A loop that runs. Whoever has a `Turn` may run foreign code, and nothing else in the crate may.
struct Turn<'a> {
    handle: &'a Handle,
    /// The future of `block_on`, until it is ready.
    root: Option<Pin<&'a mut dyn Future<Output = ()>>>,
    root_waker: Waker,
}

impl<'a> Turn<'a> {
    fn new(handle: &'a Handle, root: Option<Pin<&'a mut dyn Future<Output = ()>>>) -> Turn<'a> {
        // A stop from elsewhere may have come between two runs.
        handle.core.open_mailbox();
        let mailbox = Arc::clone(&handle.core.mailbox);
        Turn {
            handle,
            root,
            root_waker: Arc::new(RootWaker(mailbox)).into(),
        }
    }

    fn core(&self) -> &'a Core {
        &self.handle.core
    }

    fn goes_on(&self) -> bool {
        !self.core().stopping.get()
    }

    /// One turn of the loop.
    fn take(&mut self, wait: Wait) -> Result<(), Error> {
        self.drain();
        self.run_timers();
        self.poll_and_check(wait)
    }

    /// What comes after the timers in a turn.
    fn poll_and_check(&mut self, wait: Wait) -> Result<(), Error> {
        self.poll(wait)?;
        self.run_posts();
        self.run_immediates();
        Ok(())
    }

    /// Timers: those that are due now, whatever they arm.
    fn run_timers(&mut self) {
        let core = self.core();
        if core.timers.borrow().is_empty() {
            return;
        }
        let now = core.clock.now();
        core.timers.borrow_mut().begin_drain(now);
        while let Some(due) = core.next_due(now) {
            match due {
                Due::Timeout(callback) => callback(self.handle),
                Due::Sleep(waker) => waker.wake(),
                Due::Interval(key, mut callback, periods) => {
                    callback(self.handle, periods);
                    drop(core.put_back(key, callback));
                }
            }
            self.drain();
        }
    }

    /// Poll: waits for I/O and runs its callbacks.
    fn poll(&mut self, wait: Wait) -> Result<(), Error> {
        let core = self.core();
        // A callback that panicked may have left a part of the last batch.
        if core.dispatched.get() >= core.events.borrow().len() {
            let timeout = self.timeout(wait);
            let sleeps = timeout != Some(Duration::ZERO) && core.mailbox.fall_asleep();
            let timeout = if sleeps {
                timeout
            } else {
                Some(Duration::ZERO)
            };
            let result = core.poll.poll(&mut core.events.borrow_mut(), timeout);
            core.dispatched.set(0);
            core.turn.set(core.turn.get().wrapping_add(1));
            core.open_mailbox();
            result?;
        }
        while let Some(event) = self.next_event() {
            self.dispatch(event);
        }
        for waker in core.next_turn.take() {
            waker.wake();
        }
        self.drain();
        Ok(())
    }

    /// How long to wait for I/O: not at all while there is something else to do, else until the next
    /// timer is due.
    fn timeout(&self, wait: Wait) -> Option<Duration> {
        let core = self.core();
        let ends = match wait {
            Wait::Alive => core.stopping.get() || !core.is_alive(),
            Wait::Root => self.root.is_none(),
            Wait::Never => true,
        };
        let busy = ends
            || core.immediates.borrow().referenced > 0
            || !core.next_turn.borrow().is_empty()
            || !core.ready.borrow().is_empty()
            || !core.posts.borrow().is_empty();
        if busy {
            return Some(Duration::ZERO);
        }
        let deadline = core.timers.borrow_mut().next_deadline();
        deadline
            .filter(|&deadline| deadline != NEVER)
            .map(|deadline| Duration::from_nanos(deadline.saturating_sub(core.clock.now())))
    }

    fn next_event(&self) -> Option<Event> {
        let core = self.core();
        let next = core.dispatched.get();
        let event = core.events.borrow().get(next)?;
        core.dispatched.set(next + 1);
        Some(event)
    }

    /// Gives an event to whom it is for, if it is still there.
    fn dispatch(&mut self, event: Event) {
        if event.token() == MAILBOX {
            return;
        }
        let core = self.core();
        let mut sources = core.sources.borrow_mut();
        let Some(key) = sources.key_of(event.token().0) else {
            return;
        };
        match sources.get_mut(key) {
            Some(Entry::Source(state)) => {
                let state = state.clone();
                drop(sources);
                state.notify(event);
            }
            Some(Entry::Watch(watch)) => {
                let Some(mut callback) = watch.callback.take() else {
                    // It was lost in a panic.
                    drop(sources);
                    drop(core.remove_watch(key));
                    return;
                };
                drop(sources);
                callback(self.handle, event);
                drop(core.put_back_watch(key, callback));
                self.drain();
            }
            None => {}
        }
    }

    /// The closures that other threads had posted when the poll returned.
    fn run_posts(&mut self) {
        let core = self.core();
        let count = core.posts.borrow().len();
        for _ in 0..count {
            let post = core.posts.borrow_mut().pop_front();
            if let Some(post) = post {
                post(self.handle);
                self.drain();
            }
        }
    }

    /// Check: the immediates that were set before this phase.
    fn run_immediates(&mut self) {
        let core = self.core();
        let count = core.immediates.borrow().order.len();
        for _ in 0..count {
            let key = core.immediates.borrow_mut().order.pop_front();
            if let Some(immediate) = key.and_then(|key| core.remove_immediate(key)) {
                (immediate.callback)(self.handle);
                self.drain();
            }
        }
    }

    /// Between two callbacks: ticks, then woken tasks, until there are none. Tasks that are left when
    /// enough were polled wait for the next time; ticks never do.
    fn drain(&mut self) {
        let mut left = TASKS_BETWEEN_CALLBACKS;
        loop {
            while let Some(tick) = self.next_tick() {
                tick(self.handle);
            }
            while left > 0 && self.run_task() {
                left -= 1;
            }
            if self.core().ticks.borrow().is_empty() {
                return;
            }
        }
    }

    fn next_tick(&self) -> Option<crate::core::Once> {
        self.core().ticks.borrow_mut().pop_front()
    }

    /// Polls the next of the woken tasks, or the root. Returns false if there is none.
    fn run_task(&mut self) -> bool {
        let core = self.core();
        let mut next = core.ready.borrow_mut().pop_front();
        if next.is_none() {
            if self.collect_woken() {
                self.poll_root();
                return true;
            }
            next = core.ready.borrow_mut().pop_front();
        }
        next.map(|key| core.poll_task(key)).is_some()
    }

    /// Takes the woken tasks out of the inbox. Returns whether the root is among them.
    fn collect_woken(&self) -> bool {
        let core = self.core();
        let mut inbox = core.mailbox.open();
        core.ready.borrow_mut().extend(inbox.woken.drain(..));
        std::mem::take(&mut inbox.root_woken)
    }

    fn poll_root(&mut self) {
        if let Some(root) = &mut self.root {
            let mut context = Context::from_waker(&self.root_waker);
            if root.as_mut().poll(&mut context) == Poll::Ready(()) {
                self.root = None;
            }
        }
    }
}
