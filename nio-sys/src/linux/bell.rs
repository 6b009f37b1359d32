//! The bell: how those who make something active tell those who wait.
//!
//! What user space makes active has a bit in one word: each user knote that is *quick*
//! ([`Users`](super::user::Users)) one of its own, and the list of active knotes, which is under the
//! lock, all together one. The protocol:
//!
//! 1. Who makes something active then sets its bit. If no bit was set, he writes the eventfd: that is an
//!    edge, which ends a wait on epoll. If one was, an edge is there, or whoever set that bit is about to
//!    write it.
//! 2. Whoever comes back from epoll, edge or not, looks at the word. If a bit is set he takes all of
//!    them, and delivers what they stand for; of what does not fit he sets the bits again, by 1. So a
//!    wait also finds what this thread has made active before, whoever is to write the edge.
//! 3. Where the last thing that was active is deleted, the edge is taken back (K8). A bit that was set
//!    meanwhile may have lost its edge with that, and is given another one.
//! 4. An edge too many is harmless: the wait that it ends finds nothing, and waits on.
//!
//! A bit is set with `Release` and taken with `Acquire`, so who is woken sees what was written before the
//! wake. The eventfd orders what is done around its system calls as well. It is written without the lock,
//! because the thread that is woken wants it: written under the lock, a wake of another thread takes
//! three times as long.

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bit of the list of active knotes.
pub(super) const LIST: usize = 1 << QUICK;

/// How many user knotes can be quick: those with the idents below this number.
pub(super) const QUICK: u32 = usize::BITS - 1;

/// The bell of one queue. Its edge is the caller's: the eventfd.
#[derive(Debug, Default)]
pub(super) struct Bell {
    bits: AtomicUsize,
}

impl Bell {
    /// Sets bits, and gives an edge if it takes one.
    #[inline]
    pub(super) fn ring(&self, bits: usize, give_edge: impl FnOnce()) {
        if self.bits.fetch_or(bits, Ordering::AcqRel) == 0 {
            give_edge();
        }
    }

    /// Sets the bit of the list, after the lock under which something was put there has been let go of.
    #[inline]
    pub(super) fn ring_list(&self, give_edge: impl FnOnce()) {
        // If it is set, whoever takes it will lock later than we did.
        if self.bits.load(Ordering::Relaxed) & LIST == 0 {
            self.ring(LIST, give_edge);
        }
    }

    /// Whether a bit is set.
    #[inline]
    pub(super) fn is_rung(&self) -> bool {
        self.bits.load(Ordering::Relaxed) != 0
    }

    /// Takes all bits.
    #[inline]
    pub(super) fn take(&self) -> usize {
        if self.is_rung() {
            self.bits.swap(0, Ordering::AcqRel)
        } else {
            0
        }
    }

    /// Clears bits, and says whether one of them was set.
    pub(super) fn cancel(&self, bits: usize) -> bool {
        self.bits.load(Ordering::Relaxed) & bits != 0
            && self.bits.fetch_and(!bits, Ordering::AcqRel) & bits != 0
    }

    /// Takes the edge back if nothing is active any more.
    pub(super) fn hush(&self, take_edge: impl FnOnce(), give_edge: impl FnOnce()) {
        if !self.is_rung() {
            take_edge();
            if self.is_rung() {
                give_edge();
            }
        }
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

    /// A queue as far as the protocol goes: one quick knote, whose triggers count what was written before
    /// them, and the list.
    #[derive(Default)]
    struct Queue {
        bell: Bell,
        edge: AtomicBool,
        list: Mutex<usize>,
        written: AtomicUsize,
    }

    /// The bit of the one quick knote.
    const KNOTE: usize = 1;

    /// What a thread that waits has seen.
    #[derive(Default)]
    struct Seen {
        list: usize,
        written: usize,
    }

    impl Queue {
        fn give_edge(&self) {
            self.edge.swap(true, Ordering::AcqRel);
        }

        fn take_edge(&self) -> bool {
            self.edge.swap(false, Ordering::AcqRel)
        }

        fn trigger_quickly(&self) {
            self.written.fetch_add(1, Ordering::Relaxed);
            self.bell.ring(KNOTE, || self.give_edge());
        }

        fn trigger(&self) {
            *self.list.lock().unwrap() += 1;
            self.bell.ring_list(|| self.give_edge());
        }

        /// A wait that does not block.
        fn wait(&self, seen: &mut Seen) {
            self.take_edge();
            let bits = self.bell.take();
            if bits & LIST != 0 {
                seen.list += std::mem::take(&mut *self.list.lock().unwrap());
            }
            if bits & KNOTE != 0 {
                seen.written = self.written.load(Ordering::Relaxed);
            }
        }

        /// As often as a wait that blocks would come back.
        fn wait_while_there_is_an_edge(&self, seen: &mut Seen) {
            while self.edge.load(Ordering::Acquire) {
                self.wait(seen);
            }
        }

        /// Deletes the one knote of the list.
        fn delete(&self) -> usize {
            let mut list = self.list.lock().unwrap();
            if self.bell.cancel(LIST) {
                let take_edge = || {
                    self.take_edge();
                };
                self.bell.hush(take_edge, || self.give_edge());
            }
            std::mem::take(&mut *list)
        }
    }

    fn spawn<T: 'static>(
        queue: &Arc<Queue>,
        function: impl FnOnce(&Queue) -> T + 'static,
    ) -> thread::JoinHandle<T> {
        let queue = Arc::clone(queue);
        thread::spawn(move || function(&queue))
    }

    fn seen_by_one_wait(queue: &Queue) -> Seen {
        let mut seen = Seen::default();
        queue.wait(&mut seen);
        seen
    }

    #[test]
    fn loom_a_thread_finds_what_it_has_triggered_whoever_gives_the_edge() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let other = spawn(&queue, Queue::trigger_quickly);
            queue.trigger_quickly();
            let seen = seen_by_one_wait(&queue);
            assert!(seen.written > 0);
            other.join().unwrap();
        });
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let other = spawn(&queue, Queue::trigger);
            queue.trigger();
            assert!(seen_by_one_wait(&queue).list > 0);
            other.join().unwrap();
        });
    }

    #[test]
    fn loom_no_quick_trigger_is_lost_while_another_thread_waits() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let trigger = spawn(&queue, Queue::trigger_quickly);
            let waiter = spawn(&queue, seen_by_one_wait);
            queue.trigger_quickly();
            trigger.join().unwrap();
            let mut seen = waiter.join().unwrap();
            queue.wait_while_there_is_an_edge(&mut seen);
            assert_eq!(seen.written, 2);
        });
    }

    #[test]
    fn loom_nothing_in_the_list_is_lost_while_another_thread_waits() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let trigger = spawn(&queue, Queue::trigger);
            let waiter = spawn(&queue, seen_by_one_wait);
            queue.trigger();
            trigger.join().unwrap();
            let mut seen = waiter.join().unwrap();
            queue.wait_while_there_is_an_edge(&mut seen);
            assert_eq!(seen.list, 2);
        });
    }

    #[test]
    fn loom_a_quick_trigger_and_the_list_do_not_take_each_other_s_edge() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let trigger = spawn(&queue, Queue::trigger);
            let waiter = spawn(&queue, seen_by_one_wait);
            queue.trigger_quickly();
            trigger.join().unwrap();
            let mut seen = waiter.join().unwrap();
            queue.wait_while_there_is_an_edge(&mut seen);
            assert_eq!((seen.list, seen.written), (1, 1));
        });
    }

    #[test]
    fn loom_no_trigger_is_lost_while_another_thread_deletes() {
        loom::model(|| {
            let queue = Arc::new(Queue::default());
            let trigger = spawn(&queue, Queue::trigger_quickly);
            let other = spawn(&queue, Queue::trigger);
            let mut deleted = queue.delete();
            trigger.join().unwrap();
            other.join().unwrap();
            let mut seen = Seen::default();
            queue.wait_while_there_is_an_edge(&mut seen);
            deleted += seen.list;
            assert_eq!((deleted, seen.written), (1, 1));
        });
    }
}
