//! How other threads wake the loop: one atomic with three states.
//!
//! ```text
//!            park                    ring (makes the system call)
//!   AWAKE ──────────▶ PARKED ──────────────────────────▶ RUNG
//!     │                  │                                 │
//!     ◀──────────────────┴────────── answer ───────────────┘
//!     └──────────────────────── ring ──────────────────────▶
//! ```
//!
//! Whoever leaves something for the loop puts it into the inbox first and rings after that. The
//! loop answers first and looks into the inbox after that. The laws:
//!
//! 1. What was left before a ring is found by the look that follows the next answer, which says
//!    that somebody rang. So nothing stays in the inbox.
//! 2. The loop parks only if nobody has rung since it last answered, and who rings at a parked loop
//!    makes the system call that wakes it. So no ring is slept through.
//! 3. Only the first to ring at a parked loop makes a system call, and nobody does at a loop that
//!    is awake.
//! 4. Each step both releases and acquires, also that of a ring which changes nothing. So what was
//!    written before any ring is seen after the answer.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU8, Ordering};

/// The loop runs, and will answer before it parks.
const AWAKE: u8 = 0;
/// The loop waits for I/O, or is about to.
const PARKED: u8 = 1;
/// Somebody rang, and the loop has not answered yet.
const RUNG: u8 = 2;

#[derive(Debug)]
pub(crate) struct Doorbell(AtomicU8);

impl Doorbell {
    pub(crate) fn new() -> Doorbell {
        Doorbell(AtomicU8::new(AWAKE))
    }

    /// Says that something was left. Returns whether the loop has to be woken by a system call.
    #[must_use]
    pub(crate) fn ring(&self) -> bool {
        self.swap_in_ring() == PARKED
    }

    fn swap_in_ring(&self) -> u8 {
        self.0.swap(RUNG, Ordering::AcqRel)
    }

    /// For the loop: whether somebody rang and was not answered yet.
    pub(crate) fn is_rung(&self) -> bool {
        self.0.load(Ordering::Acquire) == RUNG
    }

    /// For the loop: whether it said that it waits, and nobody has rung.
    pub(crate) fn is_parked(&self) -> bool {
        self.0.load(Ordering::Relaxed) == PARKED
    }

    /// For the loop: says that it is going to wait. Returns false if it must not, because somebody
    /// rang.
    #[must_use]
    pub(crate) fn park(&self) -> bool {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let parked = self.0.compare_exchange(AWAKE, PARKED, success, failure);
        parked.is_ok() || parked == Err(PARKED)
    }

    /// For the loop: says that it is awake. Returns whether somebody rang; then it is time to look
    /// into the inbox.
    #[must_use]
    pub(crate) fn answer(&self) -> bool {
        // Only a ring changes this state behind the loop's back, and will be found the next time.
        if self.0.load(Ordering::Relaxed) == AWAKE {
            return false;
        }
        self.0.swap(AWAKE, Ordering::AcqRel) == RUNG
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
    struct House {
        bell: Doorbell,
        inbox: Mutex<Vec<usize>>,
        kernel: Mutex<bool>,
        woken: Condvar,
        system_calls: AtomicUsize,
    }

    impl House {
        fn new() -> Arc<House> {
            Arc::new(House {
                bell: Doorbell::new(),
                inbox: Mutex::new(Vec::new()),
                kernel: Mutex::new(false),
                woken: Condvar::new(),
                system_calls: AtomicUsize::new(0),
            })
        }

        fn leave(&self, what: usize) {
            self.inbox.lock().unwrap().push(what);
            self.ring();
        }

        fn ring(&self) {
            if self.bell.ring() {
                self.system_calls.fetch_add(1, Ordering::Relaxed);
                *self.kernel.lock().unwrap() = true;
                self.woken.notify_one();
            }
        }

        /// One turn of the loop: waits if it may, and returns what was left.
        fn turn(&self) -> Vec<usize> {
            if self.bell.park() {
                let mut rung = self.kernel.lock().unwrap();
                while !*rung {
                    rung = self.woken.wait(rung).unwrap();
                }
                *rung = false;
            }
            if self.bell.answer() {
                return std::mem::take(&mut *self.inbox.lock().unwrap());
            }
            Vec::new()
        }
    }

    #[test]
    fn l69_nothing_that_was_left_is_slept_through() {
        loom::model(|| {
            let house = House::new();
            let threads = [1, 2].map(|what| {
                let house = Arc::clone(&house);
                thread::spawn(move || house.leave(what))
            });
            let mut found = Vec::new();
            // A turn that would sleep through a ring never ends, which loom reports.
            while found.len() < 2 {
                found.extend(house.turn());
            }
            found.sort_unstable();
            assert_eq!(found, [1, 2]);
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }

    #[test]
    fn l70_a_ring_that_changes_nothing_still_publishes_what_was_written_before() {
        loom::model(|| {
            let house = House::new();
            let written = Arc::new(AtomicUsize::new(0));
            let coalesced = Arc::new(AtomicUsize::new(0));
            house.ring();
            let thread = thread::spawn({
                let (house, written) = (Arc::clone(&house), Arc::clone(&written));
                let coalesced = Arc::clone(&coalesced);
                move || {
                    written.store(1, Ordering::Relaxed);
                    let before = house.bell.swap_in_ring();
                    // Tells the order of things, but orders nothing.
                    coalesced.store(usize::from(before == RUNG), Ordering::Relaxed);
                }
            });
            assert!(house.bell.answer());
            if coalesced.load(Ordering::Relaxed) == 1 {
                assert_eq!(written.load(Ordering::Relaxed), 1);
            }
            thread.join().unwrap();
        });
    }

    #[test]
    fn l71_rings_that_become_one_cost_one_system_call() {
        loom::model(|| {
            let house = House::new();
            assert!(house.bell.park());
            let threads = [1, 2].map(|what| {
                let house = Arc::clone(&house);
                thread::spawn(move || house.leave(what))
            });
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(house.system_calls.load(Ordering::Relaxed), 1);
            assert!(house.bell.answer());
            assert_eq!(house.inbox.lock().unwrap().len(), 2);
        });
    }
}
