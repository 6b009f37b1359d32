//! Accepting a connection that is ready for an event loop: non-blocking and close-on-exec.
//!
//! Laws:
//! 1. A call that fails leaves no descriptor open.
//! 2. Where accept4(2) exists the flags are set by the call that accepts, so a program that another thread starts
//!    meanwhile does not inherit the connection.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    ptr,
};

use crate::owned::owned;

/// Accepts a connection, non-blocking and close-on-exec: accept4(2).
///
/// One system call. A listener of the standard library needs two: it accepts a connection that blocks, which then
/// has to be made non-blocking. Takes a listener of any kind. The result converts into the socket of the same kind,
/// which returns the address of the peer.
///
/// A call that a signal handler interrupts is made again.
///
/// ```
/// use std::net::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let client = TcpStream::connect(listener.local_addr()?)?;
///
/// let stream = TcpStream::from(nio_sys::accept(&listener)?);
/// assert_eq!(stream.peer_addr()?, client.local_addr()?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// - `EAGAIN` ([`WouldBlock`](io::ErrorKind::WouldBlock)) if the listener is non-blocking and no connection waits.
///   A listener that blocks waits for one.
/// - `ECONNABORTED` if the peer has closed the connection meanwhile. Accept the next one.
/// - `EMFILE` or `ENFILE` if there are too many descriptors, `ENOBUFS` or `ENOMEM` if there is no memory. The
///   connection stays in the listener's queue.
/// - `EINVAL` if the socket does not listen, `ENOTSOCK` if it is no socket.
///
/// # Platform differences
///
/// The Apple systems have no accept4(2). There it takes up to five system calls, and a program that another thread
/// starts between them inherits the connection.
#[doc(alias = "accept4")]
pub fn accept(listener: &impl AsFd) -> io::Result<OwnedFd> {
    loop {
        match accept_once(listener) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(not(target_vendor = "apple"))]
fn accept_once(listener: &impl AsFd) -> io::Result<OwnedFd> {
    let (fd, flags) = (
        listener.as_fd().as_raw_fd(),
        libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
    );
    // SAFETY: both pointers are null, so no address is written.
    owned(unsafe { libc::accept4(fd, ptr::null_mut(), ptr::null_mut(), flags) })
}

#[cfg(target_vendor = "apple")]
fn accept_once(listener: &impl AsFd) -> io::Result<OwnedFd> {
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: both pointers are null, so no address is written.
    let socket = owned(unsafe { libc::accept(fd, ptr::null_mut(), ptr::null_mut()) })?;
    add_flag(&socket, [libc::F_GETFD, libc::F_SETFD], libc::FD_CLOEXEC)?;
    add_flag(&socket, [libc::F_GETFL, libc::F_SETFL], libc::O_NONBLOCK)?;
    Ok(socket)
}

/// Adds a flag of a descriptor: one command of fcntl(2) reads the flags, the other writes them.
#[cfg(target_vendor = "apple")]
fn add_flag(socket: &OwnedFd, [get, set]: [libc::c_int; 2], flag: libc::c_int) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    // SAFETY: both commands take and return integers.
    let result = unsafe {
        match libc::fcntl(fd, get) {
            -1 => -1,
            flags => libc::fcntl(fd, set, flags | flag),
        }
    };
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read},
        net::{TcpListener, TcpStream},
        os::unix::net::UnixStream,
    };

    use super::*;

    fn flags(fd: &impl AsRawFd) -> [bool; 2] {
        // SAFETY: both commands only read flags.
        unsafe {
            let descriptor = libc::fcntl(fd.as_raw_fd(), libc::F_GETFD);
            let status = libc::fcntl(fd.as_raw_fd(), libc::F_GETFL);
            [
                descriptor & libc::FD_CLOEXEC != 0,
                status & libc::O_NONBLOCK != 0,
            ]
        }
    }

    #[test]
    fn an_accepted_connection_does_not_block_and_is_not_inherited() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for nonblocking in [false, true] {
            listener.set_nonblocking(nonblocking).unwrap();
            let client = TcpStream::connect(address).unwrap();
            let socket = loop {
                match accept(&listener) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    result => break result.unwrap(),
                }
            };
            assert_eq!(flags(&socket), [true, true]);
            let mut stream = TcpStream::from(socket);
            assert_eq!(stream.peer_addr().unwrap(), client.local_addr().unwrap());
            let error = stream.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn accepting_from_a_listener_without_connections_would_block() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(accept(&listener).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn accepting_from_a_socket_that_does_not_listen_is_an_error() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let error = accept(&socket).unwrap_err().raw_os_error();
        assert!(
            [Some(libc::EINVAL), Some(libc::EOPNOTSUPP)].contains(&error),
            "{error:?}"
        );
    }
}
