//! A channel from a callback to a future, for signals, changes of files and exits.
//!
//! The laws:
//!
//! 1. Messages that nothing has received yet are merged into one.
//! 2. Dropping the receiver clears the callback.
//! 3. When the loop is gone, and the callback with it, the receiver gets the last message and then an
//!    error.

use std::{
    cell::Cell,
    future::poll_fn,
    rc::Rc,
    task::{Poll, ready},
};

use crate::{CallbackGuard, CallbackId, Error, Handle, budget, task::Waiter, tasks::Tasks};

/// A slot for the one future that waits, if any.
#[derive(Default)]
pub(crate) struct OneWaiter(Cell<Option<Waiter>>);

impl OneWaiter {
    pub(crate) fn wake(&self, tasks: &Tasks) {
        if let Some(waiter) = self.0.take() {
            tasks.wake_waiter(waiter);
        }
    }

    /// Waits until `look` finds something; it is called at first and after each wake-up. A dropped
    /// future leaves no waiter behind.
    pub(crate) async fn until<R>(&self, handle: &Handle, mut look: impl FnMut() -> Option<R>) -> R {
        struct RemoveWaiter<'a>(&'a OneWaiter);
        impl Drop for RemoveWaiter<'_> {
            fn drop(&mut self) {
                drop(self.0.0.take());
            }
        }
        let _guard = RemoveWaiter(self);
        poll_fn(|context| {
            let unit = ready!(budget::draw(context));
            if let Some(found) = look() {
                unit.spend();
                return Poll::Ready(found);
            }
            handle.check_loop();
            let waiter = handle.state.tasks.waiter(context.waker());
            drop(self.0.replace(Some(waiter)));
            Poll::Pending
        })
        .await
    }
}

struct Shared<T> {
    handle: Handle,
    unread: Cell<Option<T>>,
    waiter: OneWaiter,
    /// Whether the callback is gone.
    ended: Cell<bool>,
}

/// The end of the channel that the callback holds.
pub(crate) struct Sender<T>(Rc<Shared<T>>);

impl<T> Sender<T> {
    /// Merges a message into the one that was not received yet.
    pub(crate) fn send(&self, merge: impl FnOnce(Option<T>) -> T) {
        let before = self.0.unread.take();
        self.0.unread.set(Some(merge(before)));
        self.0.waiter.wake(&self.0.handle.state.tasks);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.ended.set(true);
        self.0.waiter.wake(&self.0.handle.state.tasks);
    }
}

/// The end of the channel that the future holds.
pub(crate) struct Receiver<T> {
    shared: Rc<Shared<T>>,
    _callback: CallbackGuard,
}

impl<T> Receiver<T> {
    /// Sets a callback, which gets the sender.
    pub(crate) fn new<E>(
        handle: &Handle,
        set: impl FnOnce(Sender<T>) -> Result<CallbackId, E>,
    ) -> Result<Receiver<T>, E> {
        let shared = Rc::new(Shared {
            handle: handle.clone(),
            unread: Cell::new(None),
            waiter: OneWaiter::default(),
            ended: Cell::new(false),
        });
        let id = set(Sender(Rc::clone(&shared)))?;
        let _callback = handle.guard(id);
        Ok(Receiver { shared, _callback })
    }

    pub(crate) async fn next(&mut self) -> Result<T, Error> {
        let shared = &*self.shared;
        let look = || match shared.unread.take() {
            Some(unread) => Some(Ok(unread)),
            None => shared.ended.get().then_some(Err(Error::Closed)),
        };
        shared.waiter.until(&shared.handle, look).await
    }
}
