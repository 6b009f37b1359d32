//! Accepting, for servers whose libraries leave it to them: a non-blocking connection with one
//! system call.

use std::{
    io,
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd, FromRawFd},
    ptr::null_mut,
};

/// The next connection, or `None` if there is none now.
pub(super) fn accept(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: without a place for the address none is written.
    let fd = unsafe { libc::accept4(listener.as_raw_fd(), null_mut(), null_mut(), flags) };
    if fd >= 0 {
        // SAFETY: the kernel has just made it for us.
        return Ok(Some(unsafe { TcpStream::from_raw_fd(fd) }));
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        error => Err(error),
    }
}
