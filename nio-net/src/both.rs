//! Two futures at once.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

/// Polls two futures together, and returns both results or the first error.
pub(crate) async fn try_both<A, B, E>(
    one: impl Future<Output = Result<A, E>>,
    other: impl Future<Output = Result<B, E>>,
) -> Result<(A, B), E> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut first, mut second) = (None, None);
    poll_fn(|context| {
        if first.is_none() {
            if let Poll::Ready(result) = one.as_mut().poll(context) {
                first = Some(result?);
            }
        }
        if second.is_none() {
            if let Poll::Ready(result) = other.as_mut().poll(context) {
                second = Some(result?);
            }
        }
        match first.is_some() && second.is_some() {
            true => Poll::Ready(Ok(first.take().zip(second.take()).expect("both are there"))),
            false => Poll::Pending,
        }
    })
    .await
}
