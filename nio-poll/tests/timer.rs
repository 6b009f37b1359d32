//! Timers of the kernel. No test asserts that a timer is in time.

use std::{
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use nio_poll::{Error, Event, Events, Interest, Poll, Subject, Timer, Token};

/// How long to wait for an event that must come. Far more than it takes.
const LIMIT: Duration = Duration::from_secs(20);

/// Longer than a test takes.
const LONG: Duration = Duration::from_secs(600);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn set(poll: &Poll, timer: Timer, token: usize) {
    poll.register_timer(timer, Token(token)).unwrap();
}

/// The events that come within a time, or as soon as one does.
fn within(poll: &Poll, timeout: Duration) -> Vec<Event> {
    let mut events = Events::with_capacity(64);
    poll.poll(&mut events, Some(timeout)).unwrap();
    events.iter().collect()
}

/// Waits for exactly one event.
fn one(poll: &Poll) -> Event {
    let events = within(poll, LIMIT);
    assert_eq!(events.len(), 1, "{events:?}");
    events[0]
}

fn assert_silent(poll: &Poll) {
    let events = within(poll, ms(20));
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn a_timer_expires_once_after_its_time() {
    let poll = Poll::new().unwrap();
    let start = Instant::now();
    set(&poll, Timer::After(ms(20)), 3);
    let event = one(&poll);
    assert!(start.elapsed() >= ms(20));
    assert_eq!((event.token(), event.count()), (Token(3), 1));
    assert!(event.is_timer() && !event.is_exit() && !event.is_signal());
    assert!(!event.is_readable() && !event.is_writable());
    assert_eq!(event.exit_status(), None);
    assert_silent(&poll);
}

#[test]
fn a_period_expires_again_and_again_and_is_counted() {
    let poll = Poll::new().unwrap();
    let start = Instant::now();
    set(&poll, Timer::Every(ms(5)), 3);
    let mut count = 0;
    while count < 20 {
        count += one(&poll).count();
        assert!(start.elapsed() >= ms(5) * count as u32);
    }
}

#[test]
fn the_count_has_all_expirations_since_the_last_poll() {
    let poll = Poll::new().unwrap();
    set(&poll, Timer::Every(ms(5)), 3);
    thread::sleep(ms(60));
    // Some systems round the period up to their clock tick.
    let least = if cfg!(any(target_os = "linux", target_os = "android")) {
        11
    } else {
        2
    };
    assert!(one(&poll).count() >= least);
}

#[test]
fn there_is_one_timer_for_each_token() {
    let poll = Poll::new().unwrap();
    for token in 0..10 {
        set(&poll, Timer::After(ms(1 + token as u64)), token);
    }
    let mut tokens = Vec::new();
    while tokens.len() < 10 {
        let events = within(&poll, LIMIT);
        assert!(!events.is_empty());
        tokens.extend(events.iter().map(|event| event.token().0));
    }
    tokens.sort_unstable();
    assert_eq!(tokens, (0..10).collect::<Vec<_>>());
}

#[test]
fn setting_a_timer_again_restarts_it() {
    let poll = Poll::new().unwrap();
    set(&poll, Timer::After(ms(1)), 3);
    thread::sleep(ms(5));
    set(&poll, Timer::After(LONG), 3);
    assert_silent(&poll);
    let start = Instant::now();
    set(&poll, Timer::After(ms(10)), 3);
    one(&poll);
    assert!(start.elapsed() >= ms(10));
    set(&poll, Timer::After(ms(1)), 3);
    one(&poll);
}

#[test]
fn setting_a_timer_again_changes_between_once_and_repeated() {
    let poll = Poll::new().unwrap();
    set(&poll, Timer::After(LONG), 3);
    set(&poll, Timer::Every(ms(5)), 3);
    one(&poll);
    one(&poll);
    set(&poll, Timer::After(ms(5)), 3);
    assert_eq!(one(&poll).count(), 1);
    assert_silent(&poll);
}

#[test]
fn a_stopped_timer_is_silent() {
    let poll = Poll::new().unwrap();
    set(&poll, Timer::Every(ms(1)), 3);
    set(&poll, Timer::After(ms(1)), 4);
    thread::sleep(ms(5));
    poll.deregister_timer(Token(3)).unwrap();
    poll.deregister_timer(Token(4)).unwrap();
    assert_silent(&poll);
}

#[test]
fn a_timer_that_has_expired_may_be_stopped_once() {
    let poll = Poll::new().unwrap();
    set(&poll, Timer::After(ms(1)), 3);
    one(&poll);
    poll.deregister_timer(Token(3)).unwrap();
    let error = poll.deregister_timer(Token(3)).unwrap_err();
    let subject = Subject::Timer(Token(3));
    assert!(matches!(error, Error::NotRegistered { subject: named } if named == subject));
    assert_eq!(error.to_string(), "the timer of token 3 is not registered");
}

#[test]
fn a_timer_of_zero_expires_at_once() {
    let poll = Poll::new().unwrap();
    set(&poll, Timer::After(Duration::ZERO), 3);
    assert_eq!(one(&poll).count(), 1);
    set(&poll, Timer::Every(Duration::ZERO), 3);
    assert!(one(&poll).count() >= 1);
    one(&poll);
    poll.deregister_timer(Token(3)).unwrap();
    assert_silent(&poll);
}

#[test]
fn the_longest_time_is_accepted_and_does_not_expire() {
    let poll = Poll::new().unwrap();
    let long = [Duration::MAX, Duration::from_secs(1 << 40)];
    for (token, time) in long.into_iter().enumerate() {
        set(&poll, Timer::After(time), token);
        set(&poll, Timer::Every(time), token + 2);
    }
    assert_silent(&poll);
}

#[test]
fn a_token_may_name_a_timer_and_a_descriptor() {
    let poll = Poll::new().unwrap();
    let (socket, _peer) = UnixStream::pair().unwrap();
    poll.register(&socket, Token(3), Interest::WRITABLE)
        .unwrap();
    assert!(one(&poll).is_writable());
    set(&poll, Timer::After(ms(1)), 3);
    assert!(one(&poll).is_timer());
    poll.deregister(&socket).unwrap();
    poll.deregister_timer(Token(3)).unwrap();
}

#[test]
fn a_timer_set_by_another_thread_wakes_one_that_waits() {
    let poll = Poll::new().unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut events = Events::with_capacity(4);
            poll.poll(&mut events, None).unwrap()
        });
        set(&poll, Timer::After(ms(5)), 3);
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

#[test]
fn a_poll_is_readable_in_another_poll_when_a_timer_has_expired() {
    let (inner, outer) = (Poll::new().unwrap(), Poll::new().unwrap());
    outer
        .register(&inner, Token(1), Interest::READABLE)
        .unwrap();
    set(&inner, Timer::After(ms(5)), 2);
    assert_eq!(one(&outer).token(), Token(1));
    assert_eq!(one(&inner).token(), Token(2));
}
