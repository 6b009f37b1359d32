//! Joining tasks: what becomes of a spawned future, and who waits for it.

use std::{
    any::Any,
    fmt,
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    rc::Rc,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use crate::{
    core::Core,
    slab::Key,
    task::{Task, Waiter},
};

/// The output of a task, or what it panicked with.
pub(crate) type Outcome = Result<Box<dyn Any>, Box<dyn Any + Send>>;

/// The other end of a task.
#[derive(Default)]
pub(crate) enum Join {
    /// Nobody waits, and the task has not finished.
    #[default]
    Nobody,
    /// Somebody awaits the [`JoinHandle`].
    Waiting(Waiter),
    /// The task has finished, and nobody has taken its outcome.
    Finished(Outcome),
}

impl Join {
    fn wake(self, core: &Core) {
        if let Join::Waiting(waiter) = self {
            waiter.wake(core);
        }
    }
}

impl Core {
    /// Keeps the outcome of a task for who joins it, if somebody may. The future is gone already.
    pub(crate) fn finish_task(&self, key: Key, outcome: Outcome) {
        let mut tasks = self.tasks.borrow_mut();
        let Some(task) = tasks.get_mut(key) else {
            // It has aborted itself; the outcome goes with it.
            drop(tasks);
            return drop(outcome);
        };
        self.release(task.is_referenced());
        if !task.is_joinable() {
            let task = tasks.remove(key);
            drop(tasks);
            drop(task);
            return drop(outcome);
        }
        let join = task.set_join(Join::Finished(outcome));
        drop(tasks);
        join.wake(self);
    }

    /// Takes a task out of the table before it has finished, and wakes who waits for it.
    fn abort_task(&self, key: Key) {
        let task = {
            let mut tasks = self.tasks.borrow_mut();
            match tasks.get_mut(key) {
                Some(task) if !task.is_finished() => tasks.remove(key),
                _ => None,
            }
        };
        if let Some(mut task) = task {
            self.release(task.is_referenced());
            self.drop_task(&mut task);
        }
    }

    /// Drops the future of a task that has left the table, and then wakes who waits for it.
    pub(crate) fn drop_task(&self, task: &mut Task) {
        let join = task.take_join();
        // Also if the future panics while it is dropped.
        let _wake = OnDrop(self, join);
        drop(task.take_work());
    }
}

/// Wakes who joins when it is dropped.
struct OnDrop<'a>(&'a Core, Join);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        mem::take(&mut self.1).wake(self.0);
    }
}

/// Waits for a task, or aborts it. Made by [`Handle::spawn`](crate::Handle::spawn).
///
/// Dropping it lets the task go on, as [`detach`](JoinHandle::detach) says by name.
pub struct JoinHandle<T> {
    core: Rc<Core>,
    /// Absent for a task that was never there, or whose outcome was taken.
    key: Option<Key>,
    output: PhantomData<fn() -> T>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(core: Rc<Core>, key: Option<Key>) -> JoinHandle<T> {
        let output = PhantomData;
        JoinHandle { core, key, output }
    }

    /// Ends the task where it stands: its future is dropped, and whoever awaits this handle gets a
    /// [`JoinError`] that [is aborted](JoinError::is_aborted). Nothing happens to a task that has
    /// finished. A task that aborts itself is dropped when it next awaits.
    pub fn abort(&self) {
        if let Some(key) = self.key {
            self.core.abort_task(key);
        }
    }

    /// Whether the task has finished or was aborted.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.with(|task| task.is_finished()).unwrap_or(true)
    }

    /// Lets the task go on by itself. Its output will be dropped.
    pub fn detach(self) {}

    /// Says that the task does not keep the loop alive: when only such are left,
    /// [`run`](crate::EventLoop::run) returns, and they go on with the next run or are dropped with
    /// the loop. Returns false if the task has finished.
    pub fn unref(&self) -> bool {
        self.set_referenced(false)
    }

    /// Takes [`unref`](JoinHandle::unref) back. Returns false if the task has finished.
    pub fn reref(&self) -> bool {
        self.set_referenced(true)
    }

    fn set_referenced(&self, to: bool) -> bool {
        let changed = self.with(|task| {
            let unfinished = !task.is_finished();
            if unfinished {
                let mut referenced = task.is_referenced();
                self.core.change_reference(&mut referenced, to);
                task.set_referenced(referenced);
            }
            unfinished
        });
        changed.unwrap_or(false)
    }

    fn with<R>(&self, look: impl FnOnce(&mut Task) -> R) -> Option<R> {
        self.core.tasks.borrow_mut().get_mut(self.key?).map(look)
    }

    /// Takes the outcome out of the table, if it is there. Then the task is no more.
    fn take(&mut self) -> Option<Outcome> {
        let key = self.key?;
        let mut tasks = self.core.tasks.borrow_mut();
        if !tasks.get_mut(key)?.is_finished() {
            return None;
        }
        self.key = None;
        match tasks.remove(key)?.take_join() {
            Join::Finished(outcome) => Some(outcome),
            _ => None,
        }
    }
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// Polled again after it was ready, it answers that the task was aborted.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.take() {
            Some(Ok(output)) => {
                let output = output
                    .downcast()
                    .expect("the task of a handle has its output");
                return Poll::Ready(Ok(*output));
            }
            Some(Err(panic)) => return Poll::Ready(Err(JoinError::panicked(panic))),
            None => {}
        }
        let waiter = self.core.waiter(context.waker());
        let old = self.with(|task| task.set_join(Join::Waiting(waiter)));
        match old {
            Some(_) => Poll::Pending,
            // It was aborted, or its loop is gone and it with it.
            None => Poll::Ready(Err(JoinError::aborted())),
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let outcome = self.take();
        let waiting = self.with(|task| {
            task.detach();
            task.take_join()
        });
        drop((outcome, waiting));
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
    /// The lock is there to make the error [`Sync`], which what is panicked with need not be.
    panic: Option<Mutex<Box<dyn Any + Send>>>,
}

impl JoinError {
    fn aborted() -> JoinError {
        JoinError { panic: None }
    }

    fn panicked(panic: Box<dyn Any + Send>) -> JoinError {
        let panic = Some(Mutex::new(panic));
        JoinError { panic }
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
        let panic = self.panic.ok_or_else(JoinError::aborted)?;
        Ok(panic.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn text(&self) -> String {
        let Some(panic) = &self.panic else {
            return "the task was aborted".into();
        };
        let panic = panic.lock().unwrap_or_else(PoisonError::into_inner);
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        match text {
            None => "the task panicked".into(),
            Some(text) => format!("the task panicked: {text}"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({:?})", self.text())
    }
}
