//! `Kevent`: the one structure of kqueue, a change on the way in and an event on the way out.
//!
//! It is the kernel's own struct under another name, so that arrays of it go to the kernel and come
//! back without copying. Its fields differ in width between systems; here they are read and written
//! at one width.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::fflags::{TimerUnit, describe};
use crate::filter::Filter;
use crate::flags::EventFlags;
use crate::raw;

/// A change to make to a queue, or an event that it reports.
///
/// `ident` and `filter` are the key: a queue holds at most one registration of each pair (K36).
/// `flags` are the operation of a change or the state in an event, `fflags` and `data` belong to the filter,
/// and `udata` is a number of the program that comes back with every event, bit for bit (K35).
///
/// Most systems overwrite `udata`, `fflags` and `data` of a registration with those of each later
/// change to it, a bare [`ENABLE`](EventFlags::ENABLE) included: pass them in full each time (K58,
/// K59).
///
/// Prints much as ktrace(1) would print it; `fflags` and `data` only when they are not 0.
///
/// ```
/// use nio_sys::{EventFlags, Kevent, VnodeFlags};
///
/// let change = Kevent::user(7, EventFlags::ADD | EventFlags::CLEAR).with_udata(3);
/// assert_eq!(format!("{change:?}"), "USER 7 ADD|CLEAR udata=0x3");
///
/// let file = std::fs::File::open(std::env::current_exe()?)?;
/// let change = Kevent::vnode(&file, EventFlags::ADD)
///     .with_fflags(VnodeFlags::WRITE | VnodeFlags::EXTEND)
///     .with_udata(4);
/// assert_eq!(change.fflags(), 6);
/// assert_eq!(change.udata(), 4);
/// # Ok::<(), std::io::Error>(())
/// ```
// Layout: that of `raw::kevent`, whose size per system `raw.rs` lists and tests.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Kevent(pub(crate) raw::kevent);

// SAFETY: the only thing in a Kevent that is not an integer is `udata`, a pointer for the kernel and
// a number here: nothing in this crate follows it, so a thread can only read it as a number.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
unsafe impl Send for Kevent {}

// SAFETY: as for Send; a shared Kevent cannot be changed, having no interior mutability.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
unsafe impl Sync for Kevent {}

impl Kevent {
    /// A change to the registration of `ident` and `filter`; `fflags`, `data` and `udata` are 0.
    pub fn new(ident: usize, filter: Filter, flags: EventFlags) -> Kevent {
        Kevent(raw::new(ident, filter.0, flags.bits()))
    }

    /// A change of the READ registration of `fd`.
    ///
    /// The change keeps only the number. Closing the descriptor ends the registration, except on Linux
    /// while a duplicate of it is open: delete before closing if there may be one.
    pub fn read(fd: &impl AsFd, flags: EventFlags) -> Kevent {
        Kevent::on_descriptor(fd, Filter::READ, flags)
    }

    /// A change of the WRITE registration of `fd`. See [`read`](Kevent::read) about closing it.
    pub fn write(fd: &impl AsFd, flags: EventFlags) -> Kevent {
        Kevent::on_descriptor(fd, Filter::WRITE, flags)
    }

    /// A change of the VNODE registration of the file or directory open as `fd`;
    /// [`with_fflags`](Kevent::with_fflags) with [`VnodeFlags`](crate::VnodeFlags) selects the events.
    pub fn vnode(fd: &impl AsFd, flags: EventFlags) -> Kevent {
        Kevent::on_descriptor(fd, Filter::VNODE, flags)
    }

    /// A change of the PROC registration of the process `pid`; [`with_fflags`](Kevent::with_fflags) with
    /// [`ProcFlags`](crate::ProcFlags) selects the events.
    pub fn process(pid: u32, flags: EventFlags) -> Kevent {
        Kevent::new(pid as usize, Filter::PROC, flags)
    }

    /// A change of the SIGNAL registration of the signal `signum`, sent to this process.
    pub fn signal(signum: i32, flags: EventFlags) -> Kevent {
        // A negative number becomes a huge one, which no signal has.
        Kevent::new(signum as usize, Filter::SIGNAL, flags)
    }

    /// A change of the timer `ident`, which may be any number; [`with_time`](Kevent::with_time) sets its
    /// period or deadline.
    pub fn timer(ident: usize, flags: EventFlags) -> Kevent {
        Kevent::new(ident, Filter::TIMER, flags)
    }

    /// A change of the user event `ident`, which may be any number;
    /// [`UserFlags::TRIGGER`](crate::UserFlags::TRIGGER) in [`with_fflags`](Kevent::with_fflags)
    /// triggers it.
    pub fn user(ident: usize, flags: EventFlags) -> Kevent {
        Kevent::new(ident, Filter::USER, flags)
    }

    fn on_descriptor(fd: &impl AsFd, filter: Filter, flags: EventFlags) -> Kevent {
        // A BorrowedFd is never negative.
        Kevent::new(fd.as_fd().as_raw_fd() as usize, filter, flags)
    }

    /// Replaces the flags.
    #[must_use]
    pub fn with_flags(mut self, flags: EventFlags) -> Kevent {
        self.0.flags = flags.bits();
        self
    }

    /// Replaces the flags of the filter: a value of one of the filters' flag types, or a number.
    #[must_use]
    pub fn with_fflags(mut self, fflags: impl Into<u32>) -> Kevent {
        self.0.fflags = fflags.into();
        self
    }

    /// Replaces `data`.
    ///
    /// The field is 64 bits wide except on 32-bit Apple systems, where a number that does not fit
    /// becomes the nearest one that does.
    #[must_use]
    pub fn with_data(mut self, data: i64) -> Kevent {
        self.0.data = saturate(data);
        self
    }

    /// Sets the period or deadline of a timer to `amount` of `unit`: replaces `data`, and the unit in
    /// `fflags`. Other flags in `fflags` stay.
    ///
    /// Where the kernel does not have the unit (DragonFly counts in milliseconds only) the amount
    /// is converted, rounded up.
    #[must_use]
    pub fn with_time(self, amount: i64, unit: TimerUnit) -> Kevent {
        let (data, fflags) = unit.apply(amount, self.fflags());
        self.with_data(data).with_fflags(fflags)
    }

    /// Replaces `udata`, the number that comes back with every event.
    #[must_use]
    pub fn with_udata(mut self, udata: usize) -> Kevent {
        raw::set_udata(&mut self.0, udata);
        self
    }

    /// The ident: a descriptor, a process id, a signal number, or any number, depending on the filter.
    pub fn ident(&self) -> usize {
        self.0.ident
    }

    /// The filter.
    pub fn filter(&self) -> Filter {
        Filter(self.0.filter)
    }

    /// The operation of a change, or the state in an event.
    pub fn flags(&self) -> EventFlags {
        EventFlags::from_bits_retain(self.0.flags)
    }

    /// The filter's flags.
    pub fn fflags(&self) -> u32 {
        self.0.fflags
    }

    /// The number that the filter reports: bytes to read, expirations of a timer, an exit status. In an
    /// error entry it is the errno.
    pub fn data(&self) -> i64 {
        #[allow(clippy::unnecessary_cast, reason = "isize on Apple and DragonFly")]
        let data = self.0.data as i64;
        data
    }

    /// The number that the program attached to the registration.
    pub fn udata(&self) -> usize {
        raw::udata(&self.0)
    }

    /// Whether this entry is the answer to a change, with the errno in [`data`](Kevent::data); 0
    /// there is a success.
    ///
    /// [`receipt`](Kevent::receipt) distinguishes an error from a success.
    pub fn is_error(&self) -> bool {
        self.flags().contains(EventFlags::ERROR)
    }

    /// Whether the event reports the end (`EV_EOF`): the peer is gone or has ended writing, or the process
    /// has exited. Data that arrived before can still be read.
    pub fn is_eof(&self) -> bool {
        self.flags().contains(EventFlags::EOF)
    }

    /// The result of the change that the entry answers.
    ///
    /// `Ok` for a success, the error otherwise. `Ok` also for an event, so a loop over returned entries
    /// can begin with it.
    ///
    /// # Errors
    ///
    /// The errno with which the kernel refused the change.
    ///
    /// ```
    /// use nio_sys::{EventFlags, Filter, Kevent};
    ///
    /// let ebadf = 9;
    /// let refused = Kevent::new(1000, Filter::READ, EventFlags::ERROR).with_data(ebadf);
    /// assert_eq!(refused.receipt().unwrap_err().raw_os_error(), Some(9));
    ///
    /// assert!(refused.with_data(0).receipt().is_ok());
    /// ```
    pub fn receipt(&self) -> io::Result<()> {
        match self.data() {
            errno if self.is_error() && errno != 0 => {
                Err(io::Error::from_raw_os_error(errno as i32))
            }
            _ => Ok(()),
        }
    }
}

/// `data` at the width of the field, the nearest number where it does not fit.
fn saturate(data: i64) -> raw::Data {
    #[allow(clippy::unnecessary_cast, reason = "isize on Apple and DragonFly")]
    let (least, most) = (raw::Data::MIN as i64, raw::Data::MAX as i64);
    data.clamp(least, most) as raw::Data
}

impl PartialEq for Kevent {
    fn eq(&self, other: &Kevent) -> bool {
        self.ident() == other.ident()
            && self.filter() == other.filter()
            && self.flags() == other.flags()
            && self.fflags() == other.fflags()
            && self.data() == other.data()
            && self.udata() == other.udata()
    }
}

impl Eq for Kevent {}

impl fmt::Debug for Kevent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.filter(), self.ident(), self.flags())?;
        if self.fflags() != 0 {
            f.write_str(" fflags=")?;
            describe(self.filter(), self.flags(), self.fflags(), f)?;
        }
        if self.data() != 0 {
            write!(f, " data={}", self.data())?;
        }
        write!(f, " udata={:#x}", self.udata())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProcFlags, ReadWriteFlags, UserFlags, VnodeFlags};

    #[test]
    fn a_kevent_is_the_kernels_struct_and_nothing_more() {
        assert_eq!(size_of::<Kevent>(), size_of::<raw::kevent>());
        assert_eq!(align_of::<Kevent>(), align_of::<raw::kevent>());
        // No system pads between ident, filter, flags and fflags.
        let small = size_of::<raw::FilterNumber>() + size_of::<raw::FlagBits>();
        assert_eq!(
            std::mem::offset_of!(raw::kevent, filter),
            size_of::<usize>()
        );
        assert_eq!(
            std::mem::offset_of!(raw::kevent, fflags),
            size_of::<usize>() + small
        );
    }

    #[test]
    fn each_field_is_read_as_it_was_written() {
        let event = Kevent::new(usize::MAX, Filter::VNODE, EventFlags::ADD)
            .with_fflags(VnodeFlags::WRITE)
            .with_data(-5)
            .with_udata(usize::MAX);
        assert_eq!(event.ident(), usize::MAX);
        assert_eq!(event.filter(), Filter::VNODE);
        assert_eq!(event.flags(), EventFlags::ADD);
        assert_eq!(event.fflags(), VnodeFlags::WRITE.bits());
        assert_eq!(event.data(), -5);
        assert_eq!(event.udata(), usize::MAX);
        assert_eq!(
            event.with_flags(EventFlags::DELETE).flags(),
            EventFlags::DELETE
        );
    }

    #[test]
    fn data_keeps_the_width_of_a_pointer_at_least() {
        for data in [isize::MIN, -1, 0, isize::MAX] {
            let data = data as i64;
            assert_eq!(
                Kevent::timer(1, EventFlags::ADD).with_data(data).data(),
                data
            );
        }
    }

    #[test]
    fn kevents_are_equal_when_all_fields_are() {
        let event = Kevent::user(1, EventFlags::ADD);
        assert_eq!(event, event.with_udata(0));
        assert_ne!(event, event.with_udata(1));
        assert_ne!(event, event.with_data(1));
        assert_ne!(event, event.with_fflags(1u32));
        assert_ne!(event, event.with_flags(EventFlags::DELETE));
        assert_ne!(event, Kevent::user(2, EventFlags::ADD));
        assert_ne!(event, Kevent::timer(1, EventFlags::ADD));
    }

    #[test]
    fn a_negative_signal_number_is_no_small_ident() {
        assert_eq!(Kevent::signal(-1, EventFlags::ADD).ident(), usize::MAX);
    }

    #[test]
    fn a_kevent_prints_as_ktrace_would() {
        let flags = EventFlags::ADD | EventFlags::CLEAR;
        let event = Kevent::new(7, Filter::READ, flags).with_udata(3);
        assert_eq!(format!("{event:?}"), "READ 7 ADD|CLEAR udata=0x3");

        let event = Kevent::new(5, Filter::VNODE, flags)
            .with_fflags(VnodeFlags::WRITE | VnodeFlags::EXTEND);
        assert_eq!(
            format!("{event:?}"),
            "VNODE 5 ADD|CLEAR fflags=WRITE|EXTEND udata=0x0"
        );

        let event = Kevent::user(1, EventFlags::empty()).with_fflags(UserFlags::TRIGGER);
        assert_eq!(format!("{event:?}"), "USER 1 0 fflags=TRIGGER udata=0x0");

        let event = Kevent::process(99, EventFlags::EOF)
            .with_fflags(ProcFlags::EXIT)
            .with_data(256);
        assert_eq!(
            format!("{event:?}"),
            "PROC 99 EOF fflags=EXIT data=256 udata=0x0"
        );
    }

    #[test]
    fn the_errno_of_a_broken_socket_does_not_print_as_flags() {
        let event =
            Kevent::new(7, Filter::READ, EventFlags::empty()).with_fflags(ReadWriteFlags::LOWAT);
        assert_eq!(format!("{event:?}"), "READ 7 0 fflags=LOWAT udata=0x0");
        let event = event.with_flags(EventFlags::EOF).with_fflags(104u32);
        assert_eq!(format!("{event:?}"), "READ 7 EOF fflags=104 udata=0x0");
    }

    #[cfg(not(target_os = "dragonfly"))]
    #[test]
    fn a_timer_prints_its_unit() {
        let event = Kevent::timer(1, EventFlags::ADD).with_time(5, TimerUnit::Seconds);
        assert_eq!(
            format!("{event:?}"),
            "TIMER 1 ADD fflags=Seconds data=5 udata=0x0"
        );
        let event = event
            .with_fflags(crate::TimerFlags::ABSOLUTE)
            .with_time(5, TimerUnit::Nanoseconds);
        assert_eq!(
            format!("{event:?}"),
            "TIMER 1 ADD fflags=Nanoseconds|ABSOLUTE data=5 udata=0x0"
        );
    }

    #[test]
    fn k43_a_receipt_with_data_0_is_a_success() {
        let receipt = Kevent::user(1, EventFlags::ERROR);
        assert!(receipt.is_error());
        assert!(receipt.receipt().is_ok());
    }

    #[test]
    fn k45_other_flags_in_a_receipt_do_not_matter() {
        let receipt = Kevent::user(1, EventFlags::ADD | EventFlags::RECEIPT | EventFlags::ERROR);
        assert!(receipt.receipt().is_ok());
        let refused = receipt.with_data(i64::from(libc::ENOENT));
        assert_eq!(
            refused.receipt().unwrap_err().raw_os_error(),
            Some(libc::ENOENT)
        );
    }

    #[test]
    fn an_event_with_any_data_is_no_failure() {
        let event = Kevent::new(7, Filter::READ, EventFlags::EOF).with_data(12);
        assert!(event.receipt().is_ok());
        assert!(event.is_eof() && !event.is_error());
    }

    #[test]
    fn kevents_can_go_to_another_thread() {
        fn check<T: Send + Sync>() {}
        check::<Kevent>();
    }
}
