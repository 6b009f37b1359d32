//! The closing phase, and close callbacks.

mod support;

use std::{
    cell::Cell,
    io::{Read, Write},
    os::unix::net::UnixStream,
    rc::Rc,
    time::{Duration, Instant},
};

use nio_loop::{Handle, Interest};
use support::{
    LIMIT, Log, OnDrop, automatic_loop, event_loop, ms, pair, panic_of, readable, secs, spin,
};

#[test]
fn l1_the_closing_phase_comes_after_the_immediates_and_before_the_next_timers() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let victim = handle.set_timeout(secs(9), |_| panic!("closed"));
    let told = log.clone();
    handle.set_timeout(Duration::ZERO, move |handle| {
        told.push("timer");
        assert!(handle.close(victim, told.says("closed")));
        handle.set_immediate(told.says("immediate"));
        handle.set_timeout(Duration::ZERO, told.says("next"));
    });
    assert!(!event_loop.run().unwrap());
    log.assert("timer immediate closed next");
}

#[test]
fn l1_a_close_by_an_immediate_completes_in_the_same_turn() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let victim = handle.set_timeout(secs(9), |_| panic!("closed"));
    let told = log.clone();
    handle.set_immediate(move |handle| {
        told.push("immediate");
        handle.close(victim, told.says("closed"));
        handle.set_immediate(told.says("next"));
    });
    assert!(event_loop.run_nowait().unwrap());
    log.assert("immediate closed");
    assert!(!event_loop.run_nowait().unwrap());
    log.assert("next");
}

#[test]
fn l1_a_close_by_a_close_callback_completes_in_the_next_turn() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let [first, second] = [1, 2].map(|n| handle.set_timeout(secs(n), |_| panic!("closed")));
    let told = log.clone();
    handle.close(first, move |handle| {
        told.push("first");
        handle.close(second, told.says("second"));
        handle.set_immediate(told.says("immediate"));
        handle.next_tick(told.says("tick"));
    });
    assert!(event_loop.run_nowait().unwrap());
    log.assert("first tick");
    assert!(!event_loop.run_nowait().unwrap());
    log.assert("immediate second");
}

#[test]
fn l5_ticks_and_then_tasks_run_after_each_close() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    for name in ["A", "B"] {
        let id = handle.set_timeout(secs(1), |_| panic!("closed"));
        let told = log.clone();
        handle.close(id, move |handle| {
            told.push(name);
            handle.spawn(told.told(&format!("{name}.task")));
            handle.next_tick(told.says(&format!("{name}.tick")));
        });
    }
    assert!(!event_loop.run().unwrap());
    log.assert("A A.tick A.task B B.tick B.task");
}

#[test]
fn l51_a_close_callback_never_runs_within_the_close() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let ids = [
        handle.set_timeout(secs(1), |_| panic!("closed")),
        handle.set_interval(secs(1), |_, _| panic!("closed")),
        handle.set_immediate(|_| panic!("closed")),
        handle
            .watch(readable().0, Interest::READABLE, |_, _, _| panic!("closed"))
            .unwrap(),
    ];
    for (n, id) in ids.into_iter().enumerate() {
        assert!(handle.close(id, log.says(&format!("closed{n}"))));
        log.push(format!("close{n}"));
        assert!(!handle.clear(id) && !handle.unref(id) && !handle.reref(id));
    }
    assert!(!event_loop.run().unwrap());
    log.assert("close0 close1 close2 close3 closed0 closed1 closed2 closed3");
}

#[test]
fn l51_closing_a_callback_that_is_gone_returns_false_and_never_calls() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let id = handle.set_timeout(secs(1), |_| panic!("closed"));
    assert!(handle.close(id, log.says("closed")));
    let held = log.drops("dropped");
    assert!(!handle.close(id, move |_| drop(held)));
    log.assert("dropped");
    assert!(!event_loop.run().unwrap());
    log.assert("closed");
    assert!(!handle.close(id, log.says("never")));
    assert!(!event_loop.run().unwrap());
    log.assert("");
}

#[test]
fn l52_a_callback_is_dropped_before_its_close_callback_runs() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (ours, mut theirs) = pair();
    theirs.set_nonblocking(false).unwrap();
    let held = log.drops("dropped");
    let watch = move |_: &Handle, _: &UnixStream, _| {
        let _held = &held;
    };
    let id = handle.watch(ours, Interest::READABLE, watch).unwrap();
    let told = log.clone();
    handle.close(id, move |_| {
        told.push("closed");
        // There is no other owner, so the descriptor is closed.
        assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0);
    });
    assert!(!event_loop.run().unwrap());
    log.assert("dropped closed");
}

#[test]
fn l52_a_callback_that_closes_itself_is_dropped_before_its_close_callback() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (ours, theirs) = readable();
    let own = Rc::new(Cell::new(None));
    let (id, told, held) = (Rc::clone(&own), log.clone(), log.drops("dropped"));
    let watch = move |handle: &Handle, mut stream: &UnixStream, _| {
        let (_held, told) = (&held, told.clone());
        let mut peer = theirs.try_clone().unwrap();
        handle.close(id.get().unwrap(), move |_| {
            told.push("closed");
            assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0, "the descriptor, too");
        });
        // As long as it runs it has its descriptor.
        stream.read_exact(&mut [0]).unwrap();
    };
    own.set(Some(handle.watch(ours, Interest::READABLE, watch).unwrap()));
    assert!(!event_loop.run().unwrap());
    log.assert("dropped closed");
}

#[test]
fn l52_a_close_callback_can_watch_the_descriptor_again() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (ours, mut theirs) = pair();
    let (ours, never) = (Rc::new(ours), |_: &Handle, _: &Rc<UnixStream>, _| {});
    let first = Rc::clone(&ours);
    let id = handle.watch(first, Interest::READABLE, never).unwrap();
    let told = log.clone();
    handle.close(id, move |handle| {
        let watch = move |handle: &Handle, _: &Rc<UnixStream>, _| {
            told.push("readable");
            handle.stop();
        };
        handle.watch(ours, Interest::READABLE, watch).unwrap();
        theirs.write_all(b"x").unwrap();
    });
    assert!(event_loop.run().unwrap());
    log.assert("readable");
}

#[test]
fn l53_close_callbacks_run_in_the_order_of_the_closes() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let ids: Vec<_> = (0..10)
        .map(|n| handle.set_timeout(secs(10 - n), |_| panic!("closed")))
        .collect();
    for n in [3, 1, 4, 0, 5, 9, 2, 6, 8, 7] {
        handle.close(ids[n], log.says(&n.to_string()));
    }
    assert!(!event_loop.run().unwrap());
    log.assert("3 1 4 0 5 9 2 6 8 7");
}

#[test]
fn l54_a_close_callback_keeps_the_loop_alive_even_if_the_callback_did_not() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let id = handle.set_timeout(LIMIT, |_| panic!("closed"));
    handle.unref(id);
    assert!(!event_loop.run().unwrap());
    handle.close(id, log.says("closed"));
    let start = Instant::now();
    assert!(!event_loop.run().unwrap());
    assert!(start.elapsed() < LIMIT / 2);
    log.assert("closed");
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l36_a_loop_that_closes_something_does_not_wait() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_timeout(LIMIT, |_| panic!("it waited"));
    let id = handle.set_timeout(LIMIT, |_| panic!("closed"));
    handle.close(id, log.says("closed"));
    let start = Instant::now();
    assert!(event_loop.run_once().unwrap());
    assert!(start.elapsed() < LIMIT / 2);
    log.assert("closed");
}

#[test]
fn l16_a_due_timer_closed_by_an_earlier_one_does_not_run() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let target = Rc::new(Cell::new(None));
    let (id, told) = (Rc::clone(&target), log.clone());
    handle.set_timeout(Duration::ZERO, move |handle| {
        assert!(handle.close(id.get().unwrap(), told.says("closed")));
    });
    target.set(Some(handle.set_timeout(Duration::ZERO, |_| {
        panic!("closed");
    })));
    spin(ms(1));
    assert!(!event_loop.run().unwrap());
    log.assert("closed");
}

#[test]
fn a_close_that_panics_loses_no_other() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    for n in 0..3 {
        let id = handle.set_timeout(secs(1), |_| panic!("closed"));
        let told = log.clone();
        handle.close(id, move |_| match n {
            1 => panic!("second"),
            _ => told.push(n.to_string()),
        });
    }
    assert_eq!(panic_of(|| event_loop.run()), "second");
    log.assert("0");
    assert!(!event_loop.run().unwrap());
    log.assert("2");
}

#[test]
fn l59_a_close_callback_is_dropped_with_the_loop_and_may_use_it() {
    let event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let [first, second] = [1, 2].map(|n| handle.set_timeout(secs(n), |_| {}));
    let (on_drop, told) = (handle.clone(), log.clone());
    let held = OnDrop::new(move || {
        assert!(!on_drop.close(second, |_| {}));
        on_drop.set_immediate(|_| {});
        told.push("dropped");
    });
    handle.close(first, move |_| drop(held));
    drop(event_loop);
    log.assert("dropped");
    assert!(!handle.close(first, log.says("never")));
}

#[test]
fn a_guard_clears_its_callback_when_it_is_dropped() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let kept = handle.guard(handle.set_timeout(secs(1), log.says("kept")));
    let held = log.drops("dropped");
    let cleared = handle.guard(handle.set_timeout(secs(1), move |_| drop(held)));
    let id = cleared.id();
    drop(cleared);
    log.assert("dropped");
    assert!(!handle.clear(id));
    assert!(!event_loop.run().unwrap());
    log.assert("kept");
    // Its callback has run, and its id is stale: no other callback is cleared.
    handle.set_timeout(secs(1), log.says("other"));
    drop(kept);
    assert!(!event_loop.run().unwrap());
    log.assert("other");
}

#[test]
fn a_guard_may_be_dropped_by_the_callback_that_it_guards_and_after_the_loop() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let own = Rc::new(Cell::new(None));
    let (guard, told) = (Rc::clone(&own), log.clone());
    let interval = handle.set_interval(secs(1), move |_, _| {
        told.push("ran");
        drop(guard.take());
    });
    own.set(Some(handle.guard(interval)));
    assert!(!event_loop.run().unwrap());
    log.assert("ran");
    let late = handle.guard(handle.set_immediate(|_| {}));
    drop(event_loop);
    drop(late);
}
