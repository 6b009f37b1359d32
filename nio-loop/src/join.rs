//! Spawning tasks, and joining them.

use std::{
    any::Any,
    fmt,
    future::Future,
    io,
    marker::PhantomData,
    ops::Deref,
    panic::Location,
    pin::Pin,
    rc::Rc,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use crate::{
    Handle, Warning, budget,
    panics::discard,
    task::{Join, Task},
    trace,
};

/// # Tasks
impl Handle {
    /// Spawns a task: runs a future on the loop, concurrently with everything else. It keeps the loop
    /// alive until it has finished. Its first poll comes after the callback that runs now.
    ///
    /// If the loop is gone, the future is dropped, and the join handle returns that it was aborted.
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
    #[doc(alias(
        "spawn_local",
        "queueMicrotask",
        "microtask",
        "Promise",
        "async",
        "create_task"
    ))]
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        self.spawn_at(Box::pin(future), Location::caller())
    }

    /// Spawns a task that is not joined. An error or a panic becomes a [`Warning`] for the function of
    /// [`on_warning`](Handle::on_warning). Without that function, only the first warning is printed to
    /// the standard error.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// nio_loop::run(async |handle| {
    ///     handle.on_warning(Duration::from_secs(1), |_, warning| println!("{warning}"));
    ///     handle.spawn_detached(async { std::fs::read("no such file").map(drop) });
    ///     handle.next_turn().await;
    /// })
    /// // the task of src/main.rs:5:12 has failed: No such file or directory (os error 2)
    /// # }
    /// ```
    #[doc(alias("unhandledRejection", "spawn_local"))]
    #[track_caller]
    pub fn spawn_detached<E: fmt::Display>(
        &self,
        future: impl Future<Output = Result<(), E>> + 'static,
    ) {
        let (handle, place) = (self.clone(), Location::caller());
        let future = async move {
            if let Err(error) = future.await {
                let error = error.to_string();
                handle.warn(&Warning::TaskFailed { place, error });
            }
        };
        self.spawn_at(Box::pin(future), place).detach();
    }

    /// Warns of a panic of a task that is not joined.
    pub(crate) fn warn_of_panic(
        &self,
        place: &'static Location<'static>,
        payload: Box<dyn Any + Send>,
    ) {
        let message = panic_message(&*payload).unwrap_or_default().to_owned();
        discard(payload);
        let warning = Warning::TaskPanicked { place, message };
        // Without a function for warnings, the panic hook has printed the panic. During another panic
        // no foreign code may run.
        if self.state.meter.is_timing() && !std::thread::panicking() {
            self.warn(&warning);
        } else {
            trace::warning(&warning);
        }
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

/// Joins a task, or aborts it. Made by [`Handle::spawn`].
///
/// Dropping it detaches the task, like [`detach`](JoinHandle::detach): the task goes on.
#[doc(alias("Promise", "Task"))]
pub struct JoinHandle<T> {
    handle: Handle,
    /// `None` if the loop was gone.
    task: Option<Rc<Task>>,
    output: PhantomData<fn() -> T>,
}

impl<T> JoinHandle<T> {
    /// Aborts the task: its future is dropped, and awaiting this handle returns a [`JoinError`] with
    /// [`is_aborted`](JoinError::is_aborted). Has no effect on a task that has finished. If a task
    /// aborts itself, its future is dropped when its poll returns.
    ///
    /// # Panics
    ///
    /// If the future panics when it is dropped.
    #[doc(alias("cancel", "CancellationToken", "AbortController", "AbortHandle"))]
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

    /// Lets the task go on by itself. Its output will be dropped. A panic is reported to
    /// [`on_warning`](Handle::on_warning), and so are errors of a task of
    /// [`spawn_detached`](Handle::spawn_detached).
    pub fn detach(self) {}

    /// A guard that aborts the task when it is dropped. The guard can be awaited like this handle.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// nio_loop::run(async |handle| {
    ///     let pings = handle.spawn({
    ///         let handle = handle.clone();
    ///         async move {
    ///             loop {
    ///                 handle.sleep(Duration::from_millis(1)).await;
    ///                 println!("ping");
    ///             }
    ///         }
    ///     });
    ///     let _pings = pings.abort_on_drop();
    ///     handle.sleep(Duration::from_millis(5)).await;
    /// })?; // the pings end here, however this future ends
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("AbortOnDropHandle", "CancellationToken", "DropGuard"))]
    #[must_use = "the task is aborted when the guard is dropped"]
    pub fn abort_on_drop(self) -> AbortOnDrop<T> {
        AbortOnDrop(Some(self))
    }

    /// Unreferences the task: it no longer keeps the loop alive. When only unreferenced tasks are left,
    /// [`run`](crate::EventLoop::run) returns; they continue in the next run, or are dropped with the
    /// loop. Returns false if the task has finished.
    #[doc(alias("uv_unref"))]
    pub fn unref(&self) -> bool {
        self.set_referenced(false)
    }

    /// Undoes [`unref`](JoinHandle::unref): the task keeps the loop alive again. Returns false if it has
    /// finished.
    #[doc(alias("uv_ref"))]
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

impl<T: 'static> JoinHandle<T> {
    /// The outcome of a task that is over. It is taken out: later calls return that it was aborted.
    pub(crate) fn take_outcome(&self) -> Option<Result<T, JoinError>> {
        if !self.is_finished() {
            return None;
        }
        let join = self.task.as_ref().and_then(|task| task.take_join());
        Some(match join {
            Some(Join::Finished(Ok(output))) => {
                let output = output.downcast();
                Ok(*output.expect("the task of a handle has its output"))
            }
            Some(Join::Finished(Err(payload))) => Err(JoinError::panicked(payload)),
            _ => Err(JoinError::aborted()),
        })
    }
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// If it is polled again after it was ready, it returns that the task was aborted.
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
        let outcome = self.take_outcome();
        Poll::Ready(outcome.expect("the task is over"))
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.joinable.set(false);
            if let Some(Join::Finished(Err(payload))) = task.take_join() {
                self.handle.warn_of_panic(task.place, payload);
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

/// Aborts a task when it is dropped, and can be awaited. Made by [`JoinHandle::abort_on_drop`].
pub struct AbortOnDrop<T>(
    /// `None` only after [`into_handle`](AbortOnDrop::into_handle).
    Option<JoinHandle<T>>,
);

impl<T> AbortOnDrop<T> {
    /// Returns the task's handle. Dropping that does not abort the task.
    #[must_use = "to let the task go on, detach it"]
    pub fn into_handle(mut self) -> JoinHandle<T> {
        self.0.take().expect("taken only here")
    }
}

impl<T> Deref for AbortOnDrop<T> {
    type Target = JoinHandle<T>;

    fn deref(&self) -> &JoinHandle<T> {
        self.0.as_ref().expect("taken only by into_handle")
    }
}

impl<T: 'static> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let handle = self.0.as_mut().expect("taken only by into_handle");
        Pin::new(handle).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.abort();
        }
    }
}

impl<T> fmt::Debug for AbortOnDrop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AbortOnDrop").field(&**self).finish()
    }
}

/// The error of a task without a result: it was aborted, or it panicked.
#[derive(thiserror::Error)]
#[error("{}", self.text())]
pub struct JoinError {
    /// In a lock because the payload of a panic may not be [`Sync`], and an error should be.
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

    /// The payload of the panic, for [`std::panic::resume_unwind`].
    ///
    /// # Errors
    ///
    /// This error itself, if the task was aborted.
    pub fn into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        let panic = self.panic.ok_or_else(JoinError::aborted)?;
        Ok(panic.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn text(&self) -> String {
        let Some(panic) = &self.panic else {
            return "the task was aborted".into();
        };
        let panic = panic.lock().unwrap_or_else(PoisonError::into_inner);
        match panic_message(&**panic) {
            None => "the task panicked".into(),
            Some(text) => format!("the task panicked: {text}"),
        }
    }
}

/// The message of a panic, if it has one.
fn panic_message(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

impl From<JoinError> for io::Error {
    /// An error of the kind [`Other`](io::ErrorKind::Other), which callers do not retry.
    fn from(error: JoinError) -> io::Error {
        io::Error::other(error)
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({:?})", self.text())
    }
}
