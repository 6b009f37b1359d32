//! A timeout that is set and cancelled before it is due, as most are.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use super::{
    runtimes::{Nio, Runtime, Smol, Tasks, Tokio},
    uv::{self, Uv},
};
use crate::{
    clock::thread_time,
    group::{Group, time},
};

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn timeout() -> Group {
    let about = "a timeout is set and cancelled; libuv's is allocated before";
    let group = Group::new("timeout", about, 5_000);
    let group = group.with("nio", || {
        let event_loop = nio_loop::EventLoop::new().expect("there are descriptors");
        let handle = event_loop.handle();
        move |times| {
            let _event_loop = &event_loop;
            time(times, || {
                let timeout = handle.set_timeout(HOUR, |_| {});
                assert!(handle.clear(timeout));
            })
        }
    });
    let group = group.with_installed("libuv", || {
        extern "C" fn nothing(_: uv::Object) {}
        let uv = Uv::load()?;
        let (on, timer) = (uv.new_loop(), uv.new_handle(uv::TIMER));
        // SAFETY: the loop is initialised, and there is room for a handle.
        unsafe { (uv.timer_init)(on, timer) };
        Some(move |times| {
            // SAFETY: the handle is initialised.
            time(times, || unsafe {
                (uv.timer_start)(timer, nothing, 3_600_000, 0);
                (uv.timer_stop)(timer);
            })
        })
    });
    let group = group.with("nio sleep", sleeps::<Nio>);
    let group = group.with("tokio sleep", sleeps::<Tokio>);
    group.with("smol sleep", sleeps::<Smol>)
}

/// Makes a sleep, polls it once and drops it.
fn sleeps<R: Runtime>() -> impl FnMut(u32) -> Duration {
    let mut runtime = R::new();
    move |times| {
        runtime.block_on_task(move |tasks| async move {
            let start = thread_time();
            for _ in 0..times {
                let mut sleep = pin!(tasks.sleep(HOUR));
                poll_fn(|context| {
                    assert!(sleep.as_mut().poll(context).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
            thread_time() - start
        })
    }
}
