//! Receiving and sending datagrams, one or several in a call.

use std::{
    io,
    mem::{MaybeUninit, zeroed},
    os::fd::{AsFd, AsRawFd},
    ptr,
};

use libc::{c_int, iovec};

use super::{Address, address::RawAddress, bytes::NO_SIGNAL, check_len};

/// The limit on the datagrams of one call: their addresses and headers must fit on the stack.
pub(crate) const MANY: usize = 64;

/// The calls for several datagrams; other systems make one call for each.
#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))]
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

/// As [`receive`], without a flag, into the spare capacity of a vector; the datagram is appended.
pub(crate) fn receive_spare<A: Address>(
    socket: &impl AsFd,
    vector: &mut Vec<u8>,
) -> io::Result<Received<A>> {
    let received = receive_uninit(socket, vector.spare_capacity_mut(), 0)?;
    // SAFETY: the kernel has initialised that many bytes of the spare capacity, and never more than there was
    // room for.
    unsafe { vector.set_len(vector.len() + received.len) };
    Ok(received)
}

fn receive_uninit<A: Address>(
    socket: &impl AsFd,
    buffer: &mut [MaybeUninit<u8>],
    flags: c_int,
) -> io::Result<Received<A>> {
    let mut from = RawAddress::ROOM;
    let mut slice = slice_of(buffer);
    let mut message = message_to(&mut from, &mut slice);
    // SAFETY: the message points to an address structure and to one slice of the buffer, which the
    // kernel may write to and which live until the call returns.
    let result = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &mut message, flags) };
    let len = check_len(result)?;
    received(&message, &mut from, len)
}

/// Receives datagrams into the pieces of `size` bytes of a buffer, and appends their lengths and senders
/// to `into`; there is at least one. If that fails `into` is as it was.
#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))]
pub(crate) fn receive_many<A: Address>(
    socket: &impl AsFd,
    buffer: &mut [u8],
    size: usize,
    into: &mut Vec<Received<A>>,
) -> io::Result<()> {
    let mut addresses = [const { RawAddress::ROOM }; MANY];
    // SAFETY: all zeroes are slices of nothing, and messages without anything.
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
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let n = check_len(result as libc::ssize_t)?;
    let before = into.len();
    for (message, address) in messages.iter().zip(&mut addresses).take(n) {
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

/// Receives datagrams into the pieces of `size` bytes of a buffer, and appends their lengths and senders
/// to `into`; there is at least one. If that fails `into` is as it was.
#[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd")))]
pub(crate) fn receive_many<A: Address>(
    socket: &impl AsFd,
    buffer: &mut [u8],
    size: usize,
    into: &mut Vec<Received<A>>,
) -> io::Result<()> {
    for (i, piece) in buffer.chunks_exact_mut(size).take(MANY).enumerate() {
        match receive(socket, piece, 0) {
            Ok(received) => into.push(received),
            // The datagrams that were received before must not be lost.
            Err(_) if i > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends one datagram, to an address or to the one that the socket is connected to.
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
        Some(to) => {
            let to = to.to_raw()?;
            // SAFETY: as above, and the address is a whole one that lives until the call returns.
            unsafe { libc::sendto(fd, pointer, len, NO_SIGNAL, to.as_ptr(), to.len) }
        }
    })
}

/// Sends datagrams, and returns how many; at least one. The `i`-th is `datagram(i)`.
#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))]
pub(crate) fn send_many<'a, A: Address + 'a>(
    socket: &impl AsFd,
    count: usize,
    datagram: impl Fn(usize) -> (&'a [u8], Option<&'a A>),
) -> io::Result<usize> {
    let mut addresses = [const { RawAddress::ROOM }; MANY];
    // SAFETY: all zeroes are slices of nothing, and messages without anything.
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
            addresses[i] = to.to_raw()?;
            message.msg_namelen = addresses[i].len;
            message.msg_name = addresses[i].as_mut_ptr().cast();
        }
    }
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: there are `count` messages, each of which points to a slice and perhaps to an address,
    // which live until the call returns; it writes only the lengths in the messages.
    let result = unsafe { sendmmsg(fd, messages.as_mut_ptr(), count as _, NO_SIGNAL as _) };
    check_len(result as libc::ssize_t)
}

/// Sends datagrams, and returns how many; at least one. The `i`-th is `datagram(i)`.
#[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd")))]
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
            // The next call reports the error.
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
fn message_to(from: &mut RawAddress, slice: &mut iovec) -> libc::msghdr {
    // SAFETY: all zeroes is a message without an address, slices and ancillary data.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = from.as_mut_ptr().cast();
    message.msg_namelen = from.len;
    message.msg_iov = slice;
    message.msg_iovlen = 1;
    message
}

fn received<A: Address>(
    message: &libc::msghdr,
    from: &mut RawAddress,
    len: usize,
) -> io::Result<Received<A>> {
    from.len = message.msg_namelen;
    Ok(Received {
        len,
        truncated: message.msg_flags & libc::MSG_TRUNC != 0,
        from: A::from_raw(from)?,
    })
}
