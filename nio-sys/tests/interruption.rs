//! Signals that arrive while a call waits: K23–K25.
//!
//! Handlers belong to a process, so each test runs in one of its own.

mod support;

use std::io::{ErrorKind, Write};
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::*;

/// Waits in another thread while this one interrupts it, until the wait is over.
fn interrupted(wait: impl FnOnce() -> bool + Send + 'static) -> bool {
    handle(
        libc::SIGUSR1,
        do_nothing as *const () as usize,
        libc::SA_RESTART,
    );
    let waiter = thread::spawn(wait);
    while !waiter.is_finished() {
        // SAFETY: the thread has not been joined, so its handle is valid.
        unsafe { libc::pthread_kill(waiter.as_pthread_t() as libc::pthread_t, libc::SIGUSR1) };
        thread::yield_now();
    }
    waiter.join().unwrap()
}

#[test]
fn k23_a_signal_ends_a_wait_even_with_sa_restart() {
    in_child(|| {
        for timeout in [None, Some(LIMIT)] {
            assert!(interrupted(move || {
                let queue = Queue::new();
                let result = queue.call(&[], 4, timeout);
                result.is_err_and(|error| error.kind() == ErrorKind::Interrupted)
            }));
        }
    });
}

#[test]
fn k24_an_interrupted_call_has_made_its_changes() {
    in_child(|| {
        assert!(interrupted(|| {
            let queue = Queue::new();
            let result = queue.call(&[user(1, ADD | CLEAR)], 4, None);
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Interrupted);
            queue.change(trigger(1)).is_ok()
        }));
    });
}

#[test]
fn k24_an_interrupted_call_returns_no_events() {
    in_child(|| {
        assert!(interrupted(|| {
            let queue = Queue::new();
            let mut events = nio_sys::EventList::with_capacity(4);
            queue.kevent(&[], &mut events, None).is_err() && events.is_empty()
        }));
    });
}

/// Sends this process a signal every millisecond.
fn storm() {
    handle(libc::SIGALRM, do_nothing as *const () as usize, 0);
    let every = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 1_000,
        },
        it_value: libc::timeval {
            tv_sec: 0,
            tv_usec: 1_000,
        },
    };
    // The libc crate does not have it for Android.
    const ITIMER_REAL: i32 = 0;
    // SAFETY: the struct lives until the call returns.
    check(unsafe { libc::setitimer(ITIMER_REAL as _, &every, ptr::null_mut()) }).unwrap();
}

#[test]
fn k25_a_pending_event_is_returned_under_any_number_of_signals() {
    in_child(|| {
        storm();
        let queue = Queue::new();
        let (reader, mut writer) = pipe();
        writer.write_all(b"x").unwrap();
        queue.add(&reader, READ, LEVEL, 1);
        queue.add_user(2, LEVEL);
        queue.trigger(2);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(50) {
            let events = queue.call(&[], 4, Some(Duration::from_secs(1))).unwrap();
            assert_eq!(events.len(), 2);
        }
    });
}

#[test]
fn k25_polling_is_not_interrupted() {
    in_child(|| {
        storm();
        let queue = Queue::new();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(50) {
            queue.assert_silent();
        }
    });
}

#[test]
fn k24_wait_goes_on_after_signals_for_the_rest_of_its_time() {
    in_child(|| {
        storm();
        let (queue, mut events) = (Queue::new(), nio_sys::EventList::with_capacity(4));
        let (timeout, start) = (Duration::from_millis(50), Instant::now());
        assert_eq!(queue.0.wait(&mut events, Some(timeout)).unwrap(), 0);
        assert!(start.elapsed() >= timeout);
    });
}

#[test]
fn k24_wait_returns_an_event_that_comes_after_a_signal() {
    in_child(|| {
        storm();
        let (queue, mut events) = (Queue::new(), nio_sys::EventList::with_capacity(4));
        queue.add_user(1, CLEAR);
        for timeout in [None, Some(LIMIT)] {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let start = Instant::now();
                    while start.elapsed() < Duration::from_millis(20) {
                        thread::yield_now();
                    }
                    queue.trigger(1);
                });
                assert_eq!(queue.0.wait(&mut events, timeout).unwrap(), 1);
            });
        }
    });
}

#[test]
fn a_change_is_made_under_any_number_of_signals() {
    in_child(|| {
        storm();
        let queue = Queue::new();
        let done = AtomicBool::new(false);
        let (socket, _peer) = pair();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(50) {
            queue.add(&socket, WRITE, LEVEL, 1);
            queue.delete(&socket, WRITE);
        }
        done.store(true, Ordering::Relaxed);
        queue.assert_silent();
    });
}
