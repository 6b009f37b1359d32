//! A key names one value of one slab, and one timer of one heap: never another, after any insertions and
//! removals.

use std::collections::HashMap;

use nio_timer::{Key, Slab, TimerHeap, TimerKey};
use proptest::prelude::*;
use proptest::sample::Index;

/// How many slabs or heaps a test has.
const COUNT: usize = 3;

/// One step in one slab or heap, with any key that any of them ever gave.
#[derive(Clone, Debug)]
enum Step {
    Insert,
    Remove(Index),
    Change(Index),
    TakeAll,
    Shrink,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        8 => Just(Step::Insert),
        8 => any::<Index>().prop_map(Step::Remove),
        2 => any::<Index>().prop_map(Step::Change),
        1 => Just(Step::TakeAll),
        1 => Just(Step::Shrink),
    ];
    prop::collection::vec((0..COUNT, step), 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn l100_slabs_are_maps_whose_keys_are_given_out_once(steps in steps()) {
        let mut slabs: [Slab<usize>; COUNT] = Default::default();
        let mut models: [HashMap<Key, usize>; COUNT] = Default::default();
        let mut keys: Vec<Key> = Vec::new();
        for (number, (index, step)) in steps.into_iter().enumerate() {
            let (slab, model) = (&mut slabs[index], &mut models[index]);
            match step {
                Step::Insert => {
                    let key = slab.insert(number);
                    prop_assert!(!keys.contains(&key));
                    model.insert(key, number);
                    keys.push(key);
                }
                Step::Remove(index) if !keys.is_empty() => {
                    let key = *index.get(&keys);
                    prop_assert_eq!(slab.remove(key), model.remove(&key));
                }
                Step::Change(index) if !keys.is_empty() => {
                    let key = *index.get(&keys);
                    let (ours, theirs) = (slab.get_mut(key), model.get_mut(&key));
                    prop_assert_eq!(&ours, &theirs);
                    if let (Some(ours), Some(theirs)) = (ours, theirs) {
                        (*ours, *theirs) = (number, number);
                    }
                }
                Step::TakeAll => {
                    let mut taken = slab.take_all();
                    let mut expected: Vec<_> = model.drain().map(|(_, value)| value).collect();
                    taken.sort_unstable();
                    expected.sort_unstable();
                    prop_assert_eq!(taken, expected);
                }
                Step::Shrink => slab.shrink_to_fit(),
                _ => {}
            }
            for (slab, model) in slabs.iter().zip(&models) {
                prop_assert_eq!((slab.len(), slab.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(slab.iter().len(), model.len());
                prop_assert!(slab.iter().all(|(key, value)| model.get(&key) == Some(value)));
                for &key in &keys {
                    prop_assert_eq!(slab.get(key), model.get(&key));
                    prop_assert_eq!(slab.contains(key), model.contains_key(&key));
                    if model.contains_key(&key) {
                        prop_assert_eq!(slab.key_of_word(key.to_word()), Some(key));
                    }
                }
            }
        }
    }

    #[test]
    fn l100_a_heap_refuses_every_key_that_is_not_one_of_its_timers(steps in steps()) {
        let mut heaps: [TimerHeap<usize, usize>; COUNT] = Default::default();
        let mut models: [HashMap<TimerKey, (usize, usize)>; COUNT] = Default::default();
        let mut keys: Vec<TimerKey> = Vec::new();
        for (number, (index, step)) in steps.into_iter().enumerate() {
            let (heap, model) = (&mut heaps[index], &mut models[index]);
            match step {
                Step::Insert => {
                    let key = heap.insert(number, number);
                    prop_assert!(!keys.contains(&key));
                    model.insert(key, (number, number));
                    keys.push(key);
                }
                Step::Remove(index) if !keys.is_empty() => {
                    let key = *index.get(&keys);
                    let payload = model.remove(&key).map(|(_, payload)| payload);
                    prop_assert_eq!(heap.cancel(key), payload);
                }
                Step::Change(index) if !keys.is_empty() => {
                    let key = *index.get(&keys);
                    let theirs = model.get_mut(&key);
                    prop_assert_eq!(heap.reschedule(key, number), theirs.is_some());
                    prop_assert_eq!(heap.get_mut(key).is_some(), theirs.is_some());
                    if let Some((deadline, _)) = theirs {
                        *deadline = number;
                    }
                }
                Step::TakeAll => {
                    // A drain, of which some timers are cancelled by keys of all heaps.
                    heap.begin_drain(usize::MAX);
                    for &key in keys.iter().step_by(2) {
                        let payload = model.remove(&key).map(|(_, payload)| payload);
                        prop_assert_eq!(heap.cancel(key), payload);
                    }
                    while let Some((key, deadline, payload)) = heap.pop_drained() {
                        prop_assert_eq!(model.remove(&key), Some((deadline, payload)));
                    }
                    prop_assert!(model.is_empty());
                }
                Step::Shrink => heap.shrink_to_fit(),
                _ => {}
            }
            for (heap, model) in heaps.iter_mut().zip(&models) {
                prop_assert_eq!(heap.len(), model.len());
                let first = model.values().map(|(deadline, _)| *deadline).min();
                prop_assert_eq!(heap.next_deadline(), first);
                for key in &keys {
                    let known = model.get(key);
                    prop_assert_eq!(heap.get(*key), known.map(|(_, payload)| payload));
                    prop_assert_eq!(heap.deadline(*key), known.map(|(deadline, _)| *deadline));
                    prop_assert_eq!(heap.contains(*key), known.is_some());
                }
            }
        }
    }
}

/// A slot that is used often enough reaches the generations of the other heap, at any distance between
/// the two.
#[test]
fn l100_a_key_of_another_heap_names_nothing_however_often_a_slot_is_used() {
    let mut heaps: Vec<TimerHeap<u32, &str>> = (0..20_000).map(|_| TimerHeap::new()).collect();
    let mut first: Vec<TimerKey> = Vec::new();
    for heap in &mut heaps {
        let key = heap.insert(1, "gone");
        heap.cancel(key);
        first.push(key);
    }
    // Pairs at which a spacing by the golden ratio brings two heaps near each other.
    for [near, far] in [[0, 17_711], [1, 17_712]] {
        for (one, other) in [(near, far), (far, near)] {
            for round in 0..150_000 {
                let key = heaps[one].insert(1, "mine");
                assert_eq!(heaps[other].cancel(key), None, "after {round} uses");
                assert!(!heaps[other].reschedule(key, 0));
                assert_eq!(heaps[one].cancel(first[other]), None);
                assert_eq!(heaps[one].cancel(key), Some("mine"));
            }
            assert_eq!((heaps[one].len(), heaps[other].len()), (0, 0));
        }
    }
}

#[test]
fn l100_a_key_names_nothing_in_an_empty_slab() {
    let mut slab = Slab::new();
    let key = slab.insert('a');
    let mut other = Slab::<char>::new();
    assert_eq!(other.get(key), None);
    assert_eq!(other.remove(key), None);
    let own = other.insert('b');
    assert_ne!(own, key);
    assert_eq!(other.remove(own), Some('b'));
    assert_eq!((other.remove(own), other.remove(key)), (None, None));
    assert_eq!((slab.len(), other.len()), (1, 0));
}
