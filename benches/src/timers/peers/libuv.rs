//! libuv: a binary heap of nodes with pointers, within the user's handles. It counts milliseconds.

use crate::library::Library;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ffi::{c_int, c_void};

type OnHandle = unsafe extern "C" fn(*mut c_void) -> c_int;
type Callback = extern "C" fn(*mut c_void);

pub(super) struct Libuv {
    memory: *mut u8,
    layout: Layout,
    handles: *mut u8,
    handle_size: usize,
    start: unsafe extern "C" fn(*mut c_void, Callback, u64, u64) -> c_int,
    stop: OnHandle,
    run: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    now: u64,
    fired: usize,
}

const UV_RUN_NOWAIT: c_int = 2;
/// `uv_handle_type`.
const UV_TIMER: c_int = 13;

thread_local! {
    static FIRED: Cell<usize> = const { Cell::new(0) };
}

extern "C" fn fire(_handle: *mut c_void) {
    FIRED.set(FIRED.get() + 1);
}

impl super::Open for Libuv {
    fn open(timers: usize) -> Option<Self> {
        let library = Library::load(c"libuv.so.1")?;
        // SAFETY: the types are those of uv.h. The memory holds a loop and the handles, each of them
        // initialised before it is used, and does not move.
        unsafe {
            let loop_size: extern "C" fn() -> usize = library.function(c"uv_loop_size")?;
            let handle_size: extern "C" fn(c_int) -> usize = library.function(c"uv_handle_size")?;
            let loop_init: OnHandle = library.function(c"uv_loop_init")?;
            let timer_init: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int =
                library.function(c"uv_timer_init")?;
            let (loop_size, handle_size) =
                (loop_size().next_multiple_of(16), handle_size(UV_TIMER));
            let layout = Layout::from_size_align(loop_size + timers * handle_size, 16).ok()?;
            let memory = alloc_zeroed(layout);
            if memory.is_null() {
                handle_alloc_error(layout);
            }
            let handles = memory.add(loop_size);
            loop_init(memory.cast());
            for timer in 0..timers {
                timer_init(memory.cast(), handles.add(timer * handle_size).cast());
            }
            FIRED.set(0);
            Some(Libuv {
                memory,
                layout,
                handles,
                handle_size,
                start: library.function(c"uv_timer_start")?,
                stop: library.function(c"uv_timer_stop")?,
                run: library.function(c"uv_run")?,
                now: crate::clock::now(),
                fired: 0,
            })
        }
    }
}

impl Libuv {
    fn handle(&self, timer: u32) -> *mut c_void {
        // SAFETY: scripts name only timers for which there is a handle.
        unsafe { self.handles.add(timer as usize * self.handle_size).cast() }
    }
}

impl super::Peer for Libuv {
    fn insert(&mut self, timer: u32, deadline: u64) {
        let delay = (deadline - self.now).div_ceil(1_000_000);
        // SAFETY: the handle is initialised.
        unsafe { (self.start)(self.handle(timer), fire, delay, 0) };
    }

    fn cancel(&mut self, timer: u32) {
        // SAFETY: the handle is initialised.
        unsafe { (self.stop)(self.handle(timer)) };
    }

    fn later(&mut self, timer: u32, deadline: u64) {
        self.insert(timer, deadline);
    }

    fn turn(&mut self, now: u64) {
        self.now = now;
        // SAFETY: the loop is initialised, and nothing of ours is borrowed.
        unsafe { (self.run)(self.memory.cast(), UV_RUN_NOWAIT) };
        self.fired = FIRED.get();
    }

    fn fired(&self) -> usize {
        self.fired
    }
}

impl Drop for Libuv {
    /// The loop's few descriptors are left open: closing them takes a turn for each handle.
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and nothing runs the loop again.
        unsafe { dealloc(self.memory, self.layout) };
    }
}
