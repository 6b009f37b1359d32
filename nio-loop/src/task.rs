//! A task, which is a future that the loop polls when it is woken; and a waiter, which is a task or a
//! waker.
//!
//! The laws:
//!
//! 1. A task is one [`Rc`], shared by the table, the ready queue, the waiters, the timers and the
//!    [`JoinHandle`](crate::JoinHandle).
//! 2. The future never moves out of the task to be polled. A task that aborts itself is over at once,
//!    and its future is dropped when the poll has returned.

use std::{
    any::Any,
    cell::{Cell, OnceCell, RefCell},
    future::Future,
    panic::Location,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use nio_timer::Key;

use crate::{clock::Time, wakers::OwnWaker};

/// A spawned future.
pub(crate) type BoxedWork = Pin<Box<dyn Work>>;

/// The output of a task, of any type.
pub(crate) type Output = Box<dyn Any>;

/// A future with an output of any type.
pub(crate) trait Work {
    fn work(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Output>;
}

impl<F> Work for F
where
    F: Future,
    F::Output: 'static,
{
    fn work(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Output> {
        // An output without a size, such as `()`, takes no memory.
        self.poll(context).map(|output| Box::new(output) as Output)
    }
}

/// The output of a task, or the payload of its panic.
pub(crate) type Outcome = Result<Output, Box<dyn Any + Send>>;

/// The state of joining a task.
pub(crate) enum Join {
    /// A [`JoinHandle`](crate::JoinHandle) is awaited.
    Waiting(Waiter),
    /// The task has finished, and its outcome was not taken yet.
    Finished(Outcome),
}

/// A future that the loop polls: a spawned one, or the future of `block_on`.
pub(crate) struct Task {
    /// The key in the table. `None` when the task is over.
    pub(crate) key: Cell<Option<Key>>,
    /// The future; borrowed while it is polled. `None` when the task is over, and for `block_on`,
    /// which owns its future.
    work: RefCell<Option<BoxedWork>>,
    /// The task's own waker, since a clone of it was first kept (see `wakers`).
    own_waker: OnceCell<Box<OwnWaker>>,
    join: Cell<Option<Join>>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) since: Time,
    /// Whether it is in the ready queue.
    pub(crate) queued: Cell<bool>,
    /// Whether it has a [`JoinHandle`](crate::JoinHandle).
    pub(crate) joinable: Cell<bool>,
    /// Whether it keeps the loop alive.
    pub(crate) referenced: Cell<bool>,
}

impl Task {
    pub(crate) fn new(
        work: Option<BoxedWork>,
        place: &'static Location<'static>,
        since: Time,
    ) -> Rc<Task> {
        Rc::new(Task {
            key: Cell::new(None),
            work: RefCell::new(work),
            own_waker: OnceCell::new(),
            join: Cell::new(None),
            place,
            since,
            queued: Cell::new(false),
            joinable: Cell::new(true),
            referenced: Cell::new(true),
        })
    }

    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.key.get().is_none()
    }

    /// Polls the future, if the task has it.
    #[inline(always)]
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Option<Poll<Output>> {
        let mut work = self.work.borrow_mut();
        work.as_mut().map(|work| work.as_mut().work(context))
    }

    /// Takes the future out, unless it is being polled.
    pub(crate) fn take_work(&self) -> Option<BoxedWork> {
        self.work.try_borrow_mut().ok()?.take()
    }

    #[inline]
    pub(crate) fn own_waker(&self) -> Option<&Waker> {
        self.own_waker.get().map(|own| &own.waker)
    }

    /// Sets the task's own waker; it has none yet.
    pub(crate) fn set_waker(&self, waker: OwnWaker) {
        let _ = self.own_waker.set(Box::new(waker));
    }

    /// Whether the task's own waker has clones. `None` without an own waker.
    pub(crate) fn has_shared_waker(&self) -> Option<bool> {
        self.own_waker.get().map(|own| own.has_clones())
    }

    pub(crate) fn set_join(&self, join: Join) -> Option<Join> {
        self.join.replace(Some(join))
    }

    pub(crate) fn take_join(&self) -> Option<Join> {
        self.join.take()
    }
}

/// A task, or a future elsewhere, that waits for something.
pub(crate) enum Waiter {
    /// A task of the loop itself, which needs no waker.
    Task(Rc<Task>),
    Waker(Waker),
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn a_task_takes_88_bytes_and_a_waiter_16() {
        assert_eq!(size_of::<Task>(), 88);
        assert_eq!(size_of::<Waiter>(), 16);
    }
}
