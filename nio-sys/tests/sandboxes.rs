//! All filters without the system calls that an old kernel or a container of Docker does not have: seccomp filters
//! refuse them in a child process.
#![cfg(any(target_os = "linux", target_os = "android"))]

mod support;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nio_sys::{Filter, Kevent, ProcFlags, ReadWriteFlags, VnodeFlags};
use support::seccomp::{DOCKER_2020, DOCKER_2025, LINUX_4_14, Profile, confine};
use support::*;

#[test]
fn k211_without_the_calls_after_linux_4_14_every_filter_works_but_that_of_processes() {
    check_under(LINUX_4_14, false);
}

#[test]
fn k211_in_a_container_of_2020_every_filter_works_but_that_of_processes() {
    check_under(DOCKER_2020, false);
}

#[test]
fn k211_in_a_container_of_2025_every_filter_works() {
    check_under(DOCKER_2025, true);
}

fn check_under(profile: &Profile, has_processes: bool) {
    in_child(|| {
        confine(profile);
        // A call that is refused, so that the test does not pass without the filter.
        // SAFETY: the arguments are not looked at.
        assert_eq!(unsafe { libc::syscall(libc::SYS_clone3, 0, 0) }, -1);
        let errno = std::io::Error::last_os_error().raw_os_error();
        assert_ne!(errno, Some(libc::EINVAL), "the kernel itself has answered");

        waits_are_never_too_short();
        descriptors_timers_and_user_events();
        files();
        signals();
        processes(has_processes);
        a_closed_descriptor();
        a_child_does_not_have_the_queue();
    });
}

fn waits_are_never_too_short() {
    let queue = Queue::new();
    for microseconds in [1, 300, 1_300, 5_000] {
        let timeout = Duration::from_micros(microseconds);
        let start = Instant::now();
        assert!(queue.take(4, Some(timeout)).is_empty());
        assert!(start.elapsed() >= timeout);
    }
}

fn descriptors_timers_and_user_events() {
    let (outer, queue) = (Queue::new(), Queue::new());
    outer.add(&queue, READ, CLEAR, 9);
    let (socket, mut peer) = pair();
    let (reader, mut writer) = pipe();
    let (client, server) = tcp_pair();
    queue.add(&socket, READ, CLEAR, 1);
    queue.add(&socket, WRITE, ONESHOT, 2);
    queue.add(&reader, READ, LEVEL, 3);
    queue.add(&server, READ, LEVEL | DISPATCH, 4);
    let urgent = on(&server, Filter::EXCEPT, ADD | CLEAR).with_udata(5);
    queue.make(urgent.with_fflags(ReadWriteFlags::OOB));
    queue.make(Kevent::timer(6, ADD | ONESHOT).with_data(1).with_udata(6));
    queue.add_user(7, CLEAR);
    peer.write_all(b"x").unwrap();
    writer.write_all(b"x").unwrap();
    (&client).write_all(b"x").unwrap();
    send_urgent(&client);
    queue.trigger(7);
    let mut seen: Vec<_> = queue.wait().iter().map(Kevent::udata).collect();
    while !(1..=7).all(|udata| seen.contains(&udata)) {
        seen.extend(queue.wait().iter().map(Kevent::udata));
    }
    assert_eq!(outer.one().udata(), 9);
    queue.delete(&reader, READ);
    drop(peer);
    assert_eq!(queue.end_of(READ).udata(), 1);
}

fn files() {
    let scratch = Scratch::new();
    let (path, file) = scratch.file("file", "abc");
    let (_, directory) = scratch.directory("directory");
    let queue = Queue::new();
    queue.add(&file, READ, CLEAR, 1);
    queue.one();
    let flags = VnodeFlags::EXTEND | VnodeFlags::DELETE;
    queue.make(Kevent::vnode(&file, ADD | CLEAR).with_fflags(flags));
    queue.make(Kevent::vnode(&directory, ADD | CLEAR).with_fflags(flags));
    append(&path, "def");
    let event = queue.one_of(Filter::VNODE);
    assert_eq!(event.fflags(), VnodeFlags::EXTEND.bits());
    std::fs::remove_dir(scratch.join("directory")).unwrap();
    let event = queue.one_of(Filter::VNODE);
    assert_eq!(event.ident(), number(&directory));
    assert!(VnodeFlags::from_bits_retain(event.fflags()).contains(VnodeFlags::DELETE));
}

fn signals() {
    let queue = Queue::new();
    handle(libc::SIGUSR1, do_nothing as *const () as usize, 0);
    queue.make(Kevent::signal(libc::SIGUSR1, ADD));
    raise(libc::SIGUSR1);
    let event = queue.one();
    assert_eq!((event.filter(), event.data()), (Filter::SIGNAL, 1));
}

fn processes(are_supported: bool) {
    let queue = Queue::new();
    let (ours, theirs) = pair();
    theirs.set_nonblocking(false).unwrap();
    // A program cannot be started in each of the containers; fork(2) works in all of them.
    // SAFETY: the child makes system calls only, and ends.
    let pid = check(unsafe { libc::fork() }).unwrap();
    if pid == 0 {
        drop(ours);
        let _ = std::io::Read::read(&mut &theirs, &mut [0]);
        // SAFETY: ends the process.
        unsafe { libc::_exit(7) }
    }
    let change = Kevent::process(pid as u32, ADD).with_fflags(ProcFlags::EXIT);
    if are_supported {
        queue.make(change);
    } else {
        assert_eq!(queue.refused(change), libc::EINVAL);
    }
    drop(ours);
    if are_supported {
        let event = queue.one();
        assert_eq!(event.fflags(), ProcFlags::EXIT.bits());
        assert_eq!(event.data(), 7 << 8);
    }
    // SAFETY: a null status is not written.
    check(unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) }).unwrap();
}

/// The queue makes its epoll set again.
fn a_closed_descriptor() {
    let queue = Queue::new();
    let (closed, mut old_peer) = pair();
    queue.add(&closed, READ, LEVEL, 1);
    let _duplicate = closed.try_clone().unwrap();
    let (new, mut new_peer) = pair();
    // SAFETY: both are open, and `closed` goes on owning its number.
    check(unsafe { libc::dup2(new.as_raw_fd(), closed.as_raw_fd()) }).unwrap();
    queue.add(&closed, READ, LEVEL, 2);
    old_peer.write_all(b"x").unwrap();
    queue.assert_silent();
    new_peer.write_all(b"x").unwrap();
    assert_eq!(queue.one().udata(), 2);
}

fn a_child_does_not_have_the_queue() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    in_fork(|| {
        let result = queue.apply(&mut [trigger(1)]);
        assert!(result.is_err_and(|e| e.raw_os_error() == Some(libc::EBADF)));
    });
    queue.trigger(1);
    queue.one();
}
