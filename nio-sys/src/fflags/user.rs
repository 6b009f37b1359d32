//! `fflags` of USER.

use bitflags::bitflags;

bitflags! {
    /// `fflags` of a [`USER`](Filter::USER) change: triggering, and 24 bits that are the program's
    /// own.
    ///
    /// The three operations combine the low 24 bits of the change into those kept by the
    /// registration, and the event reports the result (K170). Pass 0 when registering, since
    /// systems disagree on the meaning of a first value (K171).
    ///
    /// ```
    /// use nio_sys::UserFlags;
    ///
    /// let change = UserFlags::TRIGGER | UserFlags::FFOR | UserFlags::value(0b101);
    /// assert_eq!(format!("{change:?}"), "TRIGGER|FFOR|0x5");
    /// ```
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct UserFlags: u32 {
        /// Fire the event. All systems.
        const TRIGGER = 0x0100_0000;
        /// Replace the kept bits. All systems.
        const FFCOPY = 0xc000_0000;
        /// AND into the kept bits. All systems.
        const FFAND = 0x4000_0000;
        /// OR into the kept bits. All systems.
        const FFOR = 0x8000_0000;

        const _ = !0;
    }
}

impl UserFlags {
    /// Leave the kept bits as they are. All systems.
    pub const FFNOP: UserFlags = UserFlags::empty();
    /// The bits of the operation. All systems.
    pub const FFCTRLMASK: UserFlags = UserFlags::FFCOPY;
    /// The bits that belong to the program. All systems.
    pub const FFLAGSMASK: UserFlags = UserFlags::from_bits_retain(0x00ff_ffff);

    /// The program's own bits, cut to the 24 that there are.
    pub const fn value(bits: u32) -> UserFlags {
        UserFlags::from_bits_retain(bits & UserFlags::FFLAGSMASK.bits())
    }
}

field!(UserFlags);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_program_is_cut_to_24_bits() {
        assert_eq!(UserFlags::value(u32::MAX), UserFlags::FFLAGSMASK);
        assert_eq!(UserFlags::value(7).bits(), 7);
    }

    #[test]
    fn copying_prints_as_one_operation() {
        assert_eq!(
            format!("{:?}", UserFlags::TRIGGER | UserFlags::FFCOPY),
            "TRIGGER|FFCOPY"
        );
        assert_eq!(format!("{:?}", UserFlags::FFAND), "FFAND");
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[test]
    fn notes_have_the_values_that_libc_gives_them() {
        assert_eq!(UserFlags::TRIGGER.bits(), libc::NOTE_TRIGGER);
        assert_eq!(UserFlags::FFNOP.bits(), libc::NOTE_FFNOP);
        assert_eq!(UserFlags::FFAND.bits(), libc::NOTE_FFAND);
        assert_eq!(UserFlags::FFOR.bits(), libc::NOTE_FFOR);
        assert_eq!(UserFlags::FFCOPY.bits(), libc::NOTE_FFCOPY);
        assert_eq!(UserFlags::FFCTRLMASK.bits(), libc::NOTE_FFCTRLMASK);
        assert_eq!(UserFlags::FFLAGSMASK.bits(), libc::NOTE_FFLAGSMASK);
    }
}
