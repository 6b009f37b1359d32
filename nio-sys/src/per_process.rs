//! A value of the process that a child of fork(2) does not inherit.
//!
//! A child has a copy of its parent's memory. A mutex that another thread of the parent had locked stays locked
//! in the copy. So a value with a mutex in it belongs to the process that made it, and a child makes its own. The
//! copy of the parent's value is leaked.

use std::{
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use crate::sys::this_process;

/// A static that each process makes for itself when it first needs it.
#[derive(Debug)]
pub(crate) struct PerProcess<T: 'static> {
    owned: AtomicPtr<Owned<T>>,
}

#[derive(Debug)]
struct Owned<T> {
    process: usize,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess {
            owned: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The value of this process, if it has made one. Async-signal-safe.
    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: it is null, or was leaked by `get_or_make` and is never changed or freed.
        let owned = unsafe { self.owned.load(Ordering::Acquire).as_ref() }?;
        (owned.process == this_process()).then_some(&owned.value)
    }

    /// The value of this process, made by `make` if there is none.
    pub(crate) fn get_or_make(&self, make: impl Fn() -> T) -> &'static T {
        loop {
            let before = self.owned.load(Ordering::Acquire);
            if let Some(value) = self.get() {
                return value;
            }
            let process = this_process();
            let value = make();
            let owned = ptr::from_mut(Box::leak(Box::new(Owned { process, value })));
            let order = (Ordering::AcqRel, Ordering::Acquire);
            // The thread that loses the race leaks its value and uses the winner's.
            let _ = self.owned.compare_exchange(before, owned, order.0, order.1);
        }
    }

    /// Whether this is the value of this process, and not a copy of the parent's.
    pub(crate) fn is_current(&self, value: &T) -> bool {
        self.get().is_some_and(|current| ptr::eq(current, value))
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, thread};

    use super::*;

    static VALUE: PerProcess<Mutex<u32>> = PerProcess::new();

    #[test]
    fn k4_a_child_makes_its_own_value_though_the_parents_is_locked() {
        assert!(VALUE.get().is_none());
        let made = thread::scope(|scope| {
            let threads = [(); 4].map(|()| {
                scope.spawn(|| ptr::from_ref(VALUE.get_or_make(Mutex::default)) as usize)
            });
            threads.map(|thread| thread.join().unwrap())
        });
        let parents = VALUE.get().unwrap();
        assert!(
            made.iter()
                .all(|&made| made == ptr::from_ref(parents) as usize)
        );
        let _locked = parents.lock().unwrap();
        // SAFETY: the child has one thread, which locks nothing of its parent's, and ends.
        unsafe {
            let pid = libc::fork();
            assert!(pid >= 0, "fork failed");
            if pid == 0 {
                libc::alarm(20);
                let is_inherited = VALUE.get().is_some() || VALUE.is_current(parents);
                *VALUE.get_or_make(Mutex::default).lock().unwrap() += 1;
                let is_own = VALUE.get().is_some_and(|own| *own.lock().unwrap() == 1);
                libc::_exit(i32::from(is_inherited || !is_own));
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
            assert_eq!(status, 0);
        }
    }
}
