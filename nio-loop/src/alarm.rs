//! How other threads wake the loop: one atomic with three states.
//!
//! ```text
//!            park                  notify (makes the system call)
//!   AWAKE ──────────▶ PARKED ──────────────────────────▶ NOTIFIED
//!     │                  │                                  │
//!     ◀──────────────────┴─────────── unpark ───────────────┘
//!     └───────────────────────── notify ────────────────────▶
//! ```
//!
//! A thread puts something into the inbox first and notifies after that. The loop unparks first and
//! looks into the inbox after that. The laws:
//!
//! 1. Everything put in before a notification is found by the look that follows the next unpark,
//!    which says that there was a notification. So nothing stays in the inbox.
//! 2. The loop parks only if there was no notification since it last unparked, and a notification of
//!    a parked loop makes the system call that wakes it. So no notification is slept through.
//! 3. Only the first notification of a parked loop makes a system call, and none of a loop that is
//!    awake.
//! 4. Each step both releases and acquires, also that of a notification which changes nothing. So
//!    everything written before any notification is seen after the unpark.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU8, Ordering};

/// The loop runs, and will unpark before it parks.
const AWAKE: u8 = 0;
/// The loop waits for I/O, or is about to.
const PARKED: u8 = 1;
/// There was a notification, and the loop has not unparked yet.
const NOTIFIED: u8 = 2;

#[derive(Debug)]
pub(crate) struct Alarm(AtomicU8);

impl Alarm {
    pub(crate) fn new() -> Alarm {
        Alarm(AtomicU8::new(AWAKE))
    }

    /// Says that something was put into the inbox. Returns whether the loop has to be woken by a
    /// system call.
    #[must_use]
    pub(crate) fn notify(&self) -> bool {
        self.swap_in() == PARKED
    }

    fn swap_in(&self) -> u8 {
        self.0.swap(NOTIFIED, Ordering::AcqRel)
    }

    /// For the loop: whether there was a notification since it last unparked.
    pub(crate) fn is_notified(&self) -> bool {
        self.0.load(Ordering::Acquire) == NOTIFIED
    }

    /// For the loop: whether it is parked, and was not notified.
    #[inline]
    pub(crate) fn is_parked(&self) -> bool {
        self.0.load(Ordering::Relaxed) == PARKED
    }

    /// For the loop: says that it is going to wait. Returns false if it must not, because there was
    /// a notification.
    #[must_use]
    pub(crate) fn park(&self) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let parked = self.0.compare_exchange(AWAKE, PARKED, success, failure);
        parked.is_ok() || parked == Err(PARKED)
    }

    /// For the loop: says that it is awake. Returns whether there was a notification; then it is
    /// time to look into the inbox.
    #[must_use]
    pub(crate) fn unpark(&self) -> bool {
        // Only a notification changes this state meanwhile, and is found the next time.
        if self.0.load(Ordering::Relaxed) == AWAKE {
            return false;
        }
        self.0.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p nio-loop --release --lib loom_` tries all orders in which
/// threads can meet here.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{
        sync::{Arc, Condvar, Mutex, atomic::AtomicUsize},
        thread,
    };

    use super::*;

    /// A loop's inbox, and the eventfd that wakes it.
    #[derive(Debug)]
    struct Model {
        alarm: Alarm,
        inbox: Mutex<Vec<usize>>,
        kernel: Mutex<bool>,
        woken: Condvar,
        system_calls: AtomicUsize,
    }

    impl Model {
        fn new() -> Arc<Model> {
            Arc::new(Model {
                alarm: Alarm::new(),
                inbox: Mutex::new(Vec::new()),
                kernel: Mutex::new(false),
                woken: Condvar::new(),
                system_calls: AtomicUsize::new(0),
            })
        }

        fn leave(&self, item: usize) {
            self.inbox.lock().unwrap().push(item);
            self.notify();
        }

        fn notify(&self) {
            if self.alarm.notify() {
                self.system_calls.fetch_add(1, Ordering::Relaxed);
                *self.kernel.lock().unwrap() = true;
                self.woken.notify_one();
            }
        }

        /// One turn of the loop: waits if it may, and returns everything that was left.
        fn turn(&self) -> Vec<usize> {
            if self.alarm.park() {
                let mut notified = self.kernel.lock().unwrap();
                while !*notified {
                    notified = self.woken.wait(notified).unwrap();
                }
                *notified = false;
            }
            if self.alarm.unpark() {
                return std::mem::take(&mut *self.inbox.lock().unwrap());
            }
            Vec::new()
        }
    }

    #[test]
    fn l69_nothing_that_was_left_is_slept_through() {
        loom::model(|| {
            let model_loop = Model::new();
            let threads = [1, 2].map(|item| {
                let model_loop = Arc::clone(&model_loop);
                thread::spawn(move || model_loop.leave(item))
            });
            let mut found = Vec::new();
            // A turn that would sleep through a notification never ends, which loom reports.
            while found.len() < 2 {
                found.extend(model_loop.turn());
            }
            found.sort_unstable();
            assert_eq!(found, [1, 2]);
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }

    #[test]
    fn l70_a_notification_that_changes_nothing_still_publishes_everything_written_before() {
        loom::model(|| {
            let model_loop = Model::new();
            let written = Arc::new(AtomicUsize::new(0));
            let coalesced = Arc::new(AtomicUsize::new(0));
            model_loop.notify();
            let thread = thread::spawn({
                let (model_loop, written) = (Arc::clone(&model_loop), Arc::clone(&written));
                let coalesced = Arc::clone(&coalesced);
                move || {
                    written.store(1, Ordering::Relaxed);
                    let before = model_loop.alarm.swap_in();
                    // Tells the order of things, but orders nothing.
                    coalesced.store(usize::from(before == NOTIFIED), Ordering::Relaxed);
                }
            });
            assert!(model_loop.alarm.unpark());
            if coalesced.load(Ordering::Relaxed) == 1 {
                assert_eq!(written.load(Ordering::Relaxed), 1);
            }
            thread.join().unwrap();
        });
    }

    #[test]
    fn l71_notifications_that_become_one_cost_one_system_call() {
        loom::model(|| {
            let model_loop = Model::new();
            assert!(model_loop.alarm.park());
            let threads = [1, 2].map(|item| {
                let model_loop = Arc::clone(&model_loop);
                thread::spawn(move || model_loop.leave(item))
            });
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(model_loop.system_calls.load(Ordering::Relaxed), 1);
            assert!(model_loop.alarm.unpark());
            assert_eq!(model_loop.inbox.lock().unwrap().len(), 2);
        });
    }
}
