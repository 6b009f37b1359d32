//! A loop that is driven by another one.

mod support;

use std::{
    cell::Cell,
    future::Future,
    io::{Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    thread,
};

use nio_loop::{Direction, EventLoop, Handle, Interest, Source, Time};
use support::{
    LIMIT, Log, Slot, event_loop, is_readable, manual_loop, ms, pair, panic_of, readable, secs,
};

/// A loop that does not run, in the state in which an outer loop waits for it.
fn parked() -> EventLoop {
    let mut event_loop = manual_loop();
    assert!(!event_loop.run_nowait().unwrap());
    assert_eq!(event_loop.next_deadline(), None);
    assert!(!is_readable(&event_loop));
    event_loop
}

#[test]
fn the_next_deadline_is_that_of_the_next_timer() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let at = |millis| Some(Time::after_start(ms(millis)));
    assert_eq!(event_loop.next_deadline(), None);
    handle.set_timeout(ms(9), |_| {});
    assert!(event_loop.run_nowait().unwrap());
    assert_eq!(event_loop.next_deadline(), at(9));
    let first = handle.set_timeout(ms(5), |_| {});
    assert!(event_loop.run_nowait().unwrap());
    assert_eq!(event_loop.next_deadline(), at(5));
    handle.clear(first);
    assert_eq!(event_loop.next_deadline(), at(9));
    handle.advance(ms(20)).unwrap();
    assert_eq!(event_loop.next_deadline(), at(9), "and has passed");
    assert!(!event_loop.run_nowait().unwrap());
    assert_eq!(event_loop.next_deadline(), None);
}

#[test]
fn a_loop_with_something_to_do_is_due_at_once() {
    type Give = fn(&Handle);
    let gifts: [(&str, Give); 6] = [
        ("immediate", |handle| {
            handle.set_immediate(|_| {});
        }),
        ("tick", |handle| handle.next_tick(|_| {})),
        ("task", |handle| handle.spawn(async {}).detach()),
        ("post", |handle| handle.remote().post(|_| {}).unwrap()),
        ("wake", |handle| handle.remote().wake()),
        ("close", |handle| {
            let id = handle.set_timeout(LIMIT, |_| {});
            assert!(handle.close(id, |_| {}));
        }),
    ];
    for (name, give) in gifts {
        let mut event_loop = manual_loop();
        let handle = event_loop.handle();
        handle.advance(ms(3)).unwrap();
        assert_eq!(event_loop.next_deadline(), None);
        event_loop.run_nowait().unwrap();
        give(&handle);
        assert_eq!(event_loop.next_deadline(), Some(handle.now()), "{name}");
        assert!(!event_loop.run_nowait().unwrap(), "{name}");
        assert_eq!(event_loop.next_deadline(), None, "{name}");
    }
}

#[test]
fn the_descriptor_is_readable_when_something_that_is_watched_is() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (ours, theirs) = pair();
    let told = log.clone();
    let watch = move |_: &Handle, mut stream: &UnixStream, _| {
        stream.read_exact(&mut [0]).unwrap();
        told.push("io");
    };
    handle.watch(ours, Interest::READABLE, watch).unwrap();
    event_loop.run_nowait().unwrap();
    assert!(!is_readable(&event_loop));
    (&theirs).write_all(b"x").unwrap();
    assert!(is_readable(&event_loop));
    event_loop.run_nowait().unwrap();
    log.assert("io");
    // On the BSDs a level-triggered event that was just reported leaves the descriptor readable until
    // the next poll (K8).
    event_loop.run_nowait().unwrap();
    log.assert("");
    assert!(!is_readable(&event_loop));
}

#[test]
fn l48_a_cleared_watch_leaves_nothing_behind_in_the_system() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = readable();
    let ours = Rc::new(ours);
    let never = |_: &Handle, _: &Rc<UnixStream>, _| panic!("cleared");
    let id = handle
        .watch(Rc::clone(&ours), Interest::READABLE, never)
        .unwrap();
    assert!(is_readable(&event_loop));
    assert!(handle.clear(id));
    assert!(!is_readable(&event_loop), "though nothing has run since");
    event_loop.run_nowait().unwrap();
}

#[test]
fn the_descriptor_is_readable_when_something_is_given_while_another_loop_waits() {
    type Give = fn(&Handle);
    let gifts: [(&str, Give); 9] = [
        ("timeout", |handle| {
            handle.set_timeout(LIMIT, |_| {});
        }),
        ("interval", |handle| {
            {
                handle.set_interval(LIMIT, |_, _| {});
            };
        }),
        ("immediate", |handle| {
            handle.set_immediate(|_| {});
        }),
        ("tick", |handle| handle.next_tick(|_| {})),
        ("task", |handle| handle.spawn(async {}).detach()),
        ("blocking", |handle| {
            handle.spawn_blocking(|| {}).unwrap().detach();
        }),
        ("post", |handle| handle.remote().post(|_| {}).unwrap()),
        ("stop", |handle| handle.remote().stop()),
        ("wake", |handle| handle.remote().wake()),
    ];
    for (name, give) in gifts {
        let mut event_loop = parked();
        let handle = event_loop.handle();
        give(&handle);
        assert!(is_readable(&event_loop), "{name}");
        // A stop lets the first of them do nothing.
        event_loop.run_nowait().unwrap();
        event_loop.run_nowait().unwrap();
        let _next = event_loop.next_deadline();
        if name != "blocking" {
            assert!(!is_readable(&event_loop), "{name}");
        }
    }
}

#[test]
fn the_descriptor_is_readable_while_a_close_callback_is_queued() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let id = handle.set_timeout(LIMIT, |_| {});
    event_loop.run_nowait().unwrap();
    assert!(event_loop.next_deadline().is_some());
    assert!(!is_readable(&event_loop));
    assert!(handle.close(id, log.says("closed")));
    assert!(is_readable(&event_loop));
    assert!(!event_loop.run_nowait().unwrap());
    log.assert("closed");
}

#[test]
fn the_descriptor_is_readable_when_a_task_was_woken_while_another_loop_waits() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let slot = Slot::new();
    let (get, told) = (slot.clone(), log.clone());
    handle.spawn(async move {
        get.get().await;
        told.push("woken");
    });
    event_loop.run_nowait().unwrap();
    assert_eq!(event_loop.next_deadline(), None);
    assert!(!is_readable(&event_loop));
    slot.put(());
    assert!(is_readable(&event_loop));
    assert_eq!(event_loop.next_deadline(), Some(handle.now()));
    assert!(!event_loop.run_nowait().unwrap());
    log.assert("woken");
}

#[test]
fn the_descriptor_is_readable_when_an_immediate_is_referenced_while_another_loop_waits() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    event_loop.run_nowait().unwrap();
    let id = handle.set_immediate(log.says("immediate"));
    handle.unref(id);
    assert_eq!(event_loop.next_deadline(), None);
    handle.reref(id);
    assert!(is_readable(&event_loop));
    assert_eq!(event_loop.next_deadline(), Some(handle.now()));
    assert!(!event_loop.run_nowait().unwrap());
    log.assert("immediate");
}

/// Polls a future as an outer loop polls its own tasks.
fn poll_elsewhere<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn the_descriptor_is_readable_when_a_sleep_is_armed_while_another_loop_waits() {
    let mut event_loop = parked();
    let handle = event_loop.handle();
    let mut sleep = Box::pin(handle.sleep(secs(1)));
    assert!(poll_elsewhere(sleep.as_mut()).is_pending());
    assert!(is_readable(&event_loop));
    event_loop.run_nowait().unwrap();
    let at = |seconds| Some(Time::after_start(secs(seconds)));
    assert_eq!(event_loop.next_deadline(), at(1));
    assert!(!is_readable(&event_loop));
    sleep.reset(Time::after_start(ms(500)));
    assert!(is_readable(&event_loop));
    event_loop.run_nowait().unwrap();
    assert_eq!(event_loop.next_deadline(), Some(Time::after_start(ms(500))));
    handle.advance(ms(500)).unwrap();
    event_loop.run_nowait().unwrap();
    assert!(poll_elsewhere(sleep.as_mut()).is_ready());
}

#[test]
fn the_descriptor_is_readable_when_a_future_yields_while_another_loop_waits() {
    let mut event_loop = parked();
    let handle = event_loop.handle();
    let mut yielded = Box::pin(handle.next_turn());
    assert!(poll_elsewhere(yielded.as_mut()).is_pending());
    assert!(is_readable(&event_loop));
    event_loop.run_nowait().unwrap();
    assert!(poll_elsewhere(yielded.as_mut()).is_ready());
}

#[test]
fn what_a_running_loop_is_given_makes_its_descriptor_not_readable() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let descriptor = event_loop.as_fd().try_clone_to_owned().unwrap();
    // As if another loop had waited before.
    event_loop.run_nowait().unwrap();
    assert_eq!(event_loop.next_deadline(), None);
    handle.set_immediate(|_| {});
    event_loop.run_nowait().unwrap();
    handle.set_immediate(move |handle| {
        handle.set_timeout(LIMIT, |_| {});
        handle.set_immediate(|_| {});
        handle.spawn(async {}).detach();
        assert!(!is_readable(&descriptor));
    });
    assert!(event_loop.run_nowait().unwrap());
}

#[test]
fn a_loop_dropped_while_another_one_waited_for_it_can_still_be_reached_by_threads() {
    let event_loop = parked();
    let remote = event_loop.handle().remote();
    drop(event_loop);
    thread::spawn(move || {
        remote.wake();
        remote.stop();
        assert!(remote.post(|_| {}).is_err());
    })
    .join()
    .unwrap();
}

#[test]
fn l74_a_loop_that_panicked_in_a_turn_is_due_at_once() {
    let mut event_loop = manual_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = readable();
    let (other, _other) = readable();
    for stream in [ours, other] {
        let watch = |_: &Handle, _: &UnixStream, _| panic!("now");
        handle.watch(stream, Interest::READABLE, watch).unwrap();
    }
    assert_eq!(panic_of(|| event_loop.run_nowait()), "now");
    // The second event has been taken from the system already.
    assert_eq!(event_loop.next_deadline(), Some(handle.now()));
    assert_eq!(panic_of(|| event_loop.run_nowait()), "now");
    assert!(!event_loop.run_nowait().unwrap());
    assert_eq!(event_loop.next_deadline(), None);
}

/// How long the outer loop has to wait, as a timeout of poll(2): milliseconds, rounded up.
#[cfg(not(target_vendor = "apple"))]
fn milliseconds(event_loop: &EventLoop) -> libc::c_int {
    match event_loop.next_deadline() {
        None => -1,
        Some(deadline) => {
            let left = deadline - event_loop.handle().now();
            left.as_nanos().div_ceil(1_000_000).try_into().unwrap()
        }
    }
}

/// A foreign loop: poll(2), with our loop embedded.
#[cfg(not(target_vendor = "apple"))]
fn drive(event_loop: &mut EventLoop) {
    use std::os::fd::AsRawFd;
    while event_loop.run_nowait().unwrap() {
        let mut waiting = libc::pollfd {
            fd: event_loop.as_fd().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one entry, which lives as long as the call.
        unsafe { libc::poll(&mut waiting, 1, milliseconds(event_loop)) };
    }
}

// macOS does not let poll(2) wait for a kqueue.
#[cfg(not(target_vendor = "apple"))]
#[test]
fn a_loop_around_poll_can_drive_it() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (ours, mut theirs) = pair();
    let told = log.clone();
    let own = Rc::new(std::cell::Cell::new(None));
    let id = Rc::clone(&own);
    let watch = move |handle: &Handle, mut stream: &UnixStream, _| {
        stream.read_exact(&mut [0]).unwrap();
        told.push("io");
        handle.clear(id.get().unwrap());
    };
    own.set(Some(handle.watch(ours, Interest::READABLE, watch).unwrap()));
    // Each step begins when the one before has happened, most of them while poll(2) waits.
    let remote = handle.remote();
    let (own, told) = (handle.clone(), log.clone());
    handle.spawn(async move {
        own.sleep(ms(2)).await;
        told.push("slept");
        let thread = own.spawn_blocking(|| 7).unwrap();
        told.push(thread.await.unwrap().to_string());
        thread::spawn(move || {
            let write = move |_: &Handle| theirs.write_all(b"x").unwrap();
            assert!(remote.post(write).is_ok());
        });
    });
    drive(&mut event_loop);
    log.assert("slept 7 io");
}

#[test]
fn l47_a_loop_can_be_watched_by_another_of_its_kind() {
    let mut outer = event_loop();
    let mut inner = event_loop();
    let remote = inner.handle().remote();
    let log = Log::new();
    let (ours, theirs) = pair();
    let mut peer = theirs.try_clone().unwrap();
    let (told, stop) = (log.clone(), outer.handle());
    let watch = move |_: &Handle, mut stream: &UnixStream, _| {
        stream.read_exact(&mut [0]).unwrap();
        told.push("io");
        stop.stop();
    };
    inner
        .handle()
        .watch(ours, Interest::READABLE, watch)
        .unwrap();
    inner.run_nowait().unwrap();
    assert!(inner.next_deadline().is_some(), "that of the watchdog");
    let descriptor = inner.as_fd().try_clone_to_owned().unwrap();
    let drive = move |_: &Handle, _: &OwnedFd, _| {
        inner.run_nowait().unwrap();
        assert!(inner.next_deadline().is_some());
    };
    outer
        .handle()
        .watch(descriptor, Interest::READABLE, drive)
        .unwrap();
    let thread = thread::spawn(move || {
        let write = move |_: &Handle| peer.write_all(b"x").unwrap();
        assert!(remote.post(write).is_ok());
    });
    assert!(outer.run().unwrap());
    log.assert("io");
    thread.join().unwrap();
    drop(theirs);
}

#[test]
fn the_descriptor_is_readable_when_a_source_is_woken_while_another_loop_waits() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ours, _theirs) = pair();
    let source = Rc::new(Source::new(&handle, ours).unwrap());
    let (reading, tries) = (Rc::clone(&source), Rc::new(Cell::new(0)));
    let count = Rc::clone(&tries);
    let task = handle.spawn(async move {
        let read = |_: &UnixStream| -> std::io::Result<()> {
            count.set(count.get() + 1);
            Err(std::io::ErrorKind::WouldBlock.into())
        };
        reading.io(Direction::Read, read).await
    });
    event_loop.run_nowait().unwrap();
    let _next = event_loop.next_deadline();
    assert!(!is_readable(&event_loop));
    source.wake(Direction::Read);
    assert!(is_readable(&event_loop));
    event_loop.run_nowait().unwrap();
    assert_eq!(tries.get(), 2);
    task.abort();
}
