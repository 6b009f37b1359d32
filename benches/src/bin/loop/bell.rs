//! How one task wakes another: the same code for all runtimes, which bring nothing but the wakers.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    mem,
    sync::Mutex,
    task::{Poll, Waker},
};

/// Rings in the same thread.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rung.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(crate) fn rung(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            if self.rung.replace(false) {
                return Poll::Ready(());
            }
            self.waker.set(Some(context.waker().clone()));
            Poll::Pending
        })
    }
}

/// Rings in another thread.
#[derive(Default)]
pub(crate) struct FarBell(Mutex<(bool, Option<Waker>)>);

impl FarBell {
    pub(crate) fn ring(&self) {
        let mut bell = self.0.lock().expect("nothing panics");
        bell.0 = true;
        let waker = bell.1.take();
        drop(bell);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn rung(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            let mut bell = self.0.lock().expect("nothing panics");
            if mem::take(&mut bell.0) {
                return Poll::Ready(());
            }
            bell.1 = Some(context.waker().clone());
            Poll::Pending
        })
    }
}
