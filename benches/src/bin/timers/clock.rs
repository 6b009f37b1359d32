//! Two clocks: the one that the peers are shown, and the one that they are measured by.
//!
//! Peers that read a clock themselves would fire when they please, and no two of them would do the same
//! work. So this program defines `clock_gettime` itself: a program's own symbol takes precedence over
//! the C library's, for the standard library as for libev and libuv, and time stands still until
//! the pattern moves it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Nanoseconds. It begins an hour after zero: some peers take zero for "not set".
static NOW: AtomicU64 = AtomicU64::new(3_600_000_000_000);

pub(crate) fn now() -> u64 {
    NOW.load(Ordering::Relaxed)
}

pub(crate) fn set(now: u64) {
    NOW.store(now, Ordering::Relaxed);
}

// SAFETY: the name, the types and the result are those of clock_gettime(3), which this replaces.
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(_clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let now = now();
    let (seconds, nanoseconds) = (now / 1_000_000_000, now % 1_000_000_000);
    // SAFETY: the caller passes a timespec to be filled in.
    unsafe {
        time.write(libc::timespec {
            tv_sec: seconds as _,
            tv_nsec: nanoseconds as _,
        });
    }
    0
}

/// The processor time this thread has used, asked of the kernel without the C library. All peers do
/// their work on this thread, so other programs that share the processor don't count.
pub(crate) fn stopwatch() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: clock_gettime(2) fills in the timespec it is given.
    unsafe {
        libc::syscall(
            libc::SYS_clock_gettime,
            libc::CLOCK_THREAD_CPUTIME_ID,
            &raw mut time,
        );
    }
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
