//! System calls that the standard library does not have: connecting without waiting, reading into uninitialised
//! memory, writing without SIGPIPE, several datagrams in a call, and descriptor passing.
//!
//! All `unsafe` code of this crate is here. No call blocks: the descriptors are non-blocking, and a call that
//! would block returns an error.

mod address;
mod bytes;
pub(crate) mod datagram;
pub(crate) mod file;
pub(crate) mod options;
pub(crate) mod unix;

use std::{
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use libc::{c_int, c_short};

pub use address::Address;
pub(crate) use address::PATH_LEN;
use address::RawAddress;
pub(crate) use bytes::{peek, read, read_spare, read_vectored, room_of, send, send_vectored};

/// connect(2). Returns whether the connection is made. If not, it is in progress, also after EINTR; when the
/// socket is writable, it is made or has failed.
pub(crate) fn connect<A: Address>(socket: &impl AsFd, address: &A) -> io::Result<bool> {
    let (fd, raw) = (socket.as_fd().as_raw_fd(), address.to_raw()?);
    // SAFETY: the pointer and the length are those of one whole address structure, which lives until
    // the call returns.
    match check(unsafe { libc::connect(fd, raw.as_ptr(), raw.len) }) {
        Ok(_) => Ok(true),
        Err(error) if is_under_way(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_under_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR))
}

/// bind(2).
pub(crate) fn bind<A: Address>(socket: &impl AsFd, address: &A) -> io::Result<()> {
    let (fd, raw) = (socket.as_fd().as_raw_fd(), address.to_raw()?);
    // SAFETY: as in `connect`.
    check(unsafe { libc::bind(fd, raw.as_ptr(), raw.len) }).map(drop)
}

/// listen(2).
pub(crate) fn listen(socket: &impl AsFd, backlog: u32) -> io::Result<()> {
    let backlog = c_int::try_from(backlog).unwrap_or(c_int::MAX);
    // SAFETY: takes no pointers.
    check(unsafe { libc::listen(socket.as_fd().as_raw_fd(), backlog) }).map(drop)
}

/// A socket, non-blocking and close-on-exec, that raises no signal.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn socket(family: c_int, kind: c_int) -> io::Result<OwnedFd> {
    let kind = kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes no pointers.
    let fd = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us, and no other code knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A socket, non-blocking and close-on-exec, that raises no signal. Apple's systems need several calls.
#[cfg(target_vendor = "apple")]
pub(crate) fn socket(family: c_int, kind: c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the kernel has just made this descriptor for us, and no other code knows its number.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    set_flags(&socket)?;
    no_sigpipe(&socket)?;
    Ok(socket)
}

/// accept(2): a connection, non-blocking and close-on-exec, and the address of its peer. macOS may return a
/// connection that broke in the queue, without an address; here that is ECONNABORTED, as on other systems.
pub(crate) fn accept<A: Address>(listener: &impl AsFd) -> io::Result<(OwnedFd, A)> {
    let listener = listener.as_fd().as_raw_fd();
    let mut peer = RawAddress::ROOM;
    let (raw, len): (_, *mut _) = (peer.as_mut_ptr(), &mut peer.len);
    #[cfg(not(target_vendor = "apple"))]
    // SAFETY: `raw` has room for `len` bytes, and the call writes no more.
    let fd = unsafe { libc::accept4(listener, raw, len, libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) };
    #[cfg(target_vendor = "apple")]
    // SAFETY: as above.
    let fd = unsafe { libc::accept(listener, raw, len) };
    // SAFETY: the kernel has just made this descriptor for us, and no other code knows its number.
    let socket = check(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })?;
    let broken = |_| io::Error::from_raw_os_error(libc::ECONNABORTED);
    #[cfg(target_vendor = "apple")]
    {
        set_flags(&socket)?;
        no_sigpipe(&socket).map_err(broken)?;
    }
    Ok((socket, A::from_raw(&peer).map_err(broken)?))
}

/// pipe2(2): the end to read and the end to write, non-blocking and close-on-exec.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    #[cfg(target_os = "netbsd")]
    let flags = flags | libc::O_NOSIGPIPE;
    let mut ends = [0; 2];
    // SAFETY: the pointer is to the two numbers that the call writes.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), flags) })?;
    // SAFETY: the kernel has just made these descriptors for us, and no other code knows them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// pipe(2): the end to read and the end to write, non-blocking and close-on-exec, in several steps.
#[cfg(target_vendor = "apple")]
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    /// From <sys/fcntl.h>: a write without a reader raises no signal.
    const F_SETNOSIGPIPE: c_int = 73;
    let mut ends = [0; 2];
    // SAFETY: the pointer is to the two numbers that the call writes.
    check(unsafe { libc::pipe(ends.as_mut_ptr()) })?;
    // SAFETY: the kernel has just made these descriptors for us, and no other code knows them.
    let (reader, writer) =
        unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
    set_flags(&reader)?;
    set_flags(&writer)?;
    // SAFETY: the command takes an int, and the descriptor is open.
    check(unsafe { libc::fcntl(writer.as_raw_fd(), F_SETNOSIGPIPE, 1 as c_int) })?;
    Ok((reader, writer))
}

/// Makes a descriptor non-blocking and close-on-exec.
#[cfg(target_vendor = "apple")]
fn set_flags(descriptor: &OwnedFd) -> io::Result<()> {
    let fd = descriptor.as_raw_fd();
    // SAFETY: these commands take an int, and the descriptor is open.
    unsafe {
        check(libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC))?;
        check(libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK))?;
    }
    Ok(())
}

/// Makes a write to a connection that is gone an error instead of a signal. Only Apple's systems have
/// an option for it; on the others each write has a flag.
pub(crate) fn no_sigpipe(socket: &impl AsFd) -> io::Result<()> {
    #[cfg(target_vendor = "apple")]
    options::set(socket, libc::SOL_SOCKET, libc::SO_NOSIGPIPE, 1 as c_int)?;
    #[cfg(not(target_vendor = "apple"))]
    let _ = socket;
    Ok(())
}

/// getsockname(2).
pub(crate) fn local_addr<A: Address>(socket: &impl AsFd) -> io::Result<A> {
    let (fd, mut name) = (socket.as_fd().as_raw_fd(), RawAddress::ROOM);
    let (raw, len): (_, *mut _) = (name.as_mut_ptr(), &mut name.len);
    // SAFETY: `raw` has room for `len` bytes, and the call writes no more.
    check(unsafe { libc::getsockname(fd, raw, len) })?;
    A::from_raw(&name)
}

/// The pending error of a socket (SO_ERROR), which is cleared.
pub(crate) fn take_error(socket: &impl AsFd) -> io::Result<Option<io::Error>> {
    let errno: c_int = options::get(socket, libc::SOL_SOCKET, libc::SO_ERROR)?;
    Ok((errno != 0).then(|| io::Error::from_raw_os_error(errno)))
}

/// How many bytes are in a socket's send buffer: those that the peer has not acknowledged.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
))]
pub(crate) fn unsent(socket: &impl AsFd) -> Option<usize> {
    // For a socket it is SIOCOUTQ, the same number.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const REQUEST: libc::Ioctl = libc::TIOCOUTQ;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const REQUEST: libc::c_ulong = libc::FIONWRITE;
    let mut bytes: c_int = 0;
    // SAFETY: the request writes one int, to which the pointer is.
    check(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), REQUEST, &mut bytes) }).ok()?;
    usize::try_from(bytes).ok()
}

/// As above, by an option.
#[cfg(target_vendor = "apple")]
pub(crate) fn unsent(socket: &impl AsFd) -> Option<usize> {
    let bytes: c_int = options::get(socket, libc::SOL_SOCKET, libc::SO_NWRITE).ok()?;
    usize::try_from(bytes).ok()
}

/// As above: these systems do not report it.
#[cfg(any(target_os = "dragonfly", target_os = "openbsd"))]
pub(crate) fn unsent(_: &impl AsFd) -> Option<usize> {
    None
}

/// Whether a descriptor is non-blocking.
pub(crate) fn is_nonblocking(descriptor: &impl AsFd) -> io::Result<bool> {
    Ok(status_flags(descriptor)? & libc::O_NONBLOCK != 0)
}

/// Puts a descriptor into non-blocking mode, or into blocking mode.
pub(crate) fn set_nonblocking(descriptor: &impl AsFd, nonblocking: bool) -> io::Result<()> {
    let flags = status_flags(descriptor)?;
    let wanted = match nonblocking {
        true => flags | libc::O_NONBLOCK,
        false => flags & !libc::O_NONBLOCK,
    };
    if wanted == flags {
        return Ok(());
    }
    let fd = descriptor.as_fd().as_raw_fd();
    // SAFETY: the command takes an int, and the descriptor is open.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, wanted) }).map(drop)
}

fn status_flags(descriptor: &impl AsFd) -> io::Result<c_int> {
    // SAFETY: the command takes no argument, and the descriptor is open.
    check(unsafe { libc::fcntl(descriptor.as_fd().as_raw_fd(), libc::F_GETFL) })
}

/// kill(2), for a process that was not waited for.
pub(crate) fn kill(pid: u32, signal: c_int) -> io::Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::kill(pid as libc::pid_t, signal) }).map(drop)
}

/// shutdown(2).
pub(crate) fn shutdown(socket: &impl AsFd, how: std::net::Shutdown) -> io::Result<()> {
    let how = match how {
        std::net::Shutdown::Read => libc::SHUT_RD,
        std::net::Shutdown::Write => libc::SHUT_WR,
        std::net::Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: takes no pointers.
    check(unsafe { libc::shutdown(socket.as_fd().as_raw_fd(), how) }).map(drop)
}

/// Checks by poll(2) whether a read would block; then it returns the error `WouldBlock`. An end and an error of the
/// descriptor do not block.
pub(crate) fn ready_to_read(descriptor: &impl AsFd) -> io::Result<()> {
    ready(descriptor, libc::POLLIN)
}

/// As [`ready_to_read`], for writing.
pub(crate) fn ready_to_write(descriptor: &impl AsFd) -> io::Result<()> {
    ready(descriptor, libc::POLLOUT)
}

fn ready(descriptor: &impl AsFd, events: c_short) -> io::Result<()> {
    match poll(descriptor, events)? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// The pending events of a descriptor.
fn poll(descriptor: &impl AsFd, events: c_short) -> io::Result<c_short> {
    let mut entry = libc::pollfd {
        fd: descriptor.as_fd().as_raw_fd(),
        events,
        revents: 0,
    };
    // SAFETY: the pointer is to one entry, as the count says, and the call returns at once.
    check(unsafe { libc::poll(&mut entry, 1, 0) })?;
    Ok(entry.revents)
}

/// How many bytes can be read (FIONREAD). Unlike a peek, it does not clear a pending error.
pub(crate) fn readable_bytes(descriptor: &impl AsFd) -> io::Result<usize> {
    let (fd, mut bytes) = (descriptor.as_fd().as_raw_fd(), 0 as c_int);
    // SAFETY: the command writes one int.
    check(unsafe { libc::ioctl(fd, libc::FIONREAD as _, &mut bytes) })?;
    Ok(bytes.unsigned_abs() as usize)
}

/// Whether poll(2) reports that the peer reads no more.
pub(crate) fn has_no_reader(descriptor: &impl AsFd, is_socket: bool) -> io::Result<bool> {
    // Linux reports POLLERR for a pipe without a read end.
    let ended = libc::POLLHUP | if is_socket { 0 } else { libc::POLLERR };
    Ok(poll(descriptor, libc::POLLOUT)? & ended != 0)
}

fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// The count that a call returned, or its error.
#[inline]
fn check_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
