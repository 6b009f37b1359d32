//! After a warm-up, a poll allocates nothing.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::time::Duration;

use nio_poll::{Events, Interest, Poll, Timer, Token, Trigger, Waker};
use support::pair;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator; counts the allocations of each thread.
struct Counting;

// SAFETY: every call goes to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of the allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of the allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn neither_a_poll_nor_a_wake_nor_a_change_allocates() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    let other = Waker::new(&poll, Token(2)).unwrap();
    poll.register_timer(Timer::Every(Duration::from_micros(50)), Token(3))
        .unwrap();
    let (mut near, mut far) = pair();
    let (level, _peer) = pair();
    poll.register_with(&level, Token(4), Interest::WRITABLE, Trigger::Level)
        .unwrap();
    let mut events = Events::with_capacity(16);
    let mut seen = [0; 6];
    let mut turn = || {
        poll.register(&near, Token(5), Interest::READABLE).unwrap();
        far.write_all(b"x").unwrap();
        waker.wake().unwrap();
        other.wake().unwrap();
        for timeout in [None, Some(Duration::ZERO), Some(Duration::from_micros(10))] {
            poll.poll(&mut events, timeout).unwrap();
            for event in events.iter() {
                seen[event.token().0] += 1;
            }
        }
        near.read_exact(&mut [0]).unwrap();
        poll.reregister(&near, Token(5), Interest::READABLE | Interest::WRITABLE)
            .unwrap();
        poll.deregister(&near).unwrap();
    };
    for _ in 0..50 {
        turn();
    }
    let before = ALLOCATIONS.get();
    for _ in 0..500 {
        turn();
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(seen[1..].iter().all(|count| *count > 0), "{seen:?}");
    assert_eq!(events.capacity(), 16);
}
