//! What to do about an error, as the end of its message.

use std::{
    io,
    net::SocketAddr,
    os::unix::{fs::FileTypeExt, net},
};

use crate::raw;

/// About an address of this machine that cannot be used.
pub(crate) fn of_local(source: &io::Error, port: u16) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program listens there; choose another port, or 0 for one that is free"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; this machine has no such address; 0.0.0.0 stands for all that it has, [::] for those of IPv6"
        }
        io::ErrorKind::PermissionDenied if port < 1024 => {
            "; ports below 1024 are root's; choose one above"
        }
        _ if source.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            "; this machine has no addresses of this version of IP"
        }
        _ => "",
    }
}

/// About an address that cannot be connected to.
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

/// About several addresses that cannot be connected to: what is true of all.
pub(crate) fn of_remotes(errors: &[(SocketAddr, io::Error)]) -> &'static str {
    let mut advice = errors.iter().map(|(_, error)| of_remote(error));
    let first = advice.next().unwrap_or("");
    if advice.all(|other| other == first) {
        first
    } else {
        ""
    }
}

/// About the socket of a path that cannot be bound to.
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

/// About the socket of a path that cannot be connected to.
pub(crate) fn of_unix_remote(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "; there is no such file: is its server running?",
        io::ErrorKind::ConnectionRefused => "; no program listens to this socket any more",
        io::ErrorKind::PermissionDenied => "; this user may not write to the socket",
        _ => "",
    }
}

/// About a named pipe that cannot be opened.
pub(crate) fn of_fifo(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENXIO) => "; no program has opened it for reading: open it again when one has",
        Some(libc::ENOENT) => "; mkfifo(1) makes one",
        _ => "",
    }
}

/// About an option that cannot be read or set.
pub(crate) fn of_option(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => {
            "; this kind of socket or this system does not have the option"
        }
        Some(libc::EINVAL) => "; the value is out of range, or it is too late to set it",
        _ => "",
    }
}

/// Whether an address that is in use is that of a socket that no program has open any more: its file is
/// left. The socket is connected to, as only the system knows.
pub(crate) fn is_stale(address: &net::SocketAddr, kind: libc::c_int, source: &io::Error) -> bool {
    let Some(path) = address.as_pathname() else {
        return false;
    };
    // Connecting to a file of another kind is refused, too.
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
