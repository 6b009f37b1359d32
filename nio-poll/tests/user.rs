//! User events: what the program itself makes happen.

mod support;

use std::io::{self, ErrorKind};
use std::thread;
use std::time::Duration;

use nio_poll::{Error, Poll, Subject, Timer, Token, Waker};
use support::*;

#[test]
fn k161_a_user_event_happens_only_when_it_is_triggered() {
    let poll = Poll::new().unwrap();
    poll.register_user(Token(3)).unwrap();
    assert!(now(&poll).is_empty());
    poll.trigger_user(Token(3)).unwrap();
    let event = one(&poll);
    assert_eq!(event.token(), Token(3));
    assert!(event.is_readable() && !event.is_writable() && !event.is_eof());
    assert!(now(&poll).is_empty());
}

#[test]
fn k165_several_triggers_before_a_poll_are_one_event() {
    let poll = Poll::new().unwrap();
    poll.register_user(Token(3)).unwrap();
    for _ in 0..3 {
        for _ in 0..100 {
            poll.trigger_user(Token(3)).unwrap();
        }
        one(&poll);
        assert!(now(&poll).is_empty());
    }
}

#[test]
fn each_user_event_has_its_token() {
    let poll = Poll::new().unwrap();
    for token in [0, 1, usize::MAX] {
        poll.register_user(Token(token)).unwrap();
    }
    poll.trigger_user(Token(usize::MAX)).unwrap();
    poll.trigger_user(Token(0)).unwrap();
    assert_eq!(tokens(&poll), [0, usize::MAX]);
}

#[test]
fn a_token_may_name_a_user_event_a_waker_a_timer_and_a_descriptor() {
    let poll = Poll::new().unwrap();
    let token = Token(0);
    let (socket, _peer) = pair();
    let waker = Waker::new(&poll, token).unwrap();
    poll.register_user(token).unwrap();
    poll.register_timer(Timer::After(Duration::from_secs(600)), token)
        .unwrap();
    poll.register(&socket, token, nio_poll::Interest::READABLE)
        .unwrap();
    poll.trigger_user(token).unwrap();
    assert_eq!(tokens(&poll), [0]);
    waker.wake().unwrap();
    poll.trigger_user(token).unwrap();
    assert_eq!(tokens(&poll), [0, 0]);
    poll.deregister_user(token).unwrap();
    waker.wake().unwrap();
    assert_eq!(tokens(&poll), [0]);
    poll.deregister_timer(token).unwrap();
    poll.deregister(&socket).unwrap();
}

#[test]
fn a_user_event_is_registered_once() {
    let poll = Poll::new().unwrap();
    poll.register_user(Token(3)).unwrap();
    poll.trigger_user(Token(3)).unwrap();
    let error = poll.register_user(Token(3)).unwrap_err();
    assert!(matches!(
        error,
        Error::AlreadyRegistered {
            subject: Subject::User(Token(3)),
            token: Token(3)
        }
    ));
    assert_eq!(
        error.to_string(),
        "the user event of token 3 is already registered, with Token(3)"
    );
    assert_eq!(tokens(&poll), [3]);
}

#[test]
fn one_that_is_not_registered_can_be_neither_triggered_nor_ended() {
    let poll = Poll::new().unwrap();
    for error in [
        poll.trigger_user(Token(3)).unwrap_err(),
        poll.deregister_user(Token(3)).unwrap_err(),
    ] {
        assert!(matches!(
            error,
            Error::NotRegistered {
                subject: Subject::User(Token(3))
            }
        ));
        assert_eq!(io::Error::from(error).kind(), ErrorKind::NotFound);
    }
}

#[test]
fn k174_the_end_of_a_registration_takes_the_trigger_along() {
    let poll = Poll::new().unwrap();
    poll.register_user(Token(3)).unwrap();
    poll.trigger_user(Token(3)).unwrap();
    poll.deregister_user(Token(3)).unwrap();
    assert!(now(&poll).is_empty());
    poll.register_user(Token(3)).unwrap();
    assert!(now(&poll).is_empty());
    poll.trigger_user(Token(3)).unwrap();
    assert_eq!(tokens(&poll), [3]);
}

#[test]
fn k175_a_trigger_wakes_a_thread_that_waits() {
    let poll = Poll::new().unwrap();
    poll.register_user(Token(3)).unwrap();
    for _ in 0..50 {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| one(&poll).token());
            poll.trigger_user(Token(3)).unwrap();
            assert_eq!(waiter.join().unwrap(), Token(3));
        });
    }
}
