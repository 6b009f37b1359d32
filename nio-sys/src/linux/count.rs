//! The amounts, the error and the past of a socket or pipe, asked by system calls.
//!
//! A BSD kernel has them when it makes an event. Here an amount, for queues that ask for the `data` of READ and WRITE,
//! takes one to three system calls.

use std::{mem::size_of, os::fd::RawFd, ptr};

use libc::{Ioctl, c_int, c_void, socklen_t};

/// The bytes that can be read, or the connections that can be accepted; 1 if there are some but the number is
/// not known.
pub(super) fn readable(fd: RawFd) -> i64 {
    if let Some(bytes) = ioctl(fd, libc::FIONREAD) {
        return bytes;
    }
    // A listener has no bytes. A TCP listener knows the length of its queue (K112).
    tcp_info(fd).map_or(1, |info| i64::from(info.tcpi_unacked))
}

/// Whether a TCP socket without a connection has listened or begun to connect before. The kernel sets the size of
/// the received segments when it disconnects a socket (Linux 4.14); that of a new socket is 0.
pub(super) fn was_disconnected(fd: RawFd) -> bool {
    tcp_info(fd).is_some_and(|info| info.tcpi_rcv_mss != 0)
}

fn tcp_info(fd: RawFd) -> Option<libc::tcp_info> {
    // SAFETY: all zeroes is a valid tcp_info.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, &mut info).then_some(info)
}

/// About how many bytes can be written without blocking; at least 1, as the descriptor is writable.
pub(super) fn writable(fd: RawFd) -> i64 {
    let mut size: c_int = 0;
    let (room, used) = if option(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, &mut size) {
        (i64::from(size), ioctl(fd, libc::TIOCOUTQ))
    } else {
        // SAFETY: F_GETPIPE_SZ takes no further argument; a descriptor that is no pipe answers with an error.
        let size = unsafe { libc::fcntl(fd, libc::F_GETPIPE_SZ) };
        (i64::from(size), ioctl(fd, libc::FIONREAD))
    };
    (room - used.unwrap_or(0)).max(1)
}

/// Takes the pending error of a socket; 0 if it has none, or is no socket.
pub(super) fn take_error(fd: RawFd) -> u32 {
    let mut error: c_int = 0;
    option(fd, libc::SOL_SOCKET, libc::SO_ERROR, &mut error);
    error.unsigned_abs()
}

/// An ioctl(2) that answers with an int.
fn ioctl(fd: RawFd, request: Ioctl) -> Option<i64> {
    let mut answer: c_int = 0;
    // SAFETY: the requests that this module makes write one int, which lives until the call returns.
    let result = unsafe { libc::ioctl(fd, request, ptr::from_mut(&mut answer)) };
    (result == 0).then_some(i64::from(answer))
}

/// A getsockopt(2) into a value of plain integers. Returns whether it succeeded.
fn option<T>(fd: RawFd, level: c_int, name: c_int, value: &mut T) -> bool {
    let mut length = size_of::<T>() as socklen_t;
    let pointer = ptr::from_mut(value).cast::<c_void>();
    // SAFETY: the kernel writes at most `length` bytes, which is the size of the value; any bytes
    // are a valid value, as callers pass only integers and structs of integers.
    unsafe { libc::getsockopt(fd, level, name, pointer, &mut length) == 0 }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        os::{fd::AsRawFd, unix::net::UnixStream},
    };

    use super::*;

    #[test]
    fn k105_the_bytes_of_a_socket_are_counted() {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        writer.write_all(&[0; 100]).unwrap();
        assert_eq!(readable(reader.as_raw_fd()), 100);
    }

    #[test]
    fn k112_the_connections_of_a_listener_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        assert_eq!(readable(listener.as_raw_fd()), 2);
        listener.accept().unwrap();
        assert_eq!(readable(listener.as_raw_fd()), 1);
    }

    #[test]
    fn k119_the_room_of_a_socket_is_the_free_part_of_its_buffer() {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let empty = writable(writer.as_raw_fd());
        writer.write_all(&[0; 1000]).unwrap();
        assert!(writable(writer.as_raw_fd()) < empty);
        drop(reader);
    }
}
