//! Blocking closures, awaited by the loop.

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
        // The panic of the job becomes that of its task.
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

/// # Threads for what blocks
impl Handle {
    /// Runs a closure that blocks, such as one that reads a file, on another thread, and gives
    /// its result to the [`JoinHandle`]. It keeps the loop alive as a task does.
    ///
    /// Up to four closures run at once, on threads that are started when they are needed; others wait
    /// in a queue.
    ///
    /// A closure that is aborted before it has begun never begins. One that runs cannot be stopped:
    /// its output is dropped when it comes. A panic becomes the [`JoinError`](crate::JoinError).
    /// Dropping the loop does not wait for closures that run.
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

    /// As [`spawn_blocking`](Handle::spawn_blocking), for a closure that may take many seconds, such
    /// as one that looks up a name. Up to four of these run at once beside the others, so that none
    /// waits for the other kind.
    ///
    /// # Errors
    ///
    /// As [`spawn_blocking`](Handle::spawn_blocking).
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
            let closure = job.cancel().expect("no thread has seen it");
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

    /// Sets how many closures run at once, and how many [slow](Handle::spawn_slow) ones beside them; at
    /// least one. Threads for closures that wait are started at once; closures that run already are
    /// not affected.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`]; [`Error::Thread`] as of [`spawn_blocking`](Handle::spawn_blocking).
    #[doc(alias("UV_THREADPOOL_SIZE", "max_blocking_threads"))]
    pub fn set_threads(&self, limit: usize) -> Result<(), Error> {
        self.state.check_open()?;
        let mut pool = self.state.pool.borrow_mut();
        let pool = pool.get_or_insert_with(Pool::new);
        pool.set_limit(limit).map_err(Error::Thread)
    }
}
