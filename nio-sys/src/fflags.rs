//! The `fflags` field: one type for each filter's `NOTE_` constants.
//!
//! The same bit means different things to different filters, and some constants differ between systems or
//! exist on a few of them only. So each filter has a type, and each constant a line that names its systems. A
//! kernel may return bits without a name here: read them with `from_bits_retain`.
//!
//! The kernel's headers call them `NOTE_LOWAT`, `NOTE_TRIGGER` and so on; the prefix is dropped.

use std::fmt;

use crate::{
    filter::Filter,
    flags::{EventFlags, write_names},
};

/// The conversion of a type of flags to the field, and its printing as `WRITE|EXTEND`.
macro_rules! field {
    ($flags:ident) => {
        impl From<$flags> for u32 {
            fn from(flags: $flags) -> u32 {
                flags.bits()
            }
        }

        impl std::fmt::Debug for $flags {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                crate::flags::write_names(*self, f)
            }
        }
    };
}

mod descriptor;
#[cfg(any(target_os = "freebsd", target_os = "openbsd", target_vendor = "apple"))]
mod one_system;
mod process;
mod timer;
mod user;
mod vnode;

pub use descriptor::ReadWriteFlags;
#[cfg(target_os = "openbsd")]
pub use one_system::DeviceFlags;
#[cfg(target_os = "freebsd")]
pub use one_system::JailFlags;
#[cfg(target_vendor = "apple")]
pub use one_system::VmFlags;
pub use process::ProcFlags;
pub use timer::{TimerFlags, TimerUnit};
pub use user::UserFlags;
pub use vnode::VnodeFlags;

/// Prints the `fflags` of an entry by the names of its filter, or as a number if it has none.
pub(crate) fn describe(
    filter: Filter,
    flags: EventFlags,
    fflags: u32,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match filter {
        // At the end of a stream the field holds an errno.
        Filter::READ | Filter::WRITE if flags.contains(EventFlags::EOF) => write!(f, "{fflags}"),
        Filter::READ | Filter::WRITE => write_names(ReadWriteFlags::from_bits_retain(fflags), f),
        #[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
        Filter::EXCEPT => write_names(ReadWriteFlags::from_bits_retain(fflags), f),
        Filter::VNODE => write_names(VnodeFlags::from_bits_retain(fflags), f),
        Filter::PROC => write_names(ProcFlags::from_bits_retain(fflags), f),
        #[cfg(any(target_os = "freebsd", target_os = "linux", target_os = "android"))]
        Filter::PROCDESC => write_names(ProcFlags::from_bits_retain(fflags), f),
        Filter::USER => write_names(UserFlags::from_bits_retain(fflags), f),
        Filter::TIMER => timer::describe(fflags, f),
        #[cfg(target_os = "freebsd")]
        Filter::JAIL | Filter::JAILDESC => write_names(JailFlags::from_bits_retain(fflags), f),
        #[cfg(target_os = "openbsd")]
        Filter::DEVICE => write_names(DeviceFlags::from_bits_retain(fflags), f),
        #[cfg(target_vendor = "apple")]
        Filter::VM => write_names(VmFlags::from_bits_retain(fflags), f),
        _ => write!(f, "{fflags:#x}"),
    }
}
