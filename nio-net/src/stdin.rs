//! The standard input of the process, whether it is a file, a pipe, a socket or a terminal.
//!
//! The laws:
//!
//! 1. The mode of the descriptor is not changed: other processes share it. So read(2) may block, and a
//!    thread of the loop's pool calls it.
//! 2. A thread reads only when a future waits and the descriptor is readable. So bytes that no future waits for
//!    are left to other processes, and no thread blocks. (poll(2) reports files as readable.)
//! 3. Bytes that a thread has read are kept until they are taken: dropping a future loses none.

use std::{
    collections::VecDeque,
    fmt,
    fs::File,
    future::poll_fn,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nio_loop::{Direction, Handle, JoinHandle, Source, poll_budget};

use crate::{error::adopt, raw};

/// The limit on one read(2): as many bytes as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// The standard input of the process. Made by [`stdin`].
///
/// All operations take `&self`. Dropping a future of it loses no byte.
pub struct Stdin {
    source: Source<Arc<Input>>,
}

/// The descriptor, and the bytes that threads have read from it. A closure on another thread has a clone.
struct Input {
    file: File,
    unread: Mutex<Unread>,
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
        let unread = Mutex::default();
        let source = adopt(handle, Arc::new(Input { file, unread }))?;
        Ok(Stdin { source })
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
        let input = self.source.get_ref();
        loop {
            // A read that was dropped may have left a thread, which holds the lock until it has read.
            if Arc::strong_count(input) > 1 {
                self.on_a_thread(|input| drop(input.lock())).await?;
                continue;
            }
            poll_fn(poll_budget).await;
            if let Some(found) = look(&mut input.lock()) {
                return found;
            }
            // If the loop cannot wait for the descriptor (/dev/tty on macOS), the thread blocks instead.
            let _ = self.source.io(Direction::Read, raw::ready_to_read).await;
            if Arc::strong_count(input) == 1 {
                self.on_a_thread(Input::read).await?;
            }
        }
    }

    /// Runs a closure on another thread. If the future is dropped before the closure has begun, it never runs.
    async fn on_a_thread(&self, closure: impl FnOnce(&Input) + Send + 'static) -> io::Result<()> {
        struct Job(JoinHandle<()>);
        impl Drop for Job {
            fn drop(&mut self) {
                self.0.abort();
            }
        }
        let input = Arc::clone(self.source.get_ref());
        let mut job = Job(self
            .source
            .handle()
            .spawn_blocking(move || closure(&input))?);
        let done = (&mut job.0).await;
        // The closure does not panic, so the loop is gone.
        done.map_err(|_| nio_loop::Error::Closed.into())
    }
}

impl Input {
    fn lock(&self) -> MutexGuard<'_, Unread> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) {
        let mut unread = self.lock();
        let mut chunk = vec![0; CHUNK];
        let read = loop {
            match (&self.file).read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => unread.end = Some(Ok(())),
            Ok(n) => unread.bytes.extend(&chunk[..n]),
            Err(error) => unread.end = Some(Err(error)),
        }
    }
}

impl Unread {
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
mod tests {
    use std::{
        future::Future,
        io::Write,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use nio_loop::EventLoop;

    use super::*;

    /// A standard input that is a pipe in blocking mode, and its other end.
    fn a_pipe(handle: &Handle) -> (Stdin, File) {
        let (reader, writer) = raw::pipe().unwrap();
        raw::set_nonblocking(&reader, false).unwrap();
        raw::set_nonblocking(&writer, false).unwrap();
        (Stdin::new(handle, reader.into()).unwrap(), writer.into())
    }

    fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn l86_bytes_that_a_thread_has_read_for_a_dropped_read_go_to_the_next() {
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let (stdin, mut writer) = a_pipe(&handle);
        event_loop
            .block_on(async {
                for n in 0..100_u8 {
                    // A thread begins to read, sooner or later, where another process was quicker.
                    assert!(poll_once(stdin.on_a_thread(Input::read)).is_pending());
                    writer.write_all(&[n, n]).unwrap();
                    let mut bytes = [0];
                    for _ in 0..2 {
                        assert_eq!(stdin.read(&mut bytes).await.unwrap(), 1);
                        assert_eq!(bytes, [n]);
                    }
                    assert!(stdin.source.get_ref().lock().bytes.is_empty());
                }
            })
            .unwrap();
    }

    #[test]
    fn l101_a_thread_that_waits_for_bytes_does_not_stop_the_loop() {
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let (stdin, mut writer) = a_pipe(&handle);
        event_loop
            .block_on(async {
                let mut thread = pin!(stdin.on_a_thread(Input::read));
                let mut context = Context::from_waker(Waker::noop());
                assert!(thread.as_mut().poll(&mut context).is_pending());
                let unread = &stdin.source.get_ref().unread;
                while unread.try_lock().is_ok() {
                    std::thread::yield_now();
                }
                assert!(poll_once(stdin.read(&mut [0])).is_pending());
                writer.write_all(b"!").unwrap();
                assert_eq!(stdin.read(&mut [0]).await.unwrap(), 1);
            })
            .unwrap();
    }

    #[test]
    fn two_tasks_read_all_bytes() {
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let (stdin, mut writer) = a_pipe(&handle);
        let stdin = std::rc::Rc::new(stdin);
        let tasks = [(); 2].map(|()| {
            let stdin = std::rc::Rc::clone(&stdin);
            handle.spawn(async move {
                let (mut sum, mut byte) = (0, [0]);
                while stdin.read(&mut byte).await.unwrap() > 0 {
                    sum += u32::from(byte[0]);
                }
                sum
            })
        });
        handle.set_immediate(move |_| {
            for _ in 0..10 {
                writer.write_all(&[1; 100]).unwrap();
            }
        });
        let sum = event_loop.block_on(async move {
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum.unwrap(), 1000);
    }

    #[test]
    fn l105_a_read_after_the_end_of_the_loop_is_an_error() {
        let event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let (stdin, _writer) = a_pipe(&handle);
        assert!(poll_once(stdin.read(&mut [0])).is_pending());
        drop(event_loop);
        let read = poll_once(stdin.read(&mut [0]));
        assert!(matches!(read, Poll::Ready(Err(_))));
    }
}
