//! Errors say what failed, with what, and what to do.

mod support;

use std::{
    fs,
    io::{self, ErrorKind},
    net::SocketAddr,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::net,
    },
    time::Duration,
};

use nio_loop::Interest;
use nio_net::{Error, TcpListener, TcpSocket, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use support::{ANY_PORT, LIMIT, Place, listen, run};

fn of(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// Whether a message has all parts, and is that of the `io::Error` too.
fn check_message(error: Error, kind: ErrorKind, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} without {part:?}");
    }
    let error = io::Error::from(error);
    assert_eq!((error.kind(), error.to_string()), (kind, text));
}

#[test]
fn a_port_in_use_is_named_with_advice() {
    run(async |handle| {
        let (_listener, address) = listen(&handle);
        let named = address.to_string();
        let parts = [
            &*named,
            "another program listens there; choose another port",
        ];
        let error = TcpListener::bind(&handle, address).await.unwrap_err();
        check_message(error, ErrorKind::AddrInUse, &parts);
        let error = TcpSocket::new_v4().unwrap().bind(address).unwrap_err();
        check_message(error, ErrorKind::AddrInUse, &parts);
        let socket = UdpSocket::bind(&handle, ANY_PORT).await.unwrap();
        let taken = socket.local_addr().unwrap();
        let error = UdpSocket::bind(&handle, taken).await.unwrap_err();
        check_message(error, ErrorKind::AddrInUse, &["another program"]);
    });
}

#[test]
fn a_foreign_address_and_a_port_of_root_have_their_own_advice() {
    let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let source = of(libc::EADDRNOTAVAIL);
    let error = Error::Bind { address, source };
    let parts = [
        "cannot listen on 192.0.2.1:80: ",
        "no such address; use 0.0.0.0",
    ];
    check_message(error, ErrorKind::AddrNotAvailable, &parts);

    let source = of(libc::EACCES);
    let error = Error::Bind { address, source };
    check_message(
        error,
        ErrorKind::PermissionDenied,
        &["ports below 1024 need root"],
    );

    let (address, source) = ("192.0.2.1:8080".parse().unwrap(), of(libc::EACCES));
    let error = Error::Bind { address, source };
    assert!(!error.to_string().contains("1024"), "{error}");
}

#[test]
fn the_error_of_a_refused_connection_says_that_no_program_listens() {
    let address: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let refused = || of(libc::ECONNREFUSED);
    let error = Error::Connect {
        address,
        source: refused(),
    };
    let parts = [
        "cannot connect to 192.0.2.1:80: ",
        "; no program listens there",
    ];
    check_message(error, ErrorKind::ConnectionRefused, &parts);

    // Of several addresses, once, if it is true of all.
    let host = Some("example.com:80".to_string());
    let errors = vec![(address, refused()), (address, refused())];
    let error = Error::ConnectAny {
        host: host.clone(),
        errors,
    };
    assert_eq!(
        error.to_string().matches("no program").count(),
        1,
        "{error}"
    );
    let parts = [
        "cannot connect to example.com:80: 192.0.2.1:80: ",
        "no program listens there",
    ];
    check_message(error, ErrorKind::ConnectionRefused, &parts);
    let errors = vec![(address, refused()), (address, of(libc::ENETUNREACH))];
    let error = Error::ConnectAny { host, errors };
    assert!(!error.to_string().contains("no program"), "{error}");
}

#[test]
fn the_file_of_a_unix_socket_that_no_program_uses_may_be_removed() {
    run(async |handle| {
        let place = Place::new("stale");
        let named = format!("{:?}", place.0);
        let stale = [
            &*named,
            "no program uses this socket any more: remove its file",
        ];
        let used = [&*named, "another program uses this socket"];

        let listener = UnixListener::bind(&handle, &place.0).unwrap();
        let error = UnixListener::bind(&handle, &place.0).unwrap_err();
        assert!(matches!(error, Error::BindUnix { stale: false, .. }));
        check_message(error, ErrorKind::AddrInUse, &used);
        drop(listener);
        let error = UnixListener::bind(&handle, &place.0).unwrap_err();
        assert!(matches!(error, Error::BindUnix { stale: true, .. }));
        check_message(error, ErrorKind::AddrInUse, &stale);
        // As it check_message.
        fs::remove_file(&place.0).unwrap();

        let socket = UnixDatagram::bind(&handle, &place.0).unwrap();
        let error = UnixDatagram::bind(&handle, &place.0).unwrap_err();
        check_message(error, ErrorKind::AddrInUse, &used);
        let error = UnixListener::bind(&handle, &place.0).unwrap_err();
        check_message(error, ErrorKind::AddrInUse, &used);
        drop(socket);
        let error = UnixDatagram::bind(&handle, &place.0).unwrap_err();
        check_message(error, ErrorKind::AddrInUse, &stale);
        fs::remove_file(&place.0).unwrap();

        // A file of another kind is never said to be superfluous.
        fs::write(&place.0, b"precious").unwrap();
        let error = UnixListener::bind(&handle, &place.0).unwrap_err();
        check_message(
            error,
            ErrorKind::AddrInUse,
            &[&*named, "a file of another kind"],
        );
    });
}

#[test]
fn a_server_whose_queue_is_full_uses_its_socket() {
    run(async |handle| {
        let place = Place::new("full");
        let listener = net::UnixListener::bind(&place.0).unwrap();
        // SAFETY: takes no pointers.
        unsafe { libc::listen(listener.as_raw_fd(), 0) };
        let mut clients = Vec::new();
        while clients.len() < 10 {
            let client = UnixStream::connect(&handle, &place.0);
            match handle.timeout(Duration::from_millis(20), client).await {
                Ok(Ok(client)) => clients.push(client),
                // Some systems refuse then, and it cannot be told from a socket without a program.
                Ok(Err(error)) => return println!("nothing to test here: {error}"),
                Err(_) => break,
            }
        }
        let error = UnixListener::bind(&handle, &place.0).unwrap_err();
        assert!(matches!(error, Error::BindUnix { stale: false, .. }));
    });
}

#[test]
fn the_error_of_connecting_to_a_unix_socket_has_the_reason() {
    run(async |handle| {
        let place = Place::new("nobody");
        let named = format!("{:?}", place.0);
        let error = UnixStream::connect(&handle, &place.0).await.unwrap_err();
        check_message(
            error,
            ErrorKind::NotFound,
            &[&*named, "there is no such file"],
        );
        drop(net::UnixListener::bind(&place.0).unwrap());
        let error = UnixStream::connect(&handle, &place.0).await.unwrap_err();
        check_message(
            error,
            ErrorKind::ConnectionRefused,
            &[&*named, "no program listens"],
        );
        let long = "x".repeat(200);
        let error = UnixStream::connect(&handle, &long).await.unwrap_err();
        check_message(
            error,
            ErrorKind::InvalidInput,
            &[&*long, "it may have from 1 to 10"],
        );
    });
}

#[test]
fn an_option_that_cannot_be_set_is_named_with_its_value() {
    run(async |handle| {
        let (listener, _) = listen(&handle);
        let error = listener.options().set_ttl(300).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("cannot set IP_TTL to 300: "), "{text}");
        let (stream, _other) = UnixStream::pair(&handle).unwrap();
        let error = stream.options().set_nodelay(true).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot set TCP_NODELAY to 1: "),
            "{error}"
        );
        let error = stream.options().nodelay().unwrap_err();
        assert!(
            error.to_string().starts_with("cannot read TCP_NODELAY: "),
            "{error}"
        );
    });
}

#[test]
fn too_many_descriptors_for_a_message_are_counted() {
    run(async |handle| {
        let (stream, _other) = UnixStream::pair(&handle).unwrap();
        let many: Vec<BorrowedFd<'_>> = vec![stream.as_fd(); 300];
        let error = stream
            .write_with_descriptors(b"!", &many)
            .await
            .unwrap_err();
        assert!(
            error.to_string().starts_with("300 descriptors do not fit"),
            "{error}"
        );
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn waiting_for_no_direction_is_an_error_with_advice() {
    run(async |handle| {
        let (stream, _other) = UnixStream::pair(&handle).unwrap();
        let ready = handle.timeout(LIMIT, stream.ready(Interest::PRIORITY));
        let error = ready.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            error.to_string(),
            "no direction to wait for in PRIORITY; give Interest::READABLE or Interest::WRITABLE"
        );
    });
}
