//! The laws of the timer heap, one test each, as a user of the crate sees them.

use nio_timer::{TimerHeap, TimerKey};
use std::time::{Duration, Instant};

type Heap = TimerHeap<u64, &'static str>;

/// The payloads of all timers due at `now`, in order.
fn expire(heap: &mut Heap, now: u64) -> Vec<&'static str> {
    std::iter::from_fn(|| heap.pop_expired(now))
        .map(|(_, _, text)| text)
        .collect()
}

/// The payloads that one drain yields.
fn drain(heap: &mut Heap, now: u64) -> Vec<&'static str> {
    heap.begin_drain(now);
    std::iter::from_fn(|| heap.pop_drained())
        .map(|(_, _, text)| text)
        .collect()
}

#[test]
fn an_empty_heap_yields_nothing() {
    let mut heap = Heap::new();
    assert_eq!(heap.next_deadline(), None);
    assert_eq!(heap.peek(), None);
    assert_eq!(heap.pop_expired(u64::MAX), None);
    assert_eq!(heap.pop_drained(), None);
    assert_eq!(heap.iter().count(), 0);
    heap.begin_drain(u64::MAX);
    assert_eq!(heap.peek_drained(), None);
}

#[test]
fn a_timer_expires_at_its_deadline_and_not_before() {
    let mut heap = Heap::new();
    let key = heap.insert(10, "ten");
    assert_eq!(heap.pop_expired(9), None);
    assert_eq!(heap.pop_expired(10), Some((key, 10, "ten")));
}

#[test]
fn timers_expire_in_the_order_of_their_deadlines() {
    let mut heap: TimerHeap<u32, u32> = TimerHeap::new();
    let mut seed = 1_u32;
    for _ in 0..10_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        heap.insert(seed >> 8, seed);
    }
    let popped: Vec<_> = std::iter::from_fn(|| heap.pop_expired(u32::MAX)).collect();
    assert_eq!(popped.len(), 10_000);
    assert!(popped.is_sorted_by_key(|&(_, deadline, _)| deadline));
    assert!(
        popped
            .iter()
            .all(|&(_, deadline, payload)| deadline == payload >> 8)
    );
}

#[test]
fn l16_a_drain_yields_the_timers_that_were_due_when_it_began() {
    let mut heap = Heap::new();
    heap.extend([(1, "a"), (2, "b"), (4, "later")]);
    heap.begin_drain(3);
    assert_eq!(heap.pop_drained().map(|(_, _, text)| text), Some("a"));
    heap.insert(3, "at once");
    heap.insert(0, "in the past");
    assert_eq!(
        heap.pop_drained().map(|(_, _, text)| text),
        Some("b"),
        "not delayed by the drain"
    );
    assert_eq!(heap.pop_drained(), None, "timers armed meanwhile wait");
    assert_eq!(drain(&mut heap, 3), ["at once", "in the past"]);
    assert_eq!(heap.len(), 1);
}

#[test]
fn l16_a_timer_rescheduled_during_a_drain_waits_for_the_next() {
    let mut heap = Heap::new();
    let a = heap.insert(1, "a");
    let b = heap.insert(2, "b");
    let c = heap.insert(9, "c");
    heap.begin_drain(3);
    assert!(heap.reschedule(b, 0));
    assert!(heap.reschedule(c, 0));
    assert_eq!(heap.pop_drained(), Some((a, 1, "a")));
    assert_eq!(heap.pop_drained(), None);
    assert_eq!(drain(&mut heap, 3), ["b", "c"]);
}

#[test]
fn l16_a_timer_that_arms_itself_at_once_does_not_hold_up_the_drain() {
    let mut heap = Heap::new();
    heap.insert(0, "again");
    for _ in 0..10 {
        heap.begin_drain(0);
        let mut count = 0;
        while let Some((_, deadline, text)) = heap.pop_drained() {
            heap.insert(deadline, text);
            count += 1;
        }
        assert_eq!(count, 1);
    }
}

#[test]
fn a_deadline_before_the_drain_counts_as_now_until_the_drain_ends() {
    let mut heap = Heap::new();
    heap.begin_drain(5);
    let during = heap.insert(3, "during");
    assert_eq!(heap.deadline(during), Some(5));
    assert_eq!(heap.pop_drained(), None);
    let after = heap.insert(3, "after");
    assert_eq!(heap.deadline(after), Some(3));
    assert_eq!(expire(&mut heap, 5), ["after", "during"]);
}

#[test]
fn a_drain_left_half_way_loses_nothing() {
    let mut heap = Heap::new();
    heap.extend([(1, "a"), (2, "b"), (3, "c")]);
    heap.begin_drain(3);
    assert_eq!(heap.pop_drained().map(|(_, _, text)| text), Some("a"));
    assert_eq!((heap.len(), heap.next_deadline()), (2, Some(2)));
    heap.insert(1, "d");
    assert_eq!(drain(&mut heap, 3), ["b", "c", "d"]);
}

#[test]
fn clear_ends_a_drain() {
    let mut heap = Heap::new();
    heap.insert(1, "a");
    heap.begin_drain(9);
    heap.clear();
    let key = heap.insert(2, "b");
    assert_eq!(heap.pop_drained(), None);
    assert_eq!(heap.deadline(key), Some(2));
}

#[test]
fn l17_a_due_timer_cancelled_during_the_drain_does_not_come() {
    let mut heap = Heap::new();
    heap.insert(1, "a");
    let b = heap.insert(1, "b");
    heap.insert(1, "c");
    heap.begin_drain(1);
    assert_eq!(heap.pop_drained().map(|(_, _, text)| text), Some("a"));
    assert_eq!(heap.cancel(b), Some("b"));
    assert_eq!(heap.pop_drained().map(|(_, _, text)| text), Some("c"));
    assert_eq!(heap.pop_drained(), None);
}

#[test]
fn l18_equal_deadlines_come_in_the_order_of_arming() {
    let mut heap: TimerHeap<u64, u32> = (0..1000).map(|number| (7, number)).collect();
    let popped = std::iter::from_fn(|| heap.pop_expired(7)).map(|(_, _, number)| number);
    assert!(popped.eq(0..1000));
}

#[test]
fn l18_rescheduling_moves_a_timer_behind_its_equals() {
    let mut heap = Heap::new();
    let a = heap.insert(5, "a");
    heap.insert(5, "b");
    let c = heap.insert(9, "c");
    assert!(heap.reschedule(a, 5), "to the same deadline");
    assert!(heap.reschedule(c, 5), "forward");
    assert_eq!(expire(&mut heap, 5), ["b", "a", "c"]);
}

#[test]
fn l30_a_timer_comes_once_per_drain_however_late_it_is() {
    let mut heap = Heap::new();
    let interval = heap.insert(10, "tick");
    for now in [95, 112, 130] {
        heap.begin_drain(now);
        let mut firings = 0;
        while let Some((key, deadline, _)) = heap.peek_drained() {
            heap.reschedule(key, deadline + 10); // long past at 95
            firings += 1;
        }
        assert_eq!(firings, 1);
    }
    assert_eq!(
        heap.deadline(interval),
        Some(130),
        "time does not run backwards"
    );
}

#[test]
fn an_interval_keeps_its_key_and_is_cancelled_by_it_in_its_own_callback() {
    let mut heap = Heap::new();
    let interval = heap.insert(10, "tick");
    heap.begin_drain(10);
    let (key, deadline, _) = heap.peek_drained().unwrap();
    assert_eq!((key, deadline), (interval, 10));
    assert!(heap.reschedule(key, deadline + 10));
    assert_eq!(heap.cancel(interval), Some("tick"), "by its own callback");
    assert_eq!(heap.pop_drained(), None);
    assert!(heap.is_empty());
}

#[test]
fn l34_the_key_of_a_timer_that_is_gone_names_nothing() {
    let mut heap = Heap::new();
    let (fired, cancelled, cleared) = (
        heap.insert(1, "a"),
        heap.insert(2, "b"),
        heap.insert(3, "c"),
    );
    heap.pop_expired(1);
    heap.cancel(cancelled);
    heap.clear();
    heap.extend([(1, "d"), (2, "e"), (3, "f")]); // in the same slots
    for key in [fired, cancelled, cleared] {
        refused(&mut heap, key);
    }
    assert_eq!(expire(&mut heap, 3), ["d", "e", "f"]);
}

#[test]
fn l34_a_key_from_before_shrinking_names_nothing_after() {
    let mut heap = Heap::new();
    let keys = [1, 2, 3].map(|deadline| heap.insert(deadline, "old"));
    heap.pop_expired(1);
    heap.insert(1, "second life");
    heap.clear();
    heap.shrink_to_fit();
    assert_eq!(heap.capacity(), 0);
    heap.extend([(1, "d"), (2, "e"), (3, "f"), (4, "g")]);
    for key in keys {
        refused(&mut heap, key);
    }
}

#[test]
fn l34_the_key_of_another_heap_names_nothing() {
    let mut heaps: Vec<Heap> = (0..100)
        .map(|_| [(1, "a"), (2, "b")].into_iter().collect())
        .collect();
    let keys: Vec<Vec<TimerKey>> = heaps
        .iter()
        .map(|heap| heap.iter().map(|(key, _, _)| key).collect())
        .collect();
    for (at, heap) in heaps.iter_mut().enumerate() {
        for (_, keys) in keys.iter().enumerate().filter(|(home, _)| *home != at) {
            keys.iter().for_each(|&key| refused(heap, key));
        }
    }
}

/// Every method refuses the key, and nothing changes.
fn refused(heap: &mut Heap, key: TimerKey) {
    let before = (heap.len(), heap.next_deadline());
    assert!(!heap.contains(key));
    assert_eq!((heap.get(key), heap.deadline(key)), (None, None));
    assert_eq!(heap.get_mut(key), None);
    assert!(!heap.reschedule(key, 0));
    assert_eq!(heap.cancel(key), None);
    assert_eq!((heap.len(), heap.next_deadline()), before);
}

#[test]
fn the_next_deadline_is_exact_after_a_timer_was_postponed() {
    let mut heap: TimerHeap<u64, ()> = TimerHeap::new();
    let keys: Vec<_> = (0..100).map(|deadline| heap.insert(deadline, ())).collect();
    for (deadline, &key) in keys.iter().enumerate() {
        assert_eq!(heap.next_deadline(), Some(deadline as u64));
        heap.reschedule(key, 1000);
    }
    assert_eq!(heap.next_deadline(), Some(1000));
}

#[test]
fn the_extremes_of_the_deadline_type_are_deadlines_like_any_other() {
    let mut heap: TimerHeap<i8, i8> = (i8::MIN..=i8::MAX).map(|at| (at, at)).collect();
    assert_eq!(
        heap.pop_expired(i8::MIN).map(|(_, _, at)| at),
        Some(i8::MIN)
    );
    assert_eq!(heap.pop_expired(i8::MIN), None);
    let rest = std::iter::from_fn(|| heap.pop_expired(i8::MAX)).map(|(_, _, at)| at);
    assert!(rest.eq(i8::MIN + 1..=i8::MAX));
}

#[test]
fn deadlines_may_be_instants_and_payloads_may_be_empty() {
    struct Opaque;
    let start = Instant::now();
    let mut heap = TimerHeap::new();
    heap.insert(start + Duration::from_secs(1), Opaque);
    assert!(heap.pop_expired(start).is_none());
    assert!(heap.pop_expired(start + Duration::from_secs(1)).is_some());
}

#[test]
fn a_heap_can_be_printed_and_made_of_pairs() {
    let heap: Heap = [(5, "five")].into_iter().collect();
    let shown = format!("{heap:?}");
    assert!(
        shown.starts_with("{TimerKey(0v") && shown.ends_with(r#"): (5, "five")}"#),
        "{shown}"
    );
    assert_eq!(format!("{:?}", Heap::default()), "{}");
    let mut timers = (&heap).into_iter();
    assert_eq!(timers.len(), 1);
    assert!(timers.next().is_some());
    assert_eq!((timers.len(), timers.next()), (0, None));
}

#[test]
fn every_payload_is_dropped_once() {
    use std::rc::Rc;
    let payload = Rc::new(());
    let mut heap = TimerHeap::new();
    let keys: Vec<_> = (0..10)
        .map(|deadline| heap.insert(deadline, payload.clone()))
        .collect();
    heap.cancel(keys[3]);
    heap.pop_expired(0);
    assert_eq!(Rc::strong_count(&payload), 9);
    heap.clear();
    assert_eq!(Rc::strong_count(&payload), 1);
    heap.insert(1, payload.clone());
    drop(heap);
    assert_eq!(Rc::strong_count(&payload), 1);
}

/// A timeout for each of ten million requests that are answered in time, with a thousand under way.
#[test]
fn ten_million_armed_and_cancelled_take_the_memory_of_those_alive_at_once() {
    const ALIVE: usize = 1000;
    let mut heap: TimerHeap<u64, u64> = TimerHeap::with_capacity(ALIVE);
    let room = heap.capacity();
    let mut keys: Vec<TimerKey> = (0..ALIVE as u64)
        .map(|now| heap.insert(now + 30_000, now))
        .collect();
    for now in 0..10_000_000_u64 {
        let place = now as usize * 7 % ALIVE;
        assert!(heap.cancel(keys[place]).is_some());
        keys[place] = heap.insert(now + 30_000, now);
        if now % 5 == 0 {
            heap.reschedule(keys[place], now + 40_000);
        }
    }
    assert_eq!((heap.len(), heap.capacity()), (ALIVE, room));
    assert!(room < 2 * ALIVE);
}
