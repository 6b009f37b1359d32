//! epoll(7) and eventfd(2): the system calls of the engine, each wrapped in a safe function.

use std::{
    io,
    mem::size_of,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    ptr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use libc::{c_int, epoll_event};

use crate::owned::owned;

/// Set once epoll_pwait2 has been refused: a kernel before Linux 5.11 answers ENOSYS, the seccomp filter of an
/// old container EPERM. Set from the start on Android: the filter of applications kills a process for a call that
/// its release does not know, and before Android 15 it does not know this one.
static NO_PWAIT2: AtomicBool = AtomicBool::new(cfg!(target_os = "android"));

/// A timeout of 2³¹ seconds or more is the same as none.
const FOREVER: u64 = 1 << 31;

/// The kernel refuses (EINVAL) to return more events than this in one call.
const MOST_EVENTS: usize = c_int::MAX as usize / size_of::<epoll_event>();

/// The kernel's own timespec, which is 64 bits wide also where libc's is not.
#[repr(C)]
pub(super) struct KernelTimespec {
    pub(super) seconds: i64,
    pub(super) nanoseconds: i64,
}

/// The mask of the queue's own entries.
pub(super) const EDGE: u32 = (libc::EPOLLIN | libc::EPOLLET) as u32;

/// A new epoll set, close-on-exec.
pub(super) fn create() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
}

/// A new eventfd: close-on-exec, non-blocking, count zero.
pub(super) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

/// Writes an eventfd, which gives it an edge. Never blocks and never fails: the one error of a valid eventfd,
/// EAGAIN, means that its count is full, so an edge is there already.
///
/// Async-signal-safe; the caller keeps `errno`.
pub(super) fn notify(eventfd: RawFd) {
    let one = 1_u64;
    // SAFETY: the buffer is eight bytes that live until the call returns, and no call keeps it.
    unsafe { libc::write(eventfd, ptr::from_ref(&one).cast(), size_of::<u64>()) };
}

/// Takes back an edge that no wait has returned.
pub(super) fn take_back(eventfd: RawFd) {
    let mut count = 0_u64;
    // SAFETY: the buffer is eight bytes that live until the call returns. It never blocks; EAGAIN says
    // that there is no edge.
    unsafe { libc::read(eventfd, ptr::from_mut(&mut count).cast(), size_of::<u64>()) };
}

/// Adds, modifies or removes (`op`) the entry of `fd` in an epoll set.
#[inline]
pub(super) fn control(
    set: &impl AsRawFd,
    op: c_int,
    fd: RawFd,
    events: u32,
    payload: u64,
) -> io::Result<()> {
    let mut event = epoll_event {
        events,
        u64: payload,
    };
    // SAFETY: `event` lives until the call returns; the kernel copies it.
    match unsafe { libc::epoll_ctl(set.as_raw_fd(), op, fd, &mut event) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// The error of the last system call, as kqueue(2) has it: the limit on watches of a user (ENOSPC) is a lack of
/// memory (ENOMEM).
#[cold]
pub(super) fn last_error() -> io::Error {
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSPC) => io::Error::from_raw_os_error(libc::ENOMEM),
        _ => error,
    }
}

/// Puts another epoll set in the place of one, under the same number.
pub(super) fn replace(old: &OwnedFd, new: &OwnedFd) -> io::Result<()> {
    let (new, old) = (new.as_raw_fd(), old.as_raw_fd());
    // The libc crate has no dup3 for Android.
    // SAFETY: both are open, and the caller alone owns the old descriptor.
    match unsafe { libc::syscall(libc::SYS_dup3, new, old, libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Waits for events and puts them into `buffer`, at most `room` of them and at most as many as the buffer
/// can hold without growing. After a success, an empty buffer means that the time is up.
#[inline]
pub(super) fn wait(
    set: &OwnedFd,
    buffer: &mut Vec<epoll_event>,
    room: usize,
    timeout: Option<Duration>,
) -> io::Result<()> {
    buffer.clear();
    let room = room.min(buffer.capacity()).min(MOST_EVENTS) as c_int;
    let n = match timeout {
        None => wait_ms(set, buffer, room, -1)?,
        Some(Duration::ZERO) => wait_ms(set, buffer, room, 0)?,
        Some(timeout) if timeout.as_secs() >= FOREVER => wait_ms(set, buffer, room, -1)?,
        Some(timeout) => wait_exactly(set, buffer, room, timeout)?,
    };
    // SAFETY: the kernel has filled in the first `n` entries, and `n` is at most the room that the
    // capacity gave.
    unsafe { buffer.set_len(n) };
    Ok(())
}

/// Waits with the resolution of nanoseconds; of milliseconds on a kernel without epoll_pwait2.
fn wait_exactly(
    set: &OwnedFd,
    buffer: &mut Vec<epoll_event>,
    room: c_int,
    timeout: Duration,
) -> io::Result<usize> {
    if NO_PWAIT2.load(Ordering::Relaxed) {
        return wait_long(set, buffer, room, timeout);
    }
    let timespec = KernelTimespec {
        seconds: timeout.as_secs() as i64,
        nanoseconds: i64::from(timeout.subsec_nanos()),
    };
    // SAFETY: the buffer has space for `room` entries, the timespec lives until the call returns,
    // and a null signal mask is ignored together with its size.
    let n = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            set.as_raw_fd(),
            buffer.as_mut_ptr(),
            room,
            ptr::from_ref(&timespec),
            ptr::null::<libc::sigset_t>(),
            0_usize,
        )
    };
    if n >= 0 {
        return Ok(n as usize);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EPERM) => {
            NO_PWAIT2.store(true, Ordering::Relaxed);
            wait_long(set, buffer, room, timeout)
        }
        _ => Err(error),
    }
}

/// Waits with the resolution of milliseconds. More than 24 days take several waits.
fn wait_long(
    set: &OwnedFd,
    buffer: &mut Vec<epoll_event>,
    room: c_int,
    timeout: Duration,
) -> io::Result<usize> {
    let mut left = timeout;
    loop {
        let most = milliseconds(left);
        let n = wait_ms(set, buffer, room, most)?;
        left = left.saturating_sub(Duration::from_millis(most as u64));
        if n > 0 || left.is_zero() {
            return Ok(n);
        }
    }
}

/// Waits with the resolution of milliseconds; −1 waits without a limit.
#[inline]
fn wait_ms(
    set: &OwnedFd,
    buffer: &mut Vec<epoll_event>,
    room: c_int,
    timeout: c_int,
) -> io::Result<usize> {
    // SAFETY: the buffer has space for `room` entries.
    let n = unsafe { libc::epoll_wait(set.as_raw_fd(), buffer.as_mut_ptr(), room, timeout) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Rounded up, because a timeout is a minimum and because rounding down to zero would spin (K20).
/// A timeout that does not fit into an int is cut to 24 days.
fn milliseconds(timeout: Duration) -> c_int {
    let up = timeout.as_nanos().div_ceil(1_000_000);
    c_int::try_from(up).unwrap_or(c_int::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventFlags, EventList, Kevent, Kqueue, UserFlags};
    use std::{sync::Mutex, thread, time::Instant};

    /// Held by a test that chooses the system call of a wait.
    static CHOICE: Mutex<()> = Mutex::new(());

    /// Runs a test with epoll_pwait2 (if this kernel has it), and without.
    fn on_both_kernels(test: impl Fn()) {
        let _alone = CHOICE.lock();
        let before = NO_PWAIT2.load(Ordering::Relaxed);
        test();
        NO_PWAIT2.store(true, Ordering::Relaxed);
        test();
        NO_PWAIT2.store(before, Ordering::Relaxed);
    }

    #[test]
    fn k20_milliseconds_are_rounded_up() {
        for (nanoseconds, up) in [
            (0, 0),
            (1, 1),
            (300_000, 1),
            (999_999, 1),
            (1_000_000, 1),
            (1_000_001, 2),
            (1_300_000, 2),
            (59_999_999_999, 60_000),
        ] {
            let timeout = Duration::from_nanos(nanoseconds);
            assert_eq!(milliseconds(timeout), up, "{timeout:?}");
        }
    }

    #[test]
    fn k22_milliseconds_that_do_not_fit_are_24_days() {
        let most = c_int::MAX as u64;
        assert_eq!(milliseconds(Duration::from_millis(most)), c_int::MAX);
        for timeout in [
            Duration::from_millis(most + 1),
            Duration::from_secs(FOREVER),
            Duration::MAX,
        ] {
            assert_eq!(milliseconds(timeout), c_int::MAX, "{timeout:?}");
        }
    }

    #[test]
    fn k20_a_timeout_is_a_minimum_on_either_kernel() {
        on_both_kernels(|| {
            let queue = Kqueue::new().unwrap();
            let mut events = EventList::with_capacity(4);
            for timeout in [1, 300_000, 1_300_000, 20_000_000].map(Duration::from_nanos) {
                let start = Instant::now();
                assert_eq!(queue.kevent(&[], &mut events, Some(timeout)).unwrap(), 0);
                assert!(start.elapsed() >= timeout, "{timeout:?}");
            }
        });
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn k85_there_may_be_more_room_than_the_kernel_takes_in_one_call() {
        let set = create().unwrap();
        // Address space only: no page is touched.
        let mut buffer = Vec::with_capacity(MOST_EVENTS + 1);
        let room = buffer.capacity();
        wait(&set, &mut buffer, room, Some(Duration::ZERO)).unwrap();
        assert!(buffer.is_empty());
    }

    #[test]
    fn k22_a_timeout_of_more_than_24_days_waits_on_either_kernel() {
        on_both_kernels(|| {
            for days in [30, 10_000] {
                let queue = Kqueue::new().unwrap();
                let mut changes = [Kevent::user(1, EventFlags::ADD | EventFlags::CLEAR)];
                queue.apply(&mut changes).unwrap();
                thread::scope(|scope| {
                    let waiter = scope.spawn(|| {
                        let timeout = Duration::from_secs(days * 86_400);
                        let mut events = EventList::with_capacity(4);
                        queue.kevent(&[], &mut events, Some(timeout)).unwrap()
                    });
                    thread::sleep(Duration::from_millis(5));
                    assert!(!waiter.is_finished());
                    let trigger = Kevent::user(1, EventFlags::empty());
                    let trigger = trigger.with_fflags(UserFlags::TRIGGER);
                    queue.apply(&mut [trigger]).unwrap();
                    assert_eq!(waiter.join().unwrap(), 1);
                });
            }
        });
    }
}
