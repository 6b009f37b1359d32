//! The wakers of tasks. Most tasks have none of their own.
//!
//! A task that waits for a [`Source`](crate::Source) or a timer of its loop waits by its key, and needs a
//! waker only while it is polled. So a running loop has a spare one, and lends it to each task that it
//! polls. The laws:
//!
//! 1. A waker may be used and dropped on any thread. A wake on the loop's own thread, while it runs,
//!    goes straight into the queue and costs no lock; any other goes through the inbox.
//! 2. A waker wakes the task that was polled when somebody got it, and never another one: the spare is
//!    pointed at a task only while nobody but the loop has it.
//! 3. If somebody has kept the spare when a poll has ended, then it is the task's own, for all its
//!    later polls. So they all have the same waker, and what was kept is known again.
//! 4. No wake is lost by lending: one that is under way has the waker, so that it is not taken back.

use std::{
    cell::RefCell,
    fmt,
    mem::ManuallyDrop,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

#[cfg(loom)]
use loom::sync::atomic::fence;
#[cfg(not(loom))]
use std::sync::atomic::fence;

use crate::{
    core::Core,
    remote::Mailbox,
    slab::{AtomicKey, Key},
};

/// What the clones of a waker share.
pub(crate) struct TaskWaker {
    mailbox: Arc<Mailbox>,
    /// Changes only while nobody but the loop has this.
    task: AtomicKey,
    /// It is in the inbox.
    left: AtomicBool,
}

impl TaskWaker {
    /// One with a waker that is made of it.
    #[inline(never)]
    fn with_waker(mailbox: &Arc<Mailbox>, task: Key) -> (Arc<TaskWaker>, Waker) {
        let shared = Arc::new(TaskWaker {
            mailbox: Arc::clone(mailbox),
            task: AtomicKey::new(task),
            left: AtomicBool::new(false),
        });
        (Arc::clone(&shared), Waker::from(shared))
    }

    /// For the loop, which has found it in the inbox.
    pub(crate) fn collect(&self) -> Key {
        // From here on it can be left there again. What was written before a wake that found the
        // flag set is acquired here.
        self.left.swap(false, Ordering::AcqRel);
        self.task.get()
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let here = wake_here(&self.mailbox, self.task.get());
        if !here && !self.left.swap(true, Ordering::AcqRel) {
            self.mailbox
                .leave(|inbox| inbox.woken.push(Arc::clone(self)));
        }
    }
}

impl fmt::Debug for TaskWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskWaker").field(&self.task.get()).finish()
    }
}

/// The waker that the loop lends to tasks which have none of their own: none before the first does.
#[derive(Default)]
pub(crate) struct Spare(Option<(Arc<TaskWaker>, Waker)>);

impl Spare {
    /// Lends it to a task.
    #[inline]
    pub(crate) fn lend(&mut self, core: &Core, task: Key) -> &Waker {
        let new = || TaskWaker::with_waker(&core.mailbox, task);
        let (shared, waker) = self.0.get_or_insert_with(new);
        shared.task.set(task);
        waker
    }

    /// Takes it back. If somebody has kept it, it is returned, and there is none until the next one is
    /// needed.
    #[inline]
    pub(crate) fn take_back(&mut self) -> Option<Waker> {
        let (shared, _) = self.0.as_ref()?;
        if nobody_else_has_it(Arc::strong_count(shared)) {
            return None;
        }
        self.0.take().map(|(_, waker)| waker)
    }
}

/// Whether the loop may point the spare waker at another task, by how many references there are. Two are
/// its own. If there are no others none can come, for they come from each other.
fn nobody_else_has_it(references: usize) -> bool {
    if references != 2 {
        return false;
    }
    // Whoever had one released what he did before when he dropped it. From here on that has happened: he has
    // read the key before it changes, and a wake of his is done, as otherwise the inbox would have a
    // reference.
    fence(Ordering::Acquire);
    true
}

thread_local! {
    /// The loop that runs on this thread: the innermost, if a callback of one runs another.
    /// [`Running`] drops what it has put here; the thread's end does not, so that a look at it costs
    /// no more than one at a static.
    static RUNNING: RefCell<Option<ManuallyDrop<Rc<Core>>>> = const { RefCell::new(None) };
}

/// Wakes a task if its loop is the one that runs on this thread.
fn wake_here(mailbox: &Arc<Mailbox>, task: Key) -> bool {
    RUNNING.with(|running| match &*running.borrow() {
        Some(core) if Arc::ptr_eq(&core.mailbox, mailbox) => {
            core.wake(task);
            true
        }
        _ => false,
    })
}

/// While it lives, a loop is the one that runs on this thread.
pub(crate) struct Running {
    outer: Option<ManuallyDrop<Rc<Core>>>,
}

impl Running {
    pub(crate) fn new(core: &Rc<Core>) -> Running {
        core.running.set(true);
        let inner = ManuallyDrop::new(Rc::clone(core));
        let outer = RUNNING.with(|running| running.replace(Some(inner)));
        Running { outer }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let inner = RUNNING.with(|running| running.replace(self.outer.take()));
        if let Some(core) = inner.map(ManuallyDrop::into_inner) {
            core.running.set(false);
            // Unless the root has panicked, it is so already.
            core.polled.set(None);
        }
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p nio-loop --release --lib loom_`, as for `doorbell`.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{
        cell::UnsafeCell,
        sync::{
            Arc, Mutex,
            atomic::{AtomicBool, AtomicUsize, Ordering},
        },
        thread,
    };

    use super::nobody_else_has_it;

    /// What a `TaskWaker` has.
    struct Shared {
        references: AtomicUsize,
        key: AtomicUsize,
        /// Has loom tell if the key is read and changed with neither known to happen before the other.
        order: UnsafeCell<()>,
        left: AtomicBool,
        /// The mailbox.
        inbox: Mutex<Vec<Reference>>,
    }

    /// What an `Arc` of it does to the count.
    struct Reference(Arc<Shared>);

    impl Reference {
        fn key(&self) -> usize {
            self.0.order.with(|_| self.0.key.load(Ordering::Relaxed))
        }

        /// As `TaskWaker::wake` on another thread.
        fn wake(self) {
            assert_eq!(self.key(), 1);
            if !self.0.left.swap(true, Ordering::AcqRel) {
                let clone = self.clone();
                self.0.inbox.lock().unwrap().push(clone);
            }
        }
    }

    impl Clone for Reference {
        fn clone(&self) -> Reference {
            self.0.references.fetch_add(1, Ordering::Relaxed);
            Reference(Arc::clone(&self.0))
        }
    }

    impl Drop for Reference {
        fn drop(&mut self) {
            self.0.references.fetch_sub(1, Ordering::Release);
        }
    }

    /// Which tasks the loop finds in the inbox.
    fn collect(shared: &Shared) -> Vec<usize> {
        let woken = std::mem::take(&mut *shared.inbox.lock().unwrap());
        let collect = |waker: Reference| {
            waker.0.left.swap(false, Ordering::AcqRel);
            waker.key()
        };
        woken.into_iter().map(collect).collect()
    }

    #[test]
    fn l69_a_waker_that_is_kept_changes_for_nobody_and_no_wake_of_it_is_lost() {
        loom::model(|| {
            let shared = Arc::new(Shared {
                references: AtomicUsize::new(2),
                key: AtomicUsize::new(1),
                order: UnsafeCell::new(()),
                left: AtomicBool::new(false),
                inbox: Mutex::default(),
            });
            // It is lent to task 1, which gives it to two others while it is polled: one wakes, and
            // the other one, who only looks, has nothing but his reference to say that he has.
            let threads = [Reference::wake, |waker: Reference| {
                assert_eq!(waker.key(), 1);
            }]
            .map(|with| {
                shared.references.fetch_add(1, Ordering::Relaxed);
                let waker = Reference(Arc::clone(&shared));
                thread::spawn(move || with(waker))
            });
            let mut woken = collect(&shared);
            // The poll ends. If nobody has it then task 2 is next.
            if nobody_else_has_it(shared.references.load(Ordering::Relaxed)) {
                let point = |_| shared.key.store(2, Ordering::Relaxed);
                shared.order.with_mut(point);
            }
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            woken.extend(collect(&shared));
            assert_eq!(woken, [1]);
            assert_eq!(shared.references.load(Ordering::Relaxed), 2);
        });
    }
}
