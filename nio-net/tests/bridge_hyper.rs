//! The traits of hyper.

#![cfg(feature = "hyper")]

mod support;

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io::{IoSlice, Read as _, Write as _},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Wake},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use hyper::rt::{self, Executor as _, Read, ReadBuf, Timer as _, Write};
use nio_loop::{CallbackKind, EventLoop, Handle};
use nio_net::bridge::hyper::{Executor, Timer};
use support::{end_of_turn, pair_with_std, poll, run};

const HOUR: Duration = Duration::from_secs(3600);

async fn read(stream: &mut (impl Read + Unpin), room: usize) -> Vec<u8> {
    let mut memory = vec![0; room];
    let mut buffer = ReadBuf::new(&mut memory);
    poll_fn(|context| Pin::new(&mut *stream).poll_read(context, buffer.unfilled()))
        .await
        .unwrap();
    buffer.filled().to_vec()
}

#[test]
fn a_read_takes_no_more_than_there_is_room_for() {
    run(async |handle| {
        let (mut stream, mut peer) = pair_with_std(&handle);
        peer.write_all(b"hello, world").unwrap();
        assert_eq!(read(&mut stream, 5).await, b"hello");
        // A reference does as well.
        assert_eq!(read(&mut &stream, 100).await, b", world");
        peer.write_all(b"!").unwrap();
        drop(peer);
        assert_eq!(read(&mut stream, 0).await, b"");
        assert_eq!(read(&mut stream, 1 << 20).await, b"!");
        assert_eq!(read(&mut stream, 1).await, b"");
    });
}

#[test]
fn writes_are_vectored_and_end_with_a_shutdown() {
    run(async |handle| {
        let (stream, peer) = pair_with_std(&handle);
        write_to(stream, peer).await;
        let (stream, peer) = pair_with_std(&handle);
        write_to(&stream, peer).await;
    });
}

async fn write_to(mut stream: impl Write + Unpin, mut peer: std::net::TcpStream) {
    let mut stream = Pin::new(&mut stream);
    assert!(stream.is_write_vectored());
    let pieces = [IoSlice::new(b"head"), IoSlice::new(b"body")];
    let n = poll_fn(|context| stream.as_mut().poll_write_vectored(context, &pieces)).await;
    assert_eq!(n.unwrap(), 8);
    let n = poll_fn(|context| Write::poll_write(stream.as_mut(), context, b"!")).await;
    assert_eq!(n.unwrap(), 1);
    poll_fn(|context| stream.as_mut().poll_shutdown(context))
        .await
        .unwrap();
    let mut all = String::new();
    peer.read_to_string(&mut all).unwrap();
    assert_eq!(all, "headbody!");
}

#[test]
fn the_executor_spawns_futures_that_are_not_send() {
    run(async |handle| {
        let done = Rc::new(Cell::new(false));
        let flag = Rc::clone(&done);
        Executor::new(&handle).execute(async move { flag.set(true) });
        end_of_turn(&handle).await;
        assert!(done.get());
    });
}

fn timers_of(handle: &Handle) -> usize {
    let entries = handle.report().entries;
    let timeouts = entries.iter().map(|entry| entry.kind);
    timeouts
        .filter(|kind| *kind == CallbackKind::Timeout)
        .count()
}

/// Polls a sleep for the first time, and waits until the loop has armed it.
async fn arm(handle: &Handle, sleep: &mut Pin<Box<dyn rt::Sleep>>) {
    assert!(poll(sleep.as_mut()).is_pending());
    end_of_turn(handle).await;
    end_of_turn(handle).await;
}

#[test]
fn a_sleep_is_ready_at_its_deadline_and_not_before() {
    run(async |handle| {
        let timer = Timer::new(&handle);
        let start = Instant::now();
        timer.sleep(Duration::from_millis(5)).await;
        assert!(start.elapsed() >= Duration::from_millis(5));
        timer.sleep_until(start).await; // long ago
        timer.sleep(Duration::ZERO).await;
    });
}

#[test]
fn a_sleep_has_one_timer_from_its_first_poll_until_it_is_dropped() {
    run(async |handle| {
        let timer = Timer::new(&handle);
        let before = timers_of(&handle);
        let mut sleep = timer.sleep(HOUR);
        end_of_turn(&handle).await;
        assert_eq!(timers_of(&handle), before);
        for _ in 0..3 {
            arm(&handle, &mut sleep).await;
            assert_eq!(timers_of(&handle), before + 1);
        }
        drop(sleep);
        end_of_turn(&handle).await;
        end_of_turn(&handle).await;
        assert_eq!(timers_of(&handle), before);
        // One that is dropped before its timer is armed has none.
        let mut sleep = timer.sleep(HOUR);
        assert!(poll(sleep.as_mut()).is_pending());
        drop(sleep);
        end_of_turn(&handle).await;
        end_of_turn(&handle).await;
        assert_eq!(timers_of(&handle), before);
    });
}

#[test]
fn on_the_loops_own_thread_a_sleep_is_armed_and_cancelled_at_once() {
    run(async |handle| {
        let timer = Timer::new(&handle);
        let before = timers_of(&handle);
        let mut sleep = timer.sleep(HOUR);
        assert!(poll(sleep.as_mut()).is_pending());
        assert_eq!(timers_of(&handle), before + 1);
        drop(sleep);
        assert_eq!(timers_of(&handle), before);
    });
}

#[test]
fn a_sleep_is_pushed_later_without_a_new_timer() {
    run(async |handle| {
        let timer = Timer::new(&handle);
        let before = timers_of(&handle);
        let start = Instant::now();
        let mut sleep = timer.sleep(Duration::from_millis(2));
        arm(&handle, &mut sleep).await;
        for late in [5, 10, 15] {
            timer.reset(&mut sleep, start + Duration::from_millis(late));
            assert!(timers_of(&handle) <= before + 1);
        }
        sleep.await;
        assert!(start.elapsed() >= Duration::from_millis(15));
        assert_eq!(timers_of(&handle), before);
    });
}

#[test]
fn a_sleep_can_be_made_earlier_and_used_again() {
    run(async |handle| {
        let timer = Timer::new(&handle);
        let before = timers_of(&handle);
        let mut sleep = timer.sleep(HOUR);
        arm(&handle, &mut sleep).await;
        timer.reset(&mut sleep, Instant::now());
        sleep.as_mut().await;
        assert_eq!(timers_of(&handle), before);
        let again = Instant::now() + Duration::from_millis(2);
        timer.reset(&mut sleep, again);
        sleep.as_mut().await;
        assert!(Instant::now() >= again);
    });
}

/// A waker that unparks a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn on_any_thread_a_sleep_lasts_as_long() {
    run(async |handle| {
        let timer = Timer::new(&handle);
        let before = timers_of(&handle);
        let (sender, receiver) = std::sync::mpsc::channel();
        let remote = handle.remote();
        let other = thread::spawn(move || {
            let start = Instant::now();
            block_on(timer.sleep(Duration::from_millis(5)));
            let mut dropped = timer.sleep(HOUR);
            assert!(poll(dropped.as_mut()).is_pending());
            drop(dropped);
            remote.post(move |_| sender.send(()).unwrap()).unwrap();
            start.elapsed()
        });
        while receiver.try_recv().is_err() {
            handle.sleep(Duration::from_micros(100)).await;
        }
        assert!(other.join().unwrap() >= Duration::from_millis(5));
        assert_eq!(timers_of(&handle), before);
    });
}

#[test]
fn sleeps_do_not_keep_the_loop_alive_nor_outlive_it() {
    let mut event_loop = EventLoop::new().unwrap();
    let timer = Timer::new(&event_loop.handle());
    let mut sleep = timer.sleep(HOUR);
    assert!(poll(sleep.as_mut()).is_pending());
    assert!(!event_loop.run().unwrap());
    drop(event_loop);
    let mut late = timer.sleep(Duration::ZERO);
    assert!(poll(late.as_mut()).is_pending());
    timer.reset(&mut sleep, Instant::now());
    assert!(poll(sleep.as_mut()).is_pending());
}
