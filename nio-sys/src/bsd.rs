//! The engine of the kqueue systems: the kernel's own.
//!
//! This file fits arguments to the limits and types of each kernel: counts, timeouts, close-on-exec.
//!
//! Laws:
//!
//! - every descriptor is owned by an `OwnedFd` as soon as the kernel has returned it;
//! - no argument is cut silently: one that a kernel cannot take is refused, or changed to one that means the
//!   same;
//! - a child of fork(2) never closes the number of its parent's queue, which may be another file's there (K4). Calls
//!   do not check this: it would be a system call more for each wait.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process;
use std::ptr;
use std::time::{Duration, Instant};

use crate::event_list::EventList;
use crate::flags::EventFlags;
use crate::kevent::Kevent;
use crate::owned::owned;
use crate::raw;

// These kernels do not change the disposition of a watched signal.
pub(crate) use crate::signal::disposition as disposition_beneath;

/// Changes the disposition of a signal.
pub(crate) fn set_disposition_beneath(
    signum: libc::c_int,
    action: &libc::sigaction,
) -> io::Result<()> {
    crate::signal::set_disposition(signum, action).map(drop)
}

/// A number that identifies this process; its parent has another. Async-signal-safe.
pub(crate) fn this_process() -> usize {
    process::id() as usize
}

/// The type of `nchanges` and `nevents`.
#[cfg(not(target_os = "netbsd"))]
type Count = libc::c_int;
#[cfg(target_os = "netbsd")]
type Count = libc::size_t;

/// The most entries that one call can be given: where the counts are `int`, a larger one would be
/// negative (K29).
const MAX_COUNT: usize = i32::MAX as usize;

/// Timeouts of more seconds than this become "no timeout", so that a long wait neither fails nor ends
/// at once by an overflow (K22).
///
/// XNU answers `EINVAL` above 100 000 000 seconds, which is more than three years. FreeBSD itself
/// treats more than `i32::MAX` seconds as no timeout; elsewhere this bound keeps a 32-bit `time_t`
/// from overflowing.
const MAX_TIMEOUT_SECS: u64 = if cfg!(target_vendor = "apple") {
    100_000_000
} else {
    i32::MAX as u64
};

/// An owned kernel queue.
pub(crate) struct Queue {
    fd: ManuallyDrop<OwnedFd>,
    /// The process that made it. Its children do not inherit it (K4).
    creator: u32,
}

impl Queue {
    /// These kernels always fill in the number of bytes.
    pub(crate) fn new(_counts: bool) -> io::Result<Queue> {
        Ok(Queue {
            fd: ManuallyDrop::new(open()?),
            creator: process::id(),
        })
    }

    pub(crate) fn is_of_this_process(&self) -> bool {
        process::id() == self.creator
    }

    pub(crate) fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut EventList,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        events.clear();
        if changes.len() > MAX_COUNT {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let nevents = events.capacity().min(MAX_COUNT);
        let room = &mut events.events.spare_capacity_mut()[..nevents];
        let timeout = timeout.and_then(timespec);

        // SAFETY: `changes` and `room` are valid for the counts given, which fit Count as both are
        // at most MAX_COUNT; Kevent is `repr(transparent)` over the kernel's struct; the kernel
        // only writes to `room`, which may be uninitialised; the timespec lives until the end of
        // the call.
        let returned = unsafe {
            libc::kevent(
                self.fd.as_raw_fd(),
                changes.as_ptr().cast::<raw::kevent>(),
                changes.len() as Count,
                room.as_mut_ptr().cast::<raw::kevent>(),
                nevents as Count,
                timeout.as_ref().map_or(ptr::null(), ptr::from_ref),
            )
        };
        let count = check(returned)? as usize;
        assert!(
            count <= nevents,
            "kevent returned more events than it had room for"
        );

        // SAFETY: the kernel has filled the first `count` entries, and `count <= nevents <=
        // capacity`.
        unsafe { events.events.set_len(count) };
        Ok(())
    }

    /// kevent(2) without changes. A wait that a signal interrupts goes on for the remaining time (K24).
    pub(crate) fn wait_on(
        &self,
        events: &mut EventList,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let start = timeout.filter(|t| !t.is_zero()).map(|_| Instant::now());
        let mut left = timeout;
        loop {
            match self.kevent(&[], events, left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
            let passed = start.map_or(Duration::ZERO, |start| start.elapsed());
            left = timeout.map(|timeout| timeout.saturating_sub(passed));
        }
    }

    pub(crate) fn apply(&self, changes: &mut [Kevent]) -> io::Result<()> {
        if changes.len() > MAX_COUNT {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        for change in changes.iter_mut() {
            // Kernels ignore ERROR in a change (K30). It is removed, so that only an answer has
            // it.
            let flags = change.flags().difference(EventFlags::ERROR);
            *change = change.with_flags(flags | EventFlags::RECEIPT);
        }
        // Receipts end the call before it waits (K42); the timeout of zero is a safeguard.
        let at_once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let list = changes.as_mut_ptr().cast::<raw::kevent>();
        let count = changes.len() as Count;

        // SAFETY: `list` is valid for reading and writing `count` structs, Kevent being
        // `repr(transparent)` over them, and `count` fits Count as there are at most MAX_COUNT
        // changes. One array may serve as both lists: the kernel copies each change in before it
        // writes the entry that answers it (K27).
        let returned =
            unsafe { libc::kevent(self.fd.as_raw_fd(), list, count, list, count, &at_once) };

        match check(returned) {
            Ok(answered) if answered as usize == changes.len() => Ok(()),
            // FreeBSD skips a change of filter 0 without an answer, which leaves the later answers
            // in wrong places.
            Ok(_) => Err(io::Error::other(
                "the kernel answered fewer changes than it was given",
            )),
            // The call does not wait, so it should not be interrupted. If it is, all changes have been
            // applied (K24), and submitting them again would report the second attempt. Changes without
            // an answer are taken to have succeeded.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                for change in changes.iter_mut().filter(|change| !change.is_error()) {
                    *change = change.with_flags(EventFlags::ERROR).with_data(0);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // In a child of fork(2) the number is free, or belongs to another file (K4).
        if self.is_of_this_process() {
            // SAFETY: `fd` is not used again: this is the drop of its only owner.
            unsafe { ManuallyDrop::drop(&mut self.fd) };
        }
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A new close-on-exec queue: one system call.
#[cfg(target_os = "netbsd")]
fn open() -> io::Result<OwnedFd> {
    // SAFETY: kqueue1 takes no pointers.
    owned(unsafe { libc::kqueue1(libc::O_CLOEXEC) })
}

/// A new close-on-exec queue.
///
/// Two system calls: one that does both is missing on Apple and DragonFly, and too new to link to on FreeBSD
/// and OpenBSD. A child does not inherit a queue (K4), so the gap between them matters only if another
/// thread executes a program without forking.
#[cfg(not(target_os = "netbsd"))]
fn open() -> io::Result<OwnedFd> {
    // SAFETY: kqueue takes no arguments.
    let fd = owned(unsafe { libc::kqueue() })?;
    // SAFETY: F_SETFD takes an int and touches nothing but the descriptor's flags.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(fd)
}

/// The result of a system call, -1 turned into its error.
fn check(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(returned)
    }
}

/// The timeout as the kernel takes it, or `None` for one so long that it means no timeout.
fn timespec(timeout: Duration) -> Option<libc::timespec> {
    if timeout.as_secs() > MAX_TIMEOUT_SECS {
        return None;
    }
    Some(libc::timespec {
        tv_sec: timeout.as_secs() as libc::time_t,
        tv_nsec: timeout.subsec_nanos() as libc::c_long,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k20_a_timeout_is_passed_to_the_nanosecond() {
        let spec = timespec(Duration::new(1, 999_999_999)).unwrap();
        assert_eq!((spec.tv_sec, spec.tv_nsec), (1, 999_999_999));
    }

    #[test]
    fn k22_a_huge_timeout_means_no_timeout() {
        assert!(timespec(Duration::MAX).is_none());
        assert!(timespec(Duration::from_secs(MAX_TIMEOUT_SECS + 1)).is_none());
        assert!(timespec(Duration::from_secs(MAX_TIMEOUT_SECS)).is_some());
    }

    #[test]
    fn k22_the_longest_timeout_is_accepted_by_the_kernel() {
        let queue = Queue::new(false).unwrap();
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let writable = [Kevent::write(&socket, EventFlags::ADD)];
        let mut events = EventList::with_capacity(1);
        let longest = Duration::new(MAX_TIMEOUT_SECS, 999_999_999);
        queue.kevent(&writable, &mut events, Some(longest)).unwrap();
        assert_eq!(events.len(), 1);
        assert!(!events[0].is_error());
    }

    #[test]
    fn k40_a_refused_change_without_room_fails_the_call() {
        let queue = Queue::new(false).unwrap();
        let mut events = EventList::with_capacity(0);
        let unknown = [Kevent::timer(1, EventFlags::DELETE)];
        let error = queue.kevent(&unknown, &mut events, None).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
}
