//! Whether a waker is in the inbox: one flag, set by the threads that wake and cleared by the loop.
//!
//! The laws:
//!
//! 1. Of the wakes between two collections, one puts the waker into the inbox.
//! 2. The loop sees all writes before a wake once it has collected the waker, also before a wake that found the
//!    flag set and put nothing in.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(crate) struct Queued(AtomicBool);

impl Queued {
    pub(crate) fn new() -> Queued {
        Queued(AtomicBool::new(false))
    }

    /// For a wake. Returns whether the caller has to put the waker into the inbox.
    #[must_use]
    pub(crate) fn set(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// For the loop, when it has taken the waker out of the inbox: from here on it can be put in again.
    pub(crate) fn clear(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}

/// See `alarm` for how to run this.
#[cfg(all(test, loom))]
mod loom_tests {
    use std::array;

    use loom::{
        sync::{Arc, Mutex},
        thread,
    };

    use super::*;

    const THREADS: usize = 2;

    struct Model {
        queued: Queued,
        /// How often the waker is in the inbox.
        inbox: Mutex<usize>,
        /// What each thread writes before its wake.
        written: [AtomicBool; THREADS],
    }

    impl Model {
        fn wake(&self, thread: usize) {
            // Relaxed: it must not create an order that the test is to find.
            self.written[thread].store(true, Ordering::Relaxed);
            if self.queued.set() {
                *self.inbox.lock().unwrap() += 1;
            }
        }

        /// What the loop sees when it finds the waker in the inbox.
        fn collect(&self, seen: &mut [bool; THREADS]) {
            let found = std::mem::take(&mut *self.inbox.lock().unwrap());
            assert!(found <= 1, "law 1");
            if found == 1 {
                self.queued.clear();
                *seen = array::from_fn(|i| self.written[i].load(Ordering::Relaxed));
            }
        }
    }

    #[test]
    fn loom_the_loop_sees_what_was_written_before_each_wake() {
        loom::model(|| {
            let model = Arc::new(Model {
                queued: Queued::new(),
                inbox: Mutex::new(0),
                written: array::from_fn(|_| AtomicBool::new(false)),
            });
            let threads: [_; THREADS] = array::from_fn(|i| {
                let model = Arc::clone(&model);
                thread::spawn(move || model.wake(i))
            });
            let mut seen = [false; THREADS];
            model.collect(&mut seen);
            for thread in threads {
                thread.join().unwrap();
            }
            model.collect(&mut seen);
            assert_eq!(seen, [true; THREADS], "law 2");
        });
    }
}
