//! Rare errors of the kernel, or of other systems, injected by a test.
//!
//! Functions of the C library are replaced by functions of this program, which make the same system
//! calls, but for those that a test wants to fail ([`fail`]). This can be done where the names of a
//! program come before those of its libraries.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod support;

use std::{
    cell::Cell,
    io::ErrorKind,
    net::{self, SocketAddr},
    os::fd::AsRawFd,
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicI32, AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use libc::{
    SYS_bind, SYS_getpeername, SYS_recvfrom, SYS_sendto, SYS_socket, c_int, c_long, c_void, size_t,
    sockaddr, socklen_t, ssize_t,
};
use nio_net::{Error, TcpListener, TcpStream, UdpSocket};
use support::{
    ANY_PORT, Counted, Place, end_of_turn, join, listen, pair_with_std, poll, poll_once,
    read_to_end, run,
};

/// The functions that are replaced.
#[derive(Clone, Copy, PartialEq)]
enum Call {
    Accept,
    Bind,
    Connect,
    Peer,
    Receive,
    Send,
    SendFile,
    Socket,
}

/// Which calls of this thread fail.
#[derive(Clone, Copy)]
struct Failure {
    call: Call,
    errno: c_int,
    /// How many calls do not fail before.
    after: u32,
    times: u32,
}

thread_local! {
    // Without a destructor: descriptors are closed also when a thread ends.
    static FAILURE: Cell<Option<Failure>> = const { Cell::new(None) };
}

/// Makes the next calls fail, so many times.
fn fail(call: Call, errno: c_int, times: u32) {
    fail_after(0, call, errno, times);
}

/// Makes calls fail, so many times, after so many that do not.
fn fail_after(after: u32, call: Call, errno: c_int, times: u32) {
    let failure = Failure {
        call,
        errno,
        after,
        times,
    };
    FAILURE.set(Some(failure));
}

/// How many calls are still to fail.
fn failures_left() -> u32 {
    FAILURE.get().map_or(0, |failure| failure.times)
}

/// Whether this call fails, and with which error.
fn fails(call: Call) -> Option<c_int> {
    let mut failure = FAILURE.get().filter(|failure| failure.call == call)?;
    if failure.after > 0 {
        failure.after -= 1;
        FAILURE.set(Some(failure));
        return None;
    }
    failure.times = failure.times.checked_sub(1)?;
    FAILURE.set(Some(failure));
    Some(failure.errno)
}

fn set_errno(errno: c_int) -> c_long {
    // SAFETY: the pointer is to this thread's own number.
    unsafe { *libc::__errno_location() = errno };
    -1
}

/// The call with offsets of 64 bits.
#[cfg(target_pointer_width = "64")]
const SYS_SENDFILE: c_long = libc::SYS_sendfile;
#[cfg(target_pointer_width = "32")]
const SYS_SENDFILE: c_long = libc::SYS_sendfile64;

/// Replaces functions: the call is not made when it is to fail.
macro_rules! replace {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $call:ident, $number:ident($($given:expr),*);)*) => {$(
        // SAFETY: it is called as, and does what, the function of this name in the C library.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            let result = match fails(Call::$call) {
                Some(errno) => set_errno(errno),
                // SAFETY: the caller vouches for the arguments.
                None => unsafe { libc::syscall($number, $($given),*) },
            };
            result as $result
        }
    )*};
}

replace! {
    bind(fd: c_int, address: *const sockaddr, len: socklen_t) -> c_int
        = Bind, SYS_bind(fd, address, len);
    getpeername(fd: c_int, address: *mut sockaddr, len: *mut socklen_t) -> c_int
        = Peer, SYS_getpeername(fd, address, len);
    recv(fd: c_int, bytes: *mut c_void, len: size_t, flags: c_int) -> ssize_t
        = Receive, SYS_recvfrom(fd, bytes, len, flags, 0_usize, 0_usize);
    send(fd: c_int, bytes: *const c_void, len: size_t, flags: c_int) -> ssize_t
        = Send, SYS_sendto(fd, bytes, len, flags, 0_usize, 0_usize);
    sendto(fd: c_int, bytes: *const c_void, len: size_t, flags: c_int, to: *const sockaddr, to_len: socklen_t) -> ssize_t
        = Send, SYS_sendto(fd, bytes, len, flags, to, to_len);
    sendfile64(to: c_int, from: c_int, offset: *mut libc::off64_t, count: size_t) -> ssize_t
        = SendFile, SYS_SENDFILE(to, from, offset, count);
    // musl has it under this name.
    sendfile(to: c_int, from: c_int, offset: *mut libc::off64_t, count: size_t) -> ssize_t
        = SendFile, SYS_SENDFILE(to, from, offset, count);
    socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int
        = Socket, SYS_socket(domain, kind, protocol);
}

/// The error that says: accept, but without an address, as macOS does with what broke meanwhile.
const NO_ADDRESS: c_int = -1;

// SAFETY: it is called as, and does what, the function of this name in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(
    fd: c_int,
    address: *mut sockaddr,
    len: *mut socklen_t,
    flags: c_int,
) -> c_int {
    let failure = fails(Call::Accept);
    if let Some(errno) = failure.filter(|&errno| errno != NO_ADDRESS) {
        return set_errno(errno) as c_int;
    }
    // SAFETY: the caller vouches for the arguments.
    let result = unsafe { libc::syscall(libc::SYS_accept4, fd, address, len, flags) };
    if failure.is_some() {
        // SAFETY: as above; both are there in the calls of this program.
        unsafe {
            (*address).sa_family = 0;
            *len = 0;
        }
    }
    result as c_int
}

/// A signal comes when the connection is under way.
// SAFETY: it is called as, and does what, the function of this name in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, len: socklen_t) -> c_int {
    let failure = fails(Call::Connect);
    if let Some(errno) = failure.filter(|&errno| errno != libc::EINTR) {
        return set_errno(errno) as c_int;
    }
    // SAFETY: the caller vouches for the arguments.
    let result = unsafe { libc::syscall(libc::SYS_connect, fd, address, len) };
    failure.map_or(result, set_errno) as c_int
}

/// The descriptor whose closing is watched, and how often it was closed.
static WATCHED: AtomicI32 = AtomicI32::new(-1);
static CLOSED: AtomicU32 = AtomicU32::new(0);

/// One whose failure comes when it is done, as Linux does it.
// SAFETY: it is called as, and does what, the function of this name in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    // SAFETY: the caller vouches for the argument.
    let result = unsafe { libc::syscall(libc::SYS_close, fd) };
    if fd == WATCHED.load(Ordering::Relaxed) {
        CLOSED.fetch_add(1, Ordering::Relaxed);
        return set_errno(libc::EINTR) as c_int;
    }
    result as c_int
}

/// The errors by which accept(2) reports a connection that has broken in the queue, and a signal.
const OF_THE_CONNECTION: [c_int; 11] = [
    libc::ECONNABORTED,
    libc::EPROTO,
    libc::ENOPROTOOPT,
    libc::EOPNOTSUPP,
    libc::ENONET,
    libc::ENETDOWN,
    libc::ENETUNREACH,
    libc::EHOSTDOWN,
    libc::EHOSTUNREACH,
    // Of a firewall.
    libc::EPERM,
    libc::EINTR,
];

const SHORTAGES: [c_int; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];

#[test]
fn l64_errors_of_a_connection_do_not_end_accepting() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        for errno in OF_THE_CONNECTION {
            let client = net::TcpStream::connect(address).unwrap();
            fail(Call::Accept, errno, 3);
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            assert_eq!(failures_left(), 0);
        }
        for errno in OF_THE_CONNECTION {
            let client = net::TcpStream::connect(address).unwrap();
            fail(Call::Accept, errno, 3);
            let (_, peer) = listener.try_accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    });
}

#[test]
fn l64_a_connection_that_comes_without_an_address_has_broken() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let _broken = net::TcpStream::connect(address).unwrap();
        let client = net::TcpStream::connect(address).unwrap();
        fail(Call::Accept, NO_ADDRESS, 1);
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn l60_l64_errors_of_connections_without_end_leave_the_loop_its_turns() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let client = net::TcpStream::connect(address).unwrap();
        fail(Call::Accept, libc::ECONNABORTED, 200_000);
        let task = handle.spawn(async move { listener.accept().await.unwrap().1 });
        let mut turns = 0;
        while !task.is_finished() {
            end_of_turn(&handle).await;
            turns += 1;
        }
        assert!(turns > 10, "{turns} turns");
        assert_eq!(join(task).await, client.local_addr().unwrap());
    });
}

#[test]
fn l64_running_out_of_descriptors_is_reported_once_and_loses_no_connection() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        for errno in SHORTAGES {
            let client = net::TcpStream::connect(address).unwrap();
            fail(Call::Accept, errno, 2);
            let before = handle.metrics().turns;
            for _ in 0..2 {
                let error = listener.accept().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(errno));
                // Until some time has passed it is not tried again.
                assert!(poll_once(listener.accept()).is_pending());
                let error = listener.try_accept().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
            }
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            let turns = handle.metrics().turns - before;
            assert!(turns < 20, "{turns} turns");
        }
    });
}

#[test]
fn l64_next_does_not_report_that_descriptors_have_run_out() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        for errno in SHORTAGES {
            let client = net::TcpStream::connect(address).unwrap();
            fail(Call::Accept, errno, 2);
            let (_, peer) = listener.next().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    });
}

#[test]
fn l64_a_listener_is_not_readable_in_a_shortage() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        for errno in SHORTAGES {
            let client = net::TcpStream::connect(address).unwrap();
            listener.readable().await.unwrap();
            fail(Call::Accept, errno, 2);
            let before = handle.metrics().turns;
            for _ in 0..2 {
                let error = listener.try_accept().unwrap_err();
                assert_eq!(error.raw_os_error(), Some(errno));
                assert!(poll_once(listener.readable()).is_pending());
                listener.readable().await.unwrap();
            }
            let (_, peer) = listener.try_accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            let turns = handle.metrics().turns - before;
            assert!(turns < 20, "{turns} turns");
        }
    });
}

#[test]
fn l64_an_accepted_connection_ends_a_shortage_however_it_was_accepted() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let began = handle.now();
        // If each pause were twice as long as the one before, this would take more than 2 s.
        for _ in 0..10 {
            let _client = net::TcpStream::connect(address).unwrap();
            listener.readable().await.unwrap();
            fail(Call::Accept, libc::EMFILE, 1);
            listener.try_accept().unwrap_err();
            listener.readable().await.unwrap();
            listener.try_accept().unwrap();
        }
        let took = handle.now() - began;
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
}

#[test]
fn l86_an_accept_that_is_given_up_in_a_shortage_loses_no_connection() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let clients = [(); 3].map(|()| net::TcpStream::connect(address).unwrap());
        fail(Call::Accept, libc::ENFILE, 2);
        assert!(matches!(poll_once(listener.accept()), Poll::Ready(Err(_))));
        for _ in 0..10 {
            assert!(poll_once(listener.accept()).is_pending());
        }
        for client in clients {
            let (_, peer) = listener.next().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    });
}

#[test]
fn l65_a_write_that_finds_no_memory_waits_and_loses_nothing() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        let peer = TcpStream::from_std(&handle, peer).unwrap();
        fail(Call::Send, libc::ENOBUFS, 3);
        let before = handle.metrics().turns;
        stream.write_all(b"hello").await.unwrap();
        let turns = handle.metrics().turns - before;
        assert!((3..20).contains(&turns), "{turns} turns");
        fail(Call::Send, libc::ENOBUFS, 1);
        let error = stream.try_write(b"hello").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        drop(stream);
        assert_eq!(read_to_end(&peer).await.unwrap(), b"hello");
    });
}

#[test]
fn l65_a_file_that_is_sent_without_memory_waits_and_loses_nothing() {
    run(async |handle| {
        let place = Place::new("no-memory");
        std::fs::write(&place.0, b"hello").unwrap();
        let file = std::fs::File::open(&place.0).unwrap();
        let (stream, peer) = pair_with_std(&handle);
        let peer = TcpStream::from_std(&handle, peer).unwrap();
        fail(Call::SendFile, libc::ENOBUFS, 3);
        assert_eq!(stream.send_file_all(&file, ..).await.unwrap(), 5);
        assert_eq!(failures_left(), 0);
        drop(stream);
        assert_eq!(read_to_end(&peer).await.unwrap(), b"hello");
    });
}

#[test]
fn l65_a_reset_that_comes_in_the_midst_of_a_write_is_a_reset() {
    run(async |handle| {
        let (stream, _peer) = pair_with_std(&handle);
        fail(Call::Send, libc::EPROTOTYPE, 1);
        let error = stream.write_all(b"hello").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn l65_a_descriptor_is_closed_once_also_when_a_signal_comes() {
    run(async |handle| {
        let (stream, _peer) = pair_with_std(&handle);
        WATCHED.store(stream.get_ref().as_raw_fd(), Ordering::Relaxed);
        drop(stream);
        WATCHED.store(-1, Ordering::Relaxed);
        assert_eq!(CLOSED.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_read_and_a_write_that_a_signal_interrupts_are_made_again() {
    run(async |handle| {
        let (one, other) = pair_with_std(&handle);
        let other = TcpStream::from_std(&handle, other).unwrap();
        fail(Call::Send, libc::EINTR, 3);
        one.write_all(b"hello").await.unwrap();
        fail(Call::Receive, libc::EINTR, 3);
        let mut bytes = [0; 5];
        other.read_exact(&mut bytes).await.unwrap();
        assert_eq!((&bytes, failures_left()), (b"hello", 0));
    });
}

#[test]
fn an_error_of_a_read_is_returned_unchanged_and_does_not_end_the_stream() {
    run(async |handle| {
        let (one, other) = pair_with_std(&handle);
        let other = TcpStream::from_std(&handle, other).unwrap();
        one.write_all(b"hello").await.unwrap();
        for errno in [libc::ETIMEDOUT, libc::EHOSTUNREACH, libc::ENOMEM] {
            fail(Call::Receive, errno, 1);
            let error = other.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno));
        }
        other.read_exact(&mut [0; 5]).await.unwrap();
    });
}

#[test]
fn q35_a_udp_send_without_buffers_is_an_error_at_once_and_can_be_repeated() {
    run(async |handle| {
        let receiver = UdpSocket::bind(&handle, ANY_PORT).await.unwrap();
        let sender = UdpSocket::bind(&handle, ANY_PORT).await.unwrap();
        let to = receiver.local_addr().unwrap();
        sender.connect(to).await.unwrap();
        let no_buffers = Some(libc::ENOBUFS);
        fail(Call::Send, libc::ENOBUFS, 4);
        let errors = [
            sender.send(b"a").await,
            sender.send_to(b"b", to).await,
            sender.try_send(b"c"),
            sender.try_send_to(b"d", to),
        ];
        for error in errors {
            assert_eq!(error.unwrap_err().raw_os_error(), no_buffers);
        }
        sender.send(b"e").await.unwrap();
        let mut byte = [0];
        receiver.recv(&mut byte).await.unwrap();
        assert_eq!(&byte, b"e");
    });
}

#[test]
fn q40_q41_a_connection_without_a_peer_is_not_made_yet() {
    run(async |handle| {
        let (_listener, address) = listen(&handle);
        for errno in [libc::ENOTCONN, libc::EINVAL] {
            let (of_one, of_any) = (handle.clone(), handle.clone());
            let connects = [
                handle.spawn(async move { TcpStream::connect(&of_one, address).await.is_ok() }),
                handle.spawn(async move {
                    let connect = TcpStream::connect(&of_any, [address; 2]);
                    connect.await.is_ok()
                }),
            ];
            // Each is reported to be writable once, and asks for its peer once.
            fail(Call::Peer, errno, 2);
            while failures_left() > 0 {
                end_of_turn(&handle).await;
            }
            end_of_turn(&handle).await;
            assert!(!connects.iter().any(|connect| connect.is_finished()));
        }
    });
}

#[test]
fn a_connect_that_a_signal_interrupts_goes_on() {
    run(async |handle| {
        let (_listener, address) = listen(&handle);
        fail(Call::Connect, libc::EINTR, 1);
        let stream = TcpStream::connect(&handle, address).await.unwrap();
        assert_eq!(failures_left(), 0);
        assert_eq!(stream.peer_addr().unwrap(), address);
    });
}

#[test]
fn a_connect_without_ports_or_descriptors_is_an_error_that_names_the_address() {
    run(async |handle| {
        let (_listener, address) = listen(&handle);
        for (call, errno) in [
            (Call::Socket, libc::EMFILE),
            (Call::Socket, libc::ENOBUFS),
            (Call::Connect, libc::EADDRNOTAVAIL),
            (Call::Connect, libc::EAGAIN),
        ] {
            fail(call, errno, 1);
            match TcpStream::connect(&handle, address).await.unwrap_err() {
                Error::Connect {
                    address: of,
                    source,
                } => {
                    assert_eq!((of, source.raw_os_error()), (address, Some(errno)));
                }
                error => panic!("{error}"),
            }
            fail(call, errno, 2);
            match TcpStream::connect(&handle, [address; 2]).await.unwrap_err() {
                Error::ConnectAny { host: None, errors } => {
                    assert_eq!(errors[0].0, address);
                    assert_eq!(errors[1].1.raw_os_error(), Some(errno));
                }
                error => panic!("{error}"),
            }
        }
    });
}

#[test]
fn a_port_that_the_system_chose_and_another_address_has_not_free_is_chosen_again() {
    run(async |handle| {
        let addresses = ["127.0.0.1:0", "127.0.0.2:0"];
        let addresses: [SocketAddr; 2] = addresses.map(|address| address.parse().unwrap());
        fail_after(1, Call::Bind, libc::EADDRINUSE, 1);
        let listener = TcpListener::bind(&handle, addresses).await.unwrap();
        assert_eq!(failures_left(), 0);
        let bound = listener.local_addrs().unwrap();
        let ports: Vec<_> = bound.iter().map(SocketAddr::port).collect();
        assert_eq!((ports.len(), ports[0]), (2, ports[1]));

        // The number of tries is limited, and a given port is tried once.
        fail_after(1, Call::Bind, libc::EADDRINUSE, u32::MAX);
        let error = TcpListener::bind(&handle, addresses).await.unwrap_err();
        assert!(matches!(error, Error::Bind { .. }), "{error}");
        drop(listener);
        let given = addresses.map(|address| SocketAddr::from((address.ip(), ports[0])));
        fail_after(1, Call::Bind, libc::EADDRINUSE, 1);
        TcpListener::bind(&handle, given).await.unwrap_err();
    });
}

#[test]
fn a_timer_goes_on_while_accepting_waits_for_descriptors() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let _client = net::TcpStream::connect(address).unwrap();
        fail(Call::Accept, libc::ENFILE, 5);
        let ticks = Rc::new(Cell::new(0));
        let count = Rc::clone(&ticks);
        handle.set_interval(Duration::from_millis(2), move |_, _| {
            count.set(count.get() + 1)
        });
        listener.next().await.unwrap();
        // Pauses of 5, 10, 20, 40 and 80 ms.
        assert!(ticks.get() > 20, "{} ticks", ticks.get());
    });
}

#[test]
fn a_connection_that_is_under_way_is_not_looked_at_before_its_event() {
    run(async |handle| {
        let (_listener, address) = listen(&handle);
        let mut connect = pin!(TcpStream::connect(&handle, address));
        // connect(2) has just said that it is under way.
        fail(Call::Peer, libc::ENOTCONN, 1);
        assert!(poll(connect.as_mut()).is_pending());
        assert_eq!(failures_left(), 1);
        fail(Call::Peer, libc::ENOTCONN, 0);
        connect.await.unwrap();
    });
}

#[test]
fn l96_l97_a_write_that_waits_for_memory_has_one_timer_and_leaves_none() {
    run(async |handle| {
        let (stream, _peer) = pair_with_std(&handle);
        let counted = Arc::new(Counted::default());
        fail(Call::Send, libc::ENOBUFS, 2);
        {
            let mut write = pin!(stream.write_all(b"hello"));
            // However often it is polled, it tries again only when its timer fires.
            for _ in 0..100 {
                assert!(counted.poll(write.as_mut()).is_pending());
            }
            assert_eq!((failures_left(), counted.kept()), (1, 1));
        }
        assert_eq!(counted.kept(), 0);
    });
}
