//! Operations that programs ported from other libraries expect: their own system calls, peeking, sockets before
//! they are bound, named pipes, and which direction is ready.

mod support;

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    net::{self, Shutdown},
    os::{fd::OwnedFd, unix},
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use nio_loop::{Direction, Handle, Interest};
use nio_net::{
    Error, Options, PipeReader, PipeWriter, TcpSocket, UdpSocket, UnixDatagram, UnixSocket,
    UnixStream, pipe,
};
use support::{
    ANY_PORT, Counted, Place, a_terminal, fill, in_child, listen, pair_with_std, poll_once, run,
};

const BOTH: [Interest; 2] = [Interest::READABLE, Interest::WRITABLE];

#[test]
fn a_call_of_ones_own_waits_on_a_stream() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut bytes = [0; 9];
        let mut read = |mut socket: &net::TcpStream| socket.read(&mut bytes);
        let error = stream.try_io(Direction::Read, &mut read).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        handle.set_timeout(Duration::from_millis(1), move |_| {
            peer.write_all(b"hello").unwrap()
        });
        assert_eq!(stream.io(Direction::Read, &mut read).await.unwrap(), 5);
        let wrote = stream.try_io(Direction::Write, |mut socket| socket.write(b"!"));
        assert_eq!(wrote.unwrap(), 1);
        let error = stream.io(Direction::Write, |_| {
            io::Result::<()>::Err(ErrorKind::Other.into())
        });
        assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Other);
    });
}

#[test]
fn a_call_of_ones_own_waits_on_a_listener_and_in_its_pauses() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let error = listener.try_io(|socket| socket.accept()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let client = net::TcpStream::connect(address).unwrap();
        listener.pause();
        handle.sleep(Duration::from_millis(2)).await;
        assert!(poll_once(listener.io(|socket| socket.accept())).is_pending());
        listener.resume();
        let (_, peer) = listener.io(|socket| socket.accept()).await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

#[test]
fn a_call_of_ones_own_waits_on_a_socket_of_datagrams() {
    run(async |handle| {
        let (one, other) = UnixDatagram::pair(&handle).unwrap();
        let mut bytes = [0; 9];
        let mut receive = |socket: &unix::net::UnixDatagram| socket.recv(&mut bytes);
        let error = one.try_io(Direction::Read, &mut receive).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        other.send(b"hello").await.unwrap();
        assert_eq!(one.io(Direction::Read, &mut receive).await.unwrap(), 5);
    });
}

#[test]
fn a_datagram_of_a_connected_socket_is_peeked_at_and_received() {
    run(async |handle| {
        let one = UdpSocket::bind(&handle, ANY_PORT).await.unwrap();
        let other = UdpSocket::bind(&handle, ANY_PORT).await.unwrap();
        one.connect(other.local_addr().unwrap()).await.unwrap();
        other.connect(one.local_addr().unwrap()).await.unwrap();
        let mut bytes = [0; 3];
        assert_eq!(
            one.try_peek(&mut bytes).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        other.send(b"hello").await.unwrap();
        assert_eq!(one.peek(&mut bytes).await.unwrap(), 3);
        let by_hand = std::future::poll_fn(|context| one.poll_peek(context, &mut bytes));
        assert_eq!(by_hand.await.unwrap(), 3);
        assert_eq!(one.try_peek(&mut bytes).unwrap(), 3);
        assert_eq!(one.recv(&mut [0; 9]).await.unwrap(), 5);
    });
}

#[test]
fn the_traffic_class_is_read_as_it_was_set() {
    let sockets = [TcpSocket::new_v4(), TcpSocket::new_v6()];
    for socket in sockets.iter().flatten() {
        assert_eq!(socket.options().traffic_class().unwrap(), 0);
        // Expedited forwarding; the two bits of congestion are the system's.
        socket.options().set_traffic_class(46 << 2).unwrap();
        assert_eq!(socket.options().traffic_class().unwrap(), 46 << 2);
    }
    let (stream, _other) = unix::net::UnixStream::pair().unwrap();
    let error = Options::of(&stream).set_traffic_class(0).unwrap_err();
    assert!(error.to_string().contains("IP_TOS"), "{error}");
}

#[test]
fn a_unix_socket_has_its_options_set_before_it_is_bound_and_connected() {
    run(async |handle| {
        let (place, from) = (Place::new("before"), Place::new("before-client"));
        let socket = UnixSocket::new_stream().unwrap();
        socket.options().set_receive_buffer_size(32 * 1024).unwrap();
        socket.bind(&place.0).unwrap();
        assert_eq!(socket.local_addr().unwrap().as_pathname(), Some(&*place.0));
        let listener = socket.listen(&handle, 8).unwrap();

        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&from.0).unwrap();
        let client = socket.connect(&handle, &place.0).await.unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.as_pathname(), Some(&*from.0));
        client.write_all(b"hello").await.unwrap();
        server.read_exact(&mut [0; 5]).await.unwrap();
    });
}

#[test]
fn a_unix_socket_of_datagrams_is_bound_and_sends() {
    run(async |handle| {
        let place = Place::new("before-datagrams");
        let socket = UnixSocket::new_datagram().unwrap();
        socket.bind(&place.0).unwrap();
        let receiver = socket.datagram(&handle).unwrap();
        let sender = UnixSocket::new_datagram()
            .unwrap()
            .datagram(&handle)
            .unwrap();
        sender.send_to(b"hello", &place.0).await.unwrap();
        assert_eq!(receiver.recv(&mut [0; 9]).await.unwrap(), 5);
    });
}

#[test]
fn a_unix_socket_that_cannot_be_used_so_comes_back() {
    run(async |handle| {
        let place = Place::new("comes-back");
        let socket = UnixSocket::new_stream().unwrap();
        let refused = socket.connect(&handle, &place.0).await.unwrap_err();
        assert!(matches!(refused.error, Error::ConnectUnix { .. }));
        let refused = refused.value.datagram(&handle).unwrap_err();
        assert!(matches!(refused.error, Error::BindUnix { .. }));
        let refused = refused.value.connect(&handle, "").await.unwrap_err();
        assert!(matches!(refused.error, Error::Path { .. }));
        refused.value.bind(&place.0).unwrap();
        let listener = refused.value.listen(&handle, 8).unwrap();
        UnixStream::connect(&handle, &place.0).await.unwrap();
        listener.accept().await.unwrap();

        let socket = UnixSocket::new_datagram().unwrap();
        let refused = socket.connect(&handle, &place.0).await.unwrap_err();
        assert!(matches!(refused.error, Error::ConnectUnix { .. }));
        refused.value.listen(&handle, 8).unwrap_err();
    });
}

fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[test]
fn a_named_pipe_is_read_and_written() {
    run(async |handle| {
        let place = Place::new("fifo");
        make_fifo(&place.0);
        let error = PipeWriter::open(&handle, &place.0).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("no program has opened it for reading"),
            "{error}"
        );
        let reader = PipeReader::open(&handle, &place.0).unwrap();
        for text in ["first", "second"] {
            let writer = PipeWriter::open(&handle, &place.0).unwrap();
            assert!(poll_once(reader.read(&mut [0; 9])).is_pending());
            writer.write_all(text.as_bytes()).await.unwrap();
            let mut bytes = vec![0; text.len()];
            reader.read_exact(&mut bytes).await.unwrap();
            assert_eq!(bytes, text.as_bytes());
            drop(writer);
            assert_eq!(reader.read(&mut bytes).await.unwrap(), 0);
        }
    });
}

#[test]
fn a_file_that_is_no_named_pipe_is_an_error() {
    run(async |handle| {
        let place = Place::new("no-fifo");
        let error = PipeReader::open(&handle, &place.0).unwrap_err();
        assert!(error.to_string().contains("mkfifo"), "{error}");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::NotFound);
        std::fs::write(&place.0, b"text").unwrap();
        let error = PipeReader::open(&handle, &place.0).unwrap_err();
        assert!(error.to_string().contains("not a named pipe"), "{error}");
    });
}

#[test]
fn ends_of_pipes_are_made_of_descriptors() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        let (reader, writer): (OwnedFd, OwnedFd) =
            (reader.into_std().into(), writer.into_std().into());
        let reader = PipeReader::from_std(&handle, reader.into()).unwrap();
        let writer = PipeWriter::from_std(&handle, writer.into()).unwrap();
        writer.write_all(b"hello").await.unwrap();
        reader.read_exact(&mut [0; 5]).await.unwrap();
    });
}

#[test]
fn a_half_that_is_forgotten_does_not_end_writing() {
    run(async |handle| {
        let (one, other) = UnixStream::pair(&handle).unwrap();
        let (reader, writer) = one.into_split();
        writer.forget();
        assert!(poll_once(other.read(&mut [0; 9])).is_pending());
        other.write_all(b"hello").await.unwrap();
        reader.read_exact(&mut [0; 5]).await.unwrap();
        drop(reader);
        assert_eq!(other.read(&mut [0; 9]).await.unwrap(), 0);
    });
}

/// Asks for both directions.
async fn look<S: nio_net::Stream>(stream: &nio_net::ByteStream<S>) -> [bool; 4] {
    let ready = stream.ready(BOTH[0] | BOTH[1]).await.unwrap();
    [
        ready.readable,
        ready.read_ended,
        ready.writable,
        ready.write_ended,
    ]
}

#[test]
fn ready_returns_the_directions_that_are_ready_and_those_that_have_ended() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        assert_eq!(look(&stream).await, [false, false, true, false]);
        assert!(poll_once(stream.ready(Interest::READABLE)).is_pending());
        peer.write_all(b"!").unwrap();
        let ready = stream.ready(Interest::READABLE).await.unwrap();
        // A direction that is not in the interest is not reported.
        assert!(ready.readable && !ready.read_ended && !ready.writable);
        peer.shutdown(Shutdown::Write).unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        let ready = stream.ready(Interest::READABLE).await.unwrap();
        assert!(ready.readable && ready.read_ended);
        assert_eq!(look(&stream).await, [true, true, true, false]);
        stream.shutdown(Shutdown::Write).unwrap();
        let ready = stream.ready(Interest::WRITABLE).await.unwrap();
        assert!(ready.writable && ready.write_ended && !ready.readable);
    });
}

#[test]
fn ready_waits_for_room_and_leaves_an_error_to_be_reported() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        let std = stream.into_std();
        fill(&std);
        let stream = nio_net::TcpStream::from_std(&handle, std).unwrap();
        assert!(poll_once(stream.ready(Interest::WRITABLE)).is_pending());
        support::reset(&peer);
        drop(peer);
        let ready = stream.ready(Interest::READABLE).await.unwrap();
        assert!(ready.readable && ready.read_ended);
        let error = stream.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn ready_tells_the_ends_of_a_pipe() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        let ready = writer.ready(Interest::WRITABLE).await.unwrap();
        assert!(ready.writable && !ready.write_ended);
        drop(reader);
        let ready = writer.ready(Interest::WRITABLE).await.unwrap();
        assert!(ready.writable && ready.write_ended);
        let (reader, writer) = pipe(&handle).unwrap();
        writer.write_all(b"!").await.unwrap();
        drop(writer);
        assert!(!reader.ready(Interest::READABLE).await.unwrap().read_ended);
        reader.read_exact(&mut [0]).await.unwrap();
        assert!(reader.ready(Interest::READABLE).await.unwrap().read_ended);
    });
}

/// A future that waits keeps its waker, and nothing of it when it is dropped.
macro_rules! leaves_nothing {
    ($($future:expr;)*) => {$(
        let counted = Arc::new(Counted::default());
        for _ in 0..3 {
            let mut future = Box::pin(async { let _ = $future.await; });
            assert!(counted.poll(future.as_mut()).is_pending(), stringify!($future));
            assert!(counted.kept() > 0, stringify!($future));
            drop(future);
            assert_eq!(counted.kept(), 0, stringify!($future));
        }
    )*};
}

#[test]
fn l96_waits_that_are_dropped_leave_nothing() {
    run(async |handle| {
        let (stream, _peer) = UnixStream::pair(&handle).unwrap();
        while stream.try_write(&[0; 64 * 1024]).is_ok() {}
        let (listener, _) = listen(&handle);
        let socket = UdpSocket::bind(&handle, ANY_PORT).await.unwrap();
        leaves_nothing! {
            stream.io(Direction::Read, |mut socket| socket.read(&mut [0; 9]));
            stream.ready(Interest::READABLE);
            stream.ready(Interest::READABLE | Interest::WRITABLE);
            listener.io(|listener| listener.accept());
            socket.io(Direction::Read, |socket| socket.recv(&mut [0; 9]));
            socket.peek(&mut [0; 9]);
        }
    });
}

/// Whether a time limit ends an await that is ready again and again.
async fn ends<T, F: Future<Output = T>>(handle: &Handle, mut again: impl FnMut() -> F) {
    let again = async {
        loop {
            again().await;
        }
    };
    let limit = Duration::from_millis(10);
    let ended: Result<(), _> = handle.timeout(limit, again).await;
    ended.unwrap_err();
}

#[test]
fn l95_a_time_limit_ends_awaits_that_are_ready_again_and_again() {
    in_child(|| {
        run(async |handle| {
            let (stream, _peer) = pair_with_std(&handle);
            ends(&handle, || stream.io(Direction::Read, |_| Ok(()))).await;
            ends(&handle, || stream.ready(Interest::WRITABLE)).await;
            let (listener, _) = listen(&handle);
            ends(&handle, || listener.io(|_| Ok(()))).await;
            let place = Place::new("nothing-there");
            ends(&handle, || {
                UnixSocket::new_stream().unwrap().connect(&handle, &place.0)
            })
            .await;
        });
    });
}

#[test]
fn a_terminal_that_is_opened_by_mistake_is_refused_and_does_not_control_the_process() {
    in_child(|| {
        // SAFETY: takes no pointers. The first process of a session has no terminal that controls it, and gets the one
        // that it opens next.
        assert_ne!(unsafe { libc::setsid() }, -1);
        File::open("/dev/tty").unwrap_err();
        let (_user, _program, name) = a_terminal();
        run(async |handle| {
            let error = PipeReader::open(&handle, &name).unwrap_err();
            assert!(error.to_string().contains("not a named pipe"), "{error}");
        });
        File::open("/dev/tty").unwrap_err();
    });
}
