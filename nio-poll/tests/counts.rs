//! The counts, ends and errors of events.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::ptr;

use nio_poll::{Event, Interest, Poll, Token, Trigger};
use support::*;

/// Closes a connection by resetting it.
fn reset(socket: TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let length = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the option's value is a struct linger of the length given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            ptr::from_ref(&linger).cast(),
            length,
        )
    };
    check(result).unwrap();
}

/// Waits for an event of the given end.
fn end(poll: &Poll, is: fn(&Event) -> bool) -> Event {
    loop {
        if let Some(event) = wait(poll).into_iter().find(is) {
            return event;
        }
    }
}

/// Waits until a socket has the end of its peer, with a poll that leaves the error in the socket.
fn await_end(socket: &TcpStream) {
    let poll = Poll::new().unwrap();
    poll.register(socket, Token(0), Interest::READABLE).unwrap();
    end(&poll, Event::is_eof);
}

#[test]
fn k105_a_readable_event_has_the_number_of_bytes() {
    for trigger in [Trigger::Edge, Trigger::Level, Trigger::Oneshot] {
        let poll = Poll::with_counts().unwrap();
        let (mut near, mut far) = tcp_pair();
        poll.register_with(&near, Token(1), Interest::READABLE, trigger)
            .unwrap();
        far.write_all(&[7; 100]).unwrap();
        let event = one(&poll);
        assert_eq!(event.count(), 100);
        assert!(!event.is_eof() && event.error().is_none());
        near.read_exact(&mut [0; 60]).unwrap();
        poll.reregister_with(&near, Token(1), Interest::READABLE, trigger)
            .unwrap();
        assert_eq!(one(&poll).count(), 40);
    }
}

#[test]
fn k112_an_event_of_a_listener_has_the_number_of_connections() {
    let poll = Poll::with_counts().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    poll.register_with(&listener, Token(1), Interest::READABLE, Trigger::Level)
        .unwrap();
    let address = listener.local_addr().unwrap();
    let _clients = [(); 2].map(|()| TcpStream::connect(address).unwrap());
    assert_eq!(one(&poll).count(), 2);
    listener.accept().unwrap();
    assert_eq!(one(&poll).count(), 1);
}

#[test]
fn k119_a_writable_event_has_the_room_to_write() {
    let poll = Poll::with_counts().unwrap();
    let (near, _far) = tcp_pair();
    poll.register(&near, Token(1), Interest::WRITABLE).unwrap();
    assert!(one(&poll).count() > 1_000);
}

#[test]
fn k106_the_end_has_the_number_of_unread_bytes() {
    let poll = Poll::with_counts().unwrap();
    let (mut near, mut far) = tcp_pair();
    poll.register_with(&near, Token(1), Interest::READABLE, Trigger::Level)
        .unwrap();
    far.write_all(b"hello").unwrap();
    drop(far);
    let event = end(&poll, Event::is_eof);
    assert_eq!(event.count(), 5);
    assert!(event.is_readable() && event.is_read_closed() && !event.is_write_closed());
    assert!(event.error().is_none());
    near.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(end(&poll, Event::is_eof).count(), 0);
}

#[test]
fn k108_a_reset_is_the_end_of_both_directions_with_its_error() {
    for trigger in [Trigger::Edge, Trigger::Level, Trigger::Oneshot] {
        let poll = Poll::with_counts().unwrap();
        let (near, far) = tcp_pair();
        reset(far);
        await_end(&near);
        poll.register_with(&near, Token(1), both(), trigger)
            .unwrap();
        let events = now(&poll);
        assert!(events.iter().any(Event::is_read_closed));
        assert!(events.iter().any(Event::is_write_closed));
        for event in events {
            assert!(event.is_eof());
            assert_eq!(event.error().unwrap().kind(), ErrorKind::ConnectionReset);
        }
    }
}

#[test]
fn k109_an_orderly_end_has_no_error() {
    let poll = Poll::with_counts().unwrap();
    let (near, far) = tcp_pair();
    poll.register(&near, Token(1), Interest::READABLE).unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    let event = end(&poll, Event::is_eof);
    assert!(event.is_read_closed() && event.error().is_none());
}

#[test]
fn k126_a_refused_connection_has_its_error() {
    // The port is refused: its listener was closed just now.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let poll = Poll::with_counts().unwrap();
    let (socket, errno) = connect(address.port());
    poll.register(&socket, Token(1), Interest::WRITABLE)
        .unwrap();
    let event = end(&poll, Event::is_write_closed);
    // If connect(2) has returned the error already, the event does not have it.
    if errno == libc::EINPROGRESS {
        let error = event.error().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}

/// A non-blocking socket that has begun to connect, and the error of connect(2).
fn connect(port: u16) -> (TcpStream, i32) {
    use std::os::fd::FromRawFd;
    // SAFETY: the socket is new and has no other owner; zero is a valid address, which lives until connect
    // returns.
    unsafe {
        let fd = check(libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0)).unwrap();
        let socket = TcpStream::from_raw_fd(fd);
        socket.set_nonblocking(true).unwrap();
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        address.sin_port = port.to_be();
        address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        let result = libc::connect(fd, ptr::from_ref(&address).cast(), length);
        (socket, check(result).unwrap_err().raw_os_error().unwrap())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_poll_without_counts_leaves_the_error_to_the_program() {
    let poll = Poll::new().unwrap();
    let (near, far) = tcp_pair();
    reset(far);
    await_end(&near);
    poll.register(&near, Token(1), both()).unwrap();
    for event in now(&poll) {
        assert!(event.is_eof() && event.error().is_none());
        assert_eq!(event.count(), 0);
    }
    let error = near.take_error().unwrap().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn k133_a_pipe_whose_reader_is_gone_has_no_error() {
    let poll = Poll::with_counts().unwrap();
    let (reader, writer) = pipe();
    poll.register(&writer, Token(1), Interest::WRITABLE)
        .unwrap();
    assert!(!one(&poll).is_eof());
    drop(reader);
    let event = end(&poll, Event::is_eof);
    assert!(event.is_write_closed() && event.error().is_none());
}

#[test]
fn the_exit_of_a_process_has_no_end_of_a_descriptor_and_no_error() {
    let poll = Poll::with_counts().unwrap();
    let mut child = std::process::Command::new("sh")
        .args(["-c", "read line; exit 104"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    poll.register_process(&child, Token(1)).unwrap();
    drop(child.stdin.take());
    let event = one(&poll);
    assert!(event.is_exit() && !event.is_eof() && event.error().is_none());
    child.wait().unwrap();
}
