//! Tasks that wait for something to become so.
//!
//! The laws:
//!
//! 1. Waking wakes all; each looks for itself whether it still has to wait. So nothing is lost when
//!    one that was woken is dropped before it has looked.
//! 2. Who waits has one waker here, however often it is polled, and none when it is gone.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
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

    /// Has all who wait look again.
    pub(crate) fn wake(&self) {
        let wakers = self.wakers.take();
        wakers.into_values().for_each(Waker::wake);
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
    use std::{future::Future, pin::pin, task::Context};

    use super::*;

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
