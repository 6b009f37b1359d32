//! The clocks of tests: automatic ones that jump, and manual ones that are moved.

mod support;

use std::{
    cell::Cell,
    rc::Rc,
    sync::mpsc,
    time::{Duration, Instant},
};

use nio_loop::{Clock, Error, EventLoop, Handle, MissedTicks, Time};
use support::{LIMIT, Log, automatic_loop, event_loop, manual_loop, ms, readable, secs};

/// Logs a name and the time of the loop.
fn says_when(log: &Log, name: &str) -> impl FnOnce(&Handle) + 'static {
    let (log, name) = (log.clone(), name.to_owned());
    move |handle| log.push(format!("{name}@{:?}", handle.now()))
}

/// Timers, tasks and immediates for an hour, as they come.
fn an_hour() -> Vec<String> {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let seconds = log.clone();
    let interval = handle.set_interval(secs(1), move |handle, periods| {
        assert_eq!(periods, 1);
        seconds.push(format!("{:?}", handle.now()));
        handle.set_immediate(says_when(&seconds, "immediate"));
    });
    for n in 1..=60 {
        let (own, told) = (handle.clone(), log.clone());
        handle.spawn(async move {
            own.sleep(secs(60 * n)).await;
            told.push(format!("minute {n} at {:?}", own.now()));
        });
    }
    handle.set_timeout(secs(3600), move |handle| {
        handle.clear(interval);
    });
    assert!(!event_loop.run().unwrap());
    log.take()
}

#[test]
fn an_hour_on_an_automatic_clock_takes_a_moment_and_is_the_same_each_time() {
    let start = Instant::now();
    let texts = an_hour();
    assert_eq!(texts.len(), 3599 * 2 + 60);
    assert_eq!(texts, an_hour());
    assert!(start.elapsed() < LIMIT);
}

#[test]
fn l20_each_timer_of_an_automatic_clock_runs_at_its_very_time() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    for millis in [7, 3, 11, 3, 0] {
        handle.set_timeout(ms(millis), says_when(&log, "timer"));
    }
    assert!(!event_loop.run().unwrap());
    log.assert("timer@0ns timer@3ms timer@3ms timer@7ms timer@11ms");
    assert_eq!(handle.now(), Time::after_start(ms(11)));
}

#[test]
fn an_automatic_clock_stands_still_while_there_is_something_to_do() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_timeout(ms(1), says_when(&log, "timer"));
    fn again(handle: &Handle, log: Log, left: u32) {
        assert_eq!(handle.now(), Time::START);
        match left {
            0 => log.push("last"),
            _ => drop(handle.set_immediate(move |handle| again(handle, log, left - 1))),
        }
    }
    again(&handle, log.clone(), 50);
    let (own, told) = (handle.clone(), log.clone());
    handle.spawn(async move {
        for _ in 0..60 {
            own.next_turn().await;
        }
        assert_eq!(own.now(), Time::START);
        told.push("yielded");
    });
    assert!(!event_loop.run().unwrap());
    log.assert("last yielded timer@1ms");
}

#[test]
fn an_automatic_clock_does_not_jump_over_an_event() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (ours, _theirs) = readable();
    let (told, mut times) = (log.clone(), 0);
    let watch = move |handle: &Handle, _: &_, _| {
        assert_eq!(handle.now(), Time::START);
        told.push("io");
        times += 1;
        if times == 3 {
            handle.stop();
        }
    };
    handle
        .watch(ours, nio_loop::Interest::READABLE, watch)
        .unwrap();
    handle.set_timeout(ms(1), says_when(&log, "timer"));
    assert!(event_loop.run().unwrap());
    log.assert("io io io");
}

#[test]
fn an_automatic_clock_does_not_jump_for_a_turn_that_does_not_wait() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    handle.set_timeout(secs(1), |_| panic!("not yet"));
    assert!(event_loop.run_nowait().unwrap());
    assert_eq!(handle.now(), Time::START);
}

#[test]
fn l33_an_automatic_clock_does_not_jump_for_unreferenced_timers() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let id = handle.set_timeout(secs(1), |_| panic!("it keeps nothing alive"));
    handle.unref(id);
    assert!(!event_loop.run().unwrap());
    assert!(!event_loop.run_once().unwrap());
    assert_eq!(handle.now(), Time::START);
}

#[test]
fn an_automatic_clock_waits_for_blocking_closures() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (go, wait) = mpsc::channel();
    let job = handle.spawn_blocking(move || wait.recv().unwrap()).unwrap();
    let (own, told) = (handle.clone(), log.clone());
    handle.spawn(async move {
        let text: &str = job.await.unwrap();
        told.push(format!("{text}@{:?}", own.now()));
        own.sleep(secs(1)).await;
        told.push(format!("slept@{:?}", own.now()));
    });
    handle.set_timeout(secs(1), says_when(&log, "timer"));
    // It begins only when the loop has looked whether it may jump.
    handle.set_immediate(move |_| go.send("job").unwrap());
    assert!(!event_loop.run().unwrap());
    // Both a second after: that which was armed first comes first.
    log.assert("job@0ns timer@1s slept@1s");
}

#[test]
fn an_automatic_clock_runs_due_timers_during_a_blocking_closure() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (go, wait) = mpsc::channel();
    let job = handle.spawn_blocking(move || wait.recv().unwrap()).unwrap();
    // The second is armed by the first when its phase is under way, and the job waits for it.
    handle.set_timeout(Duration::ZERO, move |handle| {
        handle.set_timeout(Duration::ZERO, move |_| go.send("job").unwrap());
    });
    log.push(event_loop.block_on(job).unwrap().unwrap());
    log.assert("job");
}

#[test]
fn an_automatic_clock_goes_on_after_a_blocking_closure_is_aborted() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (go, wait) = mpsc::channel::<()>();
    let job = handle.spawn_blocking(move || wait.recv()).unwrap();
    handle.set_timeout(secs(1), says_when(&log, "timer"));
    handle.set_immediate(move |_| job.abort());
    assert!(!event_loop.run().unwrap());
    log.assert("timer@1s");
    drop(go);
}

#[test]
fn a_manual_clock_moves_when_it_is_reported_to() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_timeout(ms(10), says_when(&log, "timer"));
    for millis in 1..=9 {
        handle.advance(ms(1)).unwrap();
        assert_eq!(handle.now(), Time::after_start(ms(millis)));
        assert!(event_loop.run_nowait().unwrap());
    }
    handle.advance(Duration::from_nanos(999_999)).unwrap();
    assert!(event_loop.run_nowait().unwrap());
    log.assert("");
    handle.advance(Duration::from_nanos(1)).unwrap();
    assert!(!event_loop.run_nowait().unwrap());
    log.assert("timer@10ms");
}

#[test]
fn a_manual_clock_moves_to_one_deadline_after_the_other() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    for millis in [5, 2, 5] {
        handle.set_timeout(ms(millis), says_when(&log, "timer"));
    }
    let at = |millis| Some(Time::after_start(ms(millis)));
    assert_eq!(handle.advance_to_next().unwrap(), at(2));
    assert_eq!(handle.advance_to_next().unwrap(), at(2), "it has not run");
    assert!(event_loop.run_nowait().unwrap());
    log.assert("timer@2ms");
    assert_eq!(handle.advance_to_next().unwrap(), at(5));
    assert!(!event_loop.run_nowait().unwrap());
    log.assert("timer@5ms timer@5ms");
    assert_eq!(handle.advance_to_next().unwrap(), None);
    assert_eq!(handle.now(), Time::after_start(ms(5)));
}

#[test]
fn l23_a_manual_clock_does_not_move_to_a_time_that_does_not_come() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let id = handle.set_timeout(Duration::MAX, |_| panic!("for ever has passed"));
    assert_eq!(handle.advance_to_next().unwrap(), None);
    assert_eq!(handle.now(), Time::START);
    assert!(event_loop.run_nowait().unwrap());
    assert_eq!(event_loop.next_deadline(), None);
    assert!(handle.clear(id));
}

#[test]
fn l26_a_clock_of_a_test_stops_at_the_end_of_time_and_does_not_go_back() {
    let event_loop = manual_loop();
    let handle = event_loop.handle();
    handle.advance(Duration::MAX).unwrap();
    assert_eq!(handle.now(), Time::NEVER);
    handle.advance(secs(1)).unwrap();
    assert_eq!(handle.now(), Time::NEVER);
}

#[test]
fn l26_the_time_of_the_system_does_not_go_back() {
    let event_loop = event_loop();
    let mut last = Time::START;
    for _ in 0..1000 {
        let now = event_loop.handle().now();
        assert!(now >= last);
        last = now;
    }
}

#[test]
fn the_clock_of_the_system_cannot_be_moved() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    assert!(matches!(handle.advance(secs(1)), Err(Error::RealClock)));
    assert!(matches!(handle.advance_to_next(), Err(Error::RealClock)));
    let error = std::io::Error::from(Error::RealClock);
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("Clock::manual()"), "{error}");
}

#[test]
fn clocks_and_times_have_a_debug_text() {
    let texts = [Clock::manual(), Clock::automatic()].map(|clock| format!("{clock:?}"));
    assert_eq!(texts, ["Clock(manual, 0ns)", "Clock(automatic, 0ns)"]);
    assert!(format!("{:?}", Clock::real()).starts_with("Clock(real, "));
    assert_eq!(format!("{:?}", Time::NEVER), "never");
    assert_eq!(format!("{:?}", Time::START + ms(1500)), "1.5s");
}

#[test]
fn l36_a_timer_that_is_due_keeps_a_loop_of_a_manual_clock_from_waiting() {
    for run in [EventLoop::run, EventLoop::run_once] {
        let mut event_loop = manual_loop();
        let handle = event_loop.handle();
        let log = Log::new();
        let told = log.clone();
        // The second is armed when the phase is under way, and is due in the next.
        handle.set_timeout(Duration::ZERO, move |handle| {
            told.push("first");
            handle.set_timeout(Duration::ZERO, told.says("second"));
        });
        while run(&mut event_loop).unwrap() {}
        log.assert("first second");
    }
}

#[test]
fn a_loop_of_a_manual_clock_waits_for_other_threads_but_not_for_its_time() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.set_timeout(secs(1), says_when(&log, "timer"));
    let remote = handle.remote();
    let thread = std::thread::spawn(move || {
        let advance = |handle: &Handle| handle.advance(secs(1)).unwrap();
        assert!(remote.post(advance).is_ok());
    });
    assert!(!event_loop.run().unwrap());
    log.assert("timer@1s");
    thread.join().unwrap();
}

#[test]
fn l24_all_that_is_due_in_a_phase_sees_one_time_unless_a_callback_moves_it() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    for millis in [1, 2, 3] {
        let told = log.clone();
        handle.set_timeout(ms(millis), move |handle| {
            says_when(&told, "timer")(handle);
            handle.advance(ms(1)).unwrap();
        });
    }
    // Due only because time passes in this phase: it has to wait for the next.
    handle.set_timeout(ms(11), says_when(&log, "late"));
    handle.advance(ms(10)).unwrap();
    event_loop.run_nowait().unwrap();
    log.assert("timer@10ms timer@11ms timer@12ms");
    assert!(!event_loop.run_nowait().unwrap());
    log.assert("late@13ms");
}

#[test]
fn l25_a_timer_armed_by_a_slow_callback_counts_from_the_call() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let told = log.clone();
    handle.set_timeout(ms(5), move |handle| {
        handle.advance(ms(20)).unwrap();
        handle.set_timeout(ms(10), says_when(&told, "timeout"));
        let (own, text) = (Rc::new(Cell::new(None)), told.clone());
        let id = Rc::clone(&own);
        own.set(Some(handle.set_interval(ms(11), move |handle, _| {
            says_when(&text, "interval")(handle);
            handle.clear(id.get().unwrap());
        })));
    });
    assert!(!event_loop.run().unwrap());
    log.assert("timeout@35ms interval@36ms");
}

/// When an interval of 10 ms runs, and for how many periods, if its second run takes `busy`.
fn runs_of_interval(missed: MissedTicks, busy: Duration) -> String {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let own = Rc::new(Cell::new(None));
    let (id, told, mut runs) = (Rc::clone(&own), log.clone(), 0);
    let interval = handle.set_interval_with(ms(10), missed, move |handle, periods| {
        told.push(format!(
            "{}:{periods}",
            handle.now().since_start().as_millis()
        ));
        runs += 1;
        match runs {
            2 => handle.advance(busy).unwrap(),
            6 => drop(handle.clear(id.get().unwrap())),
            _ => {}
        }
    });
    own.set(Some(interval));
    assert!(!event_loop.run().unwrap());
    log.take().join(" ")
}

#[test]
fn l29_each_choice_treats_missed_periods_as_documented() {
    // Without missing anything, all are the same.
    for missed in [MissedTicks::Skip, MissedTicks::Burst, MissedTicks::Delay] {
        let runs = runs_of_interval(missed, ms(9));
        assert_eq!(runs, "10:1 20:1 30:1 40:1 50:1 60:1", "{missed:?}");
    }
    let runs = |missed| runs_of_interval(missed, ms(35));
    assert_eq!(runs(MissedTicks::Skip), "10:1 20:1 55:3 60:1 70:1 80:1");
    assert_eq!(runs(MissedTicks::Burst), "10:1 20:1 55:1 55:1 55:1 60:1");
    assert_eq!(runs(MissedTicks::Delay), "10:1 20:1 55:3 65:1 75:1 85:1");
}

#[test]
fn l29_a_run_that_ends_exactly_with_a_period_misses_nothing() {
    assert_eq!(
        runs_of_interval(MissedTicks::Skip, ms(10)),
        "10:1 20:1 30:1 40:1 50:1 60:1"
    );
}

#[test]
fn l30_an_interval_that_catches_up_runs_once_in_a_turn() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let told = log.clone();
    handle.set_interval_with(ms(1), MissedTicks::Burst, move |_, _| told.push("burst"));
    handle.advance(ms(3)).unwrap();
    for _ in 0..3 {
        assert!(event_loop.run_nowait().unwrap());
        log.assert("burst");
    }
    assert!(event_loop.run_nowait().unwrap());
    log.assert("");
}

#[test]
fn l28_an_interval_is_armed_again_before_its_callback_runs() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let told = log.clone();
    handle.set_interval(ms(10), move |handle, _| {
        // The next event is its own next run.
        let next = handle.advance_to_next().unwrap();
        told.push(format!("{:?}", next.unwrap()));
        handle.stop();
    });
    handle.advance(ms(10)).unwrap();
    assert!(event_loop.run_nowait().unwrap());
    log.assert("20ms");
}

#[test]
fn l18_a_rearmed_interval_comes_after_timers_armed_before() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let told = log.clone();
    let interval = handle.set_interval(ms(10), move |_, _| told.push("interval"));
    handle.set_timeout(ms(10), log.says("timeout1"));
    handle.set_timeout(ms(20), log.says("timeout2"));
    handle.set_timeout(ms(25), move |handle| {
        handle.clear(interval);
    });
    assert!(!event_loop.run().unwrap());
    log.assert("interval timeout1 timeout2 interval");
}
