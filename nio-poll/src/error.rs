//! What can go wrong, each naming the thing it went wrong with.

use std::{io, os::fd::RawFd};

use crate::{Signal, Token};

/// An error of a [`Poll`](crate::Poll). Converts into an [`io::Error`] of a fitting kind.
///
/// A call that fails leaves everything registered as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The descriptor is registered; use `reregister` to change what it is registered for.
    #[error("descriptor {fd} is already registered, with {token:?}")]
    AlreadyRegistered {
        /// The number of the descriptor.
        fd: RawFd,
        /// The token it was registered with.
        token: Token,
    },
    /// The descriptor is not registered.
    #[error("descriptor {fd} is not registered")]
    NotRegistered {
        /// The number of the descriptor.
        fd: RawFd,
    },
    /// The system refused the descriptor: it is closed (`EBADF`), of a kind that cannot be polled
    /// (`EPERM` or `EINVAL`: regular files on Linux, some devices on macOS), or there is no memory
    /// for it (`ENOMEM`).
    #[error("descriptor {fd} cannot be registered: {source}")]
    Register {
        /// The number of the descriptor.
        fd: RawFd,
        /// What the system said.
        source: io::Error,
    },
    /// The signal is being watched already by this poll.
    #[error("{signal:?} is already watched, with {token:?}")]
    SignalAlreadyWatched {
        /// The signal.
        signal: Signal,
        /// The token it is watched with.
        token: Token,
    },
    /// The signal is not being watched by this poll.
    #[error("{signal:?} is not watched")]
    SignalNotWatched {
        /// The signal.
        signal: Signal,
    },
    /// The system refused to watch the signal: there is none of this number, or it can be neither
    /// caught nor watched.
    #[error("{signal:?} cannot be watched: {source}")]
    WatchSignal {
        /// The signal.
        signal: Signal,
        /// What the system said.
        source: io::Error,
    },
    /// The poll itself could not be made, mostly because the limit on open descriptors is reached
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
            Error::AlreadyRegistered { .. } | Error::SignalAlreadyWatched { .. } => {
                io::ErrorKind::AlreadyExists
            }
            Error::NotRegistered { .. } | Error::SignalNotWatched { .. } => io::ErrorKind::NotFound,
            Error::Register { source, .. }
            | Error::WatchSignal { source, .. }
            | Error::Create(source)
            | Error::Waker(source)
            | Error::Wait(source) => source.kind(),
        };
        io::Error::new(kind, error)
    }
}
