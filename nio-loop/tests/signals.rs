//! Signals.
//!
//! Signals and their actions belong to a process, so each test runs in its own process.

mod support;

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use nio_loop::{CallbackId, EventLoop, Handle, Interest, Signal};
use support::{Log, event_loop, in_child, ms, panic_of, readable};

/// Sends a signal to this process. This thread, which is the one that takes signals, has handled it
/// when this returns.
fn send(signal: Signal) {
    // Not by raise(3): on Apple's systems no queue is told of a signal that is for one thread (K201).
    // SAFETY: no pointer is passed.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal.as_raw()) }, 0);
}

fn raw(number: i32) -> Signal {
    Signal::from_raw(number)
}

/// A callback that logs a name, and stops the loop, which waits for it.
fn on_signal(event_loop: &EventLoop, signal: Signal, log: &Log, name: &str) -> CallbackId {
    let (log, name) = (log.clone(), name.to_owned());
    let callback = move |handle: &Handle, count: u64| {
        assert!(count > 0);
        log.push(name.clone());
        handle.stop();
    };
    let handle = event_loop.handle();
    let id = handle.on_signal(signal, callback).unwrap();
    handle.reref(id);
    id
}

#[test]
fn l88_each_loop_that_watches_a_signal_gets_it_until_it_clears_it() {
    in_child(|| {
        let (mut first, mut second) = (event_loop(), event_loop());
        let log = Log::new();
        let id = on_signal(&first, Signal::HANGUP, &log, "first");
        on_signal(&second, Signal::HANGUP, &log, "second");
        send(Signal::HANGUP);
        first.run().unwrap();
        second.run().unwrap();
        log.assert("first second");
        assert!(first.handle().clear(id));
        send(Signal::HANGUP);
        second.run().unwrap();
        assert!(!first.run().unwrap());
        log.assert("second");
    });
}

#[test]
fn l88_clearing_the_last_listener_restores_the_default_action() {
    in_child(|| {
        let mut event_loop = event_loop();
        let log = Log::new();
        let signal = raw(libc::SIGURG); // By default, it does nothing.
        let id = on_signal(&event_loop, signal, &log, "watched");
        send(signal);
        event_loop.run().unwrap();
        assert!(event_loop.handle().clear(id));
        send(signal);
        assert!(!event_loop.run().unwrap());
        log.assert("watched");
        on_signal(&event_loop, signal, &log, "again");
        send(signal);
        event_loop.run().unwrap();
        log.assert("again");
    });
}

#[test]
fn l89_signals_merge_but_none_goes_unnoticed() {
    in_child(|| {
        const SENT: u64 = 10;
        let mut event_loop = event_loop();
        let total = Rc::new(Cell::new(0));
        let sum = Rc::clone(&total);
        let callback = move |handle: &Handle, count| {
            sum.set(sum.get() + count);
            handle.stop();
        };
        let handle = event_loop.handle();
        let id = handle.on_signal(Signal::USER_1, callback).unwrap();
        handle.reref(id);
        for _ in 0..SENT {
            send(Signal::USER_1);
        }
        event_loop.run().unwrap();
        assert!((1..=SENT).contains(&total.get()), "{}", total.get());
    });
}

#[test]
fn l90_a_signal_cleared_before_it_was_delivered_is_not_reported() {
    in_child(|| {
        let mut event_loop = event_loop();
        let log = Log::new();
        let id = on_signal(&event_loop, Signal::QUIT, &log, "never");
        send(Signal::QUIT);
        assert!(event_loop.handle().clear(id));
        assert!(!event_loop.run_nowait().unwrap());
        log.assert("");
    });
}

#[test]
fn a_signal_wakes_a_loop_that_waits() {
    in_child(|| {
        for _ in 0..20 {
            let mut event_loop = event_loop();
            let log = Log::new();
            on_signal(&event_loop, Signal::USER_2, &log, "signal");
            let barrier = Arc::new(Barrier::new(2));
            let go = Arc::clone(&barrier);
            let thread = thread::spawn(move || {
                go.wait();
                send(Signal::USER_2);
            });
            event_loop.handle().next_tick(move |_| {
                barrier.wait();
            });
            assert!(event_loop.run().unwrap());
            log.assert("signal");
            thread.join().unwrap();
        }
    });
}

#[test]
fn l106_a_signal_has_any_number_of_listeners_which_are_called_in_order() {
    in_child(|| {
        let mut event_loop = event_loop();
        let log = Log::new();
        let ids =
            ["a", "b", "c", "d"].map(|name| on_signal(&event_loop, Signal::INTERRUPT, &log, name));
        send(Signal::INTERRUPT);
        event_loop.run().unwrap();
        log.assert("a b c d");
        assert!(event_loop.handle().clear(ids[1]) && !event_loop.handle().clear(ids[1]));
        on_signal(&event_loop, Signal::INTERRUPT, &log, "e");
        send(Signal::INTERRUPT);
        event_loop.run().unwrap();
        log.assert("a c d e");
    });
}

#[test]
fn l106_a_listener_that_another_one_has_cleared_is_not_called() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let log = Log::new();
        let next = Rc::new(Cell::new(None));
        let (clears, told) = (Rc::clone(&next), log.clone());
        let first = move |handle: &Handle, _| {
            told.push("first");
            assert!(handle.clear(clears.get().unwrap()));
        };
        handle.on_signal(Signal::HANGUP, first).unwrap();
        let never = on_signal(&event_loop, Signal::HANGUP, &log, "never");
        next.set(Some(never));
        on_signal(&event_loop, Signal::HANGUP, &log, "last");
        send(Signal::HANGUP);
        event_loop.run().unwrap();
        log.assert("first last");
    });
}

#[test]
fn l106_a_listener_that_another_one_sets_is_called_from_the_next_signal_on() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let log = Log::new();
        let told = log.clone();
        let first = move |handle: &Handle, _| {
            let told = told.clone();
            told.push("first");
            let second = move |_: &Handle, _| told.push("second");
            handle.on_signal(Signal::HANGUP, second).unwrap();
        };
        handle.on_signal(Signal::HANGUP, first).unwrap();
        on_signal(&event_loop, Signal::HANGUP, &log, "stops");
        send(Signal::HANGUP);
        event_loop.run().unwrap();
        log.assert("first stops");
        send(Signal::HANGUP);
        event_loop.run().unwrap();
        log.assert("first stops second");
    });
}

#[test]
fn l106_a_listener_that_panics_is_gone_and_those_behind_it_are_called_in_the_next_turn() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let log = Log::new();
        on_signal(&event_loop, Signal::QUIT, &log, "first");
        let panics = handle
            .on_signal(Signal::QUIT, |_, _| panic!("once"))
            .unwrap();
        on_signal(&event_loop, Signal::QUIT, &log, "last");
        send(Signal::QUIT);
        assert_eq!(panic_of(|| event_loop.run()), "once");
        log.assert("first");
        event_loop.run_once().unwrap();
        event_loop.run().unwrap();
        log.assert("last");
        assert!(!handle.clear(panics));
        send(Signal::QUIT);
        event_loop.run().unwrap();
        log.assert("first last");
    });
}

#[test]
fn l106_a_signal_is_the_program_s_again_when_its_last_listener_has_gone() {
    in_child(|| {
        let event_loop = event_loop();
        let handle = event_loop.handle();
        let signal = libc::SIGUSR2;
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(signal, nothing as *const () as libc::sighandler_t) };
        let ids = [(); 3].map(|()| handle.on_signal(raw(signal), |_, _| {}).unwrap());
        for id in ids {
            assert!(handle.clear(id));
        }
        // SAFETY: as above; it returns what was there.
        let old = unsafe { libc::signal(signal, libc::SIG_IGN) };
        assert_eq!(old, nothing as *const () as libc::sighandler_t);
    });
}

#[test]
fn l59_the_end_of_the_loop_ends_all_its_listeners() {
    in_child(|| {
        let event_loop = event_loop();
        let handle = event_loop.handle();
        let log = Log::new();
        let signal = libc::SIGURG;
        for name in ["a", "b"] {
            let (held, again) = (log.drops(name), handle.clone());
            let held = support::OnDrop::new(move || {
                assert!(again.on_signal(raw(signal), |_, _| {}).is_err());
                drop(held);
            });
            let callback = move |_: &Handle, _| {
                let _held = &held;
            };
            handle.on_signal(raw(signal), callback).unwrap();
        }
        drop(event_loop);
        let mut dropped = log.take();
        dropped.sort();
        assert_eq!(dropped, ["a", "b"]);
        // SAFETY: ignoring a signal takes no handler; it returns the old action.
        let old = unsafe { libc::signal(signal, libc::SIG_IGN) };
        assert_eq!(old, libc::SIG_DFL);
    });
}

#[test]
fn a_signal_that_cannot_be_caught_is_refused_and_keeps_nothing_alive() {
    in_child(|| {
        let mut event_loop = event_loop();
        for signal in [libc::SIGKILL, libc::SIGSTOP, 0, -1, 10_000] {
            assert!(
                event_loop
                    .handle()
                    .on_signal(raw(signal), |_, _| {})
                    .is_err(),
                "{signal}"
            );
        }
        assert!(!event_loop.run().unwrap());
    });
}

#[test]
fn l106_a_signal_keeps_the_loop_alive_only_if_it_is_referenced() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let id = handle.on_signal(raw(libc::SIGTTIN), |_, _| {}).unwrap();
        assert!(!event_loop.run().unwrap());
        assert!(handle.reref(id) && handle.reref(id));
        assert!(event_loop.run_nowait().unwrap());
        assert!(handle.unref(id) && handle.unref(id));
        assert!(!event_loop.run().unwrap());
        assert!(handle.reref(id));
        assert!(handle.clear(id) && !handle.clear(id));
        assert!(!event_loop.run().unwrap());
    });
}

#[test]
fn a_callback_of_a_signal_may_clear_itself_and_be_set_again() {
    in_child(|| {
        let mut event_loop = event_loop();
        let signal = raw(libc::SIGTTOU);
        let log = Log::new();
        let own = Rc::new(Cell::new(None));
        let (id, told) = (Rc::clone(&own), log.clone());
        let first = move |handle: &Handle, _| {
            assert!(handle.clear(id.get().unwrap()));
            told.push("first");
            let told = told.clone();
            let second = move |handle: &Handle, _| {
                told.push("second");
                handle.stop();
            };
            let id = handle.on_signal(signal, second).unwrap();
            handle.reref(id);
            send(signal);
        };
        let id = event_loop.handle().on_signal(signal, first).unwrap();
        event_loop.handle().reref(id);
        own.set(Some(id));
        send(signal);
        event_loop.run().unwrap();
        log.assert("first second");
    });
}

#[test]
fn a_callback_of_a_signal_that_panics_is_gone_and_the_loop_goes_on() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let signal = raw(libc::SIGALRM);
        let log = Log::new();
        let id = handle.on_signal(signal, |_, _| panic!("once")).unwrap();
        handle.reref(id);
        send(signal);
        assert_eq!(panic_of(|| event_loop.run()), "once");
        handle.set_timeout(ms(1), log.says("timer"));
        event_loop.run_once().unwrap();
        log.assert("timer");
        assert!(!event_loop.run().unwrap(), "it keeps nothing alive");
        on_signal(&event_loop, signal, &log, "again");
        send(signal);
        event_loop.run_once().unwrap();
        log.assert("again");
    });
}

extern "C" fn nothing(_: libc::c_int) {}

#[test]
fn l37_signals_that_interrupt_a_wait_neither_end_nor_prolong_it() {
    in_child(|| {
        let signal = libc::SIGVTALRM;
        // SAFETY: the handler does nothing.
        let old = unsafe { libc::signal(signal, nothing as *const () as libc::sighandler_t) };
        assert_ne!(old, libc::SIG_ERR);
        // SAFETY: no argument, no effect.
        let waits = unsafe { libc::pthread_self() } as usize;
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                // SAFETY: the thread is there: it joins this one.
                unsafe { libc::pthread_kill(waits as libc::pthread_t, signal) };
                thread::sleep(ms(1));
            }
        });
        let mut event_loop = event_loop();
        let log = Log::new();
        for n in 0..5 {
            let start = std::time::Instant::now();
            event_loop
                .handle()
                .set_timeout(ms(10), log.says(&n.to_string()));
            event_loop.run_once().unwrap();
            assert!(start.elapsed() >= ms(10));
        }
        done.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        log.assert("0 1 2 3 4");
    });
}

/// Watches a descriptor that is readable, but only from now on: after the signals that were sent.
fn watch_once(event_loop: &EventLoop, then: impl Fn(&Handle) + 'static) {
    let (ours, theirs) = readable();
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    let watch = move |handle: &Handle, _: &std::os::unix::net::UnixStream, _| {
        let _held = &theirs;
        handle.clear(id.get().unwrap());
        then(handle);
    };
    let handle = event_loop.handle();
    let id = handle.watch(ours, Interest::READABLE, watch).unwrap();
    own.set(Some(id));
}

#[test]
fn l39_signals_are_reported_after_the_io_of_their_batch_and_before_immediates() {
    in_child(|| {
        let mut event_loop = event_loop();
        let log = Log::new();
        let signal = Signal::from_raw(libc::SIGIO);
        on_signal(&event_loop, signal, &log, "signal");
        send(signal);
        for n in 0..3 {
            let told = log.clone();
            watch_once(&event_loop, move |_| told.push(format!("io{n}")));
        }
        event_loop.handle().set_immediate(log.says("immediate"));
        event_loop.run().unwrap();
        let mut texts = log.take();
        texts[..3].sort();
        assert_eq!(texts, ["io0", "io1", "io2", "signal", "immediate"]);
    });
}

#[test]
fn l40_a_signal_cleared_by_the_io_of_its_batch_is_not_reported() {
    in_child(|| {
        let mut event_loop = event_loop();
        let log = Log::new();
        let signal = Signal::from_raw(libc::SIGCONT);
        let id = on_signal(&event_loop, signal, &log, "never");
        send(signal);
        let told = log.clone();
        watch_once(&event_loop, move |handle| {
            told.push("io");
            assert!(handle.clear(id));
        });
        assert!(!event_loop.run().unwrap());
        log.assert("io");
    });
}

#[test]
fn l39_a_signal_behind_io_that_panics_is_reported_in_the_next_turn() {
    in_child(|| {
        let mut event_loop = event_loop();
        let log = Log::new();
        let signal = Signal::from_raw(libc::SIGPROF);
        on_signal(&event_loop, signal, &log, "signal");
        send(signal);
        watch_once(&event_loop, |_| panic!("now"));
        assert_eq!(panic_of(|| event_loop.run()), "now");
        log.assert("");
        event_loop.run().unwrap();
        log.assert("signal");
    });
}

#[test]
fn l91_a_signal_that_is_ignored_is_still_reported_and_ignored_again() {
    in_child(|| {
        let mut event_loop = event_loop();
        let log = Log::new();
        let signal = libc::SIGTSTP; // It would stop the process.
        // SAFETY: to ignore a signal takes no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
        let id = on_signal(&event_loop, raw(signal), &log, "told");
        send(raw(signal));
        event_loop.run().unwrap();
        log.assert("told");
        assert!(event_loop.handle().clear(id));
        // SAFETY: as above; it returns what was there.
        let old = unsafe { libc::signal(signal, libc::SIG_IGN) };
        assert_eq!(old, libc::SIG_IGN);
        send(raw(signal));
    });
}
