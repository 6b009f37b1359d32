//! The tasks of a loop: all of them, those that are ready, and the one that is polled.
//!
//! The laws:
//!
//! 1. A task that is woken any number of times while it is in the ready queue is polled once; one
//!    that is woken while it is polled is polled again.
//! 2. The table is there to list the tasks, to close them, and for wakers, which may be on other
//!    threads and have only a key.
//! 3. A task that is over has left the table, and its future is gone before its joiner is woken.
//! 4. A task that has spent its budget goes on after the next poll of I/O.

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
    later::Later,
    mailbox::Mailbox,
    task::{Task, Waiter},
};

/// Tells a waker from others: compared, never used.
type Identity = (*const (), *const RawWakerVTable);

#[inline]
fn identity(waker: &Waker) -> Identity {
    (waker.data(), ptr::from_ref(waker.vtable()))
}

/// A queue, as two vectors: a wake and a poll take fewer instructions than with a ring, 4 % of a message.
#[derive(Default)]
struct Ready {
    /// Those behind, in order.
    pushed: Vec<Rc<Task>>,
    /// Those in front, the first of them at the end.
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

/// See the module.
pub(crate) struct Tasks {
    table: RefCell<Slab<Rc<Task>>>,
    /// Tasks that were woken.
    ready: RefCell<Ready>,
    /// The waiters of the next turn.
    pub(crate) later: Later,
    /// How many have left the ready queue, to be polled.
    popped: Cell<u64>,
    /// The task that is polled now.
    polled: Cell<Option<Rc<Task>>>,
    /// The waker that it is polled with.
    polled_with: Cell<Identity>,
    /// It has spent its budget.
    spent: Cell<bool>,
    /// The loop runs.
    running: Cell<bool>,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Tasks {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Tasks {
        Tasks {
            table: RefCell::default(),
            ready: RefCell::default(),
            later: Later::default(),
            popped: Cell::new(0),
            polled: Cell::new(None),
            polled_with: Cell::new((ptr::null(), ptr::null())),
            spent: Cell::new(false),
            running: Cell::new(false),
            mailbox,
        }
    }

    /// Takes a task into the table. It is not ready yet.
    pub(crate) fn add(&self, task: &Rc<Task>) {
        let key = self.table.borrow_mut().insert(Rc::clone(task));
        task.key.set(Some(key));
    }

    /// The task is over. Returns false if it was before.
    pub(crate) fn remove(&self, task: &Task) -> bool {
        let key = task.key.take();
        key.is_some_and(|key| self.table.borrow_mut().remove(key).is_some())
    }

    /// All tasks that are not over.
    pub(crate) fn list(&self) -> Vec<Rc<Task>> {
        let table = self.table.borrow();
        table.iter().map(|(_, task)| Rc::clone(task)).collect()
    }

    /// How many tasks have a waker of their own; `None` if there are clones of any of these.
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

    /// The task of a word of its key, if it is not over. A word of 32 bits may name a later task.
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
        self.mailbox.rouse();
    }

    /// Wakes what waits. A waker is foreign code.
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

    /// Takes the next task out of the ready queue.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Rc<Task>> {
        let task = self.ready.borrow_mut().pop()?;
        self.popped.set(self.popped.get() + 1);
        task.queued.set(false);
        Some(task)
    }

    /// The end of the ready queue: [`has_passed`](Tasks::has_passed) is true of it when all tasks
    /// that are ready now have left the queue.
    pub(crate) fn end_of_queue(&self) -> u64 {
        self.popped.get() + self.ready.borrow().len() as u64
    }

    /// How often a task was polled.
    pub(crate) fn polls(&self) -> u64 {
        self.popped.get()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.get()
    }

    pub(crate) fn has_passed(&self, end: u64) -> bool {
        self.popped.get() > end
    }

    /// A poll begins.
    #[inline]
    pub(crate) fn begin_poll(&self, task: Rc<Task>, waker: &Waker) {
        self.polled_with.set(identity(waker));
        self.polled.set(Some(task));
    }

    /// The poll has ended. Returns whether the task has spent its budget.
    #[inline]
    pub(crate) fn end_poll(&self) -> bool {
        drop(self.polled.take());
        self.spent.take()
    }

    /// The task whose poll has panicked.
    pub(crate) fn take_polled(&self) -> Option<Rc<Task>> {
        self.spent.set(false);
        self.polled.take()
    }

    /// What waits when a future is polled with this waker: usually the task that is polled now.
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

    /// Has a future that has spent its budget polled again after the next poll of I/O.
    fn go_on_later(&self, waker: &Waker) {
        match self.waiter(waker) {
            // Once, however many awaits are refused.
            Waiter::Task(_) => self.spent.set(true),
            waiter => drop(self.later.add(waiter)),
        }
    }
}

thread_local! {
    /// The tasks of the loop that runs on this thread: the innermost, if a callback of one runs
    /// another. [`Running`] drops it; the thread's end does not, so that a look at it costs no more
    /// than one at a static.
    static RUNNING: RefCell<Option<ManuallyDrop<Rc<Tasks>>>> = const { RefCell::new(None) };
}

/// Wakes a task if its loop, which has this mailbox, is the one that runs on this thread.
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

/// Wakes a waker when the loop that runs on this thread has polled for I/O.
pub(crate) fn wake_in_next_turn(waker: &Waker) {
    let running = RUNNING.with(|running| running.borrow().as_deref().cloned());
    if let Some(tasks) = running {
        tasks.go_on_later(waker);
    }
}

/// Whether a loop runs on this thread.
pub(crate) fn is_any_running() -> bool {
    RUNNING.with(|running| running.borrow().is_some())
}

/// While it lives, a loop is the one that runs on this thread.
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
