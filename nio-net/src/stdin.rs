//! The standard input of the process, whether it is a file, a pipe, a socket or a terminal.
//!
//! The laws:
//!
//! 1. The mode of the descriptor is not changed: other processes share it. So read(2) may block, and a
//!    thread of the loop's pool calls it.
//! 2. A thread reads only when a future waits and the descriptor is readable. So bytes that no future waits for
//!    are left to other processes, and no thread blocks. (poll(2) reports files as readable.)
//! 3. Bytes that a thread has read are kept until they are taken, or until the loop is dropped: dropping a
//!    future loses none.
//! 4. At most one thread reads, and nothing else waits on a thread: while one reads, futures wait in a queue.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    fs::File,
    future::{Future, poll_fn},
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd},
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use nio_loop::{Direction, Handle, Source, poll_budget};

use crate::{error::adopt, raw, waiters::Waiters};

/// The limit on one read(2): as many bytes as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// The standard input of the process. Made by [`stdin`].
///
/// All operations take `&self`. Dropping a future of it loses no byte.
pub struct Stdin {
    source: Source<Arc<Input>>,
    state: Rc<State>,
}

/// The descriptor, for the thread that reads it.
struct Input {
    file: File,
    /// How many futures wait for bytes.
    wanted: AtomicUsize,
}

/// The state that the futures share with the task that waits for the thread.
#[derive(Default)]
struct State {
    unread: RefCell<Unread>,
    /// Whether a thread reads, or is about to.
    reading: Cell<bool>,
    /// How many reads of threads have ended.
    ended: Cell<u64>,
    /// The futures, which are woken when a read has ended.
    waiters: Waiters,
}

/// The bytes that were read and not taken yet.
#[derive(Default)]
struct Unread {
    bytes: VecDeque<u8>,
    /// The end or an error, after the bytes.
    end: Option<io::Result<()>>,
}

/// The standard input of the process, read without blocking the loop. It may be a terminal, a pipe, a socket, a
/// file or `/dev/null`.
///
/// Its mode is not changed, so it does not disturb the shell and other processes that use the same terminal or
/// pipe. It is read only on demand, at most 64 KiB at a time. Bytes in the buffer of [`std::io::stdin`], or of
/// another `Stdin`, are not found here, so use only one of them.
///
/// If the standard input is closed, reads find the end, as with the standard library.
///
/// ```
/// use nio_loop::EventLoop;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut event_loop = EventLoop::new()?;
/// let stdin = nio_net::stdin(&event_loop.handle())?;
/// event_loop.block_on(async {
///     let mut line = String::new();
///     while stdin.read_line(&mut line, 1000).await? > 0 {
///         println!("{}", line.trim_end());
///         line.clear();
///     }
///     Ok(())
/// })?
/// # }
/// ```
///
/// # Errors
///
/// Those of a process or a system that has no more descriptors; if the loop is gone.
#[doc(alias("process.stdin", "uv_tty", "console", "readline"))]
pub fn stdin(handle: &Handle) -> io::Result<Stdin> {
    let file = match io::stdin().as_fd().try_clone_to_owned() {
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => File::open("/dev/null")?,
        duplicate => duplicate?.into(),
    };
    Stdin::new(handle, file)
}

impl Stdin {
    fn new(handle: &Handle, file: File) -> io::Result<Stdin> {
        let wanted = AtomicUsize::new(0);
        let source = adopt(handle, Arc::new(Input { file, wanted }))?;
        let state = Rc::default();
        Ok(Stdin { source, state })
    }

    /// Reads the bytes that have arrived, or waits for some, and returns how many. 0 means that the input has
    /// ended (or that `buffer` is empty). A terminal ends at Ctrl-D, and can be read again after that.
    ///
    /// # Errors
    ///
    /// Those of read(2), such as EIO of a terminal that is gone. If the loop is gone or can start no
    /// thread.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            poll_fn(poll_budget).await;
            return Ok(0);
        }
        self.until(|unread| match unread.bytes.is_empty() {
            true => unread.take_end(),
            false => Some(unread.bytes.read(buffer)),
        })
        .await
    }

    /// Reads until the input ends, and appends everything to `buffer`; returns how many bytes that were.
    /// If the future is dropped, the bytes that it has read are in `buffer`, and another call goes on
    /// after them.
    ///
    /// # Errors
    ///
    /// [`FileTooLarge`](io::ErrorKind::FileTooLarge) if more than `limit` bytes come: `limit` of them are
    /// in `buffer` then, and the others can be read. Those of [`read`](Self::read).
    pub async fn read_to_end(&self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let start = buffer.len();
        self.until(|unread| {
            let room = limit - (buffer.len() - start);
            let taken = room.min(unread.bytes.len());
            buffer.extend(unread.bytes.drain(..taken));
            if !unread.bytes.is_empty() {
                return Some(Err(io::ErrorKind::FileTooLarge.into()));
            }
            let end = unread.take_end()?;
            Some(end.map(|_| buffer.len() - start))
        })
        .await
    }

    /// Reads a line with the `\n` at its end, and appends it to `line`; returns how many bytes it has. 0
    /// means that the input has ended. The last line may have no `\n`. If the future is dropped, no part
    /// of the line has been taken.
    ///
    /// # Errors
    ///
    /// [`FileTooLarge`](io::ErrorKind::FileTooLarge) if the line has more than `limit` bytes: no part of
    /// it has been taken. [`InvalidData`](io::ErrorKind::InvalidData) if it is not UTF-8: the line is in
    /// the error, which is made of a [`FromUtf8Error`](std::string::FromUtf8Error). Those of
    /// [`read`](Self::read).
    #[doc(alias("lines", "question"))]
    pub async fn read_line(&self, line: &mut String, limit: usize) -> io::Result<usize> {
        self.until(|unread| {
            let len = match unread.bytes.iter().position(|byte| *byte == b'\n') {
                Some(newline) => newline + 1,
                None if unread.bytes.is_empty() => return unread.take_end(),
                None if unread.end.is_none() && unread.bytes.len() <= limit => return None,
                None => unread.bytes.len(),
            };
            if len > limit {
                return Some(Err(io::ErrorKind::FileTooLarge.into()));
            }
            let text = String::from_utf8(unread.bytes.drain(..len).collect());
            let text = text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
            Some(text.map(|text| line.push_str(&text)).map(|()| len))
        })
        .await
    }

    /// Reads more bytes until `look` returns `Some`.
    async fn until<T>(
        &self,
        mut look: impl FnMut(&mut Unread) -> Option<io::Result<T>>,
    ) -> io::Result<T> {
        let (state, _wanted) = (&self.state, Wanted::new(self.source.get_ref()));
        loop {
            poll_fn(poll_budget).await;
            if let Some(found) = look(&mut state.unread.borrow_mut()) {
                return found;
            }
            let ended = state.ended.get();
            let has_ended = || (state.ended.get() != ended).then_some(());
            if !state.reading.get() {
                // If the loop cannot wait for the descriptor (/dev/tty on macOS), the thread blocks instead.
                let readable = self.source.io(Direction::Read, raw::ready_to_read);
                first(readable, state.waiters.until(has_ended)).await;
                if has_ended().is_none() && !state.reading.get() {
                    self.start_reading()?;
                }
            }
            state.waiters.until(has_ended).await;
        }
    }

    /// Reads on another thread. The task that waits for the thread does not keep the loop alive.
    fn start_reading(&self) -> io::Result<()> {
        let handle = self.source.handle();
        let input = Arc::clone(self.source.get_ref());
        let thread = handle.spawn_blocking(move || input.read())?;
        thread.unref();
        self.state.reading.set(true);
        let reading = Reading(Rc::clone(&self.state));
        let task = handle.spawn(async move {
            // An error means that the loop is gone: the closure does not panic.
            if let Ok(Some(read)) = thread.await {
                reading.0.unread.borrow_mut().add(read);
            }
            drop(reading);
        });
        task.unref();
        task.detach();
        Ok(())
    }
}

/// Waits for one of two futures.
async fn first<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => other.as_mut().poll(context).map(drop),
    })
    .await
}

/// A future that waits for bytes.
struct Wanted<'a>(&'a Input);

impl Wanted<'_> {
    fn new(input: &Input) -> Wanted<'_> {
        input.wanted.fetch_add(1, Ordering::Relaxed);
        Wanted(input)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.wanted.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A read on another thread. It also ends when the loop does.
struct Reading(Rc<State>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.reading.set(false);
        self.0.ended.set(self.0.ended.get() + 1);
        self.0.waiters.wake_all();
    }
}

impl Input {
    /// Reads if a future still waits for bytes.
    fn read(&self) -> Option<io::Result<Vec<u8>>> {
        if self.wanted.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut chunk = vec![0; CHUNK];
        loop {
            match (&self.file).read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It came in non-blocking mode, and another process has taken the bytes.
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock
                        && raw::ready_to_read(&self.file).is_err() =>
                {
                    return None;
                }
                read => {
                    return Some(read.map(|n| {
                        chunk.truncate(n);
                        chunk
                    }));
                }
            }
        }
    }
}

impl Unread {
    /// Adds the result of a read.
    fn add(&mut self, read: io::Result<Vec<u8>>) {
        match read {
            Ok(bytes) if bytes.is_empty() => self.end = Some(Ok(())),
            Ok(bytes) => self.bytes.extend(bytes),
            Err(error) => self.end = Some(Err(error)),
        }
    }

    /// The end, as a read of 0 bytes, or an error: once.
    fn take_end(&mut self) -> Option<io::Result<usize>> {
        Some(self.end.take()?.map(|()| 0))
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stdin")
            .field(&self.source.get_ref().file)
            .finish()
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests;
