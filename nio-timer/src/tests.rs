//! The heap against a model, after each step of long random sequences; and tests of its inside: the
//! invariants, the sizes, and generations that are used up.

extern crate std;

use std::prelude::v1::*;
use std::vec;

use proptest::prelude::*;

use crate::heap::Timer;
use crate::queue::{DRAINED, Entry};
use crate::slab::{Key, Slab};
use crate::{TimerHeap, TimerKey};

impl<D: Ord + Copy + core::fmt::Debug, T> TimerHeap<D, T> {
    /// The laws of the modules, checked by looking at everything.
    fn check(&self) {
        self.queue.check();
        self.slab.check();
        let due = self.drain.check(&self.slab);
        assert_eq!(
            self.queue.entries().len() + due.len(),
            self.len(),
            "each timer has one entry"
        );
        for &entry in self.queue.entries() {
            let timer = self.slab.at(entry.slot());
            let timer = timer.expect("each entry has a timer");
            assert!(
                (entry.deadline, entry.arming()) <= (timer.deadline, timer.arming),
                "a lower bound"
            );
            assert!(entry.arming() != timer.arming || entry.deadline == timer.deadline);
            assert!(timer.arming < self.next_arming);
            assert!(due.iter().all(|due| due.order(&entry).is_lt()));
        }
        for &entry in &due {
            assert_eq!(self.queue.position(entry.slot()), DRAINED);
            assert!(entry.arming() < self.next_arming);
            assert!(self.drain.now.is_some_and(|now| entry.deadline <= now));
        }
    }
}

/// The model: a vector sorted by deadline and arming.
#[derive(Default)]
struct Model {
    timers: Vec<ModelTimer>,
    armings: u64,
    /// The keys that the current drain has yet to yield, in order, and its `now`.
    drain: Option<(u64, Vec<TimerKey>)>,
}

#[derive(Clone, Copy)]
struct ModelTimer {
    deadline: u64,
    arming: u64,
    key: TimerKey,
    payload: u32,
}

impl Model {
    fn arm(&mut self, deadline: u64, key: TimerKey, payload: u32) {
        let now = self.drain.as_ref().map_or(0, |(now, _)| *now);
        let (deadline, arming) = (deadline.max(now), self.armings);
        self.armings += 1;
        self.timers.push(ModelTimer {
            deadline,
            arming,
            key,
            payload,
        });
        self.timers
            .sort_by_key(|timer| (timer.deadline, timer.arming));
    }

    /// Takes a timer out, also of the drain.
    fn remove(&mut self, key: TimerKey) -> Option<ModelTimer> {
        let position = self.timers.iter().position(|timer| timer.key == key)?;
        if let Some((_, due)) = &mut self.drain {
            due.retain(|&other| other != key);
        }
        Some(self.timers.remove(position))
    }

    fn reschedule(&mut self, key: TimerKey, deadline: u64) -> bool {
        let timer = self.remove(key);
        if let Some(timer) = timer {
            self.arm(deadline, key, timer.payload);
        }
        timer.is_some()
    }

    fn find(&self, key: TimerKey) -> Option<&ModelTimer> {
        self.timers.iter().find(|timer| timer.key == key)
    }

    fn first_expired(&self, now: u64) -> Option<ModelTimer> {
        self.timers
            .first()
            .copied()
            .filter(|timer| timer.deadline <= now)
    }

    fn begin_drain(&mut self, now: u64) {
        let due = self.timers.iter().take_while(|timer| timer.deadline <= now);
        self.drain = Some((now, due.map(|timer| timer.key).collect()));
    }

    fn first_drained(&mut self) -> Option<ModelTimer> {
        let first = self.drain.as_ref()?.1.first().copied();
        if first.is_none() {
            self.drain = None;
        }
        self.find(first?).copied()
    }
}

/// One step. A key is chosen among all keys ever given out, most often a new one.
#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Cancel(usize),
    Reschedule(usize, u64),
    Later(usize, u64),
    Change(usize),
    Peek,
    NextDeadline,
    PopExpired(u64),
    BeginDrain(u64),
    PeekDrained,
    PopDrained,
    Interval(u64),
    Extend(Vec<u64>),
    Shrink,
    Clear,
}

/// Deadlines from a small range, so that many are equal.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let deadline = 0_u64..40;
    let key = || any::<prop::sample::Index>().prop_map(|index| index.index(1 << 16));
    let step = prop_oneof![
        30 => deadline.clone().prop_map(Step::Insert),
        15 => key().prop_map(Step::Cancel),
        10 => (key(), deadline.clone()).prop_map(|(key, at)| Step::Reschedule(key, at)),
        20 => (key(), 0_u64..20).prop_map(|(key, by)| Step::Later(key, by)),
        3 => key().prop_map(Step::Change),
        2 => Just(Step::Peek),
        2 => Just(Step::NextDeadline),
        5 => deadline.clone().prop_map(Step::PopExpired),
        5 => deadline.clone().prop_map(Step::BeginDrain),
        3 => Just(Step::PeekDrained),
        15 => Just(Step::PopDrained),
        5 => (0_u64..20).prop_map(Step::Interval),
        1 => prop::collection::vec(deadline, 0..10).prop_map(Step::Extend),
        1 => Just(Step::Shrink),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..600)
}

#[derive(Default)]
struct Pair {
    heap: TimerHeap<u64, u32>,
    model: Model,
    keys: Vec<TimerKey>,
    payloads: u32,
}

impl Pair {
    fn new(near_the_end: bool) -> Self {
        let mut pair = Pair::default();
        if near_the_end {
            pair.heap.slab = Slab::from_generation(u32::MAX - 2); // three generations are left
            pair.heap.next_arming = u32::MAX - 100;
        }
        pair
    }

    fn insert(&mut self, deadline: u64) {
        let key = self.heap.insert(deadline, self.payloads);
        assert!(!self.keys.contains(&key), "a key is given out once");
        self.model.arm(deadline, key, self.payloads);
        self.keys.push(key);
        self.payloads += 1;
    }

    fn key(&self, index: usize) -> Option<TimerKey> {
        let age = index % self.keys.len().max(1) * (index % 8 + 1) / 8;
        self.keys.iter().rev().nth(age).copied()
    }

    fn step(&mut self, step: Step) -> Option<()> {
        let Pair { heap, model, .. } = self;
        match step {
            Step::Insert(deadline) => self.insert(deadline),
            Step::Cancel(index) => {
                let key = self.key(index)?;
                let expected = self.model.remove(key).map(|timer| timer.payload);
                assert_eq!(self.heap.cancel(key), expected);
            }
            Step::Reschedule(index, deadline) => self.reschedule(index, deadline)?,
            Step::Later(index, by) => {
                let before = self.heap.deadline(self.key(index)?).unwrap_or(0);
                self.reschedule(index, before + by)?;
            }
            Step::Change(index) => {
                let key = self.key(index)?;
                let timer = self.model.timers.iter_mut().find(|timer| timer.key == key);
                let theirs = timer.map(|timer| &mut timer.payload);
                let ours = self.heap.get_mut(key);
                assert_eq!(ours, theirs);
                let (Some(ours), Some(theirs)) = (ours, theirs) else {
                    return None;
                };
                *ours += 1_000_000;
                *theirs += 1_000_000;
            }
            Step::Peek => {
                let found = heap.peek().map(|(key, at, payload)| (key, at, *payload));
                assert_eq!(found, model.timers.first().map(ModelTimer::popped));
            }
            Step::NextDeadline => {
                assert_eq!(
                    heap.next_deadline(),
                    model.timers.first().map(|timer| timer.deadline)
                );
            }
            Step::PopExpired(now) => {
                let expected = model.first_expired(now);
                assert_eq!(heap.pop_expired(now), expected.map(|timer| timer.popped()));
                model.remove(expected?.key);
            }
            Step::BeginDrain(now) => {
                heap.begin_drain(now);
                model.begin_drain(now);
            }
            Step::PeekDrained => {
                let found = heap
                    .peek_drained()
                    .map(|(key, at, payload)| (key, at, *payload));
                assert_eq!(found, model.first_drained().map(|timer| timer.popped()));
            }
            Step::PopDrained => {
                let expected = model.first_drained();
                assert_eq!(heap.pop_drained(), expected.map(|timer| timer.popped()));
                model.remove(expected?.key);
            }
            Step::Interval(period) => {
                let expected = model.first_drained();
                let found = heap
                    .peek_drained()
                    .map(|(key, at, payload)| (key, at, *payload));
                assert_eq!(found, expected.map(|timer| timer.popped()));
                let (key, deadline, _) = found?;
                assert!(heap.reschedule(key, deadline + period));
                assert!(model.reschedule(key, deadline + period));
            }
            Step::Extend(deadlines) => deadlines.into_iter().for_each(|at| self.insert(at)),
            Step::Shrink => heap.shrink_to_fit(),
            Step::Clear => {
                heap.clear();
                model.timers.clear();
                model.drain = None;
            }
        }
        Some(())
    }

    fn reschedule(&mut self, index: usize, deadline: u64) -> Option<()> {
        let key = self.key(index)?;
        assert_eq!(
            self.heap.reschedule(key, deadline),
            self.model.reschedule(key, deadline)
        );
        Some(())
    }

    /// Compares all answers of the heap with the model, and checks the invariants.
    fn check(&self) {
        self.heap.check();
        let mut found: Vec<_> = self
            .heap
            .iter()
            .map(|(key, at, load)| (key, at, *load))
            .collect();
        let mut expected: Vec<_> = self.model.timers.iter().map(ModelTimer::popped).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(self.heap.iter().len(), expected.len());
        assert_eq!(
            (self.heap.len(), self.heap.is_empty()),
            (expected.len(), expected.is_empty())
        );
        for &key in self.keys.iter().rev().take(50) {
            let timer = self.model.find(key);
            assert_eq!(self.heap.contains(key), timer.is_some());
            assert_eq!(self.heap.get(key), timer.map(|timer| &timer.payload));
            assert_eq!(self.heap.deadline(key), timer.map(|timer| timer.deadline));
        }
    }
}

impl ModelTimer {
    fn popped(&self) -> (TimerKey, u64, u32) {
        (self.key, self.deadline, self.payload)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_heap_does_what_a_sorted_vector_does(steps in steps(), near_the_end: bool) {
        let mut pair = Pair::new(near_the_end);
        for step in steps {
            pair.step(step);
            pair.check();
        }
        // The remaining timers come in order.
        while let Some(popped) = pair.heap.pop_expired(u64::MAX) {
            let key = pair.model.timers[0].key;
            prop_assert_eq!(pair.model.remove(key).map(|timer| timer.popped()), Some(popped));
        }
        prop_assert!(pair.model.timers.is_empty());
        pair.heap.check();
    }
}

#[test]
fn a_slot_is_retired_when_its_generations_are_used_up() {
    let mut heap = TimerHeap::new();
    heap.slab = Slab::from_generation(u32::MAX - 1);
    let first = heap.insert(1, ());
    heap.cancel(first);
    let last = heap.insert(1, ());
    heap.cancel(last);
    assert_eq!(last.0.index, first.0.index);
    assert_eq!(last.0.generation.get(), u32::MAX);

    let other = heap.insert(1, ());
    assert_ne!(other.0.index, first.0.index, "the slot is retired");
    assert!(!heap.contains(first) && !heap.contains(last));
    assert_eq!(heap.cancel(first), None);
    heap.clear();
    heap.shrink_to_fit();
    assert_ne!(
        heap.insert(1, ()).0.index,
        first.0.index,
        "the slot stays retired"
    );
    heap.check();
}

#[test]
fn arming_numbers_that_are_used_up_start_again_in_the_same_order() {
    let mut heap = TimerHeap::new();
    heap.next_arming = u32::MAX - 9;
    let early = [3, 2, 3].map(|deadline| heap.insert(deadline, ()));
    let keys = [5, 5, 5, 5].map(|deadline| heap.insert(deadline, ()));
    heap.begin_drain(3);
    heap.cancel(early[0]);
    assert!(heap.reschedule(keys[0], 7) && heap.reschedule(keys[1], 5));
    let late = heap.insert(5, ()); // the first with a new number
    heap.check();
    assert!(heap.next_arming < 10);
    let order = [early[1], early[2], keys[2], keys[3], keys[1], late, keys[0]];
    let popped = order.map(|_| heap.pop_expired(7).map(|(key, _, ())| key));
    assert_eq!(popped, order.map(Some));
    assert!(heap.is_empty());
}

#[test]
fn a_drain_removes_stale_entries_though_its_first_timer_stays() {
    let mut heap = TimerHeap::new();
    heap.insert(0, ());
    for _ in 0..1000 {
        let keys = [(); 10].map(|()| heap.insert(0, ()));
        heap.begin_drain(0);
        for key in keys {
            heap.cancel(key);
            heap.check();
        }
    }
    assert!(heap.drain.len() <= 2, "{} entries", heap.drain.len());
}

#[test]
fn a_timer_takes_no_more_than_the_docs_say() {
    assert_eq!(size_of::<Entry<u64>>(), 16);
    // With a payload of a word; 24 + 8 bytes on 64-bit targets.
    assert!(Slab::<Timer<u64, std::boxed::Box<()>>>::SLOT <= 16 + 2 * size_of::<usize>());
    assert_eq!(size_of::<TimerKey>(), 12);
    assert_eq!(size_of::<Option<Key>>(), 12);
}
