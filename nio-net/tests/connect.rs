//! Connecting.

mod support;

use std::{
    error::Error as _,
    io::{self, ErrorKind, Read, Write},
    net,
    os::fd::AsRawFd,
    pin::pin,
    task::Poll,
    time::Duration,
};

use nio_loop::EventLoop;
use nio_net::{Error, TcpListener, TcpStream};
use support::{ANY_PORT, alone, listen, open_descriptors, poll, poll_once, read_to_end, run};

/// Says `what` through a new connection to a listener, and returns what came out at the other end.
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
        let listener = TcpListener::bind(&handle, ANY_PORT).unwrap();
        round_trip(&handle, listener).await;
    });
}

#[test]
fn bytes_travel_both_ways_over_ip_version_6() {
    run(async |handle| {
        let address = "[::1]:0".parse().unwrap();
        match TcpListener::bind(&handle, address) {
            Ok(listener) => round_trip(&handle, listener).await,
            Err(error) => println!("nothing to test here: {error}"),
        }
    });
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
    // The port of a client: it is taken, and nobody listens there.
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
            let early = poll(connect.as_mut());
            handle.sleep(Duration::from_millis(30)).await;
            if early.is_pending() && poll(connect.as_mut()).is_pending() {
                drop(listener.accept().unwrap());
                let stream = connect.await.unwrap();
                assert_eq!(stream.peer_addr().unwrap(), address);
                return;
            }
            if let Poll::Ready(stream) = early {
                let stream = stream.unwrap();
                assert_eq!(stream.peer_addr().unwrap(), address);
                made.push(stream);
            }
        }
        println!("nothing to test here: the queue of this system is never full");
    });
}

#[test]
fn a_dropped_connect_closes_its_socket() {
    alone("a_dropped_connect_closes_its_socket", || {
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
    let name = "a_connect_that_is_dropped_while_it_waits_closes_its_socket";
    alone(name, || {
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
    let handle = event_loop.handle().clone();
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
        let address = "255.255.255.255:80".parse().unwrap();
        let error = TcpStream::connect(&handle, address).await.unwrap_err();
        assert!(error.to_string().contains("255.255.255.255:80"), "{error}");
    });
}
