//! The loop itself. [`Turn::take`] is the whole of it.
//!
//! ```text
//!       ┌──────────────────────────────────────────────┐
//!       │ timers       callbacks whose deadline passed │
//!       │ poll         wait for I/O, run its callbacks │   between any two callbacks:
//!       │              then what other threads posted  │   first ticks, then woken tasks,
//!       │ check        immediates                      │   until there are none
//!       │ closing      what follows a close            │
//!       └──────────────────────────────────────────────┘
//! ```
//!
//! What a phase adds to itself waits for the next turn.

use std::{
    cmp::Ordering,
    fmt,
    future::Future,
    mem,
    os::fd::{AsFd, BorrowedFd},
    panic::Location,
    pin::{Pin, pin},
    task::{Context, Waker},
    time::Duration,
};

use nio_poll::Event;

use crate::{
    CallbackKind, Clock, Error, Handle, Time, Warning,
    core::{Call, Core},
    slab::Key,
    source::Entry,
    task::ROOT,
    timer::Due,
    trace,
    waker::{Running, Spare},
};

/// How many tasks are polled between two callbacks at most, so that tasks that wake each other for
/// ever keep neither timers nor I/O from their turn.
const TASKS_BETWEEN_CALLBACKS: usize = 256;

/// How many ticks run between two callbacks at most. No program means to have so many: NodeJS would
/// never come back from ticks that set each other, and used to warn at 1,000.
const TICKS_BETWEEN_CALLBACKS: usize = 100_000;

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
///
/// # In another loop
///
/// A loop can be driven by another one, of whatever make: its descriptor ([`AsFd`]) becomes readable
/// when there is something to do for it. Before the other loop waits, it calls
/// [`run_nowait`](EventLoop::run_nowait) and then [`next_deadline`](EventLoop::next_deadline), and
/// waits until that or until the descriptor is readable. Whatever is given to this loop meanwhile,
/// by its handle or by another thread, makes the descriptor readable, so that the other loop comes
/// back and asks for the deadline again.
pub struct EventLoop {
    handle: Handle,
}

/// How much of a turn is taken. See [`EventLoop::run_bounded`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// At most this many callbacks.
    Callbacks(usize),
    /// No callback that would begin later than this from now.
    Time(Duration),
}

/// A phase of a turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Timers,
    Poll,
    Posts,
    Immediates,
    Closing,
}

/// Where a bounded turn was cut off: in a phase with so many callbacks left, if it counts them.
pub(crate) struct Cut(Phase, usize);

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

/// How long a poll waits.
enum Pause {
    Not,
    Until(Time),
    ForEver,
}

impl EventLoop {
    /// A loop with nothing to do.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`], mostly because the limit on open descriptors is reached.
    pub fn new() -> Result<EventLoop, Error> {
        EventLoop::with_clock(Clock::real())
    }

    /// A loop that has its time from a clock, mostly that of a test.
    ///
    /// # Errors
    ///
    /// As [`new`](EventLoop::new).
    pub fn with_clock(clock: Clock) -> Result<EventLoop, Error> {
        let core = Core::new(clock)?.into();
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
    /// A loop cannot be run by one of its own callbacks: that has a [`Handle`], and only the owner
    /// can run it. A callback can run another loop.
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
        while turn.goes_on() && turn.core.is_alive() {
            turn.take(Wait::Alive)?;
        }
        Ok(turn.end())
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
            turn.after_timers(Wait::Alive)?;
            turn.run_timers();
        }
        Ok(turn.end())
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
        Ok(turn.end())
    }

    /// Takes one turn that does not wait, and ends it early when it has had as much as it may: for
    /// a program that has something else to do at fixed times, such as drawing. What it leaves is
    /// done first by the next bounded turn, in the order in which it would have been; so every phase has
    /// its turn, however little one call may do. Ticks and woken tasks run after each callback as
    /// always, and are not counted. Returns whether something keeps the loop alive.
    ///
    /// # Errors
    ///
    /// As [`run`](EventLoop::run).
    pub fn run_bounded(&mut self, bound: Bound) -> Result<bool, Error> {
        let mut turn = Turn::new(&self.handle, None);
        match bound {
            Bound::Callbacks(callbacks) => turn.callbacks_left = callbacks,
            Bound::Time(time) => turn.until = turn.core.clock.now() + time,
        }
        if turn.goes_on() {
            turn.take_bounded()?;
        }
        Ok(turn.end())
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
            turn.core.wake(ROOT);
            turn.drain();
            while turn.root.is_some() {
                turn.take(Wait::Root)?;
            }
            turn.end();
        }
        Ok(output.expect("the root is gone only when it is ready"))
    }

    /// When the loop has to be run again at the latest, if nothing happens before: now or earlier if
    /// there is something to do at once, `None` if it waits for events only.
    ///
    /// From this call on, and until the loop is run, its descriptor becomes readable also when
    /// something is given to the loop, because that may change the answer.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let core = &self.handle.core;
        if core.is_busy() || core.has_events() || !core.mailbox.doorbell.park() {
            return Some(core.clock.now());
        }
        core.next_deadline()
    }
}

impl AsFd for EventLoop {
    /// The descriptor that is readable when there is something to do. It is that of a kqueue (on
    /// Linux, of an epoll), so it can be watched by any other kqueue or epoll, and by poll(2) except
    /// on macOS.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.core.poll.as_fd()
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

impl Core {
    /// Whether there is something to do that needs no event and no timer.
    #[inline]
    fn is_busy(&self) -> bool {
        self.immediates.borrow().referenced > 0
            || !self.next_turn.borrow().is_empty()
            || !self.ready.borrow().is_empty()
            || !self.ticks.borrow().is_empty()
            || !self.posts.borrow().is_empty()
            || !self.closing.borrow().is_empty()
    }

    /// Whether something of the last batch is left.
    #[inline]
    fn has_events(&self) -> bool {
        self.dispatched.get() < self.events.borrow().len() || !self.late.borrow().is_empty()
    }
}

/// A loop that runs. Whoever has a `Turn` may run foreign code, and nothing else in the crate may.
struct Turn<'a> {
    handle: &'a Handle,
    core: &'a Core,
    /// The future of `block_on`, until it is ready.
    root: Option<Pin<&'a mut dyn Future<Output = ()>>>,
    /// Its waker, once somebody has kept the spare one.
    root_waker: Option<Waker>,
    spare_waker: Spare,
    callbacks_left: usize,
    until: Time,
    /// Where the turn before was cut off.
    cut: Option<Cut>,
    /// The time that the timers phase has looked up, if nothing has run since.
    now: Option<Time>,
    _running: Running,
}

impl<'a> Turn<'a> {
    fn new(handle: &'a Handle, root: Option<Pin<&'a mut dyn Future<Output = ()>>>) -> Turn<'a> {
        let core = &*handle.core;
        // A stop from elsewhere may have come between two runs; and a wake, so that the first poll
        // must not wait.
        if core.collect() {
            let _parked = core.mailbox.doorbell.ring();
        }
        Turn {
            handle,
            core,
            root,
            root_waker: None,
            spare_waker: core.spare_waker.take(),
            callbacks_left: usize::MAX,
            until: Time::NEVER,
            cut: core.cut.take(),
            now: None,
            _running: Running::new(&handle.core),
        }
    }

    fn goes_on(&self) -> bool {
        !self.core.stopping.get()
    }

    /// The end of a run: a stop has had its effect. Returns whether something keeps the loop alive.
    fn end(self) -> bool {
        self.core.spare_waker.set(self.spare_waker);
        self.core.collect();
        self.core.stopping.set(false);
        self.core.holds_something()
    }

    /// One turn of the loop.
    fn take(&mut self, wait: Wait) -> Result<(), Error> {
        self.drain();
        self.run_timers();
        self.after_timers(wait)
    }

    /// What is left of the turn before, and then another turn, as far as the bound allows.
    fn take_bounded(&mut self) -> Result<(), Error> {
        self.drain();
        if let Some(cut) = self.cut.take() {
            if !self.go_on(cut, Wait::Never)? || !self.may_call() {
                return Ok(());
            }
        }
        self.begin_timers();
        self.go_on(Cut(Phase::Timers, 0), Wait::Never).map(drop)
    }

    /// Takes a turn, or what is left of it, from a phase on. Returns whether that is all of it; if not, the
    /// next bounded one is to go on from there.
    fn go_on(&mut self, Cut(from, left): Cut, wait: Wait) -> Result<bool, Error> {
        let core = self.core;
        let cut_off = |phase, left| {
            core.cut.set(Some(Cut(phase, left)));
            Ok(false)
        };
        if from <= Phase::Timers && !self.run_due_timers() {
            return cut_off(Phase::Timers, 0);
        }
        if from <= Phase::Poll {
            self.poll(wait)?;
            if core.has_events() {
                return cut_off(Phase::Poll, 0);
            }
        }
        let begin = |phase, all| match from.cmp(&phase) {
            Ordering::Less => all,
            Ordering::Equal => left,
            Ordering::Greater => 0,
        };
        let posts = begin(Phase::Posts, core.posts.borrow().len());
        let posts = self.run_posts(posts);
        if posts > 0 {
            return cut_off(Phase::Posts, posts);
        }
        let immediates = begin(Phase::Immediates, core.immediates.borrow().order.len());
        let immediates = self.run_immediates(immediates);
        if immediates > 0 {
            return cut_off(Phase::Immediates, immediates);
        }
        let closing = begin(Phase::Closing, core.closing.borrow().len());
        let closing = self.run_closing(closing);
        if closing > 0 {
            return cut_off(Phase::Closing, closing);
        }
        Ok(true)
    }

    /// What comes after the timers in a turn.
    fn after_timers(&mut self, wait: Wait) -> Result<(), Error> {
        self.go_on(Cut(Phase::Poll, 0), wait).map(drop)
    }

    /// Timers: those that are due now, whatever they arm.
    #[inline]
    fn run_timers(&mut self) {
        self.now = None;
        if !self.core.timers.borrow().is_empty() {
            self.begin_timers();
            self.run_due_timers();
        }
    }

    /// Says which timers are due in this turn: those that are now.
    fn begin_timers(&mut self) {
        let now = self.core.clock.now();
        self.now = Some(now);
        self.core.meter.saw(now);
        self.core.timers.borrow_mut().begin_drain(now);
    }

    /// Runs the timers that were due when the turn began. Returns false if some are left.
    // Most turns have no timer due: what follows would only be in their way.
    #[inline(never)]
    fn run_due_timers(&mut self) -> bool {
        let core = self.core;
        let now = self.now.unwrap_or_else(|| core.clock.now());
        while self.may_call() {
            let Some(due) = core.next_due(now) else {
                return true;
            };
            self.now = None;
            core.meter.count_timer();
            match due {
                Due::Timeout(callback, origin) => {
                    self.call(CallbackKind::Timeout, origin.place, callback);
                }
                Due::Interval(key, mut every, origin, periods) => {
                    let lost = OnPanic(|| drop(core.cancel_timer(key)));
                    self.call(CallbackKind::Interval, origin.place, |handle| {
                        every(handle, periods);
                        mem::forget(lost);
                        drop(core.put_back(key, every));
                    });
                }
                Due::Sleep(waiter) => {
                    waiter.wake(core);
                    self.drain();
                }
            }
        }
        core.timers.borrow_mut().peek_drained().is_none()
    }

    /// Poll: waits for I/O and runs its callbacks.
    fn poll(&mut self, wait: Wait) -> Result<(), Error> {
        let core = self.core;
        let mut resumed = 0;
        // A callback that panicked may have left a part of the last batch.
        if !core.has_events() {
            resumed = core.next_turn.borrow().len();
            self.wait(wait)?;
        }
        while self.may_call() {
            self.notify_sources();
            let Some(event) = self.next_event() else {
                break;
            };
            self.dispatch(event);
        }
        core.resumed_in.set(core.turn.get());
        // One by one, so that a waker that panics loses nobody.
        for _ in 0..resumed {
            let waiter = core.next_turn.borrow_mut().pop_front();
            if let Some(waiter) = waiter {
                waiter.wake(core);
            }
        }
        self.drain();
        Ok(())
    }

    /// Asks for events, and waits until there are some unless there is something else to do.
    fn wait(&mut self, wait: Wait) -> Result<(), Error> {
        let core = self.core;
        core.meter.forget_time();
        let result = match self.pause(wait) {
            Pause::Not => core.poll_for(Some(Duration::ZERO)),
            Pause::Until(deadline) if core.clock.is_automatic() && !core.has_jobs() => {
                core.jump(deadline)
            }
            Pause::Until(deadline) => core.sleep(Some(deadline), self.now),
            Pause::ForEver => core.sleep(None, None),
        };
        core.dispatched.set(0);
        core.turn.set(core.turn.get().wrapping_add(1));
        let events = core.events.borrow().len();
        core.meter.count_turn(events);
        trace::turn(events);
        core.collect();
        result
    }

    /// How long to wait for I/O: not at all while there is something else to do, else until the next
    /// timer is due.
    fn pause(&self, wait: Wait) -> Pause {
        let core = self.core;
        let ends = match wait {
            Wait::Alive => core.stopping.get() || !core.is_alive(),
            Wait::Root => self.root.is_none(),
            Wait::Never => true,
        };
        if ends || core.is_busy() {
            return Pause::Not;
        }
        core.next_deadline().map_or(Pause::ForEver, Pause::Until)
    }

    /// Gives events of the batch to the sources that they are for, up to the first for which more than
    /// tasks wait: what most events are, with nothing foreign to be run.
    #[inline]
    fn notify_sources(&self) {
        let core = self.core;
        let (events, mut sources) = (core.events.borrow(), core.sources.borrow_mut());
        while let Some(event) = events.get(core.dispatched.get()) {
            match sources.get_by_word(event.token().0) {
                Some((_, Entry::Source(state))) if !state.has_others() => {
                    state.notify_tasks(core, event);
                }
                _ => return,
            }
            core.dispatched.set(core.dispatched.get() + 1);
        }
    }

    /// The next event of the batch. Signals and exits come after the I/O, so that who handles them
    /// has seen what was there to be read.
    fn next_event(&self) -> Option<Event> {
        let core = self.core;
        loop {
            let next = core.dispatched.get();
            let Some(event) = core.events.borrow().get(next) else {
                return core.late.borrow_mut().pop_front();
            };
            core.dispatched.set(next + 1);
            if !event.is_signal() && !event.is_exit() {
                return Some(event);
            }
            core.late.borrow_mut().push_back(event);
        }
    }

    /// Gives an event to whom it is for, if it is still there.
    fn dispatch(&mut self, event: Event) {
        let core = self.core;
        let mut sources = core.sources.borrow_mut();
        match sources.get_by_word(event.token().0) {
            Some((_, Entry::Source(state))) => {
                let state = state.clone();
                drop(sources);
                state.notify(core, event);
            }
            Some((key, Entry::Watch(watch))) => {
                let (kind, place) = (watch.kind(), watch.origin.place);
                let Some(mut callback) = watch.callback.take() else {
                    return;
                };
                drop(sources);
                let lost = OnPanic(|| drop(core.remove_watch(key)));
                self.call(kind, place, |handle| {
                    callback(handle, event);
                    mem::forget(lost);
                    if event.is_exit() {
                        drop(core.remove_watch(key));
                    }
                    drop(core.put_back_watch(key, callback));
                });
            }
            // It is of the mailbox, or of something that is gone.
            None => {}
        }
    }

    /// The first so many of the closures that other threads have posted: those that were there when the
    /// poll returned. Returns how many are left.
    fn run_posts(&mut self, count: usize) -> usize {
        for done in 0..count {
            if !self.may_call() {
                return count - done;
            }
            let next = self.core.posts.borrow_mut().pop_front();
            if let Some(post) = next {
                self.call(CallbackKind::Post, post.place, post.closure);
            }
        }
        0
    }

    /// Check: the first so many immediates, those that were set before this phase. Returns how many are
    /// left.
    fn run_immediates(&mut self, count: usize) -> usize {
        let core = self.core;
        for done in 0..count {
            if !self.may_call() {
                return count - done;
            }
            let key = core.immediates.borrow_mut().order.pop_front();
            if let Some(immediate) = key.and_then(|key| core.remove_immediate(key)) {
                let Call { callback, place } = immediate.call;
                self.call(CallbackKind::Immediate, place, callback);
            }
        }
        0
    }

    /// Closing: what follows the first so many closes, those before this phase. Returns how many are left.
    fn run_closing(&mut self, count: usize) -> usize {
        for done in 0..count {
            if !self.may_call() {
                return count - done;
            }
            let next = self.core.closing.borrow_mut().pop_front();
            if let Some(Call { callback, place }) = next {
                self.core.release(true);
                self.call(CallbackKind::Close, place, callback);
            }
        }
        0
    }

    /// Whether the turn has not had as much as it may.
    fn may_call(&self) -> bool {
        self.callbacks_left > 0 && (self.until == Time::NEVER || self.core.clock.now() < self.until)
    }

    /// Runs a callback, and then what comes between two callbacks.
    fn call(
        &mut self,
        kind: CallbackKind,
        place: &'static Location<'static>,
        callback: impl FnOnce(&Handle),
    ) {
        self.callbacks_left -= 1;
        self.core.meter.count_callback();
        self.handle.timed(kind, place, || callback(self.handle));
        self.drain();
    }

    /// Between two callbacks: ticks, then woken tasks, until there are none. What is left when
    /// enough of them have run waits for the next time.
    #[inline]
    fn drain(&mut self) {
        if !self.core.ticks.borrow().is_empty() || !self.core.ready.borrow().is_empty() {
            self.run_ticks_and_tasks();
        }
    }

    fn run_ticks_and_tasks(&mut self) {
        let mut ticks = TICKS_BETWEEN_CALLBACKS;
        let mut tasks = TASKS_BETWEEN_CALLBACKS;
        loop {
            while let Some(place) = self.next_tick() {
                if ticks == 0 {
                    let ticks = TICKS_BETWEEN_CALLBACKS;
                    return self.handle.warn(&Warning::TickFlood { ticks, place });
                }
                ticks -= 1;
                self.run_tick();
            }
            while tasks > 0 && self.run_task() {
                tasks -= 1;
            }
            if self.core.ticks.borrow().is_empty() {
                return;
            }
        }
    }

    /// Where the next tick was set, if there is one.
    fn next_tick(&self) -> Option<&'static Location<'static>> {
        self.core.ticks.borrow().front().map(|tick| tick.place)
    }

    fn run_tick(&self) {
        let tick = self.core.ticks.borrow_mut().pop_front();
        if let Some(Call { callback, place }) = tick {
            self.handle
                .timed(CallbackKind::Tick, place, || callback(self.handle));
        }
    }

    /// Polls the next of the woken tasks, or the root. Returns false if there is none.
    fn run_task(&mut self) -> bool {
        let core = self.core;
        let next = core.ready.borrow_mut().pop_front();
        match next {
            None => return false,
            Some(ROOT) => self.poll_root(),
            Some(key) => match core.place_of_task(key) {
                Some(place) => self.run_timed_task(key, place),
                None => core.poll_task(key, &mut self.spare_waker),
            },
        }
        true
    }

    // Rarely does anybody want to know: it would only be in the way of the others.
    #[inline(never)]
    fn run_timed_task(&mut self, key: Key, place: &'static Location<'static>) {
        self.handle.timed(CallbackKind::Task, place, || {
            self.core.poll_task(key, &mut self.spare_waker);
        });
    }

    fn poll_root(&mut self) {
        self.core.root_queued.set(false);
        let Some(root) = &mut self.root else {
            return;
        };
        let waker = match &self.root_waker {
            Some(waker) => waker,
            None => self.spare_waker.lend(self.core, ROOT),
        };
        let poll = |context: &mut Context<'_>| root.as_mut().poll(context);
        if self.core.poll_as(ROOT, waker, poll).is_ready() {
            self.root = None;
        }
        if self.root_waker.is_none() {
            self.root_waker = self.spare_waker.take_back();
        }
    }
}

impl Handle {
    /// Runs something, and notes how long it takes if anybody wants to know.
    fn timed(&self, kind: CallbackKind, place: &'static Location<'static>, run: impl FnOnce()) {
        let Core { clock, meter, .. } = &*self.core;
        trace::callback(kind, place);
        let start = meter.is_timing().then(|| clock.now());
        run();
        if let Some(start) = start {
            let took = clock.now() - start;
            if meter.is_slow(took) {
                self.warn(&Warning::Slow { kind, place, took });
            }
        }
    }
}

impl Core {
    #[inline]
    fn poll_for(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.poll.poll(&mut self.events.borrow_mut(), timeout)?;
        Ok(())
    }

    /// Polls, and waits until a time if nobody rings. `now` need not be looked up if it is known.
    #[inline]
    fn sleep(&self, deadline: Option<Time>, now: Option<Time>) -> Result<(), Error> {
        let measures = self.meter.measures_idle();
        let before = if deadline.is_some() || measures {
            now.unwrap_or_else(|| self.clock.now())
        } else {
            Time::START // nobody asks
        };
        if deadline.is_some_and(|deadline| deadline <= before) || !self.mailbox.doorbell.park() {
            return self.poll_for(Some(Duration::ZERO));
        }
        // On a test's clock no time passes by waiting.
        let deadline = deadline.filter(|_| self.clock.is_real());
        let result = self.poll_for(deadline.map(|deadline| deadline - before));
        self.meter.count_wait();
        if measures {
            self.meter.count_idle(before, self.clock.now());
        }
        result
    }

    /// Polls, and makes it the time of the deadline if nothing happens before.
    fn jump(&self, deadline: Time) -> Result<(), Error> {
        self.poll_for(Some(Duration::ZERO))?;
        if self.events.borrow().is_empty() && !self.mailbox.doorbell.is_rung() {
            let before = self.clock.now();
            self.clock.advance_to(deadline);
            self.meter.count_wait();
            self.meter.count_idle(before, self.clock.now());
        }
        Ok(())
    }
}

/// Does something if there is a panic before it is forgotten.
struct OnPanic<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
