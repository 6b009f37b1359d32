//! Panics of handlers.
//!
//! The law: a panic of a handler ends its connection with an error, and nothing else.

use std::{
    any::Any,
    future::{Future, poll_fn},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

/// Turns a panic of the handler into an error.
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

/// The text of a panic, with its message if it has one.
pub(crate) fn text_of(panicked: &str, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    match text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)) {
        Some(text) => format!("{panicked} panicked: {text}"),
        None => format!("{panicked} panicked"),
    }
}
