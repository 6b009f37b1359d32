//! Connections, lines and ticks as streams of futures-core.

#![cfg(feature = "futures-core")]

mod support;

use std::{future::poll_fn, io::Write, net, pin::Pin, time::Duration};

use futures_core::Stream;
use nio_net::BufReader;
use support::{listen, pair_with_std, run};

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

#[test]
fn a_listener_is_a_stream_of_connections() {
    run(async |handle| {
        let (mut listener, address) = listen(&handle);
        for _ in 0..3 {
            let client = net::TcpStream::connect(address).unwrap();
            let (_, peer) = next(&mut listener).await.unwrap().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            let client = net::TcpStream::connect(address).unwrap();
            let (_, peer) = next(&mut &listener).await.unwrap().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    });
}

#[test]
fn lines_are_a_stream_with_an_end() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut lines = BufReader::new(stream).lines(4);
        let sender = std::thread::spawn(move || {
            for piece in ["on", "e\ntwo\n", "thr"] {
                peer.write_all(piece.as_bytes()).unwrap();
            }
        });
        let mut all = Vec::new();
        while let Some(line) = next(&mut lines).await {
            all.push(line.unwrap());
        }
        assert_eq!(all, ["one", "two", "thr"]);
        sender.join().unwrap();
    });
}

#[test]
fn a_line_beyond_the_limit_is_an_error_of_the_stream() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut lines = BufReader::new(stream).lines(4);
        peer.write_all(b"12345").unwrap();
        let error = next(&mut lines).await.unwrap().unwrap_err();
        assert!(error.to_string().contains("limit of 4 bytes"), "{error}");
    });
}

#[test]
fn ticks_are_a_stream() {
    run(async |handle| {
        let mut interval = handle.interval(Duration::from_millis(1));
        for _ in 0..3 {
            assert!(next(&mut interval).await.unwrap() >= 1);
        }
    });
}
