//! UDP sockets, with the multicast options that the standard library does not have.

use std::{
    future::poll_fn,
    io,
    net::{self, Ipv4Addr, SocketAddr},
};

use libc::{c_int, c_uint};
use nio_loop::{Handle, poll_budget};

use crate::{
    DatagramSocket, Error, Options, ToAddresses,
    address::{Addresses, numeric},
    options::{Name, name},
    raw, resolve,
    resolve::look_up,
    tcp_listener::is_foreign,
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
/// event_loop.block_on(async {
///     let one = UdpSocket::bind(&handle, "127.0.0.1:0").await?;
///     let other = UdpSocket::bind(&handle, "127.0.0.1:0").await?;
///     one.send_to(b"hello", other.local_addr()?).await?;
///     let mut bytes = [0; 2048];
///     let (n, from) = other.recv_from(&mut bytes).await?;
///     assert_eq!((&bytes[..n], from), (&b"hello"[..], one.local_addr()?));
///     Ok(())
/// })?
/// # }
/// ```
///
/// Broadcast, the multicast TTL, and joining and leaving multicast groups, are operations of the standard library's
/// socket: [`get_ref`](DatagramSocket::get_ref).
#[doc(alias = "dgram.Socket")]
#[doc(alias = "uv_udp_t")]
pub type UdpSocket = DatagramSocket<net::UdpSocket>;

impl DatagramSocket<net::UdpSocket> {
    /// A socket bound to an address of this machine. With port 0 the system chooses a port; the unspecified
    /// address (`0.0.0.0`, `[::]`) receives for all addresses. Of several addresses, or a host name that has
    /// several, it uses the first that this machine has.
    ///
    /// # Errors
    ///
    /// [`Error::LocalAddress`] with the address; [`Error::Address`] if
    /// it is no address; [`Error::Resolve`] with the name; [`Error::Loop`] if the loop is gone.
    #[doc(alias = "dgram.createSocket")]
    #[doc(alias = "uv_udp_bind")]
    pub async fn bind(handle: &Handle, to: impl ToAddresses) -> Result<UdpSocket, Error> {
        UdpSocket::bind_with(handle, to, |_| Ok(())).await
    }

    /// As [`bind`](Self::bind), with options that must be set before, such as
    /// [`set_reuse_port`](Options::set_reuse_port) for several receivers of one multicast group.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind); an error of `set`, as it is.
    pub async fn bind_with(
        handle: &Handle,
        to: impl ToAddresses,
        mut set: impl FnMut(Options<'_>) -> Result<(), Error>,
    ) -> Result<UdpSocket, Error> {
        let addresses = resolve(handle, to).await?;
        let socket = try_each(&addresses, is_foreign, |address| bound(address, &mut set))?;
        Ok(DatagramSocket::new(handle, socket)?)
    }

    /// Connects the socket to an address, without any traffic: it [sends](Self::send) to the address,
    /// receives from no other, and reports an error if no socket is bound there. Of several addresses, or a host
    /// name that has several, it uses the first that the socket can send to: one of its version of IP with a
    /// route.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] with the address; [`Error::Address`] if it is no address;
    /// [`Error::Resolve`] with the name; [`Error::Loop`] if the loop is gone.
    #[doc(alias = "uv_udp_connect")]
    pub async fn connect(&self, to: impl ToAddresses) -> Result<(), Error> {
        let addresses = resolve(self.handle(), to).await?;
        let is_unreachable = |error: &Error| matches!(error, Error::Connect { source, .. } if is_unreachable(source));
        try_each(&addresses, is_unreachable, |address| {
            let connected = raw::connect(self, &address).map(drop);
            connected.map_err(|source| Error::Connect { address, source })
        })
    }

    /// Sends a datagram to an address, or waits until there is room for it. If the future is dropped,
    /// nothing has been sent. Of several addresses, or a host name that has several, it uses the first that
    /// the socket can send to. A name is looked up each time: to send often, [`resolve`] it once.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); an [`Error`] if it is no address, or its name cannot be looked up.
    #[doc(alias = "uv_udp_send")]
    pub async fn send_to(&self, bytes: &[u8], to: impl ToAddresses) -> io::Result<usize> {
        let addresses = match to.to_addresses() {
            Ok(Addresses::One(address)) => return self.send_to_one(bytes, &address).await,
            Ok(Addresses::Several(addresses)) => addresses,
            Ok(Addresses::Host(host)) => look_up(self.handle(), &host).await?,
            Err(error) => {
                poll_fn(poll_budget).await;
                return Err(error.into());
            }
        };
        let (last, others) = addresses.split_last().expect("at least one address");
        for address in others {
            match self.send_to_one(bytes, address).await {
                Err(error) if is_unreachable(&error) => {}
                result => return result,
            }
        }
        self.send_to_one(bytes, last).await
    }

    /// As [`send_to`](Self::send_to), without waiting: to the first address, and no host name is
    /// looked up.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room; those of
    /// [`send_to`](Self::send_to).
    pub fn try_send_to(&self, bytes: &[u8], to: impl ToAddresses) -> io::Result<usize> {
        self.try_send_to_one(bytes, &numeric(to)?[0])
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
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
        Ok(self.options().set_value(HOPS_V6, hops, &hops)?)
    }

    /// How many routers a packet to a multicast group of IP version 6 may pass, plus one.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
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
        let address = libc::in_addr {
            s_addr: u32::from(interface).to_be(),
        };
        let options = self.options();
        Ok(options.set_value(INTERFACE_V4, address, &interface)?)
    }

    /// The address of the interface by which packets to multicast groups of IP version 4 are sent;
    /// the unspecified one if the system chooses. Where the interface has several addresses, it may be
    /// another than the one that was [set](Self::set_multicast_interface_v4).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
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
        Ok(self
            .options()
            .set_value(INTERFACE_V6, interface, &interface)?)
    }

    /// The index of the interface by which packets to multicast groups of IP version 6 are sent; 0 if
    /// the system chooses.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn multicast_interface_v6(&self) -> io::Result<u32> {
        let interface: c_uint = self.options().value(INTERFACE_V6)?;
        Ok(interface)
    }
}

/// A socket that is bound to an address.
fn bound(
    address: SocketAddr,
    set: &mut impl FnMut(Options<'_>) -> Result<(), Error>,
) -> Result<net::UdpSocket, Error> {
    let fail = |source| Error::LocalAddress { address, source };
    let family = match address {
        SocketAddr::V4(_) => libc::AF_INET,
        SocketAddr::V6(_) => libc::AF_INET6,
    };
    let socket = raw::socket(family, libc::SOCK_DGRAM).map_err(fail)?;
    set(Options::of(&socket))?;
    raw::bind(&socket, &address).map_err(fail)?;
    Ok(socket.into())
}

/// Tries one address after the other, as long as the error is `passed_over`. There must be at least one.
fn try_each<T>(
    addresses: &[SocketAddr],
    passed_over: impl Fn(&Error) -> bool,
    mut attempt: impl FnMut(SocketAddr) -> Result<T, Error>,
) -> Result<T, Error> {
    let (last, others) = addresses.split_last().expect("at least one address");
    for address in others {
        match attempt(*address) {
            Err(error) if passed_over(&error) => {}
            result => return result,
        }
    }
    attempt(*last)
}

/// Whether a socket cannot send to an address: it is of the other version of IP, or has no route.
fn is_unreachable(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EAFNOSUPPORT
                | libc::EINVAL
                | libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::EADDRNOTAVAIL
        )
    )
}
