//! The trait of the crate futures-core for [`Interval`]; feature `futures-core`.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use crate::Interval;

/// The ticks, without an end, as [`Interval::tick`].
#[cfg_attr(docsrs, doc(cfg(feature = "futures-core")))]
impl Stream for Interval {
    type Item = u64;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<u64>> {
        self.get_mut().poll_tick(context).map(Some)
    }
}
