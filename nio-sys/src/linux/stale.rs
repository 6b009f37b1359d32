//! Stale events: those that belong to no registration.
//!
//! Nearly all come from a batch that one thread held while another changed the registration, and are dropped.
//!
//! The others are of *leftovers*: a descriptor was closed while it was registered, a duplicate of it is open,
//! and its number belongs to another file. epoll goes on reporting it, and no call can name its entry any more
//! (K99). The events of an edge-triggered leftover are dropped. A level-triggered leftover would wake every
//! wait, so the epoll set has to be made again.
//!
//! The law: a stale event is of a leftover if the wait that returned it began after the same event had been
//! found stale.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::slot::is_level;

/// How many stale events are remembered. More leftovers than this are found later, not at once.
const MOST: usize = 65_536;

/// The stale events of level-triggered entries.
#[derive(Debug, Default)]
pub(super) struct Stale {
    /// By payload, its number: how many had been found then.
    seen: HashMap<u64, usize>,
}

impl Stale {
    /// Records a stale event of a wait that began when `began` had been found, and counts it in `found`. Returns
    /// whether it is of a level-triggered leftover.
    pub(super) fn note(&mut self, payload: u64, found: &AtomicUsize, began: usize) -> bool {
        if !is_level(payload) {
            return false;
        }
        if let Some(&number) = self.seen.get(&payload) {
            // Both wrap round.
            return began.wrapping_sub(number) as isize >= 0;
        }
        if self.seen.len() == MOST {
            self.seen.clear();
        }
        let number = found.fetch_add(1, Ordering::Release).wrapping_add(1);
        self.seen.insert(payload, number);
        false
    }

    /// The epoll set has been made again, without leftovers.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::slot::{ET, IN, payload};
    use super::*;

    #[test]
    fn a_stale_event_that_comes_back_to_a_later_wait_shows_a_leftover() {
        let (mut stale, found) = (Stale::default(), AtomicUsize::new(usize::MAX));
        let (event, other) = (payload(7, 1, IN), payload(8, 1, IN));
        let began = usize::MAX;
        assert!(!stale.note(event, &found, began));
        assert!(!stale.note(other, &found, began));
        // A wait that was under way when the event was found stale.
        assert!(!stale.note(event, &found, began));
        // One that began between the two.
        assert!(stale.note(event, &found, began.wrapping_add(1)));
        assert!(!stale.note(other, &found, began.wrapping_add(1)));
        assert!(stale.note(other, &found, found.load(Ordering::Relaxed)));
        stale.clear();
        assert!(!stale.note(event, &found, found.load(Ordering::Relaxed)));
    }

    #[test]
    fn an_edge_triggered_leftover_is_dropped() {
        let (mut stale, found) = (Stale::default(), AtomicUsize::new(0));
        let event = payload(7, 1, IN | ET);
        assert!((0..10).all(|began| !stale.note(event, &found, began)));
        assert_eq!(found.load(Ordering::Relaxed), 0);
    }
}
