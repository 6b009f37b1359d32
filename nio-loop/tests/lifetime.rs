//! The life of a loop: references that keep it alive, stopping, and its end.

mod support;

use std::{
    cell::{Cell, RefCell},
    future::pending,
    io::{self, Read},
    os::unix::net::UnixStream,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::{Duration, Instant},
};

use nio_loop::{Direction, Error, EventLoop, Handle, Interest, Signal, Source};
use support::{
    LIMIT, Log, OnDrop, Wakes, event_loop, ms, pair, panic_of, poll_with, readable, spin,
};

#[test]
fn l36_a_loop_with_nothing_to_do_does_not_wait() {
    let mut event_loop = EventLoop::new().unwrap();
    assert!(!event_loop.run().unwrap());
    assert!(!event_loop.run_once().unwrap());
    assert!(!event_loop.run_nowait().unwrap());
}

#[test]
fn l36_run_nowait_does_not_wait_for_a_timer() {
    let mut event_loop = event_loop();
    event_loop.handle().set_timeout(LIMIT, |_| {});
    let start = Instant::now();
    assert!(event_loop.run_nowait().unwrap());
    assert!(start.elapsed() < LIMIT / 2);
}

#[test]
fn l36_run_once_waits_for_the_next_timer() {
    let mut event_loop = event_loop();
    let start = Instant::now();
    event_loop.handle().set_timeout(ms(15), |_| {});
    event_loop.handle().set_timeout(LIMIT, |_| {});
    assert!(event_loop.run_once().unwrap());
    assert!(start.elapsed() >= ms(15));
}

#[test]
fn l36_run_once_does_not_wait_if_a_timer_is_due_already() {
    let mut event_loop = event_loop();
    let log = Log::new();
    event_loop.handle().set_timeout(ms(1), log.says("timer"));
    event_loop.handle().set_timeout(LIMIT / 2, |_| {});
    spin(ms(2));
    let start = Instant::now();
    assert!(event_loop.run_once().unwrap());
    assert!(start.elapsed() < LIMIT / 4);
    log.assert("timer");
}

#[test]
fn l36_a_loop_that_is_stopped_does_not_wait() {
    let mut event_loop = event_loop();
    event_loop.handle().set_timeout(LIMIT, |_| {});
    event_loop
        .handle()
        .set_timeout(Duration::ZERO, |handle| handle.stop());
    let start = Instant::now();
    assert!(event_loop.run_once().unwrap());
    assert!(start.elapsed() < LIMIT / 2);
}

#[test]
fn l36_a_loop_whose_last_callback_has_run_does_not_wait() {
    let mut event_loop = event_loop();
    let unreferenced = event_loop.handle().set_timeout(LIMIT / 2, |_| {});
    event_loop.handle().unref(unreferenced);
    event_loop.handle().set_timeout(Duration::ZERO, |_| {});
    let start = Instant::now();
    assert!(!event_loop.run().unwrap());
    assert!(start.elapsed() < LIMIT / 2);
}

#[test]
fn l54_each_kind_of_work_keeps_the_loop_alive_until_it_is_done() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_timeout(ms(1), log.says("timeout"));
    assert!(!event_loop.run().unwrap());
    handle.set_immediate(log.says("immediate"));
    assert!(!event_loop.run().unwrap());
    handle.next_tick(log.says("tick"));
    assert!(!event_loop.run().unwrap());
    handle.spawn(log.told("task"));
    assert!(!event_loop.run().unwrap());
    let (sleeper, told) = (handle.clone(), log.clone());
    handle.spawn(async move {
        sleeper.sleep(ms(1)).await;
        told.push("sleep");
    });
    assert!(!event_loop.run().unwrap());
    handle.remote().post(|_| {}).unwrap();
    assert!(!event_loop.run().unwrap());
    log.assert("timeout immediate tick task sleep");
}

#[test]
fn l54_a_source_and_a_sleep_keep_nothing_alive_by_themselves() {
    let mut event_loop = event_loop();
    let _sleep = event_loop.handle().sleep(LIMIT);
    let (ours, _theirs) = pair();
    let _source = Source::new(&event_loop.handle(), ours).unwrap();
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l55_ref_and_unref_are_no_counters() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let ids = [
        handle.set_timeout(LIMIT, |_| {}),
        handle.set_interval(LIMIT, |_, _| {}),
        handle
            .watch(pair().0, Interest::READABLE, |_, _, _| {})
            .unwrap(),
    ];
    for id in ids {
        handle.clear(id);
    }
    assert!(!event_loop.run_nowait().unwrap());
    let ids = [
        handle.set_timeout(LIMIT, |_| {}),
        handle.set_interval(LIMIT, |_, _| {}),
    ];
    for id in ids {
        assert!(handle.unref(id) && handle.unref(id) && handle.unref(id));
    }
    assert!(!event_loop.run_nowait().unwrap());
    for id in ids {
        assert!(handle.reref(id) && handle.reref(id));
        assert!(event_loop.run_nowait().unwrap());
        assert!(handle.unref(id));
        assert!(!event_loop.run_nowait().unwrap());
        assert!(handle.clear(id), "what is not referenced can be cleared");
        assert!(!event_loop.run_nowait().unwrap());
    }
}

#[test]
fn l55_an_immediate_can_be_unreferenced_and_referenced_again() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let id = handle.set_immediate(log.says("immediate"));
    assert!(handle.unref(id) && handle.unref(id));
    assert!(!event_loop.run().unwrap());
    log.assert("");
    assert!(handle.reref(id) && handle.reref(id));
    handle.set_timeout(LIMIT, |handle| handle.stop());
    let start = Instant::now();
    assert!(event_loop.run_once().unwrap());
    assert!(start.elapsed() < LIMIT / 2);
    log.assert("immediate");
    assert!(!handle.unref(id) && !handle.reref(id) && !handle.clear(id));
}

#[test]
fn l55_an_unreferenced_immediate_can_be_cleared() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let id = handle.set_immediate(|_| panic!("cleared"));
    assert!(handle.unref(id) && handle.clear(id));
    // If it were counted twice, the loop would wait now, or not be alive.
    handle.set_immediate(|_| {});
    handle.set_timeout(ms(1), |_| {});
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l55_an_interval_can_unreference_itself_in_its_callback() {
    let mut event_loop = event_loop();
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    own.set(Some(event_loop.handle().set_interval(
        ms(1),
        move |handle, _| {
            assert!(handle.unref(id.get().unwrap()));
        },
    )));
    assert!(!event_loop.run().unwrap());
    assert!(event_loop.handle().clear(own.get().unwrap()));
}

#[test]
fn l56_stop_ends_after_the_turn_and_keeps_callbacks() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let stopper = log.clone();
    handle.set_timeout(Duration::ZERO, move |handle| {
        stopper.push("stop");
        handle.stop();
        handle.set_timeout(Duration::ZERO, stopper.says("later"));
    });
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    handle.set_immediate(log.says("immediate"));
    assert!(event_loop.run().unwrap());
    log.assert("stop timer immediate");
    // The stop is over.
    assert!(!event_loop.run().unwrap());
    log.assert("later");
}

#[test]
fn l56_a_stop_before_a_run_makes_that_one_return_at_once() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    for run in [EventLoop::run, EventLoop::run_once, EventLoop::run_nowait] {
        handle.next_tick(log.says("tick"));
        handle.set_timeout(Duration::ZERO, log.says("timer"));
        handle.stop();
        assert!(run(&mut event_loop).unwrap());
        log.assert("");
        assert!(!event_loop.run().unwrap());
        log.assert("tick timer");
    }
}

#[test]
fn l56_a_stop_from_elsewhere_before_a_run_makes_that_one_return_at_once() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    for run in [EventLoop::run, EventLoop::run_once, EventLoop::run_nowait] {
        handle.set_timeout(Duration::ZERO, log.says("timer"));
        let remote = handle.remote();
        std::thread::spawn(move || remote.stop()).join().unwrap();
        assert!(run(&mut event_loop).unwrap());
        log.assert("");
        assert!(!event_loop.run().unwrap());
        log.assert("timer");
    }
}

#[test]
fn l56_a_stop_from_elsewhere_is_over_after_a_run_with_nothing_to_do() {
    let mut event_loop = event_loop();
    event_loop.handle().remote().stop();
    assert!(!event_loop.run().unwrap());
    let log = Log::new();
    event_loop
        .handle()
        .set_timeout(Duration::ZERO, log.says("timer"));
    assert!(!event_loop.run().unwrap());
    log.assert("timer");
}

#[test]
fn l57_a_run_tells_whether_something_is_left() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.set_timeout(Duration::ZERO, |_| {});
    let far = handle.set_timeout(LIMIT, |_| {});
    assert!(event_loop.run_nowait().unwrap());
    assert!(event_loop.run_nowait().unwrap());
    handle.clear(far);
    assert!(!event_loop.run_nowait().unwrap());
    handle.next_tick(|_| {});
    handle.stop();
    assert!(event_loop.run().unwrap(), "a tick is left");
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l59_the_loops_end_drops_everything_without_running_it() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    macro_rules! held {
        ($text:literal) => {{
            let held = log.drops($text);
            move || panic!("{} ran {}", $text, std::mem::size_of_val(&held))
        }};
    }
    let run = held!("timeout");
    handle.set_timeout(Duration::ZERO, move |_| run());
    let run = held!("interval");
    handle.set_interval(Duration::ZERO, move |_, _| run());
    let run = held!("immediate");
    handle.set_immediate(move |_| run());
    let run = held!("tick");
    handle.next_tick(move |_| run());
    let run = held!("task");
    handle.spawn(async move { run() });
    let run = held!("watch");
    let (ours, _theirs) = readable();
    handle
        .watch(ours, Interest::READABLE, move |_, _, _| run())
        .unwrap();
    let run = held!("signal");
    handle
        .on_signal(Signal::WINDOW_CHANGE, move |_, _| run())
        .unwrap();
    let run = held!("warning");
    handle.on_warning(Duration::ZERO, move |_, _| run());
    drop(event_loop);
    let mut texts = log.take();
    texts.sort();
    let expected = [
        "immediate",
        "interval",
        "signal",
        "task",
        "tick",
        "timeout",
        "warning",
        "watch",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn l59_a_value_dropped_with_the_loop_may_use_it() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let bomb = || {
        let (handle, log) = (handle.clone(), log.clone());
        let timer = handle.set_timeout(LIMIT, |_| {});
        OnDrop::new(move || {
            handle.clear(timer);
            handle.set_timeout(Duration::ZERO, log.says("ran"));
            handle.set_interval(Duration::ZERO, |_, _| {});
            handle.set_immediate(log.says("ran"));
            handle.next_tick(log.says("ran"));
            handle.spawn(log.told("ran"));
            handle.stop();
            let (ours, _theirs) = readable();
            let watched = handle.watch(ours, Interest::READABLE, |_, _, _| {});
            assert!(matches!(watched.unwrap_err().error, Error::Closed));
            assert!(handle.remote().post(|_| {}).is_err());
            log.push("dropped");
        })
    };
    let held = bomb();
    handle.set_timeout(Duration::ZERO, move |_| drop(held));
    let held = bomb();
    handle.set_interval(Duration::ZERO, move |_, _| {
        let _held = &held;
    });
    let held = bomb();
    handle.set_immediate(move |_| drop(held));
    let held = bomb();
    handle.next_tick(move |_| drop(held));
    let held = bomb();
    handle.spawn(async move { drop(held) });
    let held = bomb();
    let (ours, _theirs) = readable();
    handle
        .watch(ours, Interest::READABLE, move |_, _, _| {
            let _held = &held;
        })
        .unwrap();
    drop(event_loop);
    log.assert("dropped dropped dropped dropped dropped dropped");
}

#[test]
fn l59_a_cleared_callback_may_use_the_loop_when_it_is_dropped() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let bomb = || {
        let (handle, log) = (handle.clone(), log.clone());
        OnDrop::new(move || {
            handle.set_timeout(Duration::ZERO, log.says("timer"));
            let id = handle.set_immediate(|_| {});
            handle.clear(id);
            handle.spawn(log.told("task")).abort();
        })
    };
    let held = bomb();
    let timeout = handle.set_timeout(Duration::ZERO, move |_| drop(held));
    let held = bomb();
    let interval = handle.set_interval(Duration::ZERO, move |_, _| {
        let _held = &held;
    });
    let held = bomb();
    let immediate = handle.set_immediate(move |_| drop(held));
    for id in [timeout, interval, immediate] {
        assert!(handle.clear(id));
    }
    let held = bomb();
    handle.spawn(async move { drop(held) }).abort();
    assert!(!event_loop.run().unwrap());
    log.assert("timer timer timer timer");
}

#[test]
fn l59_an_interval_that_clears_itself_is_dropped_with_nothing_borrowed() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (on_drop, told) = (handle.clone(), log.clone());
    let held = OnDrop::new(move || {
        on_drop.set_timeout(Duration::ZERO, told.says("timer"));
    });
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    own.set(Some(handle.set_interval(ms(1), move |handle, _| {
        let _held = &held;
        handle.clear(id.get().unwrap());
    })));
    assert!(!event_loop.run().unwrap());
    log.assert("timer");
}

#[test]
fn l84_a_task_dropped_with_the_loop_may_spawn_and_abort_others() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let other = handle.spawn(std::future::pending::<()>());
    let (on_drop, told) = (handle.clone(), log.clone());
    let held = OnDrop::new(move || {
        other.abort();
        let dropped = told.drops("spawned.dropped");
        let spawned = on_drop.spawn(async move { drop(dropped) });
        assert!(spawned.is_finished());
        told.push("dropped");
    });
    handle.spawn(async move { drop(held) });
    drop(event_loop);
    log.assert("spawned.dropped dropped");
}

#[test]
fn l84_a_sleeping_task_dropped_with_the_loop_is_not_polled() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (sleeper, told) = (handle.clone(), log.clone());
    let held = log.drops("dropped");
    handle.spawn(async move {
        let _held = held;
        sleeper.sleep(ms(1)).await;
        told.push("polled");
    });
    event_loop.run_nowait().unwrap();
    spin(ms(2));
    drop(event_loop);
    log.assert("dropped");
}

#[test]
fn l84_a_task_elsewhere_that_waits_for_the_loop_is_woken_when_it_ends() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let source = Source::new(&handle, pair().0).unwrap();
    let [sleeps, yields, reads, joins] = [(); 4].map(|()| Arc::new(Wakes::default()));
    let mut sleep = pin!(handle.sleep(LIMIT));
    let mut yielded = Box::pin(handle.next_turn());
    let mut joined = pin!(handle.spawn(pending::<()>()));
    assert!(poll_with(&sleeps, sleep.as_mut()).is_pending());
    assert!(poll_with(&yields, yielded.as_mut()).is_pending());
    assert!(poll_with(&joins, joined.as_mut()).is_pending());
    let blocks = |_: &UnixStream| -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) };
    let mut read = pin!(source.io(Direction::Read, blocks));
    assert!(poll_with(&reads, read.as_mut()).is_pending());
    drop(event_loop);
    let wakes = [sleeps, yields, reads, joins].map(|wakes| wakes.count());
    assert_eq!(wakes, [1; 4]);
}

#[test]
fn l81_a_panic_in_a_drop_with_the_loop_does_not_keep_the_others() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the bomb");
        }
    }
    let set: [fn(&Handle, Bomb); 6] = [
        |handle, bomb| {
            handle.set_timeout(LIMIT, move |_| drop(bomb));
        },
        |handle, bomb| {
            handle.set_immediate(move |_| drop(bomb));
        },
        |handle, bomb| handle.next_tick(move |_| drop(bomb)),
        |handle, bomb| handle.spawn(async move { drop(bomb) }).detach(),
        |handle, bomb| {
            let watched = handle.watch(pair().0, Interest::READABLE, move |_, _, _| {
                let _held = &bomb;
            });
            watched.unwrap();
        },
        |handle, bomb| handle.remote().post(move |_| drop(bomb)).unwrap(),
    ];
    for set in set {
        let event_loop = event_loop();
        let handle = event_loop.handle();
        let log = Log::new();
        // Two of a kind, and callbacks of other kinds after them.
        set(&handle, Bomb);
        set(&handle, Bomb);
        let held = log.drops("task");
        let mut joined = pin!(handle.spawn(async move { drop(held) }));
        let held = log.drops("timeout");
        handle.set_timeout(LIMIT, move |_| drop(held));
        let held = log.drops("tick");
        handle.next_tick(move |_| drop(held));
        let source = Source::new(&handle, pair().0).unwrap();
        let blocks = |_: &UnixStream| -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) };
        let mut read = pin!(source.io(Direction::Read, blocks));
        let [joins, reads] = [(); 2].map(|()| Arc::new(Wakes::default()));
        assert!(poll_with(&joins, joined.as_mut()).is_pending());
        assert!(poll_with(&reads, read.as_mut()).is_pending());
        assert_eq!(panic_of(|| drop(event_loop)), "the bomb");
        log.assert("task timeout tick");
        assert_eq!((joins.count(), reads.count()), (1, 1));
    }
}

#[test]
fn l81_a_waker_that_panics_at_the_loops_end_loses_no_other() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in the waker");
        }
    }
    let event_loop = event_loop();
    let sources = [(); 2].map(|()| Source::new(&event_loop.handle(), pair().0).unwrap());
    let wait = |source, direction, context: &mut Context<'_>| {
        let blocks = |_: &UnixStream| -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) };
        let source: &Source<UnixStream> = source;
        assert!(source.poll_io(context, direction, blocks).is_pending());
    };
    let panics = Waker::from(Arc::new(Panics));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let blocks = |_: &UnixStream| -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) };
    let first = sources[0].waiting(Direction::Read);
    let polled = first.poll_io(&mut Context::from_waker(&panics), blocks);
    assert!(polled.is_pending());
    for (source, direction) in [
        (&sources[0], Direction::Read),
        (&sources[0], Direction::Write),
        (&sources[1], Direction::Read),
    ] {
        wait(source, direction, &mut Context::from_waker(&waker));
    }
    assert_eq!(panic_of(|| drop(event_loop)), "in the waker");
    assert_eq!(wakes.count(), 3);
}

#[test]
fn the_end_of_the_loop_closes_its_watched_descriptors() {
    let event_loop = event_loop();
    let (ours, mut theirs) = pair();
    event_loop
        .handle()
        .watch(ours, Interest::READABLE, |_, _, _| {})
        .unwrap();
    let handle = event_loop.handle();
    drop(event_loop);
    assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0);
    drop(handle);
}

#[test]
fn handles_of_a_loop_that_is_gone_drop_new_callbacks() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    drop(event_loop);
    let log = Log::new();
    let held = log.drops("timeout");
    let timeout = handle.set_timeout(Duration::ZERO, move |_| drop(held));
    log.assert("timeout");
    let held = log.drops("interval");
    let interval = handle.set_interval(Duration::ZERO, move |_, _| {
        let _held = &held;
    });
    log.assert("interval");
    let held = log.drops("immediate");
    let immediate = handle.set_immediate(move |_| drop(held));
    log.assert("immediate");
    let held = log.drops("tick");
    handle.next_tick(move |_| drop(held));
    log.assert("tick");
    let held = log.drops("task");
    assert!(handle.spawn(async move { drop(held) }).is_finished());
    log.assert("task");
    let held = log.drops("warning");
    handle.on_warning(Duration::ZERO, move |_, _| {
        let _held = &held;
    });
    log.assert("warning");
    for id in [timeout, interval, immediate] {
        assert!(!handle.clear(id) && !handle.unref(id) && !handle.reref(id));
    }
    let (ours, mut theirs) = pair();
    let watched = handle.watch(ours, Interest::READABLE, |_, _, _| {});
    let refused = watched.unwrap_err();
    assert!(matches!(refused.error, Error::Closed));
    drop(refused.value);
    assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0, "nothing else has it");
    let watched = handle.on_signal(Signal::WINDOW_CHANGE, |_, _| {});
    assert!(matches!(watched, Err(Error::Closed)));
    let (ours, _theirs) = pair();
    let refused = Source::new(&handle, ours).unwrap_err();
    assert!(matches!(refused.error, Error::Closed));
    handle.stop();
    handle.remote().stop();
}

#[test]
fn ids_of_a_loop_that_is_gone_name_nothing() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = pair();
    let ids = [
        handle.set_timeout(LIMIT, |_| {}),
        handle.set_interval(LIMIT, |_, _| {}),
        handle.set_immediate(|_| {}),
        handle
            .watch(ours, Interest::READABLE, |_, _, _| {})
            .unwrap(),
    ];
    drop(event_loop);
    for id in ids {
        assert!(!handle.clear(id) && !handle.unref(id) && !handle.reref(id));
    }
}

#[test]
fn a_loop_that_is_gone_becomes_an_error_of_io() {
    let error = std::io::Error::from(Error::Closed);
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert!(error.to_string().starts_with("the event loop is gone"));
}

#[test]
fn a_loop_can_be_dropped_after_a_panic() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let dropped = log.drops("dropped");
    handle.set_timeout(Duration::ZERO, |_| panic!("now"));
    handle.set_timeout(Duration::ZERO, move |_| drop(dropped));
    assert_eq!(panic_of(|| event_loop.run()), "now");
    drop(event_loop);
    log.assert("dropped");
}

#[test]
fn a_loop_is_freed_when_the_last_handle_is_gone() {
    // A cycle: the loop owns a value that owns a handle. The end of the loop breaks it.
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let counted = Rc::new(());
    for _ in 0..2 {
        let (own, held) = (handle.clone(), Rc::clone(&counted));
        handle.set_immediate(move |_| drop((own, held)));
        let (own, held) = (handle.clone(), Rc::clone(&counted));
        handle.spawn(async move {
            own.sleep(LIMIT).await;
            drop(held);
        });
    }
    drop(event_loop);
    assert_eq!(Rc::strong_count(&counted), 1);
}

#[test]
fn a_callback_can_hold_and_run_another_loop() {
    let mut outer = event_loop();
    let log = Log::new();
    let told = log.clone();
    let inner = RefCell::new(event_loop());
    outer.handle().set_interval(ms(1), move |handle, _| {
        let mut inner = inner.borrow_mut();
        inner.handle().set_timeout(ms(1), told.says("inner"));
        inner.run().unwrap();
        handle.stop();
    });
    assert!(outer.run().unwrap());
    drop(outer);
    log.assert("inner");
}
