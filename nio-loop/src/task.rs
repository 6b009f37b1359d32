//! Tasks: futures that the loop polls when they are woken.
//!
//! The laws:
//!
//! 1. A task that is woken any number of times while it waits in the queue is polled once; one that
//!    is woken while it is polled is polled again.
//! 2. Wakers may go to any thread (see `waker`); the future itself is polled and dropped only on the
//!    loop's.
//! 3. While a task is polled its future is out of the table, so that it may abort itself or spawn
//!    others.
//! 4. The future is gone before anybody learns that the task has finished.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    Handle, JoinHandle, Time,
    clock::nanos,
    core::{Core, Origin},
    join::Join,
    slab::Key,
    waker::Spare,
};

/// A spawned future.
pub(crate) type BoxedWork = Pin<Box<dyn Work>>;

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
/// the outcome or is gone. 40 bytes, 48 with its slot: there is one for each connection.
pub(crate) struct Task {
    /// Absent while it is polled, and when it has finished.
    work: Option<BoxedWork>,
    /// What a task that waits for a connection does not have.
    more: Option<Box<More>>,
    place: &'static Location<'static>,
    notes: Notes,
}

#[derive(Default)]
struct More {
    /// A waker of its own, if it has one. Absent while it is polled.
    waker: Option<Waker>,
    join: Join,
}

/// What is noted of a task, and when it was spawned. The time gives its last bits, which nobody looks
/// at, for what would make every task larger by a word.
#[derive(Clone, Copy)]
struct Notes(u64);

impl Notes {
    /// It keeps the loop alive, unless it has finished.
    const REFERENCED: u64 = 1;
    /// It is in the queue.
    const QUEUED: u64 = 1 << 1;
    /// There is a [`JoinHandle`].
    const JOINABLE: u64 = 1 << 2;
    const ALL: u64 = Notes::REFERENCED | Notes::QUEUED | Notes::JOINABLE;

    /// Those of a new task.
    fn new(since: Time) -> Notes {
        Notes(nanos(since.since_start()) | Notes::ALL)
    }

    fn since(self) -> Time {
        Time::after_start(Duration::from_nanos(self.0 & !Notes::ALL))
    }

    fn has(self, note: u64) -> bool {
        self.0 & note != 0
    }

    /// Returns what was noted before.
    fn replace(&mut self, note: u64, to: bool) -> bool {
        let before = self.has(note);
        self.0 = self.0 & !note | if to { note } else { 0 };
        before
    }
}

impl Task {
    pub(crate) fn origin(&self) -> Origin {
        let (place, since) = (self.place, self.notes.since());
        Origin { place, since }
    }

    pub(crate) fn is_finished(&self) -> bool {
        let more = self.more.as_ref();
        more.is_some_and(|more| matches!(more.join, Join::Finished(_)))
    }

    /// Whether it keeps the loop alive, unless it has finished.
    pub(crate) fn is_referenced(&self) -> bool {
        self.notes.has(Notes::REFERENCED)
    }

    pub(crate) fn set_referenced(&mut self, to: bool) {
        self.notes.replace(Notes::REFERENCED, to);
    }

    /// Whether there is a [`JoinHandle`].
    pub(crate) fn is_joinable(&self) -> bool {
        self.notes.has(Notes::JOINABLE)
    }

    /// The [`JoinHandle`] is gone.
    pub(crate) fn detach(&mut self) {
        self.notes.replace(Notes::JOINABLE, false);
    }

    /// The future, if it is neither polled now nor has finished.
    pub(crate) fn take_work(&mut self) -> Option<BoxedWork> {
        self.work.take()
    }

    pub(crate) fn set_join(&mut self, join: Join) -> Join {
        let more = self.more.get_or_insert_default();
        std::mem::replace(&mut more.join, join)
    }

    pub(crate) fn take_join(&mut self) -> Join {
        let more = self.more.as_mut();
        more.map_or(Join::Nobody, |more| std::mem::take(&mut more.join))
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

    /// Whether waking it may come to anything. Of a waker nobody can tell.
    pub(crate) fn is_there(&self, core: &Core) -> bool {
        match self {
            Waiter::Task(key) => *key == ROOT || core.tasks.borrow_mut().get_mut(*key).is_some(),
            Waiter::Waker(_) => true,
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
                Some(task) => task.notes.replace(Notes::QUEUED, true),
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
    #[inline]
    pub(crate) fn poll_task(&self, key: Key, spare: &mut Spare) {
        let Some((mut work, own)) = self.take_task(key) else {
            return;
        };
        self.meter.count_task();
        let waker = match &own {
            Some(waker) => waker,
            None => spare.lend(self, key),
        };
        let poll = self.poll_as(key, waker, |context| {
            catch_unwind(AssertUnwindSafe(|| work.as_mut().work(context)))
        });
        let outcome = match poll {
            Ok(Poll::Pending) => {
                let own = own.or_else(|| spare.take_back());
                return self.put_task_back(key, work, own);
            }
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(work)));
        if own.is_none() {
            drop(spare.take_back());
        }
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
        Some(tasks.get_mut(key)?.place)
    }

    /// Takes the future of a task out of the table, to be polled, and its waker if it has one.
    fn take_task(&self, key: Key) -> Option<(BoxedWork, Option<Waker>)> {
        let mut tasks = self.tasks.borrow_mut();
        let task = tasks.get_mut(key)?;
        task.notes.replace(Notes::QUEUED, false);
        let work = task.work.take()?;
        let own = task.more.as_mut().and_then(|more| more.waker.take());
        Some((work, own))
    }

    /// Puts them back, to wait. If the task has aborted itself they are dropped, with nothing borrowed.
    #[inline]
    fn put_task_back(&self, key: Key, work: BoxedWork, own: Option<Waker>) {
        if let Some(task) = self.tasks.borrow_mut().get_mut(key) {
            task.work = Some(work);
            if own.is_some() {
                task.more.get_or_insert_default().waker = own;
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
        let task = Task {
            work: Some(future),
            more: None,
            place,
            notes: Notes::new(core.origin(place).since),
        };
        let key = core.tasks.borrow_mut().insert(task);
        core.retain(true);
        core.ready.borrow_mut().push_back(key);
        core.rouse();
        JoinHandle::new(Rc::clone(core), Some(key))
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;
    use crate::slab::Slab;

    #[test]
    fn a_task_takes_48_bytes_of_the_table_and_what_few_have_another_40() {
        assert_eq!(Slab::<Task>::SLOT, 48);
        assert_eq!(size_of::<More>(), 40);
    }

    #[test]
    fn notes_change_no_time_by_a_microsecond_and_no_other_note() {
        let since = Time::after_start(Duration::from_micros(12_345));
        let mut notes = Notes::new(since);
        for note in [Notes::REFERENCED, Notes::QUEUED, Notes::JOINABLE] {
            assert!(notes.replace(note, false));
            assert!(!notes.has(note));
            assert_eq!(notes.0.count_ones(), Notes::new(since).0.count_ones() - 1);
            assert!(!notes.replace(note, true));
        }
        assert_eq!(notes.since(), since);
    }
}
