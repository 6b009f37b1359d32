//! A turn of a loop that has something to wait for, but nothing to do.

use std::{future::pending, os::fd::OwnedFd};

use crate::{
    group::{Group, time},
    uv::{self, Uv},
};

pub(crate) fn group() -> Group {
    let about = "a turn that finds nothing to do and does not wait";
    let group = Group::new("turn", about, 5_000);
    let group = group.with("nio", || {
        let mut event_loop = nio_loop::EventLoop::new().expect("there are descriptors");
        event_loop.handle().spawn(pending::<()>()).detach();
        move |times| {
            time(times, || {
                assert!(event_loop.run_nowait().expect("it polls"))
            })
        }
    });
    let group = group.with_installed("libuv", || {
        extern "C" fn nothing(_: uv::Object) {}
        let uv = Uv::load()?;
        let on = uv.new_loop();
        // Without something to wait for, a turn does not poll.
        uv.new_async(on, nothing, &());
        // SAFETY: the loop is initialised, and runs in this thread only.
        let run = move || unsafe { (uv.run)(on, uv::RUN_NOWAIT) };
        Some(move |times| time(times, || assert_eq!(run(), 1)))
    });
    group.with("bare epoll", || {
        let epoll = new_epoll();
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        move |times| time(times, || assert_eq!(wait(&epoll, &mut events, 0), 0))
    })
}

pub(crate) fn new_epoll() -> OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: takes no pointers.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    assert_ne!(epoll, -1);
    // SAFETY: it is new and nobody else's.
    unsafe { OwnedFd::from_raw_fd(epoll) }
}

pub(crate) fn wait(epoll: &OwnedFd, events: &mut [libc::epoll_event], timeout: i32) -> usize {
    use std::os::fd::AsRawFd;
    let (fd, room) = (epoll.as_raw_fd(), events.len() as i32);
    // SAFETY: there is room for as many events as it says.
    let count = unsafe { libc::epoll_wait(fd, events.as_mut_ptr(), room, timeout) };
    usize::try_from(count).expect("nothing is wrong with the set")
}
