//! Recordings of what a loop does: `cargo test -p nio-loop --features timeline --test timeline`.

#![cfg(feature = "timeline")]

mod support;

use std::{cell::RefCell, rc::Rc, thread, time::Duration};

use nio_loop::{
    CallbackKind, EventLoop, Handle, Interest, Phase, Recorded, Recording, Timeline, TimelineEntry,
};
use support::{automatic_loop, event_loop, manual_loop, ms, panic_of, readable, secs};

/// Takes some time of a test's clock.
fn takes(time: Duration) -> impl FnOnce(&Handle) {
    move |handle| handle.advance(time).unwrap()
}

/// The recording in words, without turns and waits.
fn words(timeline: &Timeline) -> Vec<String> {
    let is_other = |entry: &&TimelineEntry| {
        !matches!(entry.what, Recorded::Turn { .. } | Recorded::Wait { .. })
    };
    let others = timeline.entries.iter().filter(is_other);
    others.map(|entry| entry.what.to_string()).collect()
}

fn callbacks(timeline: &Timeline) -> Vec<&TimelineEntry> {
    let is_callback = |entry: &&TimelineEntry| matches!(entry.what, Recorded::Callback { .. });
    timeline.entries.iter().filter(is_callback).collect()
}

/// The timelines that callbacks have stopped.
type Stopped = Rc<RefCell<Vec<Timeline>>>;

fn stops(recording: Recording, into: &Stopped) -> impl FnOnce(&Handle) + 'static {
    let into = Rc::clone(into);
    move |_| into.borrow_mut().push(recording.stop())
}

#[test]
fn each_phase_is_recorded_with_the_callbacks_in_it() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let recording = handle.record(1000);
    let (ours, _theirs) = readable();
    handle
        .watch(ours, Interest::READABLE, |handle, _, _| {
            handle.set_immediate(|_| {});
            handle.close(handle.current().unwrap(), |_| {});
        })
        .unwrap();
    handle.set_timeout(Duration::ZERO, |handle| {
        handle.next_tick(|_| {});
        drop(handle.spawn(async {}));
    });
    let remote = handle.remote();
    let post = thread::spawn(move || remote.post(|_| {}).unwrap());
    post.join().unwrap();
    event_loop.run().unwrap();
    let expected = [
        "wake-up",
        "phase timers",
        "timeout",
        "tick",
        "task",
        "phase poll",
        "watch",
        "phase posts",
        "post",
        "phase immediates",
        "immediate",
        "phase closing",
        "close",
    ];
    assert_eq!(words(&recording.stop()), expected);
}

#[test]
fn an_entry_lies_within_what_contains_it() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let recording = handle.record(1000);
    handle.set_timeout(ms(2), |handle| handle.next_tick(|_| {}));
    handle.set_immediate(|handle| drop(handle.spawn(async {})));
    event_loop.run().unwrap();
    let timeline = recording.stop();
    let [mut turn, mut phase] = [None; 2];
    for entry in &timeline.entries {
        assert!(timeline.begin <= entry.begin && entry.begin <= entry.end);
        assert!(entry.end <= timeline.end);
        let outer: Option<&TimelineEntry> = match entry.what {
            Recorded::Turn { .. } => {
                turn = Some(entry);
                continue;
            }
            Recorded::Phase(_) => {
                phase = Some(entry);
                turn
            }
            Recorded::Callback { .. } => phase,
            _ => turn,
        };
        let outer = outer.unwrap();
        assert!(
            outer.begin <= entry.begin && entry.end <= outer.end,
            "{entry:?} is not in {outer:?}"
        );
    }
}

#[test]
fn callbacks_have_the_line_that_gave_them_to_the_loop() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let recording = handle.record(1000);
    let first = line!();
    handle.set_timeout(ms(1), |_| {});
    drop(handle.spawn(async {}));
    event_loop.run().unwrap();
    let timeline = recording.stop();
    let lines = callbacks(&timeline)
        .into_iter()
        .map(|entry| match entry.what {
            Recorded::Callback { kind, place, .. } => {
                assert_eq!(place.file(), file!());
                (kind, place.line())
            }
            _ => unreachable!(),
        });
    let expected = [
        (CallbackKind::Task, first + 2),
        (CallbackKind::Timeout, first + 1),
    ];
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

#[test]
fn the_times_are_those_of_the_loops_clock_and_add_up() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    handle.advance(secs(100)).unwrap();
    let recording = handle.record(1000);
    handle.set_immediate(takes(secs(2)));
    handle.set_immediate(takes(secs(3)));
    handle.spawn_detached({
        let handle = handle.clone();
        async move {
            handle.advance(secs(4)).unwrap();
            Ok::<(), nio_loop::Error>(())
        }
    });
    event_loop.run_nowait().unwrap();
    handle.advance(secs(10)).unwrap();
    let timeline = recording.stop();
    assert_eq!(timeline.begin.since_start(), secs(100));
    assert_eq!(timeline.end - timeline.begin, secs(19));
    let took: Vec<_> = callbacks(&timeline)
        .iter()
        .map(|entry| entry.took())
        .collect();
    assert_eq!(took, [secs(4), secs(2), secs(3)]);
    let whole = |what: Recorded| {
        let mut entries = timeline.entries.iter();
        entries.find(|entry| entry.what == what).unwrap().took()
    };
    assert_eq!(whole(Recorded::Phase(Phase::Immediates)), secs(5));
    let turn = &timeline.entries[0];
    assert!(matches!(turn.what, Recorded::Turn { number: 1, .. }));
    assert_eq!(turn.took(), secs(9));
}

#[test]
fn waits_say_how_long_they_might_have_been_and_what_they_returned() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let recording = handle.record(1000);
    handle.set_immediate(|handle| {
        handle.set_timeout(secs(3), |handle| {
            let (ours, theirs) = readable();
            let close = move |handle: &Handle, _: &_, _| {
                let _ = &theirs;
                handle.clear(handle.current().unwrap());
            };
            handle.watch(ours, Interest::READABLE, close).unwrap();
        });
    });
    event_loop.run().unwrap();
    let timeline = recording.stop();
    let waits = timeline
        .entries
        .iter()
        .filter_map(|entry| match entry.what {
            Recorded::Wait {
                timeout, events, ..
            } => Some((timeout, events, entry.took())),
            _ => None,
        });
    let zero = Duration::ZERO;
    let expected = [
        (Some(zero), 0, zero),       // there is an immediate
        (Some(secs(3)), 0, secs(3)), // until the deadline
        (None, 1, zero),             // for the event
    ];
    assert_eq!(waits.collect::<Vec<_>>(), expected);
}

#[test]
fn a_wake_up_says_what_it_brought() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let recording = handle.record(1000);
    let remote = handle.remote();
    let thread = thread::spawn(move || {
        for _ in 0..3 {
            remote.post(|_| {}).unwrap();
        }
        remote.stop();
    });
    thread.join().unwrap();
    event_loop.run_nowait().unwrap();
    let timeline = recording.stop();
    let first = timeline.entries[0];
    assert!(
        matches!(
            first.what,
            Recorded::WakeUp {
                tasks: 0,
                posts: 3,
                stop: true,
                ..
            }
        ),
        "{first:?}"
    );
    assert_eq!(first.took(), Duration::ZERO);
}

#[test]
fn nothing_is_recorded_before_a_recording_and_after_it() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    handle.set_immediate(|_| {});
    event_loop.run().unwrap();
    let recording = handle.record(1000);
    handle.set_timeout(secs(1), |_| {});
    event_loop.run().unwrap();
    let timeline = recording.stop();
    handle.set_immediate(|_| {});
    event_loop.run().unwrap();
    assert_eq!(words(&timeline), ["phase timers", "timeout"]);

    drop(handle.record(1000));
    event_loop.run().unwrap();
    assert_eq!(words(&handle.record(1000).stop()), [""; 0]);
}

#[test]
fn a_recording_may_begin_and_stop_in_callbacks() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let stopped = Stopped::default();
    let into = Rc::clone(&stopped);
    handle.set_immediate(move |handle| {
        let recording = handle.record(1000);
        handle.set_immediate(takes(secs(1)));
        handle.set_immediate(move |handle| {
            handle.advance(secs(2)).unwrap();
            stops(recording, &into)(handle);
            handle.advance(secs(4)).unwrap();
        });
    });
    event_loop.run_nowait().unwrap();
    event_loop.run_nowait().unwrap();
    let stopped = stopped.take();
    // A callback that ran when the recording began is not in it; one that runs when it stops ends there.
    assert_eq!(
        words(&stopped[0]),
        ["phase immediates", "immediate", "immediate"]
    );
    let took: Vec<_> = callbacks(&stopped[0])
        .iter()
        .map(|entry| entry.took())
        .collect();
    assert_eq!(took, [secs(1), secs(2)]);
    let phase = stopped[0]
        .entries
        .iter()
        .find(|entry| matches!(entry.what, Recorded::Phase(Phase::Immediates)));
    assert_eq!(phase.unwrap().took(), secs(3));
}

#[test]
fn the_oldest_entries_are_dropped_and_counted() {
    let run = |capacity| {
        let mut event_loop = manual_loop();
        let handle = event_loop.handle();
        let recording = handle.record(capacity);
        for _ in 0..10 {
            handle.set_immediate(|_| {});
        }
        event_loop.run_nowait().unwrap();
        recording.stop()
    };
    // A turn, a wait, a phase and the callbacks.
    let all = run(13);
    assert_eq!((all.entries.len(), all.dropped), (13, 0));
    let few = run(4);
    assert_eq!((few.entries.len(), few.dropped), (4, 9));
    // The phase and the turn end last.
    assert_eq!(words(&few), ["phase immediates", "immediate", "immediate"]);
    assert!(matches!(few.entries[0].what, Recorded::Turn { .. }));
    let none = run(0);
    assert_eq!((none.entries.len(), none.dropped), (0, 13));
}

#[test]
fn a_second_recording_ends_the_first_which_keeps_what_it_has() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let first = handle.record(1000);
    handle.set_immediate(|_| {});
    event_loop.run_nowait().unwrap();
    let second = handle.record(1000);
    handle.next_tick(|_| {});
    event_loop.run_nowait().unwrap();
    // The end of the first is not that of the second.
    assert_eq!(words(&first.stop()), ["phase immediates", "immediate"]);
    handle.next_tick(|_| {});
    event_loop.run_nowait().unwrap();
    assert_eq!(words(&second.stop()), ["tick", "tick"]);
}

#[test]
fn a_loop_that_a_callback_runs_is_a_part_of_that_callback() {
    let mut outer = manual_loop();
    let handle = outer.handle();
    let recording = handle.record(1000);
    let inner_timeline = Stopped::default();
    let into = Rc::clone(&inner_timeline);
    handle.set_immediate(move |_| {
        let mut inner = EventLoop::with_clock(nio_loop::Clock::automatic()).unwrap();
        let recording = inner.handle().record(1000);
        inner.handle().set_timeout(secs(1), |_| {});
        inner.run().unwrap();
        into.borrow_mut().push(recording.stop());
    });
    outer.run_nowait().unwrap();
    assert_eq!(words(&recording.stop()), ["phase immediates", "immediate"]);
    assert_eq!(
        words(&inner_timeline.borrow()[0]),
        ["phase timers", "timeout"]
    );
}

#[test]
fn a_panic_ends_what_it_leaves_and_is_told() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let recording = handle.record(1000);
    handle.on_warning(secs(1), |_, _| {});
    drop(handle.spawn(async { panic!("of a task") }));
    handle.set_immediate(|_| panic!("of a callback"));
    handle.set_immediate(|_| {});
    panic_of(|| event_loop.run_nowait());
    event_loop.run_nowait().unwrap();
    let timeline = recording.stop();
    let ended = callbacks(&timeline)
        .into_iter()
        .map(|entry| match entry.what {
            Recorded::Callback { kind, panicked, .. } => (kind, panicked),
            _ => unreachable!(),
        });
    let expected = [
        (CallbackKind::Task, true),
        (CallbackKind::Immediate, true),
        (CallbackKind::Immediate, false),
    ];
    assert_eq!(ended.collect::<Vec<_>>(), expected);
    let turns = timeline
        .entries
        .iter()
        .filter_map(|entry| match entry.what {
            Recorded::Turn { number, .. } => Some(number),
            _ => None,
        });
    assert_eq!(turns.collect::<Vec<_>>(), [1, 2]);
}
