// ANCHOR: head
//! Chapter 7: a heap of timers, that counts how much it moves.

/// Names one timer. A key of a timer that is gone names nothing, even if its slot is in use again.
#[derive(Clone, Copy)]
pub struct Key {
    slot: usize,
    generation: u32,
}

struct Slot {
    generation: u32,
    place: usize,  // in the heap
    deadline: u64, // the true one; the heap's is never later
}

/// Timers, the earliest of them first.
pub struct Heap {
    arity: usize,               // how many children an entry has
    entries: Vec<(u64, usize)>, // deadline and slot; no child is earlier than its parent
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// How many entries were written.
    pub moves: usize,
}
// ANCHOR_END: head

// ANCHOR: sift
impl Heap {
    /// An empty heap.
    pub fn new(arity: usize) -> Heap {
        let (entries, slots, free) = (Vec::new(), Vec::new(), Vec::new());
        Heap {
            arity,
            entries,
            slots,
            free,
            moves: 0,
        }
    }

    /// Puts an entry at a place, or above it: up, as long as its parent is later.
    fn sift_up(&mut self, mut place: usize, entry: (u64, usize)) {
        while place > 0 {
            let parent = (place - 1) / self.arity;
            if self.entries[parent] <= entry {
                break;
            }
            self.put(place, self.entries[parent]);
            place = parent;
        }
        self.put(place, entry);
    }

    /// Puts an entry at a place, or below it: down, as long as its earliest child is earlier.
    fn sift_down(&mut self, mut place: usize, entry: (u64, usize)) {
        loop {
            let first = place * self.arity + 1;
            let end = self.entries.len().min(first + self.arity);
            let Some(child) = (first..end).min_by_key(|&child| self.entries[child]) else {
                break;
            };
            if self.entries[child] >= entry {
                break;
            }
            self.put(place, self.entries[child]);
            place = child;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: (u64, usize)) {
        self.entries[place] = entry;
        self.slots[entry.1].place = place;
        self.moves += 1;
    }
    // ANCHOR_END: sift

    // ANCHOR: insert
    /// Adds a timer.
    pub fn insert(&mut self, deadline: u64) -> Key {
        let new = Slot {
            generation: 0,
            place: 0,
            deadline,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(new);
            self.slots.len() - 1
        });
        self.slots[slot].deadline = deadline;
        self.entries.push((deadline, slot));
        self.sift_up(self.entries.len() - 1, (deadline, slot));
        Key {
            slot,
            generation: self.slots[slot].generation,
        }
    }

    /// Takes the entry at a place out; place 0 is the first timer. The last entry fills the gap.
    pub fn remove(&mut self, place: usize) {
        let (_, slot) = self.entries[place];
        self.slots[slot].generation += 1; // all keys of this timer are stale from here on
        self.free.push(slot);
        let last = self.entries.pop().expect("there is an entry");
        if place < self.entries.len() {
            self.sift_down(place, last);
            self.sift_up(self.slots[last.1].place, last);
        }
    }
    // ANCHOR_END: insert

    // ANCHOR: keys
    fn is_live(&self, key: Key) -> bool {
        self.slots[key.slot].generation == key.generation
    }

    /// Ends a timer. Returns whether there was one.
    pub fn cancel(&mut self, key: Key) -> bool {
        let is_live = self.is_live(key);
        if is_live {
            self.remove(self.slots[key.slot].place);
        }
        is_live
    }

    /// Only notes the later deadline. The entry is put right when it comes to the top.
    pub fn push_later(&mut self, key: Key, deadline: u64) {
        if self.is_live(key) {
            self.slots[key.slot].deadline = deadline;
        }
    }
    // ANCHOR_END: keys

    // ANCHOR: pop
    /// The deadline of the first timer.
    pub fn next_deadline(&mut self) -> Option<u64> {
        loop {
            let &(deadline, slot) = self.entries.first()?;
            match self.slots[slot].deadline {
                same if same == deadline => return Some(deadline),
                later => self.sift_down(0, (later, slot)),
            }
        }
    }
}
// ANCHOR_END: pop
