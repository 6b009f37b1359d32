//! nio-timer, used as nio-loop uses it.

use nio_timer::{TimerHeap, TimerKey};
use std::hint::black_box;

pub(super) struct Nio {
    heap: TimerHeap<u64, u32>,
    keys: Vec<Option<TimerKey>>,
    fired: usize,
}

impl super::Open for Nio {
    fn open(timers: usize) -> Option<Self> {
        Some(Nio {
            heap: TimerHeap::new(),
            keys: vec![None; timers],
            fired: 0,
        })
    }
}

impl super::Peer for Nio {
    #[inline(always)]
    fn insert(&mut self, timer: u32, deadline: u64) {
        self.keys[timer as usize] = Some(self.heap.insert(deadline, timer));
    }

    #[inline(always)]
    fn cancel(&mut self, timer: u32) {
        if let Some(key) = self.keys[timer as usize] {
            self.heap.cancel(key);
        }
    }

    #[inline(always)]
    fn later(&mut self, timer: u32, deadline: u64) {
        if let Some(key) = self.keys[timer as usize] {
            self.heap.reschedule(key, deadline);
        }
    }

    fn turn(&mut self, now: u64) {
        self.heap.begin_drain(now);
        while let Some((_, _, timer)) = self.heap.pop_drained() {
            black_box(timer);
            self.fired += 1;
        }
        black_box(self.heap.next_deadline());
    }

    fn fired(&self) -> usize {
        self.fired
    }
}
