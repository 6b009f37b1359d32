//! libev: a 4-ary heap of pointers to the user's watchers, with the deadlines beside them.

use crate::library::Library;
use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

/// `struct ev_timer` of ev.h, as distributions build it.
#[repr(C)]
#[derive(Clone)]
struct Watcher {
    active: c_int,
    pending: c_int,
    priority: c_int,
    data: *mut c_void,
    callback: extern "C" fn(*mut c_void, *mut Watcher, c_int),
    at: f64,
    repeat: f64,
}

type OnWatcher = unsafe extern "C" fn(*mut c_void, *mut Watcher);

pub(super) struct Libev {
    watchers: Vec<Watcher>,
    event_loop: *mut c_void,
    start: OnWatcher,
    stop: OnWatcher,
    again: OnWatcher,
    run: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    destroy: unsafe extern "C" fn(*mut c_void),
    now: u64,
    fired: Box<usize>,
}

const EVRUN_NOWAIT: c_int = 1;
/// Without the time jump checks, which would ask for the time of day.
const EVFLAG_NOENV: c_uint = 0x0100_0000;

extern "C" fn fire(_loop: *mut c_void, watcher: *mut Watcher, _events: c_int) {
    // SAFETY: libev passes the watcher that was started; its data is the peer's counter, which only
    // this thread uses.
    unsafe { *(*watcher).data.cast::<usize>() += 1 };
}

impl super::Open for Libev {
    fn open(timers: usize) -> Option<Self> {
        let library = Library::load(c"libev.so.4")?;
        let mut fired = Box::new(0);
        let data = (&raw mut *fired).cast();
        let watcher = Watcher {
            active: 0,
            pending: 0,
            priority: 0,
            data,
            callback: fire,
            at: 0.0,
            repeat: 0.0,
        };
        // SAFETY: the types are those of ev.h; the loop is new.
        unsafe {
            let new: unsafe extern "C" fn(c_uint) -> *mut c_void =
                library.function(c"ev_loop_new")?;
            Some(Libev {
                watchers: vec![watcher; timers],
                event_loop: new(EVFLAG_NOENV),
                start: library.function(c"ev_timer_start")?,
                stop: library.function(c"ev_timer_stop")?,
                again: library.function(c"ev_timer_again")?,
                run: library.function(c"ev_run")?,
                destroy: library.function(c"ev_loop_destroy")?,
                now: crate::clock::now(),
                fired,
            })
        }
    }
}

impl Libev {
    fn seconds_until(&self, deadline: u64) -> f64 {
        (deadline - self.now) as f64 * 1e-9
    }
}

impl super::Peer for Libev {
    fn insert(&mut self, timer: u32, deadline: u64) {
        let at = self.seconds_until(deadline);
        let watcher = &mut self.watchers[timer as usize];
        watcher.at = at;
        // SAFETY: the watcher stays where it is until the loop is destroyed.
        unsafe { (self.start)(self.event_loop, ptr::from_mut(watcher)) };
    }

    fn cancel(&mut self, timer: u32) {
        let watcher = &mut self.watchers[timer as usize];
        // SAFETY: as above.
        unsafe { (self.stop)(self.event_loop, ptr::from_mut(watcher)) };
    }

    /// `ev_timer_again` moves a timer within the heap, but only one that repeats; so it does for as
    /// long as the call takes.
    fn later(&mut self, timer: u32, deadline: u64) {
        let repeat = self.seconds_until(deadline);
        let watcher = &mut self.watchers[timer as usize];
        watcher.repeat = repeat;
        // SAFETY: as above.
        unsafe { (self.again)(self.event_loop, ptr::from_mut(watcher)) };
        watcher.repeat = 0.0;
    }

    fn turn(&mut self, now: u64) {
        self.now = now;
        // SAFETY: the loop is alive, and nothing of ours is borrowed.
        unsafe { (self.run)(self.event_loop, EVRUN_NOWAIT) };
    }

    fn fired(&self) -> usize {
        *self.fired
    }
}

impl Drop for Libev {
    fn drop(&mut self) {
        // SAFETY: the loop is alive, and not used again; the watchers are still there.
        unsafe { (self.destroy)(self.event_loop) };
    }
}
