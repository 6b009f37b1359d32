//! What the kernel is asked about a process, by a pidfd.

use std::{
    io,
    os::fd::{OwnedFd, RawFd},
};

use libc::c_int;

use super::{epoll::owned, readiness::poll_now, slot::IN};

/// A new pidfd of a process: close-on-exec.
pub(super) fn open(pid: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    owned(fd as c_int)
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
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the struct lives until the call returns.
    let result = unsafe { libc::waitid(libc::P_PIDFD, fd as libc::id_t, &mut info, options) };
    // A process that is not a child of this one is a process all the same.
    Ok(result == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD))
}

/// Whether a number is a pidfd, and of the same process as another one. Without /proc, which knows the
/// process, it is taken to be.
pub(super) fn is_same_process(number: RawFd, pidfd: RawFd) -> bool {
    let process = |fd: RawFd| {
        let info = std::fs::read_to_string(format!("/proc/thread-self/fdinfo/{fd}")).ok()?;
        let line = info.lines().find(|line| line.starts_with("Pid:"))?;
        Some(line.to_owned())
    };
    if !is_pidfd(number).unwrap_or(false) {
        return false;
    }
    // Once it has been reaped, /proc does not know the process any more, and that may be at any time: what
    // is said of the number is what is said of the other one before that, or after.
    let before = process(pidfd);
    let named = process(number);
    named == before || named == process(pidfd)
}

/// What is known of the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// It has not exited, or the kernel cannot tell its status yet; the pidfd will have another edge.
    NotYet,
    /// It has exited, with this wait(2) status.
    Status(c_int),
    /// It has exited, and its status is not for this process to know.
    Unknown,
}

/// Asks for the exit of a process, without reaping it.
pub(super) fn exit(pidfd: RawFd) -> Exit {
    match exit_status(pidfd) {
        Some(status) => Exit::Status(status),
        None if poll_now(pidfd, IN) == 0 => Exit::NotYet,
        None => Exit::Unknown,
    }
}

/// The wait status of a process that has exited, without reaping it. None if it is not a child of
/// this process, or has been reaped already.
fn exit_status(pidfd: RawFd) -> Option<c_int> {
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the struct lives until the call returns, and is one of a SIGCHLD when it returns 0, so
    // that the fields of one can be read.
    unsafe {
        if libc::waitid(libc::P_PIDFD, pidfd as libc::id_t, &mut info, options) != 0
            || info.si_pid() == 0
        {
            return None;
        }
        let status = info.si_status();
        match info.si_code {
            libc::CLD_EXITED => Some((status & 0xff) << 8),
            libc::CLD_DUMPED => Some(status | 0x80),
            _ => Some(status),
        }
    }
}
