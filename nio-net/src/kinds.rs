//! The kinds of descriptors: a trait for streams, one for listeners and one for datagrams.

use std::{
    net::{self, SocketAddr},
    os::{
        fd::{AsFd, OwnedFd},
        unix,
    },
};

use crate::raw::Address;

/// A file descriptor of a [`ByteStream`](crate::ByteStream).
///
/// Implement it for other descriptors that are read and written with read(2) and write(2), such as a terminal
/// or a serial line.
pub trait Stream: AsFd {
    /// Whether it is a socket: those are read and written with recv(2) and send(2).
    const SOCKET: bool;

    /// Whether a short read proves that no bytes are left. It does not if a read stops at the end of a
    /// message: a line of a terminal, a packet of a pipe (O_DIRECT on Linux), or bytes that were sent with file
    /// descriptors. If in doubt, use false: it costs one system call more for each wait, while a wrong true
    /// hangs.
    const SHORT_READ_IS_ALL: bool;

    /// Whether it can be read. Reading a stream that cannot be read does not compile.
    const READABLE: bool = true;

    /// Whether it can be written. Writing to a stream that cannot be written does not compile.
    const WRITABLE: bool = true;
}

impl Stream for net::TcpStream {
    const SOCKET: bool = true;
    const SHORT_READ_IS_ALL: bool = true;
}

impl Stream for unix::net::UnixStream {
    const SOCKET: bool = true;
    /// A read stops after bytes that were sent with file descriptors.
    const SHORT_READ_IS_ALL: bool = false;
}

/// A socket of the standard library that accepts connections.
pub trait Listen: AsFd + 'static {
    /// The connections.
    type Stream: Stream + From<OwnedFd>;
    /// The addresses.
    type Address: Address;
}

impl Listen for net::TcpListener {
    type Stream = net::TcpStream;
    type Address = SocketAddr;
}

impl Listen for unix::net::UnixListener {
    type Stream = unix::net::UnixStream;
    type Address = unix::net::SocketAddr;
}

/// A socket of the standard library that receives and sends datagrams.
pub trait Datagrams: AsFd {
    /// The addresses.
    type Address: Address;

    /// Whether a send can find the receiver's queue full. The kernel does not report when there is
    /// room again.
    const WAITS_FOR_RECEIVER: bool;
}

impl Datagrams for net::UdpSocket {
    type Address = SocketAddr;
    const WAITS_FOR_RECEIVER: bool = false;
}

impl Datagrams for unix::net::UnixDatagram {
    type Address = unix::net::SocketAddr;
    const WAITS_FOR_RECEIVER: bool = true;
}
