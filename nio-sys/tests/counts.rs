//! `data` and `fflags` of READ and WRITE, in a queue that counts: K105–K119, K126, K131–K133.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nio_sys::{EventFlags, Kqueue};
use support::*;

fn counting() -> Queue {
    Queue(Kqueue::with_counts().unwrap())
}

fn reset_error() -> u32 {
    libc::ECONNRESET as u32
}

#[test]
fn k105_the_data_is_the_bytes_that_can_be_read() {
    for mode in [LEVEL, CLEAR] {
        let queue = counting();
        let (reader, mut writer) = tcp_pair();
        queue.add(&reader, READ, mode, 1);
        writer.write_all(b"x").unwrap();
        assert_eq!(queue.one().data(), 1);
        drain(&reader);
        writer.write_all(&[7; 100]).unwrap();
        assert_eq!(queue.one().data(), 100);
    }
}

#[test]
fn k105_the_data_is_the_bytes_that_are_left() {
    let queue = counting();
    let (mut reader, mut writer) = pair();
    queue.add(&reader, READ, LEVEL, 1);
    writer.write_all(&[7; 100]).unwrap();
    assert_eq!(queue.one().data(), 100);
    reader.read_exact(&mut [0; 40]).unwrap();
    assert_eq!(queue.one().data(), 60);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k105_a_queue_that_does_not_count_says_0() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    queue.add(&socket, READ, LEVEL, 1);
    queue.add(&socket, WRITE, LEVEL, 1);
    peer.write_all(&[7; 100]).unwrap();
    let events = queue.collect();
    assert_eq!(filters(&events), [READ, WRITE]);
    assert!(events.iter().all(|event| event.data() == 0));
}

#[test]
fn k106_the_end_has_the_number_of_unread_bytes() {
    let queue = counting();
    let (reader, mut writer) = tcp_pair();
    queue.add(&reader, READ, LEVEL, 1);
    writer.write_all(b"hello").unwrap();
    drop(writer);
    assert_eq!(queue.end_of(READ).data(), 5);
    assert_eq!(drain(&reader), 5);
    for _ in 0..2 {
        let event = queue.one();
        assert_eq!((event.is_eof(), event.data()), (true, 0));
    }
}

#[test]
fn k108_both_filters_report_the_errno_of_a_reset_each_time() {
    let queue = counting();
    let (socket, peer) = tcp_pair();
    reset(peer);
    queue.add(&socket, READ, LEVEL, 1);
    queue.add(&socket, WRITE, LEVEL, 1);
    for _ in 0..3 {
        assert_eq!(queue.end_of(READ).fflags(), reset_error());
        assert_eq!(queue.end_of(WRITE).fflags(), reset_error());
    }
}

#[test]
fn k108_an_edge_reports_the_errno_of_a_reset() {
    let queue = counting();
    let (socket, peer) = tcp_pair();
    queue.add(&socket, READ, CLEAR, 1);
    reset(peer);
    assert_eq!(queue.end_of(READ).fflags(), reset_error());
    queue.assert_silent();
}

#[test]
fn k109_an_orderly_end_has_no_errno() {
    let queue = counting();
    let (socket, peer) = tcp_pair();
    queue.add(&socket, READ, LEVEL, 1);
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(queue.end_of(READ).fflags(), 0);
    drop(peer);
    assert_eq!(queue.end_of(READ).fflags(), 0);
}

#[test]
fn k109_an_event_without_eof_has_no_errno() {
    let queue = counting();
    let (socket, mut peer) = tcp_pair();
    queue.add(&socket, READ, LEVEL, 1);
    queue.add(&socket, WRITE, LEVEL, 1);
    peer.write_all(b"x").unwrap();
    for filter in [READ, WRITE] {
        let event = queue.one_of(filter);
        assert_eq!((event.is_eof(), event.fflags()), (false, 0));
    }
}

#[test]
fn k110_a_pending_error_is_left_to_the_program() {
    let queue = counting();
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.connect(closed.local_addr().unwrap()).unwrap();
    drop(closed);
    queue.add(&socket, READ, LEVEL, 1);
    socket.send(b"x").unwrap();
    assert!(!queue.one().is_eof());
    let error = socket.recv(&mut [0; 4]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
}

#[test]
fn k112_the_data_of_a_listener_is_the_connections_that_wait() {
    let queue = counting();
    let listener = listener();
    queue.add(&listener, READ, LEVEL, 1);
    let address = listener.local_addr().unwrap();
    let _first = TcpStream::connect(address).unwrap();
    let _second = TcpStream::connect(address).unwrap();
    while queue.one().data() != 2 {}
    listener.accept().unwrap();
    assert_eq!(queue.one().data(), 1);
    listener.accept().unwrap();
    queue.assert_silent();
}

#[test]
fn k112_the_data_of_a_unix_listener_with_a_connection_is_1() {
    use std::os::unix::net::{UnixListener, UnixStream};
    let path = std::env::temp_dir().join(format!("nio-sys-{}.socket", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let client = UnixStream::connect(&path);
    std::fs::remove_file(&path).unwrap();
    let _client = client.unwrap();
    let queue = counting();
    queue.add(&listener, READ, LEVEL, 1);
    assert_eq!(queue.one().data(), 1);
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
#[test]
fn k116_an_empty_datagram_has_0_bytes_and_is_not_an_end() {
    let queue = counting();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    queue.add(&socket, READ, LEVEL, 1);
    socket.send_to(b"", socket.local_addr().unwrap()).unwrap();
    let event = queue.one();
    assert_eq!((event.data(), event.is_eof()), (0, false));
}

#[test]
fn k117_the_data_of_a_datagram_is_its_bytes_at_least() {
    let queue = counting();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    queue.add(&socket, READ, LEVEL, 1);
    socket
        .send_to(b"four", socket.local_addr().unwrap())
        .unwrap();
    assert!(queue.one().data() >= 4);
}

#[test]
fn k118_the_data_of_a_unix_socket_is_its_bytes() {
    let queue = counting();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, LEVEL, 1);
    writer.write_all(b"hello").unwrap();
    assert_eq!(queue.one().data(), 5);
    drop(writer);
    let event = queue.end_of(READ);
    assert_eq!((event.data(), event.fflags()), (5, 0));
    assert_eq!(drain(&reader), 5);
    assert_eq!(queue.one().data(), 0);
}

#[test]
fn k118_a_unix_peer_that_leaves_data_unread_may_be_a_reset() {
    let queue = counting();
    let (mut socket, peer) = pair();
    socket.write_all(b"unread").unwrap();
    queue.add(&socket, READ, LEVEL, 1);
    drop(peer);
    let fflags = queue.end_of(READ).fflags();
    assert!([0, reset_error()].contains(&fflags), "{fflags}");
}

#[test]
fn k119_the_data_of_a_writer_is_its_room() {
    let queue = counting();
    let (unix, _peer) = pair();
    let (tcp, _peer) = tcp_pair();
    queue.add(&unix, WRITE, LEVEL, 1);
    queue.add(&tcp, WRITE, LEVEL, 2);
    let events = queue.collect();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.data() > 1), "{events:?}");
}

#[test]
fn k119_less_room_is_reported_as_less() {
    let queue = counting();
    let (mut socket, _peer) = pair();
    queue.add(&socket, WRITE, LEVEL, 1);
    let empty = queue.one().data();
    socket.write_all(&[7; 1_000]).unwrap();
    let less = queue.one().data();
    // FreeBSD reports the whole buffer until it is full.
    assert!(
        less < empty || cfg!(target_os = "freebsd") && less == empty,
        "{less} of {empty}"
    );
}

#[test]
fn k126_a_refused_connection_has_its_errno() {
    let queue = counting();
    let refusing = bound();
    let socket = tcp_socket();
    let result = connect(&socket, refusing.local_addr().unwrap());
    queue.add(&socket, WRITE, LEVEL, 1);
    let event = queue.end_of(WRITE);
    match result.err().and_then(|error| error.raw_os_error()) {
        Some(libc::EINPROGRESS) => assert_eq!(event.fflags(), libc::ECONNREFUSED as u32),
        Some(libc::ECONNREFUSED) => assert_eq!(event.fflags(), 0),
        errno => panic!("{errno:?}"),
    }
}

#[test]
fn k131_the_data_of_a_pipe_is_its_bytes() {
    let queue = counting();
    let (reader, mut writer) = pipe();
    queue.add(&reader, READ, LEVEL, 1);
    writer.write_all(b"x").unwrap();
    writer.write_all(&[7; 10]).unwrap();
    assert_eq!(queue.one().data(), 11);
}

#[test]
fn k132_the_end_of_a_pipe_has_the_number_of_unread_bytes() {
    let queue = counting();
    let (reader, mut writer) = pipe();
    queue.add(&reader, READ, LEVEL, 1);
    writer.write_all(b"abc").unwrap();
    drop(writer);
    let event = queue.one();
    assert_eq!((event.is_eof(), event.data()), (true, 3));
    drain(&reader);
    let event = queue.one();
    assert_eq!((event.is_eof(), event.data()), (true, 0));
    assert_eq!(event.fflags(), 0);
}

#[test]
fn k133_the_data_of_a_pipe_to_write_to_is_its_room() {
    let queue = counting();
    let (_reader, mut writer) = pipe();
    queue.add(&writer, WRITE, LEVEL, 1);
    let empty = queue.one().data();
    assert!(empty > 1);
    writer.write_all(&[7; 1_000]).unwrap();
    let less = queue.one().data();
    if cfg!(any(target_os = "linux", target_os = "android")) {
        assert_eq!(less, empty - 1_000);
    }
}

#[test]
fn k133_a_pipe_without_a_reader_has_no_errno() {
    let queue = counting();
    let (reader, writer) = pipe();
    queue.add(&writer, WRITE, LEVEL, 1);
    drop(reader);
    let event = queue.one();
    assert_eq!((event.is_eof(), event.fflags()), (true, 0));
}

#[test]
fn k9_the_data_of_an_inner_queue_is_one_at_least() {
    let (inner, outer) = (Queue::new(), counting());
    outer.add(&inner, READ, LEVEL, 1);
    inner.add_user(1, CLEAR);
    inner.trigger(1);
    assert!(outer.one().data() >= 1);
}

#[test]
fn k68_the_data_of_a_oneshot_that_is_collected_late_may_be_stale_but_not_more_than_was_there() {
    let queue = counting();
    let (reader, mut writer) = pair();
    queue.add(&reader, READ, ONESHOT, 1);
    writer.write_all(b"12345").unwrap();
    assert_eq!(drain(&reader), 5);
    writer.write_all(b"123").unwrap();
    assert!((1..=5).contains(&queue.one().data()));
}

#[test]
fn k85_an_event_that_did_not_fit_has_the_data_of_its_delivery() {
    let queue = counting();
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    queue.add(&socket, READ, CLEAR, 1);
    queue.add(&socket, WRITE, CLEAR, 2);
    let first = queue.collect_at_most(1);
    peer.write_all(b"yz").unwrap();
    let mut seen = [first, queue.collect()].concat();
    seen.retain(|event| event.filter() == READ);
    assert!([1, 3].contains(&seen[0].data()));
    assert!(
        seen.iter()
            .all(|event| event.flags() & EventFlags::EOF == LEVEL)
    );
}

/// A socket with this number; a descriptor that had the number is closed.
fn at(number: i32, socket: impl Into<OwnedFd>) -> TcpStream {
    let socket: OwnedFd = socket.into();
    // SAFETY: no other test uses the number, and its owner is forgotten.
    let fd = unsafe {
        let fd = check(libc::dup2(socket.as_raw_fd(), number)).unwrap();
        OwnedFd::from_raw_fd(fd)
    };
    TcpStream::from(fd)
}

#[test]
fn k100_the_error_of_an_old_file_is_not_reported_for_a_new_one() {
    let queue = counting();
    let (old, peer) = tcp_pair();
    let old = at(600, old);
    queue.add(&old, READ, LEVEL, 1);
    reset(peer);
    assert_eq!(queue.end_of(READ).fflags(), reset_error());
    std::mem::forget(old);
    let (new, peer) = tcp_pair();
    let new = at(600, new);
    queue.add(&new, READ, LEVEL, 2);
    drop(peer);
    let event = queue.end_of(READ);
    assert_eq!((event.udata(), event.fflags()), (2, 0));
    assert_eq!(new.as_fd().as_raw_fd(), 600);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k109_the_error_of_an_attempt_to_connect_is_not_that_of_the_connection_made_later() {
    let queue = counting();
    let socket = tcp_socket();
    connect(&socket, bound().local_addr().unwrap()).unwrap_or_default();
    queue.add(&socket, READ, CLEAR, 1);
    queue.add(&socket, WRITE, CLEAR, 1);
    assert_eq!(queue.end_of(WRITE).fflags(), libc::ECONNREFUSED as u32);

    let listener = listener();
    // The first attempt after a failure only reports the failure.
    for _ in 0..2 {
        connect(&socket, listener.local_addr().unwrap()).unwrap_or_default();
    }
    assert!(!queue.one_of(WRITE).is_eof());
    listener.accept().unwrap();
    assert_eq!(queue.end_of(READ).fflags(), 0);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k109_a_reader_alone_does_not_get_the_error_of_an_earlier_attempt() {
    for (resets, error) in [(false, 0), (true, reset_error())] {
        let queue = counting();
        let socket = tcp_socket();
        queue.add(&socket, READ, CLEAR, 1);
        connect(&socket, bound().local_addr().unwrap()).unwrap_or_default();
        assert_eq!(queue.end_of(READ).fflags(), libc::ECONNREFUSED as u32);

        let listener = listener();
        for _ in 0..2 {
            connect(&socket, listener.local_addr().unwrap()).unwrap_or_default();
        }
        let (peer, _) = listener.accept().unwrap();
        if resets {
            reset(peer);
        } else {
            drop(peer);
        }
        assert_eq!(queue.end_of(READ).fflags(), error);
    }
}

#[test]
fn k133_a_pipe_without_a_reader_has_no_room() {
    let queue = counting();
    let (reader, writer) = pipe();
    queue.add(&writer, WRITE, LEVEL, 1);
    assert!(queue.one().data() > 0);
    drop(reader);
    let event = queue.end_of(WRITE);
    assert_eq!(event.data(), 0);
}
