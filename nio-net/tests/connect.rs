//! Connecting.

mod support;

use std::{
    error::Error as _,
    io::{self, ErrorKind, Read, Write},
    net::{self, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

use nio_loop::{EventLoop, Handle};
use nio_net::{Error, TcpListener, TcpSocket, TcpStream, UdpSocket, resolve};
use support::{ANY_PORT, in_child, listen, open_descriptors, poll, poll_once, read_to_end, run};

/// Sends bytes through a new connection to a listener and back.
async fn round_trip(handle: &nio_loop::Handle, listener: TcpListener) {
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(handle, address).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert_eq!(client.peer_addr().unwrap(), address);
    assert_eq!(server.local_addr().unwrap(), address);
    assert_eq!(client.local_addr().unwrap(), peer);
    assert_eq!(server.peer_addr().unwrap(), peer);

    client.write_all(b"there").await.unwrap();
    client.shutdown(net::Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&server).await.unwrap(), b"there");
    server.write_all(b"and back").await.unwrap();
    drop(server);
    assert_eq!(read_to_end(&client).await.unwrap(), b"and back");
}

#[test]
fn bytes_travel_both_ways_over_ip_version_4() {
    run(async |handle| {
        let listener = TcpListener::bind(&handle, ANY_PORT).await.unwrap();
        round_trip(&handle, listener).await;
    });
}

#[test]
fn bytes_travel_both_ways_over_ip_version_6() {
    run(
        async |handle| match TcpListener::bind(&handle, "[::1]:0").await {
            Ok(listener) => round_trip(&handle, listener).await,
            Err(error) => println!("nothing to test here: {error}"),
        },
    );
}

#[test]
fn a_client_speaks_to_a_server_of_the_standard_library() {
    let listener = net::TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = [0; 8];
        stream.read_exact(&mut question).unwrap();
        stream.write_all(&question).unwrap();
    });
    run(async |handle| {
        let stream = TcpStream::connect(&handle, address).await.unwrap();
        stream.write_all(b"question").await.unwrap();
        assert_eq!(read_to_end(&stream).await.unwrap(), b"question");
    });
    server.join().unwrap();
}

#[test]
fn a_refused_connection_is_an_error_that_names_the_address() {
    // The port of a client: it is taken, and no socket listens there.
    let listener = net::TcpListener::bind(ANY_PORT).unwrap();
    let client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let address = client.local_addr().unwrap();
    run(async |handle| {
        let error = TcpStream::connect(&handle, address).await.unwrap_err();
        assert!(matches!(&error, Error::Connect { address: a, .. } if *a == address));
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot connect to {address}: ")));
        assert!(error.source().is_some());
        let error = io::Error::from(error);
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(error.to_string(), text);
    });
}

#[test]
fn a_socket_that_would_connect_to_itself_is_refused() {
    run(async |handle| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(ANY_PORT).unwrap();
        let address = socket.local_addr().unwrap();
        let error = Error::from(socket.connect(&handle, address).await.unwrap_err());
        let text = error.to_string();
        let kind = io::Error::from(error).kind();
        // Some kernels refuse it by themselves, with the error of an address in use.
        let expected = [ErrorKind::ConnectionRefused, ErrorKind::AddrInUse];
        assert!(expected.contains(&kind), "{text}");
        assert!(text.starts_with(&format!("cannot connect to {address}: ")));
    });
}

#[test]
fn q40_connect_is_not_ready_before_the_connection_is_made() {
    run(async |handle| {
        // A listener whose queue is full does not answer, and the system asks again later.
        let listener = net::TcpListener::bind(ANY_PORT).unwrap();
        // SAFETY: takes no pointers.
        unsafe { libc::listen(listener.as_raw_fd(), 0) };
        let address = listener.local_addr().unwrap();
        let mut made = Vec::new();
        for _ in 0..10 {
            let mut connect = pin!(TcpStream::connect(&handle, address));
            match handle.timeout(HANGS, connect.as_mut()).await {
                Ok(Ok(stream)) => {
                    assert_eq!(stream.peer_addr().unwrap(), address);
                    made.push(stream);
                }
                Ok(Err(error)) => return println!("nothing to test here: {error}"),
                Err(_) => {
                    drop(listener.accept().unwrap());
                    let stream = connect.await.unwrap();
                    assert_eq!(stream.peer_addr().unwrap(), address);
                    return;
                }
            }
        }
        println!("nothing to test here: the queue of this system is never full");
    });
}

#[test]
fn a_dropped_connect_closes_its_socket() {
    in_child(|| {
        run(async |handle| {
            let (_listener, address) = listen(&handle);
            let before = open_descriptors();
            for _ in 0..10 {
                drop(poll_once(TcpStream::connect(&handle, address)));
            }
            assert_eq!(open_descriptors(), before);
        });
    });
}

#[test]
fn a_connect_that_is_dropped_while_it_waits_closes_its_socket() {
    in_child(|| {
        run(async |handle| {
            let listener = net::TcpListener::bind(ANY_PORT).unwrap();
            // SAFETY: takes no pointers.
            unsafe { libc::listen(listener.as_raw_fd(), 0) };
            let address = listener.local_addr().unwrap();
            let before = open_descriptors();
            // All but the first few wait: the queue is full.
            let connects: Vec<_> = (0..10)
                .map(|_| Box::pin(TcpStream::connect(&handle, address)))
                .map(|mut connect| (poll(connect.as_mut()).is_ready(), connect))
                .collect();
            handle.sleep(Duration::from_millis(20)).await;
            drop(connects);
            handle.sleep(Duration::from_millis(20)).await;
            assert_eq!(open_descriptors(), before);
        });
    });
}

#[test]
fn a_connect_that_is_never_polled_does_nothing() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        drop(TcpStream::connect(&handle, address));
        assert!(poll_once(listener.accept()).is_pending());
    });
}

#[test]
fn connecting_on_a_dropped_loop_is_an_error_of_the_loop() {
    let listener = net::TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    drop(event_loop);
    match poll_once(TcpStream::connect(&handle, address)) {
        Poll::Ready(Err(Error::Loop(nio_loop::Error::Closed))) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_address_without_a_way_to_it_is_an_error_that_names_it() {
    run(async |handle| {
        // Broadcast has no connections.
        let address = "255.255.255.255:80";
        let error = TcpStream::connect(&handle, address).await.unwrap_err();
        assert!(error.to_string().contains("255.255.255.255:80"), "{error}");
    });
}

/// A connection that has neither succeeded nor failed after this long hangs.
const HANGS: Duration = Duration::from_millis(50);

/// A listener whose queue is full, so that a connection to it neither succeeds nor fails, and what
/// fills it. `None` on a system whose queues are never full, or which resets connections that have no
/// room, as FreeBSD does.
async fn hanging(handle: &Handle) -> Option<(net::TcpListener, Vec<TcpStream>)> {
    let listener = net::TcpListener::bind(ANY_PORT).unwrap();
    // SAFETY: takes no pointers.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let address = listener.local_addr().unwrap();
    let mut made = Vec::new();
    for _ in 0..10 {
        let connect = TcpStream::connect(handle, address);
        match handle.timeout(HANGS, connect).await {
            Ok(Ok(stream)) => made.push(stream),
            Ok(Err(error)) => {
                println!("nothing to test here: {error}");
                return None;
            }
            Err(_) => return Some((listener, made)),
        }
    }
    println!("nothing to test here: the queue of this system is never full");
    None
}

/// The address of a client: it is taken, and no socket listens there.
fn refusing() -> (SocketAddr, (net::TcpListener, net::TcpStream)) {
    let listener = net::TcpListener::bind(ANY_PORT).unwrap();
    let client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client.local_addr().unwrap(), (listener, client))
}

/// The time that an address has before the next one is tried.
const STAGGER: Duration = Duration::from_millis(250);

#[test]
fn of_several_addresses_the_first_that_accepts_is_connected_to() {
    run(async |handle| {
        let (refuses, _keep) = refusing();
        let (listener, accepts) = listen(&handle);
        let began = Instant::now();
        let addresses = [refuses, refuses, accepts, refuses];
        let stream = TcpStream::connect(&handle, addresses).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), accepts);
        // An address that refuses causes no delay.
        assert!(began.elapsed() < STAGGER);
        listener.accept().await.unwrap();
        assert!(poll_once(listener.accept()).is_pending());
    });
}

#[test]
fn while_an_address_does_not_answer_the_next_one_is_tried_beside_it() {
    run(async |handle| {
        let Some((full, _made)) = hanging(&handle).await else {
            return;
        };
        let (_listener, accepts) = listen(&handle);
        let began = Instant::now();
        let addresses = [full.local_addr().unwrap(), accepts];
        let stream = TcpStream::connect(&handle, addresses).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), accepts);
        assert!(began.elapsed() >= STAGGER);
    });
}

#[test]
fn an_address_that_answers_late_still_wins_over_those_that_do_not() {
    run(async |handle| {
        let (Some((late, _made)), Some((never, _more))) =
            (hanging(&handle).await, hanging(&handle).await)
        else {
            return;
        };
        let address = late.local_addr().unwrap();
        let (refuses, _keep) = refusing();
        let addresses = [address, never.local_addr().unwrap(), refuses];
        // When all are under way, and the last one has failed, the first one gets its answer.
        let listener = Rc::new(late);
        let late = Rc::clone(&listener);
        let release = handle.set_timeout(3 * STAGGER, move |_| drop(late.accept().unwrap()));
        let stream = TcpStream::connect(&handle, addresses).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(!handle.clear(release));
    });
}

#[test]
fn the_attempts_that_lose_are_closed() {
    in_child(|| {
        run(async |handle| {
            let Some((full, _made)) = hanging(&handle).await else {
                return;
            };
            let full = full.local_addr().unwrap();
            let (_listener, accepts) = listen(&handle);
            let before = open_descriptors();
            let addresses = [full, full, accepts];
            let stream = TcpStream::connect(&handle, addresses).await.unwrap();
            assert_eq!(open_descriptors(), before + 1);
            drop(stream);

            // And so are all of those that are given up.
            let connect = TcpStream::connect(&handle, [full, full]);
            let limit = STAGGER + STAGGER / 2;
            handle.timeout(limit, connect).await.unwrap_err();
            assert_eq!(open_descriptors(), before);
        });
    });
}

#[test]
fn when_all_addresses_fail_the_error_tells_each_ones_own() {
    run(async |handle| {
        let (one, _keep) = refusing();
        let (other, _keep) = refusing();
        // Broadcast has no connections: this one fails before it has begun.
        let broadcast = "255.255.255.255:80".parse().unwrap();
        let addresses = [one, broadcast, other];
        let error = TcpStream::connect(&handle, addresses).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("cannot connect to any of 3 addresses: "),
            "{text}"
        );
        match &error {
            Error::ConnectAny { host: None, errors } => {
                let failed: Vec<_> = errors.iter().map(|(address, _)| *address).collect();
                assert_eq!(failed, addresses);
                assert_eq!(errors[0].1.kind(), ErrorKind::ConnectionRefused);
                assert_ne!(errors[1].1.kind(), ErrorKind::ConnectionRefused);
                for (address, error) in errors {
                    assert!(text.contains(&format!("{address}: {error}")), "{text}");
                }
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn each_of_several_addresses_has_a_socket_that_was_prepared_for_it() {
    run(async |handle| {
        let (_listener, address) = listen(&handle);
        let (refusing, _taken) = refusing();
        let addresses = [refusing, address];
        let mut prepared = Vec::new();
        let stream = TcpStream::connect_with(&handle, addresses, |socket, address| {
            prepared.push(address);
            socket.bind(ANY_PORT)?;
            socket.options().set_ttl(33)
        });
        let stream = stream.await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert_eq!(stream.options().ttl().unwrap(), 33);
        assert_eq!(prepared, addresses);

        // One that cannot be prepared leaves the others.
        let foreign = "[::1]:0";
        let prepare = |socket: &TcpSocket, address| match address == refusing {
            true => socket.bind(foreign),
            false => Ok(()),
        };
        let stream = TcpStream::connect_with(&handle, addresses, prepare).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), address);
        let error = TcpStream::connect_with(&handle, [refusing], prepare).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("cannot use the address [::1]:0"), "{error}");
    });
}

#[test]
fn no_address_is_an_error_too() {
    run(async |handle| {
        let error = TcpStream::connect(&handle, []).await.unwrap_err();
        assert!(error.to_string().contains("the list is empty"), "{error}");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_host_is_connected_to_and_listened_on_by_its_name() {
    run(async |handle| {
        let listener = TcpListener::bind(&handle, "localhost:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(address.ip().is_loopback());
        let connect = TcpStream::connect(&handle, ("localhost", address.port()));
        let stream = connect.await.unwrap();
        let peer = stream.peer_addr().unwrap();
        assert!(listener.local_addrs().unwrap().contains(&peer));
        assert_eq!(
            listener.accept().await.unwrap().1,
            stream.local_addr().unwrap()
        );
    });
}

#[test]
fn a_host_of_several_addresses_is_connected_to_where_it_listens() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        // Perhaps the name has an address of version 6 as well, where no socket listens.
        let connect = TcpStream::connect(&handle, ("localhost", address.port()));
        assert_eq!(connect.await.unwrap().peer_addr().unwrap(), address);
        drop(listener);
    });
}

#[test]
fn a_host_that_cannot_be_connected_to_is_an_error_with_its_name_and_each_address() {
    run(async |handle| {
        let (address, _keep) = refusing();
        let host = format!("localhost:{}", address.port());
        let error = TcpStream::connect(&handle, &host).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("cannot connect to {host}: ")),
            "{text}"
        );
        assert!(text.contains(&format!("{address}: ")), "{text}");
        match &error {
            Error::ConnectAny { host: of, .. } => assert_eq!(of.as_ref(), Some(&host)),
            other => panic!("{other:?}"),
        }
        assert_eq!(io::Error::from(error).to_string(), text);
    });
}

#[test]
fn an_address_that_is_written_out_needs_no_thread() {
    run(async |handle| {
        let bound = poll_once(TcpListener::bind(&handle, "127.0.0.1:0"));
        assert!(matches!(bound, Poll::Ready(Ok(_))));
        let bound = poll_once(TcpListener::bind(&handle, ("127.0.0.1", 0)));
        assert!(matches!(bound, Poll::Ready(Ok(_))));
        let bound = poll_once(UdpSocket::bind(&handle, (Ipv4Addr::LOCALHOST, 0)));
        assert!(matches!(bound, Poll::Ready(Ok(_))));
        // A host name does.
        assert!(poll_once(TcpListener::bind(&handle, "localhost:0")).is_pending());
    });
}

#[test]
fn a_text_that_is_no_address_is_an_error_before_anything_is_done() {
    run(async |handle| {
        let advice = |error: Error| {
            assert!(matches!(error, Error::Address { .. }), "{error:?}");
            error.to_string()
        };
        let error = TcpStream::connect(&handle, "localhost").await;
        assert!(advice(error.unwrap_err()).contains("it has no port; add one"));
        let error = TcpStream::connect(&handle, ("localhost:80", 80)).await;
        assert!(advice(error.unwrap_err()).contains("give the port once"));
        let error = TcpListener::bind(&handle, ":80").await;
        assert!(advice(error.unwrap_err()).contains("0.0.0.0:PORT"));
        let error = UdpSocket::bind(&handle, "::1").await;
        assert!(advice(error.unwrap_err()).contains("brackets"));
        // A call that does not wait looks nothing up.
        let socket = TcpSocket::new_v4().unwrap();
        assert!(advice(socket.bind("localhost:0").unwrap_err()).contains("`resolve`"));
        let socket = UdpSocket::bind(&handle, ANY_PORT).await.unwrap();
        let error = socket.try_send_to(b"!", "localhost:80").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_socket_connects_to_the_address_of_a_host_that_is_of_its_version() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let other = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port());
        let socket = TcpSocket::new_v4().unwrap();
        let stream = socket.connect(&handle, [other, address]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        drop(listener);
        // If there is none, the socket comes back with an error that names an address.
        let socket = TcpSocket::new_v4().unwrap();
        let refused = socket.connect(&handle, [other; 2]).await.unwrap_err();
        assert!(matches!(refused.error, Error::Connect { address, .. } if address == other));
        let refused = refused
            .value
            .connect(&handle, "nonsense")
            .await
            .unwrap_err();
        assert!(matches!(refused.error, Error::Address { .. }));
    });
}

#[test]
fn a_name_without_an_address_is_an_error_that_names_it() {
    run(async |handle| {
        let error = TcpStream::connect(&handle, ("no..name", 80))
            .await
            .unwrap_err();
        assert!(matches!(&error, Error::Resolve { name, .. } if name == "no..name"));
        assert!(
            error
                .to_string()
                .starts_with("cannot look up \"no..name\": "),
            "{error}"
        );
    });
}

#[test]
fn an_address_is_its_own_name() {
    run(async |handle| {
        let v6 = poll_once(resolve(&handle, ("::1", 7)));
        assert!(matches!(v6, Poll::Ready(Ok(all)) if all == ["[::1]:7".parse().unwrap()]));
        let v4 = poll_once(resolve(&handle, ("192.0.2.1", 7)));
        assert!(matches!(v4, Poll::Ready(Ok(all)) if all == ["192.0.2.1:7".parse().unwrap()]));
    });
}

#[test]
fn a_loop_that_goes_while_a_connect_waits_is_an_error_of_the_loop() {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let Some((full, _made)) = event_loop.block_on(hanging(&handle)).unwrap() else {
        return;
    };
    let address = full.local_addr().unwrap();
    let mut one = Box::pin(TcpStream::connect(&handle, address));
    let mut any = Box::pin(TcpStream::connect(&handle, [address]));
    assert!(poll(one.as_mut()).is_pending() && poll(any.as_mut()).is_pending());
    drop(event_loop);
    for result in [poll(one.as_mut()), poll(any.as_mut())] {
        match result {
            Poll::Ready(Err(Error::Loop(nio_loop::Error::Closed))) => {}
            other => panic!("{other:?}"),
        }
    }
}
