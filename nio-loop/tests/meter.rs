//! Metrics, warnings and the report of a loop.

mod support;

use std::{
    cell::{Cell, RefCell},
    io::Read,
    os::unix::net::UnixStream,
    panic::Location,
    rc::Rc,
    time::Duration,
};

use nio_loop::{
    CallbackId, CallbackKind, EventLoop, Handle, Interest, Metrics, Report, Signal, Warning,
};
use support::{
    LIMIT, Log, automatic_loop, event_loop, manual_loop, ms, pair, panic_of, readable, secs,
};

/// The line after the call.
#[track_caller]
fn next_line() -> u32 {
    Location::caller().line() + 1
}

/// Collects the warnings of a loop.
fn warnings(handle: &Handle, slow: Duration) -> Rc<RefCell<Vec<Warning>>> {
    let warnings = Rc::new(RefCell::new(Vec::new()));
    let all = Rc::clone(&warnings);
    handle.on_warning(slow, move |_, warning| {
        all.borrow_mut().push(warning.clone())
    });
    warnings
}

/// Takes some time of a test's clock.
fn takes(time: Duration) -> impl FnOnce(&Handle) {
    move |handle| handle.advance(time).unwrap()
}

#[test]
fn the_metrics_count_turns_events_and_callbacks() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    assert_eq!(handle.metrics(), Metrics::default());
    let (ours, _theirs) = readable();
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    let watch = move |handle: &Handle, _: &UnixStream, _| {
        handle.clear(id.get().unwrap());
    };
    own.set(Some(handle.watch(ours, Interest::READABLE, watch).unwrap()));
    handle.set_timeout(secs(1), |_| {});
    handle.set_timeout(secs(3), |_| {});
    let sleeper = handle.clone();
    handle.spawn(async move { sleeper.sleep(secs(1)).await });
    handle.set_immediate(|_| {});
    handle.next_tick(|_| {}); // is none of the callbacks
    handle.remote().post(|_| {}).unwrap();
    assert!(!event_loop.run().unwrap());
    let metrics = handle.metrics();
    assert_eq!(metrics.events, 1);
    assert_eq!(metrics.timers, 3, "two timeouts and a sleep");
    assert_eq!(metrics.callbacks, 5, "io, post, immediate, two timeouts");
    assert_eq!(metrics.polled_tasks, 2);
    assert_eq!(metrics.waits, 2);
    assert_eq!(metrics.turns, 4);
    assert_eq!(metrics.idle, secs(3));
    assert_eq!(metrics.elapsed, secs(3));
    assert_eq!(metrics.longest_callback, Duration::ZERO, "not measured");
}

#[test]
fn a_wait_counts_as_idle_and_work_does_not() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    assert_eq!(handle.metrics().utilization(), 0.0, "before any time");
    handle.set_timeout(secs(3), takes(secs(1)));
    assert!(!event_loop.run().unwrap());
    let first = handle.metrics();
    assert_eq!((first.idle, first.elapsed), (secs(3), secs(4)));
    assert_eq!(first.utilization(), 0.25);

    handle.set_timeout(secs(1), takes(secs(9)));
    assert!(!event_loop.run().unwrap());
    let since = handle.metrics().since(&first);
    assert_eq!((since.idle, since.elapsed), (secs(1), secs(10)));
    assert_eq!(since.utilization(), 0.9);
    assert_eq!((since.timers, since.waits), (1, 1));
    assert_eq!(first.since(&handle.metrics()), Metrics::default());
}

#[test]
fn a_turn_with_something_to_do_is_no_wait() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    for _ in 0..5 {
        handle.set_immediate(|_| {});
        event_loop.run_once().unwrap();
        event_loop.run_nowait().unwrap();
    }
    handle.set_timeout(ms(5), |_| {});
    event_loop.run().unwrap();
    let metrics = handle.metrics();
    assert!(
        metrics.waits <= 1,
        "the one for the timeout, if it is not late"
    );
    assert_eq!(metrics.idle, Duration::ZERO, "not measured yet");
    handle.set_timeout(ms(200), |_| {});
    event_loop.run().unwrap();
    let metrics = handle.metrics();
    assert!(metrics.waits >= 1 && metrics.idle > Duration::ZERO);
    assert!(metrics.idle <= metrics.elapsed);
}

#[test]
fn a_slow_callback_is_reported_with_its_kind_and_place() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let warnings = warnings(&handle, ms(10));
    let mut places = Vec::new();
    let mut made = |kind, line| places.push((kind, line));

    let line = next_line();
    handle.set_timeout(ms(1), takes(ms(11)));
    made(CallbackKind::Timeout, line);
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    let interval = move |handle: &Handle, _: u64| {
        handle.advance(ms(11)).unwrap();
        handle.clear(id.get().unwrap());
    };
    let line = next_line();
    let interval = handle.set_interval(ms(100), interval);
    own.set(Some(interval));
    made(CallbackKind::Interval, line);
    let line = next_line();
    handle.set_immediate(takes(ms(11)));
    made(CallbackKind::Immediate, line);
    let line = next_line();
    handle.next_tick(takes(ms(11)));
    made(CallbackKind::Tick, line);
    let line = next_line();
    handle.remote().post(takes(ms(11))).unwrap();
    made(CallbackKind::Post, line);
    let victim = handle.set_timeout(secs(9), |_| {});
    let line = next_line();
    handle.close(victim, takes(ms(11)));
    made(CallbackKind::Close, line);
    let task = handle.clone();
    let line = next_line();
    handle.spawn(async move { task.advance(ms(11)).unwrap() });
    made(CallbackKind::Task, line);
    let (ours, _theirs) = readable();
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    let watch = move |handle: &Handle, _: &UnixStream, _| {
        handle.advance(ms(11)).unwrap();
        handle.clear(id.get().unwrap());
    };
    let line = next_line();
    let watch = handle.watch(ours, Interest::READABLE, watch);
    own.set(Some(watch.unwrap()));
    made(CallbackKind::Watch, line);

    assert!(!event_loop.run().unwrap());
    let warnings = warnings.borrow();
    for (kind, line) in &places {
        let of_kind = |warning: &&Warning| match warning {
            Warning::Slow {
                kind: slow,
                place: made,
                took,
            } => slow == kind && *took == ms(11) && made.file() == file!() && made.line() == *line,
            Warning::TickFlood { .. } => false,
            _ => false,
        };
        assert_eq!(
            warnings.iter().filter(of_kind).count(),
            1,
            "{kind}: {warnings:?}"
        );
    }
    assert_eq!(warnings.len(), places.len());
    assert_eq!(handle.metrics().longest_callback, ms(11));
}

#[test]
fn a_callback_within_its_limit_is_not_reported() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let warnings = warnings(&handle, ms(10));
    handle.set_immediate(takes(ms(10)));
    // Each of them on its own.
    for _ in 0..5 {
        handle.next_tick(takes(ms(9)));
    }
    assert!(!event_loop.run().unwrap());
    assert!(warnings.borrow().is_empty());
    assert_eq!(handle.metrics().longest_callback, ms(10));
}

#[test]
fn a_warning_names_its_callback_and_place() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let told = log.clone();
    handle.on_warning(ms(1), move |_, warning| told.push(warning.to_string()));
    let line = next_line();
    handle.set_immediate(takes(ms(1500)));
    assert!(!event_loop.run().unwrap());
    let file = file!();
    let text = log.take().join(" ");
    let (begin, end) = (
        format!("immediate of {file}:{line}:"),
        " kept the loop for 1.5s",
    );
    assert!(text.starts_with(&begin) && text.ends_with(end), "{text}");
}

#[test]
fn a_warning_may_use_the_loop_and_replace_itself() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (told, held) = (log.clone(), log.drops("dropped"));
    handle.on_warning(ms(10), move |handle, _| {
        let _held = &held;
        told.push("first");
        handle.next_tick(told.says("tick"));
        let told = told.clone();
        handle.on_warning(ms(1), move |_, _| told.push("second"));
    });
    handle.set_immediate(takes(ms(11)));
    handle.set_immediate(takes(ms(2)));
    assert!(!event_loop.run().unwrap());
    log.assert("first dropped tick second");
}

#[test]
fn a_warning_that_panics_passes_through_and_the_callback_has_run() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    handle.on_warning(ms(10), |_, warning| panic!("{warning}"));
    handle.set_timeout(Duration::ZERO, takes(ms(11)));
    handle.set_timeout(Duration::ZERO, log.says("next"));
    assert!(panic_of(|| event_loop.run()).starts_with("timeout of "));
    assert!(!event_loop.run().unwrap());
    log.assert("next");
}

/// Ticks that set each other, as many as are left.
fn flood(handle: &Handle, left: usize) {
    if left > 0 {
        handle.next_tick(move |handle| flood(handle, left - 1));
    }
}

#[test]
fn l10_a_flood_of_ticks_is_reported_and_lets_the_other_phases_have_their_turn() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let warnings = warnings(&handle, LIMIT);
    fn forever(handle: &Handle, stop: Rc<Cell<bool>>) {
        if !stop.get() {
            handle.next_tick(move |handle| forever(handle, stop));
        }
    }
    let stop = Rc::new(Cell::new(false));
    let (flag, told) = (Rc::clone(&stop), log.clone());
    handle.set_timeout(Duration::ZERO, log.says("timer"));
    handle.set_immediate(move |_| {
        told.push("immediate");
        flag.set(true);
    });
    forever(&handle, stop);
    assert!(!event_loop.run().unwrap());
    log.assert("timer immediate");
    let warnings = warnings.borrow();
    assert!(!warnings.is_empty());
    for warning in &*warnings {
        let Warning::TickFlood { ticks, place } = warning else {
            panic!("{warning}");
        };
        assert_eq!((*ticks, place.file()), (100_000, file!()));
    }
}

#[test]
fn l10_as_many_ticks_as_there_may_be_are_no_flood_and_one_more_is() {
    for (ticks, floods) in [(100_000, 0), (100_001, 1)] {
        let mut event_loop = automatic_loop();
        let handle = event_loop.handle();
        let warnings = warnings(&handle, LIMIT);
        flood(&handle, ticks);
        assert!(!event_loop.run().unwrap());
        assert_eq!(warnings.borrow().len(), floods, "{ticks}");
    }
}

#[test]
fn l10_no_tick_of_a_flood_is_lost_and_they_stay_in_order() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let warnings = warnings(&handle, LIMIT);
    let seen = Rc::new(RefCell::new(Vec::new()));
    for n in 0..250_000_u32 {
        let seen = Rc::clone(&seen);
        handle.next_tick(move |_| seen.borrow_mut().push(n));
    }
    assert!(!event_loop.run().unwrap());
    assert!(seen.borrow().iter().copied().eq(0..250_000));
    assert_eq!(warnings.borrow().len(), 2);
}

#[test]
fn the_report_of_a_loop_with_nothing_to_do_is_empty() {
    let event_loop = automatic_loop();
    let report = event_loop.handle().report();
    assert_eq!(report, Report::default());
    assert_eq!(report.referenced(), 0);
    assert_eq!(report.to_string(), "nothing keeps the loop alive");
}

#[test]
fn the_report_has_all_that_the_loop_waits_for_and_where_it_was_made() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let mut made: Vec<(CallbackKind, u32)> = Vec::new();
    made.push((CallbackKind::Timeout, line!() + 1));
    handle.set_timeout(LIMIT, |_| {});
    made.push((CallbackKind::Interval, line!() + 1));
    handle.set_interval(LIMIT, |_, _| {});
    let (ours, _theirs) = pair();
    made.push((CallbackKind::Watch, line!() + 1));
    let watch = handle.watch(ours, Interest::READABLE, |_, _, _| {});
    let watch = watch.unwrap();
    made.push((CallbackKind::Signal, line!() + 1));
    let signal = handle.on_signal(Signal::WINDOW_CHANGE, |_, _| {}).unwrap();
    handle.reref(signal);
    made.push((CallbackKind::Task, line!() + 1));
    let task = handle.spawn(std::future::pending::<()>());
    handle.spawn(async {});
    event_loop.run_nowait().unwrap();
    made.push((CallbackKind::Immediate, line!() + 1));
    handle.set_immediate(|_| {});

    let report = handle.report();
    for (kind, line) in &made {
        let entries: Vec<_> = report
            .entries
            .iter()
            .filter(|entry| entry.kind == *kind && entry.referenced)
            .collect();
        let [entry] = entries[..] else {
            panic!("{kind}: {report}");
        };
        assert_eq!((entry.place.file(), entry.place.line()), (file!(), *line));
        let is_timer = matches!(kind, CallbackKind::Timeout | CallbackKind::Interval);
        assert_eq!(entry.due.is_some(), is_timer);
    }
    // And the watchdog.
    assert_eq!(report.entries.len(), made.len() + 1);
    assert_eq!(report.referenced(), made.len());
    assert!(!report.entries.last().unwrap().referenced);

    handle.clear(watch);
    task.abort();
    event_loop.run_nowait().unwrap();
    assert_eq!(handle.report().referenced(), made.len() - 3);
}

#[test]
fn the_report_tells_ages_and_when_timers_are_due() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    handle.set_timeout(secs(60), |_| {});
    let (ours, _theirs) = pair();
    handle.advance(secs(5)).unwrap();
    handle
        .watch(ours, Interest::READABLE, |_, _, _| {})
        .unwrap();
    handle.advance(secs(5)).unwrap();
    handle.spawn(std::future::pending::<()>()).detach();
    event_loop.run_nowait().unwrap();
    handle.advance(secs(20)).unwrap();
    let unref = handle.set_interval(ms(1500), |_, _| {});
    handle.unref(unref);
    let report = handle.report();
    let told: Vec<_> = report
        .entries
        .iter()
        .map(|entry| (entry.kind, entry.age.as_secs(), entry.due))
        .collect();
    let expected = [
        (CallbackKind::Timeout, 30, Some(secs(30))),
        (CallbackKind::Watch, 25, None),
        (CallbackKind::Task, 20, None),
        (CallbackKind::Interval, 0, Some(ms(1500))),
    ];
    assert_eq!(told, expected);
    let table: Vec<String> = report.to_string().lines().map(String::from).collect();
    let columns = [
        "keeps alive  kind           age      due  from",
        "yes          timeout    30.00 s  30.00 s  ",
        "yes          watch      25.00 s           ",
        "yes          task       20.00 s           ",
        "no           interval    0.00 s   1.50 s  ",
    ];
    assert_eq!(table.len(), columns.len());
    for (line, column) in table.iter().zip(columns) {
        assert!(line.starts_with(column), "{line}");
    }
    assert!(table[1].contains(file!()));

    handle.advance(secs(10_000)).unwrap();
    let text = handle.report().to_string();
    assert!(text.contains("timeout    10030 s   0.00 s"), "{text}");
}

#[test]
fn the_age_of_an_interval_is_since_it_was_set() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    handle.set_interval(secs(1), |_, _| {});
    handle.set_timeout(ms(10_500), |handle| {
        let report = handle.report();
        let [entry] = &report.entries[..] else {
            panic!("{report}");
        };
        assert_eq!((entry.age, entry.due), (ms(10_500), Some(ms(500))));
        handle.stop();
    });
    assert!(event_loop.run().unwrap());
}

#[test]
fn the_report_can_be_made_in_any_callback() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let ids: Rc<RefCell<Vec<CallbackId>>> = Rc::default();
    let count = {
        let log = log.clone();
        move |handle: &Handle| log.push(handle.report().entries.len().to_string())
    };
    let (ours, _theirs) = readable();
    let (report, own) = (count.clone(), Rc::clone(&ids));
    let watch = move |handle: &Handle, mut stream: &UnixStream, _| {
        stream.read_exact(&mut [0]).unwrap();
        report(handle);
        handle.clear(own.borrow()[0]);
        report(handle);
    };
    let watch = handle.watch(ours, Interest::READABLE, watch).unwrap();
    ids.borrow_mut().push(watch);
    handle.set_immediate(count.clone());
    handle.set_timeout(secs(1), count.clone());
    let own = handle.clone();
    handle.spawn(async move { count(&own) });
    assert!(!event_loop.run().unwrap());
    // The task that waits is still there; the callbacks that ran are not.
    log.assert("4 3 2 1 0");
}

#[test]
fn a_loop_and_its_parts_can_be_printed() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    handle.set_immediate(|_| {});
    assert_eq!(format!("{handle:?}"), "Handle { alive: 1, .. }");
    assert!(format!("{event_loop:?}").contains("Handle { alive: 1, .. }"));
    assert!(format!("{:?}", handle.sleep(secs(1))).starts_with("Sleep { deadline: "));
    assert!(format!("{:?}", handle.remote()).contains("posts: 0"));
}

#[test]
fn the_report_names_queued_callbacks() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let before = handle.report().entries.len();
    handle.next_tick(|_| {});
    let timeout = handle.set_timeout(ms(1), |_| {});
    handle.close(timeout, |_| {});
    let report = handle.report();
    let kinds = report.entries.iter().map(|entry| entry.kind);
    let soon = [CallbackKind::Tick, CallbackKind::Close];
    assert_eq!(report.entries.len(), before + soon.len(), "{report}");
    for kind in soon {
        assert!(kinds.clone().any(|known| known == kind), "{kind}: {report}");
    }
    assert_eq!(report.referenced(), soon.len());
}

#[test]
fn what_the_report_names_can_be_cleared_by_it() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = support::pair();
    handle.set_interval(ms(1), |_, _| {});
    handle.set_immediate(|_| {});
    handle
        .watch(ours, nio_loop::Interest::READABLE, |_, _, _| {})
        .unwrap();
    for entry in handle.report().entries {
        assert!(handle.clear(entry.id.expect("none of them is a task")));
    }
    assert!(handle.report().entries.is_empty());
    assert!(!event_loop.run().unwrap());
}

#[test]
fn the_panic_of_a_task_that_is_not_joined_is_reported_with_its_place() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let told = warnings(&event_loop.handle(), LIMIT);
    let line = line!() + 1;
    handle.spawn(async { panic!("detached") }).detach();
    let late = handle.spawn(async { panic!("too late") });
    let in_time = handle.spawn(async { panic!("joined") });
    let aborted = handle.spawn(std::future::pending::<()>());
    aborted.abort();
    event_loop.run().unwrap();
    assert_eq!(told.borrow().len(), 1);
    let Warning::TaskPanicked { place, message } = told.borrow()[0].clone() else {
        panic!("another warning");
    };
    assert_eq!((place.file(), place.line()), (file!(), line));
    assert_eq!(message, "detached");
    let joined = event_loop.block_on(in_time).unwrap();
    assert!(joined.is_err_and(|error| !error.is_aborted()));
    assert_eq!(told.borrow().len(), 1);
    drop(late);
    let last = told.borrow()[1].to_string();
    assert!(
        last.contains(file!()) && last.ends_with("has panicked: too late"),
        "{last}"
    );
}

#[test]
fn the_panic_of_a_blocking_closure_that_is_not_joined_is_reported() {
    let mut event_loop = event_loop();
    let told = warnings(&event_loop.handle(), LIMIT);
    let closure = || panic!("on a thread");
    let job = event_loop.handle().spawn_blocking(closure).unwrap();
    drop(job);
    event_loop.run().unwrap();
    assert!(told.borrow()[0].to_string().ends_with("on a thread"));
}

#[test]
fn the_error_of_a_detached_task_is_reported_with_its_place_and_success_is_not() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let told = warnings(&event_loop.handle(), LIMIT);
    handle.spawn_detached(async { Ok::<(), String>(()) });
    let line = line!() + 1;
    handle.spawn_detached(async { Err::<(), _>("no such luck") });
    handle.spawn_detached::<String>(async { panic!("nor such") });
    event_loop.run().unwrap();
    let told = told.borrow();
    let Warning::TaskFailed { place, error } = &told[0] else {
        panic!("{told:?}");
    };
    assert_eq!((place.file(), place.line()), (file!(), line));
    assert_eq!(error, "no such luck");
    assert!(matches!(&told[1], Warning::TaskPanicked { .. }));
    assert_eq!(told.len(), 2);
    let text = told[0].to_string();
    assert!(text.ends_with("has failed: no such luck"), "{text}");
}

#[test]
fn a_function_for_warnings_that_panics_at_a_task_ends_nothing_else() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.on_warning(LIMIT, |_, _| panic!("of the function"));
    handle.spawn(async { panic!("of the task") }).detach();
    assert_eq!(panic_of(|| event_loop.run()), "of the function");
    let log = Log::new();
    handle.set_timeout(ms(1), log.says("goes on"));
    handle.spawn(async { panic!("again") }).detach();
    event_loop.run().unwrap();
    log.assert("goes on");
}

#[test]
fn a_handle_that_is_dropped_in_the_course_of_a_panic_ends_no_process() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.on_warning(LIMIT, |_, _| panic!("of the function"));
    let task = handle.spawn(async { panic!("of the task") });
    event_loop.run().unwrap();
    let panic = panic_of(move || {
        let _task = task;
        panic!("the first")
    });
    assert_eq!(panic, "the first");
}

#[test]
fn l10_a_flood_of_ticks_does_not_keep_tasks_from_running() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let warnings = warnings(&handle, LIMIT);
    fn forever(handle: &Handle) {
        handle.next_tick(forever);
    }
    forever(&handle);
    event_loop
        .block_on(handle.sleep(Duration::from_millis(10)))
        .unwrap();
    assert!(!warnings.borrow().is_empty());
}
