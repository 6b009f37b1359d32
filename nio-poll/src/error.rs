//! Errors: each names the operation and what it was about.

use std::{fmt, io, os::fd::RawFd};

use crate::{Signal, Token};

/// The thing that a registration is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// Reading and writing of the descriptor with this number.
    Descriptor(RawFd),
    /// Changes of the file that is open as this descriptor.
    File(RawFd),
    /// A signal.
    Signal(Signal),
    /// The exit of the process with this id.
    Process(u32),
    /// The timer with this token.
    Timer(Token),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Descriptor(fd) => write!(f, "descriptor {fd}"),
            Subject::File(fd) => write!(f, "the file of descriptor {fd}"),
            Subject::Signal(signal) => write!(f, "{signal:?}"),
            Subject::Process(pid) => write!(f, "process {pid}"),
            Subject::Timer(Token(token)) => write!(f, "the timer of token {token}"),
        }
    }
}

/// An error of a [`Poll`](crate::Poll). Converts into an [`io::Error`] of the corresponding kind.
///
/// A call that fails leaves all registrations as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is registered with this poll already. To change the interest of a descriptor, use
    /// [`reregister`](crate::Poll::reregister).
    #[error("{subject} is already registered, with {token:?}")]
    AlreadyRegistered {
        /// The thing to be registered.
        subject: Subject,
        /// The token it is registered with.
        token: Token,
    },
    /// It is not registered with this poll: it never was, it was deregistered, or the descriptor is
    /// another file's by now.
    #[error("{subject} is not registered")]
    NotRegistered {
        /// The thing that should be registered.
        subject: Subject,
    },
    /// The system refused it: a descriptor that is closed (`EBADF`) or of a kind that cannot be
    /// polled (`EPERM` or `EINVAL`), a signal that cannot be caught (`EINVAL`), a process that does
    /// not exist (`ESRCH`), or no memory (`ENOMEM`).
    #[error("{subject} cannot be registered: {source}")]
    Refused {
        /// The thing to be registered.
        subject: Subject,
        /// The system's error.
        source: io::Error,
    },
    /// The poll itself could not be made, usually because the limit on open descriptors is reached
    /// (`EMFILE`).
    #[error("cannot create a poll: {0}")]
    Create(#[source] io::Error),
    /// A waker could not be made.
    #[error("cannot create a waker: {0}")]
    Waker(#[source] io::Error),
    /// Waiting for events failed.
    #[error("cannot wait for events: {0}")]
    Wait(#[source] io::Error),
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match &error {
            Error::AlreadyRegistered { .. } => io::ErrorKind::AlreadyExists,
            Error::NotRegistered { .. } => io::ErrorKind::NotFound,
            Error::Refused { source, .. }
            | Error::Create(source)
            | Error::Waker(source)
            | Error::Wait(source) => source.kind(),
        };
        io::Error::new(kind, error)
    }
}
