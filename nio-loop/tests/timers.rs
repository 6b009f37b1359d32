//! Timeouts, intervals and sleeps.

mod support;

use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use nio_loop::{CallbackId, EventLoop, Handle, MissedTicks};
use support::{LIMIT, Log, Wakes, event_loop, ms, panic_of, poll_with, spin};

#[test]
fn l16_a_timer_armed_with_zero_in_a_callback_runs_in_the_next_turn() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let first = log.clone();
    event_loop
        .handle()
        .set_timeout(Duration::ZERO, move |handle| {
            first.push("first");
            handle.set_timeout(Duration::ZERO, first.says("second"));
            handle.set_immediate(first.says("immediate"));
        });
    event_loop.run_nowait().unwrap();
    log.assert("first immediate");
    event_loop.run_nowait().unwrap();
    log.assert("second");
}

#[test]
fn l16_timers_that_arm_themselves_with_zero_starve_nothing() {
    fn again(handle: &Handle) {
        handle.set_timeout(Duration::ZERO, again);
    }
    let mut event_loop = event_loop();
    again(&event_loop.handle());
    event_loop.handle().set_immediate(|handle| handle.stop());
    assert!(event_loop.run().unwrap());
}

#[test]
fn l17_a_due_timer_cancelled_by_an_earlier_one_does_not_run() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let targets: Rc<RefCell<Vec<CallbackId>>> = Rc::default();
    let (first, cleared) = (log.clone(), Rc::clone(&targets));
    handle.set_timeout(Duration::ZERO, move |handle| {
        first.push("first");
        for &id in &*cleared.borrow() {
            assert!(handle.clear(id));
            assert!(!handle.clear(id), "it is gone");
        }
    });
    let timeout = handle.set_timeout(Duration::ZERO, log.says("second"));
    let in_interval = log.clone();
    let interval = handle.set_interval(Duration::ZERO, move |_, _| in_interval.push("third"));
    targets.borrow_mut().extend([timeout, interval]);
    handle.set_timeout(Duration::ZERO, log.says("fourth"));
    spin(ms(1));
    event_loop.run().unwrap();
    log.assert("first fourth");
}

#[test]
fn l18_equal_delays_fire_in_the_order_of_arming() {
    let mut event_loop = event_loop();
    let log = Log::new();
    for n in 0..100 {
        event_loop
            .handle()
            .set_timeout(ms(2), log.says(&n.to_string()));
    }
    event_loop.run().unwrap();
    let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(log.take(), expected);
}

#[test]
fn l19_timers_fire_in_the_order_of_their_deadlines_whatever_their_delays() {
    // On a clock of its own: a pause of the thread between two calls would change the order.
    let mut event_loop = support::manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_timeout(ms(9), log.says("9"));
    handle.set_timeout(ms(3), log.says("3"));
    handle.set_timeout(ms(6), log.says("6"));
    handle.advance(ms(5)).unwrap();
    handle.set_timeout(ms(2), log.says("5+2"));
    handle.set_timeout(ms(0), log.says("5+0"));
    handle.advance(ms(15)).unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("3 5+0 6 5+2 9");
}

#[test]
fn l20_no_timer_is_early() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let fired = Rc::new(Cell::new(0));
    for micros in [0, 1, 50, 300, 999, 1000, 1001, 1500, 2999, 7777] {
        let delay = Duration::from_micros(micros);
        let (start, fired) = (Instant::now(), Rc::clone(&fired));
        handle.set_timeout(delay, move |_| {
            assert!(start.elapsed() >= delay);
            fired.set(fired.get() + 1);
        });
    }
    event_loop.run().unwrap();
    assert_eq!(fired.get(), 10);
}

#[test]
fn l20_no_sleep_is_early() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    event_loop
        .block_on(async {
            for micros in [0, 1, 50, 999, 1001, 2999] {
                let delay = Duration::from_micros(micros);
                let start = Instant::now();
                handle.sleep(delay).await;
                assert!(start.elapsed() >= delay);
            }
        })
        .unwrap();
}

#[test]
fn l21_a_wait_for_less_than_a_millisecond_ends_when_the_timer_is_due() {
    let mut event_loop = event_loop();
    let log = Log::new();
    for micros in [100, 500, 900, 1100, 1900] {
        event_loop
            .handle()
            .set_timeout(Duration::from_micros(micros), log.says("timer"));
        event_loop.run_once().unwrap();
        log.assert("timer");
    }
}

#[test]
fn l22_a_wait_longer_than_the_system_takes_is_a_wait() {
    for years in [1, 100, 500] {
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let delay = Duration::from_secs(years * 365 * 24 * 3600);
        handle.set_timeout(delay, |_| panic!("years have passed"));
        let remote = handle.remote();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(ms(2)); // Not to be waited for: it only lets the loop go to sleep.
            remote.stop();
        });
        assert!(event_loop.run().unwrap());
        thread.join().unwrap();
    }
}

#[test]
fn l23_a_delay_of_for_ever_never_passes() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.set_timeout(Duration::MAX, |_| panic!("for ever has passed"));
    handle.set_interval(Duration::MAX, |_, _| panic!("for ever has passed"));
    handle.set_timeout(ms(3), |handle| handle.stop());
    assert!(event_loop.run().unwrap());
    assert!(event_loop.run_nowait().unwrap());
}

#[test]
fn l23_a_sleep_of_for_ever_never_ends() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (sleeper, told) = (handle.clone(), log.clone());
    let task = handle.spawn(async move {
        sleeper.sleep(Duration::MAX).await;
        told.push("for ever");
    });
    handle.set_timeout(ms(3), move |_| task.abort());
    event_loop.run().unwrap();
    log.assert("");
}

#[test]
fn l25_a_timer_armed_in_a_slow_callback_counts_from_then() {
    let mut event_loop = event_loop();
    let done = Rc::new(Cell::new(false));
    let flag = Rc::clone(&done);
    event_loop
        .handle()
        .set_timeout(Duration::ZERO, move |handle| {
            spin(ms(20));
            let armed = Instant::now();
            handle.set_timeout(ms(10), move |_| {
                assert!(armed.elapsed() >= ms(10));
                flag.set(true);
            });
        });
    event_loop.run().unwrap();
    assert!(done.get());
}

#[test]
fn l28_an_interval_that_clears_itself_runs_no_more() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let own = Rc::new(Cell::new(None));
    let (id, dropped) = (Rc::clone(&own), log.drops("dropped"));
    let ticks = log.clone();
    own.set(Some(event_loop.handle().set_interval(
        ms(1),
        move |handle, _| {
            let _held = &dropped;
            assert!(handle.clear(id.get().unwrap()));
            ticks.push("ran");
        },
    )));
    assert!(!event_loop.run().unwrap());
    log.assert("ran dropped");
}

#[test]
fn l28_an_interval_can_be_cleared_and_another_set_in_its_callback() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let own = Rc::new(Cell::new(None));
    let (id, ticks) = (Rc::clone(&own), log.clone());
    own.set(Some(event_loop.handle().set_interval(
        ms(1),
        move |handle, _| {
            ticks.push("old");
            handle.clear(id.get().unwrap());
            let (ticks, new) = (ticks.clone(), Rc::clone(&id));
            id.set(Some(handle.set_interval(ms(1), move |handle, _| {
                ticks.push("new");
                handle.clear(new.get().unwrap());
            })));
        },
    )));
    event_loop.run().unwrap();
    log.assert("old new");
}

#[test]
fn l29_an_interval_keeps_its_phase_and_counts_missed_periods() {
    let mut event_loop = event_loop();
    let period = ms(10);
    let start = Instant::now();
    let total = Rc::new(Cell::new(0));
    let runs = Rc::new(Cell::new(0));
    let (sum, count) = (Rc::clone(&total), Rc::clone(&runs));
    event_loop
        .handle()
        .set_interval(period, move |handle, periods| {
            sum.set(sum.get() + periods);
            count.set(count.get() + 1);
            // The n-th period ends n periods after the interval was set: no drift, and never early.
            assert!(start.elapsed() >= period * sum.get() as u32);
            match count.get() {
                1 => spin(ms(35)),
                2 => assert!(periods >= 3, "{periods}"),
                _ => handle.stop(),
            }
        });
    event_loop.run().unwrap();
    let elapsed = start.elapsed();
    assert!(total.get() as u128 <= elapsed.as_millis() / 10);
    assert_eq!(runs.get(), 3);
}

#[test]
fn l30_a_timer_fires_once_in_a_phase_however_late_it_is() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let ticks = log.clone();
    event_loop.handle().set_interval(ms(1), move |_, periods| {
        assert!(periods >= 5);
        ticks.push("tick");
    });
    spin(ms(6));
    event_loop.run_nowait().unwrap();
    log.assert("tick");
}

#[test]
fn l30_an_interval_of_zero_runs_once_in_each_turn() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let ticks = log.clone();
    event_loop
        .handle()
        .set_interval(Duration::ZERO, move |_, _| ticks.push("tick"));
    for _ in 0..3 {
        spin(Duration::from_micros(1));
        event_loop.run_nowait().unwrap();
        log.assert("tick");
    }
}

#[test]
fn l30_a_timer_fires_once_in_a_run_once_and_one_that_it_arms_does_not() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let ticks = log.clone();
    event_loop
        .handle()
        .set_interval(Duration::ZERO, move |handle, _| {
            ticks.push("tick");
            handle.set_timeout(Duration::ZERO, ticks.says("timeout"));
            handle.stop();
        });
    spin(ms(1));
    event_loop.run_once().unwrap();
    log.assert("tick");
    event_loop.run_once().unwrap();
    assert_eq!(log.take().len(), 2);
}

#[test]
fn l33_timers_that_are_not_referenced_do_not_run_when_nothing_else_is_left() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let timeout = handle.set_timeout(ms(1), log.says("timeout"));
    let ticks = log.clone();
    let interval = handle.set_interval(ms(1), move |_, _| ticks.push("interval"));
    assert!(handle.unref(timeout) && handle.unref(interval));
    spin(ms(3));
    assert!(!event_loop.run().unwrap());
    log.assert("");
    // They are still there, and run when something else keeps the loop running.
    handle.set_timeout(ms(1), log.says("other"));
    assert!(!event_loop.run().unwrap());
    let texts = log.take();
    assert_eq!(texts[..2], ["timeout", "interval"]);
    assert!(texts.iter().any(|text| text == "other"));
}

#[test]
fn l34_the_id_of_a_timer_that_has_fired_names_nothing() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let old = handle.set_timeout(Duration::ZERO, log.says("old"));
    event_loop.run().unwrap();
    let new = handle.set_timeout(Duration::ZERO, log.says("new"));
    assert_ne!(old, new);
    assert!(!handle.clear(old) && !handle.unref(old) && !handle.reref(old));
    event_loop.run().unwrap();
    log.assert("old new");
}

#[test]
fn l34_a_cleared_timer_does_not_fire_and_its_callback_is_dropped_at_once() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let dropped = log.drops("dropped");
    let id = handle.set_timeout(ms(1), move |_| drop(dropped));
    assert!(handle.clear(id));
    log.assert("dropped");
    assert!(!handle.clear(id));
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l35_a_timeout_that_clears_itself_is_gone_already() {
    let mut event_loop = event_loop();
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    own.set(Some(event_loop.handle().set_timeout(
        ms(1),
        move |handle| {
            let id = id.get().unwrap();
            assert!(!handle.clear(id) && !handle.unref(id) && !handle.reref(id));
        },
    )));
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l83_a_sleep_that_is_over_costs_no_timer() {
    let event_loop = EventLoop::new().unwrap();
    let wakes = Arc::new(Wakes::default());
    let mut sleep = pin!(event_loop.handle().sleep(Duration::ZERO));
    assert_eq!(poll_with(&wakes, sleep.as_mut()), Poll::Ready(()));
    assert_eq!(Arc::strong_count(&wakes), 1, "its waker is kept nowhere");
}

#[test]
fn l83_a_sleep_counts_from_its_making_and_is_armed_when_polled() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let wakes = Arc::new(Wakes::default());
    let mut sleep = Box::pin(handle.sleep(ms(2)));
    handle.set_timeout(ms(4), |_| {});
    event_loop.run().unwrap();
    assert_eq!(wakes.count(), 0);
    assert_eq!(poll_with(&wakes, sleep.as_mut()), Poll::Ready(()));
}

#[test]
fn a_sleep_wakes_the_task_that_polled_it_last() {
    // The clock stands still until the loop waits.
    let mut event_loop = support::automatic_loop();
    let handle = event_loop.handle();
    let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    let mut sleep = Box::pin(handle.sleep(ms(3)));
    assert!(poll_with(&first, sleep.as_mut()).is_pending());
    assert!(poll_with(&last, sleep.as_mut()).is_pending());
    assert_eq!(Arc::strong_count(&first), 1);
    handle.set_timeout(ms(6), |_| {});
    event_loop.run().unwrap();
    assert_eq!((first.count(), last.count()), (0, 1));
}

#[test]
fn a_dropped_sleep_wakes_no_task() {
    // The clock stands still until the loop waits.
    let mut event_loop = support::automatic_loop();
    let handle = event_loop.handle();
    let wakes = Arc::new(Wakes::default());
    let mut sleep = Box::pin(handle.sleep(ms(1)));
    assert!(poll_with(&wakes, sleep.as_mut()).is_pending());
    drop(sleep);
    assert_eq!(Arc::strong_count(&wakes), 1);
    handle.set_timeout(ms(3), |_| {});
    event_loop.run().unwrap();
    assert_eq!(wakes.count(), 0);
}

#[test]
fn a_timeout_that_panics_is_gone_and_the_others_run() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_timeout(Duration::ZERO, log.says("1"));
    let id = handle.set_timeout(Duration::ZERO, |_| panic!("2"));
    handle.set_timeout(Duration::ZERO, log.says("3"));
    assert_eq!(panic_of(|| event_loop.run()), "2");
    log.assert("1");
    assert!(!handle.clear(id));
    assert!(!event_loop.run().unwrap());
    log.assert("3");
}

#[test]
fn an_interval_that_panics_is_gone_and_the_others_run() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let runs = log.clone();
    handle.set_interval(ms(1), move |_, _| {
        runs.push("1");
        panic!("once");
    });
    handle.set_timeout(ms(1), log.says("2"));
    spin(ms(2));
    assert_eq!(panic_of(|| event_loop.run()), "once");
    assert!(
        !event_loop.run().unwrap(),
        "it keeps the loop alive no more"
    );
    log.assert("1 2");
}

#[test]
fn a_timer_far_away_does_not_delay_one_that_is_near() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let far = handle.set_timeout(LIMIT * 2, |_| panic!("it waits"));
    handle.set_timeout(ms(2), move |handle| {
        handle.clear(far);
    });
    assert!(!event_loop.run().unwrap());
}

#[test]
fn a_refreshed_timeout_begins_again_and_one_that_ran_is_gone() {
    let mut event_loop = support::manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let id = handle.set_timeout(ms(10), log.says("ran"));
    for _ in 0..3 {
        handle.advance(ms(9)).unwrap();
        event_loop.run_nowait().unwrap();
        assert!(handle.refresh(id));
    }
    assert_eq!(event_loop.next_deadline(), Some(handle.now() + ms(10)));
    handle.advance(ms(9)).unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("");
    handle.advance(ms(1)).unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("ran");
    assert!(!handle.refresh(id));
    assert!(!event_loop.run_nowait().unwrap());
}

#[test]
fn l32_a_timeout_cannot_be_refreshed_in_its_own_callback() {
    let mut event_loop = event_loop();
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    let callback = move |handle: &Handle| assert!(!handle.refresh(id.get().unwrap()));
    own.set(Some(event_loop.handle().set_timeout(ms(1), callback)));
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l17_a_due_timer_that_an_earlier_callback_refreshes_does_not_run_in_this_turn() {
    let mut event_loop = support::manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let later = Rc::new(Cell::new(None));
    let ids = Rc::clone(&later);
    handle.set_timeout(ms(5), move |handle| {
        let (timeout, interval) = ids.get().unwrap();
        assert!(handle.refresh(timeout) && handle.refresh(interval));
    });
    let timeout = handle.set_timeout(ms(5), log.says("timeout"));
    let told = log.clone();
    let interval = handle.set_interval(ms(5), move |_, periods| {
        told.push(format!("interval{periods}"));
    });
    later.set(Some((timeout, interval)));
    handle.advance(ms(7)).unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("");
    handle.advance(ms(4)).unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("");
    handle.advance(ms(1)).unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("timeout interval1");
}

#[test]
fn l18_a_refreshed_timeout_comes_last_among_equal_deadlines() {
    let mut event_loop = support::manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let first = handle.set_timeout(ms(5), log.says("first"));
    handle.set_timeout(ms(5), log.says("second"));
    assert!(handle.refresh(first));
    handle.advance(ms(5)).unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("second first");
}

#[test]
fn an_interval_that_is_refreshed_in_its_own_callback_begins_a_period_there() {
    for missed in [MissedTicks::Skip, MissedTicks::Burst, MissedTicks::Delay] {
        let mut event_loop = support::manual_loop();
        let handle = event_loop.handle();
        let log = Log::new();
        let told = log.clone();
        let tick = move |handle: &Handle, periods: u64| {
            told.push(format!("{periods}"));
            handle.advance(ms(3)).unwrap(); // it takes its time
            assert!(handle.refresh(handle.current().unwrap()));
        };
        handle.set_interval_with(ms(10), missed, tick);
        handle.advance(ms(10)).unwrap();
        event_loop.run_nowait().unwrap();
        assert_eq!(event_loop.next_deadline(), Some(handle.now() + ms(10)));
        handle.advance(ms(9)).unwrap();
        event_loop.run_nowait().unwrap();
        log.assert("1");
        handle.advance(ms(1)).unwrap();
        event_loop.run_nowait().unwrap();
        log.assert("1");
    }
}

#[test]
fn l23_a_timeout_of_for_ever_that_is_refreshed_does_not_come() {
    let event_loop = support::manual_loop();
    let handle = event_loop.handle();
    let id = handle.set_timeout(Duration::MAX, |_| {});
    handle.advance(ms(1)).unwrap();
    assert!(handle.refresh(id));
    assert_eq!(event_loop.next_deadline(), None);
}

#[test]
fn l34_only_a_timer_of_this_loop_can_be_refreshed() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let other = EventLoop::new().unwrap();
    let theirs = other.handle().set_timeout(ms(1), |_| {});
    let immediate = handle.set_immediate(|_| {});
    let own = handle.set_timeout(ms(1), |_| {});
    assert!(!handle.refresh(theirs) && !handle.refresh(immediate) && handle.refresh(own));
    event_loop.run().unwrap();
    let last = handle.set_timeout(ms(1), |_| {});
    drop(event_loop);
    assert!(!handle.refresh(last));
}

#[test]
fn a_callback_that_may_run_again_knows_its_id_and_others_have_none() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    assert_eq!(handle.current(), None);
    let ids = Rc::new(Cell::new(None));
    let known = Rc::clone(&ids);
    let interval = handle.set_interval(ms(1), move |handle, _| {
        known.set(handle.current());
        assert!(handle.clear(handle.current().unwrap()));
        handle.next_tick(|handle| assert_eq!(handle.current(), None));
        let task = handle.clone();
        handle
            .spawn(async move { assert_eq!(task.current(), None) })
            .detach();
    });
    handle.set_timeout(ms(1), |handle| assert_eq!(handle.current(), None));
    handle.set_immediate(|handle| assert_eq!(handle.current(), None));
    event_loop.run().unwrap();
    assert_eq!(ids.get(), Some(interval));

    handle.set_interval(ms(1), |_, _| panic!("once"));
    assert_eq!(support::panic_of(|| event_loop.run()), "once");
    assert_eq!(handle.current(), None);
}
