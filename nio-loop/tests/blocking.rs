//! Closures on other threads.

mod support;

use std::{
    cell::RefCell,
    panic::panic_any,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, ThreadId},
};

use nio_loop::{CallbackKind, Error, EventLoop, Handle, JoinHandle};
use support::{Log, automatic_loop, event_loop, ms, panic_of, secs};

/// A closure that reports its start, and finishes when its gate is opened or dropped.
fn gated<T>(begun: &Sender<T>, value: T) -> (Sender<()>, impl FnOnce() -> ThreadId + use<T>) {
    let (gate, opened) = mpsc::channel();
    let begun = begun.clone();
    let closure = move || {
        begun.send(value).unwrap();
        let _ = opened.recv();
        thread::current().id()
    };
    (gate, closure)
}

/// A loop with this many threads and running closures.
fn fill(handle: &Handle, threads: usize) -> (Vec<Sender<()>>, Vec<JoinHandle<ThreadId>>) {
    handle.set_threads(threads).unwrap();
    let (begun, begins) = mpsc::channel();
    let filled = (0..threads)
        .map(|_| {
            let (gate, closure) = gated(&begun, ());
            (gate, handle.spawn_blocking(closure).unwrap())
        })
        .unzip();
    for _ in 0..threads {
        begins.recv().unwrap();
    }
    filled
}

#[test]
fn what_a_blocking_closure_returns_comes_back_to_the_loop() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let here = thread::current().id();
    let closure = || (thread::current().id(), vec![1, 2]);
    for job in [
        handle.spawn_blocking(closure).unwrap(),
        handle.spawn_slow(closure).unwrap(),
    ] {
        let (thread, vector) = event_loop.block_on(job).unwrap().unwrap();
        assert_ne!(thread, here);
        assert_eq!(vector, [1, 2]);
    }
}

#[test]
fn many_closures_all_come_back_and_each_once() {
    const JOBS: usize = 200;
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let ran = Arc::new(AtomicUsize::new(0));
    let jobs: Vec<_> = (0..JOBS)
        .map(|n| {
            let ran = Arc::clone(&ran);
            let count = move || {
                ran.fetch_add(1, Ordering::SeqCst);
                n
            };
            handle.spawn_blocking(count).unwrap()
        })
        .collect();
    event_loop
        .block_on(async {
            for (n, job) in jobs.into_iter().enumerate() {
                assert_eq!(job.await.unwrap(), n);
            }
        })
        .unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), JOBS);
}

#[test]
fn slow_closures_have_a_limit_of_their_own_and_delay_no_others() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (begun, begins) = mpsc::channel();
    let (mut gates, mut jobs) = (Vec::new(), Vec::new());
    // The default is four.
    for n in 0..5 {
        let (gate, closure) = gated(&begun, n);
        gates.push(gate);
        jobs.push(handle.spawn_slow(closure).unwrap());
    }
    let mut first: Vec<i32> = begins.iter().take(4).collect();
    first.sort_unstable();
    assert_eq!(first, [0, 1, 2, 3]);
    let job = handle.spawn_blocking(|| 7).unwrap();
    assert_eq!(event_loop.block_on(job).unwrap().unwrap(), 7);
    assert!(begins.try_recv().is_err(), "four are running");
    drop(gates.remove(0));
    assert_eq!(begins.recv().unwrap(), 4);
    drop(gates);
    assert!(!event_loop.run().unwrap());
    assert!(jobs.iter().all(JoinHandle::is_finished));
}

#[test]
fn a_slow_closure_has_a_thread_though_there_is_only_one() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.set_threads(1).unwrap();
    for _ in 0..3 {
        let job = handle.spawn_slow(|| 7).unwrap();
        assert_eq!(event_loop.block_on(job).unwrap().unwrap(), 7);
    }
}

#[test]
fn more_threads_are_started_for_closures_that_wait_when_more_are_allowed() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.set_threads(1).unwrap();
    let (begun, begins) = mpsc::channel();
    let (mut gates, mut jobs) = (Vec::new(), Vec::new());
    for n in 0..8 {
        let (gate, closure) = gated(&begun, n);
        gates.push(gate);
        jobs.push(handle.spawn_blocking(closure).unwrap());
    }
    assert_eq!(begins.recv().unwrap(), 0);
    handle.set_threads(8).unwrap();
    for _ in 1..8 {
        begins.recv_timeout(secs(10)).expect("it has a thread");
    }
    drop(gates);
    assert!(!event_loop.run().unwrap());
}

#[test]
fn there_are_no_more_threads_than_the_limit_and_begins_in_order() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.set_threads(2).unwrap();
    let (begun, begins) = mpsc::channel();
    let (mut gates, mut jobs) = (Vec::new(), Vec::new());
    for n in 0..6 {
        let (gate, closure) = gated(&begun, n);
        gates.push(Some(gate));
        jobs.push(handle.spawn_blocking(closure).unwrap());
    }
    let mut first = [begins.recv().unwrap(), begins.recv().unwrap()];
    first.sort_unstable();
    assert_eq!(first, [0, 1]);
    // When one ends, the next one begins.
    for n in 2..6 {
        assert!(begins.try_recv().is_err(), "two are running");
        gates[n - 2] = None;
        assert_eq!(begins.recv().unwrap(), n);
    }
    drop(gates);
    let mut threads = Vec::new();
    event_loop
        .block_on(async {
            for job in jobs {
                threads.push(job.await.unwrap());
            }
        })
        .unwrap();
    threads.sort_by_key(|id| format!("{id:?}"));
    threads.dedup();
    assert_eq!(threads.len(), 2);
}

#[test]
fn there_is_at_least_one_thread() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.set_threads(0).unwrap();
    let job = handle.spawn_blocking(|| 7).unwrap();
    assert_eq!(event_loop.block_on(job).unwrap().unwrap(), 7);
}

#[test]
fn a_thread_with_nothing_to_do_is_used_again() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    // All at once, so that each has a thread; then one after the other.
    let barrier = Arc::new(Barrier::new(4));
    let jobs: Vec<_> = (0..4)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            let meet = move || {
                barrier.wait();
                thread::current().id()
            };
            handle.spawn_blocking(meet).unwrap()
        })
        .collect();
    let mut known = Vec::new();
    event_loop
        .block_on(async {
            for job in jobs {
                known.push(job.await.unwrap());
            }
            for _ in 0..20 {
                let job = handle.spawn_blocking(|| thread::current().id()).unwrap();
                assert!(known.contains(&job.await.unwrap()));
            }
        })
        .unwrap();
}

#[test]
fn a_closure_that_is_aborted_before_it_begins_never_begins_and_is_dropped_here() {
    struct Where(Sender<ThreadId>);
    impl Drop for Where {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (gates, jobs) = fill(&handle, 4);
    let (dropped, place) = mpsc::channel();
    let held = Where(dropped);
    let never = move || {
        let _held = held;
        panic!("it has begun");
    };
    let job: JoinHandle<()> = handle.spawn_blocking(never).unwrap();
    event_loop.run_nowait().unwrap();
    job.abort();
    assert_eq!(place.try_recv().unwrap(), thread::current().id());
    assert!(event_loop.block_on(job).unwrap().unwrap_err().is_aborted());
    drop(gates);
    assert!(!event_loop.run().unwrap());
    drop(jobs);
}

#[test]
fn a_closure_that_is_aborted_while_it_runs_goes_on_and_keeps_nothing_alive() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (done, outcome) = mpsc::channel();
    let (begun, begins) = mpsc::channel();
    let (gate, closure) = gated(&begun, ());
    let job = handle
        .spawn_blocking(move || {
            closure();
            done.send("done").unwrap();
        })
        .unwrap();
    begins.recv().unwrap();
    job.abort();
    assert!(!event_loop.run().unwrap());
    drop(gate);
    assert_eq!(outcome.recv().unwrap(), "done");
}

#[test]
fn l81_a_panic_of_a_closure_is_given_to_its_joiner_and_ends_no_thread() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.set_threads(1).unwrap();
    let job = handle
        .spawn_blocking(|| -> ThreadId { panic!("{:?}", thread::current().id()) })
        .unwrap();
    let error = event_loop.block_on(job).unwrap().unwrap_err();
    assert!(!error.is_aborted());
    let text = *error.into_panic().unwrap().downcast::<String>().unwrap();
    let job = handle.spawn_blocking(|| thread::current().id()).unwrap();
    let thread = event_loop.block_on(job).unwrap().unwrap();
    assert_eq!(format!("{thread:?}"), text);
}

#[test]
fn l81_an_output_that_panics_when_it_is_dropped_ends_no_thread() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(Fuse);
        }
    }
    // The drop of its payload panics too.
    struct Fuse;
    impl Drop for Fuse {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    handle.set_threads(1).unwrap();
    let (begun, begins) = mpsc::channel();
    let (gate, closure) = gated(&begun, ());
    let job = handle
        .spawn_blocking(move || {
            closure();
            Bomb
        })
        .unwrap();
    begins.recv().unwrap();
    // The output is not taken.
    job.abort();
    let next = handle.spawn_blocking(|| 7).unwrap();
    drop(gate);
    assert_eq!(event_loop.block_on(next).unwrap().unwrap(), 7);
}

#[test]
fn a_closure_keeps_the_loop_alive_unless_it_is_not_referenced() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (begun, begins) = mpsc::channel();
    let (gate, closure) = gated(&begun, ());
    let job = handle.spawn_blocking(closure).unwrap();
    begins.recv().unwrap();
    assert!(event_loop.run_nowait().unwrap());
    let report = handle.report();
    assert_eq!(report.entries[0].kind, CallbackKind::Task);
    assert_eq!(report.entries[0].place.file(), file!());
    assert!(job.unref());
    assert!(!event_loop.run().unwrap());
    assert!(job.reref());
    drop(gate);
    assert!(!event_loop.run().unwrap());
    assert!(job.is_finished());
}

#[test]
fn a_loop_dropped_while_a_closure_runs_does_not_wait_and_those_that_wait_never_begin() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let (gates, jobs) = fill(&handle, 4);
    let (held, dropped) = mpsc::channel::<()>();
    let never = move || {
        held.send(()).unwrap();
    };
    let behind = handle.spawn_blocking(never).unwrap();
    let kept: Arc<Mutex<Option<Receiver<()>>>> = Arc::default();
    drop(event_loop);
    assert!(dropped.recv().is_err(), "dropped, without having begun");
    assert!(behind.is_finished() && jobs.iter().all(JoinHandle::is_finished));
    // Those that run end, and wake a loop that is gone.
    drop((gates, kept));
    let refused = handle.spawn_blocking(|| 7).unwrap_err();
    assert!(matches!(refused.error, Error::Closed));
    assert_eq!((refused.value)(), 7, "it is given back");
    assert!(matches!(handle.set_threads(1), Err(Error::Closed)));
}

#[test]
fn a_detached_closure_runs_to_its_end() {
    let mut event_loop = event_loop();
    let (done, outcome) = mpsc::channel();
    let send = move || done.send(7).unwrap();
    event_loop.handle().spawn_blocking(send).unwrap().detach();
    assert!(!event_loop.run().unwrap());
    assert_eq!(outcome.try_recv().unwrap(), 7);
}

#[test]
fn l71_a_closure_that_ends_wakes_a_loop_that_waits() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    for _ in 0..100 {
        let job = handle.spawn_blocking(|| {}).unwrap();
        event_loop.block_on(job).unwrap().unwrap();
    }
}

#[test]
fn a_time_limit_for_a_closure_leaves_it_alone() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (gates, jobs) = fill(&handle, 1);
    for job in jobs {
        let outcome = event_loop.block_on(handle.timeout(ms(2), job)).unwrap();
        assert_eq!(outcome.unwrap_err().limit, ms(2));
    }
    drop(gates);
    assert!(!event_loop.run().unwrap());
}

#[test]
fn a_panic_elsewhere_does_not_lose_the_output_of_a_closure() {
    let mut event_loop = automatic_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let (gates, jobs) = fill(&handle, 2);
    for (n, job) in jobs.into_iter().enumerate() {
        let told = log.clone();
        handle.spawn(async move {
            job.await.unwrap();
            told.push(n.to_string());
        });
    }
    handle.set_immediate(|_| panic!("now"));
    handle.set_immediate(move |_| drop(gates));
    assert_eq!(panic_of(|| EventLoop::run(&mut event_loop)), "now");
    assert!(!event_loop.run().unwrap());
    assert_eq!(log.take().len(), 2);
}

#[test]
fn the_threads_of_a_loop_that_is_gone_end() {
    /// Says when its thread ends.
    struct Last(Option<Sender<()>>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.take().unwrap().send(()).unwrap();
        }
    }
    thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (ended, ends) = mpsc::channel();
    let last = Last(Some(ended));
    let job = handle.spawn_blocking(move || LAST.set(Some(last)));
    event_loop.block_on(job.unwrap()).unwrap().unwrap();
    drop(event_loop);
    // Long before the idle timeout of ten seconds.
    ends.recv_timeout(secs(5)).unwrap();
}
