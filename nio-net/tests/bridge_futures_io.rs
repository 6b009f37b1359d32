//! The traits of futures-io.

#![cfg(feature = "futures-io")]

mod support;

use std::{
    future::poll_fn,
    io::{IoSlice, IoSliceMut, Read, Write},
    pin::Pin,
};

use futures_io::{AsyncRead, AsyncWrite};
use nio_net::{UnixStream, pipe};
use support::{pair_with_std, reset, run};

async fn read(mut reader: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut one, mut other) = ([0; 2], [0; 64]);
    let mut buffers = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
    let n = poll_fn(|context| Pin::new(&mut reader).poll_read_vectored(context, &mut buffers));
    let n = n.await.unwrap();
    let mut all = [&one[..], &other[..]].concat();
    all.truncate(n);
    all
}

async fn write_and_close(mut writer: impl AsyncWrite + Unpin) {
    let pieces = [IoSlice::new(b"hel"), IoSlice::new(b"lo")];
    let n = poll_fn(|context| Pin::new(&mut writer).poll_write_vectored(context, &pieces)).await;
    assert_eq!(n.unwrap(), 5);
    poll_fn(|context| Pin::new(&mut writer).poll_flush(context))
        .await
        .unwrap();
    poll_fn(|context| Pin::new(&mut writer).poll_close(context))
        .await
        .unwrap();
}

#[test]
fn streams_their_halves_and_references_are_read() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        peer.write_all(b"one").unwrap();
        assert_eq!(read(&stream).await, b"one");
        peer.write_all(b"two").unwrap();
        assert_eq!(read(&stream).await, b"two");
        let (reader, writer) = stream.into_split();
        peer.write_all(b"three").unwrap();
        let mut reader = reader;
        assert_eq!(read(&mut reader).await, b"three");
        peer.write_all(b"four").unwrap();
        assert_eq!(read(reader.reunite(writer).unwrap()).await, b"four");
    });
}

#[test]
fn closing_ends_writing_and_not_reading() {
    run(async |handle| {
        for owned in [false, true] {
            let (stream, mut peer) = pair_with_std(&handle);
            let (reader, mut writer) = stream.into_split();
            if owned {
                write_and_close(&mut writer).await;
            } else {
                write_and_close(&*writer).await;
            }
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            assert_eq!(all, b"hello");
            peer.write_all(b"back").unwrap();
            assert_eq!(read(reader).await, b"back");
        }
    });
}

#[test]
fn a_connection_that_is_gone_can_be_closed() {
    run(async |handle| {
        let (mut stream, peer) = pair_with_std(&handle);
        reset(peer);
        stream.read(&mut [0; 1]).await.unwrap_err();
        poll_fn(|context| Pin::new(&mut stream).poll_close(context))
            .await
            .unwrap();
    });
}

#[test]
fn unix_streams_and_pipes_are_bridged_too() {
    run(async |handle| {
        let (one, other) = UnixStream::pair(&handle).unwrap();
        write_and_close(one).await;
        assert_eq!(read(other).await, b"hello");
        let (reader, writer) = pipe(&handle).unwrap();
        write_and_close(&writer).await;
        assert_eq!(read(&reader).await, b"hello");
        drop(writer);
        assert_eq!(read(reader).await, b"");
    });
}
