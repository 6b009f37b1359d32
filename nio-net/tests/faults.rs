//! The peer misbehaves: it resets the connection at every moment, vanishes without a word,
//! does not read, or comes in crowds. No operation hangs or lies, and the loop does not run idle.

mod support;

use std::{
    future::Future,
    io::{self, ErrorKind, Read, Write},
    net::{self, Shutdown},
    pin::pin,
    rc::Rc,
    task::Poll,
    thread,
    time::Duration,
};

use nio_loop::Handle;
use nio_net::{ByteStream, Error, Stream, TcpStream, UnixStream};
use support::{
    FULL_FOR, either, end_of_turn, join, listen, pair, pair_with_std, pattern, poll, poll_once,
    read_to_end, reset, run,
};

const MEGABYTE: usize = 1024 * 1024;

/// The errors of a connection that is no more. Which one depends on timing.
fn is_gone(error: &io::Error) -> bool {
    use ErrorKind::*;
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected)
}

/// Waits until a reset has come to a stream and the loop knows of it, without taking it.
async fn reset_has_come(handle: &Handle, stream: &TcpStream) {
    while stream.peer_addr().is_ok() {
        handle.sleep(Duration::from_micros(100)).await;
    }
    handle.sleep(Duration::from_millis(1)).await;
}

/// How many turns the loop takes in 20 ms in which nothing is to be done.
async fn turns_in_silence(handle: &Handle) -> u64 {
    let before = handle.metrics().turns;
    handle.sleep(Duration::from_millis(20)).await;
    handle.metrics().turns - before
}

/// Writes until nothing more is taken, and waits until that is so for good.
async fn fill<S: Stream>(handle: &Handle, stream: &ByteStream<S>) -> usize {
    let bytes = [0; 64 * 1024];
    let mut filled = 0;
    loop {
        let write = async { Some(stream.write(&bytes).await.unwrap()) };
        let give_up = async {
            handle.sleep(FULL_FOR).await;
            None
        };
        match either(write, give_up).await {
            Some(n) => filled += n,
            None => return filled,
        }
    }
}

// Resets, in the order of a connection's life.

#[test]
fn a_reset_before_connect_is_done_is_its_error() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let mut connect = pin!(TcpStream::connect(&handle, address));
        let early = poll(connect.as_mut());
        // A listener that closes resets what waits in its queue.
        drop(listener);
        let stream = match early {
            Poll::Ready(stream) => stream,
            Poll::Pending => connect.await,
        };
        match stream {
            Ok(stream) => assert!(is_gone(&stream.read(&mut [0]).await.unwrap_err())),
            Err(Error::Connect { address: of, .. }) => assert_eq!(of, address),
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn l64_a_reset_in_the_queue_leaves_the_others_there() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let mut clients = Vec::new();
        for i in 0..20 {
            let client = net::TcpStream::connect(address).unwrap();
            match i % 2 {
                0 => reset(client),
                _ => clients.push(client),
            }
        }
        for client in clients {
            // Some systems give the broken ones out.
            let (stream, _) = loop {
                let (stream, peer) = listener.accept().await.unwrap();
                if peer == client.local_addr().unwrap() {
                    break (stream, peer);
                }
            };
            stream.write_all(b"hello").await.unwrap();
        }
    });
}

#[test]
fn q28_a_reset_of_a_connection_without_a_waiting_future_does_not_keep_the_loop_busy() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        // Both directions are registered, and then no future waits any more.
        fill(&handle, &stream).await;
        assert!(poll_once(stream.read(&mut [0])).is_pending());
        reset(peer);
        reset_has_come(&handle, &stream).await;
        let turns = turns_in_silence(&handle).await;
        assert!(turns < 10, "{turns} turns");
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = stream.write(b"hello").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_reset_is_reported_once() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        reset(peer);
        reset_has_come(&handle, &stream).await;
        // Linux tells it to a write, if that is the first to ask; the BSDs keep it for a read.
        let write = stream.write(b"hello").await.unwrap_err();
        match stream.read(&mut [0]).await {
            Ok(n) => assert_eq!((n, write.kind()), (0, ErrorKind::ConnectionReset)),
            Err(read) => {
                assert_eq!(read.kind(), ErrorKind::ConnectionReset);
                assert_eq!(write.kind(), ErrorKind::BrokenPipe);
            }
        }
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert!(is_gone(&stream.write(b"hello").await.unwrap_err()));
    });
}

#[test]
fn a_reset_ends_waits_for_readiness() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        fill(&handle, &stream).await;
        let stream = Rc::new(stream);
        let waits = [stream.clone(), stream.clone()];
        let [reader, writer] = waits;
        let readable = handle.spawn(async move { reader.readable().await.unwrap() });
        let writable = handle.spawn(async move { writer.writable().await.unwrap() });
        end_of_turn(&handle).await;
        assert!(!readable.is_finished() && !writable.is_finished());
        reset(peer);
        join(readable).await;
        join(writable).await;
        stream.try_read(&mut [0]).unwrap_err();
        stream.try_write(b"hello").unwrap_err();
    });
}

#[test]
fn a_reset_ends_a_read_and_a_write_that_wait() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        fill(&handle, &stream).await;
        let stream = Rc::new(stream);
        let (reader, writer) = (stream.clone(), stream.clone());
        let read = handle.spawn(async move { reader.read(&mut [0]).await });
        let write = handle.spawn(async move { writer.write_all(b"hello").await });
        end_of_turn(&handle).await;
        reset(peer);
        // One of them is told of the reset, the other one that nothing goes this way any more.
        let (read, write) = (join(read).await, join(write).await);
        let write = write.unwrap_err();
        assert!(is_gone(&write), "{write}");
        match read {
            Ok(n) => assert_eq!((n, write.kind()), (0, ErrorKind::ConnectionReset)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    });
}

#[test]
fn q22_bytes_that_came_before_a_reset_are_read_before_it() {
    run(async |handle| {
        for waits in [false, true] {
            let (stream, mut peer) = pair_with_std(&handle);
            if waits {
                assert!(poll_once(stream.read(&mut [0])).is_pending());
            }
            peer.write_all(b"last words").unwrap();
            stream.readable().await.unwrap();
            reset(peer);
            reset_has_come(&handle, &stream).await;
            let mut bytes = [0; 4];
            let mut got = Vec::new();
            let error = loop {
                match stream.read(&mut bytes).await {
                    Ok(0) => panic!("a reset is not an end"),
                    Ok(n) => got.extend_from_slice(&bytes[..n]),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            // A system may discard unread bytes.
            assert!(got == b"last words" || !cfg!(any(target_os = "linux", target_os = "android")));
            assert!(b"last words".starts_with(&got));
        }
    });
}

#[test]
fn a_reset_in_the_middle_of_reading_is_not_an_end() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        peer.write_all(b"half").unwrap();
        let mut bytes = [0; 8];
        let mut exact = pin!(stream.read_exact(&mut bytes));
        stream.readable().await.unwrap();
        assert!(poll(exact.as_mut()).is_pending());
        reset(peer);
        assert_eq!(exact.await.unwrap_err().kind(), ErrorKind::ConnectionReset);

        let (stream, mut peer) = pair_with_std(&handle);
        peer.write_all(b"half").unwrap();
        let mut all = Vec::new();
        let mut to_end = Box::pin(stream.read_to_end(&mut all, 100));
        stream.readable().await.unwrap();
        assert!(poll(to_end.as_mut()).is_pending());
        reset(peer);
        let error = to_end.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(all, b"half");
    });
}

#[test]
fn a_reset_after_our_end_ends_a_read_that_waits() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut byte = [0];
        let mut read = pin!(stream.read(&mut byte));
        assert!(poll(read.as_mut()).is_pending());
        reset(peer);
        assert_eq!(read.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_after_their_end_ends_reads_and_writes() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        reset(peer);
        reset_has_come(&handle, &stream).await;
        assert!(is_gone(&stream.write(b"hello").await.unwrap_err()));
        // The end was the end.
        match stream.read(&mut [0]).await {
            Ok(n) => assert_eq!(n, 0),
            Err(error) => assert!(is_gone(&error), "{error}"),
        }
    });
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))] // Elsewhere it may be an end.
fn closing_with_bytes_that_were_not_read_is_a_reset_for_the_other_side() {
    run(async |handle| {
        let (one, other) = pair(&handle).await;
        other.write_all(b"this is not read").await.unwrap();
        one.readable().await.unwrap();
        drop(one);
        let error = other.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn dropping_the_half_that_writes_after_a_reset_is_no_harm() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        let (reader, writer) = stream.into_split();
        reset(peer);
        reader.readable().await.unwrap();
        drop(writer);
        // Finishing it has not taken the error away.
        let error = reader.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

// Ends that come from this side.

/// Whether a write that waits ends when writing is shut down.
async fn shutting_down_ends_a_write<S>(handle: &Handle, stream: ByteStream<S>)
where
    S: Stream + 'static,
{
    fill(handle, &stream).await;
    let stream = Rc::new(stream);
    let writer = Rc::clone(&stream);
    let write = handle.spawn(async move { writer.write_all(b"hello").await });
    end_of_turn(handle).await;
    assert!(!write.is_finished());
    stream.shutdown(Shutdown::Write).unwrap();
    let error = join(write).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn q24_shutting_down_writing_ends_a_write_that_waits() {
    run(async |handle| {
        let (stream, _peer) = pair_with_std(&handle);
        shutting_down_ends_a_write(&handle, stream).await;
    });
}

#[test]
fn q32_shutting_down_writing_ends_a_write_to_a_unix_stream_though_linux_has_no_event_of_it() {
    run(async |handle| {
        let (stream, _peer) = UnixStream::pair(&handle).unwrap();
        shutting_down_ends_a_write(&handle, stream).await;
    });
}

#[test]
fn l67_shutting_down_again_changes_nothing() {
    run(async |handle| {
        let (one, other) = pair(&handle).await;
        one.write_all(b"all of it").await.unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        for _ in 0..3 {
            // Some systems say that there is nothing left to shut down.
            if let Err(error) = one.shutdown(Shutdown::Write) {
                assert_eq!(error.kind(), ErrorKind::NotConnected);
            }
        }
        assert_eq!(read_to_end(&other).await.unwrap(), b"all of it");
        other.write_all(b"and back").await.unwrap();
        other.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&one).await.unwrap(), b"and back");
    });
}

// Connections of which only one side is left.

/// Makes a socket deaf: whatever comes for it is thrown away before it is looked at, as if its
/// machine was switched off.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn vanish(socket: &net::TcpStream) {
    let mut drop_all = libc::sock_filter {
        code: 0x06, // BPF_RET | BPF_K
        jt: 0,
        jf: 0,
        k: 0,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: &mut drop_all,
    };
    support::set_option(socket, libc::SO_ATTACH_FILTER, program);
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn a_peer_that_vanished_costs_nothing_and_limits_hold() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        vanish(&peer);
        let stream = Rc::new(stream);
        let writer = Rc::clone(&stream);
        let write = handle.spawn(async move { writer.write_all(&pattern(64 * MEGABYTE)).await });
        handle.sleep(Duration::from_millis(20)).await;
        let limit = Duration::from_millis(20);
        let before = handle.metrics().turns;
        let mut byte = [0];
        let read = handle.timeout(limit, stream.read(&mut byte)).await;
        assert!(read.is_err());
        let turns = handle.metrics().turns - before;
        assert!(turns < 10, "{turns} turns");
        assert!(!write.is_finished());
        // Giving it up takes no time.
        write.abort();
        drop(stream);
    });
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn a_peer_that_vanished_is_found_by_asking_for_it() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        let second = Some(Duration::from_secs(1));
        let ask = nio_net::Keepalive {
            idle: second,
            interval: second,
            count: Some(1),
        };
        stream.options().set_keepalive(Some(ask)).unwrap();
        vanish(&peer);
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(is_gone(&stream.write(b"hello").await.unwrap_err()));
    });
}

// Peers that do not read, or little.

#[test]
fn a_closed_window_delays_no_other_connection_and_opens_again() {
    run(async |handle| {
        let (stuck, mut peer) = pair_with_std(&handle);
        let sent = pattern(16 * MEGABYTE);
        let bytes = sent.clone();
        let write = handle.spawn(async move { stuck.write_all(&bytes).await.unwrap() });
        handle.sleep(Duration::from_millis(20)).await;
        assert!(!write.is_finished());

        let (one, other) = pair(&handle).await;
        for _ in 0..100 {
            one.write_all(b"ping").await.unwrap();
            other.read_exact(&mut [0; 4]).await.unwrap();
        }
        let turns = turns_in_silence(&handle).await;
        assert!(turns < 10, "{turns} turns");
        assert!(!write.is_finished());

        let thread = thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        join(write).await;
        assert!(thread.join().unwrap() == sent);
    });
}

#[test]
fn a_reader_of_single_bytes_loses_none() {
    run(async |handle| {
        let (one, other) = pair(&handle).await;
        let sent = pattern(20_000);
        let bytes = sent.clone();
        handle.spawn(async move { one.write_all(&bytes).await.unwrap() });
        let (mut got, mut byte) = (Vec::new(), [0]);
        while other.read(&mut byte).await.unwrap() > 0 {
            got.push(byte[0]);
        }
        assert!(got == sent);
    });
}

// Crowds.

#[test]
fn l63_a_paused_listener_costs_a_turn_for_each_connection_that_comes_and_no_more() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let mut accept = pin!(listener.accept());
        assert!(poll(accept.as_mut()).is_pending());
        listener.pause();
        let before = handle.metrics().turns;
        let mut clients = Vec::new();
        for _ in 0..50 {
            clients.push(net::TcpStream::connect(address).unwrap());
            end_of_turn(&handle).await;
        }
        let turns = turns_in_silence(&handle).await;
        assert!(turns < 10, "{turns} turns");
        let turns = handle.metrics().turns - before;
        assert!(turns < 150, "{turns} turns");
        listener.resume();
        accept.await.unwrap();
        for _ in 1..50 {
            listener.accept().await.unwrap();
        }
    });
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))] // The BSDs may refuse them.
fn connections_that_find_a_full_queue_are_made_when_there_is_room() {
    run(async |handle| {
        let socket = nio_net::TcpSocket::new_v4().unwrap();
        socket.bind(support::ANY_PORT).unwrap();
        let listener = socket.listen(&handle, 2).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || {
            let handle = handle.clone();
            async move {
                let stream = TcpStream::connect(&handle, address).await.unwrap();
                stream.read_exact(&mut [0]).await.unwrap();
            }
        };
        let clients: Vec<_> = (0..6).map(|_| handle.spawn(connect())).collect();
        handle.sleep(Duration::from_millis(20)).await;
        // Those that found no room come again after a second, when the system says so.
        for _ in 0..6 {
            let (stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"!").await.unwrap();
        }
        for client in clients {
            join(client).await;
        }
    });
}

/// Polls a future in many turns, until it is ready or it is dropped after a few of them.
async fn given_up<F: Future>(handle: &Handle, turns: usize, future: F) -> Option<F::Output> {
    let give_up = async {
        for _ in 0..turns {
            end_of_turn(handle).await;
        }
        None
    };
    either(async { Some(future.await) }, give_up).await
}

/// As many as wait to be accepted on every system.
const CONNECTS: usize = 100;

#[test]
fn l86_accepts_that_are_given_up_again_and_again_lose_no_connection() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let thread = thread::spawn(move || {
            let connect = |_| net::TcpStream::connect(address).unwrap();
            (0..CONNECTS).map(connect).collect::<Vec<_>>()
        });
        let mut peers = Vec::new();
        for attempt in 0.. {
            if peers.len() == CONNECTS {
                break;
            }
            let accept = listener.accept();
            if let Some(accepted) = given_up(&handle, attempt % 3, accept).await {
                peers.push(accepted.unwrap().1);
            }
        }
        let clients = thread.join().unwrap();
        let mut expected: Vec<_> = clients.iter().map(|c| c.local_addr().unwrap()).collect();
        peers.sort();
        expected.sort();
        assert_eq!(peers, expected);
    });
}

// Errors of the network about datagrams.

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn q33_an_unread_error_queue_does_not_keep_the_loop_busy() {
    run(async |handle| {
        let socket = nio_net::UdpSocket::bind(&handle, support::ANY_PORT)
            .await
            .unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(socket.get_ref());
        let on: libc::c_int = 1;
        let (pointer, len) = ((&raw const on).cast(), size_of_val(&on) as libc::socklen_t);
        // SAFETY: the pointer and the length are those of a number, which the call only reads.
        let set = unsafe { libc::setsockopt(fd, libc::IPPROTO_IP, libc::IP_RECVERR, pointer, len) };
        assert_eq!(set, 0);
        assert!(poll_once(socket.recv(&mut [0])).is_pending());
        // A port without a socket: the ICMP error goes into the error queue, and stays there.
        let closed = net::UdpSocket::bind(support::ANY_PORT).unwrap();
        let to = closed.local_addr().unwrap();
        drop(closed);
        socket.send_to(b"hello", to).await.unwrap();
        let error = socket.recv(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

        let read = async {
            loop {
                socket.readable().await.unwrap();
                match socket.try_recv(&mut [0; 8]) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    result => break result.unwrap(),
                }
            }
        };
        let mut read = pin!(read);
        let before = handle.metrics().turns;
        let early = handle
            .timeout(Duration::from_millis(20), read.as_mut())
            .await;
        assert!(early.is_err());
        let turns = handle.metrics().turns - before;
        assert!(turns < 10, "{turns} turns");
        let address = socket.local_addr().unwrap();
        socket.send_to(b"again", &address).await.unwrap();
        assert_eq!(read.await, 5);
    });
}
