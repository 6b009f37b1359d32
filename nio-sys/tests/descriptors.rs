//! The descriptors of a queue, and the limit on them: K2, K3, K5.
//!
//! Each test counts the descriptors of its process, so each runs in one of its own.

mod support;

use std::io::Write;

use nio_sys::{Kevent, Kqueue};
use support::*;

/// The open descriptors, among the numbers that a test can have.
fn open() -> Vec<i32> {
    // SAFETY: F_GETFD takes no further argument, and a closed number is an error.
    let is_open = |&fd: &i32| unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1;
    (0..1_024).filter(is_open).collect()
}

#[test]
fn k2_creation_fails_at_the_limit_and_leaks_nothing() {
    in_child(|| {
        let before = open();
        let free = *before.last().unwrap() as usize + 1;
        let least = if cfg!(any(target_os = "linux", target_os = "android")) {
            2
        } else {
            1
        };
        // Every lower number must be in use, so that the limit is met exactly.
        let _fill: Vec<_> = (0..free - before.len()).map(|_| one()).collect();
        for room in 0..least {
            limit_descriptors(free + room);
            let error = Kqueue::new().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        }
        limit_descriptors(free + least);
        assert_eq!(open().len(), free);
        drop(Kqueue::new().unwrap());
        assert_eq!(open().len(), free);
    });
}

/// One descriptor.
fn one() -> std::os::unix::net::UnixDatagram {
    std::os::unix::net::UnixDatagram::unbound().unwrap()
}

#[test]
fn k3_every_descriptor_of_a_queue_is_close_on_exec() {
    in_child(|| {
        let before = open();
        let queue = Queue::new();
        let (socket, mut peer) = pair();
        let own = [number(&socket), number(&peer)];
        queue.add(&socket, READ, CLEAR, 1);
        queue.add(&socket, WRITE, LEVEL, 2);
        queue.add_user(1, CLEAR);
        queue.make(Kevent::signal(libc::SIGURG, ADD));
        peer.write_all(b"x").unwrap();
        queue.collect();
        let new: Vec<i32> = open()
            .into_iter()
            .filter(|fd| !before.contains(fd) && !own.contains(&(*fd as usize)))
            .collect();
        assert!(!new.is_empty());
        for fd in new {
            // SAFETY: F_GETFD takes no further argument.
            let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFD) }).unwrap();
            assert_eq!(
                flags & libc::FD_CLOEXEC,
                libc::FD_CLOEXEC,
                "descriptor {fd}"
            );
        }
    });
}

#[test]
fn k5_closing_a_queue_leaves_nothing_open_and_its_descriptors_usable() {
    in_child(|| {
        let (socket, mut peer) = pair();
        let mut count = None;
        for _ in 0..1_000 {
            let queue = Queue::new();
            queue.add(&socket, READ, CLEAR, 1);
            queue.add(&socket, WRITE, LEVEL, 2);
            queue.add_user(1, CLEAR);
            queue.trigger(1);
            queue.make(Kevent::signal(libc::SIGURG, ADD));
            drop(queue);
            // The eventfd of a signal may stay for the next queue.
            assert_eq!(*count.get_or_insert(open().len()), open().len());
        }
        peer.write_all(b"x").unwrap();
        assert_eq!(drain(&socket), 1);
    });
}

#[test]
fn k5_closing_a_queue_leaves_other_queues_alone() {
    in_child(|| {
        let (first, second) = (Queue::new(), Queue::new());
        let (socket, mut peer) = pair();
        first.add(&socket, READ, LEVEL, 1);
        second.add(&socket, READ, LEVEL, 2);
        drop(first);
        peer.write_all(b"x").unwrap();
        assert_eq!(second.one().udata(), 2);
    });
}

#[test]
fn k10_a_number_that_was_a_queue_can_be_watched_for_writing() {
    in_child(|| {
        let (first, second) = (Queue::new(), Queue::new());
        let (socket, _peer) = reuse_by_pair(second);
        first.add(&socket, WRITE, LEVEL, 1);
        first.one();
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k205_a_refused_signal_takes_no_descriptor() {
    in_child(|| {
        let queue = Queue::new();
        let before = open();
        // The C library keeps 32 and 33 to itself.
        for number in [libc::SIGKILL, libc::SIGSTOP, 32, 33, libc::SIGRTMAX() + 1] {
            queue.refused(Kevent::signal(number, ADD));
            assert_eq!(open(), before, "signal {number}");
        }
    });
}
