//! Delivery, order, and threads: K84–K97.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nio_sys::{EventFlags, Filter};
use support::*;

#[test]
fn k84_a_knote_is_reported_once_in_a_call() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, LEVEL, 1);
    queue.add_user(2, LEVEL);
    queue.trigger(2);
    writer.write_all(b"x").unwrap();
    for _ in 0..3 {
        assert_eq!(queue.collect_at_most(16).len(), 2);
    }
}

#[test]
fn k84_an_event_that_did_not_fit_comes_once_though_its_condition_came_again() {
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let (socket, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        queue.add(&socket, READ, mode, 1);
        queue.add(&socket, WRITE, mode, 2);
        assert_eq!(queue.collect_at_most(1).len(), 1);
        peer.write_all(b"x").unwrap();
        let events = queue.collect();
        assert_eq!(
            filters(&events).len(),
            filters(&events).iter().collect::<Set>().len()
        );
        assert!(events.len() <= 2, "{events:?}");
    }
}

type Set<'a> = std::collections::HashSet<&'a Filter>;

#[test]
fn k85_both_events_of_a_descriptor_come_though_there_is_room_for_one() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    queue.add(&socket, READ, CLEAR, 1);
    queue.add(&socket, WRITE, CLEAR, 2);
    let mut events = queue.collect_at_most(1);
    events.extend(queue.collect_at_most(1));
    assert_eq!(filters(&events), [READ, WRITE]);
    queue.assert_silent();
}

#[test]
fn k85_events_that_do_not_fit_come_with_the_next_calls() {
    for mode in [CLEAR, ONESHOT, DISPATCH] {
        let queue = Queue::new();
        let sockets: Vec<_> = (0..50).map(|_| pair()).collect();
        for (socket, peer) in &sockets {
            (&mut &*peer).write_all(b"x").unwrap();
            queue.add(socket, READ, mode, 1);
        }
        let mut seen = BTreeSet::new();
        for _ in 0..8 {
            for event in queue.collect_at_most(7) {
                assert!(seen.insert(event.ident()), "{event:?} came twice");
            }
        }
        assert_eq!(seen.len(), 50);
        queue.assert_silent();
    }
}

#[test]
fn k85_both_events_of_many_descriptors_come_with_little_room() {
    for room in [1, 2, 3, 7] {
        for mode in [CLEAR, ONESHOT, DISPATCH] {
            let queue = Queue::new();
            let sockets: Vec<_> = (0..20).map(|_| pair()).collect();
            for (socket, peer) in &sockets {
                (&mut &*peer).write_all(b"x").unwrap();
                queue.add(socket, READ, mode, 1);
                queue.add(socket, WRITE, mode, 2);
            }
            queue.add_user(1_000_000, mode);
            queue.trigger(1_000_000);
            let mut seen = BTreeMap::new();
            loop {
                let events = queue.collect_at_most(room);
                if events.is_empty() {
                    break;
                }
                for event in events {
                    *seen.entry((event.ident(), event.filter())).or_insert(0) += 1;
                }
            }
            assert_eq!(seen.len(), 41, "room {room}, {mode:?}");
            assert!(seen.values().all(|&count| count == 1), "{seen:?}");
        }
    }
}

#[test]
fn k85_user_events_that_do_not_fit_come_with_the_next_calls() {
    let queue = Queue::new();
    for ident in 0..10 {
        queue.add_user(ident, CLEAR);
        queue.trigger(ident);
    }
    let mut events = Vec::new();
    for _ in 0..4 {
        events.extend(queue.collect_at_most(3));
    }
    assert_eq!(idents(&events), (0..10).collect::<Vec<_>>());
    queue.assert_silent();
}

#[test]
fn k86_a_call_does_not_wait_while_an_event_is_left_over() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    queue.add(&socket, READ, CLEAR, 1);
    queue.add(&socket, WRITE, CLEAR, 2);
    for _ in 0..2 {
        assert_eq!(queue.call(&[], 1, None).unwrap().len(), 1);
    }
}

#[cfg(not(target_vendor = "apple"))]
#[test]
fn k86_a_left_over_event_keeps_the_queue_readable() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    queue.add(&socket, READ, CLEAR, 1);
    queue.add(&socket, WRITE, CLEAR, 2);
    queue.collect_at_most(1);
    assert_eq!(poll_now(&queue, libc::POLLIN), libc::POLLIN);
    queue.collect_at_most(1);
    assert_eq!(poll_now(&queue, libc::POLLIN), 0);
}

#[test]
fn k87_level_knotes_are_served_in_turn() {
    let queue = Queue::new();
    let sockets: Vec<_> = (0..3).map(|_| pair()).collect();
    for (socket, peer) in &sockets {
        (&mut &*peer).write_all(b"x").unwrap();
        queue.add(socket, READ, LEVEL, 1);
    }
    let mut seen = BTreeMap::new();
    for _ in 0..6 {
        let events = queue.collect_at_most(1);
        *seen.entry(events[0].ident()).or_insert(0) += 1;
    }
    assert_eq!(seen.into_values().collect::<Vec<_>>(), [2, 2, 2]);
}

#[test]
fn k87_level_user_events_are_served_in_turn() {
    let queue = Queue::new();
    for ident in 0..3 {
        queue.add_user(ident, LEVEL);
        queue.trigger(ident);
    }
    let served: Vec<usize> = (0..6)
        .map(|_| queue.collect_at_most(1)[0].ident())
        .collect();
    assert_eq!(served[..3], served[3..]);
    assert_eq!(served[..3].iter().collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn k87_level_user_events_do_not_starve_descriptors() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    queue.add(&socket, READ, LEVEL, 1);
    for ident in 0..4 {
        queue.add_user(1_000_000 + ident, LEVEL);
        queue.trigger(1_000_000 + ident);
    }
    let served: BTreeSet<usize> = (0..20)
        .map(|_| queue.collect_at_most(1)[0].ident())
        .collect();
    assert_eq!(served.len(), 5);
}

#[test]
fn k87_level_descriptors_do_not_starve_user_events() {
    let queue = Queue::new();
    let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
    for (socket, _) in &pairs {
        queue.add(socket, WRITE, LEVEL, 1);
    }
    queue.add_user(7, CLEAR);
    for room in [1, 2, 3] {
        queue.trigger(7);
        let mut calls = (0..8).map(|_| queue.collect_at_most(room));
        assert!(calls.any(|events| filters(&events).contains(&Filter::USER)));
        let after = (0..8).flat_map(|_| queue.collect_at_most(room));
        let again = after.filter(|event| event.filter() == Filter::USER);
        assert_eq!(again.count(), 0, "room {room}");
    }
}

#[test]
fn k87_both_filters_of_a_descriptor_are_served_with_room_for_one() {
    for (read, write) in [(LEVEL, LEVEL), (CLEAR, LEVEL), (LEVEL, CLEAR)] {
        let queue = Queue::new();
        let (socket, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        queue.add(&socket, READ, read, 1);
        queue.add(&socket, WRITE, write, 2);
        let events: Vec<_> = (0..4).flat_map(|_| queue.collect_at_most(1)).collect();
        assert_eq!(events.len(), 4);
        let seen: BTreeSet<usize> = events.iter().map(|event| event.udata()).collect();
        assert_eq!(seen.len(), 2, "{events:?}");
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k88_reading_is_reported_before_writing() {
    for (read, write) in [(LEVEL, LEVEL), (CLEAR, CLEAR)] {
        let queue = Queue::new();
        let (socket, mut peer) = pair();
        queue.add(&socket, WRITE, write, 2);
        queue.add(&socket, READ, read, 1);
        peer.write_all(b"x").unwrap();
        let order: Vec<usize> = queue.collect().iter().map(|event| event.udata()).collect();
        assert_eq!(order, [1, 2]);
    }
}

/// How often a race is repeated: enough for both orders of its threads.
const ROUNDS: usize = 100;

#[test]
fn k89_adding_a_ready_descriptor_wakes_a_waiter() {
    for mode in [LEVEL, CLEAR] {
        for _ in 0..ROUNDS {
            let queue = Queue::new();
            let (socket, _peer) = pair();
            wakes(&queue, || queue.add(&socket, WRITE, mode, 1));
        }
    }
}

#[test]
fn k89_enabling_a_ready_descriptor_wakes_a_waiter() {
    for _ in 0..ROUNDS {
        let queue = Queue::new();
        let (socket, _peer) = pair();
        queue.add(&socket, WRITE, DISABLE, 1);
        wakes(&queue, || queue.enable(&socket, WRITE, 1));
    }
}

#[test]
fn k89_a_trigger_wakes_a_waiter() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    for _ in 0..ROUNDS {
        wakes(&queue, || queue.trigger(1));
    }
}

#[test]
fn k89_enabling_a_triggered_user_event_wakes_a_waiter() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR | DISPATCH);
    if cfg!(target_os = "netbsd") {
        return;
    }
    for _ in 0..ROUNDS {
        queue.make(user(1, DISABLE));
        queue.trigger(1);
        wakes(&queue, || queue.make(user(1, ENABLE)));
    }
}

#[test]
fn k89_adding_a_level_knote_beside_an_edge_wakes_a_waiter() {
    for _ in 0..ROUNDS {
        let queue = Queue::new();
        let (socket, _peer) = pair();
        queue.add(&socket, READ, CLEAR, 1);
        wakes(&queue, || queue.add(&socket, WRITE, LEVEL, 2));
    }
}

#[test]
fn k90_one_trigger_goes_to_one_of_several_waiters() {
    for mode in [CLEAR, ONESHOT, DISPATCH] {
        for _ in 0..4 {
            let queue = Queue::new();
            queue.add_user(1, mode);
            assert_eq!(share(&queue, || queue.trigger(1)), 1, "{mode:?}");
        }
    }
}

#[test]
fn k90_one_arrival_goes_to_one_of_several_waiters() {
    for mode in [CLEAR, ONESHOT, DISPATCH] {
        for _ in 0..4 {
            let queue = Queue::new();
            let (reader, mut writer) = pair();
            queue.add(&reader, READ, mode, 1);
            let got = share(&queue, || writer.write_all(b"x").unwrap());
            assert_eq!(got, 1, "{mode:?}");
        }
    }
}

#[test]
fn k90_an_event_that_one_waiter_has_handled_does_not_reach_another_after_enabling() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, DISPATCH, 1);
    let done = AtomicBool::new(false);
    let empty = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let timeout = Some(Duration::from_millis(5));
                    if queue.call(&[], 1, timeout).unwrap().is_empty() {
                        continue;
                    }
                    // Until it is enabled again, no other thread reads.
                    if drain(&reader) == 0 {
                        empty.fetch_add(1, Ordering::Relaxed);
                    }
                    queue.enable(&reader, READ, 1);
                }
            });
        }
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            let _ = writer.write(b"x");
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(empty.into_inner(), 0);
}

#[test]
fn k91_a_level_event_goes_to_one_waiter_at_least() {
    let queue = Queue::new();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, LEVEL, 1);
    assert!(share(&queue, || writer.write_all(b"x").unwrap()) >= 1);
}

#[test]
fn k93_a_deleted_knote_is_not_reported_by_later_calls() {
    let queue = Queue::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5_000 {
                queue.add_user(1, CLEAR);
                queue.trigger(1);
                queue.make(user(1, DELETE));
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            queue.collect();
        }
    });
    queue.assert_silent();
}

#[test]
fn k93_deleting_a_descriptor_while_another_thread_collects_is_no_error() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..3_000 {
                let mode = [LEVEL, CLEAR, DISPATCH][round % 3];
                queue.add(&socket, READ, mode, 1);
                queue.add(&socket, WRITE, LEVEL, 2);
                queue.delete(&socket, READ);
                queue.delete(&socket, WRITE);
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            queue.collect_at_most(1);
        }
    });
    queue.assert_silent();
}

#[test]
fn k94_no_trigger_is_lost() {
    let queue = Queue::new();
    let (threads, rounds) = (4, 5_000);
    for ident in 0..threads {
        queue.add_user(ident, CLEAR);
    }
    let sent: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
    thread::scope(|scope| {
        for (ident, sent) in sent.iter().enumerate() {
            let queue = &queue;
            scope.spawn(move || {
                for count in 1..=rounds {
                    sent.store(count, Ordering::SeqCst);
                    queue.trigger(ident);
                }
            });
        }
        // One event may be for many triggers, but one comes after the last trigger of each knote.
        let mut last = vec![0; threads];
        while last.iter().any(|&count| count < rounds) {
            for event in queue.wait() {
                last[event.ident()] = sent[event.ident()].load(Ordering::SeqCst);
            }
        }
    });
}

#[test]
fn k94_one_knote_triggered_from_many_threads_loses_no_wake_up() {
    let queue = Queue::new();
    queue.add_user(1, CLEAR);
    let sent = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    sent.fetch_add(1, Ordering::SeqCst);
                    queue.trigger(1);
                }
            });
        }
        while sent.load(Ordering::SeqCst) < 20_000 {
            queue.one();
        }
    });
}

#[test]
fn k95_changes_from_many_threads_leave_the_queue_consistent() {
    let queue = Queue::new();
    let (socket, _peer) = pair();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (queue, socket) = (&queue, &socket);
            scope.spawn(move || {
                for round in 0..1_000 {
                    let flags = if (thread + round) % 2 == 0 {
                        ADD
                    } else {
                        DELETE
                    };
                    for change in [
                        user(1, flags),
                        on(socket, READ, flags),
                        on(socket, WRITE, flags),
                    ] {
                        if let Err(error) = queue.change(change) {
                            assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
                        }
                    }
                }
            });
        }
    });
    for (filter, mode) in [(READ, CLEAR), (WRITE, CLEAR)] {
        let _ = queue.change(on(&socket, filter, DELETE));
        assert_eq!(queue.refused(on(&socket, filter, DELETE)), libc::ENOENT);
        queue.add(&socket, filter, mode, 5);
    }
    let _ = queue.change(user(1, DELETE));
    assert_eq!(queue.one().udata(), 5);
    queue.assert_silent();
}

#[test]
fn k96_two_queues_on_a_descriptor_are_independent() {
    let (first, second) = (Queue::new(), Queue::new());
    let (reader, mut writer) = pair();
    first.add(&reader, READ, LEVEL, 1);
    second.add(&reader, READ, LEVEL, 2);
    writer.write_all(b"x").unwrap();
    assert_eq!(first.one().udata(), 1);
    assert_eq!(second.one().udata(), 2);
    drain(&reader);
    first.assert_silent();
    second.assert_silent();
    first.delete(&reader, READ);
    writer.write_all(b"x").unwrap();
    first.assert_silent();
    second.one();
}

#[test]
fn k97_there_may_be_thousands_of_knotes() {
    let queue = Queue::new();
    let count = 8_192;
    for ident in 0..count {
        queue.add_user(ident, CLEAR);
    }
    for ident in 0..count {
        queue.trigger(ident);
    }
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(queue.wait());
    }
    assert_eq!(idents(&events), (0..count).collect::<Vec<_>>());
    queue.assert_silent();
}

/// Changes a knote again and again while another thread waits, and lets that thread see each change: the event
/// must be of the changed knote.
fn change_while_another_waits(change: impl Fn(&Queue, usize) + Sync) {
    const CHANGES: usize = 3_000;
    let (queue, seen) = (Queue::new(), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while seen.load(Ordering::Relaxed) < CHANGES {
                for event in queue.take(4, Some(Duration::from_millis(100))) {
                    if event.filter() == WRITE {
                        seen.fetch_max(event.udata(), Ordering::Relaxed);
                    }
                }
            }
        });
        for number in 1..=CHANGES {
            change(&queue, number);
            let start = Instant::now();
            while seen.load(Ordering::Relaxed) < number {
                if start.elapsed() > LIMIT {
                    seen.store(CHANGES, Ordering::Relaxed);
                    panic!("the event of change {number} is lost");
                }
                thread::yield_now();
            }
        }
    });
}

#[test]
fn k89_a_filter_that_is_added_while_another_thread_waits_loses_no_event() {
    let (socket, _peer) = pair();
    change_while_another_waits(|queue, number| {
        queue.add(&socket, READ, CLEAR, 1);
        if number > 1 {
            queue.delete(&socket, WRITE);
        }
        queue.add(&socket, WRITE, CLEAR, number);
    });
}

#[test]
fn k89_udata_that_is_changed_while_another_thread_waits_comes_with_the_next_event() {
    let (socket, _peer) = pair();
    change_while_another_waits(|queue, number| queue.add(&socket, WRITE, CLEAR, number));
}

#[test]
fn k85_with_room_for_one_event_every_knote_is_reported() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    queue.add_user(1, LEVEL);
    queue.trigger(1);
    for filter in [READ, WRITE] {
        queue.add(&socket, filter, LEVEL, 2);
    }
    let mut seen = Vec::new();
    for _ in 0..20 {
        seen.extend(queue.collect_at_most(1));
    }
    for filter in [READ, WRITE, Filter::USER] {
        assert!(seen.iter().any(|e| e.filter() == filter), "{filter:?}");
    }
}

/// Four threads wait for one socket; each reads a byte for each READ event, and enables READ again. Returns the
/// number of events, and the number of those after which nothing could be read.
fn dispatched(mode: EventFlags, bytes: usize) -> (usize, usize) {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    let (taken, events, empty) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    // Always ready, so that threads hold batches at any time.
    queue.add(&socket, WRITE, LEVEL, 2);
    queue.add(&socket, READ, mode | DISPATCH, 1);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while taken.load(Ordering::Relaxed) < bytes {
                    let found = queue.take(4, Some(Duration::from_millis(50)));
                    for _ in found.iter().filter(|event| event.filter() == READ) {
                        events.fetch_add(1, Ordering::Relaxed);
                        let mut buffer = [0; 64];
                        match (&socket).read(&mut buffer) {
                            Ok(count) => drop(taken.fetch_add(count, Ordering::Relaxed)),
                            Err(_) => drop(empty.fetch_add(1, Ordering::Relaxed)),
                        }
                        queue.enable(&socket, READ, 1);
                    }
                }
            });
        }
        for _ in 0..bytes {
            while peer.write(b"x").is_err() {
                thread::yield_now();
            }
        }
    });
    (events.into_inner(), empty.into_inner())
}

#[test]
fn k90_a_direction_that_is_enabled_again_reports_no_earlier_event() {
    // On NetBSD EV_CLEAR overrules EV_DISPATCH (K78).
    let modes = if cfg!(target_os = "netbsd") {
        &[LEVEL][..]
    } else {
        &[LEVEL, CLEAR]
    };
    for &mode in modes {
        let (events, empty) = dispatched(mode, 5_000);
        assert!(events > 0);
        // None on Linux; another kernel may report bytes that another thread has just read.
        assert!(
            empty * 50 <= events,
            "{empty} of {events} events without data ({mode:?})"
        );
    }
}
