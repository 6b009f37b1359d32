//! The promise of an edge: how the queue's eventfd is written without the lock.
//!
//! Whoever leaves knotes in the list of active ones has to give the eventfd an edge. It does so when
//! it has let go of the lock, because the thread that is woken wants the lock first of all: written
//! under it, a wake of another thread takes three times as long. So there is a while in which an edge
//! is promised and not yet written. The protocol:
//!
//! 1. `signalled`, under the lock: an edge has been promised that no wait has returned yet.
//! 2. Who leaves active knotes that are not signalled makes a promise under the lock: it sets
//!    `signalled`, and counts one more unkept promise. It writes when it has let go of the lock, and
//!    then counts one less.
//! 3. Who finds them signalled, and no promise unkept, has nothing to do: the edge is there. With an
//!    unkept one it cannot know that, and makes a promise of its own. Else its caller could find the
//!    queue silent after a trigger that has returned.
//! 4. An edge too many is harmless: the wait that it ends finds nothing, and waits on.
//!
//! The count is raised under the lock, so whoever has the lock next knows of it. It is lowered with
//! `Release` and read with `Acquire`, so whoever finds it at zero comes after all the writes.

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicUsize, Ordering};

/// The promises of one queue.
#[derive(Debug, Default)]
pub(super) struct Promises {
    unkept: AtomicUsize,
}

impl Promises {
    /// Makes a promise, unless the edge is sure to be there. Called under the lock that guards
    /// `signalled`. If it returns true, the caller lets go of the lock, writes, and calls
    /// [`kept`](Promises::kept).
    pub(super) fn make(&self, signalled: &mut bool) -> bool {
        if *signalled && self.unkept.load(Ordering::Acquire) == 0 {
            return false;
        }
        *signalled = true;
        self.unkept.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The edge has been written.
    pub(super) fn kept(&self) {
        self.unkept.fetch_sub(1, Ordering::Release);
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p nio-sys --release --lib loom_` tries all orders in which
/// threads can meet here.
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{
        sync::{Arc, Mutex, atomic::AtomicBool},
        thread,
    };

    use super::*;

    /// The queue as far as the protocol goes. The edge is as weakly ordered as can be: whoever sees it
    /// owes that to the promises. It is only ever swapped, as a system call adds to a count and takes it.
    #[derive(Default)]
    struct Queue {
        state: Mutex<State>,
        promises: Promises,
        edge: AtomicBool,
    }

    #[derive(Default)]
    struct State {
        active: usize,
        signalled: bool,
    }

    impl Queue {
        fn trigger(&self) {
            let mut state = self.state.lock().unwrap();
            state.active += 1;
            let promised = self.promises.make(&mut state.signalled);
            drop(state);
            if promised {
                self.edge.swap(true, Ordering::Relaxed);
                self.promises.kept();
            }
        }

        /// A wait that does not block. Returns what it collected.
        fn wait(&self) -> usize {
            if !self.edge.swap(false, Ordering::Relaxed) {
                return 0;
            }
            std::mem::take(&mut *self.state.lock().unwrap()).active
        }

        /// Removes all knotes, and the edge with the last of them.
        fn delete(&self) -> usize {
            let mut state = self.state.lock().unwrap();
            if std::mem::take(&mut state.signalled) {
                self.edge.swap(false, Ordering::Relaxed);
            }
            std::mem::take(&mut state.active)
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
    fn loom_after_a_trigger_the_edge_is_there() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let other = spawn(&queue, Queue::trigger);
            queue.trigger();
            assert!(queue.edge.load(Ordering::Relaxed));
            other.join().unwrap();
        });
    }

    #[test]
    fn loom_no_trigger_is_lost_while_another_thread_waits() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let trigger = spawn(&queue, Queue::trigger);
            let waiter = spawn(&queue, |queue| queue.wait() + queue.wait());
            queue.trigger();
            trigger.join().unwrap();
            let collected = waiter.join().unwrap();
            assert_eq!(collected + queue.wait(), 2);
        });
    }

    #[test]
    fn loom_no_trigger_is_lost_while_another_thread_deletes() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let trigger = spawn(&queue, Queue::trigger);
            let deleter = spawn(&queue, Queue::delete);
            queue.trigger();
            trigger.join().unwrap();
            let deleted = deleter.join().unwrap();
            assert_eq!(deleted + queue.wait(), 2);
        });
    }
}
