//! How one task wakes another: the same code for all runtimes, which supply the wakers only.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    mem,
    sync::Mutex,
    task::{Poll, Waker},
};

/// Notifies a task of the same thread.
#[derive(Default)]
pub(crate) struct Signal {
    is_set: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Signal {
    pub(crate) fn notify(&self) {
        self.is_set.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(crate) fn notified(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            if self.is_set.replace(false) {
                return Poll::Ready(());
            }
            self.waker.set(Some(context.waker().clone()));
            Poll::Pending
        })
    }
}

/// Notifies a task of another thread.
#[derive(Default)]
pub(crate) struct FarSignal(Mutex<(bool, Option<Waker>)>);

impl FarSignal {
    pub(crate) fn notify(&self) {
        let mut signal = self.0.lock().expect("nothing panics");
        signal.0 = true;
        let waker = signal.1.take();
        drop(signal);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn notified(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            let mut signal = self.0.lock().expect("nothing panics");
            if mem::take(&mut signal.0) {
                return Poll::Ready(());
            }
            signal.1 = Some(context.waker().clone());
            Poll::Pending
        })
    }
}
