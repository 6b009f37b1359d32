//! Sockets before they connect or listen, and the options of sockets.

mod support;

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    os::fd::AsFd,
    time::Duration,
};

use nio_net::{Error, Keepalive, Options, TcpListener, TcpSocket, TcpStream, UnixStream};
use support::{ANY_PORT, listen, pair, run};

#[test]
fn options_are_read_as_they_were_set() {
    let socket = TcpSocket::new_v4().unwrap();
    let options = socket.options();
    for on in [true, false] {
        options.set_reuse_addr(on).unwrap();
        assert_eq!(options.reuse_addr().unwrap(), on);
        options.set_reuse_port(on).unwrap();
        assert_eq!(options.reuse_port().unwrap(), on);
        options.set_nodelay(on).unwrap();
        assert_eq!(options.nodelay().unwrap(), on);
    }
    options.set_ttl(17).unwrap();
    assert_eq!(options.ttl().unwrap(), 17);
    options.set_send_buffer_size(20_000).unwrap();
    assert!(options.send_buffer_size().unwrap() >= 20_000);
    options.set_receive_buffer_size(30_000).unwrap();
    assert!(options.receive_buffer_size().unwrap() >= 30_000);
}

#[test]
fn lingering_is_in_whole_seconds_rounded_up() {
    let socket = TcpSocket::new_v4().unwrap();
    let options = socket.options();
    assert_eq!(options.linger().unwrap(), None);
    for (set, is) in [(0, 0), (1, 1), (1000, 1), (1001, 2)] {
        options
            .set_linger(Some(Duration::from_millis(set)))
            .unwrap();
        assert_eq!(options.linger().unwrap(), Some(Duration::from_secs(is)));
    }
    options.set_linger(None).unwrap();
    assert_eq!(options.linger().unwrap(), None);
}

#[test]
#[cfg(not(target_os = "openbsd"))]
fn keepalive_is_read_as_it_was_set() {
    let socket = TcpSocket::new_v4().unwrap();
    let options = socket.options();
    assert_eq!(options.keepalive().unwrap(), None);
    options
        .set_keepalive(Some(Keepalive {
            idle: Some(Duration::from_millis(59_001)),
            interval: Some(Duration::from_millis(10)),
            count: Some(3),
        }))
        .unwrap();
    let set = Keepalive {
        idle: Some(Duration::from_secs(60)),
        interval: Some(Duration::from_secs(1)),
        count: Some(3),
    };
    let is_set = || {
        let is = options.keepalive().unwrap().unwrap();
        // NetBSD takes the fields, and does not tell them.
        is == set || cfg!(target_os = "netbsd") && is == Keepalive::default()
    };
    assert!(is_set());
    options.set_keepalive(None).unwrap();
    assert_eq!(options.keepalive().unwrap(), None);
    // Fields that are `None` do not change.
    options.set_keepalive(Some(Keepalive::default())).unwrap();
    assert!(is_set());
}

#[test]
fn an_option_that_a_socket_does_not_have_is_an_error_that_names_it() {
    run(async |handle| {
        let (stream, _other) = UnixStream::pair(&handle).unwrap();
        let error = stream.options().set_nodelay(true).unwrap_err();
        assert!(matches!(
            &error,
            Error::Option {
                name: "TCP_NODELAY",
                ..
            }
        ));
        assert!(
            error
                .to_string()
                .starts_with("cannot set TCP_NODELAY to 1: ")
        );
        assert!(
            io::Error::from(error)
                .to_string()
                .starts_with("cannot set TCP_NODELAY to 1: ")
        );
        assert!(Options::of(&stream).ttl().is_err());
    });
}

#[test]
fn a_failed_keepalive_is_not_begun() {
    let socket = TcpSocket::new_v4().unwrap();
    let nonsense = Keepalive {
        count: Some(0),
        ..Keepalive::default()
    };
    if let Err(error) = socket.options().set_keepalive(Some(nonsense)) {
        assert!(
            error
                .to_string()
                .starts_with("cannot set TCP_KEEPCNT to 0: "),
            "{error}"
        );
        assert_eq!(socket.options().keepalive().unwrap(), None);
    }
}

#[test]
fn version_6_has_a_ttl_of_its_own_and_may_be_alone() {
    let Ok(socket) = TcpSocket::new_v6() else {
        return println!("nothing to test here: no IP version 6");
    };
    socket.options().set_ttl(18).unwrap();
    assert_eq!(socket.options().ttl().unwrap(), 18);
    socket.options().set_only_v6(true).unwrap();
    assert!(socket.options().only_v6().unwrap());
}

#[test]
fn a_socket_connects_from_the_address_it_is_bound_to() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let socket = TcpSocket::new(address).unwrap();
        socket.bind(ANY_PORT).unwrap();
        let from = socket.local_addr().unwrap();
        assert_ne!(from.port(), 0);
        let client = socket.connect(&handle, address).await.unwrap();
        assert_eq!(client.local_addr().unwrap(), from);
        assert_eq!(listener.accept().await.unwrap().1, from);
    });
}

#[test]
fn an_address_that_cannot_be_bound_is_an_error_that_names_it() {
    run(async |handle| {
        let (_listener, address) = listen(&handle);
        let error = TcpSocket::new(address).unwrap().bind(address).unwrap_err();
        let text = format!("cannot use the address {address}: ");
        assert!(error.to_string().starts_with(&text), "{error}");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn a_socket_listens_with_its_options_on_its_address() {
    run(async |handle| {
        let bind = |address: SocketAddr| {
            let socket = TcpSocket::new(address).unwrap();
            socket.options().set_reuse_port(true).unwrap();
            socket.bind(address).unwrap();
            socket.listen(&handle, 16).unwrap()
        };
        let one = bind(ANY_PORT);
        let address = one.local_addr().unwrap();
        let other = bind(address);
        assert_eq!(other.local_addr().unwrap(), address);
        assert!(other.options().reuse_port().unwrap());
        // Without the option no other socket can.
        TcpListener::bind(&handle, address).await.unwrap_err();

        let client = TcpStream::connect(&handle, address).await.unwrap();
        let accept = support::either(one.accept(), other.accept());
        assert_eq!(accept.await.unwrap().1, client.local_addr().unwrap());
    });
}

#[test]
fn a_socket_that_is_not_bound_listens_on_a_port_of_the_systems_choice() {
    run(async |handle| {
        let listener = TcpSocket::new_v4().unwrap().listen(&handle, 16).unwrap();
        assert_ne!(listener.local_addr().unwrap().port(), 0);
    });
}

#[test]
fn the_options_of_a_connection_can_be_changed_while_it_is_used() {
    run(async |handle| {
        let (one, other) = pair(&handle).await;
        for stream in [&one, &other] {
            stream
                .options()
                .set_keepalive(Some(Keepalive::default()))
                .unwrap();
            assert!(stream.options().keepalive().unwrap().is_some());
            stream.set_nodelay(true).unwrap();
            assert!(stream.nodelay().unwrap());
        }
        one.write_all(b"!").await.unwrap();
        other.read_exact(&mut [0]).await.unwrap();
    });
}

#[test]
fn q83_a_socket_is_non_blocking_and_closed_in_a_program_that_is_started() {
    run(async |handle| {
        let flags = |fd: &dyn AsFd| {
            use std::os::fd::AsRawFd;
            let fd = fd.as_fd().as_raw_fd();
            // SAFETY: these commands take no further argument.
            unsafe {
                (
                    libc::fcntl(fd, libc::F_GETFD),
                    libc::fcntl(fd, libc::F_GETFL),
                )
            }
        };
        let (listener, address) = listen(&handle);
        let client = TcpStream::connect(&handle, address).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let (one, other) = UnixStream::pair(&handle).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        let all: [&dyn AsFd; 6] = [&socket, &listener, &client, &accepted, &one, &other];
        for fd in all {
            let (descriptor, status) = flags(fd);
            assert_eq!(descriptor & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
            assert_eq!(status & libc::O_NONBLOCK, libc::O_NONBLOCK);
        }
    });
}
