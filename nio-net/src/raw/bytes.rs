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

/// How many bytes one call reads or writes at most, in one slice or in several. Apple's systems refuse more
/// (EINVAL); the others read or write a part.
const MOST: usize = if cfg!(target_vendor = "apple") {
    c_int::MAX as usize
} else {
    isize::MAX as usize
};

/// The part of several slices that one call takes.
#[derive(Debug, PartialEq)]
enum Part {
    /// The first slices: how many, and the number of their bytes.
    Slices(usize, usize),
    /// The beginning of one slice, which is too long for a call.
    Beginning(usize),
}

/// The part of slices of these lengths that a call of at most `most` bytes takes.
fn part_of(lens: impl Iterator<Item = usize>, most: usize) -> Part {
    let (mut count, mut bytes) = (0, 0_usize);
    for len in lens.take(SLICES) {
        match bytes.checked_add(len) {
            Some(sum) if sum <= most => bytes = sum,
            _ if bytes == 0 => return Part::Beginning(count),
            _ => break,
        }
        count += 1;
    }
    Part::Slices(count, bytes)
}

/// How many bytes one call moves at most, of slices of these lengths.
pub(crate) fn room_of(lens: impl Iterator<Item = usize>) -> usize {
    match part_of(lens, MOST) {
        Part::Slices(_, bytes) => bytes,
        Part::Beginning(_) => MOST,
    }
}

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

/// readv(2). No buffers are no bytes; some systems have an error for that.
pub(crate) fn read_vectored<S: Stream>(
    stream: &Descriptor<S>,
    buffers: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    let (count, room) = match part_of(buffers.iter().map(|buffer| buffer.len()), MOST) {
        Part::Slices(0, _) => return Ok(0),
        Part::Slices(count, room) => (count, room),
        Part::Beginning(i) => return read(stream, &mut buffers[i]),
    };
    let fd = stream.as_fd().as_raw_fd();
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

/// sendmsg(2) of several slices, or writev(2). No slices are no bytes; some systems have an error for that.
pub(crate) fn send_vectored<S: Stream>(
    stream: &Descriptor<S>,
    bytes: &[IoSlice<'_>],
) -> io::Result<usize> {
    let count = match part_of(bytes.iter().map(|slice| slice.len()), MOST) {
        Part::Slices(0, _) => return Ok(0),
        Part::Slices(count, _) => count,
        Part::Beginning(i) => return send(stream, &bytes[i]),
    };
    let fd = stream.as_fd().as_raw_fd();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_takes_slices_while_their_sum_fits() {
        let part = |lens: &[usize]| part_of(lens.iter().copied(), 10);
        assert_eq!(part(&[]), Part::Slices(0, 0));
        assert_eq!(part(&[0, 0]), Part::Slices(2, 0));
        assert_eq!(part(&[4, 0, 6]), Part::Slices(3, 10));
        assert_eq!(part(&[4, 6, 1]), Part::Slices(2, 10));
        assert_eq!(part(&[4, 7, 1]), Part::Slices(1, 4));
        assert_eq!(part(&[4, usize::MAX]), Part::Slices(1, 4));
        assert_eq!(part(&[1; SLICES + 1]), Part::Slices(10, 10));
        assert_eq!(part(&[0; SLICES + 1]), Part::Slices(SLICES, 0));
    }

    #[test]
    fn a_call_takes_the_beginning_of_a_slice_that_is_too_long_alone() {
        let part = |lens: &[usize]| part_of(lens.iter().copied(), 10);
        assert_eq!(part(&[11, 1]), Part::Beginning(0));
        assert_eq!(part(&[0, 0, 11]), Part::Beginning(2));
    }
}
