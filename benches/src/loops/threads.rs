//! Wake-ups and work that come from another thread.

use std::{
    ffi::c_void,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicPtr, AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use super::{
    runtimes::{Nio, Runtime, Smol, Tasks, Tokio},
    signal::FarSignal,
    uv::{self, Uv},
};
use crate::group::Group;

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// Two threads with a loop each, which only wake each other.
pub(crate) fn far_task_wake() -> Group {
    fn turns<R: Runtime>() -> impl FnMut(u32) -> Duration {
        let mut here = R::new();
        move |times| {
            let signals = Arc::new([FarSignal::default(), FarSignal::default()]);
            let far = Arc::clone(&signals);
            let other = thread::spawn(move || {
                R::new().block_on(|_| async {
                    for _ in 0..times {
                        far[1].notified().await;
                        far[0].notify();
                    }
                });
            });
            let start = Instant::now();
            here.block_on(|_| async {
                for _ in 0..times {
                    signals[1].notify();
                    signals[0].notified().await;
                }
            });
            let elapsed = start.elapsed();
            other.join().expect("it does not panic");
            elapsed
        }
    }
    let about = "a wake-up of another thread's task and its wake-up back (wall time)";
    Group::new("far-task-wake", about, 500)
        .with("nio", turns::<Nio>)
        .with_installed("libuv", uv_ping_pong)
        .with("tokio", turns::<Tokio>)
        .with("smol", turns::<Smol>)
}

/// One of libuv's two loops.
struct Side {
    uv: Uv,
    on: uv::Object,
    /// The handle that wakes the other one.
    other: AtomicPtr<c_void>,
    /// How many wake-ups are still to come.
    left: AtomicU32,
    /// It begins and ends.
    begins: bool,
}

// SAFETY: one thread at a time runs its loop, and the fields that change are atomic.
unsafe impl Sync for Side {}

impl Side {
    fn new(uv: Uv, begins: bool) -> (&'static Side, uv::Object) {
        let side: &Side = Box::leak(Box::new(Side {
            uv,
            on: uv.new_loop(),
            other: AtomicPtr::default(),
            left: AtomicU32::new(0),
            begins,
        }));
        (side, uv.new_async(side.on, woken, side))
    }

    fn wake_other(&self) {
        // SAFETY: the handle is never freed.
        unsafe { (self.uv.async_send)(self.other.load(Relaxed)) };
    }

    fn run(&self) {
        // SAFETY: the loop is never freed, and no other thread runs it.
        unsafe { (self.uv.run)(self.on, uv::RUN_DEFAULT) };
    }
}

extern "C" fn woken(handle: uv::Object) {
    // SAFETY: the handle was given a side.
    let side: &Side = unsafe { uv::data(handle) };
    let is_last = side.left.fetch_sub(1, Relaxed) == 1;
    if is_last {
        // SAFETY: it is the loop that runs this callback.
        unsafe { (side.uv.stop)(side.on) };
    }
    if !(is_last && side.begins) {
        side.wake_other();
    }
}

fn uv_ping_pong() -> Option<impl FnMut(u32) -> Duration> {
    let uv = Uv::load()?;
    let (here, here_handle) = Side::new(uv, true);
    let (there, there_handle) = Side::new(uv, false);
    here.other.store(there_handle, Relaxed);
    there.other.store(here_handle, Relaxed);
    Some(move |times| {
        here.left.store(times, Relaxed);
        there.left.store(times, Relaxed);
        let other = thread::spawn(move || there.run());
        let start = Instant::now();
        here.wake_other();
        here.run();
        let elapsed = start.elapsed();
        other.join().expect("it does not panic");
        elapsed
    })
}

/// Another thread wakes as fast as it can, so that many wakes become one.
pub(crate) fn flood() -> Group {
    fn turns<R: Runtime>() -> impl FnMut(u32) -> Duration {
        let mut runtime = R::new();
        move |times| {
            runtime.block_on(|tasks| async move {
                let done = Arc::new(AtomicBool::new(false));
                let mut other = None;
                let start = Instant::now();
                let woken = poll_fn(move |context| {
                    other.get_or_insert_with(|| {
                        let (waker, done) = (context.waker().clone(), Arc::clone(&done));
                        thread::spawn(move || wake(times, &done, || waker.wake_by_ref()))
                    });
                    if done.load(Acquire) {
                        let other = other.take().expect("it was made");
                        other.join().expect("it does not panic");
                        return Poll::Ready(());
                    }
                    Poll::Pending
                });
                tasks.spawn(woken).await;
                start.elapsed()
            })
        }
    }
    let about = "a wake-up of a loop that another thread wakes all the time (wall time)";
    Group::new("flood", about, 20_000)
        .with("nio", turns::<Nio>)
        .with_installed("libuv", uv_flood)
        .with("tokio", turns::<Tokio>)
        .with("smol", turns::<Smol>)
}

/// Wakes so many times, and the last time when it is done.
fn wake(times: u32, done: &AtomicBool, wake: impl Fn()) {
    for _ in 1..times {
        wake();
    }
    done.store(true, Release);
    wake();
}

/// The data of libuv's callback.
struct Flood {
    uv: Uv,
    on: AtomicPtr<c_void>,
    done: AtomicBool,
}

extern "C" fn flooded(handle: uv::Object) {
    // SAFETY: the handle was given a `Flood`.
    let flood: &Flood = unsafe { uv::data(handle) };
    if flood.done.load(Acquire) {
        // SAFETY: it is the loop that runs this callback.
        unsafe { (flood.uv.stop)(flood.on.load(Relaxed)) };
    }
}

fn uv_flood() -> Option<impl FnMut(u32) -> Duration> {
    let uv = Uv::load()?;
    let on = uv.new_loop();
    let flood: &Flood = Box::leak(Box::new(Flood {
        uv,
        on: AtomicPtr::new(on),
        done: AtomicBool::new(false),
    }));
    let handle = Arc::new(AtomicPtr::new(uv.new_async(on, flooded, flood)));
    Some(move |times| {
        flood.done.store(false, Relaxed);
        let handle = Arc::clone(&handle);
        let start = Instant::now();
        let other = thread::spawn(move || {
            // SAFETY: the handle is never freed.
            let send = || unsafe { (uv.async_send)(handle.load(Relaxed)) };
            wake(times, &flood.done, || assert_eq!(send(), 0));
        });
        // SAFETY: the loop is never freed, and no other thread runs it.
        unsafe { (uv.run)(on, uv::RUN_DEFAULT) };
        let elapsed = start.elapsed();
        other.join().expect("it does not panic");
        elapsed
    })
}

/// Another thread gives a loop as much to do as fast as it can.
pub(crate) fn posts() -> Group {
    fn nio() -> (nio_loop::Remote, impl FnMut(Boxed)) {
        let mut runtime = Nio::new();
        let remote = runtime.0.handle().remote();
        (remote, move |future| runtime.block_on(|_| future))
    }
    Group::new(
        "post",
        "a closure or a task given by another thread (wall time)",
        20_000,
    )
    .with("nio post", || {
        let (remote, mut run) = nio();
        move |times| {
            let remote = remote.clone();
            let send = move |receiver: Arc<Receiver>| {
                let receive = move |_: &nio_loop::Handle| receiver.receive();
                remote.post(receive).expect("the loop is there");
            };
            receive(times, send, &mut run)
        }
    })
    .with("nio spawn", || {
        let (remote, mut run) = nio();
        move |times| {
            let remote = remote.clone();
            let send = move |receiver: Arc<Receiver>| {
                let receive = async move { receiver.receive() };
                remote.spawn(receive).expect("the loop is there");
            };
            receive(times, send, &mut run)
        }
    })
    .with("tokio spawn", || {
        let runtime = Tokio::new().runtime;
        move |times| {
            let remote = runtime.handle().clone();
            let send = move |receiver: Arc<Receiver>| {
                drop(remote.spawn(async move { receiver.receive() }));
            };
            receive(times, send, |future| runtime.block_on(future))
        }
    })
    .with("smol spawn", || {
        let executor = Arc::new(async_executor::Executor::new());
        move |times| {
            let remote = Arc::clone(&executor);
            let send = move |receiver: Arc<Receiver>| {
                let receive = async move { receiver.receive() };
                remote.spawn(receive).detach();
            };
            let run = |future| async_io::block_on(executor.run(future));
            receive(times, send, run)
        }
    })
}

/// Counts arrivals, and notifies the task that waits for all of them.
#[derive(Default)]
struct Receiver {
    received: AtomicU32,
    all: u32,
    signal: FarSignal,
}

impl Receiver {
    fn receive(&self) {
        if self.received.fetch_add(1, Relaxed) + 1 == self.all {
            self.signal.notify();
        }
    }
}

/// Another thread sends as fast as it can, until everything has arrived. `run` runs a future and the tasks that are
/// sent.
fn receive(
    times: u32,
    send: impl Fn(Arc<Receiver>) + Send + 'static,
    run: impl FnOnce(Boxed),
) -> Duration {
    let receiver = Arc::new(Receiver {
        all: times,
        ..Receiver::default()
    });
    let far = Arc::clone(&receiver);
    let start = Instant::now();
    let other = thread::spawn(move || (0..times).for_each(|_| send(Arc::clone(&far))));
    run(Box::pin(async move { receiver.signal.notified().await }));
    let elapsed = start.elapsed();
    other.join().expect("it does not panic");
    elapsed
}
