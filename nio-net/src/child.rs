//! Child processes on the loop, with their pipes.
//!
//! The laws:
//!
//! 1. Nothing here blocks, and it waits for no process but its own children.
//! 2. After a call that fails, or a future that is dropped, the owner still has the child: it can kill it and
//!    wait for it. A future that owns the child kills it when it is dropped.
//! 3. A child that is dropped leaves no zombie while its loop runs.

use std::{
    fmt,
    future::poll_fn,
    io,
    os::fd::OwnedFd,
    process::{self, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use nio_loop::{Handle, Signal, poll_budget};

use crate::{
    ByteStream, Error, PipeReader, PipeWriter, Refused, Stream, both::try_both, error::adopt, raw,
};

/// A child process, with its pipes as streams of the loop.
///
/// It is started by the standard library's [`Command`], whose settings all apply:
///
/// ```
/// use std::process::{Command, Stdio};
/// use nio_net::Child;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = nio_loop::EventLoop::new()?;
/// # let handle = event_loop.handle();
/// let mut sort = Command::new("sort");
/// let mut child = Child::spawn(&handle, sort.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
/// # event_loop.block_on(async move {
/// let stdin = child.stdin.take().expect("it is piped");
/// stdin.write_all(b"pear\napple\n").await?;
/// drop(stdin); // the end of its input
///
/// let output = child.wait_with_output(1000).await?;
/// assert!(output.status.success());
/// assert_eq!(output.stdout, b"apple\npear\n");
/// # Ok(())
/// # })?
/// # }
/// ```
///
/// A child whose pipe is full waits until the pipe is read, and does not exit before. So read its pipes while
/// you [`wait`](Self::wait), or use [`wait_with_output`](Self::wait_with_output).
///
/// Dropping this does not end the process, unless [`kill_on_drop`](Self::kill_on_drop) is set. When the
/// process ends, the loop waits for it (waitpid(2)), so it leaves no zombie while the loop runs. (Without a loop,
/// a zombie stays until this process ends.)
#[doc(alias("child_process", "tokio::process", "uv_process_t"))]
pub struct Child {
    /// The pipe to the standard input, if the command has [`Stdio::piped`] for it.
    pub stdin: Option<PipeWriter>,
    /// The pipe from the standard output, if the command has [`Stdio::piped`] for it.
    pub stdout: Option<PipeReader>,
    /// The pipe from the standard error, if the command has [`Stdio::piped`] for it.
    pub stderr: Option<PipeReader>,
    handle: Handle,
    /// `Some` until [`into_std`](Child::into_std) or drop takes it.
    child: Option<process::Child>,
    kill_on_drop: bool,
}

/// Why `Child::child` is never `None` in a method.
const PRESENT: &str = "only `into_std` and drop take the process";

impl Child {
    /// Starts a process.
    ///
    /// # Errors
    ///
    /// Those of [`Command::spawn`]: the program does not exist, or processes or descriptors have run out. If
    /// the loop is gone; then no process was started.
    #[doc(alias("child_process.spawn", "uv_spawn", "fork"))]
    pub fn spawn(handle: &Handle, command: &mut Command) -> io::Result<Child> {
        check_open(handle)?;
        Ok(Child::from_std(handle, command.spawn()?)?)
    }

    /// Takes a process of the standard library into the loop, with its pipes.
    ///
    /// # Errors
    ///
    /// [`Error::Option`](crate::Error::Option) if a pipe cannot be made non-blocking;
    /// [`Error::Loop`](crate::Error::Loop) if the loop is gone. The process comes back with the error.
    pub fn from_std(
        handle: &Handle,
        child: process::Child,
    ) -> Result<Child, Refused<process::Child>> {
        if let Err(error) = check_open(handle) {
            return Err(Refused {
                error,
                value: child,
            });
        }
        let mut child = Child {
            stdin: None,
            stdout: None,
            stderr: None,
            handle: handle.clone(),
            child: Some(child),
            kill_on_drop: false,
        };
        match child.take_pipes() {
            Ok(()) => Ok(child),
            Err(error) => Err(Refused {
                error,
                value: child.into_std(),
            }),
        }
    }

    fn take_pipes(&mut self) -> Result<(), Error> {
        let (handle, child) = (&self.handle, self.child.as_mut().expect(PRESENT));
        self.stdin = take(handle, &mut child.stdin)?;
        self.stdout = take(handle, &mut child.stdout)?;
        self.stderr = take(handle, &mut child.stderr)?;
        Ok(())
    }

    /// Takes the process out of the loop, with the pipes that were not taken, in
    /// [blocking mode](crate#blocking-mode).
    #[must_use]
    pub fn into_std(mut self) -> process::Child {
        let mut child = self.child.take().expect(PRESENT);
        put_back(&mut child.stdin, self.stdin.take());
        put_back(&mut child.stdout, self.stdout.take());
        put_back(&mut child.stderr, self.stderr.take());
        child
    }

    /// Runs a program to its end, and returns its status. Its standard streams are those of the command; a
    /// pipe among them is closed. Dropping the future kills the process.
    ///
    /// ```
    /// # use std::process::Command;
    /// # use nio_net::Child;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = nio_loop::EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// let status = Child::status(&handle, Command::new("sh").args(["-c", "exit 7"])).await?;
    /// assert_eq!(status.code(), Some(7));
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`wait`](Self::wait).
    pub async fn status(handle: &Handle, command: &mut Command) -> io::Result<ExitStatus> {
        poll_fn(poll_budget).await;
        let mut child = Child::spawn(handle, command)?;
        child.kill_on_drop(true);
        drop((child.stdout.take(), child.stderr.take()));
        child.wait().await
    }

    /// Runs a program to its end, and returns its status, its standard output and its standard error, at
    /// most `limit` bytes of each. Both become pipes, and the standard input is that of the command. Dropping
    /// the future kills the process, and so does an error.
    ///
    /// ```
    /// # use std::{process::Command, time::Duration};
    /// # use nio_net::Child;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut event_loop = nio_loop::EventLoop::new()?;
    /// # let handle = event_loop.handle();
    /// # event_loop.block_on(async {
    /// let mut echo = Command::new("echo");
    /// let output = Child::output(&handle, echo.arg("hello"), 64 * 1024);
    /// let output = handle.timeout(Duration::from_secs(10), output).await??;
    /// assert_eq!(output.stdout, b"hello\n");
    /// # Ok(())
    /// # })?
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`wait_with_output`](Self::wait_with_output).
    #[doc(alias("exec", "execFile"))]
    pub async fn output(
        handle: &Handle,
        command: &mut Command,
        limit: usize,
    ) -> io::Result<Output> {
        poll_fn(poll_budget).await;
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Child::spawn(handle, command)?;
        child.kill_on_drop(true);
        child.wait_with_output(limit).await
    }

    /// The process ID (PID). It is valid until the process was waited for.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect(PRESENT).id()
    }

    /// Waits until the process has exited, and returns its status; later calls return it again. First it
    /// closes the standard input, if it was not taken: the process might wait for more.
    ///
    /// It does not block. The output of the process can still be read after this. If the future is dropped,
    /// the process goes on.
    ///
    /// # Errors
    ///
    /// If the loop is gone or the system refuses to watch the process (Linux before 5.3). The process can
    /// be waited for again.
    #[doc(alias("waitpid", "exit"))]
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        let child = self.child.as_mut().expect(PRESENT);
        Ok(self.handle.wait(child).await?)
    }

    /// The status of the process if it has exited.
    ///
    /// # Errors
    ///
    /// If another part of this program has waited for the process.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child().try_wait()
    }

    /// Waits until the process has exited and its pipes have ended, and returns its status and its output, at
    /// most `limit` bytes of each pipe. It reads both pipes at the same time, so neither stops the process. First
    /// it closes the standard input, if it was not taken.
    ///
    /// A pipe ends when every process that has it is gone, also children of the process. If the future is
    /// dropped, the bytes that it has read are lost, and the process goes on.
    ///
    /// # Errors
    ///
    /// [`FileTooLarge`](io::ErrorKind::FileTooLarge) if more than `limit` bytes come from a pipe; those
    /// of [`wait`](Self::wait). The process goes on, or waits until its pipes are read; to end it,
    /// [`kill`](Self::kill) it.
    #[doc(alias("communicate", "maxBuffer"))]
    pub async fn wait_with_output(&mut self, limit: usize) -> io::Result<Output> {
        drop(self.stdin.take());
        let stdout = read_all(self.stdout.as_ref(), limit);
        let stderr = read_all(self.stderr.as_ref(), limit);
        let (stdout, stderr) = try_both(stdout, stderr).await?;
        let status = self.wait().await?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Kills the process (SIGKILL). It must still be waited for. If it was already waited for, this does
    /// nothing and succeeds.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) if the process has another user now.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child().kill()
    }

    /// Sends a signal to the process, such as [`Signal::TERMINATE`], which asks it to end. If the process was
    /// already waited for, this does nothing and succeeds.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no such signal; those of
    /// [`kill`](Self::kill).
    #[doc(alias("subprocess.kill", "uv_process_kill", "terminate"))]
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        // The system may have given the PID to another process after it was waited for.
        match self.try_wait()? {
            Some(_) => Ok(()),
            None => raw::kill(self.id(), signal.as_raw()),
        }
    }

    /// Whether dropping this [kills](Self::kill) the process. By default it does not.
    pub fn kill_on_drop(&mut self, kills: bool) {
        self.kill_on_drop = kills;
    }

    /// The handle of the loop that the child belongs to.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    fn child(&mut self) -> &mut process::Child {
        self.child.as_mut().expect(PRESENT)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        if self.kill_on_drop {
            // Without the permission to kill it, the process goes on.
            let _ = child.kill();
        }
        reap(&self.handle, child);
    }
}

/// The delay before the loop is asked again to wait for a process that nobody owns any more.
const RETRY: Duration = Duration::from_secs(1);

/// Lets the loop wait for a process, which does not keep the loop alive.
fn reap(handle: &Handle, mut child: process::Child) {
    // After an error there is nothing to wait for: other code has waited for the process.
    let Ok(None) = child.try_wait() else { return };
    let id = match handle.on_exit(child, |_, _| {}) {
        Ok(id) => id,
        // Without a loop, a zombie stays.
        Err(refused) if matches!(refused.error, nio_loop::Error::Closed) => return,
        // Descriptors have run out, or the system has no way to watch a process (Linux before 5.3).
        Err(refused) => handle.set_timeout(RETRY, |handle| reap(handle, refused.value)),
    };
    handle.unref(id);
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Child").field(&self.id()).finish()
    }
}

/// An error if the loop is gone.
fn check_open(handle: &Handle) -> Result<(), Error> {
    // Any descriptor serves: this makes no system call.
    Ok(adopt(handle, io::stdin()).map(drop)?)
}

/// Takes a pipe of a child into the loop. On an error the pipe stays in the child.
fn take<P, E>(handle: &Handle, pipe: &mut Option<P>) -> Result<Option<ByteStream<E>>, Error>
where
    P: From<OwnedFd> + Into<E>,
    E: Stream + Into<OwnedFd>,
{
    let Some(end) = pipe.take() else {
        return Ok(None);
    };
    match ByteStream::from_std(handle, end.into()) {
        Ok(stream) => Ok(Some(stream)),
        Err(Refused { value, error }) => {
            *pipe = Some(P::from(value.into()));
            Err(error)
        }
    }
}

/// Puts a pipe that was taken into the loop back into the child.
fn put_back<P, E>(pipe: &mut Option<P>, stream: Option<ByteStream<E>>)
where
    P: From<OwnedFd>,
    E: Stream + Into<OwnedFd>,
{
    if let Some(stream) = stream {
        *pipe = Some(P::from(stream.into_std().into()));
    }
}

async fn read_all(pipe: Option<&PipeReader>, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.read_to_end(&mut bytes, limit).await?;
    }
    Ok(bytes)
}
