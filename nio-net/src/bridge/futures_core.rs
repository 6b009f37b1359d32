//! The trait `Stream` of futures-core for listeners and lines. (An [`Interval`](nio_loop::Interval) has it by the
//! feature of nio-loop with the same name.)

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use crate::{Accepted, AsStream, Lines, Listen, Listener};

/// The connections, without an end, as [`Listener::accept`].
#[cfg_attr(docsrs, doc(cfg(feature = "futures-core")))]
impl<L: Listen> Stream for Listener<L> {
    type Item = io::Result<Accepted<L>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_accept(context).map(Some)
    }
}

/// The connections, without an end, as [`Listener::accept`].
#[cfg_attr(docsrs, doc(cfg(feature = "futures-core")))]
impl<L: Listen> Stream for &Listener<L> {
    type Item = io::Result<Accepted<L>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_accept(context).map(Some)
    }
}

/// The lines, as [`Lines::next`]. After an error the next item is the same error.
#[cfg_attr(docsrs, doc(cfg(feature = "futures-core")))]
impl<R: AsStream + Unpin> Stream for Lines<R> {
    type Item = io::Result<String>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut()
            .poll_next_line(context)
            .map(Result::transpose)
    }
}
