//! Other threads: posts, stops, and the wakes that they cause.

#![allow(
    clippy::missing_const_for_thread_local,
    reason = "it is const, which the lint does not see where thread locals are emulated (OpenBSD)"
)]

mod support;

use std::{
    cell::RefCell,
    future::poll_fn,
    os::fd::AsFd,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use nio_loop::{EventLoop, Handle, Remote};
use support::{
    LIMIT, Log, OnDrop, Slot, automatic_loop, event_loop, is_readable, ms, panic_of, waker,
    yield_once,
};

thread_local! {
    /// The log of closures from other threads, on the thread of the loop.
    static SEEN: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the loop alive until it is stopped.
fn keep_alive(event_loop: &EventLoop) {
    event_loop.handle().set_interval(LIMIT, |_, _| {});
}

#[test]
fn posts_of_one_thread_run_in_their_order_and_none_is_lost() {
    const THREADS: usize = 4;
    const POSTS: usize = 500;
    let mut event_loop = event_loop();
    keep_alive(&event_loop);
    let left = Arc::new(AtomicUsize::new(THREADS * POSTS));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (remote, left) = (event_loop.handle().remote(), Arc::clone(&left));
            thread::spawn(move || {
                for n in 0..POSTS {
                    let left = Arc::clone(&left);
                    let post = move |handle: &Handle| {
                        SEEN.with_borrow_mut(|seen| seen.push((thread, n)));
                        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                            handle.stop();
                        }
                    };
                    assert!(remote.post(post).is_ok());
                }
            })
        })
        .collect();
    assert!(event_loop.run().unwrap());
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let seen = SEEN.take();
    assert_eq!(seen.len(), THREADS * POSTS);
    for thread in 0..THREADS {
        let of_one = seen.iter().filter(|(by, _)| *by == thread);
        assert!(of_one.map(|(_, n)| *n).eq(0..POSTS));
    }
}

#[test]
fn l46_the_first_post_wakes_a_loop_that_has_just_been_made() {
    for _ in 0..50 {
        let mut event_loop = event_loop();
        keep_alive(&event_loop);
        let remote = event_loop.handle().remote();
        let barrier = Arc::new(Barrier::new(2));
        let go = Arc::clone(&barrier);
        let thread = thread::spawn(move || {
            go.wait();
            remote.post(|handle| handle.stop()).is_ok()
        });
        event_loop.handle().next_tick(move |_| {
            barrier.wait();
        });
        assert!(event_loop.run().unwrap());
        assert!(thread.join().unwrap());
    }
}

#[test]
fn l69_no_wake_is_lost_however_many_become_one() {
    // The other thread counts up and wakes; the task has to see the last number.
    const WAKES: usize = 2_000;
    let mut event_loop = event_loop();
    let number = Arc::new(AtomicUsize::new(0));
    let (send, receive) = mpsc::channel::<Waker>();
    let written = Arc::clone(&number);
    let thread = thread::spawn(move || {
        let waker = receive.recv().unwrap();
        for _ in 0..WAKES {
            written.fetch_add(1, Ordering::Relaxed);
            waker.wake_by_ref();
        }
    });
    let mut sent = false;
    event_loop.handle().spawn(poll_fn(move |context| {
        if !std::mem::replace(&mut sent, true) {
            send.send(context.waker().clone()).unwrap();
        }
        match number.load(Ordering::Relaxed) {
            WAKES => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }));
    assert!(!event_loop.run().unwrap());
    thread.join().unwrap();
}

#[test]
fn l69_no_wake_of_the_root_is_lost() {
    let mut event_loop = event_loop();
    for _ in 0..200 {
        let flag = Arc::new(AtomicBool::new(false));
        let mut thread = None;
        event_loop
            .block_on(poll_fn(|context| {
                if thread.is_none() {
                    let (flag, waker) = (Arc::clone(&flag), context.waker().clone());
                    thread = Some(thread::spawn(move || {
                        flag.store(true, Ordering::Relaxed);
                        waker.wake();
                    }));
                }
                if flag.load(Ordering::Relaxed) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }))
            .unwrap();
        thread.unwrap().join().unwrap();
    }
}

#[test]
fn l70_writes_before_a_merged_wake_are_seen() {
    // Two threads write, each its own number, and wake. Whichever wake is the one that counts, the
    // task must see both numbers in the end, without any other order between them.
    for _ in 0..200 {
        let mut event_loop = event_loop();
        let numbers = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let slot = Slot::new();
        let (give, seen) = (slot.clone(), Arc::clone(&numbers));
        event_loop.handle().spawn(poll_fn(move |context| {
            give.put(context.waker().clone());
            let sum: usize = seen
                .iter()
                .map(|number| number.load(Ordering::Relaxed))
                .sum();
            if sum == 2 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        let waker = event_loop.block_on(slot.get()).unwrap();
        let threads = [0, 1].map(|n| {
            let (waker, numbers) = (waker.clone(), Arc::clone(&numbers));
            thread::spawn(move || {
                numbers[n].store(1, Ordering::Relaxed);
                waker.wake_by_ref();
            })
        });
        assert!(!event_loop.run().unwrap());
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn l71_a_wake_in_any_callback_is_not_lost_when_the_loop_goes_to_sleep() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    for n in 0..4 {
        let slot = Slot::new();
        let (get, told) = (slot.clone(), log.clone());
        handle.spawn(async move {
            get.get().await;
            told.push(format!("woken{n}"));
        });
        let put = move |_: &Handle| slot.put(());
        match n {
            0 => drop(handle.set_timeout(Duration::ZERO, put)),
            1 => drop(handle.set_immediate(put)),
            2 => handle.next_tick(put),
            _ => {
                let (sleeper, own) = (handle.clone(), handle.clone());
                handle.spawn(async move {
                    sleeper.sleep(ms(1)).await;
                    put(&own);
                });
            }
        }
    }
    assert!(!event_loop.run().unwrap());
    let mut texts = log.take();
    texts.sort();
    assert_eq!(texts, ["woken0", "woken1", "woken2", "woken3"]);
}

#[test]
fn l71_a_wake_while_the_loop_does_not_run_is_not_lost() {
    let mut event_loop = event_loop();
    let slot = Slot::new();
    let (get, log) = (slot.clone(), Log::new());
    let told = log.clone();
    event_loop.handle().spawn(async move {
        get.get().await;
        told.push("woken");
    });
    event_loop.run_nowait().unwrap();
    slot.put(());
    assert!(!event_loop.run().unwrap());
    log.assert("woken");
}

#[test]
fn l72_a_post_to_a_loop_that_is_gone_gives_the_closure_back() {
    let event_loop = event_loop();
    let remote = event_loop.handle().remote();
    drop(event_loop);
    let text = String::from("kept");
    let error = remote.post(move |_| drop(text)).unwrap_err();
    assert!(error.to_string().starts_with("the event loop is gone"));
    let other = event_loop_and_handle();
    (error.value)(&other.1);
    remote.stop();
}

fn event_loop_and_handle() -> (EventLoop, Handle) {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    (event_loop, handle)
}

#[test]
fn l72_posts_and_wakes_that_race_with_the_loops_end_are_run_or_refused() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    for _ in 0..50 {
        let mut event_loop = event_loop();
        let dropped = Arc::new(AtomicUsize::new(0));
        let waker = event_loop.block_on(waker()).unwrap();
        let barrier = Arc::new(Barrier::new(2));
        let (remote, count, start) = (
            event_loop.handle().remote(),
            Arc::clone(&dropped),
            Arc::clone(&barrier),
        );
        let thread = thread::spawn(move || {
            start.wait();
            for _ in 0..100 {
                let counted = Counted(Arc::clone(&count));
                let _ = remote.post(move |_| drop(counted));
                waker.wake_by_ref();
            }
        });
        barrier.wait();
        event_loop.run_nowait().unwrap();
        drop(event_loop);
        thread.join().unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 100, "none is kept");
    }
}

#[test]
fn what_was_posted_before_the_loops_end_is_dropped_there() {
    let here = thread::current().id();
    let event_loop = event_loop();
    let remote = event_loop.handle().remote();
    let (send, receive) = mpsc::channel();
    struct Bomb(Remote, mpsc::Sender<thread::ThreadId>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            // The loop's lock is not held: this would wait for ever.
            assert!(self.0.post(|_| {}).is_err());
            self.1.send(thread::current().id()).unwrap();
        }
    }
    let bomb = Bomb(remote.clone(), send);
    thread::spawn(move || remote.post(move |_| drop(bomb)).unwrap())
        .join()
        .unwrap();
    drop(event_loop);
    assert_eq!(receive.recv().unwrap(), here);
}

#[test]
fn l54_posts_that_wait_keep_the_loop_alive_but_the_remote_does_not() {
    let mut event_loop = event_loop();
    let remote = event_loop.handle().remote();
    assert!(!event_loop.run().unwrap());
    remote
        .post(|_| SEEN.with_borrow_mut(|seen| seen.push((1, 1))))
        .unwrap();
    assert!(!event_loop.run().unwrap());
    assert_eq!(SEEN.take(), [(1, 1)]);
}

/// A thread that does something to a loop as soon as that runs.
fn when_it_runs(
    event_loop: &EventLoop,
    act: impl FnOnce(Remote) + Send + 'static,
) -> thread::JoinHandle<()> {
    let remote = event_loop.handle().remote();
    let barrier = Arc::new(Barrier::new(2));
    let go = Arc::clone(&barrier);
    event_loop.handle().next_tick(move |_| {
        barrier.wait();
    });
    thread::spawn(move || {
        go.wait();
        act(remote);
    })
}

#[test]
fn l56_a_stop_from_another_thread_ends_a_run_that_waits() {
    for _ in 0..20 {
        let mut event_loop = event_loop();
        keep_alive(&event_loop);
        let thread = when_it_runs(&event_loop, |remote| remote.stop());
        assert!(event_loop.run().unwrap());
        thread.join().unwrap();
    }
}

#[test]
fn a_post_posted_by_a_post_runs_in_the_next_turn() {
    let mut event_loop = event_loop();
    let remote = event_loop.handle().remote();
    let again = remote.clone();
    remote
        .post(move |_| {
            SEEN.with_borrow_mut(|seen| seen.push((0, 0)));
            again
                .post(|_| SEEN.with_borrow_mut(|seen| seen.push((0, 1))))
                .unwrap();
        })
        .unwrap();
    assert!(event_loop.run_nowait().unwrap());
    assert_eq!(SEEN.take(), [(0, 0)]);
    assert!(!event_loop.run_nowait().unwrap());
    assert_eq!(SEEN.take(), [(0, 1)]);
}

#[test]
fn a_post_that_panics_loses_no_other_and_they_do_not_wait_for_anything() {
    let mut event_loop = event_loop();
    keep_alive(&event_loop);
    let remote = event_loop.handle().remote();
    remote.post(|_| panic!("first")).unwrap();
    remote.post(|_| panic!("second")).unwrap();
    remote.post(|handle| handle.stop()).unwrap();
    assert_eq!(panic_of(|| event_loop.run()), "first");
    let start = std::time::Instant::now();
    assert_eq!(panic_of(|| event_loop.run()), "second");
    assert!(event_loop.run().unwrap());
    assert!(start.elapsed() < LIMIT / 2);
}

#[test]
fn a_post_may_drop_the_remote_that_posted_it() {
    let mut event_loop = event_loop();
    let remote = event_loop.handle().remote();
    let own = remote.clone();
    remote.post(move |_| drop(own)).unwrap();
    drop(remote);
    assert!(!event_loop.run().unwrap());
}

#[test]
fn a_remote_can_be_used_on_the_loops_own_thread_in_any_callback() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let remote = handle.remote();
    let drops = remote.clone();
    let held = OnDrop::new(move || drops.post(|_| {}).unwrap());
    let id = handle.set_timeout(LIMIT, move |_| drop(held));
    handle.set_immediate(move |handle| {
        handle.clear(id);
        remote.stop();
    });
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l74_tasks_woken_from_elsewhere_all_the_time_do_not_stop_the_timers() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let done = Arc::new(AtomicBool::new(false));
    let slot = Slot::new();
    let (give, ended) = (slot.clone(), Arc::clone(&done));
    handle.spawn(async move {
        give.put(waker().await);
        while !ended.load(Ordering::Relaxed) {
            yield_once().await;
        }
    });
    let waker = event_loop.block_on(slot.get()).unwrap();
    let ended = Arc::clone(&done);
    let thread = thread::spawn(move || {
        while !ended.load(Ordering::Relaxed) {
            waker.wake_by_ref();
        }
    });
    handle.set_timeout(ms(5), move |_| done.store(true, Ordering::Relaxed));
    assert!(!event_loop.run().unwrap());
    thread.join().unwrap();
}

#[test]
fn l69_a_wake_ends_the_wait_of_a_loop() {
    for _ in 0..50 {
        let mut event_loop = event_loop();
        keep_alive(&event_loop);
        let thread = when_it_runs(&event_loop, |remote| remote.wake());
        assert!(event_loop.run_once().unwrap());
        thread.join().unwrap();
    }
}

#[test]
fn l69_a_wake_between_two_runs_is_not_lost() {
    let mut event_loop = event_loop();
    keep_alive(&event_loop);
    let handle = event_loop.handle();
    let remote = handle.remote();
    let start = std::time::Instant::now();
    for _ in 0..3 {
        // The wake came before this run, so the run must not wait for another one.
        let remote = remote.clone();
        thread::spawn(move || remote.wake()).join().unwrap();
        let before = handle.metrics();
        assert!(event_loop.run_once().unwrap());
        let metrics = handle.metrics().since(&before);
        assert_eq!((metrics.turns, metrics.waits), (1, 0));
    }
    assert!(start.elapsed() < LIMIT / 2);
}

#[test]
fn l69_a_wake_is_a_turn_also_of_a_loop_with_nothing_to_do() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.remote().wake();
    handle.remote().wake();
    assert!(!event_loop.run().unwrap());
    assert_eq!(handle.metrics().turns, 1);
    assert!(!event_loop.run().unwrap());
    assert_eq!(handle.metrics().turns, 1);
}

#[test]
fn l69_a_wake_in_a_callback_is_a_turn_that_does_not_wait() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    handle.set_timeout(ms(1), |_| {});
    let remote = handle.remote();
    handle.set_immediate(move |_| remote.wake());
    assert!(!event_loop.run().unwrap());
    // The turns of the immediate, of the wake, of the wait, and of the timer.
    let metrics = handle.metrics();
    assert_eq!((metrics.turns, metrics.waits), (4, 1));
}

#[test]
fn l71_wakes_and_posts_to_a_loop_that_runs_cost_no_system_call() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let descriptor = event_loop.as_fd().try_clone_to_owned().unwrap();
    let slot = Slot::new();
    let give = slot.clone();
    let task = handle.spawn(async move {
        give.put(waker().await);
        std::future::pending::<()>().await;
    });
    let waker = event_loop.block_on(slot.get()).unwrap();
    let remote = handle.remote();
    handle.set_immediate(move |_| {
        let leave = move || {
            waker.wake_by_ref();
            remote.post(|_| {}).unwrap();
            remote.wake();
            remote.stop();
        };
        leave();
        // A system call would have made an event, which was not polled yet.
        assert!(!is_readable(&descriptor));
        thread::spawn(leave).join().unwrap();
        assert!(!is_readable(&descriptor), "it is awake and will look");
    });
    event_loop.run().unwrap();
    task.abort();
}

#[test]
fn l71_many_notifications_of_a_waiting_loop_are_one_event() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    event_loop.run_nowait().unwrap();
    let _ = event_loop.next_deadline();
    let before = handle.metrics();
    for _ in 0..100 {
        handle.remote().post(|_| {}).unwrap();
        handle.remote().wake();
    }
    event_loop.run_nowait().unwrap();
    let metrics = handle.metrics().since(&before);
    assert_eq!(
        (metrics.turns, metrics.events, metrics.callbacks),
        (1, 1, 100)
    );
}

#[test]
fn l72_a_wake_of_a_loop_that_is_gone_does_nothing() {
    let (event_loop, handle) = event_loop_and_handle();
    let remote = handle.remote();
    remote.wake();
    drop(event_loop);
    remote.wake();
    drop(handle);
    remote.wake();
}

#[test]
fn a_future_spawned_from_elsewhere_keeps_the_loop_alive_and_stays_there() {
    let mut event_loop = event_loop();
    let here = thread::current().id();
    keep_alive(&event_loop);
    let (done, outcome) = mpsc::channel();
    let remote = event_loop.handle().remote();
    let stop = remote.clone();
    let thread = thread::spawn(move || {
        let future = async move {
            for _ in 0..3 {
                assert_eq!(thread::current().id(), here);
                yield_once().await;
            }
            done.send(thread::current().id()).unwrap();
            stop.stop();
        };
        assert!(remote.spawn(future).is_ok());
    });
    assert!(event_loop.run().unwrap());
    assert_eq!(outcome.recv().unwrap(), here);
    thread.join().unwrap();

    let (done, outcome) = mpsc::channel();
    let mut lonely = support::event_loop();
    let spawned = async move {
        yield_once().await;
        done.send(()).unwrap();
    };
    lonely.handle().remote().spawn(spawned).unwrap();
    assert!(!lonely.run().unwrap());
    outcome.recv().unwrap();
}

#[test]
fn l72_a_future_spawned_to_a_loop_that_is_gone_is_given_back() {
    let event_loop = event_loop();
    let remote = event_loop.handle().remote();
    drop(event_loop);
    let (done, outcome) = mpsc::channel();
    let posted = remote.spawn(async move { done.send(7).unwrap() });
    let mut other = support::event_loop();
    other.block_on(posted.unwrap_err().value).unwrap();
    assert_eq!(outcome.recv().unwrap(), 7);
}

#[test]
fn l72_a_future_that_was_sent_and_not_spawned_is_dropped_with_the_loop() {
    let event_loop = event_loop();
    let remote = event_loop.handle().remote();
    let (held, outcome) = mpsc::channel::<()>();
    remote.spawn(async move { drop(held) }).unwrap();
    drop(event_loop);
    assert!(outcome.recv().is_err(), "its end is gone");
}

#[test]
fn l81_a_panic_of_a_future_spawned_from_elsewhere_is_its_own() {
    let mut event_loop = event_loop();
    let remote = event_loop.handle().remote();
    remote.spawn(async { panic!("its own") }).unwrap();
    assert!(!event_loop.run().unwrap());
}
