//! Closing a connection so that the peer gets what was written to it.

mod support;

use std::{
    io::{self, ErrorKind, Read, Write},
    thread,
    time::Duration,
};

use nio_loop::{Clock, EventLoop, Handle};
use nio_net::UnixStream;
use support::{pair_with_std, run};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test in a time of its own, with a connection.
fn run_in_no_time(test: impl AsyncFnOnce(&Handle, UnixStream, UnixStream)) {
    let mut event_loop = EventLoop::with_clock(Clock::automatic()).unwrap();
    let handle = event_loop.handle();
    let (stream, peer) = UnixStream::pair(&handle).unwrap();
    event_loop.block_on(test(&handle, stream, peer)).unwrap();
}

fn kind(result: io::Result<()>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn an_answer_arrives_though_the_request_was_not_read() {
    run(async |handle| {
        let (stream, mut client) = pair_with_std(&handle);
        let client = thread::spawn(move || {
            client.write_all(&vec![0; 8 << 20])?; // fails after a reset
            let mut answer = String::new();
            client.read_to_string(&mut answer).map(|_| answer)
        });
        stream.write_all(b"413 Content Too Large").await.unwrap();
        stream.close_gracefully(60 * SECOND).await.unwrap();
        drop(stream);
        assert_eq!(client.join().unwrap().unwrap(), "413 Content Too Large");
    });
}

#[test]
fn a_peer_that_sends_nothing_is_waited_for_for_a_second() {
    run_in_no_time(async |handle, stream, _peer| {
        stream.close_gracefully(60 * SECOND).await.unwrap();
        assert_eq!(handle.now().since_start(), SECOND);
    });
}

#[test]
fn a_peer_that_goes_on_sending_is_waited_for_until_the_limit() {
    run_in_no_time(async |handle, stream, peer| {
        handle.set_interval(SECOND / 2, move |_, _| {
            let _ = peer.try_write(b"x");
        });
        let closed = stream.close_gracefully(10 * SECOND).await;
        assert_eq!(kind(closed), Some(ErrorKind::TimedOut));
        assert_eq!(handle.now().since_start(), 10 * SECOND);
    });
}

#[test]
fn a_peer_that_sends_without_end_is_read_to_a_limit() {
    run_in_no_time(async |handle, stream, peer| {
        let sender = handle.spawn(async move {
            while peer.write(&[0; 64 * 1024]).await.is_ok() {}
            peer.bytes_written()
        });
        let closed = stream.close_gracefully(60 * SECOND).await;
        assert_eq!(kind(closed), Some(ErrorKind::FileTooLarge));
        drop(stream);
        assert!(sender.await.unwrap() >= 64 << 20);
    });
}

#[test]
fn a_peer_that_has_ended_is_not_waited_for() {
    run_in_no_time(async |handle, stream, peer| {
        peer.write_all(b"unread").await.unwrap();
        drop(peer);
        stream.close_gracefully(60 * SECOND).await.unwrap();
        assert_eq!(handle.now().since_start(), Duration::ZERO);
    });
}

#[test]
fn a_stream_whose_end_was_read_is_not_read_again() {
    run_in_no_time(async |handle, stream, peer| {
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        stream.close_gracefully(60 * SECOND).await.unwrap();
        assert_eq!(handle.now().since_start(), Duration::ZERO);
        // Writing has ended all the same.
        assert_eq!(peer.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn a_read_into_no_room_is_not_taken_for_the_end() {
    run_in_no_time(async |handle, stream, _peer| {
        assert_eq!(stream.read(&mut []).await.unwrap(), 0);
        assert_eq!(stream.read_vectored(&mut []).await.unwrap(), 0);
        stream.close_gracefully(60 * SECOND).await.unwrap();
        assert_eq!(handle.now().since_start(), SECOND);
    });
}
