//! `fflags` of the filters that one system alone has.

use bitflags::bitflags;

#[cfg(target_os = "freebsd")]
bitflags! {
    /// `fflags` of a [`JAIL`](Filter::JAIL) or [`JAILDESC`](Filter::JAILDESC) change and event.
    /// FreeBSD.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct JailFlags: u32 {
        /// A jail was made inside it. FreeBSD.
        const CHILD = 0x8000_0000;
        /// Its parameters were set. FreeBSD.
        const SET = 0x4000_0000;
        /// A process attached to it. FreeBSD.
        const ATTACH = 0x2000_0000;
        /// It was removed. FreeBSD.
        const REMOVE = 0x1000_0000;
        /// More than one of the same kind happened; returned only. FreeBSD.
        const MULTI = 0x0800_0000;

        const _ = !0;
    }
}

#[cfg(target_os = "openbsd")]
bitflags! {
    /// `fflags` of a [`DEVICE`](Filter::DEVICE) change and event. OpenBSD.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct DeviceFlags: u32 {
        /// The device was changed, for instance a display connected. OpenBSD.
        const CHANGE = 0x1;

        const _ = !0;
    }
}

#[cfg(target_vendor = "apple")]
bitflags! {
    /// `fflags` of a [`VM`](Filter::VM) change and event. Apple.
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct VmFlags: u32 {
        /// Memory is short. Apple.
        const PRESSURE = 0x8000_0000;
        /// Memory is short: exit when convenient. Apple.
        const PRESSURE_TERMINATE = 0x4000_0000;
        /// Memory is short: exit at once. Apple.
        const PRESSURE_SUDDEN_TERMINATE = 0x2000_0000;
        /// Memory could not be watched. Apple.
        const ERROR = 0x1000_0000;

        const _ = !0;
    }
}

#[cfg(target_os = "freebsd")]
field!(JailFlags);
#[cfg(target_os = "openbsd")]
field!(DeviceFlags);
#[cfg(target_vendor = "apple")]
field!(VmFlags);

#[cfg(all(test, any(target_os = "openbsd", target_vendor = "apple")))]
mod tests {
    use super::*;

    #[cfg(target_os = "openbsd")]
    #[test]
    fn notes_have_the_values_that_libc_gives_them() {
        assert_eq!(DeviceFlags::CHANGE.bits(), libc::NOTE_CHANGE);
    }

    #[cfg(target_vendor = "apple")]
    #[test]
    fn notes_have_the_values_that_libc_gives_them() {
        assert_eq!(VmFlags::PRESSURE.bits(), libc::NOTE_VM_PRESSURE);
        assert_eq!(
            VmFlags::PRESSURE_TERMINATE.bits(),
            libc::NOTE_VM_PRESSURE_TERMINATE
        );
        assert_eq!(
            VmFlags::PRESSURE_SUDDEN_TERMINATE.bits(),
            libc::NOTE_VM_PRESSURE_SUDDEN_TERMINATE
        );
        assert_eq!(VmFlags::ERROR.bits(), libc::NOTE_VM_ERROR);
    }
}
