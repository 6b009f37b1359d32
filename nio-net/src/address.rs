//! The types that can be given as an address: of IP, with or without a host name, and of a Unix socket.
//!
//! The laws:
//!
//! 1. A numeric address is used at once; only a host name is looked up.
//! 2. An empty list of addresses is an error, before any other work.
//! 3. A text that is not an address is an error that says how to write one.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::unix,
    path::{Path, PathBuf},
};

use crate::Error;

/// One or more addresses of IP, each with a port. All functions that take an address take this:
///
/// | | |
/// |---|---|
/// | `"127.0.0.1:8080"`, `"[::1]:8080"` | an address, as a `&str` or a [`String`] |
/// | `"localhost:8080"` | a host name, which is looked up: [`resolve`](crate::resolve) |
/// | `("localhost", 8080)`, `("::1", 8080)` | a host name or an address, and a port |
/// | `(Ipv4Addr::LOCALHOST, 8080)` | an [`IpAddr`], [`Ipv4Addr`] or [`Ipv6Addr`], and a port |
/// | a [`SocketAddr`], [`SocketAddrV4`] or [`SocketAddrV6`] | an address |
/// | an array, a slice or a [`Vec`] of `SocketAddr` | several addresses |
///
/// A host name is looked up on a thread of the loop's pool; a numeric address is used at once. Functions that
/// are not `async` accept only numeric addresses; [`Cores::bind`](crate::Cores::bind), which runs before the loops,
/// blocks while it looks a name up.
///
/// It cannot be implemented for other types.
#[doc(alias = "ToSocketAddrs")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an address",
    note = "write \"host:port\", (\"host\", port), (Ipv4Addr, port), or a SocketAddr"
)]
pub trait ToAddresses {
    #[doc(hidden)]
    fn to_addresses(self) -> Result<Addresses, Error>;
}

/// The address of a Unix socket: a path, as a `&str`, a [`String`], a [`Path`], a [`PathBuf`] and the
/// like, or a [`SocketAddr`](unix::net::SocketAddr), which may be an abstract one on Linux.
///
/// It cannot be implemented for other types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an address of a Unix socket",
    note = "give its path, or a std::os::unix::net::SocketAddr"
)]
pub trait ToUnixAddress {
    #[doc(hidden)]
    fn to_unix_address(self) -> Result<Sealed<unix::net::SocketAddr>, Error>;
}

/// Seals [`ToUnixAddress`]: it has no public name.
pub struct Sealed<T>(pub(crate) T);

/// The result of [`ToAddresses`]. It has no public name, which seals the trait.
#[derive(Debug, PartialEq)]
pub enum Addresses {
    One(SocketAddr),
    /// At least one.
    Several(Vec<SocketAddr>),
    Host(Host),
}

/// A host name and a port.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

/// The addresses for a function that does not wait: a host name is an error.
pub(crate) fn numeric(to: impl ToAddresses) -> Result<Vec<SocketAddr>, Error> {
    match to.to_addresses()? {
        Addresses::One(address) => Ok(vec![address]),
        Addresses::Several(addresses) => Ok(addresses),
        Addresses::Host(host) => Err(refuse(
            host.to_string(),
            "a host name is not looked up here; call `resolve` and give one of its addresses",
        )),
    }
}

fn refuse(text: impl Into<String>, reason: &'static str) -> Error {
    let text = text.into();
    Error::Address { text, reason }
}

/// Parses `host:port`.
fn parse(text: &str) -> Result<Addresses, Error> {
    if let Ok(address) = text.parse() {
        return Ok(Addresses::One(address));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        let reason = "it has no port; write it in brackets with a port, as in \"[::1]:8080\"";
        return Err(refuse(text, reason));
    }
    if text.contains("//") {
        let reason = "it is a URL; write only its host and a port, as in \"example.com:80\"";
        return Err(refuse(text, reason));
    }
    let has_port = text
        .rsplit_once(':')
        .filter(|(_, port)| !port.contains(']'));
    let Some((name, port)) = has_port else {
        let reason = "it has no port; add one, as in \"localhost:8080\"";
        return Err(refuse(text, reason));
    };
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        let reason = "its port is not a number; write it as in \"localhost:8080\"";
        return Err(refuse(text, reason));
    }
    let Ok(port) = port.parse() else {
        let reason = "its port is not a number from 0 to 65535";
        return Err(refuse(text, reason));
    };
    if name.is_empty() {
        let reason = "it has no host; write \"0.0.0.0:PORT\" for all addresses of IPv4 of this machine, \
                      \"[::]:PORT\" for those of IPv6";
        return Err(refuse(text, reason));
    }
    of_host(name, port).map_err(|reason| refuse(text, reason))
}

/// An address or a host of a name and a port; or the reason why it is neither.
fn of_host(name: &str, port: u16) -> Result<Addresses, &'static str> {
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    if let Ok(ip) = bare.unwrap_or(name).parse::<IpAddr>() {
        return Ok(Addresses::One(SocketAddr::new(ip, port)));
    }
    let is_v6 = |name: &str| matches!(name.split_once('%'), Some((ip, _)) if ip.parse::<Ipv6Addr>().is_ok());
    let name = bare.filter(|name| is_v6(name)).unwrap_or(name);
    if name.is_empty() {
        return Err("the host name is empty; for this machine write \"localhost\"");
    }
    if name.contains(':') && !is_v6(name) {
        return Err(
            "the host has a colon in it; give the port once, and write an address of IPv6 in \
                    brackets, as in \"[::1]:8080\"",
        );
    }
    let name = name.to_owned();
    Ok(Addresses::Host(Host { name, port }))
}

impl ToAddresses for &str {
    fn to_addresses(self) -> Result<Addresses, Error> {
        parse(self)
    }
}

impl ToAddresses for (&str, u16) {
    fn to_addresses(self) -> Result<Addresses, Error> {
        let (name, port) = self;
        of_host(name, port).map_err(|reason| refuse(name, reason))
    }
}

impl ToAddresses for &[SocketAddr] {
    fn to_addresses(self) -> Result<Addresses, Error> {
        match self {
            [] => Err(refuse("[]", "the list is empty; give at least one address")),
            [address] => Ok(Addresses::One(*address)),
            addresses => Ok(Addresses::Several(addresses.to_vec())),
        }
    }
}

impl<const N: usize> ToAddresses for [SocketAddr; N] {
    fn to_addresses(self) -> Result<Addresses, Error> {
        self.as_slice().to_addresses()
    }
}

impl<const N: usize> ToAddresses for &[SocketAddr; N] {
    fn to_addresses(self) -> Result<Addresses, Error> {
        self.as_slice().to_addresses()
    }
}

/// Implements [`ToAddresses`] by another type that has it.
macro_rules! as_other {
    ($($type:ty: |$value:ident| $other:expr;)*) => {$(
        impl ToAddresses for $type {
            fn to_addresses(self) -> Result<Addresses, Error> {
                let $value = self;
                $other
            }
        }
    )*};
}

as_other! {
    String: |text| parse(&text);
    &String: |text| parse(text);
    (String, u16): |host| (host.0.as_str(), host.1).to_addresses();
    (&String, u16): |host| (host.0.as_str(), host.1).to_addresses();
    SocketAddr: |address| Ok(Addresses::One(address));
    &SocketAddr: |address| Ok(Addresses::One(*address));
    SocketAddrV4: |address| Ok(Addresses::One(address.into()));
    SocketAddrV6: |address| Ok(Addresses::One(address.into()));
    (IpAddr, u16): |address| Ok(Addresses::One(address.into()));
    (Ipv4Addr, u16): |address| Ok(Addresses::One(address.into()));
    (Ipv6Addr, u16): |address| Ok(Addresses::One(address.into()));
    Vec<SocketAddr>: |addresses| addresses.as_slice().to_addresses();
    &Vec<SocketAddr>: |addresses| addresses.as_slice().to_addresses();
}

impl ToUnixAddress for unix::net::SocketAddr {
    fn to_unix_address(self) -> Result<Sealed<unix::net::SocketAddr>, Error> {
        Ok(Sealed(self))
    }
}

impl ToUnixAddress for &unix::net::SocketAddr {
    fn to_unix_address(self) -> Result<Sealed<unix::net::SocketAddr>, Error> {
        Ok(Sealed(self.clone()))
    }
}

macro_rules! paths {
    ($($type:ty)*) => {$(
        impl ToUnixAddress for $type {
            fn to_unix_address(self) -> Result<Sealed<unix::net::SocketAddr>, Error> {
                of_path(self.as_ref())
            }
        }
    )*};
}

paths! { &str String &String &Path PathBuf &PathBuf &OsStr OsString &OsString }

/// The address of a path. An empty path is refused: it would be the unnamed address, for which Linux chooses
/// an abstract name.
fn of_path(path: &Path) -> Result<Sealed<unix::net::SocketAddr>, Error> {
    let address = match path.as_os_str().is_empty() {
        true => Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "it is empty",
        )),
        false => unix::net::SocketAddr::from_pathname(path),
    };
    let fail = |source| Error::Path {
        path: path.into(),
        source,
    };
    address.map(Sealed).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Addresses {
        let name = name.into();
        Addresses::Host(Host { name, port })
    }

    fn one(address: &str) -> Addresses {
        Addresses::One(address.parse().unwrap())
    }

    fn reason(to: impl ToAddresses) -> String {
        to.to_addresses().unwrap_err().to_string()
    }

    #[test]
    fn a_text_is_an_address_or_a_host_with_a_port() {
        assert_eq!(parse("127.0.0.1:80").unwrap(), one("127.0.0.1:80"));
        assert_eq!(parse("[::1]:80").unwrap(), one("[::1]:80"));
        assert_eq!(parse("localhost:80").unwrap(), host("localhost", 80));
        assert_eq!(parse("[fe80::1%lo]:80").unwrap(), host("fe80::1%lo", 80));
        let text = host("fe80::1%lo", 80);
        assert!(matches!(text, Addresses::Host(host) if host.to_string() == "[fe80::1%lo]:80"));
    }

    #[test]
    fn a_numeric_host_and_a_port_are_an_address() {
        assert_eq!(("::1", 80).to_addresses().unwrap(), one("[::1]:80"));
        assert_eq!(("[::1]", 80).to_addresses().unwrap(), one("[::1]:80"));
        assert_eq!(
            (String::from("a.b"), 80).to_addresses().unwrap(),
            host("a.b", 80)
        );
        assert_eq!(
            (Ipv4Addr::LOCALHOST, 80).to_addresses().unwrap(),
            one("127.0.0.1:80")
        );
    }

    #[test]
    fn a_text_that_is_not_an_address_is_refused_with_advice() {
        for (text, advice) in [
            ("localhost", "it has no port"),
            ("::1", "it has no port; write it in brackets"),
            ("[::1]", "it has no port"),
            ("", "it has no port"),
            ("localhost:", "its port is not a number"),
            ("localhost:http", "its port is not a number"),
            ("localhost:+80", "its port is not a number"),
            ("localhost:65536", "from 0 to 65535"),
            (":80", "it has no host"),
            ("http://localhost:80", "it is a URL"),
            ("a:b:80", "a colon in it"),
            ("[a]:b:80", "a colon in it"),
        ] {
            let text_of_error = reason(text);
            assert!(text_of_error.contains(advice), "{text_of_error}");
            assert!(
                text_of_error.contains(&format!("{text:?}")),
                "{text_of_error}"
            );
        }
        assert!(reason(("localhost:80", 80)).contains("a colon in it"));
        assert!(reason(("", 80)).contains("is empty"));
    }

    #[test]
    fn an_empty_list_of_addresses_is_an_error() {
        assert!(reason(&[][..]).contains("the list is empty"));
        assert!(reason(Vec::new()).contains("the list is empty"));
        let addresses = ["127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap()];
        assert_eq!(
            addresses.to_addresses().unwrap(),
            Addresses::Several(addresses.to_vec())
        );
    }
}
