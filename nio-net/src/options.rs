//! The options of a socket, for all types of sockets.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use libc::c_int;

use crate::{
    Error,
    raw::{self, options::Value},
};

/// The options of a socket, to be looked at and changed at any time of its life.
///
/// Get it from a socket by its `options`, or for any other socket by [`of`](Options::of). Every function
/// that fails returns an [`Error::Option`] with the name of the option, also if the kind of socket or the system
/// does not have the option.
///
/// ```
/// # use std::time::Duration;
/// # use nio_net::{Keepalive, TcpSocket};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let socket = TcpSocket::new_v4()?;
/// socket.options().set_nodelay(true)?;
/// socket.options().set_keepalive(Some(Keepalive {
///     idle: Some(Duration::from_secs(60)),
///     ..Keepalive::default()
/// }))?;
/// assert!(socket.options().nodelay()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    socket: BorrowedFd<'a>,
}

/// How a TCP connection without traffic probes whether the peer is still alive. `None` keeps the system's
/// default: on most systems two hours, then every 75 seconds, eight or nine times.
///
/// Durations are of whole seconds, at least one; parts of a second are rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// The time without traffic before the first probe.
    pub idle: Option<Duration>,
    /// The time between two probes.
    pub interval: Option<Duration>,
    /// The number of probes without an answer after which the connection fails.
    pub count: Option<u32>,
}

/// An option: its name, level and number.
pub(crate) type Name = (&'static str, c_int, c_int);

/// Makes a [`Name`] of the name in the C header.
macro_rules! name {
    ($level:ident, $name:ident) => {
        (stringify!($name), libc::$level, libc::$name)
    };
}
pub(crate) use name;

/// The names of the options of [`Keepalive`], which are not the same everywhere, and which OpenBSD
/// has for all connections together only.
#[cfg(target_vendor = "apple")]
const IDLE: Option<Name> = Some(name!(IPPROTO_TCP, TCP_KEEPALIVE));
#[cfg(not(any(target_vendor = "apple", target_os = "openbsd")))]
const IDLE: Option<Name> = Some(name!(IPPROTO_TCP, TCP_KEEPIDLE));
#[cfg(not(target_os = "openbsd"))]
const INTERVAL: Option<Name> = Some(name!(IPPROTO_TCP, TCP_KEEPINTVL));
#[cfg(not(target_os = "openbsd"))]
const COUNT: Option<Name> = Some(name!(IPPROTO_TCP, TCP_KEEPCNT));
#[cfg(target_os = "openbsd")]
const IDLE: Option<Name> = None;
#[cfg(target_os = "openbsd")]
const INTERVAL: Option<Name> = None;
#[cfg(target_os = "openbsd")]
const COUNT: Option<Name> = None;

/// The option that makes the kernel spread connections over listeners of one address. On macOS, NetBSD and
/// OpenBSD, SO_REUSEPORT gives all connections to one listener.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "dragonfly"))]
const SPREAD: Option<Name> = Some(name!(SOL_SOCKET, SO_REUSEPORT));
#[cfg(target_os = "freebsd")]
const SPREAD: Option<Name> = Some(name!(SOL_SOCKET, SO_REUSEPORT_LB));
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd"
)))]
const SPREAD: Option<Name> = None;

/// Lingering, in seconds: SO_LINGER counts clock ticks on Apple's systems.
#[cfg(target_vendor = "apple")]
const LINGER: Name = name!(SOL_SOCKET, SO_LINGER_SEC);
#[cfg(not(target_vendor = "apple"))]
const LINGER: Name = name!(SOL_SOCKET, SO_LINGER);

impl<'a> Options<'a> {
    /// The options of any socket.
    #[must_use]
    pub fn of(socket: &'a impl AsFd) -> Options<'a> {
        let socket = socket.as_fd();
        Options { socket }
    }

    /// Allows binding to an address with old connections in TIME_WAIT (SO_REUSEADDR). Set it before binding.
    pub fn set_reuse_addr(self, reuse: bool) -> Result<(), Error> {
        self.set(name!(SOL_SOCKET, SO_REUSEADDR), reuse.into())
    }

    /// Whether such an address may be bound.
    pub fn reuse_addr(self) -> Result<bool, Error> {
        self.is(name!(SOL_SOCKET, SO_REUSEADDR))
    }

    /// Allows several sockets, each with this option, to be bound to one address and port (SO_REUSEPORT). Linux
    /// spreads connections and datagrams over them; on other systems one of them may get all. Set it before
    /// binding.
    pub fn set_reuse_port(self, reuse: bool) -> Result<(), Error> {
        self.set(name!(SOL_SOCKET, SO_REUSEPORT), reuse.into())
    }

    /// Whether several sockets may be bound to one address and port.
    pub fn reuse_port(self) -> Result<bool, Error> {
        self.is(name!(SOL_SOCKET, SO_REUSEPORT))
    }

    /// Allows several listeners of one address, over which the kernel spreads connections. Returns false if the
    /// system does not spread them, as FreeBSD before 12.
    pub(crate) fn spread_connections(self) -> bool {
        SPREAD.is_some_and(|name| self.set(name, 1).is_ok())
    }

    /// Whether a socket of IP version 6 is for that version only, so that the same port of version 4
    /// can be bound beside it (IPV6_V6ONLY). Set it before binding. On OpenBSD it is always on.
    pub fn set_only_v6(self, only: bool) -> Result<(), Error> {
        self.set(name!(IPPROTO_IPV6, IPV6_V6ONLY), only.into())
    }

    /// Whether a socket of IP version 6 is for that version only.
    pub fn only_v6(self) -> Result<bool, Error> {
        self.is(name!(IPPROTO_IPV6, IPV6_V6ONLY))
    }

    /// How many routers a packet may pass (IP_TTL, IPV6_UNICAST_HOPS).
    pub fn set_ttl(self, ttl: u32) -> Result<(), Error> {
        self.set(self.ttl_name()?, clamped(ttl))
    }

    /// How many routers a packet may pass.
    pub fn ttl(self) -> Result<u32, Error> {
        Ok(self.get(self.ttl_name()?)?.unsigned_abs())
    }

    fn ttl_name(self) -> Result<Name, Error> {
        self.by_version(
            name!(IPPROTO_IP, IP_TTL),
            name!(IPPROTO_IPV6, IPV6_UNICAST_HOPS),
        )
    }

    /// The option of the socket's version of IP.
    fn by_version(self, v4: Name, v6: Name) -> Result<Name, Error> {
        match raw::local_addr(&self.socket).map_err(|source| of_option(v4, source))? {
            SocketAddr::V4(_) => Ok(v4),
            SocketAddr::V6(_) => Ok(v6),
        }
    }

    /// Sets the traffic class of packets: six bits that tell routers how to treat them (DSCP), then two for
    /// congestion, which TCP sets by itself (IP_TOS, IPV6_TCLASS; RFC 2474).
    #[doc(alias = "tos")]
    #[doc(alias = "dscp")]
    pub fn set_traffic_class(self, class: u8) -> Result<(), Error> {
        self.set(self.traffic_class_name()?, class.into())
    }

    /// The traffic class of packets.
    pub fn traffic_class(self) -> Result<u8, Error> {
        // IPv6 has -1 for the default, which is 0.
        let class = self.get(self.traffic_class_name()?)?.max(0);
        Ok(class as u8)
    }

    fn traffic_class_name(self) -> Result<Name, Error> {
        self.by_version(name!(IPPROTO_IP, IP_TOS), name!(IPPROTO_IPV6, IPV6_TCLASS))
    }

    /// Whether small writes are sent at once (TCP_NODELAY), or may be delayed and joined (Nagle's algorithm).
    pub fn set_nodelay(self, nodelay: bool) -> Result<(), Error> {
        self.set(name!(IPPROTO_TCP, TCP_NODELAY), nodelay.into())
    }

    /// Whether small writes are sent at once.
    pub fn nodelay(self) -> Result<bool, Error> {
        self.is(name!(IPPROTO_TCP, TCP_NODELAY))
    }

    /// Turns keepalive probes on or off (SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT). OpenBSD has
    /// only one setting for the whole system, so there every field must be `None`.
    ///
    /// # Errors
    ///
    /// [`Error::Option`]; then SO_KEEPALIVE has not changed.
    #[doc(alias = "setKeepAlive")]
    #[doc(alias = "uv_tcp_keepalive")]
    pub fn set_keepalive(self, keepalive: Option<Keepalive>) -> Result<(), Error> {
        if let Some(Keepalive {
            idle,
            interval,
            count,
        }) = keepalive
        {
            self.set_if_some(IDLE, "TCP_KEEPIDLE", idle.map(seconds))?;
            self.set_if_some(INTERVAL, "TCP_KEEPINTVL", interval.map(seconds))?;
            self.set_if_some(COUNT, "TCP_KEEPCNT", count.map(clamped))?;
        }
        self.set(name!(SOL_SOCKET, SO_KEEPALIVE), keepalive.is_some().into())
    }

    /// The keepalive probes; `None` if they are off. A field is `None` if the system does not report it.
    pub fn keepalive(self) -> Result<Option<Keepalive>, Error> {
        if !self.is(name!(SOL_SOCKET, SO_KEEPALIVE))? {
            return Ok(None);
        }
        let get = |name: Option<Name>| match name.map(|name| self.get(name)).transpose() {
            // NetBSD can set these options but not read them.
            Err(Error::Option { source, .. })
                if source.raw_os_error() == Some(libc::ENOPROTOOPT) =>
            {
                Ok(None)
            }
            result => result,
        };
        let duration = |seconds: c_int| Duration::from_secs(seconds.unsigned_abs().into());
        Ok(Some(Keepalive {
            idle: get(IDLE)?.map(duration),
            interval: get(INTERVAL)?.map(duration),
            count: get(COUNT)?.map(c_int::unsigned_abs),
        }))
    }

    /// Sets how closing treats unsent bytes (SO_LINGER). `None`: closing returns at once, and the system goes on
    /// sending. Zero: they are discarded, and the connection is reset. A longer duration, of whole seconds:
    /// closing *blocks* the loop until they are sent, at most for this time.
    #[doc(alias = "resetAndDestroy")]
    #[doc(alias = "uv_tcp_close_reset")]
    pub fn set_linger(self, linger: Option<Duration>) -> Result<(), Error> {
        let value = libc::linger {
            l_onoff: linger.is_some().into(),
            l_linger: linger.map_or(0, whole_seconds),
        };
        self.set_value(LINGER, value, &format_args!("{linger:?}"))
    }

    /// How closing treats unsent bytes.
    pub fn linger(self) -> Result<Option<Duration>, Error> {
        let value: libc::linger = self.value(LINGER)?;
        let seconds = u64::from(value.l_linger.unsigned_abs());
        Ok((value.l_onoff != 0).then_some(Duration::from_secs(seconds)))
    }

    /// Sets the size of the send buffer, in bytes (SO_SNDBUF). The system may round it; Linux doubles it, for its
    /// own data.
    pub fn set_send_buffer_size(self, bytes: usize) -> Result<(), Error> {
        self.set(name!(SOL_SOCKET, SO_SNDBUF), clamped(bytes))
    }

    /// The size of the send buffer, in bytes.
    pub fn send_buffer_size(self) -> Result<usize, Error> {
        Ok(self.get(name!(SOL_SOCKET, SO_SNDBUF))?.unsigned_abs() as usize)
    }

    /// Sets the size of the receive buffer, in bytes (SO_RCVBUF), rounded as for the
    /// [send buffer](Options::set_send_buffer_size). Set it before connecting or listening, when TCP announces
    /// its window scale to the peer.
    pub fn set_receive_buffer_size(self, bytes: usize) -> Result<(), Error> {
        self.set(name!(SOL_SOCKET, SO_RCVBUF), clamped(bytes))
    }

    /// The size of the receive buffer, in bytes.
    pub fn receive_buffer_size(self) -> Result<usize, Error> {
        Ok(self.get(name!(SOL_SOCKET, SO_RCVBUF))?.unsigned_abs() as usize)
    }

    fn set(self, name: Name, value: c_int) -> Result<(), Error> {
        self.set_value(name, value, &value)
    }

    /// Sets an option with a value of any type; `text` is the value in errors.
    pub(crate) fn set_value(
        self,
        (name, level, number): Name,
        value: impl Value,
        text: &dyn fmt::Display,
    ) -> Result<(), Error> {
        let set = raw::options::set(&self.socket, level, number, value);
        set.map_err(|source| Error::Option {
            name,
            value: Some(text.to_string()),
            source,
        })
    }

    /// Sets an option to `value`, if any; an error if the system does not have the option.
    fn set_if_some(
        self,
        name: Option<Name>,
        text: &'static str,
        value: Option<c_int>,
    ) -> Result<(), Error> {
        match (name, value) {
            (_, None) => Ok(()),
            (Some(name), Some(value)) => self.set(name, value),
            (None, Some(value)) => Err(Error::Option {
                name: text,
                value: Some(value.to_string()),
                source: io::Error::new(
                    io::ErrorKind::Unsupported,
                    "this system has only one setting for all connections",
                ),
            }),
        }
    }

    fn get(self, name: Name) -> Result<c_int, Error> {
        self.value(name)
    }

    /// Reads an option with a value of any type.
    pub(crate) fn value<V: Value>(self, name: Name) -> Result<V, Error> {
        let (_, level, number) = name;
        raw::options::get(&self.socket, level, number).map_err(|source| of_option(name, source))
    }

    fn is(self, name: Name) -> Result<bool, Error> {
        Ok(self.get(name)? != 0)
    }
}

fn of_option((name, ..): Name, source: io::Error) -> Error {
    Error::Option {
        name,
        value: None,
        source,
    }
}

/// Converts a number for the kernel; larger numbers become the largest.
fn clamped(number: impl TryInto<c_int>) -> c_int {
    number.try_into().unwrap_or(c_int::MAX)
}

/// A duration in whole seconds, rounded up.
fn whole_seconds(duration: Duration) -> c_int {
    let begun = u64::from(duration.subsec_nanos() > 0);
    clamped(duration.as_secs().saturating_add(begun))
}

/// As [`whole_seconds`], at least one.
fn seconds(duration: Duration) -> c_int {
    whole_seconds(duration).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_seconds_become_the_largest_number() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
        assert_eq!(whole_seconds(Duration::MAX), c_int::MAX);
        assert_eq!(seconds(Duration::MAX), c_int::MAX);
    }
}
