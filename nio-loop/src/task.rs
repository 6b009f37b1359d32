//! Tasks: futures that the loop polls when they are woken.
//!
//! The laws:
//!
//! 1. A task that is woken any number of times while it waits in the queue is polled once; one that
//!    is woken while it is polled is polled again.
//! 2. Its waker may be used and dropped on any thread; the future itself is polled and dropped only
//!    on the loop's. A wake on the loop's own thread, while it runs, goes straight into the queue
//!    and costs no lock; any other goes through the inbox.
//! 3. While a task is polled its future is out of the table, so that it may abort itself or spawn
//!    others.
//! 4. The future is gone before anybody learns that the task has finished.

use std::{
    any::Any,
    cell::RefCell,
    future::Future,
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use crate::{
    Handle, JoinHandle,
    core::{Core, Origin},
    join::{Joiner, Outcome},
    remote::Mailbox,
    slab::Key,
};

/// A future whose output may be of any type.
pub(crate) trait Work {
    fn work(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Box<dyn Any>>;
}

impl<F> Work for F
where
    F: Future,
    F::Output: 'static,
{
    fn work(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Box<dyn Any>> {
        // An output without a size, such as `()`, takes no memory.
        self.poll(context)
            .map(|output| Box::new(output) as Box<dyn Any>)
    }
}

/// One spawned future. It stays in the table until it has finished and its [`JoinHandle`] has taken
/// the outcome or is gone.
pub(crate) struct Task {
    pub(crate) stage: Stage,
    pub(crate) joiner: Joiner,
    pub(crate) origin: Origin,
    /// It keeps the loop alive, unless it has finished.
    pub(crate) referenced: bool,
    /// It is in the queue.
    queued: bool,
}

pub(crate) enum Stage {
    Waiting(Pin<Box<dyn Work>>, Waker),
    Polled,
    Finished(Outcome),
}

impl Task {
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Finished(_))
    }
}

/// Stands in the queue for the future of `block_on`, which is in no table.
pub(crate) const ROOT: Key = Key::NONE;

/// Who waits for something: a task of the loop itself, which needs no waker, or anybody.
pub(crate) enum Waiter {
    Task(Key),
    Waker(Waker),
}

impl Waiter {
    pub(crate) fn wake(self, core: &Core) {
        match self {
            Waiter::Task(key) => core.wake(key),
            Waiter::Waker(waker) => waker.wake(),
        }
    }

    pub(crate) fn is(&self, other: &Waiter) -> bool {
        match (self, other) {
            (Waiter::Task(one), Waiter::Task(other)) => one == other,
            (Waiter::Waker(one), Waiter::Waker(other)) => one.will_wake(other),
            _ => false,
        }
    }
}

/// What the wakers of a task share.
pub(crate) struct TaskWaker {
    mailbox: Arc<Mailbox>,
    task: Key,
    /// It is in the inbox.
    left: AtomicBool,
}

impl TaskWaker {
    pub(crate) fn waker(mailbox: &Arc<Mailbox>, task: Key) -> Waker {
        let mailbox = Arc::clone(mailbox);
        let left = AtomicBool::new(false);
        Waker::from(Arc::new(TaskWaker {
            mailbox,
            task,
            left,
        }))
    }

    /// For the loop, which has found it in the inbox.
    pub(crate) fn collect(&self) -> Key {
        // From here on it can be left there again. What was written before a wake that found the
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
        let here = running(|core| {
            let ours = Arc::ptr_eq(&core.mailbox, &self.mailbox);
            if ours {
                core.wake(self.task);
            }
            ours
        });
        if !here && !self.left.swap(true, Ordering::AcqRel) {
            self.mailbox
                .leave(|inbox| inbox.woken.push(Arc::clone(self)));
        }
    }
}

impl std::fmt::Debug for TaskWaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TaskWaker").field(&self.task).finish()
    }
}

thread_local! {
    /// The loop that runs on this thread: the innermost, if a callback of one runs another.
    /// [`Running`] drops what it has put here; the thread's end does not, so that a look at it costs
    /// no more than one at a static.
    static RUNNING: RefCell<Option<ManuallyDrop<Rc<Core>>>> = const { RefCell::new(None) };
}

/// Asks the loop that runs on this thread, if there is one.
fn running(ask: impl FnOnce(&Core) -> bool) -> bool {
    RUNNING.with(|running| running.borrow().as_ref().is_some_and(|core| ask(core)))
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

impl Core {
    /// Puts a task into the queue, unless it is there.
    pub(crate) fn wake(&self, key: Key) {
        let queued = if key == ROOT {
            self.root_queued.replace(true)
        } else {
            match self.tasks.borrow_mut().get_mut(key) {
                Some(task) => std::mem::replace(&mut task.queued, true),
                None => return,
            }
        };
        if !queued {
            self.ready.borrow_mut().push_back(key);
            self.rouse();
        }
    }

    /// Wakes who waits with this waker when timers and I/O have had a turn.
    pub(crate) fn wake_in_next_turn(&self, waker: &Waker) {
        let waiter = self.waiter(waker);
        self.next_turn.borrow_mut().push_back(waiter);
        self.rouse();
    }

    /// Who waits when a future is polled with this waker: mostly the task that runs now.
    pub(crate) fn waiter(&self, waker: &Waker) -> Waiter {
        match self.polled.get() {
            Some((key, data)) if data == (waker.data(), waker.vtable()) => Waiter::Task(key),
            _ => Waiter::Waker(waker.clone()),
        }
    }

    /// Polls a future as a task, or as the root.
    pub(crate) fn poll_as<R>(
        &self,
        key: Key,
        waker: &Waker,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        let polled = Some((key, (waker.data(), std::ptr::from_ref(waker.vtable()))));
        self.polled.set(polled);
        let result = poll(&mut Context::from_waker(waker));
        self.polled.set(None);
        result
    }

    /// Polls one task, if it is still there and waits.
    pub(crate) fn poll_task(&self, key: Key) {
        let Some((mut future, waker)) = self.take_task(key) else {
            return;
        };
        self.meter.count_task();
        let poll = self.poll_as(key, &waker, |context| {
            catch_unwind(AssertUnwindSafe(|| future.as_mut().work(context)))
        });
        let outcome = match poll {
            Ok(Poll::Pending) => {
                if let Some(task) = self.tasks.borrow_mut().get_mut(key) {
                    task.stage = Stage::Waiting(future, waker);
                }
                // If it has aborted itself, it is dropped here, with nothing borrowed.
                return;
            }
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
        self.finish_task(key, outcome);
        if let Err(panic) = dropped {
            // The panics of a future become errors. This one is of something that was dropped.
            resume_unwind(panic);
        }
    }

    /// Where a task was spawned, if the polls of tasks are timed or traced.
    pub(crate) fn place_of_task(&self, key: Key) -> Option<&'static Location<'static>> {
        if !self.meter.is_timing() && !cfg!(feature = "tracing") {
            return None;
        }
        let mut tasks = self.tasks.borrow_mut();
        Some(tasks.get_mut(key)?.origin.place)
    }

    /// Takes the future of a task out of the table, to be polled.
    fn take_task(&self, key: Key) -> Option<(Pin<Box<dyn Work>>, Waker)> {
        let mut tasks = self.tasks.borrow_mut();
        let task = tasks.get_mut(key)?;
        task.queued = false;
        match std::mem::replace(&mut task.stage, Stage::Polled) {
            Stage::Waiting(future, waker) => Some((future, waker)),
            other => {
                task.stage = other;
                None
            }
        }
    }
}

impl Handle {
    /// Runs a future on the loop, beside everything else. The loop stays alive until it has
    /// finished. It is polled for the first time when the callback that runs now has returned.
    ///
    /// On a loop that is gone the future is dropped, and the handle says it was aborted.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle().clone();
    /// let answer = event_loop.block_on(async {
    ///     let task = handle.spawn({
    ///         let handle = handle.clone();
    ///         async move {
    ///             handle.sleep(Duration::from_millis(1)).await;
    ///             42
    ///         }
    ///     });
    ///     task.await
    /// })??;
    /// assert_eq!(answer, 42);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        self.spawn_at(Box::pin(future), Location::caller())
    }

    pub(crate) fn spawn_at<F>(
        &self,
        future: Pin<Box<F>>,
        place: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        let core = &self.core;
        if core.closed.get() {
            return JoinHandle::new(Rc::clone(core), None);
        }
        let origin = core.origin(place);
        let key = core.tasks.borrow_mut().insert_with(|key| Task {
            stage: Stage::Waiting(future, TaskWaker::waker(&core.mailbox, key)),
            joiner: Joiner::Handle(None),
            origin,
            referenced: true,
            queued: true,
        });
        core.retain(true);
        core.ready.borrow_mut().push_back(key);
        core.rouse();
        JoinHandle::new(Rc::clone(core), Some(key))
    }
}
