//! Descriptors that close: K50, K98–K104.
//!
//! These tests depend on the number of the next descriptor, so each runs in a process of its own.

mod support;

use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use nio_sys::{EventFlags, Kevent};
use support::*;

#[test]
fn k50_deleting_after_closing_is_ebadf_or_enoent() {
    in_child(|| {
        for mode in [LEVEL, CLEAR, DISABLE, DISPATCH] {
            let queue = Queue::new();
            let (socket, _peer) = pair();
            queue.add(&socket, READ, mode, 1);
            queue.add(&socket, WRITE, mode, 2);
            let number = number(&socket);
            drop(socket);
            for filter in [READ, WRITE, READ] {
                let errno = queue.refused(Kevent::new(number, filter, DELETE));
                assert!([libc::EBADF, libc::ENOENT].contains(&errno), "{errno}");
            }
        }
    });
}

#[test]
fn k98_nothing_is_reported_of_a_closed_descriptor() {
    in_child(|| {
        for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
            let queue = Queue::new();
            let (socket, mut peer) = pair();
            queue.add(&socket, READ, mode, 1);
            queue.add(&socket, WRITE, mode, 2);
            peer.write_all(b"x").unwrap();
            drop(socket);
            queue.assert_silent_for(20);
        }
    });
}

#[test]
fn k98_an_event_that_did_not_fit_is_dropped_with_its_descriptor() {
    in_child(|| {
        let queue = Queue::new();
        let (socket, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        queue.add(&socket, READ, CLEAR, 1);
        queue.add(&socket, WRITE, CLEAR, 2);
        assert_eq!(queue.collect_at_most(1).len(), 1);
        drop(socket);
        queue.assert_silent_for(20);
    });
}

#[test]
fn k98_closing_removes_the_knotes_of_every_queue() {
    in_child(|| {
        let queues = [Queue::new(), Queue::new()];
        let (socket, mut peer) = pair();
        for queue in &queues {
            queue.add(&socket, READ, LEVEL, 1);
        }
        peer.write_all(b"x").unwrap();
        drop(socket);
        for queue in &queues {
            queue.assert_silent();
        }
    });
}

#[test]
fn k100_a_new_file_of_the_same_number_has_no_knotes() {
    in_child(|| {
        for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH, DISABLE, DISABLE | CLEAR] {
            for change in [DELETE, ENABLE, DISABLE, LEVEL] {
                let queue = Queue::new();
                let (socket, _peer) = pair();
                queue.add(&socket, READ, mode, 1);
                let (new, mut peer) = reuse_by_pair(socket);
                peer.write_all(b"x").unwrap();
                queue.assert_silent();
                let errno = queue.refused(on(&new, READ, change));
                assert_eq!(errno, libc::ENOENT, "{mode:?} {change:?}");
                queue.assert_silent();
            }
        }
    });
}

#[test]
fn k100_a_dispatched_knote_does_not_pass_to_a_new_file_of_the_same_number() {
    in_child(|| {
        let queue = Queue::new();
        let (socket, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        queue.add(&socket, READ, DISPATCH, 1);
        queue.one();
        let (new, mut peer) = reuse_by_pair(socket);
        peer.write_all(b"x").unwrap();
        assert_eq!(queue.refused(on(&new, READ, ENABLE)), libc::ENOENT);
        queue.assert_silent();
    });
}

#[test]
fn k100_the_second_knote_of_the_old_file_is_gone_as_well() {
    in_child(|| {
        for (read, write) in [
            (DISABLE, LEVEL),
            (LEVEL, DISABLE),
            (CLEAR, LEVEL),
            (LEVEL, CLEAR),
            (DISABLE, DISABLE),
        ] {
            for change in [DELETE, ENABLE, DISABLE] {
                let queue = Queue::new();
                let (socket, _peer) = pair();
                queue.add(&socket, READ, read, 1);
                queue.add(&socket, WRITE, write, 2);
                let (new, _peer) = reuse_by_pair(socket);
                for filter in [READ, WRITE] {
                    let errno = queue.refused(on(&new, filter, change));
                    assert_eq!(errno, libc::ENOENT, "{read:?} {write:?} {change:?}");
                }
                queue.assert_silent();
            }
        }
    });
}

#[test]
fn k100_adding_a_new_file_of_the_same_number_makes_a_new_knote() {
    in_child(|| {
        for old in [CLEAR, LEVEL | DISABLE, ONESHOT, DISPATCH] {
            let queue = Queue::new();
            let (socket, _peer) = pair();
            queue.add(&socket, READ, old, 1);
            queue.add(&socket, WRITE, old, 1);
            let (new, mut peer) = reuse_by_pair(socket);
            peer.write_all(b"x").unwrap();
            queue.add(&new, READ, LEVEL, 2);
            for _ in 0..3 {
                let event = queue.one();
                assert_eq!((event.udata(), event.filter()), (2, READ));
            }
            assert_eq!(queue.refused(on(&new, WRITE, DELETE)), libc::ENOENT);
        }
    });
}

#[test]
fn k100_adding_one_knote_of_a_new_file_removes_both_of_the_old_file() {
    in_child(|| {
        for (read, write) in [(CLEAR, LEVEL), (LEVEL, CLEAR), (LEVEL, LEVEL)] {
            let queue = Queue::new();
            let (socket, _peer) = pair();
            queue.add(&socket, READ, read, 1);
            let (new, mut peer) = reuse_by_pair(socket);
            queue.add(&new, WRITE, write, 2);
            peer.write_all(b"x").unwrap();
            let events = queue.collect();
            assert_eq!(filters(&events), [WRITE]);
            assert_eq!(queue.refused(on(&new, READ, DELETE)), libc::ENOENT);
        }
    });
}

#[test]
fn k100_an_event_that_did_not_fit_is_not_reported_of_a_new_file_of_the_same_number() {
    in_child(|| {
        let queue = Queue::new();
        let (socket, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        queue.add(&socket, READ, CLEAR, 1);
        queue.add(&socket, WRITE, CLEAR, 2);
        assert_eq!(queue.collect_at_most(1).len(), 1);
        let (new, mut peer) = reuse_by_pair(socket);
        peer.write_all(b"x").unwrap();
        queue.assert_silent();
        for filter in [READ, WRITE] {
            assert_eq!(queue.refused(on(&new, filter, ENABLE)), libc::ENOENT);
        }
    });
}

#[test]
fn k100_an_event_of_the_old_file_does_not_reach_a_knote_of_the_new() {
    in_child(|| {
        let queue = Queue::new();
        let (old, mut peer) = pair();
        queue.add(&old, READ, CLEAR, 1);
        peer.write_all(b"x").unwrap();
        let (new, _peer) = reuse_by_pair(old);
        queue.add(&new, READ, CLEAR, 2);
        queue.assert_silent();
    });
}

#[test]
fn k100_events_of_the_old_file_with_a_duplicate_are_not_reported_for_the_new() {
    in_child(|| {
        let queue = Queue::new();
        let (old, mut old_peer) = pair();
        queue.add(&old, READ, CLEAR, 1);
        let _duplicate = old.try_clone().unwrap();
        let (new, mut peer) = reuse_by_pair(old);
        queue.add(&new, READ, CLEAR, 2);
        old_peer.write_all(b"x").unwrap();
        queue.assert_silent_for(20);
        peer.write_all(b"x").unwrap();
        assert_eq!(queue.one().udata(), 2);
    });
}

#[test]
fn k101_dup2_onto_a_watched_number_closes_it_first() {
    in_child(|| {
        let queue = Queue::new();
        let (socket, _peer) = pair();
        let (other, mut other_peer) = pair();
        queue.add(&socket, READ, LEVEL, 1);
        // SAFETY: both are open, and `socket` goes on owning its number.
        check(unsafe { libc::dup2(other.as_raw_fd(), socket.as_raw_fd()) }).unwrap();
        other_peer.write_all(b"x").unwrap();
        queue.assert_silent();
        let errno = queue.refused(on(&socket, READ, DELETE));
        assert!([libc::EBADF, libc::ENOENT].contains(&errno), "{errno}");
    });
}

#[test]
fn k102_a_duplicate_has_knotes_of_its_own() {
    in_child(|| {
        let queue = Queue::new();
        let (first, mut peer) = pair();
        let second = first.try_clone().unwrap();
        queue.add(&first, READ, LEVEL, 1);
        queue.add(&second, READ, LEVEL, 2);
        peer.write_all(b"x").unwrap();
        assert_eq!(queue.collect().len(), 2);
        queue.delete(&first, READ);
        assert_eq!(queue.one().udata(), 2);
    });
}

#[test]
fn k103_closing_a_watched_descriptor_does_not_end_a_wait() {
    in_child(|| {
        let queue = Queue::new();
        let (socket, _peer) = pair();
        queue.add(&socket, READ, LEVEL, 1);
        let timeout = Duration::from_millis(100);
        let waiter = thread::spawn(move || {
            let start = Instant::now();
            let events = queue.call(&[], 4, Some(timeout)).unwrap();
            (events, start.elapsed())
        });
        drop(socket);
        let (events, elapsed) = waiter.join().unwrap();
        assert!(events.is_empty(), "{events:?}");
        assert!(elapsed >= timeout);
    });
}

#[test]
fn k104_a_user_event_survives_the_closing_of_its_number() {
    in_child(|| {
        let queue = Queue::new();
        let (socket, _peer) = pair();
        let ident = number(&socket);
        queue.add_user(ident, CLEAR);
        queue.add(&socket, READ, LEVEL, 1);
        drop(socket);
        queue.trigger(ident);
        assert_eq!(queue.one().ident(), ident);
    });
}

#[test]
fn k32_a_descriptor_that_was_closed_is_ebadf() {
    in_child(|| {
        let queue = Queue::new();
        let closed = next_number();
        for filter in [READ, WRITE] {
            for flags in [ADD, ADD | CLEAR, ADD | DISABLE] {
                let add = Kevent::new(closed, filter, flags);
                assert_eq!(queue.refused(add), libc::EBADF);
            }
        }
        let (_new, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        queue.assert_silent();
    });
}

#[test]
fn a_file_that_gets_its_number_back_from_a_duplicate_can_be_added() {
    in_child(|| {
        let queue = Queue::new();
        let (socket, mut peer) = pair();
        queue.add(&socket, READ, LEVEL, 1);
        let duplicate = socket.try_clone().unwrap();
        let freed = socket.as_raw_fd();
        drop(socket);
        // SAFETY: `freed` is not open, and nothing owns it before the call.
        let back = unsafe {
            assert_eq!(
                check(libc::dup2(duplicate.as_raw_fd(), freed)).unwrap(),
                freed
            );
            OwnedFd::from_raw_fd(freed)
        };
        let flags = ADD | EventFlags::ENABLE;
        queue.make(on(&back, READ, flags).with_udata(2));
        peer.write_all(b"x").unwrap();
        assert_eq!(queue.one().udata(), 2);
    });
}

#[test]
fn k99_a_registration_that_a_duplicate_keeps_alive_does_not_wake_the_queue() {
    in_child(|| {
        let queue = Queue::new();
        let (bystander, mut its_peer) = pair();
        queue.add(&bystander, READ, CLEAR, 3);
        queue.add_user(7, CLEAR);
        let (socket, mut peer) = pair();
        queue.add(&socket, READ, LEVEL, 1);
        queue.add(&socket, WRITE, CLEAR, 1);
        queue.collect();
        let duplicate = socket.try_clone().unwrap();
        let (new, mut new_peer) = reuse_by_pair(socket);
        queue.add(&new, READ, LEVEL, 2);

        // No event of the old file is reported, and its entry is removed.
        peer.write_all(b"x").unwrap();
        for _ in 0..3 {
            queue.assert_silent();
        }
        assert_eq!(poll_now(&queue, libc::POLLIN), 0);

        // The other registrations are unchanged.
        new_peer.write_all(b"x").unwrap();
        assert_eq!(queue.one().udata(), 2);
        assert_eq!(queue.one().udata(), 2);
        queue.delete(&new, READ);
        its_peer.write_all(b"x").unwrap();
        assert_eq!(queue.one().udata(), 3);
        queue.trigger(7);
        assert_eq!(queue.one().ident(), 7);
        drop(duplicate);
    });
}

/// A readable socket that was closed while it was registered and a duplicate of it is open. Another
/// registered socket has its number now.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn leftover(queue: &Queue, mode: EventFlags) -> Leftover {
    let (socket, old_peer) = pair();
    queue.add(&socket, READ, mode, 1);
    let duplicate = socket.try_clone().unwrap();
    let (new, new_peer) = pair();
    // SAFETY: both are open, and `socket` goes on owning its number.
    check(unsafe { libc::dup2(new.as_raw_fd(), socket.as_raw_fd()) }).unwrap();
    queue.add(&socket, READ, mode, 2);
    Leftover {
        old_peer,
        _others: [socket, duplicate, new, new_peer],
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
struct Leftover {
    old_peer: UnixStream,
    _others: [UnixStream; 4],
}

/// An epoll set that watches a queue, to check whether it still does.
#[cfg(any(target_os = "linux", target_os = "android"))]
struct Outside(OwnedFd);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Outside {
    fn watching(queue: &Queue) -> Outside {
        // SAFETY: takes no pointers, and nothing else owns the number.
        let set = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(0)).unwrap()) };
        let outside = Outside(set);
        outside.control(libc::EPOLL_CTL_ADD, queue).unwrap();
        outside
    }

    fn watches(&self, queue: &Queue) -> bool {
        self.control(libc::EPOLL_CTL_MOD, queue).is_ok()
    }

    fn control(&self, op: libc::c_int, queue: &Queue) -> std::io::Result<libc::c_int> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        let (set, fd) = (self.0.as_raw_fd(), queue.as_raw_fd());
        // SAFETY: the struct lives until the call returns.
        check(unsafe { libc::epoll_ctl(set, op, fd, &mut event) })
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k99_several_registrations_that_duplicates_keep_alive_do_not_wake_the_queue() {
    in_child(|| {
        for count in 1..4 {
            for room in 1..4 {
                let queue = Queue::new();
                let mut leftovers: Vec<Leftover> =
                    (0..count).map(|_| leftover(&queue, LEVEL)).collect();
                for leftover in &mut leftovers {
                    leftover.old_peer.write_all(b"x").unwrap();
                }
                for _ in 0..4 {
                    assert!(queue.collect_at_most(room).is_empty());
                    let events = queue.take(room, Some(Duration::from_millis(2)));
                    assert!(events.is_empty(), "{events:?}");
                }
                assert_eq!(poll_now(&queue, libc::POLLIN), 0);
            }
        }
    });
}

/// Every file has had every number: more stale events than a queue remembers.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k99_more_registrations_than_a_queue_remembers_do_not_wake_it() {
    const COUNT: usize = 36;
    in_child(|| {
        for room in [1, 8, 2 * COUNT * COUNT] {
            let queue = Queue::new();
            let mut files: Vec<_> = (0..COUNT).map(|_| pair()).collect();
            let numbers: Vec<_> = (0..COUNT).map(|_| pair().0).collect();
            let (new, mut new_peer) = pair();
            for file in files.iter().map(|(file, _)| file).chain([&new]) {
                for number in &numbers {
                    // SAFETY: both are open, and `number` goes on owning its own.
                    check(unsafe { libc::dup2(file.as_raw_fd(), number.as_raw_fd()) }).unwrap();
                    queue.add(number, READ, LEVEL, 2);
                }
            }
            for (_, peer) in &mut files {
                peer.write_all(b"x").unwrap();
            }
            for _ in 0..4 {
                assert!(queue.collect_at_most(room).is_empty());
            }
            new_peer.write_all(b"x").unwrap();
            assert_eq!(queue.collect().len(), COUNT);
        }
    });
}

/// A registered descriptor was closed, and its number belongs to a set that watches the queue, or to a duplicate of
/// the queue: the epoll set of the queue takes neither.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k99_a_number_that_epoll_refuses_does_not_keep_the_epoll_set_from_being_made_again() {
    in_child(|| {
        for is_duplicate in [false, true] {
            let queue = Queue::new();
            let (closed, _peer) = pair();
            queue.add(&closed, READ, CLEAR, 3);
            let outside = Outside::watching(&queue);
            let new = if is_duplicate {
                queue.as_raw_fd()
            } else {
                outside.0.as_raw_fd()
            };
            // SAFETY: both are open, and `closed` goes on owning its number.
            check(unsafe { libc::dup2(new, closed.as_raw_fd()) }).unwrap();
            let mut leftover = leftover(&queue, LEVEL);
            leftover.old_peer.write_all(b"x").unwrap();
            for _ in 0..4 {
                queue.assert_silent();
            }
            assert_eq!(poll_now(&queue, libc::POLLIN), 0, "{is_duplicate}");
        }
    });
}

/// The limit on descriptors is lowered below the number of the queue.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k99_a_queue_whose_epoll_set_cannot_be_made_again_goes_on() {
    in_child(|| {
        let below: Vec<_> = (0..40).map(|_| pair()).collect();
        let queue = Queue::new();
        drop(below);
        let (socket, _peer) = pair();
        queue.add(&socket, READ, CLEAR, 3);
        queue.add(&socket, WRITE, LEVEL, 3);
        let mut leftover = leftover(&queue, LEVEL);
        limit_descriptors(number(&queue));
        leftover.old_peer.write_all(b"x").unwrap();
        for _ in 0..6 {
            assert_eq!(queue.one_of(WRITE).udata(), 3);
        }
        queue.delete(&socket, WRITE);
        queue.assert_silent();
        queue.add(&socket, WRITE, LEVEL, 4);
        assert_eq!(queue.one_of(WRITE).udata(), 4);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k99_a_thread_that_waits_while_the_epoll_set_is_made_again_gets_later_events() {
    in_child(|| {
        const WAITING: usize = 4;
        let queue = Queue::new();
        let outside = Outside::watching(&queue);
        let mut leftover = leftover(&queue, LEVEL);
        let (socket, mut peer) = pair();
        thread::scope(|scope| {
            let wait = || assert_eq!(queue.wait()[0].udata(), 3);
            let waiting: Vec<_> = (0..WAITING).map(|_| scope.spawn(wait)).collect();
            let finished = || waiting.iter().filter(|thread| thread.is_finished()).count();
            while outside.watches(&queue) {
                leftover.old_peer.write_all(b"x").unwrap();
                thread::sleep(Duration::from_millis(20));
            }
            for count in 1..=WAITING {
                peer.write_all(b"x").unwrap();
                queue.add(&socket, READ, ONESHOT, 3);
                let start = Instant::now();
                while finished() < count {
                    assert!(
                        start.elapsed() < LIMIT,
                        "{} are left behind",
                        WAITING + 1 - count
                    );
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k9_threads_that_take_each_other_s_events_do_not_end_the_watching_of_their_queue() {
    in_child(|| {
        let queue = Queue::new();
        let outside = Outside::watching(&queue);
        let (socket, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        queue.add(&socket, READ, DISPATCH, 1);
        let serve = || {
            for _ in 0..500 {
                for _ in queue.take(8, Some(Duration::from_millis(1))) {
                    queue.enable(&socket, READ, 1);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(serve);
            }
        });
        assert!(outside.watches(&queue));
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k9_the_end_of_a_disabled_knote_does_not_end_the_watching_of_its_queue() {
    in_child(|| {
        let queue = Queue::new();
        let outside = Outside::watching(&queue);
        let (socket, peer) = tcp_pair();
        queue.add(&socket, READ, DISABLE, 1);
        queue.disable(&socket, READ, 2);
        reset(peer);
        for _ in 0..3 {
            queue.assert_silent_for(5);
            // The end of the socket is an edge.
            socket
                .shutdown(std::net::Shutdown::Both)
                .unwrap_or_default();
        }
        assert!(outside.watches(&queue));
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k99_an_edge_triggered_leftover_does_not_end_the_watching_of_its_queue() {
    in_child(|| {
        for mode in [CLEAR, CLEAR | DISPATCH, ONESHOT] {
            let queue = Queue::new();
            let outside = Outside::watching(&queue);
            let mut leftover = leftover(&queue, mode);
            for _ in 0..10 {
                leftover.old_peer.write_all(b"x").unwrap();
                queue.assert_silent();
            }
            assert!(outside.watches(&queue), "{mode:?}");
        }
    });
}
