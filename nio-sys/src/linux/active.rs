//! The list of active knotes: those whose condition holds or may hold, by the engine's own state, oldest first.
//!
//! The laws:
//!
//! 1. A knote is in the list at most once, and keeps its position, by which it is taken out. So the list is
//!    empty exactly when no knote is active (K8).
//! 2. A call takes knotes out from the front and reports them. One that is still active after its report
//!    goes to the end when the call ends: it is reported once in a call (K84), and after all others (K87).
//!
//! A doubly linked list in a vector: every operation takes constant time, and only a list longer than it has
//! been before allocates.

use std::os::fd::RawFd;

/// A knote in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A READ, WRITE or EXCEPT knote of a descriptor that epoll takes: its index among the filters.
    Descriptor(RawFd, usize),
    /// Any other knote, by its number in the engine.
    Knote(u32),
}

/// The position of a knote in the list.
pub(super) type Position = u32;

/// The position of a knote that is not in the list.
pub(super) const NOWHERE: Position = Position::MAX;

/// The active knotes of one queue.
#[derive(Debug)]
pub(super) struct Active {
    nodes: Vec<Node>,
    first: Position,
    last: Position,
    /// The nodes that are not in use, linked by `next`.
    vacant: Position,
    /// A knote has become active since this was last asked.
    grew: bool,
}

#[derive(Debug)]
struct Node {
    key: Key,
    before: Position,
    next: Position,
}

impl Default for Active {
    fn default() -> Active {
        Active {
            nodes: Vec::new(),
            first: NOWHERE,
            last: NOWHERE,
            vacant: NOWHERE,
            grew: false,
        }
    }
}

impl Active {
    /// Appends a knote, unless it is in the list.
    #[inline]
    pub(super) fn push(&mut self, key: Key, position: &mut Position) {
        if *position == NOWHERE {
            *position = self.append(key);
        }
    }

    fn append(&mut self, key: Key) -> Position {
        let node = Node {
            key,
            before: self.last,
            next: NOWHERE,
        };
        let position = self.vacant;
        let position = match self.nodes.get_mut(position as usize) {
            Some(vacant) => {
                self.vacant = vacant.next;
                *vacant = node;
                position
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as Position - 1
            }
        };
        match self.nodes.get_mut(self.last as usize) {
            Some(last) => last.next = position,
            None => self.first = position,
        }
        self.last = position;
        self.grew = true;
        position
    }

    /// Takes a knote out, if it is in the list.
    pub(super) fn remove(&mut self, position: &mut Position) {
        let position = std::mem::replace(position, NOWHERE);
        if position == NOWHERE {
            return;
        }
        let Node { before, next, .. } = self.nodes[position as usize];
        match self.nodes.get_mut(before as usize) {
            Some(node) => node.next = next,
            None => self.first = next,
        }
        match self.nodes.get_mut(next as usize) {
            Some(node) => node.before = before,
            None => self.last = before,
        }
        self.nodes[position as usize].next = self.vacant;
        self.vacant = position;
    }

    /// Takes out the oldest knote.
    pub(super) fn pop(&mut self) -> Option<Key> {
        let mut first = self.first;
        let key = self.nodes.get(first as usize)?.key;
        self.remove(&mut first);
        Some(key)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first == NOWHERE
    }

    /// Whether a knote has become active since this was last asked.
    #[inline]
    pub(super) fn take_grew(&mut self) -> bool {
        std::mem::take(&mut self.grew)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Pop,
        Remove(prop::sample::Index),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let remove = any::<prop::sample::Index>().prop_map(Step::Remove);
        prop::collection::vec(
            prop_oneof![3 => Just(Step::Push), 1 => Just(Step::Pop), 1 => remove],
            0..200,
        )
    }

    proptest! {
        #[test]
        fn the_list_is_a_queue_from_which_any_knote_can_be_taken(steps in steps()) {
            let (mut active, mut model) = (Active::default(), Vec::new());
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Push => {
                        let key = Key::Knote(number as u32);
                        let mut position = NOWHERE;
                        active.push(key, &mut position);
                        model.push((key, position));
                        prop_assert!(active.take_grew());
                    }
                    Step::Pop => {
                        let first = (!model.is_empty()).then(|| model.remove(0).0);
                        prop_assert_eq!(active.pop(), first);
                    }
                    Step::Remove(_) if model.is_empty() => active.remove(&mut NOWHERE.clone()),
                    Step::Remove(index) => {
                        let (_, mut position) = model.remove(index.index(model.len()));
                        active.remove(&mut position);
                        prop_assert_eq!(position, NOWHERE);
                    }
                }
                prop_assert_eq!(active.is_empty(), model.is_empty());
            }
            for (key, _) in model {
                prop_assert_eq!(active.pop(), Some(key));
            }
            prop_assert!(active.is_empty());
        }
    }
}
