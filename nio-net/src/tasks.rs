//! The tasks of a server's connections, and the panics of their handlers.
//!
//! The laws:
//!
//! 1. A task that has finished is in no table. Dropping the table ends the others, also if one panics.
//! 2. A panic of a handler ends its connection with an error, and nothing else.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::{Future, poll_fn},
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    rc::Rc,
    task::Poll,
    thread,
};

use nio_loop::{Handle, JoinHandle};

/// The tasks of the connections of a listener. Dropping this ends them.
#[derive(Default)]
pub(crate) struct Tasks {
    running: Rc<RefCell<BTreeMap<u64, JoinHandle<()>>>>,
    next: Cell<u64>,
}

impl Tasks {
    pub(crate) fn spawn(&self, handle: &Handle, work: impl Future<Output = ()> + 'static) {
        let number = self.next.replace(self.next.get() + 1);
        let running = Rc::clone(&self.running);
        let task = handle.spawn(async move {
            work.await;
            let finished = running.borrow_mut().remove(&number);
            drop(finished);
        });
        self.running.borrow_mut().insert(number, task);
    }
}

impl Drop for Tasks {
    /// If handlers panic when they are dropped, the first panic goes on when all are.
    fn drop(&mut self) {
        let mut panicked = None;
        for task in self.running.take().into_values() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| task.abort())) {
                panicked.get_or_insert(panic);
            }
        }
        if let Some(panic) = panicked.filter(|_| !thread::panicking()) {
            resume_unwind(panic);
        }
    }
}

/// Makes an error of a panic of the handler.
pub(crate) async fn without_panic(work: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let poll = || work.as_mut().poll(context);
        catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|panic| {
            Poll::Ready(Err(io::Error::other(text_of("the handler", &*panic))))
        })
    })
    .await
}

/// Says that something panicked, and with which message if it has one.
pub(crate) fn text_of(panicked: &str, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    match text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)) {
        Some(text) => format!("{panicked} panicked: {text}"),
        None => format!("{panicked} panicked"),
    }
}
