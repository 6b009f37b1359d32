//! What can go wrong with a socket before there is one.

use std::{fmt, io, net::SocketAddr, os::unix, path::PathBuf};

/// An error of making a socket, or of its options, that names what it is about. Converts into an
/// [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on: somebody else does
    /// ([`AddrInUse`](io::ErrorKind::AddrInUse)), it is not one of this machine's
    /// ([`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable)), or its port is reserved
    /// ([`PermissionDenied`](io::ErrorKind::PermissionDenied)).
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address cannot be that of a socket which does not listen, for the same reasons.
    #[error("cannot use the address {address}: {source}")]
    LocalAddress {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No connection could be made to the address: nobody listens there
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)), or there is no way to it.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No connection could be made to any of several addresses.
    #[error("cannot connect to any of {} addresses{}", .0.len(), List(.0))]
    ConnectAny(
        /// The addresses, in the order in which they failed, and what the system said of each.
        Vec<(SocketAddr, io::Error)>,
    ),
    /// The name of a host has no address, or nobody could be asked for it.
    #[error("cannot look up {name:?}: {source}")]
    Resolve {
        /// The name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The name of a Unix socket cannot be used: it exists already
    /// ([`AddrInUse`](io::ErrorKind::AddrInUse)), or its directory does not
    /// ([`NotFound`](io::ErrorKind::NotFound)).
    #[error("cannot use the address {address:?}: {source}")]
    BindUnix {
        /// The address.
        address: Box<unix::net::SocketAddr>,
        /// What the system said.
        source: io::Error,
    },
    /// No connection could be made to the Unix socket of that name: there is none, or nobody listens
    /// to it any more ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)).
    #[error("cannot connect to {address:?}: {source}")]
    ConnectUnix {
        /// The address.
        address: Box<unix::net::SocketAddr>,
        /// What the system said.
        source: io::Error,
    },
    /// A path cannot be that of a Unix socket: it is too long (more than about 100 bytes), or has a
    /// zero in it.
    #[error("{path:?} cannot be the path of a socket: {source}")]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// An option could not be read or changed.
    #[error("{name}: {source}")]
    Option {
        /// Its name in the system's headers.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The loop did not take the socket.
    #[error(transparent)]
    Loop(#[from] nio_loop::Error),
}

/// The errors of several addresses, one after the other.
struct List<'a>(&'a [(SocketAddr, io::Error)]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (address, error)) in self.0.iter().enumerate() {
            let separator = if i == 0 { ": " } else { "; " };
            write!(f, "{separator}{address}: {error}")?;
        }
        Ok(())
    }
}

impl<T> From<nio_loop::Refused<T>> for Error {
    fn from(refused: nio_loop::Refused<T>) -> Error {
        Error::Loop(refused.error)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Bind { ref source, .. }
            | Error::LocalAddress { ref source, .. }
            | Error::Connect { ref source, .. }
            | Error::Resolve { ref source, .. }
            | Error::BindUnix { ref source, .. }
            | Error::ConnectUnix { ref source, .. }
            | Error::Path { ref source, .. }
            | Error::Option { ref source, .. } => io::Error::new(source.kind(), error),
            // Of several, the last one is from the address that held out longest.
            Error::ConnectAny(ref errors) => {
                let last = errors.last().map(|(_, error)| error.kind());
                io::Error::new(last.unwrap_or(io::ErrorKind::InvalidInput), error)
            }
            Error::Loop(error) => error.into(),
        }
    }
}
