//! Multicast: what a UDP socket receives as a member of a group, and sends to one.
//!
//! The laws:
//!
//! 1. Joining is for receiving only, and the other options are for sending only: one who sends need
//!    not be a member.
//! 2. An option is for one version of IP, which must be that of the socket. (Linux has those of
//!    version 4 for sockets of version 6, too.)

use std::{
    io,
    net::{self, Ipv4Addr, Ipv6Addr},
};

use libc::{c_int, c_uint};

use crate::{
    datagram::DatagramSocket,
    options::{Name, name},
};

const INTERFACE_V4: Name = name!(IPPROTO_IP, IP_MULTICAST_IF);
const INTERFACE_V6: Name = name!(IPPROTO_IPV6, IPV6_MULTICAST_IF);
const HOPS_V6: Name = name!(IPPROTO_IPV6, IPV6_MULTICAST_HOPS);

/// Multicast.
impl DatagramSocket<net::UdpSocket> {
    /// Receives what is sent to a group, by the interface of an address (the unspecified one lets the
    /// system choose).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.get_ref().join_multicast_v4(&group, &interface)
    }

    /// Leaves a group.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.get_ref().leave_multicast_v4(&group, &interface)
    }

    /// Receives what is sent to a group, by the interface of an index (0 lets the system choose).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.get_ref().join_multicast_v6(&group, interface)
    }

    /// Leaves a group.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.get_ref().leave_multicast_v6(&group, interface)
    }

    /// Whether members on this machine receive what is sent to a group (IP_MULTICAST_LOOP): they do
    /// if nothing else is said.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_multicast_loop_v4(&self, receive: bool) -> io::Result<()> {
        self.get_ref().set_multicast_loop_v4(receive)
    }

    /// Whether members on this machine receive what is sent to a group.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.get_ref().multicast_loop_v4()
    }

    /// As [`set_multicast_loop_v4`](Self::set_multicast_loop_v4), of version 6
    /// (IPV6_MULTICAST_LOOP).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_multicast_loop_v6(&self, receive: bool) -> io::Result<()> {
        self.get_ref().set_multicast_loop_v6(receive)
    }

    /// As [`multicast_loop_v4`](Self::multicast_loop_v4), of version 6.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.get_ref().multicast_loop_v6()
    }

    /// How far what is sent to a group goes (IP_MULTICAST_TTL): 1, if nothing else is said, is this
    /// network, and each router takes one off; 0 is this machine.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is more than 255; those of setsockopt(2).
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        // Where the option is a byte, what does not fit would be cut off; and to Linux, the largest
        // number is -1, which says nothing.
        if ttl > u8::MAX.into() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.get_ref().set_multicast_ttl_v4(ttl)
    }

    /// How far what is sent to a group goes.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.get_ref().multicast_ttl_v4()
    }

    /// As [`set_multicast_ttl_v4`](Self::set_multicast_ttl_v4), of version 6, which calls it
    /// hops (IPV6_MULTICAST_HOPS).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if they are more than 255; those of
    /// setsockopt(2).
    pub fn set_multicast_hops_v6(&self, hops: u32) -> io::Result<()> {
        let hops = c_int::try_from(hops).unwrap_or(c_int::MAX);
        Ok(self.options().set_value(HOPS_V6, hops)?)
    }

    /// As [`multicast_ttl_v4`](Self::multicast_ttl_v4), of version 6.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn multicast_hops_v6(&self) -> io::Result<u32> {
        let hops: c_int = self.options().value(HOPS_V6)?;
        Ok(hops.unsigned_abs())
    }

    /// The interface that what is sent to a group goes out by: that of an address of this machine
    /// (IP_MULTICAST_IF). The unspecified address lets the system choose, as it does if nothing else is
    /// said.
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

    /// The address of the interface that what is sent to a group goes out by; the unspecified one if
    /// the system chooses. Where the interface has several, it may be another than the one that was
    /// [set](Self::set_multicast_interface_v4).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn multicast_interface_v4(&self) -> io::Result<Ipv4Addr> {
        let interface: libc::in_addr = self.options().value(INTERFACE_V4)?;
        Ok(u32::from_be(interface.s_addr).into())
    }

    /// The interface that what is sent to a group of version 6 goes out by: that of an index
    /// (IPV6_MULTICAST_IF). 0 lets the system choose, as it does if nothing else is said.
    ///
    /// # Errors
    ///
    /// An error if there is no such interface: which one, is different from system to system. Those
    /// of setsockopt(2).
    pub fn set_multicast_interface_v6(&self, interface: u32) -> io::Result<()> {
        let interface: c_uint = interface;
        Ok(self.options().set_value(INTERFACE_V6, interface)?)
    }

    /// The index of the interface that what is sent to a group of version 6 goes out by; 0 if the
    /// system chooses.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn multicast_interface_v6(&self) -> io::Result<u32> {
        let interface: c_uint = self.options().value(INTERFACE_V6)?;
        Ok(interface)
    }
}
