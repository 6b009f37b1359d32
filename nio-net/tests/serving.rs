//! What servers need: a limit on connections, the end of a server, and timeouts where nothing
//! happens.

mod support;

use std::{
    future::{pending, ready},
    io::Write,
    net,
    pin::pin,
    rc::Rc,
    thread,
    time::Duration,
};

use nio_loop::{Clock, EventLoop, Handle};
use nio_net::{GracefulShutdown, Idle, Semaphore, UnixStream};
use support::{end_of_turn, join, listen, pair_with_std, poll, poll_once, run};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test in a time of its own, which passes when nothing else is to be done.
fn run_in_no_time<T>(test: impl AsyncFnOnce(Handle) -> T) -> T {
    let mut event_loop = EventLoop::with_clock(Clock::automatic()).unwrap();
    let handle = event_loop.handle();
    event_loop.block_on(test(handle)).unwrap()
}

#[test]
fn connections_beyond_the_limit_wait_and_are_not_refused() {
    run(async |handle| {
        let (listener, address) = listen(&handle);
        let semaphore = Semaphore::new(2);
        let clients = [(); 3].map(|()| net::TcpStream::connect(address).unwrap());
        let (_first, _, permit) = semaphore.accept(&listener).await.unwrap();
        let _second = semaphore.accept(&listener).await.unwrap();
        {
            let mut third = pin!(semaphore.accept(&listener));
            assert!(poll(third.as_mut()).is_pending());
            end_of_turn(&handle).await;
            assert!(poll(third.as_mut()).is_pending());
            assert_eq!(semaphore.taken(), 2);
            drop(permit);
            let (_, peer, _permit) = third.await.unwrap();
            assert_eq!(peer, clients[2].local_addr().unwrap());
        }
        assert_eq!(semaphore.taken(), 1);
    });
}

#[test]
fn who_waits_for_a_place_is_woken() {
    run(async |handle| {
        let semaphore = Semaphore::new(1);
        let permit = semaphore.acquire().await;
        let waiting = handle.spawn(semaphore.acquire());
        end_of_turn(&handle).await;
        assert!(!waiting.is_finished());
        drop(permit);
        join(waiting).await;
        assert_eq!(semaphore.taken(), 0);
    });
}

#[test]
fn a_place_is_not_lost_with_one_who_waited_for_it() {
    run(async |handle| {
        let semaphore = Semaphore::new(1);
        let permit = semaphore.acquire().await;
        let gone = handle.spawn(semaphore.acquire());
        let stays = handle.spawn(semaphore.acquire());
        end_of_turn(&handle).await;
        drop(permit); // wakes both …
        gone.abort(); // … and one of them never looks
        join(stays).await;
    });
}

#[test]
fn a_place_that_an_accept_has_taken_is_free_when_the_accept_is_dropped() {
    run(async |handle| {
        let (listener, _) = listen(&handle);
        let semaphore = Semaphore::new(1);
        assert!(poll_once(semaphore.accept(&listener)).is_pending());
        assert_eq!(semaphore.taken(), 0);
        let permit = semaphore.try_acquire();
        assert!(permit.is_some() && semaphore.try_acquire().is_none());
    });
}

#[test]
fn who_waits_for_a_connection_keeps_no_place_from_another_listener() {
    run(async |handle| {
        let (quiet, _) = listen(&handle);
        let (listener, address) = listen(&handle);
        let semaphore = Semaphore::new(1);
        let mut nobody = pin!(semaphore.accept(&quiet));
        assert!(poll(nobody.as_mut()).is_pending());
        assert_eq!(semaphore.taken(), 0);
        let _client = net::TcpStream::connect(address).unwrap();
        let _accepted = semaphore.accept(&listener).await.unwrap();
    });
}

#[test]
fn a_place_goes_to_the_listener_that_has_a_connection_for_it() {
    run(async |handle| {
        let semaphore = Semaphore::new(1);
        let permit = semaphore.acquire().await;
        let servers = [(); 3].map(|()| {
            let ((listener, address), semaphore) = (listen(&handle), semaphore.clone());
            let accepts = async move { semaphore.accept(&listener).await.map(drop) };
            (handle.spawn(accepts), address)
        });
        end_of_turn(&handle).await;
        drop(permit); // all look, and find nobody
        end_of_turn(&handle).await;
        let turns = handle.metrics().turns;
        handle.sleep(Duration::from_millis(20)).await;
        assert!(handle.metrics().turns - turns < 5, "nobody is busy");
        for (server, address) in servers.into_iter().rev() {
            let _client = net::TcpStream::connect(address).unwrap();
            join(server).await.unwrap();
        }
    });
}

#[test]
fn an_end_that_has_begun_stops_what_waits_and_what_would_begin() {
    run(async |handle| {
        let shutdown = GracefulShutdown::new(&handle);
        assert_eq!(shutdown.unless_begun(ready(1)).await, Some(1));
        let waiting = shutdown.clone();
        let waiting = handle.spawn(async move { waiting.unless_begun(pending::<()>()).await });
        end_of_turn(&handle).await;
        shutdown.begin();
        assert_eq!(join(waiting).await, None);
        assert_eq!(shutdown.unless_begun(ready(1)).await, None);
    });
}

#[test]
fn an_end_waits_for_all_who_hold_it_up() {
    run(async |handle| {
        let shutdown = GracefulShutdown::new(&handle);
        let (one, other) = (shutdown.guard(), shutdown.guard());
        let mut finish = pin!(shutdown.finish(60 * SECOND));
        assert!(poll(finish.as_mut()).is_pending());
        shutdown.begin();
        assert!(poll(finish.as_mut()).is_pending());
        drop(one);
        assert!(poll(finish.as_mut()).is_pending());
        drop(other);
        assert_eq!(finish.await, Ok(()));
    });
}

#[test]
fn an_end_does_not_finish_before_it_has_begun() {
    run_in_no_time(async |handle| {
        let shutdown = GracefulShutdown::new(&handle);
        let begins = shutdown.clone();
        handle.set_timeout(100 * SECOND, move |_| begins.begin());
        // Nothing is held; and the limit counts from the beginning.
        assert_eq!(shutdown.finish(SECOND).await, Ok(()));
        assert_eq!(handle.now().since_start(), 100 * SECOND);
    });
}

#[test]
fn an_end_that_is_held_up_for_too_long_says_by_how_many() {
    run_in_no_time(async |handle| {
        let shutdown = GracefulShutdown::new(&handle);
        let _holds = (shutdown.guard(), shutdown.guard());
        shutdown.begin();
        let error = shutdown.finish(5 * SECOND).await.unwrap_err();
        assert_eq!(error.to_string(), "2 still open after 5s");
        assert_eq!(handle.now().since_start(), 5 * SECOND);
    });
}

#[test]
fn the_time_of_an_end_counts_from_its_beginning() {
    run_in_no_time(async |handle| {
        let shutdown = GracefulShutdown::new(&handle);
        let _hold = shutdown.guard();
        shutdown.begin();
        handle.sleep(2 * SECOND).await;
        shutdown.begin(); // changes nothing
        assert!(shutdown.finish(5 * SECOND).await.is_err());
        assert_eq!(handle.now().since_start(), 5 * SECOND);
        assert!(shutdown.finish(SECOND).await.is_err());
        assert_eq!(handle.now().since_start(), 5 * SECOND);
    });
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
fn work_in_which_something_happens_goes_on() {
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
fn what_is_ready_when_the_time_is_over_counts() {
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
