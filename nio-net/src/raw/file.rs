//! sendfile(2), where the system has it.

use std::{fs::File, io};

use crate::{Stream, stream::Descriptor};

/// An offset in a file: 64 bits also on 32-bit systems.
#[cfg(target_os = "linux")]
type Offset = libc::off64_t;
#[cfg(any(
    target_os = "freebsd",
    target_os = "dragonfly",
    target_vendor = "apple"
))]
type Offset = libc::off_t;

/// Sends at most `count` bytes of a file, at least one, and returns how many; 0 at its end. `None` if the
/// system cannot do that, or not with this file and this stream.
#[cfg(any(
    target_os = "linux",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_vendor = "apple"
))]
pub(crate) fn send_file<S: Stream>(
    stream: &Descriptor<S>,
    file: &File,
    offset: u64,
    count: usize,
) -> Option<io::Result<usize>> {
    use std::os::fd::{AsFd, AsRawFd};

    // Only Linux sends to pipes.
    if !S::SOCKET && cfg!(not(target_os = "linux")) {
        return None;
    }
    let offset = Offset::try_from(offset).ok()?;
    let (from, to) = (file.as_raw_fd(), stream.as_fd().as_raw_fd());
    match sendfile(from, to, offset, count) {
        Ok(n) => {
            stream.count_written(n);
            Some(Ok(n))
        }
        Err(error) if is_unsupported(&error) => None,
        Err(error) => Some(Err(error)),
    }
}

#[cfg(not(any(
    target_os = "linux",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_vendor = "apple"
)))]
pub(crate) fn send_file<S: Stream>(
    _: &Descriptor<S>,
    _: &File,
    _: u64,
    _: usize,
) -> Option<io::Result<usize>> {
    None
}

/// Whether sendfile(2) does not support this file or this stream. If the file itself is at fault, pread(2) reports
/// a better error.
#[cfg(any(
    target_os = "linux",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_vendor = "apple"
))]
fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [
        libc::EINVAL,
        libc::ENOSYS,
        libc::EOPNOTSUPP,
        libc::ENOTSUP,
        libc::ENOTSOCK,
    ];
    unsupported.map(Some).contains(&error.raw_os_error())
}

#[cfg(target_os = "linux")]
fn sendfile(
    from: libc::c_int,
    to: libc::c_int,
    mut offset: Offset,
    count: usize,
) -> io::Result<usize> {
    // SAFETY: the pointer is to a number that the call may write.
    super::check_len(unsafe { libc::sendfile64(to, from, &mut offset, count) })
}

/// The call may return an error although it has sent a part. The part is the result then, as of a write; an error that
/// lasts is that of the next call.
#[cfg(not(any(target_os = "linux", target_os = "netbsd", target_os = "openbsd")))]
fn sendfile(from: libc::c_int, to: libc::c_int, offset: Offset, count: usize) -> io::Result<usize> {
    #[cfg(target_vendor = "apple")]
    let (result, sent) = {
        let mut len = count as libc::off_t;
        // SAFETY: the pointer is to a number that the call reads and writes; there are no headers.
        let result = unsafe { libc::sendfile(from, to, offset, &mut len, std::ptr::null_mut(), 0) };
        (result, len)
    };
    #[cfg(not(target_vendor = "apple"))]
    let (result, sent) = {
        let mut sent: libc::off_t = 0;
        // SAFETY: the pointer is to a number that the call writes; there are no headers.
        let result =
            unsafe { libc::sendfile(from, to, offset, count, std::ptr::null_mut(), &mut sent, 0) };
        (result, sent)
    };
    match super::check(result) {
        Err(error) if sent <= 0 || is_unsupported(&error) => Err(error),
        _ => Ok(sent as usize),
    }
}
