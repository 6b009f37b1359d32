//! The queue object, and waiting on it: K1–K22.

mod support;

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use nio_sys::{Filter, Kevent};
use support::*;

#[test]
fn k1_queues_are_independent() {
    let (first, second) = (Queue::new(), Queue::new());
    let (reader, mut writer) = pair();
    first.add(&reader, READ, CLEAR, 1);
    second.add(&reader, READ, CLEAR, 2);
    writer.write_all(b"x").unwrap();
    assert_eq!(first.one().udata(), 1);
    assert_eq!(second.one().udata(), 2);
    first.assert_silent();
    second.assert_silent();
}

#[test]
fn k7_threads_that_share_a_queue_see_the_same_one() {
    let queue = Queue::new();
    thread::scope(|scope| {
        scope.spawn(|| queue.add_user(1, CLEAR)).join().unwrap();
        queue.trigger(1);
        scope.spawn(|| assert_eq!(queue.one().ident(), 1));
    });
    queue.assert_silent();
}

/// The answer of poll(2) for a queue; poll(2) of macOS does not take queues.
#[cfg(not(target_vendor = "apple"))]
fn is_readable(queue: &Queue) -> bool {
    let said = poll_now(queue, libc::POLLIN | libc::POLLOUT);
    assert_eq!(said & libc::POLLOUT, 0, "a queue is never writable");
    said & libc::POLLIN != 0
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k8_a_queue_is_readable_while_a_user_event_is_pending() {
    let queue = Queue::new();
    assert!(!is_readable(&queue));
    queue.add_user(1, CLEAR);
    assert!(!is_readable(&queue));
    queue.trigger(1);
    assert!(is_readable(&queue));
    assert_eq!(queue.collect().len(), 1);
    assert!(!is_readable(&queue));
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k8_a_queue_is_readable_until_the_last_event_is_collected() {
    let queue = Queue::new();
    for ident in [1, 2] {
        queue.add_user(ident, CLEAR);
        queue.trigger(ident);
    }
    assert_eq!(queue.collect_at_most(1).len(), 1);
    assert!(is_readable(&queue));
    assert_eq!(queue.collect_at_most(1).len(), 1);
    assert!(!is_readable(&queue));
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k8_a_queue_is_readable_while_a_descriptor_is_ready() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, LEVEL, 1);
    assert!(!is_readable(&queue));
    writer.write_all(b"x").unwrap();
    assert!(is_readable(&queue));
    drain(&reader);
    queue.assert_silent();
    assert!(!is_readable(&queue));
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k8_a_level_triggered_user_event_keeps_the_queue_readable() {
    let queue = Queue::new();
    queue.add_user(1, LEVEL);
    queue.trigger(1);
    assert_eq!(queue.collect().len(), 1);
    assert!(is_readable(&queue));
    queue.make(user(1, DELETE));
    queue.assert_silent();
    assert!(!is_readable(&queue));
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k8_a_queue_is_not_readable_for_a_deleted_or_disabled_user_event() {
    let queue = Queue::new();
    for ident in [1, 2] {
        queue.add_user(ident, CLEAR);
        queue.trigger(ident);
    }
    queue.make(user(2, DELETE));
    assert!(is_readable(&queue));
    queue.make(user(1, DISABLE));
    // A kernel may look at it only in the next call.
    queue.assert_silent();
    assert!(!is_readable(&queue));
    queue.make(user(1, ENABLE));
    assert!(is_readable(&queue));
    queue.make(user(1, DELETE));
    assert!(!is_readable(&queue));
    queue.add_user(1, CLEAR);
    queue.trigger(1);
    assert_eq!(queue.one().ident(), 1);
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k8_an_event_that_was_left_over_and_deleted_does_not_keep_the_queue_readable() {
    let queue = Queue::new();
    let pairs = [pair(), pair()];
    for (reader, writer) in &pairs {
        queue.add(reader, READ, CLEAR, 0);
        (&*writer).write_all(b"x").unwrap();
    }
    let first = queue.collect_at_most(1)[0].ident();
    assert!(is_readable(&queue));
    for (reader, _) in pairs.iter().filter(|pair| number(&pair.0) != first) {
        queue.delete(reader, READ);
    }
    assert!(!is_readable(&queue));
}

#[test]
fn k9_a_queue_watched_by_another_is_not_reported_for_a_deleted_event() {
    let (inner, outer) = (Queue::new(), Queue::new());
    outer.add(&inner, READ, LEVEL, 7);
    inner.add_user(1, CLEAR);
    inner.trigger(1);
    inner.make(user(1, DELETE));
    outer.assert_silent();
}

#[test]
fn k9_a_queue_can_be_watched_by_another() {
    let (inner, outer) = (Queue::new(), Queue::new());
    outer.add(&inner, READ, LEVEL, 7);
    inner.add_user(1, CLEAR);
    outer.assert_silent();
    inner.trigger(1);
    let event = outer.one();
    assert_eq!((event.ident(), event.udata()), (number(&inner), 7));
    // On Linux only queues with counts have amounts.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    assert!(event.data() >= 1);
    assert_eq!(outer.one().udata(), 7);
    inner.one();
    outer.assert_silent_for(20);
}

#[test]
fn k9_an_inner_queue_wakes_a_thread_that_waits_on_the_outer() {
    let (inner, outer) = (Queue::new(), Queue::new());
    let (reader, mut writer) = pair();
    inner.add(&reader, READ, CLEAR, 1);
    outer.add(&inner, READ, CLEAR, 2);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| outer.one().udata());
        writer.write_all(b"x").unwrap();
        assert_eq!(waiter.join().unwrap(), 2);
    });
    assert_eq!(inner.one().udata(), 1);
}

#[test]
fn k10_a_queue_cannot_be_watched_for_writing() {
    let (inner, outer) = (Queue::new(), Queue::new());
    let errno = outer.refused(on(&inner, WRITE, ADD));
    if cfg!(target_os = "dragonfly") {
        assert_eq!(errno, libc::EOPNOTSUPP);
    } else {
        assert_eq!(errno, libc::EINVAL);
    }
    assert_eq!(outer.refused(on(&inner, WRITE, DELETE)), libc::ENOENT);
}

#[test]
fn k10_a_queue_that_is_watched_for_reading_cannot_be_watched_for_writing_either() {
    let (inner, outer) = (Queue::new(), Queue::new());
    let both = [READ, WRITE].map(|filter| on(&inner, filter, ADD | CLEAR));
    for _ in 0..2 {
        let results = outer.results(&both);
        assert!(results[0] == 0 && results[1] != 0, "{results:?}");
    }
    assert_ne!(outer.refused(on(&inner, WRITE, ADD)), 0);
}

#[test]
fn k11_a_queue_cannot_watch_itself() {
    let queue = Queue::new();
    assert_eq!(queue.refused(on(&queue, READ, ADD)), libc::EINVAL);
}

#[cfg(any(target_vendor = "apple", target_os = "linux", target_os = "android"))]
#[test]
fn k12_a_cycle_of_queues_is_refused_and_harms_neither() {
    let (a, b) = (Queue::new(), Queue::new());
    b.add(&a, READ, LEVEL, 1);
    let errno = a.refused(on(&b, READ, ADD));
    assert!([libc::EINVAL, libc::ELOOP].contains(&errno), "{errno}");
    a.add_user(1, CLEAR);
    a.trigger(1);
    b.one();
    a.one();
}

#[test]
fn k12_a_chain_of_four_queues_passes_a_trigger_to_the_top() {
    let chain: Vec<Queue> = (0..4).map(|_| Queue::new()).collect();
    for two in chain.windows(2) {
        two[1].add(&two[0], READ, LEVEL, 1);
    }
    chain[0].add_user(1, CLEAR);
    chain[0].trigger(1);
    assert_eq!(chain[3].one().ident(), number(&chain[2]));
}

#[test]
fn k13_an_event_of_an_inner_queue_may_be_stale_but_is_not_an_error() {
    let (inner, outer) = (Queue::new(), Queue::new());
    let (reader, mut writer) = pair();
    inner.add(&reader, READ, LEVEL, 1);
    outer.add(&inner, READ, LEVEL, 2);
    writer.write_all(b"x").unwrap();
    drain(&reader);
    outer.collect();
    inner.assert_silent();
}

#[test]
fn k17_without_room_the_call_returns_at_once() {
    let queue = Queue::new();
    let start = Instant::now();
    assert!(queue.call(&[], 0, None).unwrap().is_empty());
    assert!(start.elapsed() < LIMIT);
}

#[test]
fn k17_without_room_the_changes_are_made_and_a_pending_event_stays() {
    let queue = Queue::new();
    let changes = [user(1, ADD | CLEAR), trigger(1)];
    assert!(queue.call(&changes, 0, None).unwrap().is_empty());
    assert_eq!(queue.one().ident(), 1);
}

#[test]
fn k18_a_timeout_of_zero_never_waits() {
    let queue = Queue::new();
    let (reader, _writer) = pair();
    queue.add(&reader, READ, LEVEL, 1);
    let start = Instant::now();
    for _ in 0..100 {
        queue.assert_silent();
    }
    assert!(start.elapsed() < LIMIT);
}

#[test]
fn k18_a_timeout_of_zero_returns_events_that_are_ready() {
    let queue = Queue::new();
    let (reader, mut writer) = pipe();
    writer.write_all(b"x").unwrap();
    queue.add(&reader, READ, LEVEL, 1);
    assert_eq!(queue.collect().len(), 1);
}

#[test]
fn k19_without_a_timeout_the_call_waits_for_an_event() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    // Often enough for both orders of the two threads.
    for _ in 0..100 {
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                queue.trigger(1);
            });
            start.wait();
            assert_eq!(queue.call(&[], 4, None).unwrap().len(), 1);
        });
    }
}

#[test]
fn k20_a_timeout_is_a_minimum() {
    let queue = Queue::new();
    for microseconds in [1, 50, 300, 1_000, 1_300, 20_500] {
        let timeout = Duration::from_micros(microseconds);
        let start = Instant::now();
        assert!(queue.call(&[], 4, Some(timeout)).unwrap().is_empty());
        assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
    }
}

#[test]
fn k20_a_wait_that_finds_only_stale_events_lasts_its_whole_time() {
    let queue = Queue::new();
    let timeout = Duration::from_millis(30);
    queue.add_user(1, CLEAR);
    queue.trigger(1);
    queue.make(user(1, DELETE));
    let start = Instant::now();
    assert!(queue.call(&[], 4, Some(timeout)).unwrap().is_empty());
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
}

#[test]
fn k22_the_longest_timeout_returns_events_that_are_ready() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    for seconds in [1 << 31, (1 << 31) - 1, u64::MAX, 3_000_000, 100_000_001] {
        queue.trigger(1);
        let timeout = Some(Duration::from_secs(seconds));
        assert_eq!(queue.call(&[], 4, timeout).unwrap().len(), 1);
    }
}

#[test]
fn k22_the_longest_timeout_waits_for_an_event() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    for timeout in [Duration::MAX, Duration::from_secs((1 << 31) - 1)] {
        thread::scope(|scope| {
            let queue = &queue;
            let waiter = scope.spawn(move || queue.call(&[], 4, Some(timeout)).unwrap().len());
            queue.trigger(1);
            assert_eq!(waiter.join().unwrap(), 1);
        });
    }
}

#[test]
fn a_queue_that_is_polled_by_another_keeps_working_for_itself() {
    let (inner, outer) = (Queue::new(), Queue::new());
    let (mut reader, mut writer) = pair();
    inner.add(&reader, READ, CLEAR, 1);
    outer.add(&inner, READ, CLEAR, 2);
    for _ in 0..3 {
        writer.write_all(b"x").unwrap();
        assert_eq!(outer.one().udata(), 2);
        assert_eq!(inner.one().udata(), 1);
        reader.read_exact(&mut [0]).unwrap();
    }
    outer.assert_silent();
}

#[test]
fn k14_a_queue_can_be_neither_read_nor_written() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    queue.trigger(1);
    let fd = queue.0.as_raw_fd();
    let mut buffer = [0_u8; 64];
    // SAFETY: the buffer has the length given, and lives until each call returns.
    let results = unsafe {
        [
            libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()),
            libc::write(fd, buffer.as_ptr().cast(), buffer.len()),
        ]
    };
    assert_eq!(results, [-1, -1]);
    assert_eq!(queue.one().ident(), 1);
}

#[test]
fn k9_each_knote_that_becomes_active_gives_an_edge_to_the_queue_that_watches() {
    let (queue, outer) = (Queue::new(), Queue::new());
    outer.add(&queue, READ, CLEAR, 1);
    for ident in [1, 2, 3] {
        queue.add_user(ident, CLEAR);
    }
    for ident in [1, 2, 3] {
        queue.trigger(ident);
        assert_eq!(outer.one().ident(), number(&queue));
        outer.assert_silent();
    }
    assert_eq!(idents(&queue.wait()), [1, 2, 3]);
}

#[test]
fn k9_each_timer_that_expires_gives_an_edge_to_the_queue_that_watches() {
    let (queue, outer) = (Queue::new(), Queue::new());
    outer.add(&queue, READ, CLEAR, 1);
    queue.make(Kevent::timer(1, ADD | ONESHOT).with_data(1));
    assert_eq!(outer.one().ident(), number(&queue));
    for ident in [2, 3] {
        queue.make(Kevent::timer(ident, ADD | ONESHOT).with_data(20));
        assert_eq!(outer.one().ident(), number(&queue));
    }
    assert_eq!(idents(&queue.wait()), [1, 2, 3]);
}

#[test]
fn k9_timers_that_were_added_before_give_an_edge_each() {
    let (queue, outer) = (Queue::new(), Queue::new());
    outer.add(&queue, READ, CLEAR, 1);
    for (ident, milliseconds) in [(1, 10), (2, 200)] {
        queue.make(Kevent::timer(ident, ADD | ONESHOT).with_data(milliseconds));
    }
    for _ in 0..2 {
        assert_eq!(outer.one().ident(), number(&queue));
    }
    assert_eq!(idents(&queue.wait()), [1, 2]);
}

/// A duplicate of a queue's descriptor.
fn duplicate(queue: &Queue) -> OwnedFd {
    queue.as_fd().try_clone_to_owned().unwrap()
}

#[test]
fn k10_a_duplicate_of_a_queue_takes_no_filter_but_read_either() {
    let (queue, inner) = (Queue::new(), Queue::new());
    let (of_inner, of_itself) = (duplicate(&inner), duplicate(&queue));
    for fd in [&of_inner, &of_itself] {
        assert!(queue.change(on(fd, WRITE, ADD)).is_err());
        assert!(queue.change(on(fd, Filter::VNODE, ADD)).is_err());
        assert!(queue.change(on(fd, WRITE, DELETE)).is_err());
    }
    queue.add(&of_inner, READ, LEVEL, 1);
    inner.add_user(1, CLEAR);
    inner.trigger(1);
    assert_eq!(queue.one().ident(), number(&of_inner));
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k10_any_epoll_set_takes_no_filter_but_read() {
    use std::os::fd::FromRawFd;

    // SAFETY: takes no pointers, and nothing else owns the number.
    let set = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(0)).unwrap()) };
    let queue = Queue::new();
    assert_eq!(queue.refused(on(&set, WRITE, ADD)), libc::EINVAL);
    queue.add(&set, READ, LEVEL, 1);
    let (socket, mut peer) = pair();
    let fd = socket.as_raw_fd();
    let mut event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 0,
    };
    let set_fd = set.as_raw_fd();
    // SAFETY: the event lives until the call returns.
    check(unsafe { libc::epoll_ctl(set_fd, libc::EPOLL_CTL_ADD, fd, &mut event) }).unwrap();
    peer.write_all(b"x").unwrap();
    assert_eq!(queue.one().ident(), number(&set));
    // An eventfd has no type of file either, and can be written to.
    // SAFETY: takes no pointers, and nothing else owns the number.
    let eventfd = unsafe { OwnedFd::from_raw_fd(check(libc::eventfd(0, 0)).unwrap()) };
    queue.add(&eventfd, WRITE, CLEAR, 2);
    assert_eq!(queue.one_of(WRITE).udata(), 2);
}
