//! Threads for blocking closures.
//!
//! The laws:
//!
//! 1. A thread is started only when all others are busy and the limit allows it. An idle thread ends
//!    after a while.
//! 2. Normal and slow jobs have separate limits, so slow look-ups of names never delay reads of files,
//!    nor the reverse.
//! 3. A job that is cancelled before it begins never begins.
//! 4. When the pool is dropped, jobs that have not begun are dropped. Running jobs finish, and then
//!    their threads end.

use std::{
    collections::VecDeque,
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use crate::panics::discard;

/// The most normal jobs that run at once, and the most slow ones: a disk serves a few requests at once.
const LIMIT: usize = 4;

/// How long an idle thread waits for a job before it ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a job is expected to take.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// As long as reading a file.
    Normal,
    /// Many seconds.
    Slow,
}

/// The threads of a loop.
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    jobs: Mutex<Jobs>,
    work: Condvar,
}

/// The queues and the numbers of running jobs, by pace.
struct Jobs {
    queues: [VecDeque<Arc<dyn Run>>; 2],
    running: [usize; 2],
    limit: usize,
    threads: usize,
    /// The number of threads that wait for a job, or are about to.
    idle: usize,
    closed: bool,
}

impl Jobs {
    /// The number of queued jobs of a pace that the limit allows to begin.
    fn ready(&self, pace: usize) -> usize {
        let free = self.limit.saturating_sub(self.running[pace]);
        self.queues[pace].len().min(free)
    }

    fn needs_thread(&self) -> bool {
        self.ready(0) + self.ready(1) > self.idle
    }

    fn next(&mut self) -> Option<(Arc<dyn Run>, usize)> {
        let pace = (0..2).find(|&pace| self.ready(pace) > 0)?;
        self.running[pace] += 1;
        self.queues[pace].pop_front().map(|job| (job, pace))
    }
}

impl Pool {
    pub(crate) fn new() -> Pool {
        Pool(Arc::new(Shared {
            jobs: Mutex::new(Jobs {
                queues: Default::default(),
                running: [0; 2],
                limit: LIMIT,
                threads: 0,
                idle: 0,
                closed: false,
            }),
            work: Condvar::new(),
        }))
    }

    /// Adds a job. Fails if there is no thread and none can be started.
    pub(crate) fn add(&self, job: Arc<dyn Run>, pace: Pace) -> io::Result<()> {
        self.0.lock().queues[pace as usize].push_back(job);
        let started = self.start_threads();
        match started {
            // Each job wakes one thread. A thread that is awake looks for another job before it waits.
            Ok(()) => self.0.work.notify_one(),
            Err(_) => {
                // There is no thread, so the job is still the last one.
                let job = self.0.lock().queues[pace as usize].pop_back();
                drop(job);
            }
        }
        started
    }

    /// Sets the limit, and starts threads for waiting jobs.
    pub(crate) fn set_limit(&self, limit: usize) -> io::Result<()> {
        let old = mem::replace(&mut self.0.lock().limit, limit.max(1));
        match self.start_threads() {
            Ok(()) => self.0.work.notify_all(),
            Err(error) => {
                self.0.lock().limit = old;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Starts threads for the waiting jobs. Fails only if there is no thread at all.
    fn start_threads(&self) -> io::Result<()> {
        loop {
            let mut jobs = self.0.lock();
            if !jobs.needs_thread() {
                break;
            }
            jobs.threads += 1;
            jobs.idle += 1;
            drop(jobs);
            let shared = Arc::clone(&self.0);
            let thread = thread::Builder::new().name("nio-blocking".into());
            if let Err(error) = thread.spawn(move || shared.run()) {
                let mut jobs = self.0.lock();
                jobs.threads -= 1;
                jobs.idle -= 1;
                match jobs.threads {
                    0 => return Err(error),
                    _ => break,
                }
            }
        }
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut jobs = self.0.lock();
        jobs.closed = true;
        let left = mem::take(&mut jobs.queues);
        drop(jobs);
        drop(left);
        self.0.work.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        lock(&self.jobs)
    }

    /// The function of a thread.
    fn run(&self) {
        let mut jobs = self.lock();
        jobs.idle -= 1;
        loop {
            if let Some((job, pace)) = jobs.next() {
                drop(jobs);
                // The job catches the panic of its closure; this catches one of a drop.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(move || job.run())) {
                    discard(payload);
                }
                jobs = self.lock();
                jobs.running[pace] -= 1;
                continue;
            }
            if jobs.closed {
                break;
            }
            jobs.idle += 1;
            let waited = self.work.wait_timeout(jobs, IDLE_TIMEOUT);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            jobs = woken;
            jobs.idle -= 1;
            if timeout.timed_out() && jobs.ready(0) + jobs.ready(1) == 0 {
                break;
            }
        }
        jobs.threads -= 1;
    }
}

/// A job of any type.
pub(crate) trait Run: Send + Sync {
    fn run(&self);
}

/// A closure in the pool, and its outcome.
pub(crate) struct Job<F, T> {
    /// Taken out when it begins or is cancelled.
    closure: Mutex<Option<F>>,
    end: Mutex<End<T>>,
}

struct End<T> {
    outcome: Option<thread::Result<T>>,
    waiting: Option<Waker>,
}

impl<F, T> Job<F, T> {
    pub(crate) fn new(closure: F) -> Arc<Job<F, T>> {
        let end = End {
            outcome: None,
            waiting: None,
        };
        Arc::new(Job {
            closure: Mutex::new(Some(closure)),
            end: Mutex::new(end),
        })
    }

    /// Takes the closure out, if it has not begun.
    pub(crate) fn cancel(&self) -> Option<F> {
        lock(&self.closure).take()
    }

    /// The outcome, if the job has finished. Otherwise the waker is woken at the end.
    pub(crate) fn poll_outcome(&self, waker: &Waker) -> Poll<thread::Result<T>> {
        let waker = waker.clone();
        let mut end = lock(&self.end);
        if let Some(outcome) = end.outcome.take() {
            return Poll::Ready(outcome);
        }
        let old = end.waiting.replace(waker);
        drop(end);
        drop(old);
        Poll::Pending
    }

    /// Drops the waker: the outcome is not awaited any more.
    pub(crate) fn forget_waker(&self) {
        let waiting = lock(&self.end).waiting.take();
        drop(waiting);
    }
}

impl<F, T> Run for Job<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&self) {
        let Some(closure) = self.cancel() else {
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

/// Locks a mutex. No foreign code runs under the locks, so a panic never poisons them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
