//! The listeners of each signal.
//!
//! The laws:
//!
//! 1. A signal is registered with the poll from its first listener to its last.
//! 2. The listeners of a signal are called in the order in which they were set.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use nio_poll::Signal;

use nio_timer::Key;

/// The position of a listener in the order of all listeners.
pub(crate) type Order = u64;

/// The listeners of a loop.
#[derive(Default)]
pub(crate) struct Listeners {
    signals: RefCell<BTreeMap<Signal, Listened>>,
    last: Cell<Order>,
}

struct Listened {
    /// The key in the token of the signal's events.
    registration: Key,
    watches: BTreeMap<Order, Key>,
}

impl Listeners {
    pub(crate) fn has(&self, signal: Signal) -> bool {
        self.signals.borrow().contains_key(&signal)
    }

    /// Adds a signal that was registered.
    pub(crate) fn begin(&self, signal: Signal, registration: Key) {
        let watches = BTreeMap::new();
        let listened = Listened {
            registration,
            watches,
        };
        self.signals.borrow_mut().insert(signal, listened);
    }

    pub(crate) fn next_order(&self) -> Order {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }

    /// Adds a listener to a signal that is registered.
    pub(crate) fn add(&self, signal: Signal, order: Order, watch: Key) {
        if let Some(listened) = self.signals.borrow_mut().get_mut(&signal) {
            listened.watches.insert(order, watch);
        }
    }

    /// Removes a listener. Returns the signal's registration if this was the last listener: the caller
    /// ends it.
    pub(crate) fn remove(&self, signal: Signal, order: Order) -> Option<Key> {
        let mut signals = self.signals.borrow_mut();
        let listened = signals.get_mut(&signal)?;
        listened.watches.remove(&order);
        if !listened.watches.is_empty() {
            return None;
        }
        signals.remove(&signal).map(|ended| ended.registration)
    }

    /// The listeners of a signal, in order.
    pub(crate) fn of(&self, signal: Signal) -> Vec<Key> {
        let signals = self.signals.borrow();
        let listened = signals.get(&signal);
        listened.map_or(Vec::new(), |listened| {
            listened.watches.values().copied().collect()
        })
    }
}
