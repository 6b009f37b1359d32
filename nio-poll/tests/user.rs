//! A waker as a user event of the queue: the rules of EVFILT_USER.

mod support;

use std::thread;
use std::time::Duration;

use nio_poll::{Interest, Poll, Timer, Token, Waker};
use support::*;

#[test]
fn k161_a_user_event_is_reported_only_when_it_is_triggered() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(3)).unwrap();
    assert!(now(&poll).is_empty());
    waker.wake().unwrap();
    let event = one(&poll);
    assert_eq!(event.token(), Token(3));
    assert!(event.is_readable() && !event.is_writable() && !event.is_eof());
    assert!(now(&poll).is_empty());
}

#[test]
fn k165_several_triggers_before_a_poll_are_one_event() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(3)).unwrap();
    for _ in 0..3 {
        for _ in 0..100 {
            waker.wake().unwrap();
        }
        one(&poll);
        assert!(now(&poll).is_empty());
    }
}

#[test]
fn each_user_event_has_its_token() {
    let poll = Poll::new().unwrap();
    let wakers = [0, 1, usize::MAX].map(|token| Waker::new(&poll, Token(token)).unwrap());
    wakers[2].wake().unwrap();
    wakers[0].wake().unwrap();
    assert_eq!(tokens(&poll), [0, usize::MAX]);
}

#[test]
fn a_token_may_name_two_wakers_a_timer_and_a_descriptor() {
    let poll = Poll::new().unwrap();
    let token = Token(0);
    let (socket, _peer) = pair();
    let [one, other] = [(); 2].map(|()| Waker::new(&poll, token).unwrap());
    poll.register_timer(Timer::After(Duration::from_secs(600)), token)
        .unwrap();
    poll.register(&socket, token, Interest::READABLE).unwrap();
    one.wake().unwrap();
    assert_eq!(tokens(&poll), [0]);
    one.wake().unwrap();
    other.wake().unwrap();
    assert_eq!(tokens(&poll), [0, 0]);
    drop(one);
    other.wake().unwrap();
    assert_eq!(tokens(&poll), [0]);
    poll.deregister_timer(token).unwrap();
    poll.deregister(&socket).unwrap();
}

#[test]
fn k174_dropping_a_waker_removes_its_trigger() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(3)).unwrap();
    waker.wake().unwrap();
    drop(waker);
    assert!(now(&poll).is_empty());
    let waker = Waker::new(&poll, Token(3)).unwrap();
    assert!(now(&poll).is_empty());
    waker.wake().unwrap();
    assert_eq!(tokens(&poll), [3]);
}

#[test]
fn k175_a_trigger_wakes_a_thread_that_waits() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(3)).unwrap();
    for _ in 0..50 {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| one(&poll).token());
            waker.wake().unwrap();
            assert_eq!(waiter.join().unwrap(), Token(3));
        });
    }
}

#[test]
fn k34_the_ident_of_a_dropped_waker_is_used_again() {
    let poll = Poll::new().unwrap();
    let kept = Waker::new(&poll, Token(0)).unwrap();
    for token in 1..1000 {
        let [waker, other] = [(); 2].map(|()| Waker::new(&poll, Token(token)).unwrap());
        waker.wake().unwrap();
        let event = format!("{:?}", one(&poll));
        let ident = (1..3).find(|ident| event.contains(&format!("USER {ident} ")));
        // Systems without user events print a descriptor.
        assert!(ident.is_some() || event.contains("READ"), "{event}");
        drop(waker);
        other.wake().unwrap();
        assert_eq!(tokens(&poll), [token]);
    }
    kept.wake().unwrap();
    assert_eq!(tokens(&poll), [0]);
}
