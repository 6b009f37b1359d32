//! The operations of every stream, tested with TCP and with Unix connections.

mod support;

use std::{
    future::poll_fn,
    io::{ErrorKind, IoSlice, IoSliceMut},
    net::Shutdown,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use nio_net::{ByteStream, UnixStream};
use support::{LIMIT, join, pair, pattern, poll, poll_once, run};

/// Runs a test with two streams that are connected with each other, of each kind.
macro_rules! each_kind {
    (async |$handle:ident, $one:ident, $other:ident| $test:block) => {
        run(async |$handle| {
            let ($one, $other) = pair(&$handle).await;
            $test
        });
        run(async |$handle| {
            let ($one, $other) = UnixStream::pair(&$handle).unwrap();
            $test
        });
    };
}

#[test]
fn read_buf_fills_the_spare_capacity_of_a_vector() {
    each_kind!(async |_handle, one, other| {
        one.write_all(b"hello, world").await.unwrap();
        let mut bytes = Vec::with_capacity(8);
        bytes.extend_from_slice(b"> ");
        let capacity = bytes.capacity();
        let n = other.read_buf(&mut bytes).await.unwrap();
        assert_eq!(n, capacity - 2);
        assert_eq!(bytes, &b"> hello, world"[..capacity]);
        assert_eq!(bytes.capacity(), capacity);
        // Nothing is in reserve, so nothing is waited for.
        assert_eq!(other.read_buf(&mut bytes).await.unwrap(), 0);
        assert_eq!(other.try_read_buf(&mut bytes).unwrap(), 0);

        let mut rest = Vec::with_capacity(100);
        assert_eq!(other.read_buf(&mut rest).await.unwrap(), 14 - capacity);
        assert_eq!(rest, &b"> hello, world"[capacity..]);
    });
}

#[test]
fn a_read_of_nothing_does_not_wait() {
    each_kind!(async |_handle, one, other| {
        for stream in [&one, &other] {
            assert_eq!(stream.read(&mut []).await.unwrap(), 0);
            assert_eq!(stream.peek(&mut []).await.unwrap(), 0);
            let mut nowhere = [IoSliceMut::new(&mut [])];
            assert_eq!(stream.read_vectored(&mut nowhere).await.unwrap(), 0);
        }
    });
}

#[test]
fn reads_and_writes_go_over_several_buffers() {
    each_kind!(async |_handle, one, other| {
        let pieces = [b"he", &b"llo"[..], b"", b", world"].map(IoSlice::new);
        assert_eq!(one.write_vectored(&pieces).await.unwrap(), 12);
        let (mut first, mut second) = ([0; 5], [0; 64]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(other.read_vectored(&mut buffers).await.unwrap(), 12);
        assert_eq!((&first, &second[..7]), (b"hello", &b", world"[..]));

        assert_eq!(one.try_write_vectored(&pieces).unwrap(), 12);
        other.readable().await.unwrap();
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(other.try_read_vectored(&mut buffers).unwrap(), 12);
    });
}

#[test]
fn a_read_into_more_buffers_than_one_call_fills_leaves_the_rest_to_the_next() {
    each_kind!(async |handle, one, other| {
        // Only a stream that has waited once takes a short read for all that there is.
        let waits = handle.timeout(Duration::from_millis(1), other.readable());
        waits.await.unwrap_err();
        one.write_all(&pattern(1500)).await.unwrap();
        other.readable().await.unwrap();
        let mut bytes = [0; 1500];
        let mut buffers: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
        let n = other.read_vectored(&mut buffers).await.unwrap();
        assert!((1..1500).contains(&n));
        let rest = other.read_exact(&mut bytes[n..]);
        handle.timeout(LIMIT, rest).await.unwrap().unwrap();
        assert_eq!(bytes[..], pattern(1500)[..]);
    });
}

#[test]
fn write_all_vectored_writes_every_piece_in_order() {
    each_kind!(async |handle, one, other| {
        one.options().set_send_buffer_size(4096).unwrap();
        // More pieces than one call takes, and some of them empty.
        let sent = pattern(1 << 20);
        let all = sent.clone();
        let writer = handle.spawn(async move {
            let mut pieces: Vec<_> = all.chunks(300).map(IoSlice::new).collect();
            for at in [0, 1, 2000, 3000] {
                pieces.insert(at, IoSlice::new(b""));
            }
            pieces.push(IoSlice::new(b""));
            one.write_all_vectored(&mut pieces).await.unwrap();
            one.write_all_vectored(&mut [IoSlice::new(b"")])
                .await
                .unwrap();
        });
        let mut got = Vec::new();
        other.read_to_end(&mut got, usize::MAX).await.unwrap();
        assert!(got == sent);
        join(writer).await;
    });
}

#[test]
fn read_to_end_appends_everything_up_to_the_limit() {
    each_kind!(async |handle, one, other| {
        let sent = pattern(100_000);
        let bytes = sent.clone();
        handle.spawn(async move { one.write_all(&bytes).await.unwrap() });
        let mut got = b"> ".to_vec();
        let n = other.read_to_end(&mut got, 100_000).await.unwrap();
        assert_eq!(n, 100_000);
        assert!(got[2..] == sent);
    });
}

#[test]
fn read_to_end_fails_one_byte_beyond_the_limit() {
    each_kind!(async |_handle, one, other| {
        one.write_all(b"hello, world").await.unwrap();
        let mut got = b"> ".to_vec();
        let error = other.read_to_end(&mut got, 4).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(got, b"> hello");
        // The others are still there.
        let mut rest = [0; 7];
        other.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b", world");
    });
}

#[test]
fn l86_a_dropped_read_to_end_can_be_continued() {
    each_kind!(async |_handle, one, other| {
        let mut got = Vec::new();
        one.write_all(b"hello").await.unwrap();
        other.readable().await.unwrap();
        assert!(poll_once(other.read_to_end(&mut got, 100)).is_pending());
        one.write_all(b", world").await.unwrap();
        drop(one);
        assert_eq!(other.read_to_end(&mut got, 100).await.unwrap(), 7);
        assert_eq!(got, b"hello, world");
    });
}

#[test]
fn peek_leaves_the_bytes() {
    each_kind!(async |handle, one, other| {
        let mut bytes = [0; 64];
        let error = other.try_peek(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let late = handle.clone();
        handle.spawn(async move {
            late.sleep(Duration::from_millis(5)).await;
            one.write_all(b"hello").await.unwrap();
        });
        for _ in 0..3 {
            assert_eq!(other.peek(&mut bytes).await.unwrap(), 5);
            assert_eq!(other.peek(&mut bytes[..2]).await.unwrap(), 2);
        }
        assert_eq!(other.read(&mut bytes).await.unwrap(), 5);
        assert_eq!(other.peek(&mut bytes).await.unwrap(), 0);
    });
}

#[test]
fn try_operations_that_would_block_return_an_error() {
    each_kind!(async |_handle, one, other| {
        let mut bytes = [0; 64];
        for _ in 0..2 {
            let error = other.try_read(&mut bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(one.try_write(b"hello").unwrap(), 5);
        other.readable().await.unwrap();
        assert_eq!(other.try_read(&mut bytes).unwrap(), 5);

        one.options().set_send_buffer_size(4096).unwrap();
        let error = loop {
            match one.try_write(&[0; 4096]) {
                Ok(n) => assert!(n > 0),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(poll_once(one.writable()).is_pending());
    });
}

#[test]
fn readable_and_writable_wait_and_take_nothing() {
    each_kind!(async |handle, one, other| {
        // There is room, and nothing to read.
        one.writable().await.unwrap();
        let mut readable = pin!(other.readable());
        assert!(poll(readable.as_mut()).is_pending());
        handle.sleep(Duration::from_millis(5)).await;
        assert!(poll(readable.as_mut()).is_pending());
        one.write_all(b"!").await.unwrap();
        readable.await.unwrap();
        // It stays so until a read.
        for _ in 0..3 {
            other.readable().await.unwrap();
        }
        assert_eq!(other.try_read(&mut [0; 8]).unwrap(), 1);
        assert!(poll_once(other.readable()).is_pending());
        // The end is something to read, too.
        one.shutdown(Shutdown::Write).unwrap();
        other.readable().await.unwrap();
        assert_eq!(other.try_read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn writable_waits_until_there_is_room() {
    each_kind!(async |handle, one, other| {
        one.options().set_send_buffer_size(4096).unwrap();
        let mut filled = 0;
        while let Ok(n) = one.try_write(&[0; 4096]) {
            filled += n;
        }
        let mut writable = pin!(one.writable());
        assert!(poll(writable.as_mut()).is_pending());
        let reader = handle.spawn(async move {
            let mut left = filled;
            while left > 0 {
                left -= other.read(&mut [0; 4096]).await.unwrap();
            }
            other
        });
        writable.await.unwrap();
        assert!(one.try_write(b"!").unwrap() == 1);
        join(reader).await;
    });
}

#[test]
fn poll_operations_wake_their_task() {
    each_kind!(async |handle, one, other| {
        let reader = handle.spawn(async move {
            let mut bytes = [0; 8];
            let n = poll_fn(|context| other.poll_read(context, &mut bytes)).await;
            assert_eq!(&bytes[..n.unwrap()], b"hello");
            let mut rest = Vec::with_capacity(64);
            let n = poll_fn(|context| other.poll_read_buf(context, &mut rest, 2)).await;
            assert_eq!(n.unwrap(), 2);
            assert_eq!(rest, b", ");
            poll_fn(|context| other.poll_readable(context))
                .await
                .unwrap();
            let n = other.peek(&mut bytes).await;
            assert_eq!(&bytes[..n.unwrap()], b"world");
            let mut buffers = [IoSliceMut::new(&mut bytes)];
            let n = poll_fn(|context| other.poll_read_vectored(context, &mut buffers)).await;
            assert_eq!(n.unwrap(), 5);
        });
        handle.sleep(Duration::from_millis(1)).await;
        poll_fn(|context| one.poll_writable(context)).await.unwrap();
        let n = poll_fn(|context| one.poll_write(context, b"hello")).await;
        assert_eq!(n.unwrap(), 5);
        handle.sleep(Duration::from_millis(1)).await;
        let pieces = [IoSlice::new(b", "), IoSlice::new(b"world")];
        let n = poll_fn(|context| one.poll_write_vectored(context, &pieces)).await;
        assert_eq!(n.unwrap(), 7);
        join(reader).await;
    });
}

#[test]
fn a_writer_of_single_bytes_loses_none() {
    each_kind!(async |handle, one, other| {
        let sent = pattern(3000);
        let bytes = sent.clone();
        handle.spawn(async move {
            for byte in bytes {
                one.write_all(&[byte]).await.unwrap();
            }
        });
        let mut got = Vec::new();
        other.read_to_end(&mut got, 3000).await.unwrap();
        assert!(got == sent);
    });
}

#[test]
fn l61_a_short_read_before_descriptors_does_not_hide_the_bytes_after_them() {
    use std::os::fd::AsFd;
    run(async |handle| {
        let (one, other) = UnixStream::pair(&handle).unwrap();
        let mut bytes = [0; 64];
        // The socket is registered with the loop from here on.
        assert!(poll_once(other.read(&mut bytes)).is_pending());
        let stdin = std::io::stdin();
        for _ in 0..3 {
            one.write_with_descriptors(b"one", &[stdin.as_fd()])
                .await
                .unwrap();
            one.write_all(b"two").await.unwrap();
            handle.sleep(Duration::from_millis(1)).await;
            let mut got = Vec::new();
            while got.len() < 6 {
                let n = other.read(&mut bytes).await.unwrap();
                got.extend_from_slice(&bytes[..n]);
            }
            assert_eq!(got, b"onetwo");
        }
    });
}

#[test]
fn owned_halves_go_to_two_tasks() {
    each_kind!(async |handle, one, other| {
        let sent = pattern(500_000);
        let echo = handle.spawn(async move {
            let (reader, writer) = other.into_split();
            let mut bytes = vec![0; 10_000];
            loop {
                match reader.read(&mut bytes).await.unwrap() {
                    0 => return,
                    n => writer.write_all(&bytes[..n]).await.unwrap(),
                }
            }
        });
        let (reader, writer) = one.into_split();
        let bytes = sent.clone();
        handle.spawn(async move { writer.write_all(&bytes).await.unwrap() });
        let mut got = Vec::new();
        reader.read_to_end(&mut got, usize::MAX).await.unwrap();
        assert!(got == sent);
        join(echo).await;
    });
}

#[test]
fn dropping_the_owned_half_that_writes_is_an_end_for_the_other_side() {
    each_kind!(async |_handle, one, other| {
        let (reader, writer) = one.into_split();
        drop(writer);
        assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
        other.write_all(b"still here").await.unwrap();
        reader.read_exact(&mut [0; 10]).await.unwrap();
    });
}

#[test]
fn reunited_halves_are_a_stream_without_an_end() {
    each_kind!(async |_handle, one, other| {
        let (reader, writer) = one.into_split();
        let (strange, stranger) = other.into_split();
        let error = reader.reunite(stranger).unwrap_err();
        assert_eq!(error.to_string(), "the halves are not of one stream");
        let (reader, stranger) = (error.0, error.1);
        let (one, other) = (
            reader.reunite(writer).unwrap(),
            strange.reunite(stranger).unwrap(),
        );
        one.write_all(b"!").await.unwrap();
        let mut bytes = [0; 8];
        assert_eq!(other.read(&mut bytes).await.unwrap(), 1);
        assert!(poll_once(other.read(&mut bytes)).is_pending());
    });
}

#[test]
fn q32_after_shutting_down_reading_a_read_finds_earlier_bytes_or_the_end() {
    each_kind!(async |_handle, one, other| {
        one.write_all(b"hello").await.unwrap();
        other.readable().await.unwrap();
        other.shutdown(Shutdown::Read).unwrap();
        let mut got = Vec::new();
        other.read_to_end(&mut got, 5).await.unwrap();
        if cfg!(any(target_os = "linux", target_os = "android")) {
            assert_eq!(got, b"hello");
        }
    });
}

#[test]
fn q31_an_end_of_the_other_sides_writing_is_none_of_ours() {
    each_kind!(async |handle, one, other| {
        assert!(poll_once(one.read(&mut [0])).is_pending());
        other.shutdown(Shutdown::Write).unwrap();
        handle.sleep(Duration::from_millis(2)).await;
        // The end of one direction is known, and the other goes on.
        assert_eq!(one.read(&mut [0]).await.unwrap(), 0);
        let sent = pattern(1 << 20);
        let bytes = sent.clone();
        let writer = handle.spawn(async move {
            one.write_all(&bytes).await.unwrap();
            one.shutdown(Shutdown::Both).unwrap();
        });
        let mut got = Vec::new();
        other.read_to_end(&mut got, usize::MAX).await.unwrap();
        assert!(got == sent);
        join(writer).await;
    });
}

#[test]
fn one_that_is_shut_down_both_ways_is_at_its_end() {
    each_kind!(async |handle, one, other| {
        let one = Rc::new(one);
        let reader = Rc::clone(&one);
        let reading = handle.spawn(async move { reader.read(&mut [0]).await.unwrap() });
        handle.sleep(Duration::from_millis(1)).await;
        one.shutdown(Shutdown::Both).unwrap();
        assert_eq!(join(reading).await, 0);
        let error = one.write(b"!").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn a_stream_goes_to_another_loop_in_another_thread() {
    each_kind!(async |handle, one, other| {
        let mut bytes = [0; 64];
        assert!(poll_once(one.read(&mut bytes)).is_pending());
        let one = one.into_std();
        let there = std::thread::spawn(move || {
            run(async |handle| {
                let one = ByteStream::from_std(&handle, one).unwrap();
                let mut bytes = [0; 8];
                one.read_exact(&mut bytes).await.unwrap();
                one.write_all(&bytes).await.unwrap();
                // And back again.
                one.into_std()
            })
        });
        other.write_all(b"question").await.unwrap();
        other.read_exact(&mut bytes[..8]).await.unwrap();
        assert_eq!(&bytes[..8], b"question");
        let one = ByteStream::from_std(&handle, there.join().unwrap()).unwrap();
        let mut waits = pin!(one.read(&mut bytes));
        assert!(poll(waits.as_mut()).is_pending());
        other.write_all(b"!").await.unwrap();
        assert_eq!(waits.await.unwrap(), 1);
    });
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_stream_is_four_words_and_the_futures_that_wait_most_are_four() {
    run(async |handle| {
        let (one, _other) = pair(&handle).await;
        assert!(size_of::<nio_net::TcpStream>() <= 32);
        assert!(size_of::<UnixStream>() <= 32);
        let mut bytes = [0; 8];
        // Their arguments, and their place among those that wait.
        assert_eq!(size_of_val(&one.read(&mut bytes)), 24 + 8);
        assert_eq!(size_of_val(&one.write_all(&bytes)), 24 + 8);
    });
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_task_takes_its_stream_and_one_future_and_no_more() {
    run(async |handle| {
        let (one, _other) = pair(&handle).await;
        let echo = async move {
            let mut buffer = [0];
            loop {
                let n = one.read(&mut buffer).await?;
                if n == 0 {
                    return std::io::Result::Ok(());
                }
                one.write_all(&buffer[..n]).await?;
            }
        };
        // And a word for the byte and where it is.
        assert_eq!(size_of_val(&echo), 32 + 32 + 8);
    });
}

#[test]
fn a_future_that_is_never_polled_does_nothing() {
    each_kind!(async |_handle, one, other| {
        drop(one.write_all(b"never"));
        one.write_all(b"!").await.unwrap();
        drop(other.read(&mut [0; 8]));
        let mut bytes = [0; 8];
        assert_eq!(other.read(&mut bytes).await.unwrap(), 1);
        assert_eq!(bytes[0], b'!');
    });
}

#[test]
fn take_error_returns_an_error_once() {
    run(async |handle| {
        let (one, other) = pair(&handle).await;
        assert!(one.take_error().unwrap().is_none());
        other.options().set_linger(Some(Duration::ZERO)).unwrap();
        drop(other);
        one.readable().await.unwrap();
        let error = one.take_error().unwrap().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(one.take_error().unwrap().is_none());
        assert!(matches!(poll_once(one.read(&mut [0])), Poll::Ready(Ok(0))));
    });
}
