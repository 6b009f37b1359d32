//! The state of a loop: what it waits for and what it has to do.
//!
//! The law: no callback, no waker and no `Drop` of anything that came from outside runs while any of
//! these cells is borrowed. Whoever removes something returns it, and the caller drops it after the
//! borrow has ended.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::VecDeque,
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    sync::Arc,
    task::RawWakerVTable,
};

use nio_poll::{Event, Events, Poll, Token};
use nio_timer::{TimerHeap, TimerKey};

use crate::{
    Error, Handle,
    blocking::Pool,
    clock::{Clock, Time},
    event_loop::Cut,
    meter::Meter,
    queues::Immediates,
    remote::{Mailbox, Post},
    slab::{Key, Slab},
    source::Entry,
    task::{Task, Waiter},
    timer::Timer,
    waker::Spare,
};

/// How many events one poll returns at most. At 64 bytes and less for each, the buffer is as large
/// as the cache of a core can hold beside everything else; more come with the next turn.
const EVENTS: usize = 1024;

/// The token of the mailbox's waker. No source has it: an index this high is never
/// reached.
pub(crate) const MAILBOX: Token = Token(usize::MAX);

/// A callback that runs once.
pub(crate) type Once = Box<dyn FnOnce(&Handle)>;

/// A callback that runs once, and where it was set.
pub(crate) struct Call {
    pub(crate) callback: Once,
    pub(crate) place: &'static Location<'static>,
}

impl Call {
    pub(crate) fn new(
        callback: impl FnOnce(&Handle) + 'static,
        place: &'static Location<'static>,
    ) -> Call {
        let callback = Box::new(callback);
        Call { callback, place }
    }
}

/// Where and when something was given to the loop.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) place: &'static Location<'static>,
    pub(crate) since: Time,
}

/// What tells a waker from others: compared, never used.
pub(crate) type Identity = (*const (), *const RawWakerVTable);

pub(crate) struct Core {
    pub(crate) poll: Poll,
    pub(crate) clock: Clock,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) timers: RefCell<TimerHeap<Time, Timer>>,
    pub(crate) sources: RefCell<Slab<Entry>>,
    pub(crate) ticks: RefCell<VecDeque<Call>>,
    pub(crate) immediates: RefCell<Immediates>,
    pub(crate) closing: RefCell<VecDeque<Call>>,
    pub(crate) tasks: RefCell<Slab<Task>>,
    /// Tasks that were woken, in order.
    pub(crate) ready: RefCell<VecDeque<Key>>,
    /// The future of `block_on` is in that queue.
    pub(crate) root_queued: Cell<bool>,
    /// The task that is being polled, and its waker.
    pub(crate) polled: Cell<Option<(Key, Identity)>>,
    /// The waker for tasks without one, while the loop does not run.
    pub(crate) spare_waker: Cell<Spare>,
    /// Who has had his share of this turn, to be woken when the next poll has had its own.
    pub(crate) next_turn: RefCell<VecDeque<Waiter>>,
    /// Where a bounded turn was cut off.
    pub(crate) cut: Cell<Option<Cut>>,
    /// Counts the polls, and wraps.
    pub(crate) turn: Cell<u32>,
    /// The turn in which they were woken last.
    pub(crate) resumed_in: Cell<u32>,
    /// What the last poll returned, and how much of it has been dispatched. A panic of a callback
    /// leaves the rest for the next turn.
    pub(crate) events: RefCell<Events>,
    pub(crate) dispatched: Cell<usize>,
    /// Of these events those that come after the I/O.
    pub(crate) late: RefCell<VecDeque<Event>>,
    /// Posts that were taken out of the inbox, in order.
    pub(crate) posts: RefCell<VecDeque<Post>>,
    /// The threads for what blocks, from when there is something.
    pub(crate) pool: RefCell<Option<Pool>>,
    /// How many closures are there or on their way.
    pub(crate) jobs: Cell<usize>,
    pub(crate) meter: Meter,
    /// How many things keep the loop alive.
    pub(crate) alive: Cell<usize>,
    pub(crate) running: Cell<bool>,
    pub(crate) stopping: Cell<bool>,
    pub(crate) closed: Cell<bool>,
}

impl Core {
    pub(crate) fn new(clock: Clock) -> Result<Core, Error> {
        let poll = Poll::new()?;
        let waker = nio_poll::Waker::new(&poll, MAILBOX)?;
        let meter = Meter::default();
        if !clock.is_real() {
            // It costs nothing there.
            meter.measure_idle(Time::START);
        }
        Ok(Core {
            poll,
            clock,
            mailbox: Arc::new(Mailbox::new(waker)),
            timers: RefCell::default(),
            sources: RefCell::default(),
            ticks: RefCell::default(),
            immediates: RefCell::default(),
            closing: RefCell::default(),
            tasks: RefCell::default(),
            ready: RefCell::default(),
            root_queued: Cell::new(false),
            polled: Cell::new(None),
            spare_waker: Cell::default(),
            next_turn: RefCell::default(),
            cut: Cell::default(),
            turn: Cell::new(0),
            resumed_in: Cell::new(0),
            events: RefCell::new(Events::with_capacity(EVENTS)),
            dispatched: Cell::new(0),
            late: RefCell::default(),
            posts: RefCell::default(),
            pool: RefCell::default(),
            jobs: Cell::new(0),
            meter,
            alive: Cell::new(0),
            running: Cell::new(false),
            stopping: Cell::new(false),
            closed: Cell::new(false),
        })
    }

    /// Where and when something is given to the loop. It is for a person to read, so the clock is read
    /// once in a turn.
    pub(crate) fn origin(&self, place: &'static Location<'static>) -> Origin {
        let known = self.meter.last_seen().filter(|_| self.running.get());
        let since = known.unwrap_or_else(|| self.clock.now());
        self.meter.saw(since);
        Origin { place, since }
    }

    /// Counts one more thing that keeps the loop alive.
    pub(crate) fn retain(&self, referenced: bool) {
        self.alive.set(self.alive.get() + usize::from(referenced));
    }

    /// Counts one less.
    pub(crate) fn release(&self, referenced: bool) {
        self.alive.set(self.alive.get() - usize::from(referenced));
    }

    /// Changes whether a thing keeps the loop alive.
    pub(crate) fn change_reference(&self, referenced: &mut bool, to: bool) {
        self.release(*referenced);
        self.retain(to);
        *referenced = to;
    }

    /// Whether anything keeps the loop alive, or somebody rang, who may have left something that does.
    pub(crate) fn is_alive(&self) -> bool {
        self.holds_something() || self.mailbox.doorbell.is_rung()
    }

    /// Whether anything that is known keeps the loop alive.
    pub(crate) fn holds_something(&self) -> bool {
        self.alive.get() > 0 || !self.ticks.borrow().is_empty() || !self.posts.borrow().is_empty()
    }

    /// Something was given to the loop. If another loop waits on its behalf, that has to know.
    pub(crate) fn rouse(&self) {
        if !self.running.get() && self.mailbox.doorbell.is_parked() {
            self.mailbox.ring();
        }
    }

    /// Ends everything: drops what the loop holds, and whatever that adds, until nothing is left. Who waits for
    /// a part of it is woken, to learn that the loop is gone. Should foreign code panic meanwhile, the rest ends
    /// before the panic goes on.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        let mut endings = Endings::default();
        endings.run(|| drop(self.pool.take()));
        endings.drop_each(self.mailbox.close().posts);
        endings.run(|| drop(self.meter.take_hook()));
        loop {
            let tasks = self.tasks.borrow_mut().take_all();
            let ticks = self.ticks.take();
            let immediates = self.immediates.borrow_mut().callbacks.take_all();
            let closing = self.closing.take();
            let mut timers = self.timers.take();
            let sources = self.sources.borrow_mut().take_all();
            let posts = self.posts.take();
            let next_turn = self.next_turn.take();
            let done = tasks.is_empty()
                && ticks.is_empty()
                && immediates.is_empty()
                && closing.is_empty()
                && timers.is_empty()
                && posts.is_empty()
                && sources.is_empty()
                && next_turn.is_empty();
            for mut task in tasks {
                endings.run(|| self.drop_task(&mut task));
            }
            for source in &sources {
                endings.run(|| source.deregister(self));
            }
            endings.drop_each(posts);
            endings.drop_each(sources);
            let keys: Vec<TimerKey> = timers.iter().map(|(key, ..)| key).collect();
            for key in keys {
                endings.run(|| match timers.cancel(key) {
                    Some(Timer::Sleep(waiter)) => waiter.wake(self),
                    timer => drop(timer),
                });
            }
            endings.drop_each(closing);
            endings.drop_each(immediates);
            endings.drop_each(ticks);
            for waiter in next_turn {
                endings.run(|| waiter.wake(self));
            }
            if done {
                break;
            }
        }
        self.alive.set(0);
        if let Some(panic) = endings.0 {
            resume_unwind(panic);
        }
    }
}

/// What the parts of a loop do at its end: the first panic of all, to go on when everything has ended.
#[derive(Default)]
struct Endings(Option<Box<dyn Any + Send>>);

impl Endings {
    fn run(&mut self, end: impl FnOnce()) {
        match catch_unwind(AssertUnwindSafe(end)) {
            Ok(()) => {}
            Err(panic) if self.0.is_none() => self.0 = Some(panic),
            Err(panic) => discard(panic),
        }
    }

    fn drop_each<T>(&mut self, things: impl IntoIterator<Item = T>) {
        for thing in things {
            self.run(|| drop(thing));
        }
    }
}

/// Drops what something has panicked with. That may panic once more, with something to be dropped.
pub(crate) fn discard(mut panic: Box<dyn Any + Send>) {
    while let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        panic = another;
    }
}
