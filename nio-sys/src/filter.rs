//! `Filter`: the kind of condition that a knote waits for.
//!
//! Filter numbers differ from system to system (`EVFILT_USER` has four values), so nothing outside
//! this file knows one. A `Filter` is a plain integer in a wrapper, not an `enum`: kernels may
//! report filters that this crate has no name for.

use std::fmt;

use crate::raw::{FilterNumber, NONE, pick};

/// The kind of condition a [`Kevent`](crate::Kevent) is about: the `EVFILT_` constants of kqueue(2).
///
/// With the ident it names a registration: READ and WRITE of one descriptor are two independent
/// ones (K36). A constant exists only on the systems that its documentation names. Prints as its
/// name, or as a number if it has none here.
///
/// ```
/// use nio_sys::Filter;
///
/// assert_eq!(format!("{}", Filter::READ), "READ");
/// assert_eq!(format!("{}", Filter::from_number(-99).number()), "-99");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Filter(pub(crate) FilterNumber);

/// Declares the constants and, from the same list, the names by which they print.
macro_rules! filters {
    ($(
        $(#[doc = $doc:literal])*
        $(#[cfg($($systems:tt)*)])?
        $name:ident = $numbers:expr;
    )*) => {
        impl Filter {
            $(
                $(#[doc = $doc])*
                $(#[cfg($($systems)*)])?
                pub const $name: Filter = Filter(pick($numbers) as FilterNumber);
            )*

            /// The name of a filter that has one.
            fn name(self) -> Option<&'static str> {
                match self {
                    $(
                        $(#[cfg($($systems)*)])?
                        Filter::$name => Some(stringify!($name)),
                    )*
                    _ => None,
                }
            }
        }
    };
}

#[rustfmt::skip]
filters! {
    //         Apple, FreeBSD, NetBSD, OpenBSD, DragonFly, Linux

    /// A descriptor has something to read: data, a connection to accept, end of file. All systems.
    READ     = [   -1,      -1,      0,      -1,        -1,    -1];
    /// A descriptor has room to write, or a connect has finished. All systems.
    WRITE    = [   -2,      -2,      1,      -2,        -2,    -2];
    /// An asynchronous I/O request has finished. FreeBSD and DragonFly; Apple, NetBSD and OpenBSD
    /// define the number but refuse to register it. Not on Linux.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    AIO      = [   -3,      -3,      2,      -3,        -3,  NONE];
    /// A file or directory was changed, see [`VnodeFlags`](crate::VnodeFlags). All systems.
    VNODE    = [   -4,      -4,      3,      -4,        -4,    -4];
    /// A process exited, forked or executed a program, see [`ProcFlags`](crate::ProcFlags). All systems; on
    /// Linux exits only.
    PROC     = [   -5,      -5,      4,      -5,        -5,    -5];
    /// A signal was sent to this process. All systems.
    SIGNAL   = [   -6,      -6,      5,      -6,        -6,    -6];
    /// Time has passed, see [`TimerUnit`](crate::TimerUnit). All systems.
    TIMER    = [   -7,      -7,      6,      -7,        -7,    -7];
    /// The program triggered it, see [`UserFlags`](crate::UserFlags). All systems; NetBSD
    /// from 10 and OpenBSD from 7.8 on, before that registering is `EINVAL`.
    USER     = [  -10,     -11,      8,     -10,        -9,   -11];
    /// A descriptor has urgent data, or another exceptional condition. Apple, OpenBSD, DragonFly, Linux.
    #[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
    EXCEPT   = [  -15,    NONE,   NONE,      -9,        -8,   -16];
    /// A file system was mounted, unmounted, or has failed. Apple, FreeBSD, NetBSD, DragonFly.
    #[cfg(not(any(target_os = "openbsd", target_os = "linux", target_os = "android")))]
    FS       = [   -9,      -9,      7,    NONE,       -10,  NONE];
    /// As [`PROC`](Filter::PROC), named by a process descriptor. FreeBSD, and Linux where the
    /// descriptor is a pidfd.
    #[cfg(any(target_os = "freebsd", target_os = "linux", target_os = "android"))]
    PROCDESC = [ NONE,      -8,   NONE,    NONE,      NONE,    -8];
    /// A list of asynchronous I/O requests has finished. FreeBSD.
    #[cfg(target_os = "freebsd")]
    LIO      = [ NONE,     -10,   NONE,    NONE,      NONE,  NONE];
    /// Reserved by the kernel for sendfile(2). FreeBSD.
    #[cfg(target_os = "freebsd")]
    SENDFILE = [ NONE,     -12,   NONE,    NONE,      NONE,  NONE];
    /// The send buffer of a socket has run empty. FreeBSD, NetBSD.
    #[cfg(any(target_os = "freebsd", target_os = "netbsd"))]
    EMPTY    = [ NONE,     -13,      9,    NONE,      NONE,  NONE];
    /// A jail, named by its id, was changed, see [`JailFlags`](crate::JailFlags). FreeBSD, recent
    /// releases.
    #[cfg(target_os = "freebsd")]
    JAIL     = [ NONE,     -14,   NONE,    NONE,      NONE,  NONE];
    /// As [`JAIL`](Filter::JAIL), named by a jail descriptor. FreeBSD, recent releases.
    #[cfg(target_os = "freebsd")]
    JAILDESC = [ NONE,     -15,   NONE,    NONE,      NONE,  NONE];
    /// A device was changed, see [`DeviceFlags`](crate::DeviceFlags). OpenBSD.
    #[cfg(target_os = "openbsd")]
    DEVICE   = [ NONE,    NONE,   NONE,      -8,      NONE,  NONE];
    /// A Mach port has a message. Apple.
    #[cfg(target_vendor = "apple")]
    MACHPORT = [   -8,    NONE,   NONE,    NONE,      NONE,  NONE];
    /// Memory is short, see [`VmFlags`](crate::VmFlags). Apple.
    #[cfg(target_vendor = "apple")]
    VM       = [  -12,    NONE,   NONE,    NONE,      NONE,  NONE];
}

impl Filter {
    /// The filter of that number on this system, for filters that have no constant here.
    pub const fn from_number(number: i16) -> Filter {
        Filter(number as FilterNumber)
    }

    /// The number of this filter on this system; other systems may have another.
    pub const fn number(self) -> i32 {
        self.0 as i32
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_prints_as_its_name() {
        assert_eq!(format!("{:?}", Filter::READ), "READ");
        assert_eq!(format!("{}", Filter::USER), "USER");
        assert_eq!(format!("{:>6}", Filter::PROC), "  PROC");
    }

    #[test]
    fn an_unknown_filter_prints_as_its_number() {
        assert_eq!(format!("{:?}", Filter::from_number(99)), "99");
        assert_eq!(Filter::from_number(-99).number(), -99);
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[test]
    fn filters_have_the_numbers_that_libc_gives_them() {
        assert_eq!(Filter::READ.0, libc::EVFILT_READ);
        assert_eq!(Filter::WRITE.0, libc::EVFILT_WRITE);
        assert_eq!(Filter::AIO.0, libc::EVFILT_AIO);
        assert_eq!(Filter::VNODE.0, libc::EVFILT_VNODE);
        assert_eq!(Filter::PROC.0, libc::EVFILT_PROC);
        assert_eq!(Filter::SIGNAL.0, libc::EVFILT_SIGNAL);
        assert_eq!(Filter::TIMER.0, libc::EVFILT_TIMER);
        assert_eq!(Filter::USER.0, libc::EVFILT_USER);
        #[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
        assert_eq!(Filter::EXCEPT.0, libc::EVFILT_EXCEPT);
        #[cfg(not(target_os = "openbsd"))]
        assert_eq!(Filter::FS.0, libc::EVFILT_FS);
        #[cfg(any(target_os = "freebsd", target_os = "netbsd"))]
        assert_eq!(Filter::EMPTY.0, libc::EVFILT_EMPTY);
        #[cfg(target_os = "freebsd")]
        {
            assert_eq!(Filter::PROCDESC.0, libc::EVFILT_PROCDESC);
            assert_eq!(Filter::LIO.0, libc::EVFILT_LIO);
            assert_eq!(Filter::SENDFILE.0, libc::EVFILT_SENDFILE);
        }
        #[cfg(target_os = "openbsd")]
        assert_eq!(Filter::DEVICE.0, libc::EVFILT_DEVICE);
        #[cfg(target_vendor = "apple")]
        {
            assert_eq!(Filter::MACHPORT.0, libc::EVFILT_MACHPORT);
            assert_eq!(Filter::VM.0, libc::EVFILT_VM);
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn no_two_filters_share_a_number() {
        let mut all = [
            Filter::READ,
            Filter::WRITE,
            Filter::VNODE,
            Filter::PROC,
            Filter::SIGNAL,
            Filter::TIMER,
            Filter::USER,
            Filter::EXCEPT,
            Filter::PROCDESC,
        ];
        all.sort();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
