//! Join sets: groups of tasks that are joined in the order in which they finish.
//!
//! The laws:
//!
//! 1. A task stays in the group until its outcome is taken. Outcomes come in the order in which the
//!    tasks finish.
//! 2. Joining a task costs the same in a group of any size: a finished task adds its number to a
//!    queue, and no other task is polled.
//! 3. Dropping the group aborts its tasks.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    fmt,
    future::Future,
    mem,
    panic::Location,
    rc::Rc,
};

use crate::{AbortOnDrop, Handle, JoinError, channel::OneWaiter, panics::Panics};

/// A group of tasks with outputs of one type, which are joined in the order in which they finish, and
/// aborted when the group is dropped. Made by [`Handle::join_set`].
///
/// ```
/// # use std::time::Duration;
/// # fn main() -> Result<(), nio_loop::Error> {
/// nio_loop::run(async |handle| {
///     let mut downloads = handle.join_set();
///     for number in [3, 1, 2] {
///         let handle = handle.clone();
///         downloads.spawn(async move {
///             handle.sleep(Duration::from_millis(10 * number)).await;
///             number
///         });
///     }
///     while let Some(outcome) = downloads.join_next().await {
///         println!("{} is done", outcome.expect("it does not panic"));
///     }
/// })
/// # }
/// ```
#[doc(alias = "TaskGroup")]
#[doc(alias = "TaskSet")]
#[doc(alias = "JoinAll")]
#[doc(alias = "FuturesUnordered")]
pub struct JoinSet<T> {
    handle: Handle,
    tasks: BTreeMap<u64, AbortOnDrop<T>>,
    last: u64,
    finished: Rc<Finished>,
}

/// The numbers of the tasks that are over, in order, and the future that waits for the next one.
#[derive(Default)]
struct Finished {
    numbers: RefCell<VecDeque<u64>>,
    waiter: OneWaiter,
}

/// # Groups of tasks
impl Handle {
    /// An empty group of tasks.
    #[must_use]
    pub fn join_set<T: 'static>(&self) -> JoinSet<T> {
        JoinSet {
            handle: self.clone(),
            tasks: BTreeMap::new(),
            last: 0,
            finished: Rc::default(),
        }
    }
}

impl<T: 'static> JoinSet<T> {
    /// Spawns a task of the group, like [`Handle::spawn`].
    #[doc(alias("spawn_local"))]
    #[track_caller]
    pub fn spawn(&mut self, future: impl Future<Output = T> + 'static) {
        /// Dropped after the future, also when that panics or is aborted before its first poll.
        struct ReportEnd(Rc<Finished>, u64, Handle);
        impl Drop for ReportEnd {
            fn drop(&mut self) {
                self.0.numbers.borrow_mut().push_back(self.1);
                self.0.waiter.wake(&self.2.state.tasks);
            }
        }
        self.last += 1;
        let report_end = ReportEnd(Rc::clone(&self.finished), self.last, self.handle.clone());
        let future = async move {
            // A task that was never polled drops its captures in the order of their first use.
            let future = future;
            let _report_end = report_end;
            future.await
        };
        let task = self.handle.spawn_at(Box::pin(future), Location::caller());
        self.tasks.insert(self.last, task.abort_on_drop());
    }

    /// Waits until the next task has finished, and takes its outcome; `None` if the group is empty. It
    /// is cancellation safe.
    #[doc(alias("select_all", "Promise.race"))]
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        let (handle, finished) = (self.handle.clone(), Rc::clone(&self.finished));
        let look = || match self.try_join_next() {
            None if !self.is_empty() => None,
            outcome => Some(outcome),
        };
        finished.waiter.until(&handle, look).await
    }

    /// Takes the outcome of the next task that has finished, if one has.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        loop {
            let number = *self.finished.numbers.borrow().front()?;
            // The number has no task if the loop was gone and the future panicked in its drop.
            let outcome = match self.tasks.get(&number) {
                Some(task) => Some(task.take_outcome()?),
                None => None,
            };
            self.finished.numbers.borrow_mut().pop_front();
            self.tasks.remove(&number);
            if outcome.is_some() {
                return outcome;
            }
        }
    }

    /// Aborts all tasks. They stay in the group, and their outcomes are errors with
    /// [`is_aborted`](JoinError::is_aborted). Tasks that had finished keep their outcomes.
    ///
    /// # Panics
    ///
    /// If a future panics when it is dropped; all are dropped before.
    pub fn abort_all(&self) {
        let mut panics = Panics::default();
        for task in self.tasks.values() {
            panics.catch(|| task.abort());
        }
        panics.resume();
    }

    /// Aborts all tasks, and waits until they are gone. Their outcomes are dropped, and the group is
    /// empty.
    ///
    /// # Panics
    ///
    /// As [`abort_all`](JoinSet::abort_all).
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }
}

impl<T> JoinSet<T> {
    /// The number of tasks in the group, including finished ones that were not joined yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether the group has no tasks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

impl<T> Drop for JoinSet<T> {
    /// Aborts all tasks. If futures panic when they are dropped, the first panic goes on when all are
    /// gone.
    fn drop(&mut self) {
        let mut panics = Panics::default();
        for task in mem::take(&mut self.tasks).into_values() {
            panics.catch(|| drop(task));
        }
        panics.resume();
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
