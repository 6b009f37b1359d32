//! Timers in a heap, and how much work it is, beside a sorted list. The deadlines are plain numbers.

use nio_guide::{Heap, Key};

const TIMERS: usize = 10_000;

fn main() {
    let random = |it: &u64| Some(it.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    let random = std::iter::successors(Some(1), random);
    let deadlines: Vec<u64> = random.take(TIMERS).map(|it| it >> 40).collect();
    let (mut list, mut moves) = (Vec::new(), 0);
    for deadline in &deadlines {
        let place = list.partition_point(|it| it <= deadline);
        moves += list.len() - place;
        list.insert(place, *deadline);
    }
    println!("sorted list: {moves} moves to insert {TIMERS} timers");

    for arity in [2, 4, 8] {
        let mut heap = Heap::new(arity);
        let keys: Vec<Key> = deadlines.iter().map(|it| heap.insert(*it)).collect();
        let inserts = std::mem::take(&mut heap.moves);
        (keys.iter().zip(&deadlines)).for_each(|(key, it)| heap.push_later(*key, it + 1));
        let pushes = std::mem::take(&mut heap.moves);
        for deadline in &list {
            assert_eq!(heap.next_deadline(), Some(deadline + 1));
            heap.remove(0);
        }
        let pops = heap.moves;
        let stale = heap.insert(7);
        assert!(heap.cancel(stale));
        let key = heap.insert(8); // in the slot of the other one
        assert!(!heap.cancel(stale) && heap.cancel(key));
        println!(
            "{arity}-ary heap: {inserts} moves to insert, {pushes} to push later, {pops} to pop"
        );
    }
}
