//! The traits of futures-io, for streams, references to streams, and owned halves.
//!
//! The laws:
//!
//! 1. Nothing is buffered, so flushing does nothing.
//! 2. Closing ends writing, and the peer reads the end; reading goes on. A pipe ends when it is
//!    dropped.

use std::{
    io::{self, IoSlice, IoSliceMut},
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};
use nio_loop::poll_budget;

use crate::{ByteStream, OwnedReadHalf, OwnedWriteHalf, Stream};

macro_rules! readers {
    ($($reader:ty),*) => {$(
        #[cfg_attr(docsrs, doc(cfg(feature = "futures-io")))]
        impl<S: Stream> AsyncRead for $reader {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let stream: &ByteStream<S> = &self;
                stream.poll_read(context, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let stream: &ByteStream<S> = &self;
                stream.poll_read_vectored(context, buffers)
            }
        }
    )*};
}

macro_rules! writers {
    ($($writer:ty),*) => {$(
        #[cfg_attr(docsrs, doc(cfg(feature = "futures-io")))]
        impl<S: Stream> AsyncWrite for $writer {
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let stream: &ByteStream<S> = &self;
                stream.poll_write(context, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                pieces: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let stream: &ByteStream<S> = &self;
                stream.poll_write_vectored(context, pieces)
            }

            fn poll_flush(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                poll_budget(context).map(Ok)
            }

            fn poll_close(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                ready!(poll_budget(context));
                Poll::Ready(self.end_writing())
            }
        }
    )*};
}

readers!(ByteStream<S>, &ByteStream<S>, OwnedReadHalf<S>);
writers!(ByteStream<S>, &ByteStream<S>, OwnedWriteHalf<S>);
