//! The standard library's containers, used as one would without looking for a timer crate.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::hint::black_box;

/// A binary heap that deletes lazily: an entry counts only if it is its timer's latest, and when
/// more than half don't, all those are thrown out.
pub(super) struct Binary {
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    /// The arming that counts, by timer. 0: none.
    latest: Vec<u64>,
    armings: u64,
    dead: usize,
    fired: usize,
}

impl super::Open for Binary {
    fn open(timers: usize) -> Option<Self> {
        Some(Binary {
            heap: BinaryHeap::new(),
            latest: vec![0; timers],
            armings: 0,
            dead: 0,
            fired: 0,
        })
    }
}

impl Binary {
    fn bury(&mut self) {
        self.dead += 1;
        if self.dead > self.heap.len() / 2 {
            let latest = &self.latest;
            self.heap
                .retain(|Reverse((_, arming, timer))| latest[*timer as usize] == *arming);
            self.dead = 0;
        }
    }
}

impl super::Peer for Binary {
    #[inline(always)]
    fn insert(&mut self, timer: u32, deadline: u64) {
        self.armings += 1;
        self.latest[timer as usize] = self.armings;
        self.heap.push(Reverse((deadline, self.armings, timer)));
    }

    #[inline(always)]
    fn cancel(&mut self, timer: u32) {
        if std::mem::take(&mut self.latest[timer as usize]) != 0 {
            self.bury();
        }
    }

    #[inline(always)]
    fn later(&mut self, timer: u32, deadline: u64) {
        self.insert(timer, deadline);
        self.bury();
    }

    fn turn(&mut self, now: u64) {
        while let Some(&Reverse((deadline, arming, timer))) = self.heap.peek() {
            let latest = &mut self.latest[timer as usize];
            if *latest != arming {
                self.dead -= 1;
            } else if deadline <= now {
                *latest = 0;
                black_box(timer);
                self.fired += 1;
            } else {
                break;
            }
            self.heap.pop();
        }
    }

    fn fired(&self) -> usize {
        self.fired
    }
}

/// A tree of deadlines, as async-io, glommio and compio have it.
pub(super) struct Tree {
    tree: BTreeMap<(u64, u64), u32>,
    keys: Vec<(u64, u64)>,
    armings: u64,
    fired: usize,
}

impl super::Open for Tree {
    fn open(timers: usize) -> Option<Self> {
        Some(Tree {
            tree: BTreeMap::new(),
            keys: vec![(0, 0); timers],
            armings: 0,
            fired: 0,
        })
    }
}

impl super::Peer for Tree {
    #[inline(always)]
    fn insert(&mut self, timer: u32, deadline: u64) {
        self.armings += 1;
        let key = (deadline, self.armings);
        self.keys[timer as usize] = key;
        self.tree.insert(key, timer);
    }

    #[inline(always)]
    fn cancel(&mut self, timer: u32) {
        self.tree.remove(&self.keys[timer as usize]);
    }

    #[inline(always)]
    fn later(&mut self, timer: u32, deadline: u64) {
        self.cancel(timer);
        self.insert(timer, deadline);
    }

    fn turn(&mut self, now: u64) {
        while let Some(first) = self.tree.first_entry().filter(|first| first.key().0 <= now) {
            black_box(first.remove());
            self.fired += 1;
        }
    }

    fn fired(&self) -> usize {
        self.fired
    }
}
