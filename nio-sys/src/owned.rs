//! Owning the descriptors that system calls return.

use std::{
    io,
    os::fd::{FromRawFd, OwnedFd},
};

/// Owns the descriptor that a system call has just returned, or takes its errno.
pub(crate) fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    match fd {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the kernel has just made this descriptor, and no other code knows its number.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}
