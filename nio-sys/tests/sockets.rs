//! READ and WRITE on sockets: K105–K129, K160.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::time::Duration;

use nio_sys::{EventFlags, Kevent};
use support::*;

/// The rules that hold for both kinds of stream, as functions of two connected sockets.
mod stream {
    use super::*;

    pub(super) fn data_is_readable(reader: &impl AsFd, mut writer: impl Write) {
        let queue = Queue::new();
        queue.add(reader, READ, LEVEL, 1);
        queue.assert_silent();
        for size in [1, 99] {
            writer.write_all(&vec![0; size]).unwrap();
            let event = queue.one();
            assert!(!event.is_eof());
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            assert!(event.data() >= 1);
        }
    }

    pub(super) fn the_end_comes_with_unread_data_and_stays(
        mut reader: impl Read + AsFd,
        writer: impl Write,
    ) {
        let queue = Queue::new();
        queue.add(&reader, READ, LEVEL, 1);
        let mut writer = writer;
        writer.write_all(b"hello").unwrap();
        drop(writer);
        queue.end_of(READ);
        reader.read_exact(&mut [0; 5]).unwrap();
        for _ in 0..3 {
            assert!(queue.one().is_eof());
        }
        assert_eq!(reader.read(&mut [0; 5]).unwrap(), 0);
        queue.delete(&reader, READ);
        queue.assert_silent();
    }

    pub(super) fn an_edge_reports_the_end_once(reader: &impl AsFd, writer: impl Write) {
        let queue = Queue::new();
        queue.add(reader, READ, CLEAR, 1);
        drop(writer);
        assert!(queue.one().is_eof());
        queue.assert_silent();
        queue.add(reader, READ, CLEAR, 1);
        assert!(queue.one().is_eof());
        queue.assert_silent();
    }

    pub(super) fn an_orderly_end_has_no_errno(reader: &impl AsFd, writer: impl Write) {
        let queue = Queue::new();
        queue.add(reader, READ, LEVEL, 1);
        drop(writer);
        let event = queue.end_of(READ);
        assert_eq!(event.fflags(), 0);
    }
}

#[test]
fn k105_data_is_readable() {
    let (a, b) = tcp_pair();
    stream::data_is_readable(&a, b);
}

#[test]
fn k106_the_end_comes_with_unread_data_and_stays() {
    let (a, b) = tcp_pair();
    stream::the_end_comes_with_unread_data_and_stays(a, b);
}

#[test]
fn k106_the_peers_half_close_is_the_end_of_reading() {
    let queue = Queue::new();
    let (socket, peer) = tcp_pair();
    queue.add(&socket, READ, LEVEL, 1);
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(queue.one().is_eof());
    assert!(queue.one().is_eof());
}

#[test]
fn k107_an_edge_reports_the_end_once() {
    let (a, b) = tcp_pair();
    stream::an_edge_reports_the_end_once(&a, b);
}

#[test]
fn k108_a_reset_is_the_end_of_both_filters() {
    let queue = Queue::new();
    let (socket, peer) = tcp_pair();
    queue.add(&socket, READ, LEVEL, 1);
    queue.add(&socket, WRITE, LEVEL, 2);
    reset(peer);
    for filter in [READ, WRITE] {
        let event = queue.end_of(filter);
        // Linux leaves the error to the program, which asks the socket.
        let errno = event.fflags() as i32;
        assert!([0, libc::ECONNRESET].contains(&errno), "{errno}");
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    assert_eq!(
        socket.take_error().unwrap().unwrap().kind(),
        ErrorKind::ConnectionReset
    );
}

#[test]
fn k109_an_orderly_end_has_no_errno() {
    let (a, b) = tcp_pair();
    stream::an_orderly_end_has_no_errno(&a, b);
}

#[test]
fn k110_a_pending_error_is_readable_and_not_an_end() {
    let queue = Queue::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(gone.local_addr().unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    // Connected to itself, it holds the port and refuses datagrams of others.
    gone.connect(gone.local_addr().unwrap()).unwrap();
    queue.add(&socket, READ, LEVEL, 1);
    socket.send(b"x").unwrap();
    assert!(!queue.one().is_eof());
    let error = socket.recv(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    queue.assert_silent();
}

#[test]
fn k111_shutdown_of_reading_on_this_side_is_the_end_of_reading() {
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let (socket, _peer) = tcp_pair();
        queue.add(&socket, READ, mode, 1);
        queue.assert_silent();
        socket.shutdown(Shutdown::Read).unwrap();
        assert!(queue.one().is_eof());
    }
}

#[test]
fn k112_a_listener_is_readable_while_connections_wait() {
    let queue = Queue::new();
    let listener = listener();
    queue.add(&listener, READ, LEVEL, 1);
    queue.assert_silent();
    let address = listener.local_addr().unwrap();
    let _clients = [(); 2].map(|()| std::net::TcpStream::connect(address).unwrap());
    for _ in 0..2 {
        let event = queue.one();
        assert!(!event.is_eof());
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        assert!(event.data() >= 1);
        listener.accept().unwrap();
    }
    queue.assert_silent();
}

#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "android"
))]
#[test]
fn k112_a_listener_may_be_added_before_it_listens() {
    use std::os::fd::AsRawFd;
    let queue = Queue::new();
    let socket = tcp_socket();
    queue.add(&socket, READ, LEVEL, 1);
    queue.assert_silent();
    // SAFETY: takes no pointers. The socket is bound to a port of the system's choice.
    check(unsafe { libc::listen(socket.as_raw_fd(), 8) }).unwrap();
    let port = socket.local_addr().unwrap().port();
    let _client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(!queue.one().is_eof());
    queue.one();
}

#[test]
fn k113_one_edge_of_a_listener_may_stand_for_several_connections() {
    let queue = Queue::new();
    let listener = listener();
    queue.add(&listener, READ, CLEAR, 1);
    let address = listener.local_addr().unwrap();
    let connect = || std::net::TcpStream::connect(address).unwrap();
    let _three = [connect(), connect(), connect()];
    queue.one();
    queue.assert_silent();
    let accepted = std::iter::from_fn(|| listener.accept().ok()).count();
    assert_eq!(accepted, 3);
    let _fourth = connect();
    queue.one();
}

#[test]
fn k114_a_listener_is_never_writable() {
    let queue = Queue::new();
    let listener = listener();
    queue.add(&listener, WRITE, LEVEL, 1);
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    queue.assert_silent_for(50);
}

#[test]
fn k115_a_socket_that_was_never_connected_is_silent() {
    for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
        for wanted in [&[READ, WRITE][..], &[READ], &[WRITE]] {
            let queue = Queue::new();
            let socket = tcp_socket();
            for &filter in wanted {
                queue.add(&socket, filter, mode, 1);
            }
            queue.assert_silent();
            queue.assert_silent_for(5);
        }
    }
}

#[test]
fn k115_a_unix_socket_that_was_never_connected_is_silent() {
    use std::os::fd::{FromRawFd, OwnedFd};
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        // SAFETY: takes no pointers, and the number has no other owner.
        let socket = unsafe {
            let fd = check(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)).unwrap();
            OwnedFd::from_raw_fd(fd)
        };
        queue.add(&socket, READ, mode, 1);
        queue.add(&socket, WRITE, mode, 1);
        queue.assert_silent();
        queue.assert_silent_for(5);
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k115_waiting_on_a_socket_that_was_never_connected_costs_no_time() {
    /// The time this thread has spent on the processor.
    fn spent() -> Duration {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the timespec lives until the call returns.
        check(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }).unwrap();
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    for wanted in [&[READ, WRITE][..], &[READ], &[WRITE]] {
        let queue = Queue::new();
        let socket = tcp_socket();
        for &filter in wanted {
            queue.add(&socket, filter, LEVEL, 1);
        }
        let before = spent();
        queue.assert_silent_for(100);
        assert!(spent() - before < Duration::from_millis(50));
    }
}

#[test]
fn k115_a_socket_that_gets_connected_is_level_triggered_again() {
    let queue = Queue::new();
    let listener = listener();
    let socket = tcp_socket();
    queue.add(&socket, READ, LEVEL, 1);
    queue.add(&socket, WRITE, LEVEL, 2);
    queue.assert_silent();
    let _ = connect(&socket, listener.local_addr().unwrap());
    for _ in 0..3 {
        assert_eq!(queue.one().udata(), 2);
    }
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"x").unwrap();
    for _ in 0..3 {
        queue.one_of(READ);
        queue.one_of(WRITE);
    }
}

/// Apple systems refuse to shut a listener down; FreeBSD does it and says ENOTCONN.
#[cfg(any(target_os = "freebsd", target_os = "linux", target_os = "android"))]
#[test]
fn k115_a_listener_that_is_shut_down_has_ended() {
    use std::os::fd::AsRawFd;
    for how in [libc::SHUT_RD, libc::SHUT_RDWR] {
        for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
            let queue = Queue::new();
            let listener = listener();
            queue.add(&listener, READ, mode, 1);
            queue.assert_silent();
            // SAFETY: takes no pointers.
            unsafe { libc::shutdown(listener.as_raw_fd(), how) };
            assert!(queue.one().is_eof());
            if mode == LEVEL {
                assert!(queue.one().is_eof());
            } else {
                queue.assert_silent();
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k115_a_socket_that_listened_after_it_was_added_ends_when_it_is_shut_down() {
    use std::os::fd::AsRawFd;
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let socket = tcp_socket();
        queue.add(&socket, READ, mode, 1);
        queue.assert_silent();
        // SAFETY: neither takes pointers.
        unsafe {
            check(libc::listen(socket.as_raw_fd(), 8)).unwrap();
            check(libc::shutdown(socket.as_raw_fd(), libc::SHUT_RD)).unwrap();
        }
        assert!(queue.one().is_eof());
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k115_a_socket_whose_connection_was_refused_has_ended() {
    let queue = Queue::new();
    let (socket, refuses) = (tcp_socket(), bound());
    socket.set_nonblocking(false).unwrap();
    connect(&socket, refuses.local_addr().unwrap()).unwrap_err();
    queue.add(&socket, READ, LEVEL, 1);
    assert!(queue.one().is_eof());
}

#[test]
fn k116_an_empty_datagram_is_readable_and_not_an_end() {
    let queue = Queue::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    queue.add(&socket, READ, LEVEL, 1);
    queue.assert_silent();
    socket.send_to(b"", socket.local_addr().unwrap()).unwrap();
    assert!(!queue.one().is_eof());
    assert_eq!(socket.recv(&mut [0]).unwrap(), 0);
    queue.assert_silent();
}

#[test]
fn k116_datagrams_are_readable_one_by_one() {
    let queue = Queue::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    queue.add(&a, READ, LEVEL, 1);
    b.send(b"x").unwrap();
    b.send(b"y").unwrap();
    for _ in 0..2 {
        let event = queue.one();
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        assert!(event.data() >= 1);
        assert!(!event.is_eof());
        a.recv(&mut [0]).unwrap();
    }
    queue.assert_silent();
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[test]
fn k117_the_data_of_a_datagram_socket_is_its_bytes() {
    let queue = Queue::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    queue.add(&a, READ, LEVEL, 1);
    b.send(b"four").unwrap();
    assert!(queue.one().data() >= 4);
}

#[test]
fn k118_unix_data_is_readable() {
    let (a, b) = pair();
    stream::data_is_readable(&a, b);
}

#[test]
fn k118_the_end_of_a_unix_socket_comes_with_unread_data_and_stays() {
    let (a, b) = pair();
    stream::the_end_comes_with_unread_data_and_stays(a, b);
}

#[test]
fn k118_an_edge_reports_the_end_of_a_unix_socket_once() {
    let (a, b) = pair();
    stream::an_edge_reports_the_end_once(&a, b);
}

#[test]
fn k118_an_orderly_end_of_a_unix_socket_has_no_errno() {
    let (a, b) = pair();
    stream::an_orderly_end_has_no_errno(&a, b);
}

#[test]
fn k118_a_unix_peer_that_leaves_data_unread_is_the_end() {
    let queue = Queue::new();
    let (mut socket, peer) = pair();
    queue.add(&socket, READ, LEVEL, 1);
    queue.add(&socket, WRITE, LEVEL, 2);
    socket.write_all(b"unread").unwrap();
    drop(peer);
    for filter in [READ, WRITE] {
        let errno = queue.end_of(filter).fflags() as i32;
        assert!([0, libc::ECONNRESET].contains(&errno), "{errno}");
    }
}

#[test]
fn k119_a_connected_socket_with_room_is_writable_at_once() {
    let queue = Queue::new();
    let ((tcp, _a), (unix, _b)) = (tcp_pair(), pair());
    queue.add(&tcp, WRITE, LEVEL, 1);
    queue.add(&unix, WRITE, LEVEL, 2);
    for _ in 0..2 {
        let events = queue.collect();
        assert_eq!(events.len(), 2);
        assert!(events.iter().all(|event| !event.is_eof()));
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        assert!(events.iter().all(|event| event.data() > 0));
    }
}

#[test]
fn k120_a_full_buffer_is_silent_until_it_is_drained() {
    for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
        let queue = Queue::new();
        let (writer, reader) = pair();
        fill(&writer);
        queue.add(&writer, WRITE, mode, 1);
        queue.assert_silent();
        drain(&reader);
        assert_eq!(queue.one().udata(), 1);
    }
}

#[test]
fn k120_a_full_tcp_buffer_is_silent_until_it_is_drained() {
    let queue = Queue::new();
    let (writer, reader) = tcp_pair();
    // Bytes that move to the peer's buffer leave room: fill until no more fit.
    while fill(&writer) > 0 {}
    queue.add(&writer, WRITE, LEVEL, 1);
    let reading = queue_of(&reader);
    while queue.collect().is_empty() {
        reading.wait();
        drain(&reader);
    }
}

/// A queue that watches one socket for reading.
fn queue_of(socket: &impl AsFd) -> Queue {
    let queue = Queue::new();
    queue.add(socket, READ, LEVEL, 0);
    queue
}

#[test]
fn k121_shutdown_of_writing_on_this_side_is_reported() {
    let queue = Queue::new();
    let (socket, _peer) = tcp_pair();
    queue.add(&socket, WRITE, LEVEL, 1);
    socket.shutdown(Shutdown::Write).unwrap();
    let event = queue.one();
    // Linux does not report it.
    assert!(event.is_eof() || cfg!(any(target_os = "linux", target_os = "android")));
}

#[test]
fn k122_the_peers_half_close_is_not_the_end_of_writing() {
    let (mut socket, peer) = pair();
    let queue = Queue::new();
    queue.add(&socket, WRITE, LEVEL, 1);
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(!queue.one().is_eof());
    socket.write_all(b"x").unwrap();
}

#[test]
fn k122_the_peers_half_close_of_tcp_is_not_the_end_of_writing() {
    let (mut socket, peer) = tcp_pair();
    let queue = Queue::new();
    queue.add(&socket, READ, CLEAR, 1);
    queue.add(&socket, WRITE, LEVEL, 2);
    peer.shutdown(Shutdown::Write).unwrap();
    queue.end_of(READ);
    assert!(!queue.one_of(WRITE).is_eof());
    socket.write_all(b"x").unwrap();
}

#[test]
fn k123_a_unix_peer_that_closes_is_the_end_of_both() {
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let (socket, peer) = pair();
        queue.add(&socket, READ, mode, 1);
        queue.add(&socket, WRITE, mode, 2);
        queue.collect();
        drop(peer);
        let events = queue.collect();
        assert_eq!(filters(&events), [READ, WRITE]);
        assert!(events.iter().all(Kevent::is_eof), "{events:?}");
    }
}

#[test]
fn k123_a_unix_peer_that_closes_is_the_end_of_writing_alone() {
    for mode in [LEVEL, CLEAR] {
        let queue = Queue::new();
        let (socket, peer) = pair();
        queue.add(&socket, WRITE, mode, 2);
        drop(peer);
        assert!(queue.one().is_eof());
    }
}

#[test]
fn k124_after_shutdown_of_writing_on_this_side_data_can_be_read() {
    let queue = Queue::new();
    let (mut socket, mut peer) = tcp_pair();
    queue.add(&socket, READ, CLEAR, 1);
    socket.shutdown(Shutdown::Write).unwrap();
    peer.write_all(b"answer").unwrap();
    assert!(!queue.one_of(READ).is_eof());
    socket.read_exact(&mut [0; 6]).unwrap();
}

#[test]
fn k125_a_socket_becomes_writable_when_its_connection_is_made() {
    for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
        let queue = Queue::new();
        let listener = listener();
        let socket = tcp_socket();
        let _ = connect(&socket, listener.local_addr().unwrap());
        queue.add(&socket, WRITE, mode, 1);
        let event = queue.one();
        assert!(!event.is_eof());
        assert!(socket.take_error().unwrap().is_none());
        assert!(socket.peer_addr().is_ok());
    }
}

#[test]
fn k125_a_socket_added_before_it_is_connected_reports_the_connection() {
    for mode in [LEVEL, CLEAR, ONESHOT, DISPATCH] {
        let queue = Queue::new();
        let listener = listener();
        let socket = tcp_socket();
        queue.add(&socket, WRITE, mode, 1);
        queue.assert_silent();
        let _ = connect(&socket, listener.local_addr().unwrap());
        let event = queue.one();
        assert!(!event.is_eof());
        assert!(socket.peer_addr().is_ok());
    }
}

#[test]
fn k126_a_refused_connection_is_the_end_of_writing() {
    let queue = Queue::new();
    let (refusing, socket) = (bound(), tcp_socket());
    let said = connect(&socket, refusing.local_addr().unwrap());
    queue.add(&socket, WRITE, LEVEL, 1);
    // A system that refused the connection in connect(2) has returned the error there.
    match said {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
            assert!(queue.end_of(WRITE).is_eof());
            if cfg!(any(target_os = "linux", target_os = "android")) {
                let error = socket.take_error().unwrap().unwrap();
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            }
        }
        said => assert_eq!(said.unwrap_err().kind(), ErrorKind::ConnectionRefused),
    }
}

#[test]
fn k126_a_refused_connection_is_the_end_of_both_filters() {
    let queue = Queue::new();
    let (refusing, socket) = (bound(), tcp_socket());
    let _ = connect(&socket, refusing.local_addr().unwrap());
    queue.add(&socket, READ, CLEAR, 1);
    queue.add(&socket, WRITE, CLEAR, 2);
    let events = queue.wait();
    assert_eq!(filters(&events), [READ, WRITE]);
    assert!(events.iter().all(Kevent::is_eof), "{events:?}");
}

#[test]
fn k127_a_udp_socket_is_writable_at_once() {
    let queue = Queue::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    queue.add(&socket, WRITE, LEVEL, 1);
    assert!(!queue.one().is_eof());
    socket.connect(socket.local_addr().unwrap()).unwrap();
    assert!(!queue.one().is_eof());
}

#[test]
fn k128_an_arrival_is_reported_as_readable() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    queue.add(&socket, READ, CLEAR, 1);
    queue.add(&socket, WRITE, CLEAR, 2);
    queue.collect();
    peer.write_all(b"x").unwrap();
    let events = queue.collect();
    assert!(filters(&events).contains(&READ));
    // Linux may report the other direction too.
    assert!(events.len() == 1 || cfg!(any(target_os = "linux", target_os = "android")));
    queue.assert_silent();
}

#[test]
fn k128_a_readers_edge_is_not_woken_by_room_to_write_alone() {
    let queue = Queue::new();
    let (socket, peer) = pair();
    queue.add(&socket, READ, CLEAR, 1);
    fill(&socket);
    drain(&peer);
    queue.assert_silent();
}

#[test]
fn k129_an_edge_and_a_level_knote_of_one_descriptor_keep_their_modes() {
    for read_is_level in [true, false] {
        for read_first in [true, false] {
            let queue = Queue::new();
            let (socket, mut peer) = pair();
            peer.write_all(b"x").unwrap();
            let mode = |level| if level { LEVEL } else { CLEAR };
            let mut knotes = [(READ, mode(read_is_level)), (WRITE, mode(!read_is_level))];
            if !read_first {
                knotes.reverse();
            }
            for (filter, mode) in knotes {
                queue.add(&socket, filter, mode, 1);
            }
            assert_eq!(queue.collect().len(), 2);
            for _ in 0..3 {
                let level = if read_is_level { READ } else { WRITE };
                assert_eq!(filters(&queue.collect()), [level]);
            }
        }
    }
}

#[test]
fn k129_the_modes_stay_when_the_other_knote_comes_and_goes() {
    let queue = Queue::new();
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    queue.add(&socket, READ, CLEAR, 1);
    for _ in 0..2 {
        queue.add(&socket, WRITE, LEVEL, 2);
        queue.collect();
        for _ in 0..2 {
            assert_eq!(filters(&queue.collect()), [WRITE]);
        }
        queue.disable(&socket, WRITE, 2);
        queue.collect();
        queue.assert_silent();
        peer.write_all(b"x").unwrap();
        assert_eq!(filters(&queue.collect()), [READ]);
        queue.enable(&socket, WRITE, 2);
        assert!(filters(&queue.collect()).contains(&WRITE));
        queue.delete(&socket, WRITE);
        queue.collect();
        queue.assert_silent();
    }
}

#[test]
fn k129_the_end_is_reported_in_each_mode() {
    for (read, write) in [(CLEAR, LEVEL), (LEVEL, CLEAR)] {
        let queue = Queue::new();
        let (socket, peer) = pair();
        queue.add(&socket, READ, read, 1);
        queue.add(&socket, WRITE, write, 2);
        queue.collect();
        drop(peer);
        let events = queue.collect();
        assert_eq!(filters(&events), [READ, WRITE]);
        assert!(events.iter().all(Kevent::is_eof));
        let level = if read == LEVEL { READ } else { WRITE };
        for _ in 0..2 {
            assert_eq!(filters(&queue.collect()), [level]);
        }
    }
}

#[test]
fn k160_an_urgent_byte_is_not_the_end() {
    let queue = Queue::new();
    let (socket, mut peer) = tcp_pair();
    queue.add(&socket, READ, LEVEL, 1);
    send_urgent(&peer);
    peer.write_all(b"abc").unwrap();
    assert_eq!(queue.one().flags() & EventFlags::EOF, EventFlags::empty());
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k154_an_eventfd_can_be_watched() {
    use std::fs::File;
    use std::os::fd::FromRawFd;
    let queue = Queue::new();
    // SAFETY: takes no pointers, and the number has no other owner.
    let mut eventfd = unsafe {
        let fd = check(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)).unwrap();
        File::from_raw_fd(fd)
    };
    queue.add(&eventfd, READ, LEVEL, 1);
    queue.assert_silent();
    eventfd.write_all(&1_u64.to_ne_bytes()).unwrap();
    assert!(!queue.one().is_eof());
    eventfd.read_exact(&mut [0; 8]).unwrap();
    queue.assert_silent();
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn k115_a_connection_that_is_made_where_there_is_no_descriptor_left_keeps_its_knotes() {
    in_child(|| {
        let queue = Queue::new();
        let (socket, listener) = (tcp_socket(), listener());
        queue.add(&socket, READ, CLEAR, 1);
        queue.assert_silent();
        queue.add(&socket, WRITE, LEVEL, 2);
        queue.assert_silent();
        limit_descriptors(next_number());
        connect(&socket, listener.local_addr().unwrap()).unwrap_or_default();
        assert_eq!(queue.one().udata(), 2);
        limit_descriptors(256);
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"x").unwrap();
        while queue.one_of(READ).udata() != 1 {}
        for _ in 0..3 {
            assert_eq!(queue.one_of(WRITE).udata(), 2);
        }
    });
}
