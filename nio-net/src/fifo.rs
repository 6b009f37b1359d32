//! Named pipes (FIFOs), and pipe ends from an `OwnedFd`.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::Path,
};

use nio_loop::Handle;

use crate::{
    ByteStream, Error, PipeReader, PipeWriter,
    pipe::{ReadEnd, WriteEnd},
};

/// For [`from_std`](ByteStream::from_std), which makes it non-blocking. The descriptor must be the read end of
/// a pipe.
impl From<OwnedFd> for ReadEnd {
    fn from(end: OwnedFd) -> ReadEnd {
        ReadEnd(end)
    }
}

/// For [`from_std`](ByteStream::from_std), which makes it non-blocking. The descriptor must be the write end of
/// a pipe.
impl From<OwnedFd> for WriteEnd {
    fn from(end: OwnedFd) -> WriteEnd {
        WriteEnd(end)
    }
}

impl ByteStream<ReadEnd> {
    /// Opens a named pipe (FIFO, mkfifo(1)) for reading. It does not wait for a writer: as long as no program
    /// has it open for writing, a read finds the end. To read from several writers without an end between
    /// them, keep it open for writing, too: [`PipeWriter::open`].
    ///
    /// ```
    /// # use nio_loop::EventLoop;
    /// # use nio_net::{PipeReader, PipeWriter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # let path = std::env::temp_dir().join(format!("nio-net-fifo-{}", std::process::id()));
    /// # let made = std::process::Command::new("mkfifo").arg(&path).status()?;
    /// # assert!(made.success());
    /// let reader = PipeReader::open(&handle, &path)?;
    /// let writer = PipeWriter::open(&handle, &path)?;
    /// # std::fs::remove_file(&path)?;
    /// # event_loop.block_on(async {
    /// writer.write_all(b"hello").await?;
    /// let mut bytes = [0; 5];
    /// reader.read_exact(&mut bytes).await?;
    /// # assert_eq!(&bytes, b"hello");
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Fifo`] with the path; [`Error::Loop`] if the loop is gone.
    #[doc(alias = "mkfifo")]
    pub fn open(handle: &Handle, path: impl AsRef<Path>) -> Result<PipeReader, Error> {
        let end = open(path.as_ref(), OpenOptions::new().read(true))?;
        Ok(ByteStream::adopt(handle, ReadEnd(end.into()))?)
    }
}

impl ByteStream<WriteEnd> {
    /// Opens a named pipe (FIFO) for writing. It does not wait for a reader.
    ///
    /// # Errors
    ///
    /// [`Error::Fifo`] with the path, also if no program has opened it for reading (ENXIO);
    /// [`Error::Loop`] if the loop is gone.
    pub fn open(handle: &Handle, path: impl AsRef<Path>) -> Result<PipeWriter, Error> {
        let end = open(path.as_ref(), OpenOptions::new().write(true))?;
        Ok(ByteStream::adopt(handle, WriteEnd(end.into()))?)
    }
}

/// Opens a named pipe, non-blocking. A terminal that is opened by mistake does not become the controlling terminal.
fn open(path: &Path, options: &mut OpenOptions) -> Result<File, Error> {
    let fail = |source| Error::Fifo {
        path: path.into(),
        source,
    };
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = options.custom_flags(flags).open(path).map_err(fail)?;
    match file.metadata().map_err(fail)?.file_type().is_fifo() {
        true => Ok(file),
        false => {
            let text = "it is not a named pipe; make one with mkfifo(1)";
            Err(fail(io::Error::new(io::ErrorKind::InvalidInput, text)))
        }
    }
}
