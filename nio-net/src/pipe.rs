//! Pipes: streams of one direction within a process, or to a child of it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nio_loop::Handle;

use crate::{ByteStream, Stream, raw};

/// The end of a pipe for reading. It reads the end when there is no writer any more.
pub type PipeReader = ByteStream<ReadEnd>;

/// The end of a pipe for writing. A write fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe) when
/// there is no reader any more. Linux, FreeBSD and OpenBSD raise SIGPIPE too, which Rust programs
/// ignore from the start: for pipes there is no other way to avoid it.
pub type PipeWriter = ByteStream<WriteEnd>;

/// The descriptor of a [`PipeReader`], non-blocking.
#[derive(Debug)]
pub struct ReadEnd(pub(crate) OwnedFd);

/// The descriptor of a [`PipeWriter`], non-blocking.
#[derive(Debug)]
pub struct WriteEnd(pub(crate) OwnedFd);

/// A pipe: bytes that are written to one end are read from the other. Both are closed in a program that
/// is started; to give one to a child, take it out of the loop:
///
/// ```
/// # use std::{os::fd::OwnedFd, process::Command};
/// # use nio_loop::EventLoop;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// let (reader, writer) = nio_net::pipe(&handle)?;
/// let mut child = Command::new("echo")
///     .arg("hello")
///     .stdout(OwnedFd::from(writer.into_inner()))
///     .spawn()?;
/// # let text = event_loop.block_on(async move {
/// let mut text = Vec::new();
/// reader.read_to_end(&mut text, 100).await?;
/// # Ok::<_, std::io::Error>(text) })??;
/// assert_eq!(text, b"hello\n");
/// # child.wait()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Those of a process or a system that has no more descriptors; if the loop is gone.
pub fn pipe(handle: &Handle) -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = raw::pipe()?;
    Ok((
        ByteStream::adopt(handle, ReadEnd(reader))?,
        ByteStream::adopt(handle, WriteEnd(writer))?,
    ))
}

macro_rules! ends {
    ($($end:ident: $readable:literal, $writable:literal;)*) => {$(
        impl AsFd for $end {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl From<$end> for OwnedFd {
            fn from(end: $end) -> OwnedFd {
                end.0
            }
        }

        impl Stream for $end {
            const SOCKET: bool = false;
            /// On Linux any process that has the other end can turn on packet mode (O_DIRECT), in
            /// which a read stops at the end of a packet.
            const SHORT_READ_IS_ALL: bool = !cfg!(target_os = "linux");
            const READABLE: bool = $readable;
            const WRITABLE: bool = $writable;
        }
    )*};
}

ends! {
    ReadEnd: true, false;
    WriteEnd: false, true;
}
