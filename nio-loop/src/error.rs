//! What can go wrong in a loop.

use std::io;

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
    #[error("no thread for what blocks: {0}")]
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
