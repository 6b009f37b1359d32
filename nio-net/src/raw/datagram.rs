//! Datagrams in and out of sockets, one or many in a call.

use std::{
    io,
    mem::{MaybeUninit, size_of, zeroed},
    os::fd::{AsFd, AsRawFd},
    ptr,
};

use libc::{c_int, iovec, sockaddr_storage, socklen_t};

use super::{Address, bytes::NO_SIGNAL, check_len};

/// How many datagrams one call takes or gives at most: as many as there is room for, on a stack,
/// with their addresses.
pub(crate) const MANY: usize = 64;

/// Whether the system has calls for many datagrams; elsewhere they are made one after the other.
#[cfg(any(
    all(target_os = "linux", target_env = "gnu"),
    target_os = "freebsd",
    target_os = "netbsd"
))]
use libc::{mmsghdr, recvmmsg, sendmmsg};

/// A datagram that was received.
#[derive(Debug)]
pub(crate) struct Received<A> {
    pub(crate) len: usize,
    pub(crate) truncated: bool,
    pub(crate) from: A,
}

/// Receives one datagram.
pub(crate) fn receive<A: Address>(
    socket: &impl AsFd,
    buffer: &mut [u8],
    flags: c_int,
) -> io::Result<Received<A>> {
    // SAFETY: initialised bytes are a case of bytes that need not be, and the call makes none of them
    // uninitialised.
    let buffer = unsafe { &mut *(ptr::from_mut(buffer) as *mut [MaybeUninit<u8>]) };
    receive_uninit(socket, buffer, flags)
}

/// As [`receive`], without a flag, into the memory that a vector has in reserve; what was received
/// becomes a part of the vector.
pub(crate) fn receive_spare<A: Address>(
    socket: &impl AsFd,
    vector: &mut Vec<u8>,
) -> io::Result<Received<A>> {
    let received = receive_uninit(socket, vector.spare_capacity_mut(), 0)?;
    // SAFETY: the kernel has initialised so many bytes of the reserve, and never more than there was
    // room for.
    unsafe { vector.set_len(vector.len() + received.len) };
    Ok(received)
}

fn receive_uninit<A: Address>(
    socket: &impl AsFd,
    buffer: &mut [MaybeUninit<u8>],
    flags: c_int,
) -> io::Result<Received<A>> {
    // SAFETY: all zeroes is a valid address.
    let mut from: sockaddr_storage = unsafe { zeroed() };
    let mut slice = slice_of(buffer);
    let mut message = message_to(&mut from, &mut slice);
    // SAFETY: the message points to an address structure and to one slice of the buffer, which the
    // kernel may write to and which live until the call returns.
    let result = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &mut message, flags) };
    received(&message, &from, check_len(result)?)
}

/// Receives datagrams into the pieces of `size` bytes of a buffer, and appends to `into` what is to
/// be known of them; there is at least one. `into` is as it was if that fails.
#[cfg(any(
    all(target_os = "linux", target_env = "gnu"),
    target_os = "freebsd",
    target_os = "netbsd"
))]
pub(crate) fn receive_many<A: Address>(
    socket: &impl AsFd,
    buffer: &mut [u8],
    size: usize,
    into: &mut Vec<Received<A>>,
) -> io::Result<()> {
    // SAFETY: all zeroes are valid addresses, slices of nothing, and messages without anything.
    let mut addresses: [sockaddr_storage; MANY] = unsafe { zeroed() };
    // SAFETY: as above.
    let mut slices: [iovec; MANY] = unsafe { zeroed() };
    // SAFETY: as above.
    let mut messages: [mmsghdr; MANY] = unsafe { zeroed() };
    let mut count = 0;
    for (((piece, address), slice), message) in buffer
        .chunks_exact_mut(size)
        .zip(&mut addresses)
        .zip(&mut slices)
        .zip(&mut messages)
    {
        *slice = iovec {
            iov_base: piece.as_mut_ptr().cast(),
            iov_len: piece.len(),
        };
        message.msg_hdr = message_to(address, slice);
        count += 1;
    }
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: there are `count` messages, each of which points to an address structure and a slice
    // of its own, which live until the call returns; the slices are pieces of the buffer that do not
    // overlap.
    let result = unsafe {
        let messages = messages.as_mut_ptr();
        recvmmsg(
            fd,
            messages,
            count as _,
            libc::MSG_DONTWAIT,
            ptr::null_mut(),
        )
    };
    let n = check_len(result as libc::ssize_t)?;
    let before = into.len();
    for (message, address) in messages.iter().zip(&addresses).take(n) {
        match received(&message.msg_hdr, address, message.msg_len as usize) {
            Ok(received) => into.push(received),
            Err(error) => {
                into.truncate(before);
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Receives datagrams into the pieces of `size` bytes of a buffer, and appends to `into` what is to
/// be known of them; there is at least one. `into` is as it was if that fails.
#[cfg(not(any(
    all(target_os = "linux", target_env = "gnu"),
    target_os = "freebsd",
    target_os = "netbsd"
)))]
pub(crate) fn receive_many<A: Address>(
    socket: &impl AsFd,
    buffer: &mut [u8],
    size: usize,
    into: &mut Vec<Received<A>>,
) -> io::Result<()> {
    for (i, piece) in buffer.chunks_exact_mut(size).take(MANY).enumerate() {
        match receive(socket, piece, 0) {
            Ok(received) => into.push(received),
            // What has come before is worth more than this.
            Err(_) if i > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends one datagram, to an address or to whom the socket is connected to.
pub(crate) fn send_to<A: Address>(
    socket: &impl AsFd,
    bytes: &[u8],
    to: Option<&A>,
) -> io::Result<usize> {
    let fd = socket.as_fd().as_raw_fd();
    let (pointer, len) = (bytes.as_ptr().cast(), bytes.len());
    check_len(match to {
        // SAFETY: the pointer and the length are those of the bytes.
        None => unsafe { libc::send(fd, pointer, len, NO_SIGNAL) },
        // SAFETY: as above, and the address is a whole one that lives until the call returns.
        Some(to) => to.with_raw(|to, to_len| unsafe {
            libc::sendto(fd, pointer, len, NO_SIGNAL, to, to_len)
        })?,
    })
}

/// Sends datagrams, and returns how many; at least one. The `i`-th is `datagram(i)`.
#[cfg(any(
    all(target_os = "linux", target_env = "gnu"),
    target_os = "freebsd",
    target_os = "netbsd"
))]
pub(crate) fn send_many<'a, A: Address + 'a>(
    socket: &impl AsFd,
    count: usize,
    datagram: impl Fn(usize) -> (&'a [u8], Option<&'a A>),
) -> io::Result<usize> {
    // SAFETY: all zeroes are valid addresses, slices of nothing, and messages without anything.
    let mut addresses: [sockaddr_storage; MANY] = unsafe { zeroed() };
    // SAFETY: as above.
    let mut slices: [iovec; MANY] = unsafe { zeroed() };
    // SAFETY: as above.
    let mut messages: [mmsghdr; MANY] = unsafe { zeroed() };
    let count = count.min(MANY);
    for i in 0..count {
        let (bytes, to) = datagram(i);
        slices[i] = iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        let message = &mut messages[i].msg_hdr;
        message.msg_iov = &mut slices[i];
        message.msg_iovlen = 1;
        if let Some(to) = to {
            let place = ptr::from_mut(&mut addresses[i]);
            message.msg_namelen = to.with_raw(|raw, len| {
                // SAFETY: no address structure is larger than a sockaddr_storage, and these are two
                // different ones.
                unsafe { ptr::copy_nonoverlapping(raw.cast(), place.cast::<u8>(), len as usize) };
                len
            })?;
            message.msg_name = place.cast();
        }
    }
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: there are `count` messages, each of which points to a slice and perhaps to an address,
    // which live until the call returns; it writes only the lengths in the messages.
    let result = unsafe { sendmmsg(fd, messages.as_mut_ptr(), count as _, NO_SIGNAL) };
    check_len(result as libc::ssize_t)
}

/// Sends datagrams, and returns how many; at least one. The `i`-th is `datagram(i)`.
#[cfg(not(any(
    all(target_os = "linux", target_env = "gnu"),
    target_os = "freebsd",
    target_os = "netbsd"
)))]
pub(crate) fn send_many<'a, A: Address + 'a>(
    socket: &impl AsFd,
    count: usize,
    datagram: impl Fn(usize) -> (&'a [u8], Option<&'a A>),
) -> io::Result<usize> {
    let count = count.min(MANY);
    for i in 0..count {
        let (bytes, to) = datagram(i);
        match send_to(socket, bytes, to) {
            Ok(_) => {}
            // It comes again when the rest is sent.
            Err(_) if i > 0 => return Ok(i),
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

fn slice_of(buffer: &mut [MaybeUninit<u8>]) -> iovec {
    iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    }
}

/// A message with room for an address and one slice. It points to both.
fn message_to(from: &mut sockaddr_storage, slice: &mut iovec) -> libc::msghdr {
    // SAFETY: all zeroes is a message without an address, slices and ancillary data.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = ptr::from_mut(from).cast();
    message.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
    message.msg_iov = slice;
    message.msg_iovlen = 1;
    message
}

fn received<A: Address>(
    message: &libc::msghdr,
    from: &sockaddr_storage,
    len: usize,
) -> io::Result<Received<A>> {
    Ok(Received {
        len,
        truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        from: A::from_raw(from, message.msg_namelen)?,
    })
}
