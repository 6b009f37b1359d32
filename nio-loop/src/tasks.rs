//! The tasks of a loop: the table of all tasks, the ready queue, and the task that is being polled.
//!
//! The laws:
//!
//! 1. A task in the ready queue is polled once, however often it is woken. A task that is woken while
//!    it is polled is polled again.
//! 2. The table lists the tasks and closes them. Wakers, which may be on other threads, find their
//!    task in it by its key.
//! 3. A task that is over is not in the table, and its future is dropped before its joiner is woken,
//!    unless the task aborts itself.
//! 4. A task that has spent its budget is polled again after the next poll of I/O.

use std::{
    cell::{Cell, RefCell},
    mem::{self, ManuallyDrop},
    ptr,
    rc::Rc,
    sync::Arc,
    task::{RawWakerVTable, Waker},
};

use nio_timer::Slab;

use crate::{
    mailbox::Mailbox,
    next_turn::NextTurnQueue,
    task::{Task, Waiter},
};

/// The identity of a waker: compared, never dereferenced.
type Identity = (*const (), *const RawWakerVTable);

#[inline]
fn identity(waker: &Waker) -> Identity {
    (waker.data(), ptr::from_ref(waker.vtable()))
}

/// A queue of two vectors. Measured against `VecDeque`, it saves 4 % of a message's time.
#[derive(Default)]
struct Ready {
    /// The back of the queue, in order.
    pushed: Vec<Rc<Task>>,
    /// The front of the queue, in reverse order.
    popped: Vec<Rc<Task>>,
}

impl Ready {
    #[inline(always)]
    fn push(&mut self, task: Rc<Task>) {
        self.pushed.push(task);
    }

    #[inline(always)]
    fn pop(&mut self) -> Option<Rc<Task>> {
        if self.popped.is_empty() {
            mem::swap(&mut self.pushed, &mut self.popped);
            self.popped.reverse();
        }
        self.popped.pop()
    }

    fn len(&self) -> usize {
        self.pushed.len() + self.popped.len()
    }
}

pub(crate) struct Tasks {
    table: RefCell<Slab<Rc<Task>>>,
    /// The ready queue: tasks that were woken.
    ready: RefCell<Ready>,
    /// The waiters of the next turn.
    pub(crate) next_turn: NextTurnQueue,
    /// How many tasks have left the ready queue.
    popped: Cell<u64>,
    /// The task that is polled now.
    polled: Cell<Option<Rc<Task>>>,
    /// The waker it is polled with.
    polled_with: Cell<Identity>,
    /// Whether the polled task has spent its budget.
    spent: Cell<bool>,
    /// Whether the loop runs.
    running: Cell<bool>,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Tasks {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Tasks {
        Tasks {
            table: RefCell::default(),
            ready: RefCell::default(),
            next_turn: NextTurnQueue::default(),
            popped: Cell::new(0),
            polled: Cell::new(None),
            polled_with: Cell::new((ptr::null(), ptr::null())),
            spent: Cell::new(false),
            running: Cell::new(false),
            mailbox,
        }
    }

    /// Adds a task to the table. It is not ready yet.
    pub(crate) fn add(&self, task: &Rc<Task>) {
        let key = self.table.borrow_mut().insert(Rc::clone(task));
        task.key.set(Some(key));
    }

    /// Removes a task from the table: it is over. Returns false if it was over before.
    pub(crate) fn remove(&self, task: &Task) -> bool {
        let key = task.key.take();
        key.is_some_and(|key| self.table.borrow_mut().remove(key).is_some())
    }

    /// All tasks that are not over.
    pub(crate) fn list(&self) -> Vec<Rc<Task>> {
        let table = self.table.borrow();
        table.iter().map(|(_, task)| Rc::clone(task)).collect()
    }

    /// The number of tasks with an own waker; `None` if any of these wakers has clones.
    pub(crate) fn unshared_wakers(&self) -> Option<usize> {
        let mut count = 0;
        for (_, task) in self.table.borrow().iter() {
            match task.has_shared_waker() {
                None => {}
                Some(false) => count += 1,
                Some(true) => return None,
            }
        }
        Some(count)
    }

    /// The task with this key, given as a word, if it is not over. On 32-bit targets it may be a later
    /// task: a spurious wake-up.
    pub(crate) fn find(&self, word: usize) -> Option<Rc<Task>> {
        let table = self.table.borrow();
        table.get(table.key_of_word(word)?).cloned()
    }

    /// Puts a task into the ready queue, unless it is in it or over.
    #[inline(always)]
    pub(crate) fn wake(&self, task: Rc<Task>) {
        if task.is_over() || task.queued.replace(true) {
            return;
        }
        self.ready.borrow_mut().push(task);
        self.mailbox.notify_if_parked();
    }

    /// Wakes a waiter. A waker is foreign code.
    pub(crate) fn wake_waiter(&self, waiter: Waiter) {
        match waiter {
            Waiter::Task(task) => self.wake(task),
            Waiter::Waker(waker) => waker.wake(),
        }
    }

    #[inline]
    pub(crate) fn is_ready_empty(&self) -> bool {
        self.ready.borrow().len() == 0
    }

    /// Removes the next task from the ready queue.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Rc<Task>> {
        let task = self.ready.borrow_mut().pop()?;
        self.popped.set(self.popped.get() + 1);
        task.queued.set(false);
        Some(task)
    }

    /// A mark at the end of the ready queue. [`has_passed`](Tasks::has_passed) is true of it when all
    /// tasks that are ready now have left the queue.
    pub(crate) fn end_of_queue(&self) -> u64 {
        self.popped.get() + self.ready.borrow().len() as u64
    }

    /// The number of polls of tasks.
    pub(crate) fn polls(&self) -> u64 {
        self.popped.get()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.get()
    }

    pub(crate) fn has_passed(&self, end: u64) -> bool {
        self.popped.get() > end
    }

    #[inline]
    pub(crate) fn begin_poll(&self, task: Rc<Task>, waker: &Waker) {
        self.polled_with.set(identity(waker));
        self.polled.set(Some(task));
    }

    /// Returns whether the task has spent its budget.
    #[inline]
    pub(crate) fn end_poll(&self) -> bool {
        drop(self.polled.take());
        self.spent.take()
    }

    /// Takes the task out whose poll has panicked.
    pub(crate) fn take_polled(&self) -> Option<Rc<Task>> {
        self.spent.set(false);
        self.polled.take()
    }

    /// The waiter for a future that is polled with this waker: usually the task that is polled now.
    #[inline]
    pub(crate) fn waiter(&self, waker: &Waker) -> Waiter {
        if self.polled_with.get() == identity(waker) {
            if let Some(task) = self.polled.take() {
                self.polled.set(Some(Rc::clone(&task)));
                return Waiter::Task(task);
            }
        }
        Waiter::Waker(waker.clone())
    }

    /// Has a future polled again after the next poll of I/O, because its budget is spent.
    fn defer_to_next_turn(&self, waker: &Waker) {
        match self.waiter(waker) {
            // Set once, however many awaits are pending for want of budget.
            Waiter::Task(_) => self.spent.set(true),
            Waiter::Waker(waker) if self.next_turn.ends_with(&waker) => {}
            waiter => drop(self.next_turn.add(waiter)),
        }
    }
}

thread_local! {
    /// The tasks of the loop that runs on this thread: the innermost one, if a callback of a loop runs
    /// another loop. [`Running`] drops it. It has no destructor of its own, because then each access
    /// would cost a check.
    static RUNNING: RefCell<Option<ManuallyDrop<Rc<Tasks>>>> = const { RefCell::new(None) };
}

/// Wakes a task if the loop of this mailbox runs on this thread. Returns false if it does not.
pub(crate) fn wake_here(mailbox: &Arc<Mailbox>, word: usize) -> bool {
    RUNNING.with(|running| match &*running.borrow() {
        Some(tasks) if Arc::ptr_eq(&tasks.mailbox, mailbox) => {
            if let Some(task) = tasks.find(word) {
                tasks.wake(task);
            }
            true
        }
        _ => false,
    })
}

/// Wakes a waker after the next poll of I/O of the loop that runs on this thread.
pub(crate) fn wake_in_next_turn(waker: &Waker) {
    let running = RUNNING.with(|running| running.borrow().as_deref().cloned());
    if let Some(tasks) = running {
        tasks.defer_to_next_turn(waker);
    }
}

/// Whether a loop runs on this thread.
pub(crate) fn is_any_running() -> bool {
    RUNNING.with(|running| running.borrow().is_some())
}

/// A guard: while it exists, its loop is the one that runs on this thread.
pub(crate) struct Running {
    outer: Option<ManuallyDrop<Rc<Tasks>>>,
}

impl Running {
    pub(crate) fn new(tasks: &Rc<Tasks>) -> Running {
        tasks.running.set(true);
        let inner = ManuallyDrop::new(Rc::clone(tasks));
        let outer = RUNNING.with(|running| running.replace(Some(inner)));
        Running { outer }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let inner = RUNNING.with(|running| running.replace(self.outer.take()));
        if let Some(tasks) = inner.map(ManuallyDrop::into_inner) {
            tasks.running.set(false);
        }
    }
}
