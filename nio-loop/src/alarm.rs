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
//! A thread puts something into the inbox and then notifies. The loop unparks and then empties the
//! inbox. The laws:
//!
//! 1. The next unpark after a notification returns true, and the loop then finds everything that was
//!    put in before the notification. So nothing stays in the inbox.
//! 2. The loop parks only if there was no notification since its last unpark. A notification of a
//!    parked loop makes the system call that wakes it. So there is no lost wake-up.
//! 3. Only the first notification of a parked loop makes a system call; a notification of a loop that
//!    is awake makes none.
//! 4. Each step releases and acquires, also a notification that changes nothing. So everything
//!    written before any notification is seen after the unpark.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU8, Ordering};

/// The loop runs, and will unpark before it parks.
const AWAKE: u8 = 0;
/// The loop waits for I/O, or is about to.
const PARKED: u8 = 1;
/// There was a notification since the last unpark.
const NOTIFIED: u8 = 2;

#[derive(Debug)]
pub(crate) struct Alarm(AtomicU8);

impl Alarm {
    pub(crate) fn new() -> Alarm {
        Alarm(AtomicU8::new(AWAKE))
    }

    /// Notifies the loop. Returns whether the caller has to wake it by a system call.
    #[must_use]
    pub(crate) fn notify(&self) -> bool {
        self.swap_in() == PARKED
    }

    fn swap_in(&self) -> u8 {
        self.0.swap(NOTIFIED, Ordering::AcqRel)
    }

    /// For the loop: whether there was a notification since its last unpark.
    pub(crate) fn is_notified(&self) -> bool {
        self.0.load(Ordering::Acquire) == NOTIFIED
    }

    /// For the loop: whether it is parked without a notification.
    #[inline]
    pub(crate) fn is_parked(&self) -> bool {
        self.0.load(Ordering::Relaxed) == PARKED
    }

    /// For the loop: parks before it waits. Returns false if it must not wait, because there was a
    /// notification.
    #[must_use]
    pub(crate) fn park(&self) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let parked = self.0.compare_exchange(AWAKE, PARKED, success, failure);
        parked.is_ok() || parked == Err(PARKED)
    }

    /// For the loop: unparks. Returns whether there was a notification: then the inbox may hold
    /// something.
    #[must_use]
    pub(crate) fn unpark(&self) -> bool {
        // Only a notification can change this state now, and the next unpark finds it.
        if self.0.load(Ordering::Relaxed) == AWAKE {
            return false;
        }
        self.0.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p nio-loop --release --lib loom_` tries all interleavings of the
/// threads.
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

        fn put(&self, item: usize) {
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

        /// One turn of the loop: waits if it may, and returns the contents of the inbox.
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
    fn l69_no_wake_up_is_lost() {
        loom::model(|| {
            let model_loop = Model::new();
            let threads = [1, 2].map(|item| {
                let model_loop = Arc::clone(&model_loop);
                thread::spawn(move || model_loop.put(item))
            });
            let mut found = Vec::new();
            // If a wake-up is lost, a turn never ends, and loom reports that.
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
                    // Relaxed: it must not create an order that the test is to find.
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
                thread::spawn(move || model_loop.put(item))
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
