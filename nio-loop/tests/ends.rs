//! Dropped futures leave nothing behind, failed calls give values back, and the end of a loop ends
//! everything.

mod support;

use std::{
    cell::{Cell, RefCell},
    fs::File,
    future::{pending, poll_fn},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::net::UnixStream,
    },
    pin::{Pin, pin},
    process::Command,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use nio_loop::{
    Direction, Error, EventLoop, FileChange, Handle, Interest, MissedTicks, Source, Warning,
};
use support::{
    LIMIT, Log, Wakes, automatic_loop, event_loop, in_child, manual_loop, ms, pair, poll_with,
    readable, secs, waker,
};

/// Polls a future once and drops it. Nothing of the waker may be kept.
#[track_caller]
fn leaves_nothing(future: impl Future) {
    let wakes = Arc::new(Wakes::default());
    let mut future = Box::pin(future);
    for _ in 0..3 {
        assert!(poll_with(&wakes, future.as_mut()).is_pending());
    }
    drop(future);
    assert_eq!(Arc::strong_count(&wakes), 1, "a clone of the waker is kept");
}

fn blocks(_: &UnixStream) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

#[test]
fn l96_a_future_that_is_dropped_while_it_waits_keeps_no_waker() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let source = Source::new(&handle, pair().0).unwrap();
    leaves_nothing(source.io(Direction::Read, blocks));
    leaves_nothing(source.io(Direction::Write, blocks));
    let waiting = source.waiting(Direction::Read);
    leaves_nothing(poll_fn(move |context| {
        let _held = &waiting;
        waiting.poll_io(context, blocks)
    }));
    leaves_nothing(handle.sleep(LIMIT));
    leaves_nothing(handle.sleep_until(handle.now() + LIMIT));
    for missed in [MissedTicks::Skip, MissedTicks::Burst, MissedTicks::Delay] {
        let mut interval = handle.interval_with(LIMIT, missed);
        leaves_nothing(interval.tick());
        leaves_nothing(interval.tick());
    }
    leaves_nothing(handle.timeout(LIMIT, pending::<()>()));
    leaves_nothing(handle.timeout(LIMIT, source.io(Direction::Read, blocks)));
    // The deadline has passed, and it waits for the next turn.
    leaves_nothing(handle.timeout(Duration::ZERO, pending::<()>()));
    leaves_nothing(handle.spawn(pending::<()>()));
    leaves_nothing(handle.next_turn());
    let (_gate, wait) = std::sync::mpsc::channel::<()>();
    leaves_nothing(handle.spawn_blocking(move || wait.recv()).unwrap());
}

#[test]
fn l96_a_second_future_that_is_dropped_keeps_no_waker_either() {
    let event_loop = event_loop();
    let source = Source::new(&event_loop.handle(), pair().0).unwrap();
    let [first, third] = [(); 2].map(|()| Arc::new(Wakes::default()));
    let mut stays = pin!(source.io(Direction::Read, blocks));
    assert!(poll_with(&first, stays.as_mut()).is_pending());
    leaves_nothing(source.io(Direction::Read, blocks));
    let mut last = pin!(source.io(Direction::Read, blocks));
    assert!(poll_with(&third, last.as_mut()).is_pending());
    leaves_nothing(source.io(Direction::Read, blocks));
    drop(event_loop);
    assert_eq!((first.count(), third.count()), (1, 1), "these still waited");
}

#[test]
fn l96_a_task_that_is_aborted_leaves_no_timer_and_no_turn() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let source = Rc::new(Source::new(&handle, pair().0).unwrap());
    let (own, waits) = (handle.clone(), Rc::clone(&source));
    let tasks = [
        handle.spawn({
            let own = own.clone();
            async move { own.sleep(secs(1)).await }
        }),
        handle.spawn({
            let own = own.clone();
            async move { own.next_turn().await }
        }),
        handle.spawn(async move { waits.io(Direction::Read, blocks).await.unwrap() }),
    ];
    event_loop.handle().set_immediate(move |_| {
        tasks.iter().for_each(nio_loop::JoinHandle::abort);
    });
    event_loop.run_nowait().unwrap();
    assert_eq!(event_loop.next_deadline(), None);
    assert_eq!(Rc::strong_count(&source), 1);
}

#[test]
fn l96_waits_that_are_given_up_again_and_again_cost_the_same_each_time() {
    let event_loop = event_loop();
    let source = Source::new(&event_loop.handle(), pair().0).unwrap();
    let wakes: Vec<_> = (0..100).map(|_| Arc::new(Wakes::default())).collect();
    let round = || {
        let start = Instant::now();
        for n in 0..20_000 {
            let read = pin!(source.io(Direction::Read, blocks));
            assert!(poll_with(&wakes[n % 100], read).is_pending());
        }
        start.elapsed()
    };
    let first = round();
    let last = (0..5).map(|_| round()).min().unwrap();
    assert!(last < first * 10 + ms(100), "{first:?}, then {last:?}");
    assert!(wakes.iter().all(|wakes| Arc::strong_count(wakes) == 1));
}

#[test]
fn l96_polls_by_hand_with_ever_new_wakers_keep_the_last_of_each_direction() {
    let event_loop = event_loop();
    let source = Source::new(&event_loop.handle(), pair().0).unwrap();
    let wakes: Vec<_> = (0..1000).map(|_| Arc::new(Wakes::default())).collect();
    for wakes in &wakes {
        let waker = Waker::from(Arc::clone(wakes));
        let context = &mut Context::from_waker(&waker);
        for direction in [Direction::Read, Direction::Write] {
            assert!(source.poll_io(context, direction, blocks).is_pending());
        }
    }
    let kept: usize = wakes.iter().map(|wakes| Arc::strong_count(wakes) - 1).sum();
    assert_eq!(kept, 2);
    source.wake(Direction::Read);
    let woken: usize = wakes.iter().map(|wakes| wakes.count()).sum();
    assert_eq!((woken, wakes[999].count()), (1, 1));
}

#[test]
fn l96_a_future_that_is_polled_by_a_task_and_then_by_a_waker_leaves_nothing() {
    let mut event_loop = event_loop();
    let source = Source::new(&event_loop.handle(), pair().0).unwrap();
    let wakes = Arc::new(Wakes::default());
    event_loop
        .block_on(async {
            let mut waits = Box::pin(source.io(Direction::Read, blocks));
            poll_fn(|context| {
                assert!(waits.as_mut().poll(context).is_pending());
                assert!(poll_with(&wakes, waits.as_mut()).is_pending());
                Poll::Ready(())
            })
            .await;
            assert_eq!(Arc::strong_count(&wakes), 2);
            drop(waits);
            assert_eq!(Arc::strong_count(&wakes), 1);
        })
        .unwrap();
}

#[test]
fn l96_a_future_that_a_task_drops_does_not_wake_the_task_any_more() {
    let mut event_loop = event_loop();
    let (ours, mut theirs) = pair();
    let source = Rc::new(Source::new(&event_loop.handle(), ours).unwrap());
    let polls = Rc::new(Cell::new(0));
    let (own, count) = (Rc::clone(&source), Rc::clone(&polls));
    let task = event_loop.handle().spawn(async move {
        let mut waits = Some(Box::pin(own.io(Direction::Read, blocks)));
        poll_fn(|context| {
            count.set(count.get() + 1);
            if let Some(mut waits) = waits.take() {
                assert!(waits.as_mut().poll(context).is_pending());
            }
            Poll::<()>::Pending
        })
        .await;
    });
    event_loop.run_nowait().unwrap();
    theirs.write_all(b"x").unwrap();
    event_loop.run_nowait().unwrap();
    event_loop.run_nowait().unwrap();
    assert_eq!(polls.get(), 1);
    task.abort();
}

#[test]
fn l96_a_task_and_a_waker_that_wait_in_turn_are_woken_once() {
    let mut event_loop = event_loop();
    let (ours, mut theirs) = pair();
    let source = Source::new(&event_loop.handle(), ours).unwrap();
    let wakes = Arc::new(Wakes::default());
    let mut byte = [0];
    let read = |mut stream: &UnixStream| stream.read(&mut byte);
    event_loop
        .block_on(async {
            let mut waits = Box::pin(source.io(Direction::Read, read));
            assert!(poll_with(&wakes, waits.as_mut()).is_pending());
            poll_fn(|context| {
                assert!(waits.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            assert_eq!(Arc::strong_count(&wakes), 1, "the task waits now");
            theirs.write_all(b"x").unwrap();
            assert_eq!(waits.await.unwrap(), 1);
        })
        .unwrap();
    assert_eq!(wakes.count(), 0);
}

#[test]
fn a_pause_ends_by_its_timer_and_by_nothing_else() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let (ours, mut theirs) = pair();
    let source = Source::new(&handle, ours).unwrap();
    let mut tries = 0;
    let start = handle.now();
    let read = |mut stream: &UnixStream| {
        tries += 1;
        stream.read(&mut [0])
    };
    source.pause(Direction::Read, secs(5)).unwrap();
    // Another pause has no effect, and leaves no timer.
    for _ in 0..10 {
        source.pause(Direction::Read, secs(1)).unwrap();
    }
    theirs.write_all(b"x").unwrap();
    source.wake(Direction::Read);
    let tried = source.try_io(Direction::Read, |_| Ok(()));
    assert_eq!(tried.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let read = event_loop.block_on(source.io(Direction::Read, read));
    assert_eq!((read.unwrap().unwrap(), tries), (1, 1));
    assert_eq!(handle.now() - start, secs(5));
    assert_eq!(handle.metrics().timers, 1);
    // The other direction is not paused.
    source.try_io(Direction::Write, |_| Ok(())).unwrap();
}

#[test]
fn l99_a_loop_that_is_gone_gives_values_back() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let remote = handle.remote();
    drop(event_loop);

    let (ours, theirs) = pair();
    let refused = handle.watch(ours, Interest::READABLE, |_, _, _| {});
    let ours = refused.unwrap_err().value;
    let ours = Source::new(&handle, ours).unwrap_err().value;
    drop(ours);
    assert_eq!((&theirs).read(&mut [0]).unwrap(), 0);

    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    let fd = file.as_raw_fd();
    let refused = handle.on_change(file, FileChange::WRITTEN, |_, _, _| {});
    assert_eq!(refused.unwrap_err().value.as_raw_fd(), fd);

    let child = Command::new("true").spawn().unwrap();
    let mut refused = handle.on_exit(child, |_, _| {}).unwrap_err();
    assert!(matches!(refused.error, Error::Closed));
    assert!(refused.value.wait().unwrap().success());

    let closure = |number: u32| move || number;
    assert_eq!((handle.spawn_blocking(closure(7)).unwrap_err().value)(), 7);
    assert_eq!((handle.spawn_slow(closure(8)).unwrap_err().value)(), 8);
    let log = Arc::new(());
    let held = Arc::clone(&log);
    let refused = remote.post(move |_| drop(held)).unwrap_err();
    assert_eq!(Arc::strong_count(&log), 2);
    drop(refused.value);
    assert_eq!(Arc::strong_count(&log), 1);
    assert!(remote.spawn(async {}).is_err());
}

#[test]
fn l99_a_watch_that_is_refused_gives_the_descriptor_back() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = pair();
    let ours = Rc::new(ours);
    let watch = || handle.watch(Rc::clone(&ours), Interest::READABLE, |_, _, _| {});
    watch().unwrap();
    let refused = watch().unwrap_err();
    assert!(Rc::ptr_eq(&refused.value, &ours));
    let kind = io::Error::from(refused).kind();
    assert_eq!(kind, io::ErrorKind::AlreadyExists);
}

#[test]
fn l100_an_id_of_one_loop_names_nothing_in_another() {
    let (mut one, other) = (event_loop(), event_loop());
    let set = |event_loop: &EventLoop, log: &Log| {
        let handle = event_loop.handle();
        let told = log.clone();
        let watch = move |handle: &Handle, _: &UnixStream, _| {
            told.push("watch");
            handle.stop();
        };
        let (ours, theirs) = readable();
        std::mem::forget(theirs);
        [
            handle.set_timeout(Duration::ZERO, log.says("timeout")),
            handle.set_immediate(log.says("immediate")),
            handle.watch(ours, Interest::READABLE, watch).unwrap(),
        ]
    };
    let log = Log::new();
    let ours = set(&one, &log);
    let theirs = set(&other, &Log::new());
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        assert_ne!(ours, theirs);
        let handle = one.handle();
        assert!(!handle.clear(theirs) && !handle.unref(theirs) && !handle.reref(theirs));
        assert!(!handle.close(theirs, |_| panic!("nothing was closed")));
        drop(handle.guard(theirs));
    }
    one.run().unwrap();
    log.assert("timeout watch immediate");
}

/// The number that the next descriptor would get.
fn next_descriptor() -> i32 {
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    file.as_raw_fd()
}

#[test]
fn l105_handles_of_a_loop_that_is_gone_keep_no_descriptor() {
    in_child(|| {
        let before = next_descriptor();
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let remote = handle.remote();
        let waker = event_loop.block_on(waker()).unwrap();
        let task = handle.spawn(pending::<()>());
        let sleep = handle.sleep(LIMIT);
        drop(event_loop);
        assert_eq!(next_descriptor(), before);
        waker.wake();
        remote.wake();
        remote.stop();
        assert!(remote.post(|_| {}).is_err());
        drop((task, sleep, handle));
    });
}

#[test]
fn l105_a_sleep_of_a_loop_that_is_gone_is_neither_early_nor_endless() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let start = Instant::now();
    let (mut armed, mut unarmed) = (pin!(handle.sleep(ms(200))), pin!(handle.sleep(ms(200))));
    let wakes = Arc::new(Wakes::default());
    assert!(poll_with(&wakes, armed.as_mut()).is_pending());
    drop(event_loop);
    let mut other = EventLoop::new().unwrap();
    other
        .block_on(async {
            unarmed.as_mut().await;
            assert!(start.elapsed() >= ms(200));
            armed.as_mut().await;
        })
        .unwrap();
    let over = handle.timeout(ms(5), pending::<()>());
    let mut interval = handle.interval(ms(5));
    other
        .block_on(async {
            over.await.unwrap_err();
            interval.tick().await;
            handle.yield_now().await;
            handle.next_turn().await;
        })
        .unwrap();
}

#[test]
fn l105_a_sleep_of_a_loop_that_is_gone_wakes_its_task_once() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let mut sleep = Box::pin(handle.sleep(ms(100)));
    let mut later = Box::pin(handle.sleep(LIMIT));
    drop(event_loop);
    let (wakes, never) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    let start = Instant::now();
    for _ in 0..10 {
        assert!(poll_with(&wakes, sleep.as_mut()).is_pending());
        assert!(poll_with(&never, later.as_mut()).is_pending());
    }
    while wakes.count() == 0 {
        assert!(start.elapsed() < LIMIT);
        std::thread::yield_now();
    }
    assert!(poll_with(&wakes, sleep.as_mut()).is_ready());
    assert_eq!((wakes.count(), never.count()), (1, 0));
    // One that is moved is polled again, and then waits for its new deadline.
    let now = handle.now();
    later.as_mut().reset(now + ms(10));
    assert_eq!(never.count(), 1);
    assert!(poll_with(&never, later.as_mut()).is_pending());
    while never.count() == 1 {
        assert!(start.elapsed() < LIMIT);
        std::thread::yield_now();
    }
    assert!(handle.now() >= now + ms(10));
    // The threads let go of the wakers of sleeps that are dropped.
    drop((sleep, later));
    while Arc::strong_count(&wakes) + Arc::strong_count(&never) > 2 {
        assert!(start.elapsed() < LIMIT);
        std::thread::yield_now();
    }
}

#[test]
fn l105_a_sleep_of_a_loop_of_a_test_that_is_gone_is_ready_at_once() {
    for event_loop in [manual_loop(), automatic_loop()] {
        let handle = event_loop.handle();
        let (mut armed, mut unarmed) = (pin!(handle.sleep(LIMIT)), pin!(handle.sleep(LIMIT)));
        let wakes = Arc::new(Wakes::default());
        assert!(poll_with(&wakes, armed.as_mut()).is_pending());
        drop(event_loop);
        assert!(poll_with(&wakes, armed.as_mut()).is_ready());
        assert!(poll_with(&wakes, unarmed.as_mut()).is_ready());
    }
}

/// A descriptor that does something when it is asked for its number.
struct Hostile<F: Fn()>(UnixStream, F);

impl<F: Fn()> AsFd for Hostile<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (self.1)();
        self.0.as_fd()
    }
}

#[test]
fn l105_a_descriptor_that_clears_all_there_is_while_it_is_registered_is_counted_once() {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let own = handle.clone();
    let clears = move || {
        for entry in own.report().entries {
            entry.id.map(|id| own.clear(id));
        }
    };
    let hostile = Hostile(pair().0, clears);
    let id = handle.watch(hostile, Interest::READABLE, |_, _, _| {});
    assert!(event_loop.run_nowait().unwrap(), "it is there");
    assert!(handle.clear(id.unwrap()));
    assert!(!event_loop.run_nowait().unwrap());
    handle.set_timeout(Duration::ZERO, |_| {});
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l105_a_descriptor_that_ends_the_loop_while_it_is_registered_is_given_back() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let owner = Rc::new(Cell::new(Some(event_loop)));
    let ends = {
        let owner = Rc::clone(&owner);
        move || drop(owner.take())
    };
    let refused = handle.watch(Hostile(pair().0, ends), Interest::READABLE, |_, _, _| {});
    assert!(matches!(refused.unwrap_err().error, Error::Closed));
}

#[test]
fn l105_a_second_panic_does_not_end_the_process() {
    /// Panics when it is dropped, also as a payload.
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Fuse);
        }
    }
    struct Fuse;
    impl Drop for Fuse {
        fn drop(&mut self) {
            panic!("the fuse");
        }
    }
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::panic_any(Fuse);
        }
    }
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let held = Bomb;
    // The future panics when it is polled, and when it is dropped after that; its joiner's waker too.
    let task = handle.spawn(poll_fn(move |_| -> Poll<()> {
        let _held = &held;
        panic!("the task");
    }));
    let mut task = Box::pin(task);
    let waker = Waker::from(Arc::new(Panics));
    assert!(
        task.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let log = Log::new();
    handle.spawn(log.told("other"));
    let run = std::panic::AssertUnwindSafe(|| event_loop.run());
    if let Err(payload) = std::panic::catch_unwind(run) {
        std::mem::forget(payload);
        assert!(!event_loop.run().unwrap());
    }
    log.assert("other");
    drop(task);
}

#[cfg(debug_assertions)]
#[test]
fn l105_a_task_that_waits_for_a_loop_that_is_not_running_is_warned_of_once() {
    let idle = event_loop();
    let mut event_loop = event_loop();
    let warnings = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&warnings);
    idle.handle().on_warning(LIMIT, move |_, warning| {
        told.borrow_mut().push(warning.clone())
    });
    let source = Source::new(&idle.handle(), pair().0).unwrap();
    let mut sleep = pin!(idle.handle().sleep(LIMIT));
    event_loop
        .block_on(poll_fn(|context: &mut Context<'_>| {
            assert!(
                source
                    .poll_io(context, Direction::Read, blocks)
                    .is_pending()
            );
            assert!(Pin::new(&mut sleep).as_mut().poll(context).is_pending());
            Poll::Ready(())
        }))
        .unwrap();
    assert_eq!(*warnings.borrow(), [Warning::OtherLoop]);
    // Outside of any loop there is no warning.
    let mut context = Context::from_waker(Waker::noop());
    assert!(
        source
            .poll_io(&mut context, Direction::Read, blocks)
            .is_pending()
    );
    assert_eq!(warnings.borrow().len(), 1);
}

#[test]
fn l105_a_loop_that_another_one_drives_is_no_reason_for_a_warning() {
    let mut driven = event_loop();
    let mut event_loop = event_loop();
    let warned = Rc::new(Cell::new(false));
    let flag = Rc::clone(&warned);
    driven
        .handle()
        .on_warning(LIMIT, move |_, _| flag.set(true));
    let mut sleep = pin!(driven.handle().sleep(LIMIT));
    driven.run_nowait().unwrap();
    assert!(driven.next_deadline().is_some());
    event_loop
        .block_on(poll_fn(|context| {
            assert!(sleep.as_mut().poll(context).is_pending());
            Poll::Ready(())
        }))
        .unwrap();
    assert!(!warned.get());
}
