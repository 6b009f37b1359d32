//! Tasks that wait for something to become so.
//!
//! The laws:
//!
//! 1. Waking wakes all; each looks for itself whether it still has to wait. So nothing is lost when
//!    one that was woken is dropped before it has looked.
//! 2. Who waits has one waker here, however often it is polled, and none when it is gone.
//! 3. A waker that panics costs nobody else the news.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    task::{Poll, Waker},
};

#[derive(Default)]
pub(crate) struct Waiters {
    wakers: RefCell<BTreeMap<u64, Waker>>,
    next: Cell<u64>,
}

impl Waiters {
    /// Waits until `look` finds something: it is asked now, and after each [`wake`](Waiters::wake).
    pub(crate) async fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let place = Place {
            waiters: self,
            number: self.next.replace(self.next.get() + 1),
        };
        poll_fn(|context| {
            if let Some(found) = look() {
                return Poll::Ready(found);
            }
            let waker = context.waker().clone();
            let old = self.wakers.borrow_mut().insert(place.number, waker);
            drop(old);
            Poll::Pending
        })
        .await
    }

    /// Has all who wait look again. Wakers are foreign code: should some panic, the first panic goes
    /// on when all are woken.
    pub(crate) fn wake(&self) {
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

/// Somebody who waits.
struct Place<'a> {
    waiters: &'a Waiters,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let waker = self.waiters.wakers.borrow_mut().remove(&self.number);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Wake},
    };

    use super::*;

    /// Counts how often it is woken, and panics then if it is to.
    struct Counts {
        wakes: AtomicUsize,
        panics: bool,
    }

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.wakes.fetch_add(1, Ordering::Relaxed);
            assert!(!self.panics, "in the waker");
        }
    }

    #[test]
    fn a_waker_that_panics_costs_nobody_else_the_news() {
        let waiters = Waiters::default();
        let all = [false, true, true, false].map(|panics| {
            let wakes = AtomicUsize::new(0);
            Arc::new(Counts { wakes, panics })
        });
        let mut waits = [(); 4].map(|()| Box::pin(waiters.until(|| None::<()>)));
        for (wait, counts) in waits.iter_mut().zip(&all) {
            let waker = Waker::from(Arc::clone(counts));
            let mut context = Context::from_waker(&waker);
            assert!(wait.as_mut().poll(&mut context).is_pending());
        }
        let panic = catch_unwind(AssertUnwindSafe(|| waiters.wake())).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"in the waker"));
        for counts in &all {
            assert_eq!(counts.wakes.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn who_waits_has_one_waker_and_none_when_it_is_gone() {
        let waiters = Waiters::default();
        {
            let mut wait = pin!(waiters.until(|| None::<()>));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..3 {
                assert!(wait.as_mut().poll(&mut context).is_pending());
            }
            assert_eq!(waiters.wakers.borrow().len(), 1);
        }
        assert_eq!(waiters.wakers.borrow().len(), 0);
    }
}
