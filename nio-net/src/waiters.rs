//! A queue of waiting tasks, first in, first out.
//!
//! The laws:
//!
//! 1. All tasks are woken together, in the order of their arrival.
//! 2. A wait has one waker in the queue, however often it is polled, and none when it is dropped.
//! 3. Wakers run while nothing is borrowed. If one panics, the others are still woken.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    task::{Poll, Waker},
};

use nio_loop::poll_budget;

/// A queue of waiting tasks.
#[derive(Default)]
pub(crate) struct Waiters {
    /// The wakers, by order of arrival.
    wakers: RefCell<BTreeMap<u64, Waker>>,
    next: Cell<u64>,
}

impl Waiters {
    /// Waits until `look` returns `Some`. It is called now, and after each [`wake_all`](Self::wake_all).
    pub(crate) async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let waiter = Waiter {
            waiters: self,
            number: Cell::new(None),
        };
        poll_fn(|context| match look() {
            Some(found) => poll_budget(context).map(|()| found),
            None => {
                waiter.wait(context.waker());
                Poll::Pending
            }
        })
        .await
    }

    /// Wakes all tasks. If wakers panic, the first panic goes on when all are woken.
    pub(crate) fn wake_all(&self) {
        let mut panicked = None;
        for waker in self.wakers.take().into_values() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                panicked.get_or_insert(panic);
            }
        }
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }
}

/// A task in a queue. Dropping this leaves the queue.
struct Waiter<'a> {
    waiters: &'a Waiters,
    /// `None` until it waits.
    number: Cell<Option<u64>>,
}

impl Waiter<'_> {
    /// Joins the end of the queue, or keeps its position.
    fn wait(&self, waker: &Waker) {
        let waiters = self.waiters;
        let number = self.number.get().unwrap_or_else(|| {
            let number = waiters.next.replace(waiters.next.get() + 1);
            self.number.set(Some(number));
            number
        });
        let is_kept = match waiters.wakers.borrow().get(&number) {
            Some(kept) => kept.will_wake(waker),
            None => false,
        };
        if !is_kept {
            let waker = waker.clone();
            let old = waiters.wakers.borrow_mut().insert(number, waker);
            drop(old);
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number.get() {
            let waker = self.waiters.wakers.borrow_mut().remove(&number);
            drop(waker);
        }
    }
}
