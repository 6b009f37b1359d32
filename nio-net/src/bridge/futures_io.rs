//! The traits of futures-io, for streams and their halves.
//!
//! The laws:
//!
//! 1. Nothing is buffered, so flushing has nothing to do.
//! 2. Closing ends writing, and the other side reads the end; reading goes on. A pipe, which has no
//!    such call, ends when it is dropped.

use std::{
    io::{self, IoSlice, IoSliceMut},
    ops::Deref,
    pin::Pin,
    task::{Context, Poll},
};

use futures_io::{AsyncRead, AsyncWrite};

use crate::{ByteStream, Owner, ReadHalf, Readable, Writable, WriteHalf, copy::finish};

/// `[what is generic] type, how a reference to it becomes one to the stream`
macro_rules! readers {
    ($([$($generics:tt)*] $reader:ty, $this:ident => $stream:expr;)*) => {$(
        impl<$($generics)*> AsyncRead for $reader {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let $this = &*self;
                ByteStream::poll_read($stream, context, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let $this = &*self;
                ByteStream::poll_read_vectored($stream, context, buffers)
            }
        }
    )*};
}

/// As [`readers`].
macro_rules! writers {
    ($([$($generics:tt)*] $writer:ty, $this:ident => $stream:expr;)*) => {$(
        impl<$($generics)*> AsyncWrite for $writer {
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let $this = &*self;
                ByteStream::poll_write($stream, context, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                pieces: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let $this = &*self;
                ByteStream::poll_write_vectored($stream, context, pieces)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                let $this = &*self;
                Poll::Ready(finish($stream))
            }
        }
    )*};
}

readers! {
    [S: Readable] ByteStream<S>, this => this;
    [S: Readable] &ByteStream<S>, this => *this;
    [S: Readable + 'static, P: Deref<Target = ByteStream<S>>] ReadHalf<P>, this => this.as_ref();
}

writers! {
    [S: Writable] ByteStream<S>, this => this;
    [S: Writable] &ByteStream<S>, this => *this;
    [S: Writable, P: Owner + Deref<Target = ByteStream<S>>] WriteHalf<P>, this => this.as_ref();
}
