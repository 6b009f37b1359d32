//! A child of fork(2) does not have the queue: K4.
//!
//! The tests make a queue in their process, and use it in a child.

mod support;

use std::io;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nio_sys::{Filter, Kevent, ProcFlags};
use support::*;

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

/// Every call on a queue that this process does not have fails with EBADF at once.
fn assert_gone(queue: &Queue) {
    let change = [user(1, ADD)];
    for changes in [&[][..], &change] {
        for timeout in [None, Some(Duration::ZERO), Some(LIMIT)] {
            for room in [1, 16] {
                let result = queue.call(changes, room, timeout);
                assert_eq!(errno(result), Some(libc::EBADF));
            }
        }
    }
    assert_eq!(errno(queue.apply(&mut [user(1, ADD)])), Some(libc::EBADF));
}

#[test]
fn k4_a_child_does_not_have_the_queue() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    queue.add(&socket, WRITE, LEVEL, 1);
    queue.add_user(1, LEVEL);
    queue.trigger(1);
    in_fork(|| assert_gone(&queue));
    assert_eq!(filters(&queue.collect()).len(), 2);
}

#[test]
fn k4_a_child_that_drops_the_queue_leaves_that_of_its_parent() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    queue.add(&socket, READ, CLEAR, 1);
    queue.add(&socket, WRITE, LEVEL | DISABLE, 2);
    queue.add_user(3, CLEAR);
    queue.make(Kevent::timer(4, ADD | ONESHOT).with_data(50));
    queue.make(Kevent::process(cat.id(), ADD).with_fflags(ProcFlags::EXIT));
    queue.make(Kevent::signal(libc::SIGWINCH, ADD));

    // The child drops its own copy of this, not the parent's.
    let mut queue = Some(queue);
    in_fork(|| drop(queue.take()));

    let queue = queue.unwrap();
    peer.write_all(b"x").unwrap();
    queue.trigger(3);
    cat.kill().unwrap();
    raise(libc::SIGWINCH);
    let mut seen = Vec::new();
    while seen.len() < 5 {
        seen.extend(queue.wait().iter().map(Kevent::filter));
    }
    for filter in [READ, Filter::USER, Filter::TIMER, Filter::PROC] {
        assert!(seen.contains(&filter), "{filter} is not among {seen:?}");
    }
    queue.enable(&socket, WRITE, 2);
    assert_eq!(queue.one_of(WRITE).udata(), 2);
    cat.wait().unwrap();
}

#[test]
fn k4_a_child_may_make_a_queue_of_its_own() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    in_fork(|| {
        let (socket, _peer) = pair();
        let own = Queue::new();
        own.add_user(1, CLEAR);
        own.trigger(1);
        assert_eq!(own.one().filter(), Filter::USER);
        own.make(Kevent::timer(2, ADD | ONESHOT).with_data(1));
        assert_eq!(own.one().filter(), Filter::TIMER);
        own.add(&socket, WRITE, LEVEL, 3);
        assert_eq!(own.one().filter(), WRITE);
        // On other systems the number of the queue may belong to any file here.
        if cfg!(any(target_os = "linux", target_os = "android")) {
            assert_gone(&queue);
        }
    });
    queue.assert_silent();
    queue.trigger(1);
    queue.one();
}

// On the other systems the number is free in a child, and the next queue has it.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k10_the_number_of_a_parents_queue_is_no_queue_in_a_child() {
    let queue = Queue::new();
    let freed = number(&queue);
    in_fork(|| {
        let own = Queue::new();
        // SAFETY: the child has no other use for the number, and ends without dropping the queue.
        unsafe { libc::close(freed as i32) };
        let mut sockets = Vec::new();
        while sockets.iter().all(|socket| number(socket) != freed) {
            let (one, other) = pair();
            sockets.extend([one, other]);
        }
        let socket = sockets.iter().find(|socket| number(socket) == freed);
        own.add(socket.unwrap(), WRITE, LEVEL, 3);
        assert_eq!(own.one().filter(), WRITE);
    });
    queue.assert_silent();
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k4_a_grandchild_has_neither_queue() {
    let queue = Queue::new();
    in_fork(|| {
        let own = Queue::new();
        own.add_user(1, CLEAR);
        // SAFETY: the grandchild asks and ends; its parent waits for it.
        unsafe {
            let pid = check(libc::fork()).unwrap();
            if pid == 0 {
                let gone = |queue: &Queue| {
                    let result = queue.call(&[], 1, None);
                    errno(result) == Some(libc::EBADF)
                };
                libc::_exit(i32::from(!(gone(&queue) && gone(&own))));
            }
            let mut status = 0;
            assert_eq!(check(libc::waitpid(pid, &mut status, 0)).unwrap(), pid);
            assert_eq!(status, 0);
        }
        assert_gone(&queue);
        own.trigger(1);
        own.one();
    });
}

#[test]
fn k4_a_child_made_while_other_threads_use_the_queue_is_not_blocked() {
    let queue = Queue::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for ident in 0..2 {
            let (queue, done) = (&queue, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    queue.add_user(ident, CLEAR);
                    queue.trigger(ident);
                    queue.collect();
                    let _ = queue.change(user(ident, DELETE));
                }
            });
        }
        for _ in 0..20 {
            // The child prints nothing: a lock of the allocator may be held.
            let (status, _) = child(|| {
                let result = queue.apply(&mut [trigger(0)]);
                assert_eq!(errno(result), Some(libc::EBADF));
            });
            assert_eq!(status, 0);
        }
        done.store(true, Ordering::Release);
    });
}

#[test]
fn k4_a_child_drops_a_queue_that_other_threads_are_changing() {
    let queue = Queue::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..2 {
            let (queue, done) = (&queue, &done);
            scope.spawn(move || {
                let mut ident = thread;
                while !done.load(Ordering::Acquire) {
                    for n in 0..200 {
                        queue.add_user(ident + 2 * n, CLEAR);
                        queue.make(Kevent::timer(ident + 2 * n, ADD).with_data(60_000));
                    }
                    for n in 0..200 {
                        let _ = queue.change(user(ident + 2 * n, DELETE));
                        let _ = queue.change(Kevent::timer(ident + 2 * n, DELETE));
                    }
                    ident += 2;
                }
            });
        }
        // SAFETY: the child ends without using its copy again.
        let drops = || drop(unsafe { std::ptr::read(&queue) });
        let statuses: Vec<_> = (0..100).map(|_| child(drops).0).collect();
        done.store(true, Ordering::Release);
        assert!(statuses.iter().all(|&status| status == 0), "{statuses:?}");
    });
}

#[test]
fn k4_starting_a_program_leaves_the_queue_as_it_is() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    for _ in 0..5 {
        assert!(Command::new("true").status().unwrap().success());
        queue.trigger(1);
        queue.one();
    }
}

#[test]
fn k66_a_process_is_not_reported_after_its_deletion_though_a_child_has_our_descriptors() {
    let queue = Queue::new();
    let mut cat = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let exit = Kevent::process(cat.id(), ADD).with_fflags(ProcFlags::EXIT);
    queue.make(exit);
    // SAFETY: the child waits to be killed.
    unsafe {
        let child = check(libc::fork()).unwrap();
        if child == 0 {
            libc::alarm(2 * LIMIT.as_secs() as u32);
            loop {
                libc::pause();
            }
        }
        queue.make(exit.with_flags(DELETE));
        cat.kill().unwrap();
        cat.wait().unwrap();
        queue.assert_silent_for(20);
        check(libc::kill(child, libc::SIGKILL)).unwrap();
        check(libc::waitpid(child, std::ptr::null_mut(), 0)).unwrap();
    }
}

#[test]
fn k4_a_number_that_was_a_queue_in_the_parent_may_be_written_to_in_a_child() {
    in_child(|| {
        let queue = Queue::new();
        let number = number(&queue);
        in_fork(|| {
            let (socket, _peer) = pair();
            let fd = RawFd::try_from(number).unwrap();
            // SAFETY: the number is the queue's, which this process does not have and does not use.
            let fd = check(unsafe { libc::dup2(socket.as_raw_fd(), fd) }).unwrap();
            assert_eq!(fd as usize, number);
            let own = Queue::new();
            own.make(Kevent::new(number, WRITE, ADD).with_udata(5));
            assert_eq!(own.one().udata(), 5);
        });
    });
}

#[test]
fn k4_a_child_drops_a_queue_that_another_thread_of_its_parent_was_changing() {
    in_child(|| {
        let queue = Queue::new();
        let (socket, _peer) = pair();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    queue.add(&socket, READ, CLEAR, 1);
                    queue.make(Kevent::timer(1, ADD).with_data(1000));
                    queue.make(Kevent::signal(libc::SIGUSR1, ADD));
                    queue.make(Kevent::signal(libc::SIGUSR1, DELETE));
                    queue.make(Kevent::timer(1, DELETE));
                    queue.delete(&socket, READ);
                }
            });
            for _ in 0..300 {
                // SAFETY: the child only drops the queue, and ends.
                match unsafe { libc::fork() } {
                    // SAFETY: nothing of this process is used after the drop of the queue.
                    0 => unsafe {
                        libc::alarm(2 * LIMIT.as_secs() as u32);
                        drop(std::ptr::read(&queue));
                        libc::_exit(0);
                    },
                    pid => {
                        let mut status = 0;
                        // SAFETY: the status lives until the call returns.
                        check(unsafe { libc::waitpid(pid, &mut status, 0) }).unwrap();
                        assert_eq!(status, 0);
                    }
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}
