//! C libraries, loaded when the program runs: whoever builds it needs none of them.

use std::ffi::{CStr, c_void};

/// A library that was loaded.
#[derive(Clone, Copy)]
pub struct Library(*mut c_void);

impl Library {
    /// Loads a library for as long as the program runs.
    pub fn load(name: &CStr) -> Option<Self> {
        // SAFETY: `name` is a C string. What the library does when it is loaded is the user's choice.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
        (!handle.is_null()).then_some(Library(handle))
    }

    /// A function of the library.
    ///
    /// # Safety
    ///
    /// `F` must be a function pointer of the type that the library's header gives `name`.
    pub unsafe fn function<F: Copy>(self, name: &CStr) -> Option<F> {
        assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
        // SAFETY: the handle is open, `name` is a C string.
        let address = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        // SAFETY: it is not null and, as the caller promises, it is a function of type `F`.
        (!address.is_null()).then(|| unsafe { std::mem::transmute_copy(&address) })
    }
}
