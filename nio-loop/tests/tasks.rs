//! Futures on the loop: spawned ones, and the one of `block_on`.

mod support;

use std::{
    cell::{Cell, RefCell},
    future::{pending, poll_fn, ready},
    panic::panic_any,
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use nio_loop::{Handle, JoinHandle};
use support::{
    LIMIT, Log, OnDrop, Slot, Wakes, event_loop, ms, panic_of, poll_once, poll_with, waker,
    yield_once,
};

/// A future that is never ready, logs each time it is polled, and gives its waker away.
fn polled(log: &Log, text: &str, give: &Slot<Waker>) -> impl Future<Output = ()> + 'static {
    let (log, text, give) = (log.clone(), text.to_owned(), give.clone());
    poll_fn(move |context| {
        log.push(text.clone());
        give.put(context.waker().clone());
        Poll::Pending
    })
}

#[test]
fn l75_a_task_woken_many_times_while_it_waits_is_polled_once() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let slot = Slot::new();
    let task = event_loop.handle().spawn(polled(&log, "polled", &slot));
    event_loop
        .block_on(async {
            let waker = slot.get().await;
            log.assert("polled");
            for _ in 0..10 {
                waker.wake_by_ref();
                waker.wake_by_ref();
            }
            yield_once().await;
            yield_once().await;
            log.assert("polled");
        })
        .unwrap();
    task.abort();
}

#[test]
fn l75_a_task_woken_while_it_is_polled_is_polled_again() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let (told, mut left) = (log.clone(), 3);
    event_loop.handle().spawn(poll_fn(move |context| {
        told.push("polled");
        context.waker().wake_by_ref();
        context.waker().wake_by_ref();
        left -= 1;
        if left == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    event_loop.run().unwrap();
    log.assert("polled polled polled");
}

#[test]
fn l75_a_task_that_is_not_woken_is_not_polled() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let task = event_loop
        .handle()
        .spawn(polled(&log, "polled", &Slot::new()));
    event_loop
        .handle()
        .set_timeout(ms(3), move |_| task.abort());
    event_loop.run().unwrap();
    log.assert("polled");
}

#[test]
fn a_spawned_task_is_polled_when_the_callback_has_returned() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let told = log.clone();
    event_loop
        .handle()
        .set_timeout(Duration::ZERO, move |handle| {
            handle.spawn(told.told("task"));
            told.push("callback");
        });
    event_loop
        .handle()
        .set_timeout(Duration::ZERO, log.says("next"));
    event_loop.run().unwrap();
    log.assert("callback task next");
}

#[test]
fn l77_tasks_run_in_the_order_in_which_they_became_ready() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let slots: Vec<Slot<()>> = (0..4).map(|_| Slot::new()).collect();
    for (n, slot) in slots.iter().cloned().enumerate() {
        let log = log.clone();
        handle.spawn(async move {
            slot.get().await;
            log.push(format!("woken{n}"));
        });
    }
    let told = log.clone();
    handle.set_timeout(ms(1), move |handle| {
        // Wakes and spawns in turn: one queue for both.
        for n in [2, 0, 3, 1] {
            slots[n].put(());
            handle.spawn(told.told(&format!("spawned{n}")));
        }
    });
    event_loop.run().unwrap();
    log.assert("woken2 spawned2 woken0 spawned0 woken3 spawned3 woken1 spawned1");
}

/// A task that wakes itself as long as the flag is not set.
async fn restless(flag: Rc<Cell<bool>>) {
    while !flag.get() {
        yield_once().await;
    }
}

#[test]
fn l77_a_task_that_wakes_itself_for_ever_starves_no_timer() {
    let mut event_loop = event_loop();
    let flag = Rc::new(Cell::new(false));
    event_loop.handle().spawn(restless(Rc::clone(&flag)));
    event_loop
        .handle()
        .set_timeout(ms(3), move |_| flag.set(true));
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l77_a_task_that_wakes_itself_for_ever_starves_no_io_immediate_or_post() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let flag = Rc::new(Cell::new(false));
    handle.spawn(restless(Rc::clone(&flag)));
    let (ours, theirs) = support::pair();
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    let watch = move |handle: &Handle, _: &_, _| {
        handle.clear(id.get().unwrap());
        let flag = Rc::clone(&flag);
        handle.set_immediate(move |_| flag.set(true));
    };
    own.set(Some(
        handle
            .watch(ours, nio_loop::Interest::READABLE, watch)
            .unwrap(),
    ));
    let remote = handle.remote();
    let thread = thread::spawn(move || {
        let write = move |_: &Handle| std::io::Write::write_all(&mut &theirs, b"x").unwrap();
        remote.post(write).is_ok()
    });
    assert!(!event_loop.run().unwrap());
    assert!(thread.join().unwrap());
}

#[test]
fn l77_a_root_that_wakes_itself_for_ever_starves_nothing() {
    let mut event_loop = event_loop();
    let flag = Rc::new(Cell::new(false));
    let done = Rc::clone(&flag);
    event_loop
        .handle()
        .set_timeout(ms(3), move |_| done.set(true));
    event_loop.block_on(restless(flag)).unwrap();
}

#[test]
fn l77_tasks_that_spawn_tasks_for_ever_starve_neither_timers_nor_woken_tasks_nor_the_root() {
    fn again(handle: &Handle, flag: &Rc<Cell<bool>>) {
        let (own, flag) = (handle.clone(), Rc::clone(flag));
        handle.spawn(async move {
            if !flag.get() {
                again(&own, &flag);
            }
        });
    }
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let flag = Rc::new(Cell::new(false));
    let (woken, root) = (Slot::new(), Slot::new());
    let (wake, then) = (woken.clone(), root.clone());
    handle.spawn(async move {
        woken.get().await;
        then.put(());
    });
    handle.set_timeout(ms(1), move |_| wake.put(()));
    again(&handle, &flag);
    event_loop.block_on(root.get()).unwrap();
    flag.set(true);
    event_loop.run().unwrap();
}

#[test]
fn l77_a_task_that_queues_ticks_for_ever_starves_no_timer() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let flag = Rc::new(Cell::new(false));
    let (done, own) = (Rc::clone(&flag), handle.clone());
    handle.spawn(async move {
        while !done.get() {
            let slot = Slot::new();
            let give = slot.clone();
            own.next_tick(move |_| give.put(()));
            slot.get().await;
        }
    });
    handle.set_timeout(ms(3), move |_| flag.set(true));
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l78_a_waker_may_be_used_and_dropped_on_other_threads() {
    let mut event_loop = event_loop();
    let here = thread::current().id();
    let log = Log::new();
    for _ in 0..50 {
        let told = log.clone();
        let (send, receive) = mpsc::channel::<Waker>();
        let thread = thread::spawn(move || {
            let waker = receive.recv().unwrap();
            waker.wake_by_ref();
            let clone = waker.clone();
            thread::spawn(move || clone.wake()).join().unwrap();
            drop(waker);
        });
        event_loop.handle().spawn(async move {
            let _held = OnDrop::new(move || {
                assert_eq!(thread::current().id(), here);
                told.push("dropped");
            });
            send.send(waker().await).unwrap();
            let mut first = true;
            poll_fn(|_| {
                assert_eq!(thread::current().id(), here);
                if std::mem::take(&mut first) {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
        });
        assert!(!event_loop.run().unwrap());
        log.assert("dropped");
        thread.join().unwrap();
    }
}

#[test]
fn l78_the_last_waker_of_an_aborted_task_may_go_on_another_thread() {
    let mut event_loop = event_loop();
    let here = thread::current().id();
    let log = Log::new();
    let told = log.clone();
    let slot = Slot::new();
    let give = slot.clone();
    let task = event_loop.handle().spawn(async move {
        let _held = OnDrop::new(move || {
            assert_eq!(thread::current().id(), here);
            told.push("dropped");
        });
        give.put(waker().await);
        pending::<()>().await;
    });
    let waker = event_loop.block_on(slot.get()).unwrap();
    task.abort();
    log.assert("dropped");
    drop(task);
    drop(event_loop);
    let thread = thread::spawn(move || {
        waker.wake_by_ref();
        drop(waker);
    });
    thread.join().unwrap();
}

#[test]
fn l79_waking_a_task_that_has_finished_or_was_aborted_does_nothing() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let slot = Slot::new();
    let (give, told) = (slot.clone(), log.clone());
    handle.spawn(async move {
        give.put(waker().await);
        told.push("finished");
    });
    let finished = event_loop.block_on(slot.get()).unwrap();
    let task = handle.spawn(polled(&log, "polled", &slot));
    let aborted = event_loop.block_on(slot.get()).unwrap();
    task.abort();
    // In the places of the old ones.
    let new = Slot::new();
    let tasks = [
        handle.spawn(polled(&log, "new", &new)),
        handle.spawn(polled(&log, "new", &new)),
    ];
    event_loop.run_nowait().unwrap();
    log.assert("finished polled new new");
    finished.wake();
    aborted.wake_by_ref();
    aborted.wake();
    event_loop.run_nowait().unwrap();
    log.assert("");
    tasks.iter().for_each(JoinHandle::abort);
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l79_the_waker_of_a_loop_that_is_gone_does_nothing() {
    let mut event_loop = event_loop();
    let slot = Slot::new();
    event_loop
        .handle()
        .spawn(polled(&Log::new(), "polled", &slot));
    let task = event_loop.block_on(slot.get()).unwrap();
    let root = event_loop.block_on(waker()).unwrap();
    drop(event_loop);
    task.wake();
    root.wake();
}

#[test]
fn l79_a_waker_of_an_earlier_root_does_nothing_to_the_next() {
    let mut event_loop = event_loop();
    let old = event_loop.block_on(waker()).unwrap();
    old.wake_by_ref();
    assert!(!event_loop.run().unwrap());
    let handle = event_loop.handle();
    old.wake_by_ref();
    let start = Instant::now();
    event_loop.block_on(handle.sleep(ms(3))).unwrap();
    assert!(start.elapsed() >= ms(3));
}

#[test]
fn l80_a_task_whose_handle_is_dropped_goes_on() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (sleeper, told) = (handle.clone(), log.clone());
    drop(handle.spawn(async move {
        sleeper.sleep(ms(1)).await;
        told.push("done");
    }));
    event_loop.run().unwrap();
    log.assert("done");
}

#[test]
fn l80_an_aborted_task_is_dropped_at_once_and_its_joiner_gets_an_error() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let held = log.drops("dropped");
    let task = event_loop.handle().spawn(async move {
        let _held = held;
        pending::<()>().await;
    });
    event_loop.run_nowait().unwrap();
    assert!(!task.is_finished());
    task.abort();
    log.assert("dropped");
    assert!(task.is_finished());
    task.abort();
    let error = event_loop.block_on(task).unwrap().unwrap_err();
    assert!(error.is_aborted());
    assert_eq!(error.to_string(), "the task was aborted");
    assert!(error.into_panic().unwrap_err().is_aborted());
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l80_a_task_aborted_before_its_first_poll_is_never_polled() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let task = event_loop.handle().spawn(log.told("polled"));
    task.abort();
    assert!(!event_loop.run().unwrap());
    log.assert("");
}

#[test]
fn l80_an_abort_wakes_a_task_that_awaits() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let cell: Rc<RefCell<JoinHandle<()>>> = Rc::new(RefCell::new(handle.spawn(pending())));
    let (awaited, told) = (Rc::clone(&cell), log.clone());
    handle.spawn(async move {
        let result = poll_fn(|context| {
            let mut task = awaited.borrow_mut();
            pin!(&mut *task).poll(context)
        });
        assert!(result.await.unwrap_err().is_aborted());
        told.push("woken");
    });
    handle.set_timeout(ms(1), move |_| cell.borrow().abort());
    assert!(!event_loop.run().unwrap());
    log.assert("woken");
}

#[test]
fn l80_a_task_can_abort_itself_and_is_dropped_when_it_next_awaits() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
    let (me, told, held) = (Rc::clone(&own), log.clone(), log.drops("dropped"));
    let spawner = handle.clone();
    *own.borrow_mut() = Some(handle.spawn(async move {
        let _held = held;
        me.borrow().as_ref().unwrap().abort();
        // Into its place.
        spawner.spawn(told.told("other"));
        told.push("goes on");
        pending::<()>().await;
        told.push("never");
    }));
    assert!(!event_loop.run().unwrap());
    log.assert("goes on dropped other");
    let task = own.take().unwrap();
    assert!(event_loop.block_on(task).unwrap().unwrap_err().is_aborted());
}

#[test]
fn l80_a_task_can_abort_another_that_is_about_to_be_polled() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let other: Slot<JoinHandle<()>> = Slot::new();
    let (target, told) = (other.clone(), log.clone());
    handle.spawn(async move {
        target.get().await.abort();
        told.push("aborted");
    });
    other.put(handle.spawn(log.told("other")));
    assert!(!event_loop.run().unwrap());
    log.assert("aborted");
}

#[test]
fn l81_a_panic_of_a_task_is_given_to_its_joiner() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let name = String::from("dear");
    let task = handle.spawn(async move { panic!("oh {name}") });
    handle.spawn(log.told("other"));
    let error: nio_loop::JoinError = event_loop
        .block_on::<JoinHandle<()>>(task)
        .unwrap()
        .unwrap_err();
    assert!(!error.is_aborted());
    assert_eq!(error.to_string(), "the task panicked: oh dear");
    let panic = error.into_panic().unwrap();
    assert_eq!(*panic.downcast::<String>().unwrap(), "oh dear");
    assert!(!event_loop.run().unwrap());
    log.assert("other");
}

#[test]
fn l81_a_panic_of_a_task_that_is_not_joined_ends_only_that_task() {
    let mut event_loop = event_loop();
    let log = Log::new();
    drop(event_loop.handle().spawn(async { panic!("unheard") }));
    event_loop.handle().spawn(log.told("other"));
    assert!(!event_loop.run().unwrap());
    log.assert("other");
}

#[test]
fn l81_a_panic_with_anything_is_an_error_that_can_be_shown() {
    let mut event_loop = event_loop();
    let task = event_loop.handle().spawn(async { panic_any(42) });
    let error = event_loop
        .block_on::<JoinHandle<()>>(task)
        .unwrap()
        .unwrap_err();
    assert_eq!(error.to_string(), "the task panicked");
    assert_eq!(*error.into_panic().unwrap().downcast::<i32>().unwrap(), 42);
}

#[test]
fn l81_a_destructor_that_panics_does_not_kill_the_loop() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    // Dropped inside of the loop, as the output of a task that is not joined.
    let bomb = OnDrop::new(|| panic!("in drop"));
    drop(handle.spawn(async move { bomb }));
    handle.spawn(log.told("other"));
    assert_eq!(panic_of(|| event_loop.run()), "in drop");
    assert!(!event_loop.run().unwrap(), "the task is gone");
    log.assert("other");
}

#[test]
fn l81_a_payload_that_panics_when_it_is_dropped_does_not_kill_the_loop() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("in the payload");
        }
    }
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    drop(handle.spawn(async { panic_any(Payload) }));
    handle.spawn(log.told("other"));
    assert!(!event_loop.run().unwrap(), "the panic was the task's own");
    log.assert("other");
}

#[test]
fn l81_a_joiner_is_woken_although_the_future_panics_in_its_drop() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let mut bomb = Some(OnDrop::new(|| panic!("in drop")));
    let task = handle.spawn(poll_fn(move |_| {
        let _held = &mut bomb;
        Poll::Ready(())
    }));
    let told = log.clone();
    handle.spawn(async move {
        let _ = task.await;
        told.push("joined");
    });
    panic_of(|| event_loop.run());
    assert!(!event_loop.run().unwrap(), "both are gone");
    log.assert("joined");
}

#[test]
fn l81_a_waker_that_panics_does_not_kill_the_loop() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in the waker");
        }
    }
    let mut event_loop = support::automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let waker = Waker::from(Arc::new(Panics));
    let mut context = std::task::Context::from_waker(&waker);
    let mut sleep = Box::pin(handle.sleep(ms(1)));
    assert!(sleep.as_mut().poll(&mut context).is_pending());
    handle.set_timeout(ms(1), log.says("timer"));
    assert_eq!(panic_of(|| event_loop.run()), "in the waker");
    assert!(!event_loop.run().unwrap());
    log.assert("timer");
}

#[test]
fn a_panic_of_the_root_passes_through_and_leaves_the_loop_usable() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_immediate(log.says("immediate"));
    let root = async {
        yield_once().await;
        panic!("root");
    };
    assert_eq!(panic_of(|| event_loop.block_on(root)), "root");
    assert!(!event_loop.run().unwrap());
    log.assert("immediate");
    assert_eq!(event_loop.block_on(ready(7)).unwrap(), 7);
}

#[test]
fn l87_block_on_returns_when_its_future_is_ready_and_leaves_the_rest() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_timeout(ms(5), log.says("timer"));
    handle.set_interval(LIMIT, |_, _| {});
    assert_eq!(event_loop.block_on(async { 42 }).unwrap(), 42);
    log.assert("");
    event_loop.block_on(handle.sleep(ms(8))).unwrap();
    log.assert("timer");
    assert!(event_loop.run_nowait().unwrap(), "the interval is there");
}

#[test]
fn l87_block_on_waits_though_nothing_keeps_the_loop_alive() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    event_loop.block_on(handle.sleep(ms(3))).unwrap();
    let woken = Arc::new(AtomicBool::new(false));
    let mut thread = None;
    event_loop
        .block_on(poll_fn(|context| {
            if woken.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            let (waker, woken) = (context.waker().clone(), Arc::clone(&woken));
            thread = Some(thread::spawn(move || {
                woken.store(true, Ordering::Relaxed);
                waker.wake();
            }));
            Poll::Pending
        }))
        .unwrap();
    thread.unwrap().join().unwrap();
}

#[test]
fn l87_a_stop_does_not_end_block_on() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let start = Instant::now();
    event_loop
        .block_on(async {
            handle.stop();
            handle.sleep(ms(5)).await;
        })
        .unwrap();
    assert!(start.elapsed() >= ms(5));
    let log = Log::new();
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    assert!(event_loop.run().unwrap(), "the stop is not swallowed");
    log.assert("");
    assert!(!event_loop.run().unwrap());
    log.assert("timer");
}

#[test]
fn l36_a_stop_does_not_keep_block_on_from_waiting() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let turns = Rc::new(Cell::new(0));
    let count = Rc::clone(&turns);
    // Runs in each turn, without keeping the loop from waiting.
    fn each_turn(handle: &Handle, turns: Rc<Cell<u32>>) {
        let id = handle.set_immediate(move |handle| {
            turns.set(turns.get() + 1);
            each_turn(handle, turns);
        });
        handle.unref(id);
    }
    each_turn(&handle, count);
    event_loop
        .block_on(async {
            handle.stop();
            handle.sleep(ms(30)).await;
        })
        .unwrap();
    assert!(turns.get() < 20, "{} turns", turns.get());
}

#[test]
fn block_on_takes_a_future_that_borrows() {
    let mut event_loop = event_loop();
    let text = String::from("borrowed");
    let length = event_loop.block_on(async { text.len() }).unwrap();
    assert_eq!(length, text.len());
}

#[test]
fn the_root_is_polled_only_when_it_is_woken() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let slot = Slot::new();
    let give = slot.clone();
    handle.set_interval(ms(1), |_, _| {});
    handle.set_timeout(ms(6), move |_| give.put(()));
    event_loop
        .block_on(async {
            let mut get = pin!(slot.get());
            poll_fn(|context| {
                log.push("polled");
                get.as_mut().poll(context)
            })
            .await;
        })
        .unwrap();
    log.assert("polled polled");
}

#[test]
fn a_join_handle_gives_the_output_to_another_task() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let output = event_loop.block_on(async {
        let sleeper = handle.clone();
        let inner = handle.spawn(async move {
            sleeper.sleep(ms(1)).await;
            String::from("output")
        });
        let outer = handle.spawn(async move { inner.await.unwrap() + "!" });
        outer.await.unwrap()
    });
    assert_eq!(output.unwrap(), "output!");
}

#[test]
fn a_join_handle_remembers_the_last_that_polled_it() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let slot = Slot::new();
    let mut task = Box::pin(handle.spawn({
        let slot = slot.clone();
        async move { slot.get().await }
    }));
    let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    assert!(poll_with(&first, task.as_mut()).is_pending());
    assert!(poll_with(&last, task.as_mut()).is_pending());
    slot.put(5);
    assert!(!event_loop.run().unwrap());
    assert_eq!((first.count(), last.count()), (0, 1));
    assert!(matches!(
        poll_with(&last, task.as_mut()),
        Poll::Ready(Ok(5))
    ));
}

#[test]
fn a_joiner_of_a_task_of_a_dropped_loop_is_woken_and_gets_an_error() {
    let mut event_loop = event_loop();
    let mut task = Box::pin(event_loop.handle().spawn(pending::<()>()));
    let wakes = Arc::new(Wakes::default());
    assert!(poll_with(&wakes, task.as_mut()).is_pending());
    event_loop.run_nowait().unwrap();
    drop(event_loop);
    assert_eq!(wakes.count(), 1);
    let Poll::Ready(Err(error)) = poll_with(&wakes, task.as_mut()) else {
        panic!("it was aborted");
    };
    assert!(error.is_aborted());
}

#[test]
fn what_an_aborted_task_holds_may_use_the_loop_when_it_is_dropped() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let other = handle.spawn(pending::<()>());
    let (on_drop, told) = (handle.clone(), log.clone());
    let held = OnDrop::new(move || {
        other.abort();
        on_drop.spawn(told.told("task"));
        on_drop.set_timeout(Duration::ZERO, told.says("timer"));
    });
    let sleeper = handle.clone();
    let task = handle.spawn(async move {
        let _held = held;
        sleeper.sleep(LIMIT).await;
    });
    event_loop.run_nowait().unwrap();
    task.abort();
    assert!(!event_loop.run().unwrap());
    log.assert("task timer");
}

#[test]
fn a_finished_task_drops_its_future_before_it_is_joined() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let held = log.drops("dropped");
    let task = handle.spawn(async move {
        let _held = held;
    });
    event_loop
        .block_on(async {
            task.await.unwrap();
            log.push("joined");
        })
        .unwrap();
    log.assert("dropped joined");
}

#[test]
fn a_sleep_given_up_for_another_future_wakes_no_task_later() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    event_loop
        .block_on(async {
            {
                let mut sleep = pin!(handle.sleep(ms(1)));
                assert!(poll_once(sleep.as_mut()).await.is_pending());
            }
            handle.sleep(ms(3)).await;
        })
        .unwrap();
}

#[test]
fn an_error_of_a_task_goes_where_errors_of_all_kinds_do() {
    let mut event_loop = event_loop();
    let task = event_loop.handle().spawn(async { panic!("no luck") });
    let outcome = event_loop.block_on(task).unwrap();
    let error: Box<dyn std::error::Error + Send + Sync> = outcome.unwrap_err().into();
    assert_eq!(error.to_string(), "the task panicked: no luck");
    assert_eq!(
        std::io::Error::other(error).to_string(),
        "the task panicked: no luck"
    );
}
