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
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Poll(error) => error.into(),
            Error::Closed => io::Error::new(io::ErrorKind::BrokenPipe, error),
        }
    }
}
