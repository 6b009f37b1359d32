//! Timeouts of idle connections: what counts as progress.

mod support;

use std::{
    fs,
    future::pending,
    io::{Read, Write},
    pin::pin,
    rc::Rc,
    task::Poll,
    thread,
    time::Duration,
};

use nio_loop::{Clock, EventLoop, Handle};
use nio_net::{Idle, UnixStream};
use support::{Place, join, pair, pair_with_std, poll, poll_once, run, shrink_buffer};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test in a time of its own, which passes when nothing else is to be done.
fn run_in_no_time<T>(test: impl AsyncFnOnce(Handle) -> T) -> T {
    let mut event_loop = EventLoop::with_clock(Clock::automatic()).unwrap();
    let handle = event_loop.handle();
    event_loop.block_on(test(handle)).unwrap()
}

#[test]
fn work_in_which_nothing_happens_is_ended() {
    run_in_no_time(async |handle| {
        let idle = Idle::new(&handle, 60 * SECOND);
        let elapsed = idle.limit(pending::<()>()).await.unwrap_err();
        assert_eq!(elapsed.limit, 60 * SECOND);
        assert_eq!(handle.now().since_start(), 60 * SECOND);
    });
}

#[test]
fn work_with_progress_goes_on() {
    run_in_no_time(async |handle| {
        let idle = Idle::new(&handle, 60 * SECOND);
        let work = async {
            for _ in 0..100 {
                handle.sleep(59 * SECOND).await;
                idle.touch();
            }
            pending::<()>().await;
        };
        idle.limit(work).await.unwrap_err();
        assert_eq!(handle.now().since_start(), (100 * 59 + 60) * SECOND);
    });
}

#[test]
fn others_may_say_that_something_has_happened() {
    run_in_no_time(async |handle| {
        let idle = Rc::new(Idle::new(&handle, 60 * SECOND));
        let other = Rc::clone(&idle);
        // The work is not polled by this, so its timer fires too early, and is set again.
        handle.set_timeout(50 * SECOND, move |_| other.touch());
        idle.limit(pending::<()>()).await.unwrap_err();
        assert_eq!(handle.now().since_start(), 110 * SECOND);
    });
}

#[test]
fn a_part_of_the_work_may_have_another_time() {
    run_in_no_time(async |handle| {
        let idle = Idle::new(&handle, 60 * SECOND);
        let work = async {
            idle.set_limit(600 * SECOND);
            handle.sleep(500 * SECOND).await;
            idle.touch();
            idle.set_limit(5 * SECOND);
            pending::<()>().await;
        };
        let elapsed = idle.limit(work).await.unwrap_err();
        assert_eq!(elapsed.limit, 5 * SECOND);
        assert_eq!(handle.now().since_start(), 505 * SECOND);
    });
}

#[test]
fn a_result_that_is_ready_at_the_deadline_counts() {
    run_in_no_time(async |handle| {
        let idle = Idle::new(&handle, 60 * SECOND);
        assert_eq!(idle.limit(handle.sleep(60 * SECOND)).await, Ok(()));
    });
}

#[test]
fn the_timer_of_a_busy_connection_never_fires() {
    run_in_no_time(async |handle| {
        let idle = Idle::new(&handle, 60 * SECOND);
        let work = async {
            for _ in 0..1000 {
                handle.sleep(SECOND).await;
                idle.touch();
            }
        };
        idle.limit(work).await.unwrap();
        // 1000 sleeps, and nothing else.
        assert_eq!(handle.metrics().timers, 1000);
    });
}

#[test]
fn l98_progress_that_was_there_in_time_counts_where_the_loop_was_too_busy_to_see_it() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        let limit = Duration::from_millis(20);
        let idle = Idle::new(&handle, limit);
        let mut byte = [0];
        let mut work = pin!(idle.limit(stream.read(&mut byte)));
        assert!(poll(work.as_mut()).is_pending());
        peer.write_all(b"!").unwrap();
        // The loop does not run until long after the deadline.
        thread::sleep(3 * limit);
        assert_eq!(work.await.unwrap().unwrap(), 1);
    });
}

#[test]
fn l104_a_slow_reader_that_takes_some_bytes_now_and_then_is_not_idle() {
    run_in_no_time(async |handle| {
        let (stream, peer) = UnixStream::pair(&handle).unwrap();
        let limit = Duration::from_millis(100);
        let idle = Idle::new(&handle, limit);
        let sent = vec![0; 8 << 20];
        let slow = handle.spawn(async move {
            let mut got = 0;
            let mut bytes = vec![0; 200_000];
            while let n @ 1.. = peer.read(&mut bytes).await.unwrap() {
                got += n;
                peer.handle().sleep(Duration::from_millis(10)).await;
            }
            got
        });
        let began = handle.now();
        let work = async {
            let mut left = &sent[..];
            while !left.is_empty() {
                left = &left[stream.write(left).await.unwrap()..];
                idle.touch();
            }
        };
        idle.limit(work).await.unwrap();
        let took = handle.now() - began;
        drop(stream);
        assert_eq!(join(slow).await, sent.len());
        assert!(took > limit, "{took:?}");
    });
}

/// How much is written at once. Linux frees the memory of a write when all of it was read.
const PIECE: usize = 4096;

/// Fills a stream's buffer until a write finds no room.
fn fill(stream: &UnixStream) {
    while stream.try_write(&[0; PIECE]).is_ok() {}
}

#[test]
fn bytes_of_a_watched_stream_are_progress_in_both_directions_and_in_any_task() {
    run_in_no_time(async |handle| {
        let (stream, peer) = UnixStream::pair(&handle).unwrap();
        let idle = Idle::new(&handle, 60 * SECOND).watch(&stream);
        let peer = handle.spawn(async move {
            for _ in 0..10 {
                peer.handle().sleep(50 * SECOND).await;
                peer.write_all(b"x").await.unwrap();
                peer.read_exact(&mut [0]).await.unwrap();
            }
            peer
        });
        let work = async {
            while stream.read_exact(&mut [0]).await.is_ok() {
                handle.sleep(50 * SECOND).await;
                stream.write_all(b"y").await.unwrap();
            }
        };
        idle.limit(work).await.unwrap_err();
        assert_eq!(handle.now().since_start(), (10 * 100 + 60) * SECOND);
        drop(join(peer).await);
    });
}

#[test]
fn where_only_sending_counts_a_byte_now_and_then_is_no_progress_and_an_answer_is() {
    run_in_no_time(async |handle| {
        let (stream, peer) = UnixStream::pair(&handle).unwrap();
        let idle = Idle::new(&handle, 60 * SECOND).watch_sending(&stream);
        let trickle = handle.set_interval(SECOND, move |_, _| {
            peer.try_write(b"x").unwrap();
        });
        let work = async {
            for _ in 0..50 {
                stream.read_exact(&mut [0]).await.unwrap();
            }
            stream.write_all(b"answer").await.unwrap();
            while stream.read(&mut [0]).await.is_ok() {}
        };
        idle.limit(work).await.unwrap_err();
        assert_eq!(handle.now().since_start(), (50 + 60) * SECOND);
        handle.clear(trickle);
    });
}

#[test]
fn a_watched_stream_on_which_nothing_happens_is_idle_at_the_deadline() {
    run_in_no_time(async |handle| {
        let (stream, _peer) = UnixStream::pair(&handle).unwrap();
        let idle = Idle::new(&handle, 60 * SECOND).watch(&stream);
        idle.limit(pending::<()>()).await.unwrap_err();
        assert_eq!(handle.now().since_start(), 60 * SECOND);
        // One look at the buffer, and the deadline.
        assert!(handle.metrics().timers <= 2);
    });
}

#[test]
fn l104_a_peer_that_takes_bytes_is_not_idle_though_no_call_of_the_transfer_ends() {
    run_in_no_time(async |handle| {
        let (stream, peer) = UnixStream::pair(&handle).unwrap();
        fill(&stream);
        let tells = stream.unsent() > Some(0);
        let idle = Idle::new(&handle, 60 * SECOND).watch(&stream);
        // It takes some every 50 seconds; Linux wakes a writer when most of the buffer is free.
        let interval = handle.set_interval(50 * SECOND, move |_, _| {
            peer.try_read(&mut [0; PIECE]).unwrap();
        });
        handle.set_timeout(500 * SECOND, move |handle| {
            handle.clear(interval);
        });
        idle.limit(pending::<()>()).await.unwrap_err();
        let lasted = handle.now().since_start();
        match tells {
            true => assert!(
                lasted > 500 * SECOND && lasted <= 568 * SECOND,
                "{lasted:?}"
            ),
            false => assert_eq!(lasted, 60 * SECOND),
        }
    });
}

#[test]
fn l104_a_peer_that_has_stopped_taking_bytes_is_idle() {
    run_in_no_time(async |handle| {
        let (stream, peer) = UnixStream::pair(&handle).unwrap();
        fill(&stream);
        let idle = Idle::new(&handle, 60 * SECOND).watch(&stream);
        idle.limit(stream.write_all(b"more")).await.unwrap_err();
        assert_eq!(handle.now().since_start(), 60 * SECOND);
        drop(peer);
    });
}

#[test]
fn bytes_of_tcp_are_unsent_until_the_other_side_has_taken_them() {
    run(async |handle| {
        let (stream, mut peer) = pair_with_std(&handle);
        shrink_buffer(&stream);
        let mut sent = 0;
        while let Ok(n) = stream.try_write(&[0; 64 * 1024]) {
            sent += n;
        }
        assert_eq!(stream.bytes_written(), sent as u64);
        if stream.unsent().is_none() {
            return; // This system does not tell.
        }
        // The peer's system acknowledges as much as its own buffer has room for.
        let reader = thread::spawn(move || peer.read_exact(&mut vec![0; sent]).map(|()| peer));
        while stream.unsent() > Some(0) {
            handle.sleep(Duration::from_millis(1)).await;
        }
        reader.join().unwrap().unwrap();
    });
}

#[test]
fn every_way_to_read_and_to_write_counts_the_bytes_and_peeking_does_not() {
    use std::io::{IoSlice, IoSliceMut};
    run(async |handle| {
        let (one, other) = pair(&handle).await;
        one.write(b"1").await.unwrap();
        one.write_vectored(&[IoSlice::new(b"2"), IoSlice::new(b"3")])
            .await
            .unwrap();
        one.write_all(b"45").await.unwrap();
        one.try_write(b"6").unwrap();
        one.try_write_vectored(&[IoSlice::new(b"7")]).unwrap();
        let place = Place::new("counted");
        fs::write(&place.0, b"89").unwrap();
        let file = fs::File::open(&place.0).unwrap();
        one.send_file(&file, 0, 1).await.unwrap();
        one.send_file_all(&file, 1..).await.unwrap();
        assert_eq!((one.bytes_read(), one.bytes_written()), (0, 9));
        assert_eq!(other.peek(&mut [0]).await.unwrap(), 1);
        assert_eq!(other.bytes_read(), 0);
        other.read(&mut [0]).await.unwrap();
        let mut byte = [0];
        other
            .read_vectored(&mut [IoSliceMut::new(&mut byte)])
            .await
            .unwrap();
        other.read_buf(&mut Vec::with_capacity(1)).await.unwrap();
        other.read_exact(&mut [0]).await.unwrap();
        other.readable().await.unwrap();
        other.try_read(&mut [0]).unwrap();
        assert_eq!((other.bytes_read(), other.bytes_written()), (5, 0));
        assert!(matches!(
            poll_once(other.read(&mut [0; 8])),
            Poll::Ready(Ok(_))
        ));
    });
}
