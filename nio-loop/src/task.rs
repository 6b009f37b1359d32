//! Tasks: futures that the loop polls when they are woken.
//!
//! The laws:
//!
//! 1. A task that is woken any number of times while it waits in the queue is polled once; one that
//!    is woken while it is polled is polled again.
//! 2. Its waker may be used and dropped on any thread; the future itself is polled and dropped only
//!    on the loop's.
//! 3. While a task is polled it is out of the table, so that it may abort itself or spawn others.

use std::{
    any::Any,
    cell::RefCell,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use crate::{core::Core, remote::Mailbox, slab::Key};

/// One spawned future.
pub(crate) struct Task {
    /// Absent while it is polled.
    running: Option<Running>,
}

pub(crate) struct Running {
    future: Pin<Box<dyn Future<Output = ()>>>,
    waker: Waker,
    state: Arc<TaskWaker>,
}

/// What the wakers of a task share.
struct TaskWaker {
    mailbox: Arc<Mailbox>,
    key: Key,
    /// It is in the queue.
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The lock of the mailbox orders memory for the one who finds the flag unset. For the
        // others this swap does: it is released here and acquired before the task is polled.
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.mailbox.leave(|inbox| inbox.woken.push(self.key));
        }
    }
}

/// The waker of the future of `block_on`.
pub(crate) struct RootWaker(pub(crate) Arc<Mailbox>);

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.leave(|inbox| inbox.root_woken = true);
    }
}

impl Core {
    /// Adds a task and has it polled soon. On a loop that is gone, the future is dropped.
    pub(crate) fn spawn(self: &Rc<Core>, future: Pin<Box<dyn Future<Output = ()>>>) -> Option<Key> {
        if self.closed.get() {
            return None;
        }
        let key = self.tasks.borrow_mut().insert_with(|key| {
            let state = Arc::new(TaskWaker {
                mailbox: Arc::clone(&self.mailbox),
                key,
                queued: AtomicBool::new(true),
            });
            let waker = Waker::from(Arc::clone(&state));
            let running = Some(Running {
                future,
                waker,
                state,
            });
            Task { running }
        });
        self.retain(true);
        // Behind those that were woken before: there is one queue for all.
        self.mailbox.leave(|inbox| inbox.woken.push(key));
        Some(key)
    }

    /// Polls one task, if it is still there.
    pub(crate) fn poll_task(&self, key: Key) {
        let taken = match self.tasks.borrow_mut().get_mut(key) {
            Some(task) => task.running.take(),
            None => None,
        };
        let Some(mut running) = taken else {
            return;
        };
        // From here on a wake queues it again.
        running.state.queued.swap(false, Ordering::AcqRel);
        let mut context = Context::from_waker(&running.waker);
        let future = running.future.as_mut();
        match catch_unwind(AssertUnwindSafe(|| future.poll(&mut context))) {
            Ok(Poll::Pending) => {
                if let Some(task) = self.tasks.borrow_mut().get_mut(key) {
                    task.running = Some(running);
                }
            }
            Ok(Poll::Ready(())) => drop(self.remove_task(key)),
            // The panics of a future become errors. This one is of something that was dropped.
            Err(panic) => {
                drop(self.remove_task(key));
                drop(running);
                resume_unwind(panic);
            }
        }
        // What is left here has finished or has aborted itself: it is dropped with nothing borrowed.
    }

    pub(crate) fn remove_task(&self, key: Key) -> Option<Task> {
        let task = self.tasks.borrow_mut().remove(key)?;
        self.release(true);
        Some(task)
    }
}

/// What a task and its [`JoinHandle`] share.
struct Join<T> {
    outcome: Option<Result<T, JoinError>>,
    waiting: Option<Waker>,
}

/// Waits for a task, or aborts it. Made by [`Handle::spawn`](crate::Handle::spawn).
///
/// Dropping it lets the task go on.
pub struct JoinHandle<T> {
    core: Rc<Core>,
    key: Option<Key>,
    join: Rc<RefCell<Join<T>>>,
}

/// Spawns a future and returns its handle.
pub(crate) fn spawn<F>(core: &Rc<Core>, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
{
    let join = Rc::new(RefCell::new(Join {
        outcome: None,
        waiting: None,
    }));
    let finish = Finish(Rc::clone(&join));
    let key = core.spawn(Box::pin(run(future, finish)));
    JoinHandle {
        core: Rc::clone(core),
        key,
        join,
    }
}

/// Polls a future until it is ready, and stores its output; a panic of it becomes an error.
fn run<F: Future>(future: F, finish: Finish<F::Output>) -> impl Future<Output = ()> {
    // An `async` block would have a second place for the future, from where it is pinned, and move
    // it there. Futures may be large.
    let mut future = Some(Box::pin(future));
    poll_fn(move |context| {
        let Some(running) = &mut future else {
            return Poll::Ready(());
        };
        let outcome = match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(JoinError::panicked(panic)),
        };
        // It is gone before anybody learns that it is done.
        future = None;
        finish.0.borrow_mut().outcome = Some(outcome);
        Poll::Ready(())
    })
}

/// The task's side of its join. It goes with the task, in whichever way, and wakes who waits: for
/// the outcome if there is one, and to learn that the task was aborted if there is none.
struct Finish<T>(Rc<RefCell<Join<T>>>);

impl<T> Drop for Finish<T> {
    fn drop(&mut self) {
        let waiting = self.0.borrow_mut().waiting.take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

impl<T> JoinHandle<T> {
    /// Ends the task where it stands: its future is dropped, and whoever awaits this handle gets a
    /// [`JoinError`] that [is aborted](JoinError::is_aborted). Nothing happens to a task that has
    /// finished. A task that aborts itself is dropped when it next awaits.
    pub fn abort(&self) {
        let task = self.key.and_then(|key| self.core.remove_task(key));
        drop(task);
    }

    /// Whether the task has finished or was aborted.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.key
            .is_none_or(|key| !self.core.tasks.borrow().contains(key))
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// Polled again after it was ready, it answers that the task was aborted.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = self.join.borrow_mut().outcome.take();
        if let Some(outcome) = outcome {
            return Poll::Ready(outcome);
        }
        if self.is_finished() {
            // It was aborted, or its loop is gone and it with it.
            return Poll::Ready(Err(JoinError { panic: None }));
        }
        let waker = context.waker().clone();
        let old = self.join.borrow_mut().waiting.replace(waker);
        drop(old);
        Poll::Pending
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

/// A task has no result: it was aborted, or it panicked.
#[derive(thiserror::Error)]
#[error("{}", self.text())]
pub struct JoinError {
    panic: Option<Box<dyn Any + Send>>,
}

impl JoinError {
    fn panicked(panic: Box<dyn Any + Send>) -> JoinError {
        JoinError { panic: Some(panic) }
    }

    /// The task was aborted, or its loop was dropped.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.panic.is_none()
    }

    /// What the task panicked with, to be passed to [`std::panic::resume_unwind`]; the error itself
    /// if it did not panic.
    ///
    /// # Errors
    ///
    /// The error, if the task was aborted.
    pub fn into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        self.panic.ok_or(JoinError { panic: None })
    }

    fn text(&self) -> String {
        let message = self.panic.as_ref().map(|panic| {
            let text = panic.downcast_ref::<&str>().copied();
            text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        });
        match message {
            None => "the task was aborted".into(),
            Some(None) => "the task panicked".into(),
            Some(Some(text)) => format!("the task panicked: {text}"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({:?})", self.text())
    }
}
