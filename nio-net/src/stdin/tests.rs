//! Tests of the standard input as a pipe, within the process.

use std::{
    future::Future,
    io::Write,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use nio_loop::EventLoop;

use super::*;

/// No step takes as long as this.
const LIMIT: Duration = Duration::from_secs(10);

/// A standard input that is a pipe in blocking mode, and its other end.
fn a_pipe(handle: &Handle) -> (Stdin, File) {
    let (reader, writer) = raw::pipe().unwrap();
    raw::set_nonblocking(&reader, false).unwrap();
    raw::set_nonblocking(&writer, false).unwrap();
    (Stdin::new(handle, reader.into()).unwrap(), writer.into())
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Has a thread read although there is nothing to read, as where another process was quicker.
fn read_on_a_thread(stdin: &Stdin) {
    // Nothing takes this back, so the thread always finds that bytes are wanted.
    std::mem::forget(Wanted::new(stdin.source.get_ref()));
    stdin.start_reading().unwrap();
}

#[test]
fn l86_bytes_that_a_thread_has_read_for_a_dropped_read_go_to_the_next() {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let (stdin, mut writer) = a_pipe(&handle);
    event_loop
        .block_on(async {
            for n in 0..100_u8 {
                read_on_a_thread(&stdin);
                writer.write_all(&[n, n]).unwrap();
                let mut bytes = [0];
                for _ in 0..2 {
                    assert_eq!(stdin.read(&mut bytes).await.unwrap(), 1);
                    assert_eq!(bytes, [n]);
                }
                assert!(stdin.state.unread.borrow().bytes.is_empty());
            }
        })
        .unwrap();
}

#[test]
fn l101_a_thread_that_waits_for_bytes_does_not_stop_the_loop() {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let (stdin, mut writer) = a_pipe(&handle);
    read_on_a_thread(&stdin);
    // Nothing keeps the loop alive, though the thread waits.
    event_loop.run().unwrap();
    event_loop
        .block_on(async {
            assert!(poll_once(stdin.read(&mut [0])).is_pending());
            writer.write_all(b"!").unwrap();
            assert_eq!(stdin.read(&mut [0]).await.unwrap(), 1);
        })
        .unwrap();
}

#[test]
fn a_thread_reads_nothing_if_no_future_waits_when_it_begins() {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let (stdin, mut writer) = a_pipe(&handle);
    writer.write_all(b"!").unwrap();
    stdin.start_reading().unwrap();
    let state = &stdin.state;
    let has_ended = || (!state.reading.get()).then_some(());
    event_loop.block_on(state.waiters.until(has_ended)).unwrap();
    assert!(state.unread.borrow().bytes.is_empty());
    let read = event_loop.block_on(async { stdin.read(&mut [0]).await });
    assert_eq!(read.unwrap().unwrap(), 1);
}

#[test]
fn reads_that_are_dropped_while_a_thread_reads_take_no_other_thread() {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let (stdin, mut writer) = a_pipe(&handle);
    read_on_a_thread(&stdin);
    let ran = event_loop.block_on(async {
        for _ in 0..10 {
            // Each has the time to begin work on another thread.
            let mut byte = [0];
            let read = handle.timeout(Duration::from_millis(5), stdin.read(&mut byte));
            read.await.unwrap_err();
        }
        let other = handle.spawn_blocking(|| 7).unwrap();
        let ran = handle.timeout(LIMIT, other).await;
        writer.write_all(b"!").unwrap();
        ran
    });
    assert_eq!(ran.unwrap().unwrap().unwrap(), 7);
}

#[test]
fn a_read_gets_bytes_that_were_read_for_another() {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let (stdin, mut writer) = a_pipe(&handle);
    let read = event_loop.block_on(async {
        let (mut one_byte, mut other_byte) = ([0], [0]);
        let mut one = pin!(stdin.read(&mut one_byte));
        let mut other = pin!(stdin.read(&mut other_byte));
        poll_fn(|context| {
            assert!(one.as_mut().poll(context).is_pending());
            assert!(other.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        writer.write_all(b"!!").unwrap();
        assert_eq!(one.await.unwrap(), 1);
        handle.timeout(LIMIT, other).await
    });
    assert_eq!(read.unwrap().unwrap().unwrap(), 1);
}

#[test]
fn two_tasks_read_all_bytes() {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let (stdin, mut writer) = a_pipe(&handle);
    let stdin = std::rc::Rc::new(stdin);
    let tasks = [(); 2].map(|()| {
        let stdin = std::rc::Rc::clone(&stdin);
        handle.spawn(async move {
            let (mut sum, mut byte) = (0, [0]);
            while stdin.read(&mut byte).await.unwrap() > 0 {
                sum += u32::from(byte[0]);
            }
            sum
        })
    });
    handle.set_immediate(move |_| {
        for _ in 0..10 {
            writer.write_all(&[1; 100]).unwrap();
        }
    });
    let sum = event_loop.block_on(async move {
        let mut sum = 0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    });
    assert_eq!(sum.unwrap(), 1000);
}

#[test]
fn l105_a_read_after_the_end_of_the_loop_is_an_error() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let (stdin, _writer) = a_pipe(&handle);
    assert!(poll_once(stdin.read(&mut [0])).is_pending());
    drop(event_loop);
    let read = poll_once(stdin.read(&mut [0]));
    assert!(matches!(read, Poll::Ready(Err(_))));
}

#[test]
fn l105_a_read_is_an_error_when_the_loop_has_ended_while_a_thread_reads() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let (stdin, _writer) = a_pipe(&handle);
    read_on_a_thread(&stdin);
    assert!(poll_once(stdin.read(&mut [0])).is_pending());
    drop(event_loop);
    let read = poll_once(stdin.read(&mut [0]));
    assert!(matches!(read, Poll::Ready(Err(_))));
}

#[test]
fn a_read_that_would_block_has_no_result() {
    let (reader, writer) = raw::pipe().unwrap(); // in non-blocking mode
    let wanted = AtomicUsize::new(1);
    let file = reader.into();
    let input = Input { file, wanted };
    assert!(input.read().is_none());
    drop(writer);
    assert!(input.read().unwrap().unwrap().is_empty());
}
