//! Pipes: streams of one direction within a process, or to a child of it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::{ChildStderr, ChildStdin, ChildStdout},
};

use nio_loop::Handle;

use crate::{ByteStream, Stream, raw};

/// The end of a pipe for reading. It reads the end when there is no writer any more.
pub type PipeReader = ByteStream<ReadEnd>;

/// The end of a pipe for writing. A write fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe) when
/// there is no reader any more. Linux, FreeBSD and OpenBSD raise SIGPIPE too, which Rust programs
/// ignore from the start: for pipes there is no other way to avoid it.
pub type PipeWriter = ByteStream<WriteEnd>;

/// The descriptor of a [`PipeReader`]: non-blocking in the loop, and blocking when it has left the loop.
#[derive(Debug)]
pub struct ReadEnd(pub(crate) OwnedFd);

/// The descriptor of a [`PipeWriter`]: non-blocking in the loop, and blocking when it has left the loop.
#[derive(Debug)]
pub struct WriteEnd(pub(crate) OwnedFd);

/// A pipe: bytes that are written to one end are read from the other. Both are closed in a program that
/// is started, except for an end that the program is given. Such an end leaves the loop, and is in
/// [blocking mode](crate#blocking-mode) as the program expects:
///
/// ```
/// # use std::process::Command;
/// # use nio_loop::EventLoop;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// let (reader, writer) = nio_net::pipe(&handle)?;
/// let mut child = Command::new("echo")
///     .arg("hello")
///     .stdout(writer)
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
/// A [`Child`](crate::Child) has its pipes in the loop already. For one that the standard library has
/// started there is `PipeReader::from_std(&handle, stdout.into())`.
///
/// # Errors
///
/// Those of a process or a system that has no more descriptors; if the loop is gone.
#[doc(alias("uv_pipe", "socketpair"))]
pub fn pipe(handle: &Handle) -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = raw::pipe()?;
    Ok((
        ByteStream::adopt(handle, ReadEnd(reader))?,
        ByteStream::adopt(handle, WriteEnd(writer))?,
    ))
}

macro_rules! ends {
    ($($end:ident: $readable:literal, $writable:literal, of $($of_child:ident),*;)*) => {$(
        $(
            /// For [`from_std`](ByteStream::from_std), which makes it non-blocking.
            impl From<$of_child> for $end {
                fn from(pipe: $of_child) -> $end {
                    $end(pipe.into())
                }
            }
        )*

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
    ReadEnd: true, false, of ChildStdout, ChildStderr;
    WriteEnd: false, true, of ChildStdin;
}
