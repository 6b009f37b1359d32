//! What can go wrong with a socket before there is one.

use std::{io, net::SocketAddr};

/// An error of making a socket, naming its address. Converts into an [`io::Error`].
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
    /// No connection could be made to the address: nobody listens there
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)), or there is no way to it.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The loop did not take the socket.
    #[error(transparent)]
    Loop(#[from] nio_loop::Error),
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        match error {
            Error::Bind { ref source, .. } | Error::Connect { ref source, .. } => {
                io::Error::new(source.kind(), error)
            }
            Error::Loop(error) => error.into(),
        }
    }
}
