//! Running a future to its end, and futures that are never woken.

mod support;

use std::{
    cell::RefCell,
    future::{pending, poll_fn},
    io::{self, ErrorKind},
    rc::Rc,
    sync::mpsc,
    task::Poll,
    thread,
};

use nio_loop::{Clock, Direction, Error, EventLoop, Handle, Signal, Source};
use support::{LIMIT, Log, Slot, event_loop, in_child, ms, pair, panic_of, secs, waker};

#[test]
fn l87_run_returns_the_output_and_drops_everything_else_with_the_loop() {
    let log = Log::new();
    let (held, told) = (log.drops("task"), log.clone());
    let output = nio_loop::run(async |handle: Handle| {
        handle
            .spawn(async move {
                let _held = held;
                pending::<()>().await
            })
            .detach();
        let late = told.drops("timeout");
        handle.set_timeout(LIMIT, move |_| drop(late));
        handle.sleep(ms(1)).await;
        told.push("main");
        (handle, 42)
    });
    let (handle, answer) = output.unwrap();
    assert_eq!(answer, 42);
    log.assert("main task timeout");
    assert!(handle.spawn(async {}).is_finished(), "the loop is gone");
}

#[test]
fn run_takes_a_future_that_borrows_and_passes_its_panic_on() {
    let mut text = String::from("a");
    nio_loop::run(async |handle| {
        handle.yield_now().await;
        text.push('b');
    })
    .unwrap();
    assert_eq!(text, "ab");
    let panic = panic_of(|| nio_loop::run(async |_| -> () { panic!("of main") }));
    assert_eq!(panic, "of main");
}

/// A loop without a watchdog, because that is a timer that could wake a task.
fn bare_loop() -> (EventLoop, Handle) {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    (event_loop, handle)
}

#[track_caller]
fn is_never_woken<T>(result: Result<T, Error>) -> io::Error {
    match result {
        Err(error @ Error::NeverWoken { place }) => {
            assert_eq!(place.file(), file!());
            error.into()
        }
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it was ready"),
    }
}

#[test]
fn block_on_of_a_future_that_nothing_can_wake_is_an_error_and_the_loop_goes_on() {
    let (mut event_loop, handle) = bare_loop();
    let log = Log::new();
    let held = log.drops("dropped");
    let error = is_never_woken(event_loop.block_on(async move {
        let _held = held;
        pending::<()>().await
    }));
    log.assert("dropped");
    assert_eq!(error.kind(), ErrorKind::Deadlock);
    assert!(error.to_string().contains(file!()), "{error}");
    handle.set_timeout(ms(1), log.says("timeout"));
    event_loop.run().unwrap();
    log.assert("timeout");
    assert_eq!(event_loop.block_on(async { 1 }).unwrap(), 1);
}

#[test]
fn block_on_of_tasks_that_wait_for_each_other_is_an_error() {
    let (mut event_loop, handle) = bare_loop();
    let (first, second) = (Slot::<nio_loop::JoinHandle<()>>::new(), Slot::new());
    let waits = |slot: &Slot<nio_loop::JoinHandle<()>>| {
        let slot = slot.clone();
        handle.spawn(async move {
            let other = slot.get().await;
            other.await.unwrap();
        })
    };
    let (one, other) = (waits(&first), waits(&second));
    let third = handle.spawn(pending::<()>());
    event_loop.run_nowait().unwrap();
    first.put(other);
    second.put(one);
    is_never_woken(event_loop.block_on(third));
}

#[test]
fn block_on_is_an_error_when_all_wakers_that_were_kept_are_gone() {
    let (mut event_loop, handle) = bare_loop();
    let kept = Rc::new(RefCell::new(Vec::new()));
    let keeps = Rc::clone(&kept);
    let keeping = handle.spawn(async move {
        let own = waker().await;
        keeps.borrow_mut().push(own);
        pending::<()>().await
    });
    let keeps = Rc::clone(&kept);
    let finished = handle.spawn(async move {
        let own = waker().await;
        keeps.borrow_mut().push(own);
    });
    let result = event_loop.block_on(async {
        let own = waker().await;
        kept.borrow_mut().push(own);
        handle.next_turn().await;
        assert_eq!(kept.borrow().len(), 3);
        kept.borrow_mut().clear();
        let _handles = (keeping, finished, handle.remote());
        drop(_handles.2);
        pending::<()>().await
    });
    is_never_woken(result);
}

#[test]
fn block_on_on_a_clock_that_stands_is_an_error_though_there_is_a_timer() {
    let mut event_loop = EventLoop::with_clock(Clock::manual()).unwrap();
    let handle = event_loop.handle();
    is_never_woken(event_loop.block_on(handle.sleep(secs(1))));
    let mut event_loop = EventLoop::with_clock(Clock::automatic()).unwrap();
    let handle = event_loop.handle();
    event_loop.block_on(handle.sleep(secs(1))).unwrap();
}

/// Runs a future that another thread wakes, again until the loop has waited for it: if the thread was
/// quicker, it has not.
fn until_it_has_waited<F: Future<Output = ()>>(mut future: impl FnMut(&Handle) -> F) {
    for _ in 0..10_000 {
        let (mut event_loop, handle) = bare_loop();
        event_loop.block_on(future(&handle)).unwrap();
        if handle.metrics().waits > 0 {
            return;
        }
    }
    panic!("the other thread is always quicker");
}

#[test]
fn block_on_waits_while_another_thread_has_the_waker_of_the_future_or_of_a_task() {
    async fn woken_by_a_thread() {
        let mut thread = None;
        poll_fn(|context| match &thread {
            None => {
                let waker = context.waker().clone();
                thread = Some(thread::spawn(move || waker.wake()));
                Poll::Pending
            }
            Some(_) => Poll::Ready(()),
        })
        .await;
        thread.unwrap().join().unwrap();
    }
    until_it_has_waited(|_| woken_by_a_thread());
    until_it_has_waited(|handle| {
        let task = handle.spawn(woken_by_a_thread());
        async move { task.await.unwrap() }
    });
}

#[test]
fn block_on_waits_while_another_thread_has_a_remote() {
    for _ in 0..10_000 {
        let (mut event_loop, handle) = bare_loop();
        let remote = handle.remote();
        let thread = thread::spawn(move || {
            let posted = remote.post(|_| panic!("posted"));
            assert!(posted.is_ok());
        });
        let panic = panic_of(|| event_loop.block_on(pending::<()>()));
        assert_eq!(panic, "posted");
        thread.join().unwrap();
        if handle.metrics().waits > 0 {
            return;
        }
    }
    panic!("the other thread is always quicker");
}

#[test]
fn block_on_waits_while_there_is_a_timer_an_event_or_a_job_that_may_come() {
    let (mut event_loop, handle) = bare_loop();
    // A timer that is not referenced.
    let slot = Slot::new();
    let given = slot.clone();
    let id = handle.set_timeout(ms(2), move |_| given.put(()));
    handle.unref(id);
    event_loop.block_on(slot.get()).unwrap();
    // A descriptor.
    let (near, far) = pair();
    let source = Source::new(&handle, near).unwrap();
    let thread = thread::spawn(move || io::Write::write_all(&mut &far, b"x").unwrap());
    let read = source.io(Direction::Read, |mut near| {
        io::Read::read(&mut near, &mut [0])
    });
    assert_eq!(event_loop.block_on(read).unwrap().unwrap(), 1);
    thread.join().unwrap();
    drop(source);
    // Nothing.
    is_never_woken(event_loop.block_on(pending::<()>()));
    // A closure on another thread.
    let (sender, receiver) = mpsc::channel();
    let job = handle.spawn_blocking(move || receiver.recv()).unwrap();
    let job = event_loop.block_on(async {
        handle.next_turn().await;
        sender.send(()).unwrap();
        job.await.unwrap()
    });
    job.unwrap().unwrap();
}

#[test]
fn block_on_waits_while_a_signal_is_listened_to() {
    in_child(|| {
        let (mut event_loop, handle) = bare_loop();
        let mut signals = handle.signals(Signal::from_raw(libc::SIGALRM)).unwrap();
        // SAFETY: takes no pointers.
        unsafe { libc::alarm(1) };
        event_loop.block_on(signals.next()).unwrap().unwrap();
    });
}

#[test]
fn errors_convert_into_those_of_io_with_their_kinds_and_texts() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let aborted = handle.spawn(pending::<()>());
    aborted.abort();
    let error: io::Error = event_loop.block_on(aborted).unwrap().unwrap_err().into();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(error.to_string(), "the task was aborted");
    let elapsed = event_loop.block_on(handle.timeout(ms(1), pending::<()>()));
    let error = io::Error::from(elapsed.unwrap().unwrap_err());
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let remote = handle.remote();
    drop(event_loop);
    let held = Rc::new(());
    let _held = &held; // not Send, as what is sent need not be for the conversion
    let error = io::Error::from(remote.post(|_| {}).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    let refused = Source::new(&handle, pair().0).unwrap_err();
    assert_eq!(io::Error::from(refused).kind(), ErrorKind::BrokenPipe);
}
