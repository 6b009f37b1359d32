//! Blocking closures: they run on other threads, and tasks await them.

use std::{
    future::poll_fn,
    panic::{Location, resume_unwind},
    sync::Arc,
};

use crate::{
    Error, Handle, JoinHandle, Refused,
    pool::{Job, Pace, Pool},
};

/// The loop's side of a job.
struct Awaited<F, T> {
    job: Arc<Job<F, T>>,
    handle: Handle,
}

impl<F, T> Awaited<F, T> {
    async fn outcome(self) -> T {
        let outcome = poll_fn(|context| self.job.poll_outcome(context.waker())).await;
        // The panic of the closure becomes the panic of its task.
        outcome.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

impl<F, T> Drop for Awaited<F, T> {
    fn drop(&mut self) {
        let jobs = &self.handle.state.jobs;
        jobs.set(jobs.get() - 1);
        self.job.forget_waker();
        drop(self.job.cancel());
    }
}

/// # Threads for blocking closures
impl Handle {
    /// Runs a blocking closure on another thread, for example to read a file. The [`JoinHandle`] returns
    /// its result. It keeps the loop alive like a task.
    ///
    /// Up to four closures run at once, on threads that are started when they are needed; others wait
    /// in a queue.
    ///
    /// A closure that is aborted before it begins never begins. A running closure cannot be stopped: its
    /// output is dropped at its end. A panic becomes the [`JoinError`](crate::JoinError). Dropping the
    /// loop does not wait for running closures.
    ///
    /// # Errors
    ///
    /// [`Error::Thread`] if there is no thread and none can be started; [`Error::Closed`] if the
    /// loop is gone. The closure is given back.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// let size = event_loop.block_on(async {
    ///     let job = handle.spawn_blocking(|| std::fs::metadata("Cargo.toml"))?;
    ///     Ok::<_, Box<dyn std::error::Error>>(job.await??.len())
    /// })??;
    /// assert!(size > 0);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("uv_queue_work", "worker_threads", "run_in_executor", "block_in_place"))]
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, closure: F) -> Result<JoinHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_job(closure, Pace::Normal, Location::caller())
    }

    /// Like [`spawn_blocking`](Handle::spawn_blocking), for a closure that may take many seconds, like a
    /// look-up of a name. Up to four slow closures run at once, in addition to the others, so neither
    /// kind waits for the other.
    ///
    /// # Errors
    ///
    /// See [`spawn_blocking`](Handle::spawn_blocking).
    #[doc(alias("uv_getaddrinfo", "dns.lookup"))]
    #[track_caller]
    pub fn spawn_slow<F, T>(&self, closure: F) -> Result<JoinHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_job(closure, Pace::Slow, Location::caller())
    }

    fn spawn_job<F, T>(
        &self,
        closure: F,
        pace: Pace,
        place: &'static Location<'static>,
    ) -> Result<JoinHandle<T>, Refused<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let state = &self.state;
        if let Err(error) = state.check_open() {
            return Err(Refused {
                error,
                value: closure,
            });
        }
        let job = Job::new(closure);
        let mut pool = state.pool.borrow_mut();
        let added = pool.get_or_insert_with(Pool::new).add(job.clone(), pace);
        drop(pool);
        if let Err(error) = added {
            let closure = job.cancel().expect("no thread has taken it");
            let error = Error::Thread(error);
            return Err(Refused {
                error,
                value: closure,
            });
        }
        state.jobs.set(state.jobs.get() + 1);
        let handle = self.clone();
        let awaited = Awaited { job, handle };
        Ok(self.spawn_at(Box::pin(awaited.outcome()), place))
    }

    /// Sets the limit of closures that run at once, and the same limit for
    /// [slow](Handle::spawn_slow) ones; at least one. Threads for waiting closures are started at once;
    /// running closures are not affected.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the loop is gone; [`Error::Thread`] if closures wait, and there is no thread
    /// and none can be started.
    #[doc(alias("UV_THREADPOOL_SIZE", "max_blocking_threads"))]
    pub fn set_threads(&self, limit: usize) -> Result<(), Error> {
        self.state.check_open()?;
        let mut pool = self.state.pool.borrow_mut();
        let pool = pool.get_or_insert_with(Pool::new);
        pool.set_limit(limit).map_err(Error::Thread)
    }
}
