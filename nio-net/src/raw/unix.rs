//! Calls for Unix sockets: descriptor passing, and the credentials of the peer.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::{size_of, size_of_val, zeroed},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use libc::c_int;

use super::{bytes::NO_SIGNAL, check_len};
use crate::stream::Descriptor;

/// How many descriptors one message carries at most. It is Linux's limit, and that of most others is
/// higher. OpenBSD makes 16 bytes of each, which must fit into a cluster of 2048 (E2BIG); DragonFly
/// wants them in one small buffer, of some 350 bytes (EINVAL).
pub(crate) const DESCRIPTORS: usize = if cfg!(target_os = "openbsd") {
    127
} else if cfg!(target_os = "dragonfly") {
    64
} else {
    253
};

/// Room for the ancillary data of that many descriptors, aligned as it must be.
type Ancillary = [u64; ROOM];
const ROOM: usize = (DESCRIPTORS * size_of::<RawFd>() + 64) / size_of::<u64>();

/// The flag that makes received descriptors close-on-exec. Apple's systems have none.
#[cfg(not(target_vendor = "apple"))]
const CLOSE_ON_EXEC: c_int = libc::MSG_CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
const CLOSE_ON_EXEC: c_int = 0;

/// sendmsg(2) with descriptors, of which there must be no more than [`DESCRIPTORS`].
pub(crate) fn send_with_descriptors<S: AsFd>(
    socket: &Descriptor<S>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut slice = IoSlice::new(bytes);
    let mut ancillary: Ancillary = [0; ROOM];
    // SAFETY: all zeroes is a message without an address, slices and ancillary data.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = ptr::from_mut(&mut slice).cast();
    message.msg_iovlen = 1;
    if !descriptors.is_empty() {
        put(&mut message, &mut ancillary, descriptors);
    }
    // SAFETY: the message points to one slice and to ancillary data as long as it says; both live
    // until the call returns, which writes to neither.
    let n = check_len(unsafe { sendmsg(socket.as_fd().as_raw_fd(), &message, NO_SIGNAL) })?;
    socket.count_written(n);
    Ok(n)
}

#[cfg(not(target_env = "musl"))]
use libc::sendmsg;

/// The system call. musl's function refuses ancillary data of more than 1024 bytes in some versions, which is 252
/// descriptors. Otherwise it only clears padding, which is zero in the messages made here.
///
/// # Safety
///
/// As for sendmsg(2).
#[cfg(target_env = "musl")]
unsafe fn sendmsg(fd: RawFd, message: *const libc::msghdr, flags: c_int) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    unsafe { libc::syscall(libc::SYS_sendmsg, fd, message, flags) as libc::ssize_t }
}

/// Writes descriptors into the ancillary data of a message.
fn put(message: &mut libc::msghdr, ancillary: &mut Ancillary, descriptors: &[BorrowedFd<'_>]) {
    let len = size_of_val(descriptors);
    assert!(descriptors.len() <= DESCRIPTORS);
    message.msg_control = ptr::from_mut(ancillary).cast();
    // SAFETY: the macros of C compute with numbers only, and go from the message to its ancillary
    // data, which is there, aligned, zeroed, and has room for so many descriptors: the assertion says
    // so of the descriptors, and the type of the array of the header and the alignment. A
    // `BorrowedFd` is as its documentation says laid out as a number.
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(len as _) as _;
        let header = libc::CMSG_FIRSTHDR(message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(len as _) as _;
        let data = libc::CMSG_DATA(header);
        ptr::copy_nonoverlapping(descriptors.as_ptr().cast(), data, len);
    }
}

/// recvmsg(2); appends received descriptors to a vector. If the system has discarded some, it closes the others
/// and returns an error.
pub(crate) fn receive_with_descriptors<S: AsFd>(
    socket: &Descriptor<S>,
    buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let room = buffer.len();
    let mut slice = IoSliceMut::new(buffer);
    let mut ancillary: Ancillary = [0; ROOM];
    // SAFETY: all zeroes is a message without an address, slices and ancillary data.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = ptr::from_mut(&mut slice).cast();
    message.msg_iovlen = 1;
    message.msg_control = ptr::from_mut(&mut ancillary).cast();
    message.msg_controllen = size_of::<Ancillary>() as _;
    // SAFETY: the message points to one slice of a buffer and to memory for ancillary data as long
    // as it says, all of it ours to write to until the call returns.
    let result = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &mut message, CLOSE_ON_EXEC) };
    let n = check_len(result)?;
    socket.count_read(n, room);
    let before = descriptors.len();
    take(&message, descriptors);
    #[cfg(target_vendor = "apple")]
    if let Err(error) = descriptors[before..].iter().try_for_each(close_on_exec) {
        descriptors.truncate(before);
        return Err(error);
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        descriptors.truncate(before);
        return Err(io::Error::other(
            "descriptors were lost: too many for one message, or the process has no more descriptors",
        ));
    }
    Ok(n)
}

/// Takes the descriptors out of the ancillary data of a message that was received.
fn take(message: &libc::msghdr, descriptors: &mut Vec<OwnedFd>) {
    // SAFETY: the kernel has written the ancillary data and its length, within the room that it had,
    // and the macros of C go from one header in it to the next until there is none. The data of a header of
    // this type are whole numbers of descriptors, which the kernel has just opened for
    // us, and no other code knows them. They are read without an assumption on their alignment.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let data = libc::CMSG_DATA(header);
                let len = (*header).cmsg_len as usize - (data as usize - header as usize);
                for i in 0..len / size_of::<RawFd>() {
                    let fd = data.cast::<RawFd>().add(i).read_unaligned();
                    descriptors.push(OwnedFd::from_raw_fd(fd));
                }
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
}

#[cfg(target_vendor = "apple")]
fn close_on_exec(descriptor: &OwnedFd) -> io::Result<()> {
    let fd = descriptor.as_raw_fd();
    // SAFETY: the command takes an int, and the descriptor is open.
    super::check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }).map(drop)
}

/// The user, the group and the process of the peer; the process if the system reports it.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn peer(socket: &impl AsFd) -> io::Result<(libc::uid_t, libc::gid_t, Option<c_int>)> {
    let peer: libc::ucred = super::options::get(socket, libc::SOL_SOCKET, libc::SO_PEERCRED)?;
    Ok((peer.uid, peer.gid, Some(peer.pid)))
}

/// The user, the group and the process of the peer; the process if the system reports it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn peer(socket: &impl AsFd) -> io::Result<(libc::uid_t, libc::gid_t, Option<c_int>)> {
    let (mut user, mut group) = (0, 0);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the pointers are to numbers that live until the call returns.
    super::check(unsafe { libc::getpeereid(fd, &mut user, &mut group) })?;
    #[cfg(target_vendor = "apple")]
    let process = super::options::get(socket, libc::SOL_LOCAL, libc::LOCAL_PEERPID).ok();
    #[cfg(not(target_vendor = "apple"))]
    let process = None;
    Ok((user, group, process))
}
