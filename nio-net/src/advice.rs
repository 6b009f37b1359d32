//! The advice at the end of an error message: the cause, and what to do.

use std::{
    io,
    net::SocketAddr,
    os::unix::{fs::FileTypeExt, net},
};

use crate::raw;

/// For a local address that cannot be bound.
pub(crate) fn of_local(source: &io::Error, port: u16) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program listens there; choose another port, or 0 for one that is free"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; this machine has no such address; use 0.0.0.0 for all its addresses, [::] for those of IPv6"
        }
        io::ErrorKind::PermissionDenied if port < 1024 => {
            "; ports below 1024 need root; choose a higher one"
        }
        _ if source.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            "; this machine has no addresses of this version of IP"
        }
        _ => "",
    }
}

/// For an address that cannot be connected to.
pub(crate) fn of_remote(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => "; no program listens there",
        io::ErrorKind::AddrNotAvailable => {
            "; all ports of this machine are in use, or the address cannot be reached from the one that the \
             socket is bound to"
        }
        _ => "",
    }
}

/// For several addresses that cannot be connected to: the advice that all have in common.
pub(crate) fn of_remotes(errors: &[(SocketAddr, io::Error)]) -> &'static str {
    let mut advice = errors.iter().map(|(_, error)| of_remote(error));
    let first = advice.next().unwrap_or("");
    if advice.all(|other| other == first) {
        first
    } else {
        ""
    }
}

/// For a path that a Unix socket cannot be bound to.
pub(crate) fn of_unix_local(source: &io::Error, stale: bool) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse if stale => {
            "; no program uses this socket any more: remove its file and try again"
        }
        io::ErrorKind::AddrInUse => {
            "; another program uses this socket, or it is a file of another kind; choose another path"
        }
        io::ErrorKind::NotFound => "; the directory does not exist",
        io::ErrorKind::PermissionDenied => "; this user may not make files in the directory",
        _ => "",
    }
}

/// For a path that a Unix socket cannot be connected to.
pub(crate) fn of_unix_remote(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "; there is no such file: is its server running?",
        io::ErrorKind::ConnectionRefused => "; no program listens to this socket any more",
        io::ErrorKind::PermissionDenied => "; this user may not write to the socket",
        _ => "",
    }
}

/// For a named pipe that cannot be opened.
pub(crate) fn of_fifo(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENXIO) => "; no program has opened it for reading; try again when one has",
        Some(libc::ENOENT) => "; make it with mkfifo(1)",
        _ => "",
    }
}

/// For an option that cannot be read or set.
pub(crate) fn of_option(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => {
            "; this kind of socket or this system does not have the option"
        }
        Some(libc::EINVAL) => "; the value is out of range, or it is too late to set it",
        _ => "",
    }
}

/// Whether an address in use belongs to a file that a closed socket has left. Only connecting to it shows
/// whether a program still has the socket open.
pub(crate) fn is_stale(address: &net::SocketAddr, kind: libc::c_int, source: &io::Error) -> bool {
    let Some(path) = address.as_pathname() else {
        return false;
    };
    // Connecting to a file that is not a socket is refused, too.
    let is_socket = path
        .symlink_metadata()
        .is_ok_and(|file| file.file_type().is_socket());
    if source.kind() != io::ErrorKind::AddrInUse || !is_socket {
        return false;
    }
    let connected =
        raw::socket(libc::AF_UNIX, kind).and_then(|probe| raw::connect(&probe, address));
    matches!(connected, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}
