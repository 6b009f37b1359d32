//! The options of a socket, as setsockopt(2) and getsockopt(2) have them.

use std::{
    io,
    mem::{size_of, zeroed},
    os::fd::{AsFd, AsRawFd},
    ptr,
};

use libc::{c_int, c_uint, socklen_t};

use super::check;

/// The type of an option's value.
///
/// # Safety
///
/// All zeroes, and any bytes that the kernel may write, must be a valid value of the type.
pub(crate) unsafe trait Value: Copy {}

// SAFETY: an integer may have any bytes.
unsafe impl Value for c_int {}
// SAFETY: as above.
unsafe impl Value for c_uint {}
// SAFETY: an integer.
unsafe impl Value for libc::in_addr {}
// SAFETY: two integers.
unsafe impl Value for libc::linger {}
// SAFETY: three integers.
#[cfg(any(target_os = "linux", target_os = "android"))]
unsafe impl Value for libc::ucred {}

/// setsockopt(2).
pub(crate) fn set<V: Value>(
    socket: &impl AsFd,
    level: c_int,
    name: c_int,
    value: V,
) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let (pointer, len) = (ptr::from_ref(&value).cast(), size_of::<V>() as socklen_t);
    // SAFETY: the pointer and the length are those of the value, which the call only reads.
    check(unsafe { libc::setsockopt(fd, level, name, pointer, len) }).map(drop)
}

/// getsockopt(2).
pub(crate) fn get<V: Value>(socket: &impl AsFd, level: c_int, name: c_int) -> io::Result<V> {
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: a `Value` may be all zeroes.
    let mut value: V = unsafe { zeroed() };
    let (pointer, mut len) = (
        ptr::from_mut(&mut value).cast(),
        size_of::<V>() as socklen_t,
    );
    // SAFETY: the pointer and the length are those of the value, for which any bytes are valid.
    check(unsafe { libc::getsockopt(fd, level, name, pointer, &mut len) })?;
    Ok(value)
}
