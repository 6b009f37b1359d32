//! Writing ends once, and failed calls give back what they were given.

mod support;

use std::{
    io::{ErrorKind, Read, Write},
    net::{self, Shutdown},
    os::unix,
    task::Poll,
};

use nio_loop::{EventLoop, Handle};
use nio_net::{
    ByteStream, Error, Stream, TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram,
    UnixStream,
};
use support::{ANY_PORT, listen, pair_with_std, poll_once, reset, run};

/// A stream whose writing has ended, and whose connection is gone since: another shutdown(2) would be
/// an error.
async fn ended_and_gone(handle: &Handle) -> TcpStream {
    let (stream, peer) = pair_with_std(handle);
    stream.shutdown(Shutdown::Write).unwrap();
    reset(peer);
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    stream
}

#[test]
fn l107_after_writing_has_ended_ending_it_again_makes_no_system_call() {
    run(async |handle| {
        let stream = ended_and_gone(&handle).await;
        for _ in 0..3 {
            stream.shutdown(Shutdown::Write).unwrap();
        }
    });
}

#[test]
fn l107_after_writing_has_ended_shutting_down_both_ends_reading() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        stream.shutdown(Shutdown::Both).unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn l107_a_shutdown_that_fails_has_not_ended_writing() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        reset(peer);
        stream.read(&mut [0]).await.unwrap_err();
        for _ in 0..2 {
            let error = stream.shutdown(Shutdown::Write).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotConnected);
        }
    });
}

/// Whether bytes that come after the end of writing are read, however it is ended again.
async fn reads_on<S: Stream>(
    stream: ByteStream<S>,
    peer: &mut (impl Read + Write),
    end: impl FnOnce(&ByteStream<S>),
) {
    let (reader, writer) = stream.into_split();
    writer.shutdown(Shutdown::Write).unwrap();
    // The peer has acknowledged it.
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    end(&writer);
    drop(writer);
    peer.write_all(b"still here").unwrap();
    let mut bytes = [0; 10];
    reader.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"still here");
}

#[test]
fn l107_ending_writing_again_loses_nothing_that_the_other_side_still_sends() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        reads_on(stream, &mut peer, |_| {}).await;
        let (stream, mut peer) = pair_with_std(&handle);
        reads_on(stream, &mut peer, |writer| {
            writer.shutdown(Shutdown::Write).unwrap()
        })
        .await;
        let (one, mut other) = unix::net::UnixStream::pair().unwrap();
        let stream = UnixStream::from_std(&handle, one).unwrap();
        reads_on(stream, &mut other, |_| {}).await;
    });
}

#[cfg(feature = "futures-io")]
#[test]
fn l107_closing_by_futures_io_and_dropping_ends_writing_once() {
    use futures_io::AsyncWrite;
    use std::{future::poll_fn, pin::Pin};
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let (reader, mut writer) = stream.into_split();
        for _ in 0..2 {
            poll_fn(|context| AsyncWrite::poll_close(Pin::new(&mut writer), context))
                .await
                .unwrap();
        }
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        drop(writer);
        peer.write_all(b"!").unwrap();
        reader.read_exact(&mut [0]).await.unwrap();
    });
}

/// The handle of a loop that is gone.
fn handle_of_no_loop() -> Handle {
    EventLoop::new().unwrap().handle()
}

#[test]
fn l99_a_socket_that_the_loop_does_not_take_comes_back() {
    let gone = handle_of_no_loop();
    let listener = net::TcpListener::bind(ANY_PORT).unwrap();
    let address = listener.local_addr().unwrap();
    let stream = net::TcpStream::connect(address).unwrap();

    let refused = TcpStream::from_std(&gone, stream).unwrap_err();
    assert!(matches!(
        refused.error,
        Error::Loop(nio_loop::Error::Closed)
    ));
    let refused = ByteStream::new(&gone, refused.value).unwrap_err();
    assert_eq!(refused.value.peer_addr().unwrap(), address);

    let refused = TcpListener::from_std(&gone, listener).unwrap_err();
    assert_eq!(refused.value.local_addr().unwrap(), address);

    let socket = net::UdpSocket::bind(ANY_PORT).unwrap();
    let refused = UdpSocket::from_std(&gone, socket).unwrap_err();
    refused.value.local_addr().unwrap();
    let (one, other) = unix::net::UnixStream::pair().unwrap();
    let mut one = UnixStream::from_std(&gone, one).unwrap_err().value;
    one.write_all(b"!").unwrap();
    drop(other);
    let (one, _other) = unix::net::UnixDatagram::pair().unwrap();
    let one = UnixDatagram::from_std(&gone, one).unwrap_err().value;
    one.send(b"!").unwrap();
}

#[test]
fn l99_a_socket_that_cannot_connect_or_listen_comes_back() {
    run(async |handle| {
        let gone = handle_of_no_loop();
        let (_listener, address) = listen(&handle);
        let socket = TcpSocket::new_v4().unwrap();
        socket.options().set_ttl(33).unwrap();
        let Poll::Ready(Err(refused)) = poll_once(socket.connect(&gone, address)) else {
            panic!("connected without a loop");
        };
        assert!(matches!(refused.error, Error::Loop(_)));
        assert_eq!(refused.value.options().ttl().unwrap(), 33);

        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(ANY_PORT).unwrap();
        let bound = socket.local_addr().unwrap();
        let socket = socket.listen(&gone, 8).unwrap_err().value;
        assert_eq!(socket.local_addr().unwrap(), bound);

        // Broadcast has no connections.
        let socket = TcpSocket::new_v4().unwrap();
        socket.options().set_ttl(33).unwrap();
        let broadcast = "255.255.255.255:80".parse().unwrap();
        let refused = socket.connect(&handle, broadcast).await.unwrap_err();
        assert!(matches!(refused.error, Error::Connect { address, .. } if address == broadcast));
        assert_eq!(refused.value.options().ttl().unwrap(), 33);
    });
}

#[test]
fn a_descriptor_in_blocking_mode_is_refused_and_comes_back() {
    run(async |handle| {
        let (one, mut other) = unix::net::UnixStream::pair().unwrap();
        let refused = ByteStream::new(&handle, one).unwrap_err();
        assert!(matches!(refused.error, Error::Blocking));
        assert!(refused.to_string().contains("blocking mode"));
        let one = refused.value;
        one.set_nonblocking(true).unwrap();
        let stream: UnixStream = ByteStream::new(&handle, one).unwrap();
        other.write_all(b"!").unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
    });
}
