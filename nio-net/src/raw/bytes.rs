//! Reading and writing sockets and pipes.
//!
//! A socket is read with recv(2) and written with send(2), which raises no SIGPIPE; other descriptors
//! with read(2) and write(2). Which of them is known when the program is compiled.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd},
};

use libc::c_int;

use super::check_len;
use crate::{Stream, stream::Descriptor};

/// The flag that makes a write to a closed connection an error instead of a signal. Apple's systems have a socket
/// option instead.
#[cfg(not(target_vendor = "apple"))]
pub(super) const NO_SIGNAL: c_int = libc::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
pub(super) const NO_SIGNAL: c_int = 0;

/// The limit on the slices of one call: the lowest of all systems.
pub(crate) const SLICES: usize = 1024;

/// How many bytes one call reads or writes at most. Apple's systems refuse more (EINVAL); the others
/// read or write a part.
const MOST: usize = if cfg!(target_vendor = "apple") {
    c_int::MAX as usize
} else {
    isize::MAX as usize
};

#[inline]
pub(crate) fn read<S: Stream>(stream: &Descriptor<S>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are those of the buffer.
    unsafe { read_raw(stream, buffer.as_mut_ptr(), buffer.len()) }
}

/// Reads into the spare capacity of a vector, at most `limit` bytes, and appends them to the vector.
#[inline]
pub(crate) fn read_spare<S: Stream>(
    stream: &Descriptor<S>,
    vector: &mut Vec<u8>,
    limit: usize,
) -> io::Result<usize> {
    let spare = vector.spare_capacity_mut();
    let room = spare.len().min(limit);
    // SAFETY: the pointer and the length are those of a part of the capacity, which the call only
    // writes to, so that it need not be initialised.
    let n = unsafe { read_raw(stream, spare.as_mut_ptr().cast(), room) }?;
    // SAFETY: the kernel has initialised the first `n` bytes of the spare capacity, and never
    // more than there was room for.
    unsafe { vector.set_len(vector.len() + n) };
    Ok(n)
}

/// # Safety
///
/// `len` bytes from `buffer` on must be writable; they need not be initialised.
#[inline]
unsafe fn read_raw<S: Stream>(
    stream: &Descriptor<S>,
    buffer: *mut u8,
    len: usize,
) -> io::Result<usize> {
    let fd = stream.as_fd().as_raw_fd();
    let len = len.min(MOST);
    let n = check_len(if S::SOCKET {
        // SAFETY: the caller vouches for the buffer.
        unsafe { libc::recv(fd, buffer.cast(), len, 0) }
    } else {
        // SAFETY: as above.
        unsafe { libc::read(fd, buffer.cast(), len) }
    })?;
    stream.count_read(n, len);
    Ok(n)
}

/// Reads from a socket without taking anything out of it.
pub(crate) fn peek<S: Stream>(stream: &Descriptor<S>, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = stream.as_fd().as_raw_fd();
    let (pointer, len) = (buffer.as_mut_ptr().cast(), buffer.len().min(MOST));
    // SAFETY: the pointer and the length are those of the buffer, or of its beginning.
    check_len(unsafe { libc::recv(fd, pointer, len, libc::MSG_PEEK) })
}

/// readv(2).
pub(crate) fn read_vectored<S: Stream>(
    stream: &Descriptor<S>,
    buffers: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    let fd = stream.as_fd().as_raw_fd();
    let count = buffers.len().min(SLICES);
    let room = buffers[..count].iter().map(|buffer| buffer.len()).sum();
    let pointer = buffers.as_mut_ptr().cast();
    // SAFETY: an `IoSliceMut` is an iovec of bytes that are ours to write to, and there are at least
    // `count` of them.
    let n = check_len(unsafe { libc::readv(fd, pointer, count as c_int) })?;
    stream.count_read(n, room);
    Ok(n)
}

#[inline]
pub(crate) fn send<S: Stream>(stream: &Descriptor<S>, bytes: &[u8]) -> io::Result<usize> {
    let fd = stream.as_fd().as_raw_fd();
    let (pointer, len) = (bytes.as_ptr().cast(), bytes.len().min(MOST));
    let result = check_len(if S::SOCKET {
        // SAFETY: the pointer and the length are those of the bytes, or of their beginning.
        unsafe { libc::send(fd, pointer, len, NO_SIGNAL) }
    } else {
        // SAFETY: as above.
        unsafe { libc::write(fd, pointer, len) }
    });
    let n = result.map_err(translate)?;
    stream.count_written(n);
    Ok(n)
}

/// sendmsg(2) of several slices, or writev(2).
pub(crate) fn send_vectored<S: Stream>(
    stream: &Descriptor<S>,
    bytes: &[IoSlice<'_>],
) -> io::Result<usize> {
    let fd = stream.as_fd().as_raw_fd();
    let count = bytes.len().min(SLICES);
    let slices = bytes.as_ptr().cast::<libc::iovec>();
    let result = check_len(if S::SOCKET {
        // SAFETY: all zeroes is a message without an address, slices and ancillary data.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = slices.cast_mut();
        message.msg_iovlen = count as _;
        // SAFETY: an `IoSlice` is an iovec of bytes, of which there are at least `count`, and the
        // call writes to none of them.
        unsafe { libc::sendmsg(fd, &message, NO_SIGNAL) }
    } else {
        // SAFETY: as above.
        unsafe { libc::writev(fd, slices, count as c_int) }
    });
    let n = result.map_err(translate)?;
    stream.count_written(n);
    Ok(n)
}

/// Translates the error of a write. macOS returns EPROTOTYPE if the peer resets the connection during a write; no
/// other system returns it for a stream.
#[cold]
fn translate(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(libc::EPROTOTYPE) {
        return io::Error::from_raw_os_error(libc::ECONNRESET);
    }
    error
}
