//! Reading into the shared buffer of the thread.

mod support;

use std::{
    io::{Read, Write},
    net::Shutdown,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    thread,
};

use nio_net::UnixStream;
use support::{fill, join, pair_with_std, pattern, poll, poll_once, run, shrink_buffer};

/// Longer than the shared buffer of the thread.
const LONG: usize = 1 << 20;

#[test]
fn read_with_lends_the_bytes_that_came_and_is_none_at_the_end() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        peer.write_all(b"hello").unwrap();
        let read = stream.read_with(<[u8]>::to_vec).await.unwrap();
        assert_eq!(read.unwrap(), b"hello");
        peer.shutdown(Shutdown::Write).unwrap();
        for _ in 0..2 {
            let read = stream.read_with(|_| panic!("there are no bytes")).await;
            assert!(read.unwrap().is_none());
        }
        assert!(stream.try_read_with(<[u8]>::to_vec).unwrap().is_none());
    });
}

#[test]
fn without_bytes_the_closure_is_not_called() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut read = pin!(stream.read_with(<[u8]>::len));
        assert!(poll(read.as_mut()).is_pending());
        let error = stream
            .try_read_with(|_| panic!("there are no bytes"))
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        peer.write_all(b"!").unwrap();
        assert_eq!(read.await.unwrap(), Some(1));
    });
}

#[test]
fn l86_a_read_with_that_is_dropped_loses_no_byte() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        assert!(poll_once(stream.read_with(<[u8]>::len)).is_pending());
        peer.write_all(b"hello").unwrap();
        assert_eq!(
            stream.read_with(<[u8]>::to_vec).await.unwrap().unwrap(),
            b"hello"
        );
    });
}

#[test]
fn a_closure_that_reads_too_has_a_buffer_of_its_own() {
    run(async |handle| {
        let (one, other) = UnixStream::pair(&handle).unwrap();
        one.write_all(b"from one").await.unwrap();
        other.write_all(b"from other").await.unwrap();
        let read = other.read_with(|outer| {
            let inner = one.try_read_with(|inner| inner.to_vec()).unwrap();
            (outer.to_vec(), inner.unwrap())
        });
        let (outer, inner) = read.await.unwrap().unwrap();
        assert_eq!(
            (&outer[..], &inner[..]),
            (&b"from one"[..], &b"from other"[..])
        );
    });
}

#[test]
fn a_closure_that_panics_leaves_a_stream_that_reads_on() {
    run(async |handle| {
        let (one, other) = UnixStream::pair(&handle).unwrap();
        one.write_all(b"first").await.unwrap();
        let read = || poll_once(other.read_with(|_| panic!("by intention")));
        catch_unwind(AssertUnwindSafe(read)).unwrap_err();
        one.write_all(b"second").await.unwrap();
        assert_eq!(
            other.read_with(<[u8]>::to_vec).await.unwrap().unwrap(),
            b"second"
        );
    });
}

#[test]
fn an_echo_without_a_buffer_of_its_own_loses_no_byte_to_a_slow_reader() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        shrink_buffer(&stream);
        let echo = handle.spawn(async move {
            let mut kept = 0;
            while let Some(left) = stream
                .read_with(|bytes| stream.try_write_all(bytes))
                .await?
            {
                let left = left?;
                kept += left.len();
                stream.write_all(&left).await?;
            }
            std::io::Result::Ok(kept)
        });
        let client = thread::spawn(move || {
            let mut writer = peer.try_clone().unwrap();
            let writer = thread::spawn(move || {
                writer.write_all(&pattern(LONG)).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let mut all = Vec::new();
            (&peer).read_to_end(&mut all).unwrap();
            writer.join().unwrap();
            all
        });
        assert!(
            join(echo).await.unwrap() > 0,
            "everything was written at once"
        );
        assert!(client.join().unwrap() == pattern(LONG));
    });
}

#[test]
fn try_write_all_returns_the_bytes_that_had_no_room() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        assert!(stream.try_write_all(b"hello").unwrap().is_empty());
        peer.read_exact(&mut [0; 5]).unwrap();
        let std = stream.into_std();
        fill(&std);
        let stream = nio_net::TcpStream::from_std(&handle, std).unwrap();
        assert_eq!(stream.try_write_all(b"no room").unwrap(), b"no room");
        stream.shutdown(Shutdown::Write).unwrap();
        let error = stream.try_write_all(b"!").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    });
}
