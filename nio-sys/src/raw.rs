//! The raw `struct kevent` of this system, and which system that is.
//!
//! Everything whose width differs between kernels has its alias here, so that the other files are
//! written once. On the kqueue systems the struct is the kernel's own, taken from the `libc` crate;
//! on Linux it is declared here.
//!
//! | | ident | filter | flags | fflags | data | udata | other fields | bytes (64-bit) |
//! |---|---|---|---|---|---|---|---|---|
//! | Apple | usize | i16 | u16 | u32 | isize | pointer | packed to 4 | 32 |
//! | FreeBSD ≥ 12 | usize | i16 | u16 | u32 | i64 | pointer | `ext: [u64; 4]` | 64 |
//! | NetBSD | usize | **u32** | **u32** | u32 | i64 | pointer | | 40 |
//! | OpenBSD | usize | i16 | u16 | u32 | i64 | pointer | | 32 |
//! | DragonFly | usize | i16 | u16 | u32 | isize | pointer | | 32 |
//! | Linux (ours) | usize | i16 | u16 | u32 | i64 | usize | | 32 |

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use libc::kevent;

/// The struct of a change or an event; Linux has none of its own.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(non_camel_case_types)]
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct kevent {
    pub(crate) ident: usize,
    pub(crate) filter: i16,
    pub(crate) flags: u16,
    pub(crate) fflags: u32,
    pub(crate) data: i64,
    pub(crate) udata: usize,
}

/// The integer that names a filter: unsigned and starting at 0 on NetBSD, negative everywhere else.
#[cfg(not(target_os = "netbsd"))]
pub(crate) type FilterNumber = i16;
#[cfg(target_os = "netbsd")]
pub(crate) type FilterNumber = u32;

/// The integer that holds the `EV_` flags.
#[cfg(not(target_os = "netbsd"))]
pub(crate) type FlagBits = u16;
#[cfg(target_os = "netbsd")]
pub(crate) type FlagBits = u32;

/// The integer of the `data` field: as wide as a pointer on Apple and DragonFly.
#[cfg(any(target_vendor = "apple", target_os = "dragonfly"))]
pub(crate) type Data = isize;
#[cfg(not(any(target_vendor = "apple", target_os = "dragonfly")))]
pub(crate) type Data = i64;

/// This system's column in tables written `[Apple, FreeBSD, NetBSD, OpenBSD, DragonFly, Linux]`.
const COLUMN: usize = if cfg!(target_vendor = "apple") {
    0
} else if cfg!(target_os = "freebsd") {
    1
} else if cfg!(target_os = "netbsd") {
    2
} else if cfg!(target_os = "openbsd") {
    3
} else if cfg!(target_os = "dragonfly") {
    4
} else {
    5
};

/// Marks a hole in a table of this kind: the system does not have the constant.
pub(crate) const NONE: i64 = i64::MIN;

/// This system's value in `[Apple, FreeBSD, NetBSD, OpenBSD, DragonFly, Linux]`, which may be
/// [`NONE`].
pub(crate) const fn here(table: [i64; 6]) -> i64 {
    table[COLUMN]
}

/// As [`here`], for constants that are compiled only where they exist: a hole is an error at
/// compile time.
pub(crate) const fn pick(table: [i64; 6]) -> i64 {
    let value = here(table);
    assert!(value != NONE, "this system does not have the constant");
    value
}

/// A change of which only the key and the flags are filled in.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn new(ident: usize, filter: FilterNumber, flags: FlagBits) -> kevent {
    kevent {
        ident,
        filter,
        flags,
        fflags: 0,
        data: 0,
        udata: 0,
    }
}

/// A change of which only the key and the flags are filled in.
///
/// The other fields are zero, also those that a newer system has appended (`ext` on FreeBSD).
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn new(ident: usize, filter: FilterNumber, flags: FlagBits) -> kevent {
    // SAFETY: struct kevent consists of integers and one raw pointer on each of these systems, and
    // all of them may be zero.
    let zeroed: kevent = unsafe { std::mem::zeroed() };
    kevent {
        ident,
        filter,
        flags,
        ..zeroed
    }
}

/// Writes `udata`: a number here, with any type of the field.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn set_udata(event: &mut kevent, udata: usize) {
    event.udata = udata;
}

/// Writes `udata`: a number here, with any type of the field.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn set_udata(event: &mut kevent, udata: usize) {
    event.udata = udata as _;
}

/// Reads `udata` back.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn udata(event: &kevent) -> usize {
    event.udata
}

/// Reads `udata` back.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn udata(event: &kevent) -> usize {
    event.udata as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{align_of, size_of};

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn the_struct_has_the_size_the_kernel_expects() {
        assert_eq!(size_of::<kevent>() as i64, pick([32, 64, 40, 32, 32, 32]));
    }

    #[test]
    fn the_struct_is_aligned_as_the_kernel_expects() {
        if cfg!(target_vendor = "apple") {
            assert_eq!(align_of::<kevent>(), 4);
        } else {
            assert_eq!(
                align_of::<kevent>(),
                align_of::<usize>().max(align_of::<Data>())
            );
        }
    }

    #[test]
    fn the_fields_have_the_widths_of_their_aliases() {
        let event = new(0, 0, 0);
        let (filter, flags, fflags, data) = (event.filter, event.flags, event.fflags, event.data);
        assert_eq!(size_of_val(&filter), size_of::<FilterNumber>());
        assert_eq!(size_of_val(&flags), size_of::<FlagBits>());
        assert_eq!(size_of_val(&fflags), 4);
        assert_eq!(size_of_val(&data), size_of::<Data>());
    }
}
