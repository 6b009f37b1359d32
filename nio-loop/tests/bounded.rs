//! Turns that end early, and go on where they were.

mod support;

use std::{
    cell::{Cell, RefCell},
    io::Read,
    os::unix::net::UnixStream,
    rc::Rc,
    time::Duration,
};

use nio_loop::{Bound, EventLoop, Handle, Interest};
use support::{LIMIT, Log, event_loop, manual_loop, ms, pair, readable, secs, spin};

/// One of each kind that has its turn now, and ticks and a task of the first timer.
fn each_kind(handle: &Handle, log: &Log) {
    thread_local!(static LOG: RefCell<Log> = RefCell::default());
    let victim = handle.set_timeout(LIMIT, |_| panic!("closed"));
    for n in 0..2 {
        let told = log.clone();
        handle.set_timeout(Duration::ZERO, move |handle| {
            told.push(format!("timer{n}"));
            handle.next_tick(told.says(&format!("tick{n}")));
            handle.spawn(told.told(&format!("task{n}")));
            handle.set_timeout(Duration::ZERO, told.says(&format!("later{n}")));
        });
    }
    let (ours, theirs) = readable();
    let told = log.clone();
    let id = Rc::new(Cell::new(None));
    let own = Rc::clone(&id);
    let watch = move |handle: &Handle, mut stream: &UnixStream, _| {
        let _held = &theirs;
        stream.read_exact(&mut [0]).unwrap();
        told.push("io");
        handle.clear(own.get().unwrap());
    };
    id.set(Some(handle.watch(ours, Interest::READABLE, watch).unwrap()));
    LOG.set(log.clone());
    for n in 0..2 {
        let text = format!("post{n}");
        let post = move |_: &Handle| LOG.with_borrow(|log| log.push(text));
        handle.remote().post(post).unwrap();
        handle.set_immediate(log.says(&format!("immediate{n}")));
    }
    handle.close(victim, log.says("closed"));
}

#[test]
fn a_turn_bounded_by_callbacks_leaves_the_rest_in_order() {
    let all = "timer0 tick0 task0 timer1 tick1 task1 io post0 post1 immediate0 immediate1 closed";
    for callbacks in 1..10 {
        let turns = turns(|event_loop| {
            let bound = Bound::Callbacks(callbacks);
            event_loop.run_bounded(bound).unwrap()
        });
        for turn in &turns {
            let counted = |text: &&String| !text.starts_with("tick") && !text.starts_with("task");
            assert!(turn.iter().filter(counted).count() <= callbacks);
        }
        let mut texts = turns.concat();
        // What the timers have set is new, and has its turn among the old.
        texts.retain(|text| !text.starts_with("later"));
        assert_eq!(texts.join(" "), all, "{callbacks} at a time");
    }
}

/// What each turn does, until nothing is left.
fn turns(mut turn: impl FnMut(&mut EventLoop) -> bool) -> Vec<Vec<String>> {
    let mut event_loop = manual_loop();
    let log = Log::new();
    each_kind(event_loop.handle(), &log);
    let mut turns = Vec::new();
    while turn(&mut event_loop) {
        turns.push(log.take());
    }
    turns.push(log.take());
    turns
}

#[test]
fn a_bounded_turn_with_room_for_all_is_a_whole_one() {
    let whole = turns(|event_loop| event_loop.run_nowait().unwrap());
    for bound in [Bound::Callbacks(100), Bound::Time(secs(1))] {
        let bounded = turns(|event_loop| event_loop.run_bounded(bound).unwrap());
        assert_eq!(bounded, whole, "{bound:?}");
    }
}

#[test]
fn timers_that_a_bounded_turn_has_left_come_before_those_armed_meanwhile() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle().clone();
    let log = Log::new();
    for n in 0..3 {
        let told = log.clone();
        handle.set_timeout(ms(n), move |handle| {
            told.push(n.to_string());
            handle.set_timeout(Duration::ZERO, told.says(&format!("{n}'")));
        });
    }
    handle.advance(ms(5)).unwrap();
    for expected in ["0", "1", "2", "0'", "1'", "2'"] {
        event_loop.run_bounded(Bound::Callbacks(1)).unwrap();
        log.assert(expected);
    }
    assert!(!event_loop.run().unwrap());
    log.assert("");
}

#[test]
fn immediates_that_a_bounded_turn_has_left_come_before_new_ones() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle().clone();
    let log = Log::new();
    for n in 0..3 {
        let told = log.clone();
        handle.set_immediate(move |handle| {
            told.push(n.to_string());
            handle.set_immediate(told.says(&format!("{n}'")));
        });
    }
    for expected in ["0 1", "2 0'", "1' 2'"] {
        event_loop.run_bounded(Bound::Callbacks(2)).unwrap();
        log.assert(expected);
    }
}

#[test]
fn a_watch_that_is_cleared_between_two_parts_of_a_batch_is_not_called() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle().clone();
    let log = Log::new();
    let (mut ids, mut kept) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (ours, theirs) = readable();
        kept.push(theirs);
        let told = log.clone();
        let watch = move |_: &Handle, mut stream: &UnixStream, _| {
            let _ = stream.read(&mut [0; 8]);
            told.push("ran");
        };
        ids.push(handle.watch(ours, Interest::READABLE, watch).unwrap());
    }
    assert!(event_loop.run_bounded(Bound::Callbacks(1)).unwrap());
    log.assert("ran");
    for id in ids {
        assert!(handle.clear(id));
    }
    // Into the places of the old ones.
    let never = |_: &Handle, _: &UnixStream, _| panic!("nothing has happened");
    let new = [pair(), pair(), pair()];
    for (ours, theirs) in new {
        kept.push(theirs);
        handle.watch(ours, Interest::READABLE, never).unwrap();
    }
    assert!(event_loop.run_nowait().unwrap());
    log.assert("");
}

#[test]
fn a_bound_of_no_callbacks_runs_ticks_and_tasks_only() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle().clone();
    let log = Log::new();
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    handle.set_immediate(log.says("immediate"));
    handle.next_tick(log.says("tick"));
    handle.spawn(log.told("task"));
    assert!(event_loop.run_bounded(Bound::Callbacks(0)).unwrap());
    log.assert("tick task");
    assert!(event_loop.run_bounded(Bound::Time(Duration::ZERO)).unwrap());
    log.assert("");
    assert!(!event_loop.run_nowait().unwrap());
    log.assert("timer immediate");
}

#[test]
fn a_turn_bounded_by_time_begins_no_callback_after_it() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle().clone();
    let log = Log::new();
    for n in 0..5 {
        let told = log.clone();
        handle.set_immediate(move |handle| {
            told.push(n.to_string());
            handle.advance(ms(4)).unwrap();
        });
    }
    let bound = Bound::Time(ms(8));
    assert!(event_loop.run_bounded(bound).unwrap());
    log.assert("0 1");
    assert!(event_loop.run_bounded(bound).unwrap());
    log.assert("2 3");
    assert!(!event_loop.run_bounded(bound).unwrap());
    log.assert("4");
}

#[test]
fn a_bound_of_all_time_is_none() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle().clone();
    let log = Log::new();
    for n in 0..5 {
        handle.set_immediate(log.says(&n.to_string()));
    }
    assert!(!event_loop.run_bounded(Bound::Time(Duration::MAX)).unwrap());
    log.assert("0 1 2 3 4");
}

#[test]
fn l36_a_bounded_turn_does_not_wait_and_what_it_left_keeps_the_next_from_waiting() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle().clone();
    let log = Log::new();
    handle.set_timeout(LIMIT, |_| panic!("it waited"));
    assert!(event_loop.run_bounded(Bound::Time(LIMIT)).unwrap());

    let (ours, _theirs) = readable();
    let told = log.clone();
    let watch = move |handle: &Handle, _: &UnixStream, _| {
        told.push("io");
        handle.stop();
    };
    handle.watch(ours, Interest::READABLE, watch).unwrap();
    spin(ms(1));
    assert!(event_loop.run_bounded(Bound::Callbacks(0)).unwrap());
    log.assert("");
    // The event has been taken from the system, and is not forgotten.
    assert!(event_loop.run().unwrap());
    log.assert("io");
}

#[test]
fn l56_a_bounded_turn_that_is_stopped_before_it_begins_runs_nothing() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle().clone();
    let log = Log::new();
    handle.set_immediate(log.says("immediate"));
    handle.stop();
    assert!(event_loop.run_bounded(Bound::Callbacks(9)).unwrap());
    log.assert("");
    assert!(!event_loop.run_bounded(Bound::Callbacks(9)).unwrap());
    log.assert("immediate");
}

#[test]
fn sleeps_that_a_bounded_turn_has_left_end_in_the_next() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle().clone();
    let log = Log::new();
    handle.set_timeout(secs(1), log.says("timer"));
    let (own, told) = (handle.clone(), log.clone());
    handle.spawn(async move {
        own.sleep(secs(1)).await;
        told.push("slept");
    });
    event_loop.run_nowait().unwrap();
    handle.advance(secs(1)).unwrap();
    assert!(event_loop.run_bounded(Bound::Callbacks(1)).unwrap());
    log.assert("timer");
    assert!(!event_loop.run_bounded(Bound::Callbacks(1)).unwrap());
    log.assert("slept");
}

#[test]
fn every_phase_has_its_turn_however_little_one_call_may_do() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle().clone();
    let log = Log::new();
    for n in 0..2 {
        let told = log.clone();
        let every = move |_: &Handle, _| told.push(format!("timer{n}"));
        handle.set_interval(ms(1), every);
    }
    // Never read: it is ready in each poll.
    let (ours, _theirs) = readable();
    let told = log.clone();
    let watch = move |_: &Handle, _: &UnixStream, _| told.push("io");
    handle.watch(ours, Interest::READABLE, watch).unwrap();
    let victim = handle.set_timeout(LIMIT, |_| panic!("closed"));
    handle.set_immediate(log.says("immediate"));
    handle.close(victim, log.says("closed"));
    for expected in [
        "timer0",
        "timer1",
        "io",
        "immediate",
        "closed",
        "timer0",
        "timer1",
        "io",
        "timer0",
    ] {
        handle.advance(ms(2)).unwrap();
        assert!(event_loop.run_bounded(Bound::Callbacks(1)).unwrap());
        log.assert(expected);
    }
}

#[test]
fn a_whole_turn_forgets_where_a_bounded_one_was_cut_off() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle().clone();
    let log = Log::new();
    for n in 0..3 {
        handle.set_immediate(log.says(&n.to_string()));
    }
    assert!(event_loop.run_bounded(Bound::Callbacks(1)).unwrap());
    log.assert("0");
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    assert!(!event_loop.run_nowait().unwrap());
    log.assert("timer 1 2");
    handle.set_immediate(log.says("3"));
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    assert!(!event_loop.run_bounded(Bound::Callbacks(2)).unwrap());
    log.assert("timer 3");
}
