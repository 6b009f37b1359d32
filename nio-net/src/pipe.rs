//! Pipes: streams of one direction within a process, or to a child of it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::{ChildStderr, ChildStdin, ChildStdout},
};

use nio_loop::Handle;

use crate::{ByteStream, Stream, raw};

/// The read end of a pipe. A read finds the end when all write ends are closed.
pub type PipeReader = ByteStream<ReadEnd>;

/// The write end of a pipe. A write fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe) when all read ends are
/// closed. Linux, FreeBSD and OpenBSD also raise SIGPIPE, which Rust programs ignore by default; a pipe has no
/// option against it.
pub type PipeWriter = ByteStream<WriteEnd>;

/// The descriptor of a [`PipeReader`]: non-blocking in the loop, and blocking when it has left the loop.
#[derive(Debug)]
pub struct ReadEnd(pub(crate) OwnedFd);

/// The descriptor of a [`PipeWriter`]: non-blocking in the loop, and blocking when it has left the loop.
#[derive(Debug)]
pub struct WriteEnd(pub(crate) OwnedFd);

/// Makes a pipe: bytes that are written to one end are read from the other. Both ends are close-on-exec. An end
/// that is given to a child leaves the loop, and is in [blocking mode](crate#blocking-mode):
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
/// The pipes of a [`Child`](crate::Child) are already in the loop. For a child of the standard library use
/// `PipeReader::from_std(&handle, stdout.into())`.
///
/// # Errors
///
/// If the process or the system has no more descriptors; if the loop is gone.
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
            /// On Linux a process that has the write end can turn on packet mode (O_DIRECT), in which a read
            /// stops at the end of a packet.
            const SHORT_READ_IS_ALL: bool = !cfg!(any(target_os = "linux", target_os = "android"));
            const READABLE: bool = $readable;
            const WRITABLE: bool = $writable;
        }
    )*};
}

ends! {
    ReadEnd: true, false, of ChildStdout, ChildStderr;
    WriteEnd: false, true, of ChildStdin;
}
