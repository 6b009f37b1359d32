//! What a callback tells a future: signals, changes of files, exits.
//!
//! The laws:
//!
//! 1. Notices that come while nothing waits for them are kept, merged into one.
//! 2. The callback is cleared when the future's side is dropped.
//! 3. When the callback is gone, because its loop is, what it has told is still there, and then comes
//!    an error.

use std::{
    cell::Cell,
    future::poll_fn,
    rc::Rc,
    task::{Poll, ready},
};

use crate::{CallbackGuard, CallbackId, Error, Handle, budget, task::Waiter, tasks::Tasks};

/// The future that waits for something of its own loop: one, or none.
#[derive(Default)]
pub(crate) struct OneWaiter(Cell<Option<Waiter>>);

impl OneWaiter {
    pub(crate) fn wake(&self, tasks: &Tasks) {
        if let Some(waiter) = self.0.take() {
            tasks.wake_waiter(waiter);
        }
    }

    /// Waits until something is found; it is looked for at first, and after each wake-up. A future that
    /// is dropped leaves no waiter.
    pub(crate) async fn until<R>(&self, handle: &Handle, mut look: impl FnMut() -> Option<R>) -> R {
        struct Leaves<'a>(&'a OneWaiter);
        impl Drop for Leaves<'_> {
            fn drop(&mut self) {
                drop(self.0.0.take());
            }
        }
        let _leaves = Leaves(self);
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
    news: Cell<Option<T>>,
    waiter: OneWaiter,
    /// The callback is gone.
    ended: Cell<bool>,
}

/// The callback's side.
pub(crate) struct Teller<T>(Rc<Shared<T>>);

impl<T> Teller<T> {
    /// Adds to what is not read yet.
    pub(crate) fn tell(&self, merge: impl FnOnce(Option<T>) -> T) {
        let before = self.0.news.take();
        self.0.news.set(Some(merge(before)));
        self.0.waiter.wake(&self.0.handle.state.tasks);
    }
}

impl<T> Drop for Teller<T> {
    fn drop(&mut self) {
        self.0.ended.set(true);
        self.0.waiter.wake(&self.0.handle.state.tasks);
    }
}

/// The future's side.
pub(crate) struct Notices<T> {
    shared: Rc<Shared<T>>,
    _callback: CallbackGuard,
}

impl<T> Notices<T> {
    /// Sets a callback, which has the other side.
    pub(crate) fn of<E>(
        handle: &Handle,
        set: impl FnOnce(Teller<T>) -> Result<CallbackId, E>,
    ) -> Result<Notices<T>, E> {
        let shared = Rc::new(Shared {
            handle: handle.clone(),
            news: Cell::new(None),
            waiter: OneWaiter::default(),
            ended: Cell::new(false),
        });
        let id = set(Teller(Rc::clone(&shared)))?;
        let _callback = handle.guard(id);
        Ok(Notices { shared, _callback })
    }

    pub(crate) async fn next(&mut self) -> Result<T, Error> {
        let shared = &*self.shared;
        let look = || match shared.news.take() {
            Some(news) => Some(Ok(news)),
            None => shared.ended.get().then_some(Err(Error::Closed)),
        };
        shared.waiter.until(&shared.handle, look).await
    }
}
