//! Fairness: no task blocks the loop, and a result that was there in time beats the deadline.

mod support;

use std::{
    cell::{Cell, RefCell},
    fs::File,
    future::{Future, pending, poll_fn, ready},
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    pin::{Pin, pin},
    process::{Command, Stdio},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use nio_loop::{Direction, EventLoop, Handle, Interest, MissedTicks, Source, poll_budget};
use support::{LIMIT, Log, event_loop, in_child, ms, pair, set_nonblocking, spin};

/// Runs a future without end on a loop with nothing else to do. Its time limit has to end it.
#[track_caller]
fn is_ended_by_its_limit<F: Future<Output = ()>>(work: impl FnOnce(Handle) -> F) {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let start = Instant::now();
    let limited = handle.timeout(ms(100), work(handle.clone()));
    assert!(event_loop.block_on(limited).unwrap().is_err());
    assert!(start.elapsed() >= ms(100));
}

/// Awaits a future again and again. If that starves the loop, the test hangs.
async fn again(mut body: impl AsyncFnMut()) {
    let start = Instant::now();
    loop {
        check(start);
        body().await;
    }
}

fn check(start: Instant) {
    assert!(start.elapsed() < LIMIT, "the limit never came");
}

#[test]
fn l95_an_operation_that_is_always_ready_is_ended_by_its_limit() {
    is_ended_by_its_limit(async |handle| {
        let source = Source::new(&handle, pair().0).unwrap();
        again(async || source.io(Direction::Write, |_| Ok(())).await.unwrap()).await;
    });
}

#[test]
fn l95_an_operation_that_always_fails_is_ended_by_its_limit() {
    is_ended_by_its_limit(async |handle| {
        let source = Source::new(&handle, pair().0).unwrap();
        let fails = |_: &UnixStream| Err::<(), _>(std::io::ErrorKind::InvalidData.into());
        again(async || drop(source.io(Direction::Write, fails).await)).await;
    });
}

#[test]
fn l95_sleeps_that_are_over_are_ended_by_their_limit() {
    is_ended_by_its_limit(async |handle| {
        again(async || handle.sleep(Duration::ZERO).await).await;
    });
    is_ended_by_its_limit(async |handle| {
        let now = handle.now();
        again(async || handle.sleep_until(now).await).await;
    });
}

#[test]
fn l95_time_limits_that_end_at_once_are_ended_by_their_limit() {
    is_ended_by_its_limit(async |handle| {
        again(async || handle.timeout(LIMIT, ready(())).await.unwrap()).await;
    });
    is_ended_by_its_limit(async |handle| {
        again(async || {
            let ended = handle.timeout(Duration::ZERO, pending::<()>()).await;
            ended.unwrap_err();
        })
        .await;
    });
}

#[test]
fn l95_an_overdue_interval_is_ended_by_its_limit() {
    for missed in [MissedTicks::Skip, MissedTicks::Burst, MissedTicks::Delay] {
        is_ended_by_its_limit(async |handle| {
            let mut interval = handle.interval_with(ms(2), missed);
            again(async || {
                interval.tick().await;
                spin(ms(3));
            })
            .await;
        });
    }
}

#[test]
fn l95_joins_are_ended_by_their_limit() {
    is_ended_by_its_limit(async |handle| {
        // Ready again and again, as it is polled after it was.
        let mut task = handle.spawn(ready(()));
        again(async || drop(Pin::new(&mut task).await)).await;
    });
    is_ended_by_its_limit(async |handle| {
        again(async || handle.spawn(ready(())).await.unwrap()).await;
    });
}

#[test]
fn l95_yields_and_turns_and_blocking_closures_are_ended_by_their_limit() {
    is_ended_by_its_limit(async |handle| again(async || handle.yield_now().await).await);
    is_ended_by_its_limit(async |handle| again(async || handle.next_turn().await).await);
    is_ended_by_its_limit(async |handle| {
        again(async || {
            handle.spawn_blocking(|| {}).unwrap().await.unwrap();
            handle.spawn_slow(|| {}).unwrap().await.unwrap();
        })
        .await;
    });
}

#[test]
fn l95_a_future_that_draws_on_the_budget_is_ended_by_its_limit() {
    is_ended_by_its_limit(async |_| again(async || poll_fn(poll_budget).await).await);
}

#[test]
fn l95_a_ready_await_starves_neither_timers_nor_io_nor_posts_nor_other_tasks() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let seen = Rc::new(Cell::new(0));
    let count = {
        let seen = Rc::clone(&seen);
        move || seen.set(seen.get() + 1)
    };
    let source = Source::new(&handle, pair().0).unwrap();
    let all = Rc::clone(&seen);
    handle.spawn(async move {
        let start = Instant::now();
        while all.get() < 5 {
            check(start);
            source.io(Direction::Write, |_| Ok(())).await.unwrap();
        }
    });
    let (ours, mut theirs) = pair();
    let own = Rc::new(Cell::new(None));
    let (saw, id) = (count.clone(), Rc::clone(&own));
    let watch = move |handle: &Handle, _: &UnixStream, _| {
        saw();
        handle.clear(id.get().unwrap());
    };
    own.set(Some(handle.watch(ours, Interest::READABLE, watch).unwrap()));
    let saw = count.clone();
    handle.set_timeout(ms(1), move |_| saw());
    let saw = count.clone();
    handle.set_immediate(move |_| saw());
    let saw = count.clone();
    handle.spawn(async move { saw() });
    thread_local!(static POSTED: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) });
    POSTED.set(Some(Box::new(count)));
    let remote = handle.remote();
    let thread = thread::spawn(move || {
        theirs.write_all(b"x").unwrap();
        let saw = |_: &Handle| POSTED.with_borrow(|saw| saw.as_ref().unwrap()());
        remote.post(saw).unwrap();
        theirs
    });
    assert!(!event_loop.run().unwrap());
    thread.join().unwrap();
    assert_eq!(seen.get(), 5);
}

#[test]
fn l95_a_task_over_many_ready_sources_has_one_budget_for_all() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let sources: Vec<_> = (0..200)
        .map(|_| Source::new(&handle, pair().0).unwrap())
        .collect();
    let operations = Rc::new(Cell::new(0));
    let count = Rc::clone(&operations);
    let task = handle.spawn(async move {
        for source in &sources {
            let operation = |_: &UnixStream| {
                count.set(count.get() + 1);
                Ok(())
            };
            source.io(Direction::Write, operation).await.unwrap();
        }
    });
    let mut turns = 0;
    while !task.is_finished() {
        let before = operations.get();
        event_loop.run_nowait().unwrap();
        assert!(operations.get() - before <= 64, "{}", operations.get());
        turns += 1;
    }
    assert_eq!(operations.get(), 200);
    assert!(turns > 3);
}

#[test]
fn l95_a_pending_await_draws_nothing_on_the_budget() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let mut idle: Vec<_> = (0..100).map(|_| Box::pin(handle.sleep(LIMIT))).collect();
    event_loop
        .block_on(poll_fn(|context| {
            for sleep in &mut idle {
                assert!(sleep.as_mut().poll(context).is_pending());
            }
            // The one behind them has its turn.
            poll_budget(context)
        }))
        .unwrap();
}

#[test]
fn l95_outside_of_a_task_there_is_no_budget() {
    let mut event_loop = event_loop();
    event_loop
        .block_on(async {
            while poll_fn(|context| Poll::Ready(poll_budget(context).is_ready())).await {}
        })
        .unwrap();
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        assert!(poll_budget(&mut context).is_ready());
    }
}

#[test]
fn l95_a_loop_that_is_run_by_a_task_leaves_its_budget_alone() {
    let mut outer = event_loop();
    outer
        .block_on(async {
            poll_fn(|context| {
                assert!(poll_budget(context).is_ready());
                let mut inner = event_loop();
                let spend = async {
                    for _ in 0..1000 {
                        poll_fn(poll_budget).await;
                    }
                };
                inner.block_on(spend).unwrap();
                // One is drawn, and no more; then it ends.
                let left = std::iter::repeat_with(|| poll_budget(context).is_ready());
                assert_eq!(left.take_while(|&ready| ready).count(), 31);
                Poll::Ready(())
            })
            .await;
        })
        .unwrap();
}

/// Passes wakes on, as the wakers of combinators do.
struct Inner(Waker);

impl Wake for Inner {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.wake_by_ref();
    }
}

#[test]
fn l95_a_future_behind_a_waker_of_its_own_goes_on_after_its_budget() {
    let mut event_loop = event_loop();
    let counted = Rc::new(Cell::new(0));
    let count = Rc::clone(&counted);
    let mut inner = Box::pin(async move {
        for _ in 0..1000 {
            poll_fn(poll_budget).await;
            count.set(count.get() + 1);
        }
    });
    event_loop
        .block_on(poll_fn(|context| {
            let waker = Waker::from(std::sync::Arc::new(Inner(context.waker().clone())));
            inner.as_mut().poll(&mut Context::from_waker(&waker))
        }))
        .unwrap();
    assert_eq!(counted.get(), 1000);
}

#[test]
fn l95_a_burst_of_missed_ticks_comes_one_in_each_turn() {
    let mut event_loop = support::manual_loop();
    let handle = event_loop.handle();
    let ticks = Rc::new(Cell::new(0));
    let (count, own) = (Rc::clone(&ticks), handle.clone());
    handle.spawn(async move {
        let mut interval = own.interval_with(ms(1), MissedTicks::Burst);
        loop {
            interval.tick().await;
            count.set(count.get() + 1);
        }
    });
    event_loop.run_nowait().unwrap();
    handle.advance(ms(400)).unwrap();
    for turn in 1..=400 {
        event_loop.run_nowait().unwrap();
        assert_eq!(ticks.get(), turn);
    }
    event_loop.run_nowait().unwrap();
    assert_eq!(ticks.get(), 400);
}

#[test]
fn l77_tasks_that_take_long_leave_timers_their_turn() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    // More work than a timer may wait for. It is counted, and not timed: a busy machine may stop the thread.
    let polls = Rc::new(Cell::new(0));
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (own, polls) = (handle.clone(), Rc::clone(&polls));
            handle.spawn(async move {
                loop {
                    polls.set(polls.get() + 1);
                    spin(ms(1));
                    own.yield_now().await;
                }
            })
        })
        .collect();
    handle.set_timeout(ms(1), Handle::stop);
    event_loop.run().unwrap();
    assert!(polls.get() < 100, "{} polls before the timer", polls.get());
    drop(tasks);
}

#[test]
fn l97_an_event_wakes_one_future_after_the_other_in_their_order() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, mut theirs) = pair();
    let source = Rc::new(Source::new(&handle, ours).unwrap());
    let order = Rc::new(RefCell::new(Vec::new()));
    let polls = Rc::new(Cell::new(0));
    const WAITING: usize = 1000;
    let tasks: Vec<_> = (0..WAITING)
        .map(|n| {
            let (source, order) = (Rc::clone(&source), Rc::clone(&order));
            let polls = Rc::clone(&polls);
            handle.spawn(async move {
                let read = |mut stream: &UnixStream| {
                    polls.set(polls.get() + 1);
                    stream.read(&mut [0])
                };
                assert_eq!(source.io(Direction::Read, read).await.unwrap(), 1);
                order.borrow_mut().push(n);
            })
        })
        .collect();
    for _ in 0..WAITING {
        event_loop.run_nowait().unwrap();
    }
    assert_eq!(polls.get(), 1, "the others know that it is blocked");
    for n in 0..WAITING {
        theirs.write_all(b"x").unwrap();
        while order.borrow().len() <= n {
            event_loop.run_once().unwrap();
        }
    }
    assert!(order.borrow().iter().copied().eq(0..WAITING));
    // For each byte one poll that reads, and one that finds nothing.
    assert!(polls.get() <= 2 * WAITING + 1, "{}", polls.get());
    drop(tasks);
}

#[test]
fn l97_a_wake_up_that_is_not_used_is_passed_on() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, mut theirs) = pair();
    let source = Rc::new(Source::new(&handle, ours).unwrap());
    let log = Log::new();
    let read = |name: &'static str| {
        let (source, log) = (Rc::clone(&source), log.clone());
        handle.spawn(async move {
            let read = |mut stream: &UnixStream| stream.read(&mut [0]);
            source.io(Direction::Read, read).await.unwrap();
            log.push(name);
        })
    };
    let first = read("first");
    read("second").detach();
    event_loop.run_nowait().unwrap();
    theirs.write_all(b"x").unwrap();
    // A callback of the same batch gives up the one that was woken.
    let (ready, _other) = support::readable();
    let first = Cell::new(Some(first));
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    let watch = move |handle: &Handle, _: &UnixStream, _| {
        first.take().unwrap().abort();
        handle.clear(id.get().unwrap());
    };
    own.set(Some(
        handle.watch(ready, Interest::READABLE, watch).unwrap(),
    ));
    assert!(!event_loop.run().unwrap());
    let texts = log.take();
    assert!(
        texts == ["second"] || texts == ["first", "second"],
        "{texts:?}"
    );
}

/// A read with a limit of 100 ms, for which there is data after 20 ms, in a loop that `busy` keeps
/// busy from 5 ms to 205 ms.
fn read_in_time(busy: impl FnOnce(&Handle)) {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, mut theirs) = pair();
    let source = Source::new(&handle, ours).unwrap();
    let start = Instant::now();
    let thread = thread::spawn(move || {
        while start.elapsed() < ms(20) {
            thread::yield_now();
        }
        theirs.write_all(b"x").unwrap();
        theirs
    });
    busy(&handle);
    let read = async {
        let read = |mut stream: &UnixStream| stream.read(&mut [0]);
        source.io(Direction::Read, read).await
    };
    let result = event_loop.block_on(handle.timeout(ms(100), read)).unwrap();
    assert_eq!(result.expect("it was there in time").unwrap(), 1);
    thread.join().unwrap();
}

#[test]
fn l98_a_result_that_was_there_in_time_is_not_lost_to_a_busy_task() {
    read_in_time(|handle| {
        let own = handle.clone();
        handle
            .spawn(async move {
                own.sleep(ms(5)).await;
                spin(ms(200));
            })
            .detach();
    });
}

#[test]
fn l98_a_result_that_was_there_in_time_is_not_lost_to_a_busy_callback() {
    read_in_time(|handle| {
        handle.set_timeout(ms(5), |_| spin(ms(200)));
    });
    read_in_time(|handle| {
        handle.set_timeout(ms(5), |handle| {
            handle.set_immediate(|_| spin(ms(200)));
        });
    });
    read_in_time(|handle| {
        handle.set_timeout(ms(5), |handle| {
            handle.remote().post(|_| spin(ms(200))).unwrap();
        });
    });
    read_in_time(|handle| {
        handle.set_timeout(ms(5), |handle| handle.next_tick(|_| spin(ms(200))));
    });
}

#[test]
fn l98_a_result_of_another_thread_is_not_lost_to_a_busy_loop() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let job = handle.spawn_blocking(|| 7).unwrap();
    handle.set_immediate(|_| spin(ms(30)));
    let result = event_loop.block_on(handle.timeout(ms(10), job)).unwrap();
    assert_eq!(result.expect("it was there in time").unwrap(), 7);
}

#[test]
fn l98_a_result_in_time_is_not_lost_because_another_part_of_the_task_spends_the_budget() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = support::readable();
    let source = Source::new(&handle, ours).unwrap();
    let work = async {
        let read = |mut stream: &UnixStream| stream.read(&mut [0]);
        source.io(Direction::Read, read).await
    };
    let mut limited = pin!(handle.timeout(ms(20), work));
    let start = Instant::now();
    let result = event_loop
        .block_on(poll_fn(|context| {
            check(start);
            // It has nothing left for the other one.
            while poll_budget(context).is_ready() {}
            limited.as_mut().poll(context)
        }))
        .unwrap();
    assert_eq!(result.expect("it was there in time").unwrap(), 1);
}

/// A process that stops this one, writes a line meanwhile, and lets it go on two seconds later.
const STOPS_ITS_PARENT: &str =
    "echo ready; read go; kill -STOP $PPID; echo x; sleep 2; kill -CONT $PPID";

#[test]
fn l98_a_result_that_was_there_in_time_is_not_lost_to_a_process_that_was_stopped() {
    in_child(|| {
        let mut child = Command::new("sh")
            .args(["-c", STOPS_ITS_PARENT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut ready = [0; 6];
        stdout.read_exact(&mut ready).unwrap();
        assert_eq!(&ready, b"ready\n");
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let stdout = File::from(OwnedFd::from(stdout));
        set_nonblocking(&stdout);
        let source = Source::new(&handle, stdout).unwrap();
        let read = source.io(Direction::Read, |mut stdout: &File| {
            stdout.read(&mut [0; 9])
        });
        let limited = handle.timeout(Duration::from_secs(1), read);
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let start = Instant::now();
        let result = event_loop.block_on(limited).unwrap();
        assert_eq!(result.expect("it was there in time").unwrap(), 2);
        // Or else the line was read before the process was stopped.
        println!("it took {:?}", start.elapsed());
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn l98_a_post_that_was_there_in_time_is_not_lost_to_a_busy_loop() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let remote = handle.remote();
    let waiting = Arc::new(Mutex::new((false, None::<Waker>)));
    let state = Arc::clone(&waiting);
    let receive = poll_fn(move |context| {
        let mut state = state.lock().unwrap();
        state.1 = Some(context.waker().clone());
        match state.0 {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    handle.set_immediate(move |_| {
        // As a channel that is closed by a post.
        let post = move |_: &Handle| {
            let mut state = waiting.lock().unwrap();
            state.0 = true;
            let waker = state.1.take();
            drop(state);
            waker.unwrap().wake();
        };
        let thread = thread::spawn(move || remote.post(post).unwrap());
        thread.join().unwrap();
        spin(ms(30));
    });
    let result = event_loop.block_on(handle.timeout(ms(10), receive));
    assert!(result.unwrap().is_ok(), "it was there in time");
}

#[test]
fn l60_awaits_without_budget_and_one_waker_take_one_place_in_the_next_turn() {
    struct Count(AtomicU32);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let count = Arc::new(Count(AtomicU32::new(0)));
    let kept = Arc::clone(&count);
    let spend = async move {
        let waker = Waker::from(Arc::clone(&kept));
        for _ in 0..10_000 {
            let _ = poll_budget(&mut Context::from_waker(&waker));
        }
        drop(waker);
        // One clone here, and one in the queue.
        assert_eq!(Arc::strong_count(&kept), 3);
        handle.sleep(ms(1)).await;
    };
    event_loop.block_on(spend).unwrap();
    assert_eq!(count.0.load(Relaxed), 1);
}
