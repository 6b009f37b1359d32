//! The parts of servers: the semaphore and the graceful shutdown.

mod support;

use std::{
    future::{Future, pending, poll_fn, ready},
    net,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
    task::Poll,
    thread,
    time::Duration,
};

use nio_loop::{Clock, EventLoop, Handle};
use nio_net::{GracefulShutdown, Semaphore};
use support::{end_of_turn, join, listen, poll, poll_once, run};

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
fn a_task_that_waits_for_a_permit_is_woken() {
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
fn a_permit_is_not_lost_with_a_dropped_wait() {
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
fn a_wait_for_a_connection_holds_no_permit() {
    run(async |handle| {
        let (quiet, _) = listen(&handle);
        let (listener, address) = listen(&handle);
        let semaphore = Semaphore::new(1);
        let mut quiet_accept = pin!(semaphore.accept(&quiet));
        assert!(poll(quiet_accept.as_mut()).is_pending());
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
        drop(permit); // all check, and find no connection
        end_of_turn(&handle).await;
        let turns = handle.metrics().turns;
        handle.sleep(Duration::from_millis(20)).await;
        assert!(handle.metrics().turns - turns < 5, "the loop is idle");
        for (server, address) in servers.into_iter().rev() {
            let _client = net::TcpStream::connect(address).unwrap();
            join(server).await.unwrap();
        }
    });
}

#[test]
fn a_permit_that_is_free_on_one_loop_goes_to_a_task_on_another() {
    let semaphore = Semaphore::new(1);
    let permit = semaphore.try_acquire();
    let (waits, waiting) = channel();
    let there = thread::spawn({
        let semaphore = semaphore.clone();
        move || {
            run(async |handle| {
                let mut acquire = pin!(semaphore.acquire());
                let first = poll_fn(|context| Poll::Ready(acquire.as_mut().poll(context))).await;
                assert!(first.is_pending());
                waits.send(()).unwrap();
                let _permit = acquire.await;
                end_of_turn(&handle).await;
            });
        }
    });
    waiting.recv().unwrap();
    drop(permit);
    there.join().unwrap();
    assert_eq!(semaphore.taken(), 0);
}

#[test]
fn permits_are_neither_lost_nor_made_between_threads() {
    let semaphore = Semaphore::new(2);
    let holders = Arc::new(AtomicUsize::new(0));
    let threads = [(); 4].map(|()| {
        let (semaphore, holders) = (semaphore.clone(), Arc::clone(&holders));
        thread::spawn(move || {
            run(async |handle| {
                for i in 0..500 {
                    if i % 3 == 0 {
                        // Waits, perhaps gets one, and leaves.
                        let _ = poll_once(semaphore.acquire());
                    }
                    let permit = semaphore.acquire().await;
                    assert!(holders.fetch_add(1, Ordering::SeqCst) < 2);
                    handle.yield_now().await;
                    holders.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
            });
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(semaphore.taken(), 0);
}

#[test]
fn a_shutdown_that_has_begun_drops_work_and_starts_none() {
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
fn a_shutdown_waits_for_all_guards() {
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
fn a_shutdown_that_takes_too_long_reports_the_number_of_guards() {
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
