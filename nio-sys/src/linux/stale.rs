//! Stale events: those that belong to no registration.
//!
//! Nearly all come from a batch that a thread held while another one changed the registration, and are
//! dropped. The others are *leftovers*: a descriptor was closed while it was registered, a duplicate of it is
//! open, and its number belongs to another file. epoll goes on reporting it, and no call can name its entry
//! any more (K99). The events of an edge-triggered leftover are dropped. A level-triggered one would wake
//! every wait. It is found by this law: a stale event is of a leftover if it was returned by a wait that began
//! after the same event had been found stale. Then the epoll set has to be made again.

use std::collections::HashMap;

use super::slot::is_level;

/// How many stale events are remembered. More leftovers than this are found later, not at once.
const MOST: usize = 65_536;

/// The stale events of level-triggered entries.
#[derive(Debug, Default)]
pub(super) struct Stale {
    /// By payload, how many batches had been translated when it was found.
    seen: HashMap<u64, usize>,
}

impl Stale {
    /// Records a stale event of the batch with the number `batch`, of a wait that began when `began` batches had
    /// been translated. Returns whether it is of a level-triggered leftover.
    pub(super) fn note(&mut self, payload: u64, batch: usize, began: usize) -> bool {
        if !is_level(payload) {
            return false;
        }
        if let Some(&found) = self.seen.get(&payload) {
            // Both wrap round.
            return began.wrapping_sub(found) as isize >= 0;
        }
        if self.seen.len() == MOST {
            self.seen.clear();
        }
        self.seen.insert(payload, batch);
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
        let mut stale = Stale::default();
        let event = payload(7, 1, IN);
        assert!(!stale.note(event, 5, 4));
        // A wait that was under way when the event was found stale.
        assert!(!stale.note(event, 6, 4));
        assert!(stale.note(event, 7, 5));
        stale.clear();
        assert!(!stale.note(event, 8, 7));
    }

    #[test]
    fn an_edge_triggered_leftover_is_dropped() {
        let mut stale = Stale::default();
        let event = payload(7, 1, IN | ET);
        assert!((1..10).all(|batch| !stale.note(event, batch, batch - 1)));
    }
}
