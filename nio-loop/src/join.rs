//! Spawning tasks, and joining them.

use std::{
    any::Any,
    fmt,
    future::Future,
    marker::PhantomData,
    panic::Location,
    pin::Pin,
    rc::Rc,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use crate::{
    Handle, budget,
    task::{Join, Task},
};

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
    /// let handle = event_loop.handle();
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
        let state = &self.state;
        let task = (!state.closed.get()).then(|| {
            let since = state.origin(place).since;
            let task = Task::new(Some(future), place, since);
            state.tasks.add(&task);
            state.retain(true);
            state.tasks.wake(Rc::clone(&task));
            task
        });
        JoinHandle {
            handle: self.clone(),
            task,
            output: PhantomData,
        }
    }
}

/// Waits for a task, or aborts it. Made by [`Handle::spawn`].
///
/// Dropping it lets the task go on, as [`detach`](JoinHandle::detach) says by name.
pub struct JoinHandle<T> {
    handle: Handle,
    /// Absent for a task of a loop that was gone.
    task: Option<Rc<Task>>,
    output: PhantomData<fn() -> T>,
}

impl<T> JoinHandle<T> {
    /// Ends the task where it stands: its future is dropped, and a task that awaits this handle gets
    /// a [`JoinError`] that [is aborted](JoinError::is_aborted). Nothing happens to a task that has
    /// finished. A task that aborts itself is dropped when it next awaits.
    pub fn abort(&self) {
        if let Some(task) = &self.task {
            self.handle.state.abort(task);
        }
    }

    /// Whether the task has finished or was aborted.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(|task| task.is_over())
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
        let Some(task) = self.task.as_ref().filter(|task| !task.is_over()) else {
            return false;
        };
        self.handle.state.release(task.referenced.replace(to));
        self.handle.state.retain(to);
        true
    }
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// Polled again after it was ready, it answers that the task was aborted.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let unit = ready!(budget::draw(context));
        if let Some(task) = self.task.as_ref().filter(|task| !task.is_over()) {
            self.handle.check_loop();
            let waiter = self.handle.state.tasks.waiter(context.waker());
            let old = task.set_join(Join::Waiting(waiter));
            drop(old);
            return Poll::Pending;
        }
        unit.spend();
        let join = self.task.as_ref().and_then(|task| task.take_join());
        Poll::Ready(match join.map(|join| *join) {
            Some(Join::Finished(Ok(output))) => {
                let output = output.downcast();
                Ok(*output.expect("the task of a handle has its output"))
            }
            Some(Join::Finished(Err(payload))) => Err(JoinError::panicked(payload)),
            _ => Err(JoinError::aborted()),
        })
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.joinable.set(false);
            if let Some(Join::Finished(Err(payload))) = task.take_join().map(|join| *join) {
                crate::panics::discard(payload);
            }
        }
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
    /// The lock is there to make the error [`Sync`], which the payload of a panic need not be.
    panic: Option<Mutex<Box<dyn Any + Send>>>,
}

impl JoinError {
    fn aborted() -> JoinError {
        JoinError { panic: None }
    }

    fn panicked(payload: Box<dyn Any + Send>) -> JoinError {
        let panic = Some(Mutex::new(payload));
        JoinError { panic }
    }

    /// The task was aborted, or its loop was dropped.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.panic.is_none()
    }

    /// The payload of the panic, to be passed to [`std::panic::resume_unwind`]; the error itself
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
