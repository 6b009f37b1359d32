//! Addresses, as the kernel writes them.
//!
//! The only copies of an address structure that exist are in this file, for the time of a call.

use std::{
    ffi::OsStr,
    io,
    mem::{offset_of, size_of, zeroed},
    net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::unix::{ffi::OsStrExt, net::SocketAddr as UnixAddr},
    ptr,
};

use libc::{c_int, sockaddr, sockaddr_storage, socklen_t};

/// Sets the length that an address structure of the BSDs begins with; Linux has none.
macro_rules! set_length {
    ($field:expr, $len:expr) => {
        #[cfg(not(target_os = "linux"))]
        {
            $field = $len as u8;
        }
    };
}

/// An address of a socket: that of the standard library for IP, or the one for Unix sockets. No other
/// type can be one.
pub trait Address: Raw {}

impl Address for SocketAddr {}
impl Address for UnixAddr {}

/// How an address is given to the kernel and taken from it. It has no name outside of this crate: the
/// pointers that it hands out must be as they are here.
pub trait Raw: Sized {
    /// Calls `f` with a pointer to a whole address structure, and its length, which is no more than
    /// that of a `sockaddr_storage`. Fails if the address cannot be written down.
    fn with_raw<R>(&self, f: impl FnOnce(*const sockaddr, socklen_t) -> R) -> io::Result<R>;

    /// The address that the kernel has written.
    fn from_raw(raw: &sockaddr_storage, len: socklen_t) -> io::Result<Self>;

    /// Makes a call that writes an address. If it fails, by returning -1, so does this.
    fn from_call(call: impl FnOnce(*mut sockaddr, *mut socklen_t) -> c_int) -> io::Result<Self> {
        // SAFETY: all zeroes is a valid sockaddr_storage.
        let mut raw: sockaddr_storage = unsafe { zeroed() };
        let mut len = size_of::<sockaddr_storage>() as socklen_t;
        super::check(call(ptr::from_mut(&mut raw).cast(), &mut len))?;
        Self::from_raw(&raw, len)
    }
}

impl Raw for SocketAddr {
    #[inline]
    fn with_raw<R>(&self, f: impl FnOnce(*const sockaddr, socklen_t) -> R) -> io::Result<R> {
        match self {
            SocketAddr::V4(address) => {
                // SAFETY: all zeroes is a valid sockaddr_in.
                let mut raw: libc::sockaddr_in = unsafe { zeroed() };
                raw.sin_family = libc::AF_INET as libc::sa_family_t;
                raw.sin_port = address.port().to_be();
                raw.sin_addr.s_addr = u32::from(*address.ip()).to_be();
                set_length!(raw.sin_len, size_of::<libc::sockaddr_in>());
                Ok(f(
                    ptr::from_ref(&raw).cast(),
                    size_of_val(&raw) as socklen_t,
                ))
            }
            SocketAddr::V6(address) => {
                // SAFETY: all zeroes is a valid sockaddr_in6.
                let mut raw: libc::sockaddr_in6 = unsafe { zeroed() };
                raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                raw.sin6_port = address.port().to_be();
                raw.sin6_addr.s6_addr = address.ip().octets();
                raw.sin6_flowinfo = address.flowinfo();
                raw.sin6_scope_id = address.scope_id();
                set_length!(raw.sin6_len, size_of::<libc::sockaddr_in6>());
                Ok(f(
                    ptr::from_ref(&raw).cast(),
                    size_of_val(&raw) as socklen_t,
                ))
            }
        }
    }

    #[inline]
    fn from_raw(raw: &sockaddr_storage, len: socklen_t) -> io::Result<SocketAddr> {
        match c_int::from(raw.ss_family) {
            libc::AF_INET if len as usize >= size_of::<libc::sockaddr_in>() => {
                // SAFETY: of this family it is a sockaddr_in, and a whole one; a sockaddr_storage is
                // at least as large and as aligned.
                let raw = unsafe { &*ptr::from_ref(raw).cast::<libc::sockaddr_in>() };
                let ip = u32::from_be(raw.sin_addr.s_addr).into();
                Ok(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
            }
            libc::AF_INET6 if len as usize >= size_of::<libc::sockaddr_in6>() => {
                // SAFETY: as above, with sockaddr_in6.
                let raw = unsafe { &*ptr::from_ref(raw).cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                let port = u16::from_be(raw.sin6_port);
                let address = SocketAddrV6::new(ip, port, raw.sin6_flowinfo, raw.sin6_scope_id);
                Ok(address.into())
            }
            family => Err(unexpected(family)),
        }
    }
}

/// Where the name begins in the address of a Unix socket.
const NAME: usize = offset_of!(libc::sockaddr_un, sun_path);

impl Raw for UnixAddr {
    fn with_raw<R>(&self, f: impl FnOnce(*const sockaddr, socklen_t) -> R) -> io::Result<R> {
        let mut raw = Name::default();
        if let Some(path) = self.as_pathname() {
            // With the zero at its end, which the structure begins with.
            raw.put(0, path.as_os_str().as_bytes(), 1)?;
        } else if let Some(name) = abstract_name(self) {
            raw.put(1, name, 0)?;
        }
        let len = (NAME + raw.len) as socklen_t;
        set_length!(raw.address.sun_len, len);
        Ok(f(ptr::from_ref(&raw.address).cast(), len))
    }

    fn from_raw(raw: &sockaddr_storage, len: socklen_t) -> io::Result<UnixAddr> {
        let len = len as usize;
        // Some systems give the unnamed a length that ends before the family.
        if len > NAME && c_int::from(raw.ss_family) != libc::AF_UNIX {
            return Err(unexpected(raw.ss_family.into()));
        }
        // SAFETY: a sockaddr_storage is plain bytes, all of them initialised.
        let bytes = unsafe { &*ptr::from_ref(raw).cast::<[u8; size_of::<sockaddr_storage>()]>() };
        name(bytes.get(NAME..len.min(bytes.len())).unwrap_or(&[]))
    }
}

/// The address of a Unix socket that is being written.
struct Name {
    address: libc::sockaddr_un,
    len: usize,
}

impl Default for Name {
    fn default() -> Name {
        // SAFETY: all zeroes is a valid sockaddr_un.
        let mut address: libc::sockaddr_un = unsafe { zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        Name { address, len: 0 }
    }
}

impl Name {
    /// Writes a name at a place, with so many zeroes behind it.
    fn put(&mut self, at: usize, name: &[u8], zeroes: usize) -> io::Result<()> {
        let place = self.address.sun_path.get_mut(at..at + name.len());
        let Some(place) = place.filter(|_| at + name.len() + zeroes <= PATH_LEN) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the name is too long",
            ));
        };
        for (place, byte) in place.iter_mut().zip(name) {
            *place = *byte as libc::c_char;
        }
        self.len = at + name.len() + zeroes;
        Ok(())
    }
}

/// How long the name of a Unix socket may be.
const PATH_LEN: usize = size_of::<libc::sockaddr_un>() - NAME;

/// The address of a name that the kernel has written. The unnamed have none, or one of zeroes only
/// where the system fills it up. Of a name that takes all the room there is, without a zero behind
/// it, the standard library has no address; whoever chose one is as good as unnamed.
fn name(bytes: &[u8]) -> io::Result<UnixAddr> {
    #[cfg(target_os = "linux")]
    if let [0, name @ ..] = bytes {
        use std::os::linux::net::SocketAddrExt;
        return UnixAddr::from_abstract_name(name);
    }
    let end = bytes.iter().position(|byte| *byte == 0);
    let path = &bytes[..end.unwrap_or(bytes.len())];
    let path = if path.len() < PATH_LEN { path } else { &[] };
    UnixAddr::from_pathname(OsStr::from_bytes(path))
}

#[cfg(target_os = "linux")]
fn abstract_name(address: &UnixAddr) -> Option<&[u8]> {
    use std::os::linux::net::SocketAddrExt;
    address.as_abstract_name()
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(_: &UnixAddr) -> Option<&[u8]> {
    None
}

fn unexpected(family: c_int) -> io::Error {
    let text = format!("an address of the unexpected family {family}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
