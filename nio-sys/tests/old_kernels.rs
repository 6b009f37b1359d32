//! A queue on an older kernel, or in a container that forbids newer system calls. A seccomp filter makes these
//! calls fail in a child process.
#![cfg(any(target_os = "linux", target_os = "android"))]

mod support;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nio_sys::{Filter, Kevent, ProcFlags, VnodeFlags};
use support::seccomp::{refuse, refuse_if};
use support::*;

#[test]
fn k20_without_epoll_pwait2_a_timeout_is_a_minimum_too() {
    for_each(&[libc::ENOSYS, libc::EPERM], |errno| {
        refuse(libc::SYS_epoll_pwait2, errno);
        let queue = Queue::new();
        for microseconds in [1, 300, 1_300, 20_000] {
            let timeout = Duration::from_micros(microseconds);
            let start = Instant::now();
            let events = queue.call(&[], 4, Some(timeout)).unwrap();
            assert!(events.is_empty() && start.elapsed() >= timeout);
        }
        queue.make(Kevent::timer(1, ADD | ONESHOT).with_data(5));
        queue.one();
    });
}

/// Runs a test with each errno, in processes of their own: what a queue has learned about the system is kept for the
/// life of a process.
fn for_each(errnos: &[i32], test: impl Fn(i32)) {
    in_child(|| {
        for &errno in errnos {
            in_fork(|| test(errno));
        }
    });
}

/// Checks that a child does not have its parent's queue if madvise(2) returns this.
fn check_fork_with_madvise(answer: i32) {
    refuse(libc::SYS_madvise, answer);
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    // SAFETY: the child asks and ends; its parent waits for it.
    unsafe {
        let pid = check(libc::fork()).unwrap();
        if pid == 0 {
            let result = queue.apply(&mut [trigger(1)]);
            let gone = result.is_err_and(|e| e.raw_os_error() == Some(libc::EBADF));
            libc::_exit(i32::from(!gone));
        }
        let mut status = 0;
        assert_eq!(check(libc::waitpid(pid, &mut status, 0)).unwrap(), pid);
        assert_eq!(status, 0);
    }
    queue.assert_silent();
    queue.trigger(1);
    queue.one();
}

#[test]
fn k4_without_wipeonfork_a_child_does_not_have_the_queue() {
    for_each(
        &[libc::EINVAL, libc::ENOSYS, libc::EPERM],
        check_fork_with_madvise,
    );
}

#[test]
fn k4_a_child_does_not_have_the_queue_though_madvise_succeeds_without_effect() {
    in_child(|| check_fork_with_madvise(0));
}

#[test]
fn k211_without_process_descriptors_the_filter_is_refused() {
    for_each(&[libc::ENOSYS, libc::EPERM], |errno| {
        refuse(libc::SYS_pidfd_open, errno);
        let queue = Queue::new();
        let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let change = Kevent::process(cat.id(), ADD).with_fflags(ProcFlags::EXIT);
        assert_eq!(queue.refused(change), libc::EINVAL);
        assert_eq!(queue.refused(change.with_flags(DELETE)), libc::ENOENT);
        // The other filters still work.
        queue.add_user(1, CLEAR);
        queue.trigger(1);
        assert_eq!(queue.one().filter(), Filter::USER);
        cat.kill().unwrap();
        cat.wait().unwrap();
    });
}

/// The exit of a child, as a queue reports it: its flags and its status. It is reaped before the queue looks, or after.
fn exit_of_child(reaped_before: bool) -> (ProcFlags, isize) {
    let queue = Queue::new();
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    queue.make(Kevent::process(child.id(), ADD).with_fflags(ProcFlags::EXIT));
    child.kill().unwrap();
    if reaped_before {
        child.wait().unwrap();
    }
    let event = queue.one();
    child.wait().unwrap();
    (
        ProcFlags::from_bits_retain(event.fflags()),
        event.data() as isize,
    )
}

const UNKNOWN: (ProcFlags, isize) = (ProcFlags::EXIT.union(ProcFlags::NO_STATUS), 0);

#[test]
fn k214_without_waitid_of_a_pidfd_an_exit_is_reported_without_its_status() {
    // EINVAL: Linux 5.3 has pidfds and no P_PIDFD.
    for_each(&[libc::EINVAL, libc::ENOSYS, libc::EPERM], |errno| {
        // SAFETY: takes no pointers. A pidfd of this process.
        let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
        refuse_if(libc::SYS_waitid, &[(0, true, libc::P_PIDFD as _)], errno);
        assert_eq!(exit_of_child(false), UNKNOWN);
        assert_eq!(exit_of_child(true), UNKNOWN);
        let queue = Queue::new();
        let change = Kevent::new(pidfd as usize, Filter::PROCDESC, ADD);
        let refused = queue.refused(change.with_fflags(ProcFlags::EXIT));
        assert_eq!(refused, libc::EINVAL);
    });
}

#[test]
fn k214_without_the_information_of_a_pidfd_the_status_of_a_child_is_known_until_it_is_reaped() {
    // PIDFD_GET_INFO of a struct of 64 bytes. ENOTTY: a kernel before 6.13.
    let request = (1, true, 0xC040_FF0B);
    for_each(&[libc::ENOTTY, libc::ENOSYS, libc::EPERM], |errno| {
        refuse_if(libc::SYS_ioctl, &[request], errno);
        assert_eq!(
            exit_of_child(false),
            (ProcFlags::EXIT, libc::SIGKILL as isize)
        );
        assert_eq!(exit_of_child(true), UNKNOWN);
    });
}

#[test]
fn k228_files_are_watched_without_statx() {
    // For 32 bits the GNU C library makes this call in its fstat64, and makes the older one only after ENOSYS.
    let errnos = if cfg!(target_pointer_width = "64") {
        &[libc::ENOSYS, libc::EPERM][..]
    } else {
        &[libc::ENOSYS][..]
    };
    for_each(errnos, |errno| {
        let scratch = Scratch::new();
        let (path, file) = scratch.file("file", "abc");
        refuse(libc::SYS_statx, errno);
        let queue = Queue::new();
        queue.make(Kevent::vnode(&file, ADD | CLEAR).with_fflags(VnodeFlags::EXTEND));
        queue.add(&file, READ, CLEAR, 1);
        assert_eq!(queue.one().filter(), READ);
        append(&path, "def");
        let mut seen = queue.wait();
        while seen.len() < 2 {
            seen.extend(queue.wait());
        }
        assert_eq!(filters(&seen), [READ, Filter::VNODE]);
    });
}

#[test]
fn k224_a_limit_on_watches_is_a_lack_of_memory_for_every_filter() {
    in_child(|| {
        let scratch = Scratch::new();
        let (_, file) = scratch.file("file", "abc");
        let (socket, _peer) = pair();
        let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let queue = Queue::new();
        let watched = Kevent::vnode(&file, ADD).with_fflags(VnodeFlags::WRITE);
        let changes = [
            Kevent::read(&socket, ADD),
            Kevent::write(&socket, ADD),
            Kevent::timer(1, ADD).with_data(1000),
            Kevent::process(cat.id(), ADD).with_fflags(ProcFlags::EXIT),
            Kevent::signal(libc::SIGUSR1, ADD),
            watched,
        ];
        refuse(libc::SYS_epoll_ctl, libc::ENOSPC);
        assert_eq!(queue.results(&changes), [libc::ENOMEM; 6]);
        refuse(libc::SYS_inotify_add_watch, libc::ENOSPC);
        assert_eq!(queue.refused(watched), libc::ENOMEM);
        // Nothing is registered.
        for change in changes {
            let flags = DELETE;
            assert_eq!(queue.refused(change.with_flags(flags)), libc::ENOENT);
        }
        cat.kill().unwrap();
        cat.wait().unwrap();
    });
}

/// epoll has no memory for another entry of a socket, when the queue makes its set again because of a descriptor that
/// was closed while a duplicate of it is open.
#[test]
fn k99_no_knote_is_lost_if_there_is_no_memory_to_make_the_epoll_set_again() {
    in_child(|| {
        let queue = Queue::new();
        let (socket, mut peer) = pair();
        queue.add(&socket, READ, CLEAR, 3);
        let (closed, mut old_peer) = pair();
        queue.add(&closed, READ, LEVEL, 1);
        let _duplicate = closed.try_clone().unwrap();
        let (new, mut new_peer) = pair();
        // SAFETY: both are open, and `closed` goes on owning its number.
        check(unsafe { libc::dup2(new.as_raw_fd(), closed.as_raw_fd()) }).unwrap();
        queue.add(&closed, READ, LEVEL, 2);

        let in_another_set = (0, false, queue.as_raw_fd() as u32);
        let an_entry = (1, true, libc::EPOLL_CTL_ADD as u32);
        let of_the_socket = (2, true, socket.as_raw_fd() as u32);
        let arguments = [in_another_set, an_entry, of_the_socket];
        refuse_if(libc::SYS_epoll_ctl, &arguments, libc::ENOSPC);
        old_peer.write_all(b"x").unwrap();
        for _ in 0..4 {
            queue.assert_silent();
        }
        peer.write_all(b"x").unwrap();
        assert_eq!(queue.one().udata(), 3);
        new_peer.write_all(b"x").unwrap();
        assert_eq!(queue.one().udata(), 2);
    });
}
