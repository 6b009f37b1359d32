//! The clock of the libraries under test. In a process that replays timers it stands still until it is moved.
//!
//! Libraries that read a clock would fire timers at moments of their own, and no two of them would do the same work. So
//! this program defines `clock_gettime` itself, which takes precedence over the C library's for the standard library
//! and for libev and libuv alike. In all other processes it calls the C library's: one load and one call more for each
//! contender.

use std::{
    mem,
    ptr::null_mut,
    sync::atomic::{
        AtomicPtr, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

/// Nanoseconds, or 0 in a process whose clock runs.
static NOW: AtomicU64 = AtomicU64::new(0);

/// Some libraries take the time 0 for "not set".
const START: u64 = 3_600_000_000_000;

type ClockGettime = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int;

/// The C library's function, once it has been looked up.
static REAL: AtomicPtr<libc::c_void> = AtomicPtr::new(null_mut());

/// Stops the clock of this process permanently.
pub(crate) fn stop() {
    NOW.store(START, Relaxed);
}

pub(crate) fn now() -> u64 {
    NOW.load(Relaxed)
}

pub(crate) fn set(now: u64) {
    NOW.store(now, Relaxed);
}

// SAFETY: the name, the types and the result are those of clock_gettime(3), which this replaces.
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let now = now();
    if now == 0 {
        return real(clock, time);
    }
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

#[inline(always)]
fn real(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let mut function = REAL.load(Acquire);
    if function.is_null() {
        // SAFETY: the name is a C string.
        function = unsafe { libc::dlsym(libc::RTLD_NEXT, c"clock_gettime".as_ptr()) };
        assert!(!function.is_null(), "the C library has no clock_gettime");
        REAL.store(function, Release);
    }
    // SAFETY: it is the function of this name, so it has this type; the caller's pointer is handed on.
    unsafe { mem::transmute::<*mut libc::c_void, ClockGettime>(function)(clock, time) }
}

/// The CPU time of this thread, from the kernel directly, without the time of other programs.
pub(crate) fn thread_time() -> Duration {
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
