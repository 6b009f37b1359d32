//! A turn of a loop that has something to wait for, but nothing to do.

use std::{
    ffi::{c_int, c_short, c_uint, c_void},
    future::pending,
    ptr::null,
    time::Duration,
};

use super::uv::{self, Uv};
use crate::{
    group::{Group, time},
    library::{LIBEV, LIBEVENT, Library},
    polls::Bare,
};

pub(crate) fn turn() -> Group {
    let title = "a turn of the whole loop that finds nothing to do and does not wait";
    Group::new("turn", title, 5_000)
        .with("epoll", || {
            let mut epoll = Bare::new(64);
            move |times| time(times, || assert_eq!(epoll.wait_for(0), 0))
        })
        .with("nio", || {
            let mut event_loop = nio_loop::EventLoop::new().expect("there are descriptors");
            event_loop.handle().spawn(pending::<()>()).detach();
            move |times| {
                time(times, || {
                    assert!(event_loop.run_nowait().expect("it polls"))
                })
            }
        })
        .with("calloop", || {
            let mut event_loop =
                calloop::EventLoop::<()>::try_new().expect("there are descriptors");
            move |times| {
                time(times, || {
                    let turned = event_loop.dispatch(Duration::ZERO, &mut ());
                    turned.expect("it polls");
                })
            }
        })
        .with_installed("libuv", libuv)
        .with_installed("libev", libev)
        .with_installed("libevent", libevent)
}

fn libuv() -> Option<impl FnMut(u32) -> Duration> {
    extern "C" fn nothing(_: uv::Object) {}
    let uv = Uv::load()?;
    let on = uv.new_loop();
    // Without something to wait for, a turn does not poll.
    uv.new_async(on, nothing, &());
    // SAFETY: the loop is initialised, and runs in this thread only.
    let run = move || unsafe { (uv.run)(on, uv::RUN_NOWAIT) };
    Some(move |times| time(times, || assert_eq!(run(), 1)))
}

/// libev asks the kernel even without watchers.
fn libev() -> Option<impl FnMut(u32) -> Duration> {
    const EVRUN_NOWAIT: c_int = 1;
    let library = Library::load(LIBEV)?;
    // SAFETY: the types are those of ev.h.
    let (on, run) = unsafe {
        let new: unsafe extern "C" fn(c_uint) -> *mut c_void = library.function(c"ev_loop_new")?;
        let run: unsafe extern "C" fn(*mut c_void, c_int) -> c_int = library.function(c"ev_run")?;
        (new(0), run)
    };
    // SAFETY: the loop is initialised, and runs in this thread only.
    let turn = move || unsafe { run(on, EVRUN_NOWAIT) };
    Some(move |times| {
        time(times, || {
            turn();
        })
    })
}

fn libevent() -> Option<impl FnMut(u32) -> Duration> {
    type OnEvent = extern "C" fn(c_int, c_short, *mut c_void);
    type New =
        unsafe extern "C" fn(*mut c_void, c_int, c_short, OnEvent, *const c_void) -> *mut c_void;
    extern "C" fn nothing(_: c_int, _: c_short, _: *mut c_void) {}
    const EVLOOP_NONBLOCK: c_int = 2;
    let library = Library::load(LIBEVENT)?;
    // SAFETY: the types are those of event2/event.h; the event of a signal keeps the base alive.
    let (on, run) = unsafe {
        let base: unsafe extern "C" fn() -> *mut c_void = library.function(c"event_base_new")?;
        let new: New = library.function(c"event_new")?;
        let add: unsafe extern "C" fn(*mut c_void, *const libc::timeval) -> c_int =
            library.function(c"event_add")?;
        let run: unsafe extern "C" fn(*mut c_void, c_int) -> c_int =
            library.function(c"event_base_loop")?;
        let base = base();
        let event = new(base, -1, 0, nothing, null());
        let hour = libc::timeval {
            tv_sec: 3600,
            tv_usec: 0,
        };
        add(event, &hour);
        (base, run)
    };
    // SAFETY: the base is initialised, and runs in this thread only.
    Some(move |times| time(times, || assert_eq!(unsafe { run(on, EVLOOP_NONBLOCK) }, 0)))
}
