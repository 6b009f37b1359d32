//! Socket addresses in the form of the kernel (sockaddr), for the time of a call.

#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::{
    ffi::OsStr,
    fmt, io,
    mem::{offset_of, size_of, zeroed},
    net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::unix::{ffi::OsStrExt, net::SocketAddr as UnixAddr},
    ptr,
};

use libc::{c_int, sockaddr, sockaddr_storage, socklen_t};

/// Sets the length field of an address structure on the BSDs; Linux has none.
macro_rules! set_length {
    ($field:expr, $len:expr) => {
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        {
            $field = $len as u8;
        }
    };
}

/// An address of a socket: the standard library's type for IP, or that for Unix sockets. It cannot be implemented
/// for other types.
pub trait Address: Sized + fmt::Debug {
    #[doc(hidden)]
    fn to_raw(&self) -> io::Result<RawAddress>;

    #[doc(hidden)]
    fn from_raw(raw: &RawAddress) -> io::Result<Self>;
}

/// An address structure of the kernel, of which `len` bytes are in use. All bytes are initialised, and `len` is
/// at most its size. It has no public name, which seals [`Address`].
pub struct RawAddress {
    pub(super) storage: sockaddr_storage,
    pub(super) len: socklen_t,
}

impl RawAddress {
    /// Room for any address.
    pub(super) const ROOM: RawAddress = RawAddress {
        // SAFETY: all zeroes is a valid sockaddr_storage.
        storage: unsafe { zeroed() },
        len: size_of::<sockaddr_storage>() as socklen_t,
    };

    /// Copies an address structure, of which `len` bytes are in use.
    fn of<T: Structure>(address: T, len: usize) -> RawAddress {
        const { assert!(size_of::<T>() <= size_of::<sockaddr_storage>()) };
        let mut raw = RawAddress::ROOM;
        raw.len = len.min(size_of::<T>()) as socklen_t;
        // SAFETY: a sockaddr_storage is as large, by the assertion, and as aligned as any address
        // structure.
        unsafe { ptr::from_mut(&mut raw.storage).cast::<T>().write(address) };
        raw
    }

    /// The address structure, if the kernel has written a whole one.
    fn get<T: Structure>(&self) -> Option<&T> {
        const { assert!(size_of::<T>() <= size_of::<sockaddr_storage>()) };
        // SAFETY: as above; all bytes are initialised, and a `Structure` may have any bytes.
        let structure = unsafe { &*ptr::from_ref(&self.storage).cast::<T>() };
        (self.len as usize >= size_of::<T>()).then_some(structure)
    }

    pub(super) fn as_ptr(&self) -> *const sockaddr {
        ptr::from_ref(&self.storage).cast()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut sockaddr {
        ptr::from_mut(&mut self.storage).cast()
    }
}

/// The address structures of C.
///
/// # Safety
///
/// They are integers only, so any bytes are a value.
unsafe trait Structure {}

// SAFETY: integers, as the C headers say.
unsafe impl Structure for libc::sockaddr_in {}
// SAFETY: as above.
unsafe impl Structure for libc::sockaddr_in6 {}
// SAFETY: as above.
unsafe impl Structure for libc::sockaddr_un {}

impl Address for SocketAddr {
    #[inline]
    fn to_raw(&self) -> io::Result<RawAddress> {
        Ok(match self {
            SocketAddr::V4(address) => {
                // SAFETY: all zeroes is a valid sockaddr_in.
                let mut raw: libc::sockaddr_in = unsafe { zeroed() };
                raw.sin_family = libc::AF_INET as libc::sa_family_t;
                raw.sin_port = address.port().to_be();
                raw.sin_addr.s_addr = u32::from(*address.ip()).to_be();
                set_length!(raw.sin_len, size_of::<libc::sockaddr_in>());
                RawAddress::of(raw, size_of::<libc::sockaddr_in>())
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
                RawAddress::of(raw, size_of::<libc::sockaddr_in6>())
            }
        })
    }

    #[inline]
    fn from_raw(raw: &RawAddress) -> io::Result<SocketAddr> {
        let family = c_int::from(raw.storage.ss_family);
        let (v4, v6) = (
            raw.get::<libc::sockaddr_in>(),
            raw.get::<libc::sockaddr_in6>(),
        );
        match (family, v4, v6) {
            (libc::AF_INET, Some(raw), _) => {
                let ip = u32::from_be(raw.sin_addr.s_addr).into();
                Ok(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
            }
            (libc::AF_INET6, _, Some(raw)) => {
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                let port = u16::from_be(raw.sin6_port);
                let address = SocketAddrV6::new(ip, port, raw.sin6_flowinfo, raw.sin6_scope_id);
                Ok(address.into())
            }
            _ => Err(unexpected(family)),
        }
    }
}

/// Where the name begins in the address of a Unix socket.
const NAME: usize = offset_of!(libc::sockaddr_un, sun_path);

impl Address for UnixAddr {
    fn to_raw(&self) -> io::Result<RawAddress> {
        let mut raw = Name::default();
        if let Some(path) = self.as_pathname() {
            // The structure is zeroed, so the path ends with a zero.
            raw.put(0, path.as_os_str().as_bytes(), 1)?;
        } else if let Some(name) = abstract_name(self) {
            raw.put(1, name, 0)?;
        }
        let len = NAME + raw.len;
        set_length!(raw.address.sun_len, len);
        Ok(RawAddress::of(raw.address, len))
    }

    fn from_raw(raw: &RawAddress) -> io::Result<UnixAddr> {
        let (family, len) = (raw.storage.ss_family, raw.len as usize);
        // Some systems give the unnamed address a length that ends before the family.
        if len > NAME && c_int::from(family) != libc::AF_UNIX {
            return Err(unexpected(family.into()));
        }
        // SAFETY: a sockaddr_storage is plain bytes, all of them initialised.
        let bytes = unsafe { &*raw.as_ptr().cast::<[u8; size_of::<sockaddr_storage>()]>() };
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
    /// Writes a name at an offset, followed by some zeroes.
    fn put(&mut self, at: usize, name: &[u8], zeroes: usize) -> io::Result<()> {
        let room = self.address.sun_path.get_mut(at..at + name.len());
        let Some(room) = room.filter(|_| at + name.len() + zeroes <= PATH_LEN) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the name is too long",
            ));
        };
        for (to, byte) in room.iter_mut().zip(name) {
            *to = *byte as libc::c_char;
        }
        self.len = at + name.len() + zeroes;
        Ok(())
    }
}

/// The limit on the name of a Unix socket, in bytes, with the zero after a path.
pub(crate) const PATH_LEN: usize = size_of::<libc::sockaddr_un>() - NAME;

/// The address of a name that the kernel has written. The name of an unnamed address is empty, or zeroes. A name
/// that fills all the room, without a zero after it, becomes the unnamed address: the standard library has no
/// address for it.
fn name(bytes: &[u8]) -> io::Result<UnixAddr> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let [0, name @ ..] = bytes {
        return UnixAddr::from_abstract_name(name);
    }
    let end = bytes.iter().position(|byte| *byte == 0);
    let path = &bytes[..end.unwrap_or(bytes.len())];
    let path = if path.len() < PATH_LEN { path } else { &[] };
    UnixAddr::from_pathname(OsStr::from_bytes(path))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_name(address: &UnixAddr) -> Option<&[u8]> {
    address.as_abstract_name()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_name(_: &UnixAddr) -> Option<&[u8]> {
    None
}

fn unexpected(family: c_int) -> io::Error {
    let text = format!("an address of the unexpected family {family}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
