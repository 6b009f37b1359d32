//! Tasks that stay on one thread: spawning and joining, yielding, and waking each other.

use std::{hint::black_box, rc::Rc, time::Duration};

use crate::{
    bell::Bell,
    group::{Group, stopwatch},
    runtimes::{Nio, Runtime, Smol, Tasks, Tokio},
};

pub(crate) fn spawn() -> Group {
    fn turns<R: Runtime>() -> impl FnMut(u32) -> Duration {
        let mut runtime = R::new();
        move |times| {
            runtime.block_on_task(move |tasks| async move {
                let start = stopwatch();
                for number in 0..times {
                    let number = black_box(number);
                    assert_eq!(tasks.spawn(async move { number }).await, number);
                }
                stopwatch() - start
            })
        }
    }
    Group::new("spawn", "a task that is spawned and joined", 5_000)
        .with("nio", turns::<Nio>)
        .with("tokio", turns::<Tokio>)
        .with("tokio Send", tokio_send)
        .with("smol", turns::<Smol>)
}

/// Tasks that tokio may move to other threads, had it others: outside of its set.
fn tokio_send() -> impl FnMut(u32) -> Duration {
    let runtime = Tokio::new().runtime;
    move |times| {
        let main = runtime.spawn(async move {
            let start = stopwatch();
            for number in 0..times {
                let number = black_box(number);
                let joined = tokio::spawn(async move { number }).await;
                assert_eq!(joined.expect("it does not panic"), number);
            }
            stopwatch() - start
        });
        runtime.block_on(main).expect("it does not panic")
    }
}

pub(crate) fn yields() -> Group {
    fn turns<R: Runtime>() -> impl FnMut(u32) -> Duration {
        let mut runtime = R::new();
        move |times| {
            runtime.block_on_task(move |tasks| async move {
                let start = stopwatch();
                for _ in 0..times {
                    tasks.yield_now().await;
                }
                stopwatch() - start
            })
        }
    }
    let about = "a task that yields to nobody; nio and tokio let the kernel have its turn";
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
                let bells: [Rc<Bell>; 2] = Default::default();
                let start = stopwatch();
                let [one, other] = [0, 1].map(|own| {
                    let bells = bells.clone();
                    tasks.spawn(async move {
                        for _ in 0..times / 2 {
                            bells[own].rung().await;
                            bells[1 - own].ring();
                        }
                    })
                });
                bells[0].ring();
                one.await;
                other.await;
                stopwatch() - start
            })
        }
    }
    Group::new(
        "wake",
        "a task woken by another one of the same thread",
        5_000,
    )
    .with("nio", turns::<Nio>)
    .with("tokio", turns::<Tokio>)
    .with("smol", turns::<Smol>)
}
