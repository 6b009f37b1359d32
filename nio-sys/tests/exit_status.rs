//! Exits whose status is known or not known: K212, K214, K225 with a tracer, with ignored and missing SIGCHLDs,
//! and with children of other processes.
#![cfg(any(target_os = "linux", target_os = "android"))]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::ptr;

use nio_sys::{Kevent, ProcFlags};
use support::*;

fn exit_of(pid: libc::pid_t) -> Kevent {
    let change = Kevent::process(pid as u32, ADD);
    change.with_fflags(ProcFlags::EXIT)
}

/// The wait(2) status in an event, if it is known.
fn status_in(event: &Kevent) -> Option<i32> {
    let fflags = ProcFlags::from_bits_retain(event.fflags());
    if fflags == ProcFlags::EXIT | ProcFlags::NO_STATUS {
        assert_eq!(event.data(), 0);
        return None;
    }
    assert_eq!(fflags, ProcFlags::EXIT);
    Some(event.data() as i32)
}

/// A child of this process that waits for [`Forked::go`], runs a function, and exits with its result.
struct Forked {
    pid: libc::pid_t,
    go: UnixStream,
}

impl Forked {
    /// `signal` is the signal that the child sends when it exits. The C library does not know that the child is another
    /// process; so raise(3) in `function` might send a signal to the parent.
    fn new(signal: libc::c_int, function: impl FnOnce() -> i32) -> Forked {
        let (go, mut wait) = UnixStream::pair().unwrap();
        // SAFETY: as fork(2), with another signal: no flags and no stack. The child ends without returning.
        let pid = unsafe { libc::syscall(libc::SYS_clone, signal, 0, 0, 0, 0) };
        let pid = check(pid as libc::pid_t).unwrap();
        if pid == 0 {
            drop(go);
            // SAFETY: these take no pointers.
            unsafe {
                libc::alarm(2 * LIMIT.as_secs() as u32);
                let is_let_go = wait.read_exact(&mut [0]).is_ok();
                libc::_exit(if is_let_go { function() } else { 99 });
            }
        }
        Forked { pid, go }
    }

    fn go(&mut self) {
        self.go.write_all(&[0]).unwrap();
    }

    /// Waits for the child, with any signal that it sends when it exits.
    fn reap(&self) -> i32 {
        let mut status = 0;
        // SAFETY: the status lives until the call returns.
        let pid = unsafe { libc::waitpid(self.pid, &mut status, libc::__WALL) };
        assert_eq!(check(pid).unwrap(), self.pid);
        status
    }
}

/// Whether a pidfd has the status of a process that was reaped: Linux 6.15.
fn kernel_remembers() -> bool {
    let mut child = Forked::new(libc::SIGCHLD, || 7);
    // SAFETY: the words are the struct of Linux 6.13 that the request names; they live until the call
    // returns.
    unsafe {
        let fd = check(libc::syscall(libc::SYS_pidfd_open, child.pid, 0) as i32).unwrap();
        child.go();
        child.reap();
        let mut info = [0_u64; 8];
        info[0] = 1 << 3;
        let result = libc::ioctl(fd, 0xC040_FF0B_u32 as _, info.as_mut_ptr());
        libc::close(fd);
        result == 0 && info[0] & 1 << 3 != 0
    }
}

#[test]
fn k212_a_traced_child_is_reported_when_its_status_is_known() {
    in_child(|| {
        for end in [3, -libc::SIGKILL] {
            let mut child = Forked::new(libc::SIGCHLD, move || {
                if end < 0 {
                    // SAFETY: takes no pointers.
                    unsafe { libc::kill(libc::getpid(), -end) };
                }
                end
            });
            let pid = child.pid;
            let (mut ready, mut said) = UnixStream::pair().unwrap();
            let mut tracer = Forked::new(libc::SIGCHLD, move || {
                let waits_for_exit = || {
                    let options = libc::WEXITED | libc::WNOWAIT;
                    // SAFETY: zero is a valid siginfo, which lives until each call returns.
                    unsafe {
                        let mut info: libc::siginfo_t = std::mem::zeroed();
                        libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, options);
                    }
                };
                // The libc crate does not have it for Android.
                const PTRACE_SEIZE: libc::c_int = 0x4206;
                // SAFETY: takes no pointers but null ones.
                let seized = unsafe {
                    let none = ptr::null_mut::<libc::c_void>();
                    libc::ptrace(PTRACE_SEIZE as _, pid, none, none)
                };
                said.write_all(&[u8::from(seized == 0)]).unwrap();
                waits_for_exit();
                // The child has exited, and its parent is notified when this process ends.
                said.write_all(&[2]).unwrap();
                let _ = said.read_exact(&mut [0]);
                0
            });
            ready.set_nonblocking(false).unwrap();
            let mut byte = [0];
            tracer.go();
            ready.read_exact(&mut byte).unwrap();
            if byte[0] == 0 {
                // This system lets a process trace only its own children.
                return;
            }
            let queue = Queue::new();
            queue.make(exit_of(pid));
            child.go();
            ready.read_exact(&mut byte).unwrap();
            queue.assert_silent_for(20);
            // A queue that is made now does not report the exit either.
            let second = Queue::new();
            second.make(exit_of(pid));
            second.assert_silent_for(20);
            ready.write_all(&[0]).unwrap();
            let expected = if end < 0 { -end } else { end << 8 };
            assert_eq!(status_in(&queue.one()), Some(expected));
            assert_eq!(status_in(&second.one()), Some(expected));
            assert_eq!(child.reap(), expected);
            tracer.reap();
        }
    });
}

#[test]
fn k212_the_status_of_a_child_that_sends_another_signal_or_none_is_known() {
    in_child(|| {
        for signal in [0, libc::SIGUSR1, libc::SIGCHLD] {
            handle(libc::SIGUSR1, libc::SIG_IGN, 0);
            let queue = Queue::new();
            let mut child = Forked::new(signal, || 7);
            queue.make(exit_of(child.pid));
            child.go();
            assert_eq!(status_in(&queue.one()), Some(7 << 8), "{signal}");
            assert_eq!(child.reap(), 7 << 8);
        }
    });
}

#[test]
fn k225_the_status_of_a_child_that_is_reaped_by_itself_is_known_or_marked_as_unknown() {
    in_child(|| {
        let remembers = kernel_remembers();
        handle(libc::SIGCHLD, libc::SIG_IGN, 0);
        for end in [3, 0, -libc::SIGTERM] {
            for _ in 0..200 {
                let queue = Queue::new();
                let mut child = Forked::new(libc::SIGCHLD, move || {
                    if end < 0 {
                        // SAFETY: takes no pointers.
                        unsafe { libc::kill(libc::getpid(), -end) };
                    }
                    end
                });
                queue.make(exit_of(child.pid));
                child.go();
                let expected = if end < 0 { -end } else { end << 8 };
                let status = status_in(&queue.one());
                assert_eq!(status, remembers.then_some(expected));
            }
        }
    });
}

#[test]
fn k213_the_status_of_a_child_that_was_waited_for_is_known_or_marked_as_unknown() {
    in_child(|| {
        let remembers = kernel_remembers();
        let queue = Queue::new();
        let mut child = Forked::new(libc::SIGCHLD, || 5);
        queue.make(exit_of(child.pid));
        child.go();
        child.reap();
        let status = status_in(&queue.one());
        assert_eq!(status, remembers.then_some(5 << 8));
    });
}

#[test]
fn k214_the_status_of_another_process_is_not_reported_as_0() {
    in_child(|| {
        let (mut said, mut say) = UnixStream::pair().unwrap();
        let (end, mut until_end) = UnixStream::pair().unwrap();
        said.set_nonblocking(false).unwrap();
        let mut parent = Forked::new(libc::SIGCHLD, move || {
            let mut child = Forked::new(libc::SIGCHLD, || 4);
            say.write_all(&child.pid.to_ne_bytes()).unwrap();
            let _ = until_end.read_exact(&mut [0]);
            child.go();
            let _ = until_end.read_exact(&mut [0]);
            0
        });
        parent.go();
        let mut pid = [0; 4];
        said.read_exact(&mut pid).unwrap();
        let queue = Queue::new();
        queue.make(exit_of(libc::pid_t::from_ne_bytes(pid)));
        (&end).write_all(&[0]).unwrap();
        // Its parent waits for it only after this.
        assert_eq!(status_in(&queue.one()), None);
        (&end).write_all(&[0]).unwrap();
        parent.reap();
    });
}
