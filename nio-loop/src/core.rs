//! The state of a loop: what it waits for and what it has to do.
//!
//! The law: no callback, no waker and no `Drop` of anything that came from outside runs while any of
//! these cells is borrowed. Whoever removes something returns it, and the caller drops it after the
//! borrow has ended.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    sync::Arc,
    task::Waker,
};

use nio_poll::{Events, Poll, Token};
use nio_timer::TimerHeap;

use crate::{
    Error, Handle,
    clock::{Clock, Nanos},
    remote::{Mailbox, Post},
    slab::{Key, Slab},
    source::Entry,
    task::Task,
    timer::Timer,
};

/// How many events one poll returns at most. At 64 bytes and less for each, the buffer is as large
/// as the cache of a core can hold beside everything else; more come with the next turn.
const EVENTS: usize = 1024;

/// The token of the mailbox's waker. No source has it: their generations start at zero, and an
/// index this high is never reached.
pub(crate) const MAILBOX: Token = Token(usize::MAX);

/// A callback that runs once.
pub(crate) type Once = Box<dyn FnOnce(&Handle)>;

pub(crate) struct Core {
    pub(crate) poll: Poll,
    pub(crate) clock: Clock,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) timers: RefCell<TimerHeap<Nanos, Timer>>,
    pub(crate) sources: RefCell<Slab<Entry>>,
    pub(crate) ticks: RefCell<VecDeque<Once>>,
    pub(crate) immediates: RefCell<Immediates>,
    pub(crate) tasks: RefCell<Slab<Task>>,
    /// Tasks that were woken and taken out of the inbox, in order.
    pub(crate) ready: RefCell<VecDeque<Key>>,
    /// Who has had his share of this turn, to be woken when the poll has had its own.
    pub(crate) next_turn: RefCell<Vec<Waker>>,
    /// Counts the polls, and wraps.
    pub(crate) turn: Cell<u32>,
    /// What the last poll returned, and how much of it has been dispatched. A panic of a callback
    /// leaves the rest for the next turn.
    pub(crate) events: RefCell<Events>,
    pub(crate) dispatched: Cell<usize>,
    /// Posts that were taken out of the inbox, in order.
    pub(crate) posts: RefCell<VecDeque<Post>>,
    /// How many things keep the loop alive.
    pub(crate) alive: Cell<usize>,
    pub(crate) stopping: Cell<bool>,
    pub(crate) closed: Cell<bool>,
}

/// Immediates by key, and the keys in order. A cleared one leaves its key behind.
#[derive(Default)]
pub(crate) struct Immediates {
    pub(crate) callbacks: Slab<Immediate>,
    pub(crate) order: VecDeque<Key>,
    /// How many of them keep the loop alive, and so from sleeping.
    pub(crate) referenced: usize,
}

pub(crate) struct Immediate {
    pub(crate) callback: Once,
    pub(crate) referenced: bool,
}

impl Core {
    pub(crate) fn new() -> Result<Core, Error> {
        let poll = Poll::new()?;
        let waker = nio_poll::Waker::new(&poll, MAILBOX)?;
        Ok(Core {
            poll,
            clock: Clock::new(),
            mailbox: Arc::new(Mailbox::new(waker)),
            timers: RefCell::default(),
            sources: RefCell::default(),
            ticks: RefCell::default(),
            immediates: RefCell::default(),
            tasks: RefCell::default(),
            ready: RefCell::default(),
            next_turn: RefCell::default(),
            turn: Cell::new(0),
            events: RefCell::new(Events::with_capacity(EVENTS)),
            dispatched: Cell::new(0),
            posts: RefCell::default(),
            alive: Cell::new(0),
            stopping: Cell::new(false),
            closed: Cell::new(false),
        })
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

    /// Whether anything keeps the loop alive.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.get() > 0
            || !self.ticks.borrow().is_empty()
            || !self.posts.borrow().is_empty()
            || self.mailbox.has_posts()
    }

    /// Takes what other threads have left, and says that the loop is awake.
    pub(crate) fn open_mailbox(&self) {
        let mut inbox = self.mailbox.open();
        inbox.asleep = false;
        self.posts.borrow_mut().extend(inbox.posts.drain(..));
        if std::mem::take(&mut inbox.stop) {
            self.stopping.set(true);
        }
    }

    /// Ends everything: drops what the loop holds, and whatever that adds, until nothing is left.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        drop(self.mailbox.close());
        drop(self.next_turn.take());
        loop {
            let tasks = self.tasks.borrow_mut().take_all();
            let ticks = std::mem::take(&mut *self.ticks.borrow_mut());
            let immediates = self.immediates.borrow_mut().callbacks.take_all();
            let timers = std::mem::take(&mut *self.timers.borrow_mut());
            let sources = self.sources.borrow_mut().take_all();
            let posts = std::mem::take(&mut *self.posts.borrow_mut());
            let done = tasks.is_empty()
                && ticks.is_empty()
                && immediates.is_empty()
                && timers.is_empty()
                && posts.is_empty()
                && sources.is_empty();
            for source in &sources {
                source.deregister(&self.poll);
            }
            if done {
                break;
            }
        }
        self.alive.set(0);
    }
}
