//! The order of callbacks within a turn, and of ticks and tasks between two callbacks.

mod support;

use std::{
    cell::Cell,
    io::Read,
    rc::Rc,
    time::{Duration, Instant},
};

use nio_loop::{Handle, Interest};
use support::{LIMIT, Log, Slot, event_loop, ms, panic_of, readable, spin};

/// A callback followed by what Node's `nextTick` and promises would do: two ticks, and a task that
/// queues another task and another tick.
fn callback(log: &Log, handle: &Handle, name: &str) {
    log.push(name);
    handle.spawn({
        let (log, handle, name) = (log.clone(), handle.clone(), name.to_owned());
        async move {
            log.push(format!("{name}.task"));
            handle.next_tick(log.says(&format!("{name}.task.tick")));
            handle.spawn(log.told(&format!("{name}.task.task")));
        }
    });
    handle.next_tick(log.says(&format!("{name}.tick1")));
    handle.next_tick(log.says(&format!("{name}.tick2")));
}

/// The log of this callback.
fn drained(name: &str) -> String {
    format!("{name} {name}.tick1 {name}.tick2 {name}.task {name}.task.task {name}.task.tick")
}

#[test]
fn l1_a_turn_runs_timers_then_io_then_immediates() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (ours, _theirs) = readable();
    handle.set_immediate(log.says("immediate"));
    let on_read = log.clone();
    let watch = move |_: &Handle, _: &_, _| on_read.push("io");
    handle.watch(ours, Interest::READABLE, watch).unwrap();
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    event_loop.run_nowait().unwrap();
    log.assert("timer io immediate");
}

#[test]
fn l1_posts_run_after_the_io_of_their_turn_and_before_its_immediates() {
    thread_local!(static LOG: Log = Log::new());
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = LOG.with(Log::clone);
    let (ours, _theirs) = readable();
    let post = |_: &Handle| LOG.with(|log| log.push("post"));
    handle.remote().post(post).unwrap();
    handle.set_immediate(log.says("immediate"));
    let on_read = log.clone();
    let watch = move |_: &Handle, _: &_, _| on_read.push("io");
    handle.watch(ours, Interest::READABLE, watch).unwrap();
    assert!(event_loop.run_nowait().unwrap(), "the watch is still there");
    log.assert("io post immediate");
}

#[test]
fn l2_run_once_runs_the_timer_that_came_due_while_it_waited() {
    let mut event_loop = event_loop();
    let log = Log::new();
    event_loop.handle().set_timeout(ms(15), log.says("timer"));
    assert!(!event_loop.run_once().unwrap());
    log.assert("timer");
}

#[test]
fn l3_after_io_immediates_run_before_zero_timers() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let (ours, _theirs) = readable();
    let on_read = log.clone();
    let watch = move |handle: &Handle, mut stream: &std::os::unix::net::UnixStream, _| {
        let _ = stream.read(&mut [0; 8]);
        handle.set_timeout(Duration::ZERO, on_read.says("timer"));
        handle.set_immediate(on_read.says("immediate"));
        handle.stop();
    };
    event_loop
        .handle()
        .watch(ours, Interest::READABLE, watch)
        .unwrap();
    event_loop.run().unwrap();
    log.assert("immediate");
    event_loop.run_nowait().unwrap();
    log.assert("timer");
}

#[test]
fn l4_before_the_first_turn_zero_timers_come_before_immediates() {
    for _ in 0..100 {
        let mut event_loop = event_loop();
        let log = Log::new();
        event_loop.handle().set_immediate(log.says("immediate"));
        event_loop
            .handle()
            .set_timeout(Duration::ZERO, log.says("timer"));
        event_loop.run().unwrap();
        log.assert("timer immediate");
    }
}

#[test]
fn l5_ticks_and_then_tasks_run_after_each_timeout() {
    let mut event_loop = event_loop();
    let log = Log::new();
    for name in ["A", "B"] {
        let log = log.clone();
        let timeout = move |handle: &Handle| callback(&log, handle, name);
        event_loop.handle().set_timeout(Duration::ZERO, timeout);
    }
    event_loop.run().unwrap();
    log.assert(&format!("{} {}", drained("A"), drained("B")));
}

#[test]
fn l5_ticks_and_then_tasks_run_after_each_interval() {
    let mut event_loop = event_loop();
    let log = Log::new();
    for name in ["A", "B"] {
        let log = log.clone();
        event_loop.handle().set_interval(ms(1), move |handle, _| {
            callback(&log, handle, name);
            handle.stop();
        });
    }
    spin(ms(2));
    event_loop.run().unwrap();
    log.assert(&format!("{} {}", drained("A"), drained("B")));
}

#[test]
fn l5_ticks_and_then_tasks_run_after_each_io_callback() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let mut sockets = Vec::new();
    for name in ["A", "B"] {
        let (ours, theirs) = readable();
        let log = log.clone();
        let watch = move |handle: &Handle, _: &_, _| callback(&log, handle, name);
        event_loop
            .handle()
            .watch(ours, Interest::READABLE, watch)
            .unwrap();
        sockets.push(theirs);
    }
    event_loop.run_nowait().unwrap();
    // The system chooses the order of the two.
    let (a, b) = (drained("A"), drained("B"));
    let text = log.take().join(" ");
    assert!(
        text == format!("{a} {b}") || text == format!("{b} {a}"),
        "{text}"
    );
}

#[test]
fn l5_ticks_and_then_tasks_run_after_each_immediate() {
    let mut event_loop = event_loop();
    let log = Log::new();
    for name in ["A", "B"] {
        let log = log.clone();
        event_loop
            .handle()
            .set_immediate(move |handle| callback(&log, handle, name));
    }
    event_loop.run().unwrap();
    log.assert(&format!("{} {}", drained("A"), drained("B")));
}

#[test]
fn l5_ticks_and_then_tasks_run_after_each_post() {
    thread_local!(static LOG: Log = Log::new());
    let mut event_loop = event_loop();
    for name in ["A", "B"] {
        let post = move |handle: &Handle| LOG.with(|log| callback(log, handle, name));
        event_loop.handle().remote().post(post).unwrap();
    }
    event_loop.run().unwrap();
    LOG.with(|log| log.assert(&format!("{} {}", drained("A"), drained("B"))));
}

#[test]
fn l6_tasks_run_dry_before_the_next_tick() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.spawn({
        let (log, handle) = (log.clone(), handle.clone());
        async move {
            handle.next_tick(log.says("tick"));
            for n in 0..3 {
                handle.spawn(log.told(&format!("task{n}")));
            }
            support::yield_once().await;
            log.push("again");
        }
    });
    event_loop.run().unwrap();
    log.assert("task0 task1 task2 again tick");
}

#[test]
fn l7_ticks_and_tasks_from_before_the_run_come_before_the_first_timer() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    handle.spawn(log.told("task"));
    handle.next_tick(log.says("tick"));
    event_loop.run().unwrap();
    log.assert("tick task timer");
}

#[test]
fn l8_a_tick_that_panics_loses_no_other_and_they_run_before_the_next_phase() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    handle.next_tick(|_| panic!("first"));
    handle.next_tick(log.says("second"));
    handle.next_tick(|_| panic!("third"));
    handle.next_tick(log.says("fourth"));
    assert_eq!(panic_of(|| event_loop.run()), "first");
    assert_eq!(panic_of(|| event_loop.run()), "third");
    event_loop.run().unwrap();
    log.assert("second fourth timer");
}

#[test]
fn l9_a_loop_within_a_callback_does_not_drain_the_outer_one() {
    let mut outer = event_loop();
    let log = Log::new();
    let on_timer = log.clone();
    outer.handle().set_timeout(Duration::ZERO, move |handle| {
        handle.next_tick(on_timer.says("outer.tick"));
        handle.spawn(on_timer.told("outer.task"));
        let mut inner = event_loop();
        inner.handle().next_tick(on_timer.says("inner.tick"));
        inner
            .handle()
            .set_timeout(ms(1), on_timer.says("inner.timer"));
        inner.run().unwrap();
        on_timer.push("end");
    });
    outer.run().unwrap();
    log.assert("inner.tick inner.timer end outer.tick outer.task");
}

#[test]
fn l10_ticks_of_ticks_run_before_anything_else() {
    fn again(handle: &Handle, log: Log, left: u32) {
        match left {
            0 => log.push("last"),
            _ => handle.next_tick(move |handle| again(handle, log, left - 1)),
        }
    }
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    handle.spawn(log.told("task"));
    again(&handle, log.clone(), 10_000);
    event_loop.run().unwrap();
    log.assert("last task timer");
}

#[test]
fn l11_an_immediate_of_an_immediate_runs_in_the_next_turn() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let first = log.clone();
    event_loop.handle().set_immediate(move |handle| {
        first.push("1");
        handle.set_immediate(first.says("3"));
        handle.set_timeout(Duration::ZERO, first.says("timer"));
    });
    event_loop.handle().set_immediate(log.says("2"));
    event_loop.run_nowait().unwrap();
    log.assert("1 2");
    event_loop.run_nowait().unwrap();
    log.assert("timer 3");
}

#[test]
fn l11_endless_immediates_starve_nothing() {
    fn again(handle: &Handle) {
        handle.set_immediate(again);
    }
    let mut event_loop = event_loop();
    event_loop.handle().set_immediate(again);
    event_loop
        .handle()
        .set_timeout(ms(5), |handle| handle.stop());
    assert!(event_loop.run().unwrap());
}

#[test]
fn l12_an_immediate_cleared_by_an_earlier_one_does_not_run() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let second = Rc::new(Cell::new(None));
    let (first, target) = (log.clone(), Rc::clone(&second));
    handle.set_immediate(move |handle| {
        first.push("1");
        assert!(handle.clear(target.get().unwrap()));
        assert!(!handle.clear(target.get().unwrap()), "it is gone");
    });
    second.set(Some(handle.set_immediate(log.says("2"))));
    handle.set_immediate(log.says("3"));
    event_loop.run().unwrap();
    log.assert("1 3");
}

#[test]
fn l12_an_immediate_that_clears_itself_is_gone_already() {
    let mut event_loop = event_loop();
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    own.set(Some(event_loop.handle().set_immediate(move |handle| {
        assert!(!handle.clear(id.get().unwrap()));
    })));
    event_loop.run().unwrap();
}

#[test]
fn l13_an_immediate_that_panics_loses_no_other() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_immediate(log.says("1"));
    handle.set_immediate(|_| panic!("2"));
    handle.set_immediate(log.says("3"));
    assert_eq!(panic_of(|| event_loop.run()), "2");
    log.assert("1");
    assert!(!event_loop.run().unwrap());
    log.assert("3");
}

#[test]
fn l14_an_immediate_keeps_the_loop_from_waiting() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_immediate(log.says("immediate"));
    handle.set_timeout(LIMIT, log.says("timer"));
    let start = Instant::now();
    event_loop.run_once().unwrap();
    assert!(start.elapsed() < LIMIT / 2);
    log.assert("immediate");
}

#[test]
fn l14_an_unreferenced_immediate_does_not_keep_the_loop_from_waiting() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let immediate = handle.set_immediate(log.says("immediate"));
    handle.unref(immediate);
    handle.set_timeout(ms(20), log.says("timer"));
    let start = Instant::now();
    event_loop.run_once().unwrap();
    assert!(start.elapsed() >= ms(20));
    log.assert("immediate timer");
}

#[test]
fn l14_an_immediate_that_has_run_or_was_cleared_lets_the_loop_wait() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.set_immediate(|_| {});
    let cleared = handle.set_immediate(|_| panic!("cleared"));
    assert!(handle.clear(cleared));
    assert!(!event_loop.run_nowait().unwrap());
    let start = Instant::now();
    handle.set_timeout(ms(20), |_| {});
    assert!(!event_loop.run_once().unwrap());
    assert!(start.elapsed() >= ms(20));
}

#[test]
fn l5_a_tick_of_the_last_of_many_tasks_runs_before_the_next_callback() {
    // Whatever the budget of tasks between two callbacks is, one of these meets it exactly.
    for count in 250..260 {
        let mut event_loop = event_loop();
        let log = Log::new();
        let first = log.clone();
        event_loop
            .handle()
            .set_timeout(Duration::ZERO, move |handle| {
                for n in 1..=count {
                    let (log, tick) = (first.clone(), handle.clone());
                    handle.spawn(async move {
                        if n == count {
                            tick.next_tick(log.says("tick"));
                        }
                    });
                }
            });
        event_loop.run().unwrap();
        log.assert("tick");
    }
}

#[test]
fn l5_a_tick_is_not_forgotten_when_the_loop_goes_to_sleep() {
    // The task that is polled last queues a tick, and the tick is all that there is to do.
    for count in 250..260 {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let log = Log::new();
        let start = Instant::now();
        let wait = handle.set_timeout(LIMIT / 2, |_| {});
        for n in 1..=count {
            let (log, tick) = (log.clone(), handle.clone());
            handle.spawn(async move {
                if n == count {
                    tick.next_tick(move |handle| {
                        log.push("tick");
                        handle.clear(wait);
                    });
                }
            });
        }
        event_loop.run().unwrap();
        log.assert("tick");
        assert!(start.elapsed() < LIMIT / 2);
    }
}

#[test]
fn l5_ticks_of_the_root_run_before_the_next_callback() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    event_loop
        .block_on(async {
            // Each tick wakes the root, which queues the next.
            for n in 0..3 {
                let (slot, ticked, log) = (Slot::new(), Slot::new(), log.clone());
                let (give, tell) = (Slot::clone(&slot), log.clone());
                handle.next_tick(move |_| {
                    tell.push(format!("tick{n}"));
                    give.put(());
                });
                slot.get().await;
                let give = Slot::clone(&ticked);
                handle.set_immediate(move |_| give.put(()));
                let tell = log.clone();
                handle.next_tick(move |_| tell.push(format!("before{n}")));
                let tell = log.clone();
                handle.set_timeout(Duration::ZERO, move |_| tell.push(format!("timer{n}")));
                ticked.get().await;
            }
        })
        .unwrap();
    log.assert("tick0 before0 timer0 tick1 before1 timer1 tick2 before2 timer2");
}

#[test]
fn l5_ticks_and_tasks_of_a_callback_that_panicked_run_before_the_next_callback() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let told = log.clone();
    handle.set_timeout(Duration::ZERO, move |handle| {
        handle.spawn(told.told("task"));
        handle.next_tick(told.says("tick"));
        panic!("now");
    });
    handle.set_timeout(Duration::ZERO, log.says("next"));
    assert_eq!(panic_of(|| event_loop.run()), "now");
    assert!(!event_loop.run().unwrap());
    log.assert("tick task next");
}
