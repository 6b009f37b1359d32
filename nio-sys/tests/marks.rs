//! Low-water marks and urgent data: NOTE_LOWAT and EVFILT_EXCEPT, K156–K160.

mod support;

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use nio_sys::{EventFlags, Filter, Kevent, Kqueue, ReadWriteFlags};
use support::*;

/// A change of a READ knote with a low-water mark.
fn mark(fd: &impl AsFd, bytes: i64, flags: EventFlags) -> Kevent {
    let change = on(fd, READ, flags).with_fflags(ReadWriteFlags::LOWAT);
    change.with_data(bytes).with_udata(5)
}

#[test]
fn k156_below_the_mark_nothing_is_reported() {
    for mode in [LEVEL, CLEAR, ONESHOT] {
        let queue = Queue::new();
        let (reader, mut writer) = tcp_pair();
        queue.make(mark(&reader, 16, ADD | mode));
        writer.write_all(&[7; 10]).unwrap();
        queue.assert_silent_for(20);
        writer.write_all(&[7; 6]).unwrap();
        let event = queue.one();
        assert_eq!((event.filter(), event.udata()), (READ, 5));
        assert!(!event.is_eof());
    }
}

#[test]
fn k156_a_unix_socket_may_have_a_mark() {
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let (reader, mut writer) = pair();
        writer.write_all(&[7; 15]).unwrap();
        queue.make(mark(&reader, 16, ADD | mode));
        queue.assert_silent();
        writer.write_all(b"x").unwrap();
        queue.one();
    }
}

#[test]
fn k156_bytes_that_arrived_before_the_addition_count() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    writer.write_all(&[7; 16]).unwrap();
    queue.make(mark(&reader, 16, ADD));
    queue.one();
}

#[test]
fn k156_a_level_knote_reports_until_there_is_less() {
    let queue = Queue::new();
    let (mut reader, mut writer) = pair();
    queue.make(mark(&reader, 16, ADD));
    writer.write_all(&[7; 20]).unwrap();
    for _ in 0..3 {
        assert_eq!(queue.collect().len(), 1);
    }
    reader.read_exact(&mut [0; 4]).unwrap();
    assert_eq!(queue.collect().len(), 1);
    reader.read_exact(&mut [0; 1]).unwrap();
    queue.assert_silent();
    writer.write_all(b"x").unwrap();
    assert_eq!(queue.collect().len(), 1);
}

#[test]
fn k156_an_edge_reports_once_for_each_arrival() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.make(mark(&reader, 16, ADD | CLEAR));
    writer.write_all(&[7; 16]).unwrap();
    queue.one();
    queue.assert_silent();
    writer.write_all(b"x").unwrap();
    queue.one();
    drain(&reader);
    writer.write_all(&[7; 15]).unwrap();
    queue.assert_silent();
}

#[test]
fn k156_the_end_overrides_the_mark() {
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let (reader, mut writer) = tcp_pair();
        queue.make(mark(&reader, 16, ADD | mode));
        writer.write_all(b"abc").unwrap();
        queue.assert_silent_for(5);
        drop(writer);
        assert!(queue.one().is_eof());
        assert_eq!(drain(&reader), 3);
        if mode == LEVEL {
            assert!(queue.one().is_eof());
        }
    }
}

#[test]
fn k156_an_error_overrides_the_mark() {
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(closed.local_addr().unwrap()).unwrap();
        drop(closed);
        queue.make(mark(&socket, 16, ADD | mode));
        socket.send(b"x").unwrap();
        assert!(!queue.one().is_eof());
    }
}

#[test]
fn k156_a_waiter_is_woken_when_the_mark_is_reached() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.make(mark(&reader, 16, ADD));
    wakes(&queue, || {
        for _ in 0..16 {
            writer.write_all(b"x").unwrap();
        }
    });
}

#[test]
fn k92_a_wait_in_which_the_mark_is_not_reached_lasts_its_whole_time() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.make(mark(&reader, 16, ADD));
    let timeout = Duration::from_millis(60);
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..10 {
                writer.write_all(b"x").unwrap();
                thread::yield_now();
            }
        });
        let events = queue.take(4, Some(timeout));
        assert!(events.is_empty(), "{events:?}");
    });
    assert!(start.elapsed() >= timeout);
}

#[test]
fn k76_a_dispatched_knote_keeps_its_mark() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.make(mark(&reader, 16, ADD | DISPATCH));
    writer.write_all(&[7; 16]).unwrap();
    queue.one();
    queue.assert_silent();
    drain(&reader);
    writer.write_all(b"x").unwrap();
    queue.make(mark(&reader, 16, ENABLE));
    queue.assert_silent();
    writer.write_all(&[7; 15]).unwrap();
    queue.one();
}

#[test]
fn k157_two_queues_may_have_different_marks() {
    let (small, large) = (Queue::new(), Queue::new());
    let (reader, mut writer) = pair();
    small.make(mark(&reader, 4, ADD));
    large.make(mark(&reader, 16, ADD));
    writer.write_all(&[7; 4]).unwrap();
    small.one();
    large.assert_silent();
    writer.write_all(&[7; 12]).unwrap();
    large.one();
}

#[test]
fn k157_adding_again_changes_the_mark() {
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let (reader, mut writer) = pair();
        queue.make(mark(&reader, 16, ADD | mode));
        writer.write_all(&[7; 4]).unwrap();
        queue.assert_silent();
        queue.make(mark(&reader, 1, ADD | mode));
        assert_eq!(queue.collect().len(), 1);
        queue.make(mark(&reader, 16, ADD | mode));
        queue.assert_silent();
    }
}

#[cfg(not(target_os = "openbsd"))]
#[test]
fn k59_a_change_without_the_mark_takes_it_away() {
    for flags in [ADD, ENABLE] {
        let queue = Queue::new();
        let (reader, mut writer) = pair();
        queue.make(mark(&reader, 16, ADD));
        writer.write_all(&[7; 4]).unwrap();
        queue.assert_silent();
        queue.make(on(&reader, READ, flags).with_udata(5));
        for _ in 0..2 {
            assert_eq!(queue.collect().len(), 1);
        }
    }
}

#[test]
fn k59_a_change_in_full_keeps_the_mark() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.make(mark(&reader, 16, ADD));
    queue.make(mark(&reader, 16, DISABLE));
    queue.make(mark(&reader, 16, ENABLE));
    writer.write_all(&[7; 15]).unwrap();
    queue.assert_silent();
    writer.write_all(b"x").unwrap();
    queue.one();
}

#[test]
fn k62_a_disabled_knote_is_silent_though_the_mark_was_reached() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.make(mark(&reader, 4, ADD));
    writer.write_all(&[7; 4]).unwrap();
    queue.one();
    queue.make(mark(&reader, 4, DISABLE));
    queue.assert_silent();
    queue.make(mark(&reader, 4, ENABLE));
    for _ in 0..2 {
        assert_eq!(queue.collect().len(), 1);
    }
}

#[test]
fn k66_a_deleted_knote_is_silent_though_the_mark_was_reached() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.make(mark(&reader, 4, ADD));
    writer.write_all(&[7; 4]).unwrap();
    queue.one();
    queue.delete(&reader, READ);
    queue.assert_silent();
    queue.make(mark(&reader, 16, ADD));
    queue.assert_silent();
}

#[test]
fn k36_a_mark_of_reading_leaves_the_writer() {
    for (read, write) in [(LEVEL, LEVEL), (LEVEL, CLEAR), (CLEAR, LEVEL)] {
        let queue = Queue::new();
        let (socket, mut peer) = pair();
        queue.make(mark(&socket, 16, ADD | read));
        queue.add(&socket, WRITE, write, 2);
        assert_eq!(filters(&queue.collect()), [WRITE]);
        peer.write_all(&[7; 16]).unwrap();
        assert!(filters(&queue.collect()).contains(&READ));
        let expected: &[Filter] = match (read, write) {
            (LEVEL, LEVEL) => &[READ, WRITE],
            (LEVEL, _) => &[READ],
            _ => &[WRITE],
        };
        assert_eq!(filters(&queue.collect()), expected);
    }
}

#[test]
fn k84_a_knote_with_a_mark_comes_once_in_a_call() {
    for _ in 0..10 {
        let queue = Queue::new();
        let (reader, mut writer) = pair();
        queue.make(mark(&reader, 4, ADD));
        queue.add_user(1, LEVEL);
        writer.write_all(&[7; 4]).unwrap();
        queue.trigger(1);
        for _ in 0..3 {
            assert_eq!(queue.collect().len(), 2);
            writer.write_all(b"x").unwrap();
        }
    }
}

#[test]
fn k8_a_queue_is_readable_while_a_mark_is_reached() {
    let (inner, outer) = (Queue::new(), Queue::new());
    let (reader, mut writer) = pair();
    outer.add(&inner, READ, LEVEL, 1);
    inner.make(mark(&reader, 4, ADD));
    writer.write_all(&[7; 4]).unwrap();
    for _ in 0..3 {
        outer.one();
        inner.one();
    }
    drain(&reader);
    inner.assert_silent();
    outer.assert_silent();
}

#[test]
fn k105_the_data_of_a_knote_with_a_mark_is_all_bytes() {
    let queue = Queue(Kqueue::with_counts().unwrap());
    let (reader, mut writer) = pair();
    queue.make(mark(&reader, 4, ADD));
    writer.write_all(&[7; 6]).unwrap();
    assert_eq!(queue.one().data(), 6);
}

#[test]
fn k100_a_new_file_of_the_same_number_has_no_mark() {
    let queue = Queue::new();
    let at = |socket: UnixStream| {
        // SAFETY: no other test uses the number, and its owner is forgotten.
        unsafe {
            let fd = check(libc::dup2(socket.as_raw_fd(), 601)).unwrap();
            UnixStream::from(OwnedFd::from_raw_fd(fd))
        }
    };
    let (old, _peer) = pair();
    let old = at(old);
    queue.make(mark(&old, 16, ADD));
    std::mem::forget(old);
    let (new, mut peer) = pair();
    let new = at(new);
    peer.write_all(b"x").unwrap();
    queue.add(&new, READ, LEVEL, 2);
    for _ in 0..2 {
        assert_eq!(queue.one().udata(), 2);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k156_a_pipe_may_have_a_mark() {
    let queue = Queue::new();
    let (reader, mut writer) = pipe();
    queue.make(mark(&reader, 16, ADD));
    writer.write_all(&[7; 15]).unwrap();
    queue.assert_silent();
    writer.write_all(b"x").unwrap();
    queue.one();
    drop(writer);
    drain(&reader);
    assert!(queue.one().is_eof());
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k158_a_mark_of_writing_is_refused() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    let change = on(&socket, WRITE, ADD).with_fflags(ReadWriteFlags::LOWAT);
    assert_eq!(queue.refused(change.with_data(1)), libc::ENOTSUP);
    assert_eq!(queue.refused(on(&socket, WRITE, DELETE)), libc::ENOENT);
}

#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
#[test]
fn k158_a_mark_of_writing_is_the_room_that_is_waited_for() {
    let queue = Queue::new();
    let (socket, peer) = pair();
    let change = on(&socket, WRITE, ADD).with_fflags(ReadWriteFlags::LOWAT);
    fill(&socket);
    queue.make(change.with_data(1_024));
    queue.assert_silent();
    drain(&peer);
    queue.one();
}

#[test]
fn k160_an_urgent_byte_alone_is_not_readable() {
    let queue = Queue::new();
    let (socket, mut peer) = tcp_pair();
    queue.add(&socket, READ, LEVEL, 1);
    send_urgent(&peer);
    queue.assert_silent_for(20);
    peer.write_all(b"abc").unwrap();
    assert!(!queue.one().is_eof());
}

#[test]
fn k160_an_urgent_byte_in_line_is_readable() {
    let queue = Queue::new();
    let (socket, peer) = tcp_pair();
    let yes: libc::c_int = 1;
    // SAFETY: the value is an int, of the length given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_OOBINLINE,
            std::ptr::from_ref(&yes).cast(),
            size_of_val(&yes) as libc::socklen_t,
        )
    })
    .unwrap();
    queue.add(&socket, READ, LEVEL, 1);
    send_urgent(&peer);
    assert!(!queue.one().is_eof());
    assert_eq!(drain(&socket), 1);
}

#[test]
fn k160_an_urgent_byte_is_not_an_end_in_a_queue_with_counts() {
    let queue = Queue(Kqueue::with_counts().unwrap());
    let (socket, mut peer) = tcp_pair();
    queue.add(&socket, READ, LEVEL, 1);
    send_urgent(&peer);
    peer.write_all(b"abc").unwrap();
    let event = queue.one();
    assert_eq!((event.is_eof(), event.fflags()), (false, 0));
}

/// EXCEPT, on the systems that have it.
#[cfg(not(any(target_os = "freebsd", target_os = "netbsd")))]
mod urgent {
    use super::*;

    /// A change about urgent data.
    fn urgent(fd: &impl AsFd, flags: EventFlags) -> Kevent {
        let change = on(fd, Filter::EXCEPT, flags).with_fflags(ReadWriteFlags::OOB);
        change.with_udata(9)
    }

    /// Takes the urgent byte.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn take_urgent(fd: &impl AsFd) {
        let mut byte = [0_u8];
        let fd = fd.as_fd().as_raw_fd();
        // SAFETY: one byte, which lives until the call returns.
        let taken = unsafe { libc::recv(fd, byte.as_mut_ptr().cast(), 1, libc::MSG_OOB) };
        assert_eq!((taken, byte), (1, [1]));
    }

    #[test]
    fn k159_urgent_data_is_reported() {
        let queue = Queue::new();
        let (socket, mut peer) = tcp_pair();
        queue.make(urgent(&socket, ADD));
        peer.write_all(b"abc").unwrap();
        queue.assert_silent_for(20);
        send_urgent(&peer);
        let event = queue.one();
        assert_eq!((event.filter(), event.udata()), (Filter::EXCEPT, 9));
        assert!(!event.is_eof());
        if cfg!(any(target_os = "linux", target_os = "android")) {
            assert_eq!(event.fflags(), ReadWriteFlags::OOB.bits());
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn k159_urgent_data_is_reported_until_it_is_taken() {
        let queue = Queue::new();
        let (socket, peer) = tcp_pair();
        queue.make(urgent(&socket, ADD));
        send_urgent(&peer);
        queue.one();
        assert_eq!(queue.collect().len(), 1);
        take_urgent(&socket);
        queue.assert_silent();
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn k159_an_edge_reports_each_urgent_byte_once() {
        let queue = Queue::new();
        let (socket, peer) = tcp_pair();
        queue.make(urgent(&socket, ADD | CLEAR));
        for _ in 0..2 {
            send_urgent(&peer);
            queue.one();
            queue.assert_silent();
            take_urgent(&socket);
        }
    }

    #[test]
    fn k159_a_oneshot_reports_once_and_is_gone() {
        let queue = Queue::new();
        let (socket, peer) = tcp_pair();
        queue.make(urgent(&socket, ADD | ONESHOT));
        send_urgent(&peer);
        queue.one();
        queue.assert_silent();
        assert_eq!(queue.refused(urgent(&socket, DELETE)), libc::ENOENT);
    }

    #[test]
    fn k159_a_disabled_knote_is_silent() {
        let queue = Queue::new();
        let (socket, peer) = tcp_pair();
        queue.make(urgent(&socket, ADD | DISABLE));
        send_urgent(&peer);
        queue.assert_silent_for(20);
        queue.make(urgent(&socket, ENABLE));
        queue.one();
        queue.make(urgent(&socket, DELETE));
        queue.assert_silent();
    }

    #[test]
    fn k36_a_descriptor_may_have_three_knotes() {
        for modes in [
            [LEVEL, LEVEL, LEVEL],
            [CLEAR, CLEAR, CLEAR],
            [CLEAR, LEVEL, CLEAR],
            [LEVEL, CLEAR, LEVEL],
        ] {
            let queue = Queue::new();
            let (socket, mut peer) = tcp_pair();
            queue.add(&socket, READ, modes[0], 1);
            queue.add(&socket, WRITE, modes[1], 2);
            queue.make(urgent(&socket, ADD | modes[2]));
            peer.write_all(b"abc").unwrap();
            send_urgent(&peer);
            let mut seen = std::collections::BTreeMap::new();
            while seen.len() < 3 {
                for event in queue.wait() {
                    seen.insert(event.udata(), event.filter());
                }
            }
            let seen: Vec<_> = seen.into_iter().collect();
            assert_eq!(seen, [(1, READ), (2, WRITE), (9, Filter::EXCEPT)]);
            queue.delete(&socket, READ);
            queue.make(urgent(&socket, DELETE));
            assert_eq!(queue.refused(urgent(&socket, DELETE)), libc::ENOENT);
            queue.delete(&socket, WRITE);
            queue.assert_silent();
        }
    }

    #[test]
    fn k160_an_urgent_byte_is_reported_to_except_alone() {
        let queue = Queue::new();
        let (socket, peer) = tcp_pair();
        queue.add(&socket, READ, LEVEL, 1);
        queue.make(urgent(&socket, ADD));
        send_urgent(&peer);
        assert_eq!(queue.one().filter(), Filter::EXCEPT);
    }

    /// An epoll entry that reports an end that no knote reports must not make a wait of zero timeout go on
    /// without end.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn k159_an_end_that_no_knote_reports_does_not_hold_up_a_call() {
        in_child(|| {
            for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
                for other in [None, Some(CLEAR), Some(ONESHOT), Some(DISABLE)] {
                    let queue = Queue::new();
                    let (socket, peer) = tcp_pair();
                    queue.make(urgent(&socket, ADD | mode));
                    if let Some(other) = other {
                        queue.add(&socket, READ, other, 1);
                    }
                    reset(peer);
                    while poll_now(&socket, libc::POLLIN) & libc::POLLHUP == 0 {}
                    // The event of READ, if there is one.
                    queue.collect();
                    for _ in 0..3 {
                        let events = queue.collect_at_most(1);
                        assert!(events.is_empty(), "{mode:?} {other:?}: {events:?}");
                    }
                }
            }
        });
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn k159_urgent_data_is_reported_until_it_is_taken_with_any_state_of_read() {
        let queue = Queue::new();
        let (socket, peer) = tcp_pair();
        queue.make(urgent(&socket, ADD));
        for round in 0..2 {
            send_urgent(&peer);
            assert_eq!(queue.one().filter(), Filter::EXCEPT);
            for flags in [ADD | ENABLE, DISABLE, ENABLE, DELETE] {
                queue.make(on(&socket, READ, flags));
                for room in [1, 8] {
                    let events = queue.collect_at_most(room);
                    assert_eq!(idents(&events), [number(&socket)], "{flags:?}, {round}");
                    assert_eq!(events[0].filter(), Filter::EXCEPT);
                }
            }
            take_urgent(&socket);
            queue.assert_silent();
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn k159_except_without_a_condition_is_refused() {
        let queue = Queue::new();
        let (socket, _peer) = tcp_pair();
        let nothing = urgent(&socket, ADD).with_fflags(0_u32);
        assert_eq!(queue.refused(nothing), libc::EINVAL);
        let unknown = urgent(&socket, ADD).with_fflags(ReadWriteFlags::LOWAT);
        assert_eq!(queue.refused(unknown), libc::ENOTSUP);
        assert_eq!(queue.refused(urgent(&socket, DELETE)), libc::ENOENT);
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn k10_a_queue_has_no_urgent_data() {
        let (inner, outer) = (Queue::new(), Queue::new());
        assert_eq!(outer.refused(urgent(&inner, ADD)), libc::EINVAL);
    }

    #[test]
    fn k32_a_number_without_a_descriptor_is_ebadf() {
        let queue = Queue::new();
        let change = Kevent::new(CLOSED, Filter::EXCEPT, ADD).with_fflags(ReadWriteFlags::OOB);
        assert_eq!(queue.refused(change), libc::EBADF);
    }
}

#[cfg(any(target_os = "freebsd", target_os = "netbsd"))]
#[test]
fn k159_there_is_no_such_filter() {
    let queue = Queue::new();
    let (socket, _peer) = tcp_pair();
    let filter = Filter::from_number(-99);
    assert_eq!(queue.refused(on(&socket, filter, ADD)), libc::EINVAL);
}

/// READ and WRITE without a mark, of a socket with a byte to read, one event in a call.
fn both_come_one_by_one(queue: &Queue, socket: &UnixStream, peer: &mut UnixStream) {
    let changes = [READ, WRITE].map(|filter| on(socket, filter, ADD | CLEAR));
    assert_eq!(queue.results(&changes), [0, 0]);
    peer.write_all(b"x").unwrap();
    let events: Vec<Kevent> = (0..2).flat_map(|_| queue.collect_at_most(1)).collect();
    assert_eq!(filters(&events), [READ, WRITE]);
}

#[test]
fn k157_the_mark_of_a_knote_that_has_fired_once_is_not_that_of_the_next() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.make(mark(&reader, 16, ADD | ONESHOT));
    writer.write_all(&[7; 16]).unwrap();
    queue.one();
    drain(&reader);
    both_come_one_by_one(&queue, &reader, &mut writer);
}

#[test]
fn k157_the_mark_of_a_closed_descriptor_is_not_that_of_the_next_of_its_number() {
    in_child(|| {
        let queue = Queue::new();
        let (reader, _writer) = pair();
        queue.make(mark(&reader, 16, ADD));
        let (reader, mut writer) = reuse_by_pair(reader);
        assert_eq!(queue.refused(on(&reader, READ, DELETE)), libc::ENOENT);
        both_come_one_by_one(&queue, &reader, &mut writer);
    });
}
