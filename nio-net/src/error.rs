//! The errors of making sockets, of their options and of name look-ups.
//!
//! The law: a call that takes a value and fails gives the value back ([`Refused`]).

use std::{
    fmt, io,
    net::SocketAddr,
    os::{fd::AsFd, unix},
    path::PathBuf,
};

use nio_loop::{Handle, Source};

use crate::{advice, raw};

/// An error of making a socket, of its options or of a name look-up. It names the address, the path,
/// the host or the option, and converts into an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on: another socket does
    /// ([`AddrInUse`](io::ErrorKind::AddrInUse)), this machine does not have it
    /// ([`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable)), or its port is reserved
    /// ([`PermissionDenied`](io::ErrorKind::PermissionDenied)).
    #[error("cannot listen on {address}: {source}{}", advice::of_local(source, address.port()))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// A socket that does not listen cannot be bound to the address, for the same reasons.
    #[error("cannot use the address {address}: {source}{}", advice::of_local(source, address.port()))]
    LocalAddress {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// No connection could be made to the address: no socket listens there
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)), or there is no route to it.
    #[error("cannot connect to {address}: {source}{}", advice::of_remote(source))]
    Connect {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// No connection could be made to any address of a host, or to any of several addresses.
    #[error(
        "cannot connect to {}: {}{}",
        Target(host.as_deref(), errors.len()), List(errors), advice::of_remotes(errors)
    )]
    ConnectAny {
        /// The host name and the port, as `localhost:80`; `None` if addresses were given.
        host: Option<String>,
        /// The addresses, in the order in which they failed, each with the system's error.
        errors: Vec<(SocketAddr, io::Error)>,
    },
    /// A text is not an address and a port, or a list of addresses is empty.
    #[error("{text:?} cannot be used as an address: {reason}")]
    Address {
        /// The text.
        text: String,
        /// The reason, and how to write an address.
        reason: &'static str,
    },
    /// The host name has no address, or no name server answered.
    #[error(
        "cannot look up {name:?}: {source}; check its spelling, and that a name server can be reached"
    )]
    Resolve {
        /// The name.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// A Unix socket cannot be bound to the address: it exists already
    /// ([`AddrInUse`](io::ErrorKind::AddrInUse)), or its directory does not
    /// ([`NotFound`](io::ErrorKind::NotFound)).
    #[error(
        "cannot use the socket {}: {source}{}",
        Unix(address), advice::of_unix_local(source, *stale)
    )]
    BindUnix {
        /// The address.
        address: Box<unix::net::SocketAddr>,
        /// Whether no program uses the socket any more, so that its file may be removed.
        stale: bool,
        /// The system's error.
        source: io::Error,
    },
    /// No connection could be made to the Unix socket: there is none
    /// ([`NotFound`](io::ErrorKind::NotFound)), or no process listens to it any more
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)).
    #[error(
        "cannot connect to {}: {source}{}",
        Unix(address),
        advice::of_unix_remote(source)
    )]
    ConnectUnix {
        /// The address.
        address: Box<unix::net::SocketAddr>,
        /// The system's error.
        source: io::Error,
    },
    /// A path cannot be that of a Unix socket: it is empty, it is too long (more than about 100 bytes),
    /// or it has a zero in it.
    #[error(
        "{path:?} cannot be the path of a socket: {source}; it may have from 1 to {} bytes",
        raw::PATH_LEN - 1
    )]
    Path {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A named pipe could not be opened: there is none ([`NotFound`](io::ErrorKind::NotFound)), it is
    /// another kind of file, or no program has opened it for reading (ENXIO).
    #[error(
        "cannot open the named pipe {path:?}: {source}{}",
        advice::of_fifo(source)
    )]
    Fifo {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// An option could not be read or changed.
    #[error("cannot {}: {source}{}", Access(name, value.as_deref()), advice::of_option(source))]
    Option {
        /// Its name in the system's headers.
        name: &'static str,
        /// The value that it was to be set to; `None` if it was to be read.
        value: Option<String>,
        /// The system's error.
        source: io::Error,
    },
    /// The file descriptor is in blocking mode, in which its operations would stop the whole loop.
    #[error("the file descriptor is in blocking mode: make it non-blocking, as `from_std` does")]
    Blocking,
    /// The loop is gone, or refused the socket.
    #[error(transparent)]
    Loop(#[from] nio_loop::Error),
}

/// The address of a Unix socket.
struct Unix<'a>(&'a unix::net::SocketAddr);

impl fmt::Display for Unix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_pathname() {
            Some(path) => write!(f, "{path:?}"),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// The failed operation on an option.
struct Access<'a>(&'a str, Option<&'a str>);

impl fmt::Display for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(value) => write!(f, "set {} to {value}", self.0),
            None => write!(f, "read {}", self.0),
        }
    }
}

/// The target of a failed connect: a host, or a number of addresses.
struct Target<'a>(Option<&'a str>, usize);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(host) => f.write_str(host),
            None => write!(f, "any of {} addresses", self.1),
        }
    }
}

/// The errors of several addresses, in one line.
struct List<'a>(&'a [(SocketAddr, io::Error)]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (address, error)) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
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
            | Error::Fifo { ref source, .. }
            | Error::Option { ref source, .. } => io::Error::new(source.kind(), error),
            // The kind is that of the address that failed last.
            Error::ConnectAny { ref errors, .. } => {
                let last = errors.last().map(|(_, error)| error.kind());
                io::Error::new(last.unwrap_or(io::ErrorKind::InvalidInput), error)
            }
            Error::Address { .. } | Error::Blocking => {
                io::Error::new(io::ErrorKind::InvalidInput, error)
            }
            Error::Loop(error) => error.into(),
        }
    }
}

impl Error {
    /// Converts the error of a wait for a connection: [`Error::Loop`] if the loop is gone, otherwise the
    /// result of `of_socket`.
    pub(crate) fn of_wait(error: io::Error, of_socket: impl FnOnce(io::Error) -> Error) -> Error {
        let inner = error.get_ref();
        match inner.and_then(|inner| inner.downcast_ref()) {
            Some(nio_loop::Error::Closed) => nio_loop::Error::Closed.into(),
            _ => of_socket(error),
        }
    }
}

/// A call that took a value failed: the value, given back, and the error. Converts into an [`Error`]
/// and into an [`io::Error`], without the value.
pub type Refused<T> = nio_loop::Refused<T, Error>;

impl<T> From<Refused<T>> for Error {
    fn from(refused: Refused<T>) -> Error {
        refused.error
    }
}

/// Takes a socket into the loop, or gives it back.
pub(crate) fn adopt<S: AsFd>(handle: &Handle, socket: S) -> Result<Source<S>, Refused<S>> {
    Source::new(handle, socket).map_err(|refused| Refused {
        error: refused.error.into(),
        value: refused.value,
    })
}

/// Makes a descriptor non-blocking, and turns SIGPIPE off for a socket: writing to a closed connection is an
/// error, not a signal.
pub(crate) fn set_nonblocking(descriptor: &impl AsFd, is_socket: bool) -> Result<(), Error> {
    let option = |name| {
        move |source| Error::Option {
            name,
            value: Some("1".into()),
            source,
        }
    };
    if is_socket {
        raw::no_sigpipe(descriptor).map_err(option("SO_NOSIGPIPE"))?;
    }
    raw::set_nonblocking(descriptor, true).map_err(option("O_NONBLOCK"))
}

/// Makes a descriptor that leaves the loop blocking again. A child or a library that gets it may not expect
/// that a call would block, and would lose data.
pub(crate) fn into_blocking<S: AsFd>(descriptor: S) -> S {
    // It fails only for a closed descriptor.
    let _ = raw::set_nonblocking(&descriptor, false);
    descriptor
}
