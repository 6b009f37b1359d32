//! The wakers of tasks: the waker of the loop, and own wakers of tasks that keep a clone.

mod support;

use std::{
    cell::{Cell, RefCell},
    future::{Future, pending, poll_fn, ready},
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
};

use nio_loop::{EventLoop, JoinHandle};
use support::{Log, Slot, event_loop, ms, poll_with, waker, yield_once};

/// A future that is never ready. Each time it is polled it logs that, and does something with its
/// waker.
fn each_time(
    log: &Log,
    text: &str,
    mut with: impl FnMut(&Waker) + 'static,
) -> impl Future<Output = ()> + 'static {
    let (log, text) = (log.clone(), text.to_owned());
    poll_fn(move |context| {
        log.push(text.clone());
        with(context.waker());
        Poll::Pending
    })
}

/// The identity of a waker.
fn identity(waker: &Waker) -> *const () {
    waker.data()
}

#[test]
fn tasks_that_do_not_keep_their_waker_are_polled_with_one() {
    let mut event_loop = event_loop();
    let seen = Rc::new(RefCell::new(Vec::new()));
    for _ in 0..3 {
        let seen = Rc::clone(&seen);
        let see = move |waker: &Waker| seen.borrow_mut().push(identity(waker));
        event_loop
            .handle()
            .spawn(each_time(&Log::new(), "", see))
            .detach();
    }
    event_loop.run_nowait().unwrap();
    let seen = seen.borrow();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|one| *one == seen[0]));
}

#[test]
fn a_waker_wakes_the_task_that_it_was_got_from_and_no_other() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let slots: Vec<Slot<Waker>> = (0..6).map(|_| Slot::new()).collect();
    for (number, slot) in slots.iter().enumerate() {
        // Every other task keeps a clone, so the tasks in between get another waker.
        let slot = slot.clone();
        let keep = move |waker: &Waker| {
            if number % 2 == 0 {
                slot.put(waker.clone());
            }
        };
        let task = each_time(&log, &number.to_string(), keep);
        handle.spawn(task).detach();
    }
    event_loop.run_nowait().unwrap();
    log.assert("0 1 2 3 4 5");
    for number in [4, 0, 2] {
        let waker = event_loop.block_on(slots[number].get()).unwrap();
        waker.wake_by_ref();
        event_loop.run_nowait().unwrap();
        log.assert(&number.to_string());
    }
}

#[test]
fn a_task_that_has_kept_its_waker_is_always_polled_with_that() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let kept = Rc::new(RefCell::new(None::<Waker>));
    let polls = Rc::new(Cell::new(0));
    let (keep, counts) = (Rc::clone(&kept), Rc::clone(&polls));
    let once = move |waker: &Waker| {
        counts.set(counts.get() + 1);
        let known = keep
            .borrow_mut()
            .get_or_insert_with(|| waker.clone())
            .clone();
        assert!(known.will_wake(waker));
    };
    handle.spawn(each_time(&Log::new(), "", once)).detach();
    for polls_then in 1..4 {
        // Others are polled in between.
        handle.spawn(ready(())).detach();
        event_loop.run_nowait().unwrap();
        assert_eq!(polls.get(), polls_then);
        kept.borrow().as_ref().unwrap().wake_by_ref();
        kept.borrow().as_ref().unwrap().wake_by_ref();
    }
    // Also when it was given back meanwhile.
    let before = identity(&kept.take().unwrap());
    event_loop.run_nowait().unwrap();
    assert_eq!(identity(kept.borrow().as_ref().unwrap()), before);
}

#[test]
fn the_waker_of_the_loop_wakes_the_polled_task_by_reference() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    for text in ["a", "b", "c"] {
        let mut first = true;
        let task = each_time(&log, text, move |waker| {
            if std::mem::take(&mut first) {
                waker.wake_by_ref();
                waker.wake_by_ref();
            }
        });
        handle.spawn(task).detach();
    }
    event_loop.run_nowait().unwrap();
    log.assert("a b c a b c");
}

#[test]
fn a_waker_of_a_task_that_is_gone_wakes_no_other_task() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let wakers = Rc::new(RefCell::new(Vec::new()));
    let keep = || {
        let wakers = Rc::clone(&wakers);
        async move {
            let waker = waker().await;
            wakers.borrow_mut().push(waker);
        }
    };
    let next = |text: &str| handle.spawn(each_time(&log, text, |_| {})).detach();

    // Each task keeps the waker and is gone after its first poll. The next task gets another waker.
    handle.spawn(keep()).detach();
    next("a");
    let kept = keep();
    let panics = handle.spawn(async move {
        kept.await;
        panic!("in a task");
    });
    next("b");
    let (kept, own) = (keep(), Slot::new());
    let itself = own.clone();
    let aborts = handle.spawn(async move {
        kept.await;
        let own: JoinHandle<()> = itself.get().await;
        own.abort();
        pending().await
    });
    own.put(aborts);
    next("c");
    let kept = keep();
    let aborted = handle.spawn(async move {
        kept.await;
        pending::<()>().await;
    });
    next("d");
    event_loop.run_nowait().unwrap();
    log.assert("a b c d");
    aborted.abort();
    drop(panics);
    // These have their places in the table.
    ["e", "f", "g", "h", "i"].into_iter().for_each(next);
    event_loop.run_nowait().unwrap();
    log.assert("e f g h i");

    let wakers = wakers.take();
    assert_eq!(wakers.len(), 4);
    wakers.iter().for_each(Waker::wake_by_ref);
    let thread = thread::spawn(move || wakers.into_iter().for_each(Waker::wake));
    thread.join().unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("");
}

#[test]
fn l69_a_wake_on_another_thread_that_is_over_before_the_poll_is_not_lost() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    for text in ["a", "b", "c"] {
        let mut first = true;
        let task = each_time(&log, text, move |waker| {
            if std::mem::take(&mut first) {
                let waker = waker.clone();
                thread::spawn(move || waker.wake()).join().unwrap();
            }
        });
        handle.spawn(task).detach();
    }
    event_loop.run_nowait().unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("a b c a b c");
}

#[test]
fn l69_a_wake_on_another_thread_by_reference_in_the_poll_is_not_lost() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let mut first = true;
    let task = each_time(&log, "a", move |waker| {
        if std::mem::take(&mut first) {
            thread::scope(|scope| {
                scope.spawn(|| waker.wake_by_ref());
                scope.spawn(|| waker.wake_by_ref());
            });
        }
    });
    handle.spawn(task).detach();
    handle.spawn(each_time(&log, "b", |_| {})).detach();
    event_loop.run_nowait().unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("a b a");
}

#[test]
fn l69_no_wake_that_races_with_the_end_of_a_poll_is_lost_or_goes_astray() {
    const TASKS: usize = 8;
    const ROUNDS: usize = 2_000;
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (send, receive) = mpsc::channel::<(Waker, Arc<AtomicBool>)>();
    let thread = thread::spawn(move || {
        for (number, (waker, woken)) in receive.into_iter().enumerate() {
            if number % 3 == 0 {
                thread::yield_now();
            }
            woken.store(true, Ordering::Relaxed);
            match number % 2 {
                0 => waker.wake(),
                _ => waker.wake_by_ref(),
            }
        }
    });
    let astray = Arc::new(AtomicUsize::new(0));
    for _ in 0..TASKS {
        let (send, astray) = (send.clone(), Arc::clone(&astray));
        handle.spawn(async move {
            for _ in 0..ROUNDS {
                let woken = Arc::new(AtomicBool::new(false));
                let mut sent = false;
                poll_fn(|context| {
                    if woken.load(Ordering::Relaxed) {
                        return Poll::Ready(());
                    }
                    if std::mem::replace(&mut sent, true) {
                        // Only that thread wakes it.
                        astray.fetch_add(1, Ordering::Relaxed);
                    } else {
                        let message = (context.waker().clone(), Arc::clone(&woken));
                        send.send(message).unwrap();
                    }
                    Poll::Pending
                })
                .await;
                // This poll ends without a waker that is kept.
                yield_once().await;
            }
        });
    }
    drop(send);
    // A wake that is lost leaves the loop waiting.
    assert!(!event_loop.run().unwrap());
    thread.join().unwrap();
    assert_eq!(astray.load(Ordering::Relaxed), 0);
}

#[test]
fn a_loop_that_is_run_by_a_task_of_another_has_wakers_of_its_own() {
    let mut outer = event_loop();
    let log = Log::new();
    let told = log.clone();
    let task = outer.handle().spawn(async move {
        let mut first = true;
        poll_fn(move |context| {
            if !std::mem::take(&mut first) {
                told.push("outer");
                return Poll::Ready(());
            }
            let ours = context.waker();
            let mut inner = EventLoop::new().unwrap();
            let theirs = inner.handle().spawn(waker());
            let theirs = inner.block_on(theirs).unwrap().unwrap();
            assert!(!theirs.will_wake(ours));
            let told = told.clone();
            inner.handle().spawn(each_time(&told, "inner", |_| {}));
            inner.run_nowait().unwrap();
            // The wakers still wake their own tasks, not the inner loop's task or its root.
            ours.wake_by_ref();
            inner.run_nowait().unwrap();
            Poll::Pending
        })
        .await;
    });
    outer.block_on(task).unwrap().unwrap();
    log.assert("inner outer");
}

#[test]
fn the_root_is_polled_with_the_waker_of_the_loop_and_can_own_it() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let told = log.clone();
    let kept = Slot::new();
    let give = kept.clone();
    handle.spawn(each_time(&log, "task", move |waker| {
        give.put(waker.clone());
    }));
    event_loop
        .block_on(async {
            let own = waker().await;
            handle.spawn(ready(())).await.unwrap();
            handle.sleep(ms(1)).await;
            assert!(own.will_wake(&waker().await));
            log.assert("task");
            kept.get().await.wake();
            yield_once().await;
            yield_once().await;
            told.push("root");
        })
        .unwrap();
    log.assert("task root");
}

#[test]
fn a_panic_in_a_poll_keeps_the_waker_of_the_loop_for_the_next_task() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let mut task = Box::pin(handle.spawn(async { panic!("in a task") }));
    let told = log.clone();
    handle.spawn(async move {
        yield_once().await;
        told.push("next");
    });
    assert!(!event_loop.run().unwrap());
    log.assert("next");
    assert!(matches!(
        poll_with(&Arc::default(), task.as_mut()),
        Poll::Ready(Err(_))
    ));
}

#[test]
fn who_joins_is_woken_also_by_another_waker_than_his_own() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let told = log.clone();
    let slot = Slot::new();
    let task = handle.spawn({
        let slot = slot.clone();
        async move { slot.get().await }
    });
    // Polls it only now, with the waker of another task.
    let wakes = Arc::new(support::Wakes::default());
    let foreign = Waker::from(Arc::clone(&wakes));
    handle.spawn(async move {
        let mut task = pin!(task);
        let mut polled = task.as_mut().poll(&mut Context::from_waker(&foreign));
        while polled.is_pending() {
            yield_once().await;
            if wakes.count() > 0 {
                polled = task.as_mut().poll(&mut Context::from_waker(&foreign));
            }
        }
        told.push("joined");
    });
    handle.set_timeout(ms(1), move |_| slot.put(()));
    assert!(!event_loop.run().unwrap());
    log.assert("joined");
}
