//! Reading, writing and the ends of a connection.

mod support;

use std::{
    future::Future,
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use nio_loop::Handle;
use nio_net::TcpStream;
use support::{
    either, fill, in_child, join, pair, pair_with_std, pattern, poll, poll_once, read_to_end,
    reset, run, shrink_buffer,
};

const MEGABYTE: usize = 1 << 20;

#[test]
fn a_read_takes_the_available_bytes() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        peer.write_all(b"hello").unwrap();
        let mut bytes = [0; 64];
        assert_eq!(stream.read(&mut bytes).await.unwrap(), 5);
        assert_eq!(&bytes[..5], b"hello");
    });
}

#[test]
fn a_read_waits_for_bytes() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut bytes = [0; 64];
        let mut read = pin!(stream.read(&mut bytes));
        assert!(poll(read.as_mut()).is_pending());
        handle.set_timeout(Duration::from_millis(5), move |_| {
            peer.write_all(b"hello").unwrap();
        });
        assert_eq!(read.await.unwrap(), 5);
    });
}

#[test]
fn read_exact_takes_no_more_than_it_was_asked_for() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        peer.write_all(b"hello, world").unwrap();
        let (mut hello, mut world) = ([0; 5], [0; 7]);
        stream.read_exact(&mut hello).await.unwrap();
        stream.read_exact(&mut world).await.unwrap();
        assert_eq!((&hello, &world), (b"hello", b", world"));
    });
}

#[test]
fn read_exact_fails_when_the_end_comes_before() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        peer.write_all(b"hell").unwrap();
        drop(peer);
        let error = stream.read_exact(&mut [0; 5]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    });
}

#[test]
fn q22_bytes_sent_before_the_end_are_read_before_it() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut first = [0];
        {
            let mut waits = pin!(stream.read(&mut first));
            assert!(poll(waits.as_mut()).is_pending());
            // The end is known before the first of the bytes is read.
            peer.write_all(b"hello").unwrap();
            drop(peer);
            handle.sleep(Duration::from_millis(5)).await;
            assert_eq!(waits.await.unwrap(), 1);
        }
        assert_eq!(&first, b"h");
        assert_eq!(read_to_end(&stream).await.unwrap(), b"ello");
    });
}

#[test]
fn l68_the_end_is_read_again_and_again() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        drop(peer);
        for _ in 0..100 {
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }
    });
}

#[test]
fn l61_an_end_that_comes_with_the_last_bytes_is_seen_after_a_short_read() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut bytes = [0; 64];
        let mut waits = pin!(stream.read(&mut bytes));
        assert!(poll(waits.as_mut()).is_pending());
        // One event for both.
        peer.write_all(b"hello").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(waits.await.unwrap(), 5);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn l61_an_end_that_comes_at_any_moment_around_a_short_read_is_seen() {
    run(async |handle| {
        for round in 0..300 {
            let (stream, mut peer) = pair_with_std(&handle);
            let thread = thread::spawn(move || {
                peer.write_all(b"hello").unwrap();
                spin(round * 50);
                peer.shutdown(Shutdown::Write).unwrap();
                peer
            });
            assert_eq!(read_to_end(&stream).await.unwrap(), b"hello");
            thread.join().unwrap();
        }
    });
}

/// Lets a little time pass, less than any sleep could.
fn spin(rounds: usize) {
    for n in 0..rounds {
        std::hint::black_box(n);
    }
}

#[test]
fn l61_bytes_that_come_at_any_moment_around_a_short_read_are_seen() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let sent = pattern(20_000);
        let bytes = sent.clone();
        let thread = thread::spawn(move || {
            for (i, piece) in bytes.chunks(7).enumerate() {
                peer.write_all(piece).unwrap();
                spin(i % 512);
            }
        });
        assert!(read_to_end(&stream).await.unwrap() == sent);
        thread.join().unwrap();
    });
}

#[test]
fn after_shutting_down_writing_one_can_read_on() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
        let mut bytes = [0; 64];
        let mut waits = pin!(stream.read(&mut bytes));
        assert!(poll(waits.as_mut()).is_pending());
        peer.write_all(b"still here").unwrap();
        assert_eq!(waits.await.unwrap(), 10);
    });
}

#[test]
fn q31_after_the_other_side_shut_down_writing_one_can_write_on() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        stream.write_all(b"still here").await.unwrap();
        drop(stream);
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "still here");
    });
}

#[test]
fn l67_shutting_down_writing_comes_after_the_written_bytes() {
    run(async |handle| {
        let (one, other) = pair(&handle).await;
        let sent = pattern(MEGABYTE);
        let bytes = sent.clone();
        let reader = handle.spawn(async move { read_to_end(&other).await.unwrap() });
        one.write_all(&bytes).await.unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        assert!(join(reader).await == sent);
    });
}

#[test]
fn after_shutting_down_writing_a_write_is_a_broken_pipe() {
    run(async |handle| {
        let (stream, _peer) = pair_with_std(&handle);
        stream.shutdown(Shutdown::Write).unwrap();
        let error = stream.write_all(b"too late").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn q24_shutting_down_reading_ends_a_read_that_waits() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let stream = Rc::new(stream);
        let reader = Rc::clone(&stream);
        let read = handle.spawn(async move { reader.read(&mut [0]).await.unwrap() });
        handle.sleep(Duration::from_millis(1)).await;
        stream.shutdown(Shutdown::Read).unwrap();
        assert_eq!(join(read).await, 0);
        stream.write_all(b"but not writing").await.unwrap();
        let mut bytes = [0; 15];
        peer.read_exact(&mut bytes).unwrap();
    });
}

#[test]
fn q23_a_reset_is_an_error_of_a_read() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        reset(peer);
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_ends_a_read_that_waits() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        let mut byte = [0];
        let mut waits = pin!(stream.read(&mut byte));
        assert!(poll(waits.as_mut()).is_pending());
        handle.set_timeout(Duration::from_millis(5), move |_| reset(peer));
        let error = waits.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn q27_a_reset_ends_a_write_that_waits_for_a_reader() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        let bytes = vec![0; 64 * MEGABYTE];
        handle.set_timeout(Duration::from_millis(20), move |_| reset(peer));
        let error = stream.write_all(&bytes).await.unwrap_err();
        assert!(is_gone(error.kind()), "{error}");
    });
}

#[test]
fn writing_to_a_connection_that_was_closed_becomes_an_error() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        drop(peer);
        // The first write asks for the reset that the second one finds.
        let error = loop {
            match stream.write(b"anybody there?").await {
                Ok(_) => handle.sleep(Duration::from_millis(1)).await,
                Err(error) => break error,
            }
        };
        assert!(is_gone(error.kind()), "{error}");
    });
}

/// The two errors of a connection that is no more. Which one depends on timing.
fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

#[test]
fn l66_q84_writing_to_a_connection_that_is_gone_raises_no_signal() {
    in_child(|| {
        // Rust programs ignore this signal from the beginning; others die of it.
        // SAFETY: the default action is no handler that could be unsound.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        run(async |handle| {
            let (accepted, peer) = pair_with_std(&handle);
            reset(peer);
            let (connected, peer) = pair(&handle).await;
            reset(peer);
            for stream in [accepted, connected] {
                // An error is reported once; it is the write after it that raises the signal.
                assert!(stream.read(&mut [0]).await.is_err());
                for _ in 0..3 {
                    let error = stream.write(b"hello").await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
                }
            }
        });
    });
}

#[test]
fn a_shutdown_of_a_connection_that_is_gone_is_not_connected() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        reset(peer);
        assert!(stream.read(&mut [0]).await.is_err());
        let error = stream.shutdown(Shutdown::Write).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected);
    });
}

#[test]
fn a_megabyte_goes_through_small_buffers_to_a_slow_reader() {
    run(async |handle| {
        let (one, other) = pair(&handle).await;
        shrink_buffer(&one);
        let sent = pattern(MEGABYTE);
        let bytes = sent.clone();
        handle.spawn(async move { one.write_all(&bytes).await.unwrap() });

        let (mut got, mut bytes) = (Vec::new(), vec![0; 5000]);
        for step in 1.. {
            match other
                .read(&mut bytes[..1 + step * 37 % 5000])
                .await
                .unwrap()
            {
                0 => break,
                n => got.extend_from_slice(&bytes[..n]),
            }
            if step % 16 == 0 {
                handle.sleep(Duration::from_millis(1)).await;
            }
        }
        assert!(got == sent);
    });
}

#[test]
fn a_write_waits_until_there_is_room_and_goes_on() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let filled = fill_through(&handle, &stream).await;
        let stream = Rc::new(stream);
        let writer = Rc::clone(&stream);
        let task = handle.spawn(async move { writer.write_all(b"the last words").await });
        handle.sleep(Duration::from_millis(5)).await;
        assert!(!task.is_finished());

        let thread = thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        join(task).await.unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let all = thread.join().unwrap();
        assert_eq!(all.len(), filled + 14);
        assert!(all.ends_with(b"the last words"));
    });
}

/// Writes until there is no room any more, and returns how many bytes that took.
async fn fill_through(handle: &Handle, stream: &TcpStream) -> usize {
    let bytes = [0; 10_000];
    let mut filled = 0;
    loop {
        let write = async { Some(stream.write(&bytes).await.unwrap()) };
        let give_up = async {
            // A delayed acknowledgement may take a while.
            handle.sleep(Duration::from_millis(500)).await;
            None
        };
        match either(write, give_up).await {
            Some(n) => filled += n,
            None => return filled,
        }
    }
}

#[test]
fn l62_the_bytes_that_a_write_reports_arrive() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        shrink_buffer(&stream);
        let sent = pattern(MEGABYTE);
        let expected = sent.clone();
        let thread = thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all
        });
        let mut rest = &sent[..];
        while !rest.is_empty() {
            let n = stream.write(rest).await.unwrap();
            assert!(n > 0);
            rest = &rest[n..];
        }
        drop(stream);
        assert!(thread.join().unwrap() == expected);
    });
}

#[test]
fn one_task_reads_a_stream_while_another_writes_it() {
    run(async |handle| {
        let (one, other) = pair(&handle).await;
        let both_ways = |stream: TcpStream, seed: usize| {
            let stream = Rc::new(stream);
            let writer = Rc::clone(&stream);
            let sent = pattern(MEGABYTE + seed);
            handle.spawn(async move {
                writer.write_all(&sent).await.unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            handle.spawn(async move { read_to_end(&stream).await.unwrap() })
        };
        let (ones, others) = (both_ways(one, 1), both_ways(other, 2));
        assert!(join(ones).await == pattern(MEGABYTE + 2));
        assert!(join(others).await == pattern(MEGABYTE + 1));
    });
}

#[test]
fn a_read_that_waits_does_not_hold_up_a_write() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut byte = [0];
        let mut waits = pin!(stream.read(&mut byte));
        assert!(poll(waits.as_mut()).is_pending());
        stream.write_all(b"hello").await.unwrap();
        let mut hello = [0; 5];
        peer.read_exact(&mut hello).unwrap();
        peer.write_all(b"!").unwrap();
        assert_eq!(waits.await.unwrap(), 1);
    });
}

#[test]
fn two_tasks_that_read_one_stream_are_both_woken() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let stream = Rc::new(stream);
        let tasks = [0, 1, 2].map(|_| {
            let stream = Rc::clone(&stream);
            handle.spawn(async move {
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                byte[0]
            })
        });
        handle.sleep(Duration::from_millis(1)).await;
        peer.write_all(b"abc").unwrap();
        let mut bytes = Vec::new();
        for task in tasks {
            bytes.push(join(task).await);
        }
        bytes.sort();
        assert_eq!(bytes, b"abc");
    });
}

#[test]
fn l86_a_dropped_read_loses_no_byte() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        {
            let mut bytes = [0; 64];
            let mut waits = pin!(stream.read(&mut bytes));
            assert!(poll(waits.as_mut()).is_pending());
            peer.write_all(b"hello").unwrap();
            // The loop learns of the bytes, and the future that waited for them is dropped.
            handle.sleep(Duration::from_millis(5)).await;
        }
        let mut bytes = [0; 64];
        assert_eq!(stream.read(&mut bytes).await.unwrap(), 5);
        assert_eq!(&bytes[..5], b"hello");
    });
}

#[test]
fn l86_reads_that_are_given_up_again_and_again_lose_no_byte() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let sent = pattern(20_000);
        let bytes = sent.clone();
        let thread = thread::spawn(move || {
            for piece in bytes.chunks(11) {
                peer.write_all(piece).unwrap();
                thread::yield_now();
            }
        });
        let (mut got, mut bytes, mut given_up) = (Vec::new(), [0; 16], 0);
        loop {
            let read = async { Some(stream.read(&mut bytes).await.unwrap()) };
            let give_up = async {
                handle.sleep(Duration::from_micros(5)).await;
                None
            };
            match either(read, give_up).await {
                None => given_up += 1,
                Some(0) => break,
                Some(n) => got.extend_from_slice(&bytes[..n]),
            }
        }
        assert!(got == sent, "{given_up} reads were given up");
        thread.join().unwrap();
    });
}

#[test]
fn l86_a_dropped_write_has_written_nothing() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let filled = fill_through(&handle, &stream).await;
        assert!(poll_once(stream.write(b"never")).is_pending());
        let thread = thread::spawn(move || {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            all.len()
        });
        handle.sleep(Duration::from_millis(5)).await;
        drop(stream);
        assert_eq!(thread.join().unwrap(), filled);
    });
}

#[test]
fn q44_a_wake_without_a_reason_is_no_harm() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut bytes = [0; 64];
        let mut waits = pin!(stream.read(&mut bytes));
        for _ in 0..100 {
            let mut context = Context::from_waker(Waker::noop());
            assert!(waits.as_mut().poll(&mut context).is_pending());
        }
        peer.write_all(b"hello").unwrap();
        assert_eq!(waits.await.unwrap(), 5);
    });
}

#[test]
fn nothing_is_written_without_waiting() {
    run(async |handle| {
        let (stream, _peer) = pair_with_std(&handle);
        assert!(matches!(
            poll_once(stream.write_all(b"")),
            Poll::Ready(Ok(()))
        ));
        assert!(matches!(
            poll_once(stream.read_exact(&mut [])),
            Poll::Ready(Ok(()))
        ));
    });
}

#[test]
fn small_writes_are_sent_at_once_when_asked_for() {
    run(async |handle| {
        let (stream, _peer) = pair_with_std(&handle);
        stream.set_nodelay(true).unwrap();
        assert!(stream.into_std().nodelay().unwrap());
    });
}

#[test]
fn a_stream_goes_out_of_the_loop_and_in_again() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let mut byte = [0];
        assert!(poll_once(stream.read(&mut byte)).is_pending());

        let mut stream = stream.into_std();
        stream.write_all(b"by std").unwrap();

        // The same descriptor once more, now with nothing left of its first registration.
        let stream = TcpStream::from_std(&handle, stream).unwrap();
        let mut waits = pin!(stream.read(&mut byte));
        assert!(poll(waits.as_mut()).is_pending());
        let mut bytes = [0; 6];
        peer.read_exact(&mut bytes).unwrap();
        peer.write_all(b"!").unwrap();
        assert_eq!(waits.await.unwrap(), 1);
    });
}

#[test]
fn a_blocking_stream_that_is_full_is_taken_into_the_loop() {
    run(async |handle| {
        let (peer, stream) = pair_with_std(&handle);
        let filled = fill(&stream);
        let stream = TcpStream::from_std(&handle, stream).unwrap();
        let writer = handle.spawn(async move { stream.write_all(b"!").await.unwrap() });
        handle.sleep(Duration::from_millis(5)).await;
        assert!(!writer.is_finished());
        assert_eq!(read_to_end(&peer).await.unwrap().len(), filled + 1);
        join(writer).await;
    });
}

#[test]
fn q43_urgent_data_neither_is_read_nor_keeps_the_loop_busy() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let stream = Rc::new(stream);
        let reader = Rc::clone(&stream);
        let read = handle.spawn(async move {
            let mut bytes = [0; 64];
            let n = reader.read(&mut bytes).await.unwrap();
            bytes[..n].to_vec()
        });
        handle.sleep(Duration::from_millis(1)).await;
        // SAFETY: the pointer and the length are those of one byte.
        let sent = unsafe {
            libc::send(
                std::os::fd::AsRawFd::as_raw_fd(&peer),
                b"!".as_ptr().cast(),
                1,
                libc::MSG_OOB,
            )
        };
        assert_eq!(sent, 1);
        let before = handle.metrics().turns;
        handle.sleep(Duration::from_millis(20)).await;
        let turns = handle.metrics().turns - before;
        assert!(turns < 10, "{turns} turns");
        assert!(!read.is_finished());
        peer.write_all(b"hello").unwrap();
        assert_eq!(join(read).await, b"hello");
    });
}

#[test]
fn q25_a_reset_after_an_end_ends_a_write_that_waits() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        // The end has been read; the other direction is full.
        let bytes = vec![0; 64 * MEGABYTE];
        handle.set_timeout(Duration::from_millis(10), move |_| reset(peer));
        let error = stream.write_all(&bytes).await.unwrap_err();
        assert!(is_gone(error.kind()), "{error}");
    });
}

#[test]
fn q26_an_end_that_is_read_does_not_keep_the_loop_busy() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        assert!(poll_once(stream.read(&mut [0])).is_pending());
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        let before = handle.metrics().turns;
        handle.sleep(Duration::from_millis(20)).await;
        let turns = handle.metrics().turns - before;
        assert!(turns < 10, "{turns} turns");
    });
}
