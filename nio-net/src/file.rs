//! Sending files to a stream.
//!
//! The laws:
//!
//! 1. The kernel moves the bytes from the file to the stream if it has sendfile(2) for them; otherwise they
//!    pass through the shared buffer of the thread.
//! 2. A call moves at most [`CHUNK`] bytes, and then other tasks run: a slow disk delays the loop by one chunk
//!    at a time.

use std::{
    fs::File,
    future::poll_fn,
    io,
    ops::{Bound, RangeBounds},
    os::unix::fs::FileExt,
};

use nio_loop::poll_budget;

use crate::{ByteStream, Stream, raw, shared_buffer, stream::Descriptor, write};

/// The limit on the bytes of one call. Reading as many from the page cache takes about 30 µs.
const CHUNK: usize = 256 * 1024;

/// Sending files.
impl<S: Stream> ByteStream<S> {
    /// Writes bytes of a file, from `offset` on: as many as there is room for, at most `count` and 256 KiB. It
    /// waits if there is no room. Returns how many; 0 at the end of the file. The position of the file does not
    /// change. If the future is dropped, nothing has been written.
    ///
    /// It uses sendfile(2) on Linux, FreeBSD, DragonFly and Apple's systems. On NetBSD and OpenBSD, and where
    /// sendfile(2) does not support the file or the stream, it uses pread(2) and a write. If a part of the file
    /// is not in memory, the loop waits for the disk. For slow disks and network file systems, read the file
    /// on [another thread](nio_loop::Handle::spawn_blocking) instead.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write); those of reading the file, which must be seekable. When the peer is gone,
    /// sendfile(2) also raises SIGPIPE, which Rust programs ignore by default.
    #[doc(alias = "sendfile")]
    #[doc(alias = "uv_fs_sendfile")]
    pub async fn send_file(&self, file: &File, offset: u64, count: usize) -> io::Result<usize> {
        if count == 0 {
            poll_fn(poll_budget).await;
            return Ok(0);
        }
        let count = count.min(CHUNK);
        self.write_with(|fd| {
            let sent = send(fd, file, offset, count);
            sent.map_err(|error| write::not_sent(&self.source, error))
        })
        .await
    }

    /// Writes a range of a file, `..` for all of it, and returns how many bytes it has written: fewer than the
    /// range has if the file ends before. If the future is dropped, a part may have been written.
    ///
    /// ```
    /// # use std::{fs::File, io::Write};
    /// # use nio_loop::EventLoop;
    /// # use nio_net::UnixStream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// # let (stream, other) = UnixStream::pair(&handle)?;
    /// # let path = std::env::temp_dir().join(format!("nio-net-file-{}", std::process::id()));
    /// # File::create(&path)?.write_all(b"0123456789")?;
    /// let file = File::open(&path)?;
    /// # std::fs::remove_file(&path)?;
    /// assert_eq!(stream.send_file_all(&file, 2..5).await?, 3);
    /// # let mut bytes = [0; 3];
    /// # other.read_exact(&mut bytes).await?;
    /// # assert_eq!(&bytes, b"234");
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send_file`](Self::send_file).
    #[doc(alias = "createReadStream")]
    #[doc(alias = "pipe")]
    pub async fn send_file_all(
        &self,
        file: &File,
        range: impl RangeBounds<u64>,
    ) -> io::Result<u64> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let mut at = start;
        loop {
            let count = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            match self.send_file(file, at, count).await? {
                0 => return Ok(at - start),
                n => at += n as u64,
            }
        }
    }
}

/// Writes at most `count` bytes of a file.
fn send<S: Stream>(
    stream: &Descriptor<S>,
    file: &File,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    if let Some(sent) = raw::file::send_file(stream, file, offset, count) {
        return sent;
    }
    shared_buffer::with_buffer(|buffer| {
        let count = count.min(buffer.len());
        match file.read_at(&mut buffer[..count], offset)? {
            0 => Ok(0),
            n => raw::send(stream, &buffer[..n]),
        }
    })
}
