//! Waiting: timeouts, capacity, wakers, and threads that share a poll.

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use nio_poll::{Error, Event, Events, Interest, Poll, Signal, Token, Waker};
use support::*;

#[test]
fn the_types_can_be_sent_and_shared() {
    fn check<T: Send + Sync>() {}
    check::<Poll>();
    check::<Waker>();
    check::<Events>();
    check::<Event>();
    check::<Signal>();
    check::<Error>();
}

#[test]
fn a_timeout_is_a_minimum_and_not_much_more() {
    let poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    for microseconds in [1, 50, 900, 1_500, 20_000] {
        let timeout = Duration::from_micros(microseconds);
        let start = Instant::now();
        assert_eq!(poll.poll(&mut events, Some(timeout)).unwrap(), 0);
        assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

/// Other programs may use the processor for longer than that, so the shortest of many waits is compared.
/// Linux before 5.11 counts in milliseconds, and so may a container that forbids epoll_pwait2.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k20_a_timeout_of_50_microseconds_is_over_well_before_a_millisecond() {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the descriptor is invalid, so no pointer is used.
    let result = unsafe { libc::syscall(libc::SYS_epoll_pwait2, -1, none, 1, none, none, 0) };
    let said = std::io::Error::last_os_error().raw_os_error();
    if result == -1 && matches!(said, Some(libc::ENOSYS | libc::EPERM)) {
        return;
    }
    let poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    let timeout = Duration::from_micros(50);
    let wait = |_| {
        let start = Instant::now();
        assert_eq!(poll.poll(&mut events, Some(timeout)).unwrap(), 0);
        assert!(start.elapsed() >= timeout);
        start.elapsed()
    };
    let shortest = (0..200).map(wait).min().unwrap();
    assert!(shortest < Duration::from_micros(500), "{shortest:?}");
}

#[test]
fn a_timeout_of_zero_does_not_wait() {
    let poll = Poll::new().unwrap();
    let start = Instant::now();
    for _ in 0..1_000 {
        assert!(now(&poll).is_empty());
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_longest_timeouts_wait_for_an_event() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    let mut events = Events::with_capacity(4);
    for timeout in [
        None,
        Some(Duration::MAX),
        Some(Duration::from_secs(1 << 40)),
    ] {
        waker.wake().unwrap();
        assert_eq!(poll.poll(&mut events, timeout).unwrap(), 1);
        thread::scope(|scope| {
            scope.spawn(|| waker.wake().unwrap());
            assert_eq!(poll.poll(&mut events, timeout).unwrap(), 1);
        });
    }
}

#[test]
fn with_no_capacity_a_poll_returns_at_once() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    waker.wake().unwrap();
    let mut events = Events::with_capacity(0);
    assert_eq!(poll.poll(&mut events, None).unwrap(), 0);
    assert!(events.is_empty() && events.get(0).is_none());
    one(&poll);
}

#[test]
fn a_poll_replaces_what_the_buffer_held() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    let mut events = Events::with_capacity(4);
    waker.wake().unwrap();
    assert_eq!(poll.poll(&mut events, None).unwrap(), 1);
    assert_eq!((events.len(), events.capacity()), (1, 4));
    assert_eq!(poll.poll(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    assert!(events.is_empty());
    waker.wake().unwrap();
    poll.poll(&mut events, None).unwrap();
    let again = (&events).into_iter().map(|event| event.token());
    assert_eq!(again.collect::<Vec<_>>(), [Token(1)]);
    assert_eq!((events.iter().len(), events.get(1)), (1, None));
    events.clear();
    assert_eq!(events.iter().len(), 0);
}

#[test]
fn a_wake_is_a_readable_event_with_the_wakers_token() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(9)).unwrap();
    assert!(now(&poll).is_empty());
    waker.wake().unwrap();
    let event = one(&poll);
    assert_eq!(event.token(), Token(9));
    assert!(event.is_readable() && !event.is_writable() && !event.is_signal());
    assert!(now(&poll).is_empty());
}

#[test]
fn several_wakes_before_a_poll_are_one_event() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    for _ in 0..3 {
        for _ in 0..100 {
            waker.wake().unwrap();
        }
        one(&poll);
        assert!(now(&poll).is_empty());
    }
}

#[test]
fn q48_each_waker_has_an_event_of_its_own() {
    let poll = Poll::new().unwrap();
    let wakers = [1, 2, 3].map(|token| Waker::new(&poll, Token(token)).unwrap());
    wakers[2].wake().unwrap();
    assert_eq!(tokens(&poll), [3]);
    wakers[0].wake().unwrap();
    wakers[1].wake().unwrap();
    assert_eq!(tokens(&poll), [1, 2]);
}

#[test]
fn wakers_may_share_a_token() {
    let poll = Poll::new().unwrap();
    let wakers = [1, 1].map(|token| Waker::new(&poll, Token(token)).unwrap());
    for waker in &wakers {
        waker.wake().unwrap();
    }
    assert_eq!(tokens(&poll), [1, 1]);
}

#[test]
fn dropping_a_waker_removes_its_wake_up_and_no_other() {
    let poll = Poll::new().unwrap();
    let [first, second] = [1, 2].map(|token| Waker::new(&poll, Token(token)).unwrap());
    first.wake().unwrap();
    second.wake().unwrap();
    drop(first);
    assert_eq!(tokens(&poll), [2]);
    let third = Waker::new(&poll, Token(3)).unwrap();
    assert!(now(&poll).is_empty());
    third.wake().unwrap();
    second.wake().unwrap();
    assert_eq!(tokens(&poll), [2, 3]);
}

#[test]
fn a_waker_outlives_its_poll() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    drop(poll);
    waker.wake().unwrap();
}

#[test]
fn a_waker_is_not_confused_with_a_descriptor() {
    let poll = Poll::new().unwrap();
    // So many wakers that one has the descriptor's number as its ident.
    let wakers: Vec<_> = (0..60)
        .map(|token| Waker::new(&poll, Token(token)).unwrap())
        .collect();
    let (socket, mut peer) = pair();
    poll.register(&socket, Token(100), Interest::READABLE)
        .unwrap();
    peer.write_all(b"x").unwrap();
    assert_eq!(tokens(&poll), [100]);
    for waker in &wakers {
        waker.wake().unwrap();
    }
    assert_eq!(tokens(&poll), (0..60).collect::<Vec<_>>());
}

#[test]
fn wakes_from_many_threads_are_not_lost() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    let sent = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_500 {
                    sent.fetch_add(1, Ordering::SeqCst);
                    waker.wake().unwrap();
                }
            });
        }
        while sent.load(Ordering::SeqCst) < 10_000 {
            one(&poll);
        }
    });
}

#[test]
fn a_wake_ends_a_wait_in_another_thread() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    // Often enough for both orders of the two threads.
    for _ in 0..100 {
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                waker.wake().unwrap();
            });
            start.wait();
            one(&poll);
        });
    }
}

#[test]
fn a_thread_may_register_while_another_waits() {
    for _ in 0..50 {
        let poll = Arc::new(Poll::new().unwrap());
        let waiter = thread::spawn({
            let poll = Arc::clone(&poll);
            move || one(&poll).token()
        });
        let (socket, mut peer) = pair();
        poll.register(&socket, Token(4), Interest::READABLE)
            .unwrap();
        peer.write_all(b"x").unwrap();
        assert_eq!(waiter.join().unwrap(), Token(4));
    }
}

#[test]
fn threads_may_register_and_deregister_while_another_polls() {
    let poll = Poll::new().unwrap();
    let running = AtomicUsize::new(3);
    thread::scope(|scope| {
        for token in 0..3 {
            let (poll, running) = (&poll, &running);
            scope.spawn(move || {
                let (socket, mut peer) = pair();
                peer.write_all(b"x").unwrap();
                for _ in 0..500 {
                    let both = Interest::READABLE | Interest::WRITABLE;
                    poll.register(&socket, Token(token), both).unwrap();
                    poll.reregister(&socket, Token(token), Interest::READABLE)
                        .unwrap();
                    poll.deregister(&socket).unwrap();
                }
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while running.load(Ordering::SeqCst) > 0 {
            assert!(now(&poll).iter().all(|event| event.token().0 < 3));
        }
    });
    assert!(now(&poll).is_empty());
}
