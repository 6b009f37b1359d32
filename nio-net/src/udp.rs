//! UDP sockets, with the multicast options that the standard library does not have.

use std::{
    io,
    net::{self, Ipv4Addr, SocketAddr},
};

use libc::{c_int, c_uint};
use nio_loop::Handle;

use crate::{
    DatagramSocket, Error, Options,
    options::{Name, name},
    raw,
};

const INTERFACE_V4: Name = name!(IPPROTO_IP, IP_MULTICAST_IF);
const INTERFACE_V6: Name = name!(IPPROTO_IPV6, IPV6_MULTICAST_IF);
const HOPS_V6: Name = name!(IPPROTO_IPV6, IPV6_MULTICAST_HOPS);

/// A UDP socket.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::UdpSocket;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// let one = UdpSocket::bind(&handle, "127.0.0.1:0".parse()?)?;
/// let other = UdpSocket::bind(&handle, "127.0.0.1:0".parse()?)?;
/// let address = other.local_addr()?;
/// event_loop.block_on(async {
///     one.send_to(b"hello", &address).await?;
///     let mut bytes = [0; 2048];
///     let (n, from) = other.recv_from(&mut bytes).await?;
///     assert_eq!((&bytes[..n], from), (&b"hello"[..], one.local_addr()?));
///     Ok(())
/// })?
/// # }
/// ```
///
/// Broadcast, and joining and leaving multicast groups, are operations of the standard library's
/// socket: [`get_ref`](DatagramSocket::get_ref).
pub type UdpSocket = DatagramSocket<net::UdpSocket>;

impl DatagramSocket<net::UdpSocket> {
    /// A socket bound to an address of this machine. Port 0 lets the system choose one; the
    /// unspecified address (`0.0.0.0`, `[::]`) receives for all of them.
    ///
    /// # Errors
    ///
    /// [`Error::LocalAddress`] with the address; [`Error::Loop`] if the loop is gone.
    pub fn bind(handle: &Handle, address: SocketAddr) -> Result<UdpSocket, Error> {
        UdpSocket::bind_with(handle, address, |_| Ok(()))
    }

    /// As [`bind`](Self::bind), with options that must be set before, such as
    /// [`set_reuse_port`](Options::set_reuse_port) for several receivers of one multicast group. An error
    /// of `set` is returned as it is.
    pub fn bind_with(
        handle: &Handle,
        address: SocketAddr,
        set: impl FnOnce(Options<'_>) -> Result<(), Error>,
    ) -> Result<UdpSocket, Error> {
        let fail = |source| Error::LocalAddress { address, source };
        let family = match address {
            SocketAddr::V4(_) => libc::AF_INET,
            SocketAddr::V6(_) => libc::AF_INET6,
        };
        let socket = raw::socket(family, libc::SOCK_DGRAM).map_err(fail)?;
        set(Options::of(&socket))?;
        raw::bind(&socket, &address).map_err(fail)?;
        Ok(DatagramSocket::new(handle, socket.into())?)
    }

    /// Connects the socket to an address, without any traffic: it [sends](Self::send) to the address,
    /// receives from no other, and reports if no socket is there.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] with the address.
    pub fn connect(&self, address: SocketAddr) -> Result<(), Error> {
        let connected = self.get_ref().connect(address);
        connected.map_err(|source| Error::Connect { address, source })
    }

    /// The address that the socket is connected to.
    /// [`NotConnected`](io::ErrorKind::NotConnected) if it is not.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    /// How many routers a packet to a multicast group of IP version 4 may pass, plus one
    /// (IP_MULTICAST_TTL): 1, the default, is this network; 0 is this machine. The standard library's
    /// function cuts numbers off that do not fit into the option.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is more than 255; those of setsockopt(2).
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        if ttl > u8::MAX.into() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.get_ref().set_multicast_ttl_v4(ttl)
    }

    /// How many routers a packet to a multicast group of IP version 6 may pass, plus one
    /// (IPV6_MULTICAST_HOPS): 1, the default, is this network; 0 is this machine.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if they are more than 255; those of
    /// setsockopt(2).
    pub fn set_multicast_hops_v6(&self, hops: u32) -> io::Result<()> {
        let hops = c_int::try_from(hops).unwrap_or(c_int::MAX);
        Ok(self.options().set_value(HOPS_V6, hops)?)
    }

    /// How many routers a packet to a multicast group of IP version 6 may pass, plus one.
    pub fn multicast_hops_v6(&self) -> io::Result<u32> {
        let hops: c_int = self.options().value(HOPS_V6)?;
        Ok(hops.unsigned_abs())
    }

    /// Sends packets to multicast groups of IP version 4 by the interface that has this address
    /// (IP_MULTICAST_IF). The unspecified address lets the system choose, as by default.
    ///
    /// # Errors
    ///
    /// [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable) if no interface has the address; those
    /// of setsockopt(2).
    pub fn set_multicast_interface_v4(&self, interface: Ipv4Addr) -> io::Result<()> {
        let interface = libc::in_addr {
            s_addr: u32::from(interface).to_be(),
        };
        Ok(self.options().set_value(INTERFACE_V4, interface)?)
    }

    /// The address of the interface by which packets to multicast groups of IP version 4 are sent;
    /// the unspecified one if the system chooses. Where the interface has several addresses, it may be
    /// another than the one that was [set](Self::set_multicast_interface_v4).
    pub fn multicast_interface_v4(&self) -> io::Result<Ipv4Addr> {
        let interface: libc::in_addr = self.options().value(INTERFACE_V4)?;
        Ok(u32::from_be(interface.s_addr).into())
    }

    /// Sends packets to multicast groups of IP version 6 by the interface of this index
    /// (IPV6_MULTICAST_IF). 0 lets the system choose, as by default.
    ///
    /// # Errors
    ///
    /// An error that differs from system to system if there is no such interface; those of
    /// setsockopt(2).
    pub fn set_multicast_interface_v6(&self, interface: u32) -> io::Result<()> {
        let interface: c_uint = interface;
        Ok(self.options().set_value(INTERFACE_V6, interface)?)
    }

    /// The index of the interface by which packets to multicast groups of IP version 6 are sent; 0 if
    /// the system chooses.
    pub fn multicast_interface_v6(&self) -> io::Result<u32> {
        let interface: c_uint = self.options().value(INTERFACE_V6)?;
        Ok(interface)
    }
}
