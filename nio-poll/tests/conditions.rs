//! Urgent data, and errors that do not end a connection.

mod support;

use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use nio_poll::{Error, Event, Interest, Poll, Token, Trigger};
use support::*;

/// Whether the system reports urgent data.
const HAS_PRIORITY: bool = cfg!(not(any(target_os = "freebsd", target_os = "netbsd")));

const INTERESTS: [Interest; 3] = [Interest::READABLE, Interest::WRITABLE, Interest::PRIORITY];

fn send_urgent(socket: &TcpStream) {
    // SAFETY: one byte, which lives until the call returns.
    let sent = unsafe { libc::send(socket.as_raw_fd(), [1_u8].as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
}

fn take_urgent(socket: &TcpStream) {
    let mut byte = 0_u8;
    // SAFETY: the buffer is one byte.
    let n = unsafe { libc::recv(socket.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_OOB) };
    assert_eq!((n, byte), (1, 1));
}

/// The directions of these events: readable, writable, priority.
fn directions(events: &[Event]) -> [bool; 3] {
    let is = [Event::is_readable, Event::is_writable, Event::is_priority];
    is.map(|is| events.iter().any(is))
}

/// A UDP socket with the error that its datagram was refused.
fn refused_datagram() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Connected to itself, it holds the port but receives no datagrams of others.
    other.connect(other.local_addr().unwrap()).unwrap();
    socket.connect(other.local_addr().unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

#[test]
fn urgent_data_is_reported_as_often_as_the_trigger_says() {
    if !HAS_PRIORITY {
        return;
    }
    for (trigger, times) in [
        (Trigger::Level, 3),
        (Trigger::Edge, 1),
        (Trigger::Oneshot, 1),
    ] {
        let poll = Poll::new().unwrap();
        let (socket, peer) = tcp_pair();
        poll.register_with(&socket, Token(7), Interest::PRIORITY, trigger)
            .unwrap();
        assert!(now(&poll).is_empty());
        send_urgent(&peer);
        for round in 0..3 {
            let events = if round == 0 { wait(&poll) } else { now(&poll) };
            assert_eq!(events.len(), usize::from(round < times), "{trigger:?}");
            for event in events {
                assert_eq!(event.token(), Token(7));
                assert_eq!(directions(&[event]), [false, false, true]);
                assert!(!event.is_eof() && !event.is_error());
            }
        }
        take_urgent(&socket);
        poll.deregister(&socket).unwrap();
        assert!(now(&poll).is_empty());
    }
}

#[test]
fn every_interest_can_be_changed_into_every_other() {
    let part = |bits: usize, index: usize| bits >> index & 1 == 1;
    let has_filters = |bits: &usize| HAS_PRIORITY || !part(*bits, 2);
    let interest = |bits: usize| {
        let parts = (0..3).filter(|index| part(bits, *index));
        let parts = parts.map(|index| INTERESTS[index]);
        parts.reduce(|one, other| one | other).unwrap()
    };
    for trigger in [Trigger::Edge, Trigger::Level, Trigger::Oneshot] {
        for from in (1..8).filter(has_filters) {
            for to in (1..8).filter(has_filters) {
                let poll = Poll::new().unwrap();
                let (socket, mut peer) = tcp_pair();
                poll.register_with(&socket, Token(1), interest(from), trigger)
                    .unwrap();
                now(&poll);
                if HAS_PRIORITY {
                    // Urgent data and a byte after it.
                    send_urgent(&peer);
                }
                std::io::Write::write_all(&mut peer, b"x").unwrap();
                while socket.peek(&mut [0; 2]).is_err() {}
                poll.reregister_with(&socket, Token(2), interest(to), trigger)
                    .unwrap();
                let mut seen = [false; 3];
                while seen != [0, 1, 2].map(|index| part(to, index)) {
                    let events = wait(&poll);
                    assert!(events.iter().all(|event| event.token() == Token(2)));
                    let told = directions(&events);
                    assert!(
                        (0..3).all(|index| !told[index] || part(to, index)),
                        "{from} {to}"
                    );
                    (0..3).for_each(|index| seen[index] |= told[index]);
                }
                poll.deregister(&socket).unwrap();
                assert!(now(&poll).is_empty());
                assert!(matches!(
                    poll.deregister(&socket),
                    Err(Error::NotRegistered { .. })
                ));
            }
        }
    }
}

#[test]
fn a_system_without_urgent_data_says_so_and_changes_nothing() {
    if HAS_PRIORITY {
        return;
    }
    let poll = Poll::new().unwrap();
    let (socket, _peer) = tcp_pair();
    let both = Interest::WRITABLE | Interest::PRIORITY;
    let error = poll.register(&socket, Token(1), both).unwrap_err();
    assert!(matches!(error, Error::Unsupported { interest, .. } if interest == both));
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::Unsupported);
    poll.register(&socket, Token(2), Interest::WRITABLE)
        .unwrap();
    assert_eq!(one(&poll).token(), Token(2));
    assert!(poll.reregister(&socket, Token(3), both).is_err());
    poll.reregister(&socket, Token(4), Interest::WRITABLE)
        .unwrap();
    assert_eq!(one(&poll).token(), Token(4));
}

#[test]
fn an_interest_prints_its_parts() {
    assert_eq!(format!("{:?}", Interest::PRIORITY), "PRIORITY");
    let all = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
    assert_eq!(format!("{all:?}"), "READABLE | WRITABLE | PRIORITY");
    assert!(all.is_priority() && !Interest::READABLE.is_priority());
}

#[test]
fn a_refused_datagram_is_an_error_and_not_an_end() {
    let poll = Poll::new().unwrap();
    let socket = refused_datagram();
    poll.register(&socket, Token(1), Interest::READABLE)
        .unwrap();
    socket.send(b"x").unwrap();
    let event = one(&poll);
    assert!(event.is_readable() && !event.is_eof());
    // The other systems only report it as readable.
    assert_eq!(
        event.is_error(),
        cfg!(any(target_os = "linux", target_os = "android"))
    );
    let error = socket.recv(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn data_and_an_orderly_end_are_not_errors() {
    let poll = Poll::new().unwrap();
    let (socket, mut peer) = tcp_pair();
    let both = Interest::READABLE | Interest::WRITABLE;
    poll.register_with(&socket, Token(1), both, Trigger::Level)
        .unwrap();
    std::io::Write::write_all(&mut peer, b"x").unwrap();
    drop(peer);
    let mut closed = false;
    while !closed {
        let events = wait(&poll);
        assert!(!events.iter().any(Event::is_error), "{events:?}");
        closed = events.iter().any(Event::is_read_closed);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_message_in_the_error_queue_is_an_error_until_it_is_received() {
    let poll = Poll::new().unwrap();
    let socket = refused_datagram();
    let on: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    let (level, name, value) = (libc::IPPROTO_IP, libc::IP_RECVERR, (&raw const on).cast());
    // SAFETY: the value is an int, of the length given.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, length) }).unwrap();
    poll.register_with(&socket, Token(1), Interest::READABLE, Trigger::Level)
        .unwrap();
    socket.send(b"x").unwrap();
    assert!(one(&poll).is_error());
    // The pending error is taken; the message remains.
    socket.take_error().unwrap().unwrap();
    let event = one(&poll);
    assert!(event.is_error() && !event.is_eof());
    // SAFETY: zero is a valid msghdr, one without buffers.
    let received = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_ERRQUEUE)
    };
    check(received as libc::c_int).unwrap();
    let _ = socket.take_error().unwrap();
    assert!(now(&poll).is_empty());
}
