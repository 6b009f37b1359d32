//! Tasks that stay on one thread: spawning and joining, yielding, and waking each other.

use std::{hint::black_box, rc::Rc, time::Duration};

use super::{
    runtimes::{Nio, Runtime, Smol, Tasks, Tokio},
    signal::Signal,
};
use crate::{clock::thread_time, group::Group};

pub(crate) fn spawn() -> Group {
    fn turns<R: Runtime>() -> impl FnMut(u32) -> Duration {
        let mut runtime = R::new();
        move |times| {
            runtime.block_on_task(move |tasks| async move {
                let start = thread_time();
                for number in 0..times {
                    let number = black_box(number);
                    assert_eq!(tasks.spawn(async move { number }).await, number);
                }
                thread_time() - start
            })
        }
    }
    Group::new("spawn", "a task is spawned and joined", 5_000)
        .with("nio", turns::<Nio>)
        .with("tokio", turns::<Tokio>)
        .with("tokio Send", tokio_send)
        .with("smol", turns::<Smol>)
}

/// Tasks that a runtime with more threads could move between them: outside of the `LocalSet`.
fn tokio_send() -> impl FnMut(u32) -> Duration {
    let runtime = Tokio::new().runtime;
    move |times| {
        let main = runtime.spawn(async move {
            let start = thread_time();
            for number in 0..times {
                let number = black_box(number);
                let joined = tokio::spawn(async move { number }).await;
                assert_eq!(joined.expect("it does not panic"), number);
            }
            thread_time() - start
        });
        runtime.block_on(main).expect("it does not panic")
    }
}

pub(crate) fn yields() -> Group {
    fn turns<R: Runtime>() -> impl FnMut(u32) -> Duration {
        let mut runtime = R::new();
        move |times| {
            runtime.block_on_task(move |tasks| async move {
                let start = thread_time();
                for _ in 0..times {
                    tasks.yield_now().await;
                }
                thread_time() - start
            })
        }
    }
    let about = "a task yields, and no other task is ready";
    Group::new("yield", about, 5_000)
        .with("nio", turns::<Nio>)
        .with("tokio", turns::<Tokio>)
        .with("smol", turns::<Smol>)
}

pub(crate) fn wakes() -> Group {
    fn turns<R: Runtime>() -> impl FnMut(u32) -> Duration {
        let mut runtime = R::new();
        move |times| {
            runtime.block_on(|tasks| async move {
                let signals: [Rc<Signal>; 2] = Default::default();
                let start = thread_time();
                let [one, other] = [0, 1].map(|own| {
                    let signals = signals.clone();
                    tasks.spawn(async move {
                        for _ in 0..times / 2 {
                            signals[own].notified().await;
                            signals[1 - own].notify();
                        }
                    })
                });
                signals[0].notify();
                one.await;
                other.await;
                thread_time() - start
            })
        }
    }
    Group::new(
        "task-wake",
        "a task wakes another task of its thread",
        5_000,
    )
    .with("nio", turns::<Nio>)
    .with("tokio", turns::<Tokio>)
    .with("smol", turns::<Smol>)
}
