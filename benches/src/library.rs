//! C libraries, loaded when the program runs, so that nothing has to be installed to build it.

use std::{
    ffi::{CStr, c_void},
    io,
};

pub(crate) const LIBUV: &CStr = c"libuv.so.1";
pub(crate) const LIBEV: &CStr = c"libev.so.4";
pub(crate) const LIBEVENT: &CStr = c"libevent_core-2.1.so.7";

/// The libraries, and the Debian packages that have them.
pub(crate) const ALL: [(&CStr, &str); 3] = [
    (LIBUV, "libuv1"),
    (LIBEV, "libev4"),
    (LIBEVENT, "libevent-core-2.1-7"),
];

/// A library that was loaded.
#[derive(Clone, Copy)]
pub(crate) struct Library(*mut c_void);

impl Library {
    /// Loads a library for as long as the program runs.
    pub(crate) fn load(name: &CStr) -> Option<Self> {
        // SAFETY: `name` is a C string, and these libraries run no code when they are loaded.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
        (!handle.is_null()).then_some(Library(handle))
    }

    /// A function of the library.
    ///
    /// # Safety
    ///
    /// `F` must be a function pointer of the type that the library's header gives `name`.
    pub(crate) unsafe fn function<F: Copy>(self, name: &CStr) -> Option<F> {
        assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
        // SAFETY: the handle is open, `name` is a C string.
        let address = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        // SAFETY: it is not null and, as the caller promises, it is a function of type `F`.
        (!address.is_null()).then(|| unsafe { std::mem::transmute_copy(&address) })
    }
}

/// The error of a library that is not installed, or lacks a function.
pub(crate) fn not_there<T>(found: Option<T>) -> io::Result<T> {
    found.ok_or_else(|| io::Error::other("the library, or a function of it, is missing"))
}
