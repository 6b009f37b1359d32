//! What bytes go through: the descriptors that a [`ByteStream`](crate::ByteStream) can be of, and
//! what the sockets of the standard library have in common.

use std::{
    io,
    net::{self, SocketAddr},
    os::{fd::AsFd, unix},
};

use crate::raw;

/// A descriptor that bytes go through, and how.
///
/// [`ByteStream`](crate::ByteStream) is of such a one. Implement it, with [`Readable`] or
/// [`Writable`] or both, for another descriptor that is read and written with read(2) and write(2):
/// a terminal, a serial line.
pub trait Channel: AsFd {
    /// Whether it is a socket, so that it is read and written with recv(2) and send(2).
    const SOCKET: bool;

    /// Whether nothing is left when a read has taken less than it had room for. It is not so where
    /// reads keep to the borders of messages: of a terminal's lines, or of what was sent along with
    /// descriptors over a Unix socket. When in doubt, no: it costs one more system call for each
    /// time that one waits, and a wrong yes waits for ever.
    const SHORT_READ_IS_ALL: bool;
}

/// A [`Channel`] that bytes come out of.
pub trait Readable: Channel {}

/// A [`Channel`] that bytes go into.
pub trait Writable: Channel {}

impl Channel for net::TcpStream {
    const SOCKET: bool = true;
    const SHORT_READ_IS_ALL: bool = true;
}
impl Readable for net::TcpStream {}
impl Writable for net::TcpStream {}

/// What the sockets of the standard library have in common.
pub trait Socket: AsFd {
    /// What its addresses are.
    type Address: raw::Address;

    /// The address of this side.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    fn local_addr(&self) -> io::Result<Self::Address>;

    /// The error that the socket has come to, which is forgotten by being asked for (SO_ERROR).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    fn take_error(&self) -> io::Result<Option<io::Error>>;

    /// Whether operations that would block are errors instead.
    ///
    /// # Errors
    ///
    /// Those of fcntl(2).
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
}

macro_rules! sockets {
    ($($socket:ty, $address:ty;)*) => {$(
        impl Socket for $socket {
            type Address = $address;

            fn local_addr(&self) -> io::Result<$address> {
                self.local_addr()
            }

            fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.take_error()
            }

            fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                self.set_nonblocking(nonblocking)
            }
        }
    )*};
}

sockets! {
    net::TcpStream, SocketAddr;
    net::TcpListener, SocketAddr;
    net::UdpSocket, SocketAddr;
    unix::net::UnixStream, unix::net::SocketAddr;
    unix::net::UnixListener, unix::net::SocketAddr;
    unix::net::UnixDatagram, unix::net::SocketAddr;
}
