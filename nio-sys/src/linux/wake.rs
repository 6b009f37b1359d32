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

#[cfg(test)]
mod tests {
    //! All interleavings of some threads, step by step. What is done under the lock is one step.

    use super::*;

    /// What a thread does next.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Step {
        /// Adds a knote to the active ones, under the lock.
        Trigger,
        Write,
        Kept,
        /// Takes the edge, if there is one.
        Wait,
        /// Collects what is active, under the lock.
        Collect,
        /// Removes the active knotes and the edge, under the lock, as EV_DELETE does.
        Delete,
        Done,
    }

    /// The queue as far as the protocol goes, and the threads.
    #[derive(Clone, Debug)]
    struct World {
        /// The active knotes, named for the threads that triggered them.
        active: Vec<usize>,
        signalled: bool,
        unkept: usize,
        edge: bool,
        threads: Vec<Step>,
    }

    impl World {
        /// Takes one step of one thread.
        fn step(&mut self, thread: usize) {
            let promises = Promises {
                unkept: AtomicUsize::new(self.unkept),
            };
            let next = match self.threads[thread] {
                Step::Trigger => {
                    self.active.push(thread);
                    match promises.make(&mut self.signalled) {
                        true => Step::Write,
                        false => Step::Done,
                    }
                }
                Step::Write => {
                    self.edge = true;
                    Step::Kept
                }
                Step::Kept => {
                    promises.kept();
                    Step::Done
                }
                Step::Wait if std::mem::take(&mut self.edge) => Step::Collect,
                Step::Wait => Step::Done,
                Step::Collect => {
                    (self.active, self.signalled) = (Vec::new(), false);
                    Step::Done
                }
                Step::Delete => {
                    (self.active, self.signalled, self.edge) = (Vec::new(), false, false);
                    Step::Done
                }
                Step::Done => unreachable!("nothing is left to be done"),
            };
            self.threads[thread] = next;
            self.unkept = promises.unkept.into_inner();
            let others_do = |step| self.threads.contains(&step);
            let seen = self.active.is_empty() || self.edge || others_do(Step::Collect);
            assert!(seen || others_do(Step::Write), "lost: {self:?}");
            if next == Step::Done && self.active.contains(&thread) {
                // The trigger has returned, so its own thread has to see it now.
                assert!(seen, "late: {self:?}");
            }
        }

        /// Tries all orders of what is left to be done. Returns how many there are.
        fn explore(&self) -> usize {
            let pending = |&thread: &usize| self.threads[thread] != Step::Done;
            let mut orders = 0;
            for thread in (0..self.threads.len()).filter(pending) {
                let mut world = self.clone();
                world.step(thread);
                orders += world.explore();
            }
            orders.max(1)
        }
    }

    fn explore(threads: &[Step]) -> usize {
        let world = World {
            active: Vec::new(),
            signalled: false,
            unkept: 0,
            edge: false,
            threads: threads.to_vec(),
        };
        world.explore()
    }

    #[test]
    fn after_a_trigger_the_edge_is_there_whatever_other_threads_do() {
        use Step::{Delete, Trigger, Wait};
        assert!(explore(&[Trigger, Trigger]) > 10);
        explore(&[Trigger, Trigger, Trigger]);
        explore(&[Trigger, Trigger, Wait, Wait]);
        explore(&[Trigger, Trigger, Trigger, Wait]);
        explore(&[Trigger, Trigger, Wait, Delete]);
    }
}
