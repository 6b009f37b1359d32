//! Pipes.

mod support;

use std::{
    io::{ErrorKind, IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd},
    pin::pin,
    task::Poll,
    time::Duration,
};

use nio_net::pipe;
use support::{join, pattern, poll, poll_once, run};

#[test]
fn the_bytes_of_a_pipe_are_read_and_then_the_end() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        // More than a pipe holds.
        let sent = pattern(1 << 20);
        let bytes = sent.clone();
        let task = handle.spawn(async move { writer.write_all(&bytes).await.unwrap() });
        let mut got = Vec::new();
        reader.read_to_end(&mut got, usize::MAX).await.unwrap();
        assert!(got == sent);
        join(task).await;
        assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn several_buffers_are_read_and_written_at_once() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        let pieces = [IoSlice::new(b"hel"), IoSlice::new(b"lo")];
        assert_eq!(writer.write_vectored(&pieces).await.unwrap(), 5);
        let (mut first, mut second) = ([0; 1], [0; 9]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(reader.read_vectored(&mut buffers).await.unwrap(), 5);
        assert_eq!((&first, &second[..4]), (b"h", &b"ello"[..]));
    });
}

#[test]
fn q29_q30_a_waiting_writer_is_woken_when_its_reader_closes() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        while writer.try_write(&[0; 4096]).is_ok() {}
        let task = handle.spawn(async move { writer.write(b"!").await });
        handle.sleep(Duration::from_millis(2)).await;
        assert!(!task.is_finished());
        drop(reader);
        let error = join(task).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn q30_a_writer_without_a_reader_is_writable_and_fails() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        drop(reader);
        writer.writable().await.unwrap();
        let error = writer
            .write_vectored(&[IoSlice::new(b"!")])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_waiting_reader_is_woken_when_its_writer_closes() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        let mut byte = [0];
        let mut waits = pin!(reader.read(&mut byte));
        assert!(poll(waits.as_mut()).is_pending());
        handle.set_timeout(Duration::from_millis(2), move |_| drop(writer));
        assert_eq!(waits.await.unwrap(), 0);
    });
}

#[test]
fn q22_bytes_written_before_the_end_of_a_pipe_are_read_before_it() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        assert!(poll_once(reader.read(&mut [0])).is_pending());
        writer.write_all(b"hello").await.unwrap();
        drop(writer);
        handle.sleep(Duration::from_millis(2)).await;
        let mut bytes = [0; 64];
        assert_eq!(reader.read(&mut bytes[..2]).await.unwrap(), 2);
        assert_eq!(reader.read(&mut bytes).await.unwrap(), 3);
        assert_eq!(reader.read(&mut bytes).await.unwrap(), 0);
    });
}

#[test]
fn q53_a_pipe_that_is_never_emptied_wakes_its_waiting_reader() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        let task = handle.spawn(async move {
            let mut left = 1000;
            while left > 0 {
                // Never all of what is there.
                left -= reader.read(&mut [0; 3]).await.unwrap();
            }
        });
        for _ in 0..200 {
            writer.write_all(b"12345").await.unwrap();
            handle.sleep(Duration::from_micros(50)).await;
        }
        join(task).await;
    });
}

#[test]
fn both_ends_are_non_blocking_and_closed_in_a_program_that_is_started() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        for fd in [reader.as_fd().as_raw_fd(), writer.as_fd().as_raw_fd()] {
            // SAFETY: these commands take no further argument.
            let (descriptor, status) = unsafe {
                (
                    libc::fcntl(fd, libc::F_GETFD),
                    libc::fcntl(fd, libc::F_GETFL),
                )
            };
            assert_eq!(descriptor & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
            assert_eq!(status & libc::O_NONBLOCK, libc::O_NONBLOCK);
        }
        assert!(matches!(
            poll_once(reader.read(&mut [])),
            Poll::Ready(Ok(0))
        ));
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn l102_all_packets_of_a_pipe_in_packet_mode_are_read() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        let fd = writer.as_fd().as_raw_fd();
        // SAFETY: the command takes an int, and the descriptor is open.
        let result = unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_DIRECT | libc::O_NONBLOCK) };
        assert_eq!(result, 0);
        let mut bytes = [0; 64];
        // The direction is registered, and one event comes for all packets.
        assert!(poll_once(reader.read(&mut bytes)).is_pending());
        for packet in [b"one", b"two", b"six"] {
            writer.write_all(packet).await.unwrap();
        }
        for packet in [b"one", b"two", b"six"] {
            assert_eq!(reader.read(&mut bytes).await.unwrap(), 3);
            assert_eq!(&bytes[..3], packet);
        }
    });
}
