//! The wakers of tasks.
//!
//! A task that waits for a descriptor or a timer of its loop needs no waker of its own: the loop
//! lends it one for each poll. The laws:
//!
//! 1. A waker may be used and dropped on any thread. A wake on the loop's own thread, while it runs,
//!    goes straight into the ready queue; any other goes through the inbox.
//! 2. A waker wakes one task, always the same. A waker that is lent serves the next task only if
//!    no clone of it was kept, which its reference count tells.
//! 3. A waker that was kept is its task's own from then on: all later polls have the same one, so
//!    that `Waker::will_wake` tells the truth.

use std::{
    cell::RefCell,
    mem::ManuallyDrop,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering, fence},
    },
    task::{Wake, Waker},
};

use crate::{mailbox::Mailbox, slab::Key, state::State, tasks::Waiter};

/// Shared by the clones of a waker.
#[derive(Debug)]
pub(crate) struct TaskWaker {
    mailbox: Arc<Mailbox>,
    /// The key of the task as a number. Changes only while no clone of the waker is kept.
    task: AtomicU64,
    /// It is in the inbox.
    left: AtomicBool,
}

impl TaskWaker {
    /// For the loop, which has found it in the inbox.
    pub(crate) fn collect(&self) -> Option<Key> {
        // From here on it can be left there again. Everything written before a wake that found the
        // flag set is acquired here.
        self.left.swap(false, Ordering::AcqRel);
        self.task()
    }

    fn task(&self) -> Option<Key> {
        Key::from_number(self.task.load(Ordering::Relaxed))
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

/// A waker, and what its clones share.
pub(crate) struct OwnWaker {
    shared: Arc<TaskWaker>,
    pub(crate) waker: Waker,
}

impl OwnWaker {
    /// Whether there are clones of the waker.
    pub(crate) fn has_clones(&self) -> bool {
        Arc::strong_count(&self.shared) > 2
    }
}

/// The waker that a loop lends to the tasks that have none of their own, from the first poll on.
#[derive(Default)]
pub(crate) struct Lent(Option<OwnWaker>);

impl Lent {
    /// The waker, for a poll of this task.
    #[inline]
    pub(crate) fn lend(&mut self, mailbox: &Arc<Mailbox>, task: Option<Key>) -> &Waker {
        let own = self.0.get_or_insert_with(|| new_waker(mailbox));
        let number = task.map_or(0, Key::to_number);
        own.shared.task.store(number, Ordering::Relaxed);
        &own.waker
    }

    /// Whether there is one.
    pub(crate) fn is_made(&self) -> bool {
        self.0.is_some()
    }

    /// After the poll. Returns the waker if a clone of it was kept: then it is the task's own.
    #[inline]
    pub(crate) fn take_back(&mut self) -> Option<Box<OwnWaker>> {
        if !self.0.as_ref()?.has_clones() {
            // No clone is left to make others of. What the last one on another thread has read, it
            // has read before the next task is stored.
            fence(Ordering::Acquire);
            return None;
        }
        self.0.take().map(Box::new)
    }
}

#[cold]
fn new_waker(mailbox: &Arc<Mailbox>) -> OwnWaker {
    let shared = Arc::new(TaskWaker {
        mailbox: Arc::clone(mailbox),
        task: AtomicU64::new(0),
        left: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&shared));
    OwnWaker { shared, waker }
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
            if let Some(key) = waker.task() {
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
