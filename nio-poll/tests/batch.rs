//! Many registrations in one call: all of them or none.

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread;

use nio_poll::{Error, Interest, Poll, Subject, Token, Trigger};
use support::*;

const TRIGGERS: [Trigger; 3] = [Trigger::Edge, Trigger::Level, Trigger::Oneshot];

/// Sockets that are readable and writable, and their peers.
fn ready(count: usize) -> Vec<(UnixStream, UnixStream)> {
    let ready = |_| {
        let (socket, mut peer) = pair();
        peer.write_all(b"x").unwrap();
        (socket, peer)
    };
    (0..count).map(ready).collect()
}

/// A number that no descriptor has.
fn closed() -> BorrowedFd<'static> {
    // SAFETY: nothing is read or written through it; the system answers that it is not open.
    unsafe { BorrowedFd::borrow_raw(1_000_003) }
}

#[test]
fn each_descriptor_of_a_batch_has_its_token_and_its_interest() {
    let interests = [Interest::READABLE, Interest::WRITABLE, both()];
    for trigger in TRIGGERS {
        let poll = Poll::new().unwrap();
        let sockets = ready(30);
        let sources = sockets.iter().enumerate();
        poll.register_all(
            sources.map(|(i, (socket, _))| (socket, Token(i), interests[i % 3])),
            trigger,
        )
        .unwrap();
        let events = now(&poll);
        let mut seen: Vec<_> = events
            .iter()
            .map(|event| (event.token().0, event.is_writable()))
            .collect();
        seen.sort_unstable();
        let expected: Vec<_> = (0..30)
            .flat_map(|i| match i % 3 {
                0 => vec![(i, false)],
                1 => vec![(i, true)],
                _ => vec![(i, false), (i, true)],
            })
            .collect();
        assert_eq!(seen, expected, "{trigger:?}");
        let again = if trigger == Trigger::Level { 40 } else { 0 };
        assert_eq!(now(&poll).len(), again);
    }
}

#[test]
fn descriptors_of_a_batch_are_changed_and_deregistered_one_by_one() {
    let poll = Poll::new().unwrap();
    let sockets = ready(2);
    poll.register_all(
        sockets.iter().map(|(socket, _)| (socket, Token(1), both())),
        Trigger::Oneshot,
    )
    .unwrap();
    assert_eq!(tokens(&poll), [1, 1, 1, 1]);
    let [first, second] = [0, 1].map(|i| &sockets[i].0);
    poll.reregister_with(first, Token(2), both(), Trigger::Oneshot)
        .unwrap();
    poll.deregister(second).unwrap();
    assert_eq!(tokens(&poll), [2, 2]);
}

#[test]
fn a_batch_may_be_of_different_types() {
    let poll = Poll::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sockets = ready(1);
    let sources = [
        (listener.as_fd(), Token(1), Interest::READABLE),
        (sockets[0].0.as_fd(), Token(2), both()),
    ];
    poll.register_all(sources, Trigger::Edge).unwrap();
    assert_eq!(tokens(&poll), [2, 2]);
}

#[test]
fn an_empty_batch_is_a_success() {
    let poll = Poll::new().unwrap();
    let nothing: [(BorrowedFd<'_>, Token, Interest); 0] = [];
    poll.register_all(nothing, Trigger::Edge).unwrap();
}

/// Registers two batches with a descriptor that cannot be registered, checks that none of their descriptors
/// is registered afterwards, and returns the error.
fn refused(poll: &Poll, bad: impl AsFd, interest: Interest, trigger: Trigger) -> Error {
    let sockets = ready(6);
    let source = |i: usize| (sockets[i].0.as_fd(), Token(100 + i), both());
    let batch = [
        source(0),
        source(1),
        source(2),
        (bad.as_fd(), Token(200), interest),
        source(3),
        source(4),
        source(5),
    ];
    let error = poll.register_all(batch, trigger).unwrap_err();
    assert!(tokens(poll).iter().all(|token| *token < 100));
    for (socket, _) in &sockets {
        let absent = poll.deregister(socket);
        assert!(matches!(absent, Err(Error::NotRegistered { .. })));
    }
    let sources = sockets.iter().enumerate();
    poll.register_all(
        sources.map(|(i, (socket, _))| (socket, Token(300 + i), Interest::READABLE)),
        trigger,
    )
    .unwrap();
    assert_eq!(tokens(poll), (300..306).collect::<Vec<_>>());
    for (socket, _) in &sockets {
        poll.deregister(socket).unwrap();
    }
    error
}

#[test]
fn the_error_names_a_refused_descriptor_and_none_of_the_batch_is_registered() {
    for trigger in TRIGGERS {
        for interest in [Interest::READABLE, Interest::WRITABLE, both()] {
            let poll = Poll::new().unwrap();
            match refused(&poll, closed(), interest, trigger) {
                Error::Refused {
                    subject: Subject::Descriptor(fd),
                    source,
                } => assert_eq!((fd, source.raw_os_error()), (1_000_003, Some(libc::EBADF))),
                other => panic!("{other:?}"),
            }
            assert!(poll.deregister(&closed()).is_err());
        }
    }
}

#[test]
fn the_error_names_a_registered_descriptor_which_stays_as_it_was() {
    for trigger in TRIGGERS {
        let poll = Poll::new().unwrap();
        let (known, mut peer) = pair();
        poll.register(&known, Token(7), Interest::READABLE).unwrap();
        let error = refused(&poll, &known, both(), trigger);
        assert!(matches!(
            error,
            Error::AlreadyRegistered { subject: Subject::Descriptor(fd), token: Token(7) }
                if fd == known.as_raw_fd()
        ));
        assert!(now(&poll).is_empty());
        peer.write_all(b"x").unwrap();
        let event = one(&poll);
        assert_eq!((event.token(), event.is_readable()), (Token(7), true));
    }
}

#[test]
fn the_error_names_a_descriptor_that_comes_twice_and_none_is_registered() {
    let poll = Poll::new().unwrap();
    let sockets = ready(3);
    let source = |i: usize, token| (&sockets[i].0, Token(token), Interest::READABLE);
    let batch = [source(0, 1), source(1, 2), source(0, 3), source(2, 4)];
    let error = poll.register_all(batch, Trigger::Edge).unwrap_err();
    assert!(matches!(
        error,
        Error::AlreadyRegistered { subject: Subject::Descriptor(fd), token: Token(1) }
            if fd == sockets[0].0.as_raw_fd()
    ));
    assert!(now(&poll).is_empty());
    for (socket, _) in &sockets {
        assert!(poll.deregister(socket).is_err());
    }
}

#[test]
fn k134_a_pipe_without_a_reader_in_a_batch_is_reported_as_closed_without_an_error() {
    for trigger in TRIGGERS {
        let poll = Poll::new().unwrap();
        let sockets = ready(1);
        let (reader, writer) = pipe();
        drop(reader);
        let batch = [
            (writer.as_fd(), Token(1), Interest::WRITABLE),
            (sockets[0].0.as_fd(), Token(2), Interest::READABLE),
        ];
        poll.register_all(batch, trigger).unwrap();
        let events = now(&poll);
        assert_eq!(events.len(), 2);
        for event in events {
            let of_pipe = event.token() == Token(1);
            assert_eq!(event.is_write_closed() && event.is_eof(), of_pipe);
        }
        poll.deregister(&writer).unwrap();
        assert!(tokens(&poll).iter().all(|token| *token == 2));
    }
}

#[test]
fn the_iterator_of_a_batch_may_use_the_poll() {
    let poll = Poll::new().unwrap();
    let sockets = ready(4);
    let (early, late) = sockets.split_at(2);
    let sources = late.iter().zip(early).map(|((late, _), (early, _))| {
        poll.register(early, Token(1), Interest::READABLE).unwrap();
        (late, Token(2), Interest::READABLE)
    });
    poll.register_all(sources, Trigger::Edge).unwrap();
    assert_eq!(tokens(&poll), [1, 1, 2, 2]);
}

#[test]
fn a_batch_takes_effect_in_a_wait_that_has_begun() {
    for _ in 0..20 {
        let poll = Poll::new().unwrap();
        let sockets = ready(2);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| wait(&poll).len());
            let sources = sockets.iter().map(|(socket, _)| (socket, Token(1), both()));
            poll.register_all(sources, Trigger::Edge).unwrap();
            assert!(waiter.join().unwrap() > 0);
        });
    }
}
