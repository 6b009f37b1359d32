//! What can go wrong in a loop.

use std::{fmt, io};

/// An error of an event loop. Converts into an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The poll refused something; it says what and why.
    #[error(transparent)]
    Poll(#[from] nio_poll::Error),
    /// The loop is gone: its [`EventLoop`](crate::EventLoop) has been dropped.
    #[error("the event loop is gone")]
    Closed,
    /// There is no thread for blocking closures, and none can be started.
    #[error("no thread for blocking closures can be started: {0}")]
    Thread(#[source] io::Error),
    /// The time of this loop is that of the system, which passes by itself.
    #[error("the clock is real and cannot be moved")]
    RealClock,
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Poll(error) => error.into(),
            Error::Closed => io::Error::new(io::ErrorKind::BrokenPipe, error),
            Error::Thread(error) => error,
            Error::RealClock => io::Error::new(io::ErrorKind::Unsupported, error),
        }
    }
}

/// A call has failed, and gives back the value that it was given. Converts into its error and into an
/// [`io::Error`], so that `?` can be used where the value is not needed any more.
///
/// ```
/// # use std::{process::Command, io};
/// # use nio_loop::EventLoop;
/// # fn main() -> io::Result<()> {
/// let event_loop = EventLoop::new()?;
/// let handle = event_loop.handle();
/// drop(event_loop);
/// let child = Command::new("true").spawn()?;
/// let mut refused = handle.on_exit(child, |_, _| {}).unwrap_err();
/// assert_eq!(refused.to_string(), "the event loop is gone");
/// assert!(refused.value.wait()?.success());
/// # Ok(())
/// # }
/// ```
pub struct Refused<T, E = Error> {
    /// Why it has failed.
    pub error: E,
    /// The value that the call was given.
    pub value: T,
}

impl<T, E: fmt::Debug> fmt::Debug for Refused<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T, E: fmt::Display> fmt::Display for Refused<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T, E: std::error::Error> std::error::Error for Refused<T, E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<T> From<Refused<T>> for Error {
    fn from(refused: Refused<T>) -> Error {
        refused.error
    }
}

impl<T, E: Into<io::Error>> From<Refused<T, E>> for io::Error {
    fn from(refused: Refused<T, E>) -> io::Error {
        refused.error.into()
    }
}
