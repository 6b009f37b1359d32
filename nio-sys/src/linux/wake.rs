//! The wake-up: how a thread that makes a knote active wakes the threads that wait.
//!
//! Waiting threads sleep in epoll. The queue's eventfd is in the epoll set, edge-triggered: each write to it is
//! an edge, which ends one wait. Its count means nothing. The protocol:
//!
//! 1. Everything here changes only under the queue's lock. The flag `pending` mirrors "the list of active
//!    knotes is not empty" and is read without the lock in one place (rule 4).
//! 2. A thread that has made a knote active, or leaves the list not empty without an edge, writes the eventfd.
//!    It does so after it has released the lock; the woken thread would wait for the lock otherwise. A knote
//!    that is triggered twice costs one write.
//! 3. A wait that epoll gave the edge to records that under the lock, before it looks at the list. If it leaves
//!    knotes in the list, rule 2 makes a new edge.
//! 4. A wait that comes back without events looks at the flag, and at the list if it is set: the thread that
//!    is to write the edge may not have done so yet.
//! 5. A thread that leaves the list empty takes back an edge that no wait has returned, by reading the eventfd,
//!    so that the queue does not stay readable (K8).
//! 6. An edge too many is harmless: the wait that it ends finds nothing, and goes on.

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicBool, Ordering};

/// The part that is read without the lock: whether a knote is active.
#[derive(Debug, Default)]
pub(super) struct Pending(AtomicBool);

impl Pending {
    /// Rule 4. A thread always sees the knotes that it has made active itself; for those that another thread
    /// makes active there is an edge.
    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Called under the lock.
    #[inline]
    fn set(&self, pending: bool) {
        if self.0.load(Ordering::Relaxed) != pending {
            self.0.store(pending, Ordering::Relaxed);
        }
    }
}

/// The part that the lock guards: whether an edge is there that no wait has returned.
#[derive(Debug, Default)]
pub(super) struct Edge(bool);

/// The call that a thread makes on the eventfd as it releases the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    Nothing,
    /// Write it, after the lock is released.
    Write,
    /// Read it, before.
    TakeBack,
}

impl Edge {
    /// A wait has returned the edge (rule 3).
    #[inline]
    pub(super) fn returned(&mut self) {
        self.0 = false;
    }

    /// Decides the call on the eventfd before the lock is released: `active` says whether the list has knotes,
    /// `grew` whether one was added under this lock.
    #[inline]
    pub(super) fn settle(&mut self, pending: &Pending, active: bool, grew: bool) -> Duty {
        pending.set(active);
        match (active, self.0) {
            (true, there) if grew || !there => {
                self.0 = true;
                Duty::Write
            }
            (false, true) => {
                self.0 = false;
                Duty::TakeBack
            }
            _ => Duty::Nothing,
        }
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p nio-sys --release --lib loom_` tries all orders in which
/// threads can meet here.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{
        sync::{Arc, Mutex, MutexGuard},
        thread,
    };

    use super::*;

    /// A queue, reduced to the protocol: the list is a count of active knotes.
    #[derive(Default)]
    struct Queue {
        pending: Pending,
        /// The eventfd, as epoll sees it.
        eventfd: AtomicBool,
        state: Mutex<State>,
    }

    #[derive(Default)]
    struct State {
        edge: Edge,
        active: usize,
        grew: bool,
    }

    impl Queue {
        fn unlock(&self, mut state: MutexGuard<'_, State>) {
            let (active, grew) = (state.active > 0, std::mem::take(&mut state.grew));
            match state.edge.settle(&self.pending, active, grew) {
                Duty::Nothing => {}
                Duty::TakeBack => {
                    self.eventfd.swap(false, Ordering::AcqRel);
                }
                Duty::Write => {
                    drop(state);
                    self.eventfd.swap(true, Ordering::AcqRel);
                }
            }
        }

        /// Makes one more knote active.
        fn trigger(&self) {
            let mut state = self.state.lock().unwrap();
            state.active += 1;
            state.grew = true;
            self.unlock(state);
        }

        /// Deletes all knotes, and returns how many there were.
        fn delete(&self) -> usize {
            let mut state = self.state.lock().unwrap();
            let deleted = std::mem::take(&mut state.active);
            self.unlock(state);
            deleted
        }

        /// A wait that does not block, with room for `room` knotes.
        fn wait(&self, room: usize) -> usize {
            let edge = self.eventfd.swap(false, Ordering::AcqRel);
            if !edge && !self.pending.is_set() {
                return 0;
            }
            let mut state = self.state.lock().unwrap();
            if edge {
                state.edge.returned();
            }
            let taken = state.active.min(room);
            state.active -= taken;
            self.unlock(state);
            taken
        }

        /// The number of knotes that a thread gets when it waits for one edge after another.
        fn wait_while_there_is_an_edge(&self) -> usize {
            let mut taken = 0;
            while self.eventfd.load(Ordering::Acquire) {
                taken += self.wait(1);
            }
            taken
        }

        fn is_readable(&self) -> bool {
            self.eventfd.load(Ordering::Acquire)
        }
    }

    fn spawn<T: 'static>(
        queue: &Arc<Queue>,
        function: impl FnOnce(&Queue) -> T + 'static,
    ) -> thread::JoinHandle<T> {
        let queue = Arc::clone(queue);
        thread::spawn(move || function(&queue))
    }

    #[test]
    fn loom_a_thread_finds_its_own_trigger_whichever_thread_writes_the_edge() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let other = spawn(&queue, Queue::trigger);
            queue.trigger();
            assert!(queue.wait(1) > 0);
            other.join().unwrap();
        });
    }

    #[test]
    fn loom_no_trigger_is_lost_while_another_thread_waits() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let trigger = spawn(&queue, Queue::trigger);
            let waiter = spawn(&queue, |queue| queue.wait(1));
            queue.trigger();
            trigger.join().unwrap();
            let taken = waiter.join().unwrap();
            assert_eq!(taken + queue.wait_while_there_is_an_edge(), 2);
        });
    }

    #[test]
    fn loom_no_trigger_is_lost_while_another_thread_deletes() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let trigger = spawn(&queue, Queue::trigger);
            let other = spawn(&queue, Queue::trigger);
            let deleted = queue.delete();
            trigger.join().unwrap();
            other.join().unwrap();
            assert_eq!(deleted + queue.wait_while_there_is_an_edge(), 2);
        });
    }

    #[test]
    fn loom_a_queue_with_nothing_active_is_not_readable_after_a_wait_that_returned_nothing() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let trigger = spawn(&queue, Queue::trigger);
            let waiter = spawn(&queue, |queue| queue.wait(2));
            let mut taken = queue.wait(2);
            trigger.join().unwrap();
            taken += waiter.join().unwrap();
            taken += queue.wait_while_there_is_an_edge();
            assert_eq!(taken, 1);
            assert_eq!(queue.wait(2), 0);
            assert!(!queue.is_readable());
        });
    }
}
