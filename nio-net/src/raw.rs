//! The one thing that the standard library cannot do: begin a connection without waiting for it.
//!
//! All `unsafe` code of this crate is here.

use std::{
    io,
    mem::{size_of, zeroed},
    net::{SocketAddr, TcpStream},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

use libc::{c_int, sockaddr, socklen_t};

/// Sets the length that an address structure of the BSDs begins with; Linux has none.
macro_rules! set_length {
    ($field:expr, $type:ty) => {
        #[cfg(not(target_os = "linux"))]
        {
            $field = size_of::<$type>() as u8;
        }
    };
}

/// Begins a connection to an address. The socket is non-blocking and close-on-exec; whether the
/// connection is made is to be found out when it is writable.
pub(crate) fn begin_connect(address: SocketAddr) -> io::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    };
    let socket = socket(family)?;
    let result = match address {
        SocketAddr::V4(address) => {
            // SAFETY: all zeroes is a valid sockaddr_in.
            let mut raw: libc::sockaddr_in = unsafe { zeroed() };
            raw.sin_family = libc::AF_INET as libc::sa_family_t;
            raw.sin_port = address.port().to_be();
            raw.sin_addr.s_addr = u32::from(*address.ip()).to_be();
            set_length!(raw.sin_len, libc::sockaddr_in);
            connect(&socket, &raw)
        }
        SocketAddr::V6(address) => {
            // SAFETY: all zeroes is a valid sockaddr_in6.
            let mut raw: libc::sockaddr_in6 = unsafe { zeroed() };
            raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            raw.sin6_port = address.port().to_be();
            raw.sin6_addr.s6_addr = address.ip().octets();
            raw.sin6_flowinfo = address.flowinfo();
            raw.sin6_scope_id = address.scope_id();
            set_length!(raw.sin6_len, libc::sockaddr_in6);
            connect(&socket, &raw)
        }
    };
    match result {
        Err(error) if is_under_way(&error) => Ok(socket.into()),
        result => result.map(|()| socket.into()),
    }
}

/// The answers of connect(2) that are no failure: it goes on by itself, also when a signal came.
fn is_under_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR))
}

/// connect(2) with an address structure of its own type.
fn connect<A>(socket: &OwnedFd, address: &A) -> io::Result<()> {
    let address = ptr::from_ref(address).cast::<sockaddr>();
    // SAFETY: the pointer and the length are those of one whole address structure, which lives until
    // the call returns.
    check(unsafe { libc::connect(socket.as_raw_fd(), address, size_of::<A>() as socklen_t) })?;
    Ok(())
}

/// A stream socket, non-blocking and close-on-exec.
#[cfg(not(target_vendor = "apple"))]
fn socket(family: c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes no pointers.
    let fd = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    #[cfg(any(target_os = "netbsd", target_os = "dragonfly"))]
    no_sigpipe(&socket)?;
    Ok(socket)
}

/// A stream socket, non-blocking and close-on-exec, in several steps: Apple's systems have no other.
#[cfg(target_vendor = "apple")]
fn socket(family: c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = check(unsafe { libc::socket(family, libc::SOCK_STREAM, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: these commands take an int, and the descriptor is open.
    unsafe {
        check(libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC))?;
        check(libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK))?;
    }
    no_sigpipe(&socket)?;
    Ok(socket)
}

/// Makes a write to a connection that is gone an error instead of a signal. (Elsewhere the standard
/// library asks for that with each write.)
#[cfg(any(target_vendor = "apple", target_os = "netbsd", target_os = "dragonfly"))]
fn no_sigpipe(socket: &OwnedFd) -> io::Result<()> {
    let yes: c_int = 1;
    // SAFETY: the option's value is an int, whose address and size are given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NOSIGPIPE,
            ptr::from_ref(&yes).cast(),
            size_of::<c_int>() as socklen_t,
        )
    })?;
    Ok(())
}

fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
