//! The system calls about a process, by its pidfd.

use std::{
    io,
    mem::size_of,
    os::fd::{OwnedFd, RawFd},
    ptr,
};

use libc::c_int;

use super::{
    readiness::poll_now,
    slot::{HUP, IN},
};
use crate::owned::owned;

/// A new pidfd of a process: close-on-exec. ENOSYS if this system has none.
pub(super) fn open(pid: libc::pid_t) -> io::Result<OwnedFd> {
    if !may_open() {
        return Err(io::Error::from_raw_os_error(libc::ENOSYS));
    }
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    owned(fd as c_int).map_err(|error| match error.raw_os_error() {
        // The kernel never answers this; the seccomp filter of an old container does.
        Some(libc::EPERM) => io::Error::from_raw_os_error(libc::ENOSYS),
        _ => error,
    })
}

/// Whether the system call may be tried. On Android the seccomp filter of applications kills a process for a call
/// that its release does not know. It knows those of its C library, which has this one from Android 12 on.
fn may_open() -> bool {
    #[cfg(target_os = "android")]
    // SAFETY: the name ends with a zero. The function is not called.
    return !unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"pidfd_open".as_ptr()) }.is_null();
    #[cfg(not(target_os = "android"))]
    true
}

/// Another descriptor of the same file: close-on-exec.
pub(super) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes the lowest number that the new descriptor may have.
    owned(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })
}

/// Whether a descriptor is a pidfd: waitid(2) takes it for one. EBADF if it is closed.
pub(super) fn is_pidfd(fd: RawFd) -> io::Result<bool> {
    // SAFETY: F_GETFD takes no further argument.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
        return Err(io::Error::last_os_error());
    }
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let result = waitid(fd, options);
    // ECHILD: a process that is not a child.
    Ok(!result.is_err_and(|error| error.raw_os_error() != Some(libc::ECHILD)))
}

/// Whether a number is a pidfd of the same process as another pidfd. Without /proc the answer is yes for any
/// pidfd.
pub(super) fn is_same_process(number: RawFd, pidfd: RawFd) -> bool {
    let process = |fd: RawFd| {
        let info = std::fs::read_to_string(format!("/proc/thread-self/fdinfo/{fd}")).ok()?;
        let line = info.lines().find(|line| line.starts_with("Pid:"))?;
        Some(line.to_owned())
    };
    if !is_pidfd(number).unwrap_or(false) {
        return false;
    }
    // A process that is reaped loses its id in /proc, perhaps between two reads. So the number is compared with
    // the pidfd as it was before the number was read, and after it.
    let before = process(pidfd);
    let named = process(number);
    named == before || named == process(pidfd)
}

/// The state of a process, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// It has not exited, or its status is not known yet; the pidfd will have another edge.
    NotYet,
    /// It has exited, with this wait(2) status.
    Status(c_int),
    /// It has exited; its status is not known to this process.
    Unknown,
}

/// Asks for the exit of a process, without reaping it. A pidfd has up to three edges:
///
/// | state | poll(2) | a child | any other process |
/// |---|---|---|---|
/// | exited, its tracer has not been notified | IN | not yet | unknown |
/// | exited | IN | the status | unknown |
/// | being reaped | IN | not yet, from Linux 6.13 on | unknown |
/// | reaped | IN, HUP | Linux 6.15: the status | Linux 6.15: the status |
///
/// Before Linux 5.4, and in a sandbox that refuses it, waitid(2) takes no pidfd: unknown, also of a child.
pub(super) fn exit(pidfd: RawFd) -> Exit {
    let polled = poll_now(pidfd, IN);
    if polled == 0 {
        return Exit::NotYet;
    }
    match wait_status(pidfd) {
        Waited::Status(status) => Exit::Status(status),
        Waited::NotYet => Exit::NotYet,
        Waited::Refused => Exit::Unknown,
        Waited::NoChild => match info(pidfd) {
            Some(Info { mask, status, .. }) if mask & Info::EXIT != 0 => Exit::Status(status),
            Some(Info { mask, parent, .. })
                if polled & HUP == 0 && mask & Info::PID != 0 && parent == std::process::id() =>
            {
                Exit::NotYet
            }
            _ => Exit::Unknown,
        },
    }
}

/// The answer of waitid(2).
enum Waited {
    Status(c_int),
    /// It is a child and has not exited, or its tracer has to be notified first.
    NotYet,
    /// It is not a child of this process, or has been reaped.
    NoChild,
    /// The system does not have this call.
    Refused,
}

/// The wait status of a process, without reaping it.
fn wait_status(pidfd: RawFd) -> Waited {
    // __WALL: also of a child that was made by clone(2) and sends no SIGCHLD.
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    let info = match waitid(pidfd, options) {
        Ok(info) => info,
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Waited::NoChild,
        Err(_) => return Waited::Refused,
    };
    // SAFETY: it is the siginfo of a SIGCHLD, or all zeroes.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    match info.si_code {
        _ if pid == 0 => Waited::NotYet,
        libc::CLD_EXITED => Waited::Status((status & 0xff) << 8),
        libc::CLD_DUMPED => Waited::Status(status | 0x80),
        _ => Waited::Status(status),
    }
}

fn waitid(pidfd: RawFd, options: c_int) -> io::Result<libc::siginfo_t> {
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the struct lives until the call returns.
    match unsafe { libc::waitid(libc::P_PIDFD, pidfd as libc::id_t, &mut info, options) } {
        0 => Ok(info),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The kernel's `struct pidfd_info` as it was first (linux/pidfd.h).
#[repr(C)]
struct Info {
    /// The fields that are asked for; after the call, those that are filled in.
    mask: u64,
    _cgroup: u64,
    _pid: u32,
    _group: u32,
    parent: u32,
    _credentials: [u32; 8],
    /// The wait(2) status.
    status: i32,
}

impl Info {
    const PID: u64 = 1 << 0;
    const EXIT: u64 = 1 << 3;
    /// PIDFD_GET_INFO: `_IOWR(0xFF, 11, struct pidfd_info)`, the same on all architectures.
    const GET: u32 = 0xC000_FF0B | (size_of::<Info>() as u32) << 16;
}

/// Asks the pidfd itself: Linux 6.13, and 6.15 for the status of a process that has been reaped.
fn info(pidfd: RawFd) -> Option<Info> {
    // SAFETY: all zeroes is a valid Info.
    let mut info: Info = unsafe { std::mem::zeroed() };
    info.mask = Info::PID | Info::EXIT;
    // SAFETY: the kernel writes as many bytes as the request says, the size of the struct, which lives until the
    // call returns; any bytes are a valid Info.
    let result = unsafe { libc::ioctl(pidfd, Info::GET as _, ptr::from_mut(&mut info)) };
    (result == 0).then_some(info)
}
