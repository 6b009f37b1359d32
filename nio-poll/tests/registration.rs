//! Registering descriptors: which events are reported, how often, and which calls are refused.

mod support;

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nio_poll::{Error, Event, Events, Interest, Poll, Subject, Token, Trigger, Waker};
use support::*;

const TRIGGERS: [Trigger; 3] = [Trigger::Edge, Trigger::Level, Trigger::Oneshot];

/// A socket that is readable and writable, and its peer.
fn ready() -> (UnixStream, UnixStream) {
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    (socket, peer)
}

#[test]
fn an_interest_is_reported_and_no_other() {
    for trigger in TRIGGERS {
        for (interest, expected) in [
            (Interest::READABLE, (true, false)),
            (Interest::WRITABLE, (false, true)),
            (both(), (true, true)),
        ] {
            let poll = Poll::new().unwrap();
            let (socket, _peer) = ready();
            poll.register_with(&socket, Token(3), interest, trigger)
                .unwrap();
            assert_eq!(readiness(&poll), expected, "{interest:?} {trigger:?}");
        }
    }
}

#[test]
fn a_descriptor_that_is_ready_in_both_directions_has_two_events() {
    let poll = Poll::new().unwrap();
    let (socket, _peer) = ready();
    poll.register(&socket, Token(3), both()).unwrap();
    let events = now(&poll);
    assert_eq!(events.len(), 2);
    for event in events {
        assert_eq!(event.token(), Token(3));
        assert!(event.is_readable() != event.is_writable());
        assert!(!event.is_read_closed() && !event.is_write_closed() && !event.is_signal());
    }
}

#[test]
fn an_edge_is_reported_once_for_each_arrival() {
    let poll = Poll::new().unwrap();
    let (socket, mut peer) = pair();
    poll.register(&socket, Token(1), Interest::READABLE)
        .unwrap();
    for _ in 0..3 {
        peer.write_all(b"x").unwrap();
        assert!(one(&poll).is_readable());
        assert!(now(&poll).is_empty());
    }
}

#[test]
fn an_edge_of_writing_comes_when_a_full_buffer_was_drained() {
    let poll = Poll::new().unwrap();
    let (socket, peer) = pair();
    poll.register(&socket, Token(1), Interest::WRITABLE)
        .unwrap();
    one(&poll);
    fill(&socket);
    assert!(now(&poll).is_empty());
    drain(&peer);
    assert!(one(&poll).is_writable());
}

#[test]
fn a_level_is_reported_as_long_as_it_holds() {
    let poll = Poll::new().unwrap();
    let (socket, _peer) = ready();
    poll.register_with(&socket, Token(1), both(), Trigger::Level)
        .unwrap();
    for _ in 0..3 {
        assert_eq!(readiness(&poll), (true, true));
    }
    drain(&socket);
    assert_eq!(readiness(&poll), (false, true));
    fill(&socket);
    assert_eq!(readiness(&poll), (false, false));
}

#[test]
fn a_oneshot_is_reported_once_in_each_direction() {
    let poll = Poll::new().unwrap();
    let (socket, mut peer) = pair();
    poll.register_with(&socket, Token(1), both(), Trigger::Oneshot)
        .unwrap();
    assert_eq!(readiness(&poll), (false, true));
    assert_eq!(readiness(&poll), (false, false));
    peer.write_all(b"x").unwrap();
    assert_eq!(readiness(&poll), (true, false));
    peer.write_all(b"x").unwrap();
    assert_eq!(readiness(&poll), (false, false));
}

#[test]
fn a_oneshot_is_armed_again_by_reregistering() {
    let poll = Poll::new().unwrap();
    let (socket, _peer) = ready();
    poll.register_with(&socket, Token(1), both(), Trigger::Oneshot)
        .unwrap();
    for token in 1..5 {
        assert_eq!(tokens(&poll), [token, token]);
        assert!(now(&poll).is_empty());
        poll.reregister_with(&socket, Token(token + 1), both(), Trigger::Oneshot)
            .unwrap();
    }
}

#[test]
fn reregistering_leads_from_every_trigger_and_interest_to_every_other() {
    let interests = [Interest::READABLE, Interest::WRITABLE, both()];
    let all: Vec<_> = TRIGGERS
        .into_iter()
        .flat_map(|trigger| interests.map(|interest| (interest, trigger)))
        .collect();
    for &(from, old) in &all {
        for &(to, new) in &all {
            for collected in [false, true] {
                let case = format!("{from:?} {old:?} to {to:?} {new:?}, {collected}");
                let poll = Poll::new().unwrap();
                let (socket, mut peer) = ready();
                poll.register_with(&socket, Token(1), from, old).unwrap();
                if collected {
                    now(&poll);
                }
                poll.reregister_with(&socket, Token(2), to, new).unwrap();
                let expected = (to.is_readable(), to.is_writable());
                let count = usize::from(expected.0) + usize::from(expected.1);
                assert_eq!(tokens(&poll), vec![2; count], "{case}");
                let again = match new {
                    Trigger::Level => expected,
                    _ => (false, false),
                };
                assert_eq!(readiness(&poll), again, "{case}, again");
                peer.write_all(b"x").unwrap();
                let fed = to.is_readable() && new != Trigger::Oneshot;
                assert_eq!(readiness(&poll).0, fed, "{case}, fed");
            }
        }
    }
}

#[test]
fn reregistering_reports_a_condition_again() {
    let poll = Poll::new().unwrap();
    let (socket, _peer) = ready();
    poll.register(&socket, Token(1), Interest::READABLE)
        .unwrap();
    one(&poll);
    poll.reregister(&socket, Token(2), Interest::READABLE)
        .unwrap();
    assert_eq!(one(&poll).token(), Token(2));
    assert!(now(&poll).is_empty());
}

#[test]
fn a_deregistered_descriptor_is_not_reported() {
    for trigger in TRIGGERS {
        let poll = Poll::new().unwrap();
        let (socket, _peer) = ready();
        poll.register_with(&socket, Token(1), both(), trigger)
            .unwrap();
        poll.deregister(&socket).unwrap();
        assert!(now(&poll).is_empty());
        poll.register_with(&socket, Token(2), both(), trigger)
            .unwrap();
        assert_eq!(tokens(&poll), [2, 2]);
        poll.deregister(&socket).unwrap();
        assert!(now(&poll).is_empty());
    }
}

#[test]
fn a_second_registration_is_refused_and_leaves_the_first() {
    for trigger in TRIGGERS {
        let poll = Poll::new().unwrap();
        let (socket, mut peer) = pair();
        poll.register_with(&socket, Token(7), Interest::READABLE, trigger)
            .unwrap();
        let error = poll.register(&socket, Token(8), both()).unwrap_err();
        let number = socket.as_raw_fd();
        assert!(matches!(
            error,
            Error::AlreadyRegistered { subject: Subject::Descriptor(fd), token: Token(7) } if fd == number
        ));
        assert_eq!(
            error.to_string(),
            format!(
                "descriptor {number} is already registered, with Token(7): use `reregister` to change it"
            )
        );
        assert_eq!(io::Error::from(error).kind(), ErrorKind::AlreadyExists);
        assert!(now(&poll).is_empty());
        peer.write_all(b"x").unwrap();
        let event = one(&poll);
        assert_eq!((event.token(), event.is_readable()), (Token(7), true));
    }
}

#[test]
fn a_second_registration_is_refused_after_a_oneshot_has_fired() {
    let poll = Poll::new().unwrap();
    let (socket, _peer) = ready();
    poll.register_with(&socket, Token(7), both(), Trigger::Oneshot)
        .unwrap();
    assert_eq!(now(&poll).len(), 2);
    let error = poll.register(&socket, Token(8), both()).unwrap_err();
    assert!(matches!(
        error,
        Error::AlreadyRegistered {
            token: Token(7),
            ..
        }
    ));
    assert!(now(&poll).is_empty());
}

#[test]
fn a_descriptor_that_is_not_registered_can_be_neither_changed_nor_deregistered() {
    let poll = Poll::new().unwrap();
    let (socket, _peer) = pair();
    let number = socket.as_raw_fd();
    for error in [
        poll.reregister(&socket, Token(1), both()).unwrap_err(),
        poll.deregister(&socket).unwrap_err(),
    ] {
        assert!(
            matches!(error, Error::NotRegistered { subject: Subject::Descriptor(fd) } if fd == number)
        );
        assert_eq!(
            error.to_string(),
            format!("descriptor {number} is not registered")
        );
        assert_eq!(io::Error::from(error).kind(), ErrorKind::NotFound);
    }
    poll.register(&socket, Token(1), both()).unwrap();
    poll.deregister(&socket).unwrap();
    assert!(matches!(
        poll.deregister(&socket),
        Err(Error::NotRegistered { .. })
    ));
}

/// A number that no descriptor has.
fn closed() -> BorrowedFd<'static> {
    // SAFETY: nothing is read or written through it; the system answers that it is not open.
    unsafe { BorrowedFd::borrow_raw(1_000_003) }
}

#[test]
fn a_closed_descriptor_is_refused_with_the_error_of_the_system() {
    let poll = Poll::new().unwrap();
    for interest in [Interest::READABLE, Interest::WRITABLE, both()] {
        for trigger in TRIGGERS {
            let error = poll
                .register_with(&closed(), Token(1), interest, trigger)
                .unwrap_err();
            let text = error.to_string();
            assert!(
                text.starts_with("descriptor 1000003 cannot be registered"),
                "{text}"
            );
            assert!(std::error::Error::source(&error).is_some());
            match error {
                Error::Refused {
                    subject: Subject::Descriptor(fd),
                    source,
                } => {
                    assert_eq!((fd, source.raw_os_error()), (1_000_003, Some(libc::EBADF)));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(matches!(
        poll.deregister(&closed()),
        Err(Error::NotRegistered { .. })
    ));
}

#[test]
fn a_peer_that_is_gone_closes_both_directions() {
    let poll = Poll::new().unwrap();
    let (socket, peer) = pair();
    drop(peer);
    poll.register(&socket, Token(1), both()).unwrap();
    let events = now(&poll);
    assert!(events.iter().any(Event::is_read_closed));
    assert!(events.iter().any(Event::is_write_closed));
}

#[test]
fn the_peers_half_close_ends_reading_and_not_writing() {
    let poll = Poll::new().unwrap();
    let (mut socket, peer) = pair();
    poll.register_with(&socket, Token(1), both(), Trigger::Level)
        .unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    let events = wait(&poll);
    assert!(
        events
            .iter()
            .any(|event| event.is_readable() && event.is_read_closed())
    );
    assert!(events.iter().all(|event| !event.is_write_closed()));
    socket.write_all(b"x").unwrap();
}

#[test]
fn a_poll_can_be_watched_by_another_poll() {
    let (inner, outer) = (Poll::new().unwrap(), Poll::new().unwrap());
    let (socket, mut peer) = pair();
    inner
        .register(&socket, Token(1), Interest::READABLE)
        .unwrap();
    outer
        .register_with(&inner, Token(2), Interest::READABLE, Trigger::Level)
        .unwrap();
    assert!(now(&outer).is_empty());
    peer.write_all(b"x").unwrap();
    assert_eq!(one(&outer).token(), Token(2));
    assert_eq!(one(&inner).token(), Token(1));
    assert!(now(&outer).is_empty());
}

#[test]
fn a_refused_reregistration_leaves_the_previous_one() {
    let (inner, outer) = (Poll::new().unwrap(), Poll::new().unwrap());
    let waker = Waker::new(&inner, Token(0)).unwrap();
    outer
        .register_with(&inner, Token(1), Interest::READABLE, Trigger::Level)
        .unwrap();
    for trigger in TRIGGERS {
        for interest in [both(), Interest::WRITABLE] {
            // No queue can be watched for writing (K10).
            let refused = outer.reregister_with(&inner, Token(2), interest, trigger);
            assert!(matches!(refused, Err(Error::Refused { .. })));
            assert!(now(&outer).is_empty());
            waker.wake().unwrap();
            for _ in 0..2 {
                assert_eq!(one(&outer).token(), Token(1));
            }
            one(&inner);
            assert!(now(&outer).is_empty());
        }
    }
    let again = outer
        .register(&inner, Token(3), Interest::READABLE)
        .unwrap_err();
    assert!(matches!(
        again,
        Error::AlreadyRegistered {
            token: Token(1),
            ..
        }
    ));
}

#[test]
fn a_refused_registration_leaves_nothing() {
    let (inner, outer) = (Poll::new().unwrap(), Poll::new().unwrap());
    let waker = Waker::new(&inner, Token(0)).unwrap();
    assert!(outer.register(&inner, Token(1), both()).is_err());
    waker.wake().unwrap();
    assert!(now(&outer).is_empty());
    assert!(matches!(
        outer.deregister(&inner),
        Err(Error::NotRegistered { .. })
    ));
    outer
        .register(&inner, Token(2), Interest::READABLE)
        .unwrap();
    assert_eq!(one(&outer).token(), Token(2));
}

#[test]
fn a_registration_may_have_any_token() {
    let poll = Poll::new().unwrap();
    let (a, _b) = ready();
    let (c, _d) = ready();
    poll.register(&a, Token(usize::MAX), Interest::READABLE)
        .unwrap();
    poll.register(&c, Token(usize::MAX), Interest::READABLE)
        .unwrap();
    assert_eq!(tokens(&poll), [usize::MAX, usize::MAX]);
}

#[test]
fn events_that_do_not_fit_come_with_the_next_poll() {
    let poll = Poll::new().unwrap();
    let sockets: Vec<_> = (0..10).map(|_| ready()).collect();
    for (i, (socket, _)) in sockets.iter().enumerate() {
        poll.register(socket, Token(i), both()).unwrap();
    }
    let mut events = Events::with_capacity(3);
    let mut seen = Vec::new();
    while poll.poll(&mut events, Some(Duration::ZERO)).unwrap() > 0 {
        seen.extend(
            events
                .iter()
                .map(|event| (event.token().0, event.is_readable())),
        );
    }
    seen.sort_unstable();
    let expected: Vec<_> = (0..10).flat_map(|i| [(i, false), (i, true)]).collect();
    assert_eq!(seen, expected);
}
