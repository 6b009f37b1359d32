//! libuv's functions, by the types of uv.h.

use std::{
    ffi::{CStr, c_int, c_void},
    ptr,
};

use crate::library::{LIBUV, Library};

pub(crate) const RUN_DEFAULT: c_int = 0;
pub(crate) const RUN_NOWAIT: c_int = 2;

// Of `uv_handle_type`.
pub(crate) const ASYNC: c_int = 1;
pub(crate) const TIMER: c_int = 13;

/// A `uv_loop_t` or a `uv_handle_t`. Each begins with a pointer that is the user's.
pub(crate) type Object = *mut c_void;

type Init = unsafe extern "C" fn(Object, Object) -> c_int;
type OnObject = unsafe extern "C" fn(Object) -> c_int;
pub(crate) type Callback = extern "C" fn(Object);

#[derive(Clone, Copy)]
pub(crate) struct Uv {
    handle_size: extern "C" fn(c_int) -> usize,
    pub(crate) run: unsafe extern "C" fn(Object, c_int) -> c_int,
    pub(crate) stop: unsafe extern "C" fn(Object),
    pub(crate) async_init: unsafe extern "C" fn(Object, Object, Callback) -> c_int,
    pub(crate) async_send: OnObject,
    pub(crate) timer_init: Init,
    pub(crate) timer_start: unsafe extern "C" fn(Object, Callback, u64, u64) -> c_int,
    pub(crate) timer_stop: OnObject,
    loop_size: extern "C" fn() -> usize,
    loop_init: OnObject,
}

impl Uv {
    /// All of it, if it is installed.
    pub(crate) fn load() -> Option<Uv> {
        let library = Library::load(LIBUV)?;
        fn get<F: Copy>(library: Library, name: &CStr) -> Option<F> {
            // SAFETY: the fields that are made of it below have the types of uv.h.
            unsafe { library.function(name) }
        }
        Some(Uv {
            handle_size: get(library, c"uv_handle_size")?,
            run: get(library, c"uv_run")?,
            stop: get(library, c"uv_stop")?,
            async_init: get(library, c"uv_async_init")?,
            async_send: get(library, c"uv_async_send")?,
            timer_init: get(library, c"uv_timer_init")?,
            timer_start: get(library, c"uv_timer_start")?,
            timer_stop: get(library, c"uv_timer_stop")?,
            loop_size: get(library, c"uv_loop_size")?,
            loop_init: get(library, c"uv_loop_init")?,
        })
    }

    /// A loop, for as long as the program runs.
    pub(crate) fn new_loop(&self) -> Object {
        let memory = allocate((self.loop_size)());
        // SAFETY: there is room for a loop.
        assert_eq!(unsafe { (self.loop_init)(memory) }, 0);
        memory
    }

    /// Memory for a handle, for as long as the program runs: to free it would take a turn of the loop.
    pub(crate) fn new_handle(&self, kind: c_int) -> Object {
        allocate((self.handle_size)(kind))
    }

    /// A handle that other threads can wake the loop by, which runs `callback` with it then.
    pub(crate) fn new_async<T>(&self, on: Object, callback: Callback, data: &'static T) -> Object {
        let handle = self.new_handle(ASYNC);
        // SAFETY: the loop is initialised, and there is room for a handle.
        assert_eq!(unsafe { (self.async_init)(on, handle, callback) }, 0);
        set_data(handle, data);
        handle
    }
}

/// Zeroes, aligned for anything.
fn allocate(size: usize) -> Object {
    Box::leak(vec![0_u128; size.div_ceil(16)].into_boxed_slice())
        .as_mut_ptr()
        .cast()
}

/// Gives a handle the data of its callback.
pub(crate) fn set_data<T>(handle: Object, data: &'static T) {
    // SAFETY: a handle begins with the user's pointer.
    unsafe { handle.cast::<*const T>().write(ptr::from_ref(data)) };
}

/// The data that a handle was given.
///
/// # Safety
///
/// The data must have been a `T`.
pub(crate) unsafe fn data<T>(handle: Object) -> &'static T {
    // SAFETY: a handle begins with the user's pointer, which is to a `T` that is never freed.
    unsafe { &**handle.cast::<*const T>() }
}
