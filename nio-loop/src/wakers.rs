//! The wakers of tasks.
//!
//! A task that waits for a descriptor or a timer of its loop needs no waker of its own: the loop
//! lends it one for each poll. The laws:
//!
//! 1. A waker may be used and dropped on any thread. A wake on the loop's own thread, while it runs,
//!    goes straight into the ready queue; any other goes through the inbox.
//! 2. A waker wakes one task, always the same. A waker that is lent serves the next task only if
//!    nothing of it was kept, which [`Arc::get_mut`] tells.
//! 3. A waker that was kept is its task's own from then on: all later polls have the same one, so
//!    that `Waker::will_wake` tells the truth.

use std::{
    cell::{Cell, RefCell},
    mem::ManuallyDrop,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

use crate::{
    mailbox::Mailbox,
    slab::Key,
    state::State,
    tasks::{Task, Waiter},
};

/// Shared by the clones of a waker.
#[derive(Debug)]
pub(crate) struct TaskWaker {
    mailbox: Arc<Mailbox>,
    task: Option<Key>,
    /// It is in the inbox.
    left: AtomicBool,
}

impl TaskWaker {
    /// For the loop, which has found it in the inbox.
    pub(crate) fn collect(&self) -> Option<Key> {
        // From here on it can be left there again. Everything written before a wake that found the
        // flag set is acquired here.
        self.left.swap(false, Ordering::AcqRel);
        self.task
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let here = wake_here(self);
        if !here && !self.left.swap(true, Ordering::AcqRel) {
            self.mailbox
                .leave(|inbox| inbox.woken.push(Arc::clone(self)));
        }
    }
}

/// A waker for one poll.
pub(crate) struct Lent {
    pub(crate) waker: Arc<TaskWaker>,
    /// It is the task's own.
    own: bool,
}

/// The wakers that a loop lends.
pub(crate) struct Wakers {
    /// The one that was lent last, and of which nothing was kept.
    last: Cell<Option<Arc<TaskWaker>>>,
    mailbox: Arc<Mailbox>,
}

impl Wakers {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Wakers {
        let last = Cell::new(None);
        Wakers { last, mailbox }
    }

    /// The waker for a poll of a task: its own, or one that is lent.
    #[inline]
    pub(crate) fn lend(&self, task: &Task) -> Lent {
        let (waker, own) = match task.waker.take() {
            Some(waker) => (waker, true),
            None => (self.lent(task.key()), false),
        };
        Lent { waker, own }
    }

    #[inline]
    fn lent(&self, task: Option<Key>) -> Arc<TaskWaker> {
        if let Some(mut last) = self.last.take() {
            if let Some(unused) = Arc::get_mut(&mut last) {
                unused.task = task;
                return last;
            }
        }
        self.new_waker(task)
    }

    #[cold]
    fn new_waker(&self, task: Option<Key>) -> Arc<TaskWaker> {
        Arc::new(TaskWaker {
            mailbox: Arc::clone(&self.mailbox),
            task,
            left: AtomicBool::new(false),
        })
    }

    /// Takes it back after the poll. One that was kept is the task's own.
    #[inline]
    pub(crate) fn take_back(&self, task: &Task, Lent { waker, own }: Lent) {
        if !own && Arc::strong_count(&waker) == 1 {
            self.last.set(Some(waker));
        } else {
            task.waker.set(Some(waker));
        }
    }
}

thread_local! {
    /// The loop that runs on this thread: the innermost, if a callback of one runs another.
    /// [`Running`] drops it; the thread's end does not, so that a look at it costs no more than one
    /// at a static.
    static RUNNING: RefCell<Option<ManuallyDrop<Rc<State>>>> = const { RefCell::new(None) };
}

/// Wakes a task if its loop is the one that runs on this thread.
fn wake_here(waker: &TaskWaker) -> bool {
    RUNNING.with(|running| match &*running.borrow() {
        Some(state) if Arc::ptr_eq(&state.mailbox, &waker.mailbox) => {
            if let Some(key) = waker.task {
                state.tasks.wake_key(key);
            }
            true
        }
        _ => false,
    })
}

/// Wakes a waker when the loop that runs on this thread has polled for I/O. If it is that of the task
/// which is polled now, the turn does so.
pub(crate) fn wake_in_next_turn(waker: &Waker) {
    let running = RUNNING.with(|running| running.borrow().as_deref().cloned());
    if let Some(state) = running {
        if let waiter @ Waiter::Waker(_) = state.tasks.waiter(waker) {
            state.later.add(waiter);
        }
    }
}

/// Whether a loop runs on this thread.
pub(crate) fn is_any_running() -> bool {
    RUNNING.with(|running| running.borrow().is_some())
}

/// While it lives, a loop is the one that runs on this thread.
pub(crate) struct Running {
    outer: Option<ManuallyDrop<Rc<State>>>,
}

impl Running {
    pub(crate) fn new(state: &Rc<State>) -> Running {
        state.running.set(true);
        let inner = ManuallyDrop::new(Rc::clone(state));
        let outer = RUNNING.with(|running| running.replace(Some(inner)));
        Running { outer }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let inner = RUNNING.with(|running| running.replace(self.outer.take()));
        if let Some(state) = inner.map(ManuallyDrop::into_inner) {
            state.running.set(false);
        }
    }
}
