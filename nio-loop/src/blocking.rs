//! Threads for what blocks: closures that run beside the loop, and whose outcome comes back to it.
//!
//! The laws:
//!
//! 1. There are two [lanes](Lane), each with its own queue and its own threads, so that what is slow
//!    in one does not keep the other waiting.
//! 2. A lane starts a thread only when all it has are busy, and no more than its limit; a thread
//!    that had nothing to do for a while ends.
//! 3. A job that is aborted before it has begun never begins, and is dropped by the loop's thread.
//! 4. When the loop goes, jobs that have not begun go with it. Those that run are left to their
//!    threads, which end after them; nobody waits for them.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io, mem,
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use crate::{
    Error, Handle, JoinHandle,
    core::{Core, discard},
};

/// How many threads a lane has at most. Those of files wait for disks, which serve a few requests
/// at once; those of names wait for servers, mostly one.
const THREADS: usize = 4;

/// How long a thread waits for something to do.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which threads a blocking closure runs on. See [`Handle::spawn_blocking_on`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lane {
    /// For files, and everything else: four threads.
    #[default]
    Files,
    /// For looking up names, which may take many seconds: four threads of its own.
    Names,
}

/// The threads of a loop. Dropping it ends them, each after the job it runs.
pub(crate) struct Pool {
    lanes: [Arc<Threads>; 2],
}

impl Pool {
    fn new() -> Pool {
        Pool {
            lanes: [Arc::default(), Arc::default()],
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for lane in &self.lanes {
            let mut state = lane.lock();
            state.closed = true;
            let queue = mem::take(&mut state.queue);
            drop(state);
            drop(queue);
            lane.work.notify_all();
        }
    }
}

/// The threads of one lane, and what they have to do.
struct Threads {
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    queue: VecDeque<Arc<dyn Run>>,
    threads: usize,
    limit: usize,
    /// How many threads wait for something to do.
    idle: usize,
    closed: bool,
}

impl Default for Threads {
    fn default() -> Threads {
        Threads {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                threads: 0,
                limit: THREADS,
                idle: 0,
                closed: false,
            }),
            work: Condvar::new(),
        }
    }
}

impl Threads {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under the lock, so nothing can panic there.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a job run, by a new thread if all are busy. Fails if there is no thread at all and none
    /// can be started.
    fn add(self: &Arc<Threads>, job: Arc<dyn Run>, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.queue.push_back(job);
        if state.queue.len() <= state.idle || state.threads >= state.limit {
            drop(state);
            self.work.notify_one();
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        let threads = Arc::clone(self);
        let started = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || threads.run());
        if let Err(error) = started {
            let mut state = self.lock();
            state.threads -= 1;
            if state.threads == 0 {
                // Nobody else has seen it.
                let job = state.queue.pop_back();
                drop(state);
                drop(job);
                return Err(error);
            }
        }
        Ok(())
    }

    /// What a thread does.
    fn run(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                // What it panics with, it has kept. This is for what it drops.
                if let Err(panic) = catch_unwind(AssertUnwindSafe(move || job.run())) {
                    discard(panic);
                }
                state = self.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, PATIENCE);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

/// A closure on its way through a lane.
trait Run: Send + Sync {
    fn run(&self);
}

struct Job<F, T> {
    /// Until it begins, or is aborted.
    closure: Mutex<Option<F>>,
    end: Mutex<End<T>>,
}

struct End<T> {
    outcome: Option<thread::Result<T>>,
    waiting: Option<Waker>,
}

/// No foreign code runs under these locks either.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<F, T> Run for Job<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&self) {
        let closure = lock(&self.closure).take();
        let Some(closure) = closure else {
            return;
        };
        let outcome = catch_unwind(AssertUnwindSafe(closure));
        let mut end = lock(&self.end);
        end.outcome = Some(outcome);
        let waiting = end.waiting.take();
        drop(end);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

/// The loop's side of a job.
struct Waiting<F, T> {
    job: Arc<Job<F, T>>,
    handle: Handle,
}

impl<F, T> Waiting<F, T> {
    async fn outcome(self) -> T {
        let outcome = poll_fn(|context| {
            let waker = context.waker().clone();
            let mut end = lock(&self.job.end);
            if let Some(outcome) = end.outcome.take() {
                return Poll::Ready(outcome);
            }
            let old = end.waiting.replace(waker);
            drop(end);
            drop(old);
            Poll::Pending
        });
        // The task has the panic of its job.
        outcome.await.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl<F, T> Drop for Waiting<F, T> {
    fn drop(&mut self) {
        let jobs = &self.handle.core.jobs;
        jobs.set(jobs.get() - 1);
        let closure = lock(&self.job.closure).take();
        drop(closure);
    }
}

impl Core {
    /// Whether a blocking closure is running, or will be.
    pub(crate) fn has_jobs(&self) -> bool {
        self.jobs.get() > 0
    }
}

impl Handle {
    /// Runs a closure that blocks, such as one that reads a file, on a thread of its own, and gives
    /// what it returns to the [`JoinHandle`]. It keeps the loop alive as a task does.
    ///
    /// The loop has four such threads, which are started when they are needed; what is more waits
    /// in a queue. Looking up names has [others](Lane::Names).
    ///
    /// A closure that is aborted before it has begun never begins. One that runs cannot be stopped:
    /// its output is dropped when it comes. A panic becomes the [`JoinError`](crate::JoinError).
    /// Dropping the loop does not wait for closures that run.
    ///
    /// # Errors
    ///
    /// [`Error::Thread`](crate::Error::Thread) if there is no thread and none can be started;
    /// [`Error::Closed`](crate::Error::Closed) if the loop is gone. The closure is dropped.
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle().clone();
    /// let size = event_loop.block_on(async {
    ///     let job = handle.spawn_blocking(|| std::fs::metadata("Cargo.toml"))?;
    ///     Ok::<_, Box<dyn std::error::Error>>(job.await??.len())
    /// })??;
    /// assert!(size > 0);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, closure: F) -> Result<JoinHandle<T>, Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_blocking_on(Lane::Files, closure)
    }

    /// As [`spawn_blocking`](Handle::spawn_blocking), with a choice of threads.
    ///
    /// # Errors
    ///
    /// As [`spawn_blocking`](Handle::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking_on<F, T>(&self, lane: Lane, closure: F) -> Result<JoinHandle<T>, Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let place = Location::caller();
        let end = End {
            outcome: None,
            waiting: None,
        };
        let job = Arc::new(Job {
            closure: Mutex::new(Some(closure)),
            end: Mutex::new(end),
        });
        let name = match lane {
            Lane::Files => "nio-files",
            Lane::Names => "nio-names",
        };
        let (threads, queued) = (self.threads(lane)?, Arc::clone(&job));
        threads.add(queued, name).map_err(Error::Thread)?;
        let jobs = &self.core.jobs;
        jobs.set(jobs.get() + 1);
        let handle = self.clone();
        let waiting = Waiting { job, handle };
        Ok(self.spawn_at(Box::pin(waiting.outcome()), place))
    }

    /// Sets how many threads a lane has at most; at least one. Those that are running already are
    /// not ended.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn set_threads(&self, lane: Lane, limit: usize) -> Result<(), Error> {
        self.threads(lane)?.lock().limit = limit.max(1);
        Ok(())
    }

    fn threads(&self, lane: Lane) -> Result<Arc<Threads>, Error> {
        if self.core.closed.get() {
            return Err(Error::Closed);
        }
        let mut pool = self.core.pool.borrow_mut();
        let pool = pool.get_or_insert_with(Pool::new);
        Ok(Arc::clone(&pool.lanes[lane as usize]))
    }
}
