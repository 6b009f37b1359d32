//! The waiters of the next turn. They are woken after the next poll of I/O, when all its events have
//! been dispatched and the posts have run.
//!
//! The law: waiters are in the order of their tickets, each ticket is given once, and a ticket that is
//! not in the queue was woken.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    task::Waker,
};

use crate::task::Waiter;

#[derive(Default)]
pub(crate) struct NextTurnQueue {
    waiters: RefCell<VecDeque<(u64, Waiter)>>,
    last_ticket: Cell<u64>,
}

impl NextTurnQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.borrow().is_empty()
    }

    /// Whether the last waiter is this waker.
    pub(crate) fn ends_with(&self, waker: &Waker) -> bool {
        let waiters = self.waiters.borrow();
        matches!(waiters.back(), Some((_, Waiter::Waker(last))) if last.will_wake(waker))
    }

    /// Adds a waiter, and returns its ticket.
    pub(crate) fn add(&self, waiter: Waiter) -> u64 {
        let ticket = self.last_ticket.get() + 1;
        self.last_ticket.set(ticket);
        self.waiters.borrow_mut().push_back((ticket, waiter));
        ticket
    }

    /// Replaces the waiter of a ticket. Returns the old waiter, or the new one if the ticket was woken
    /// already.
    pub(crate) fn replace(&self, ticket: u64, waiter: Waiter) -> Result<Waiter, Waiter> {
        let mut waiters = self.waiters.borrow_mut();
        match waiters.binary_search_by_key(&ticket, |(ticket, _)| *ticket) {
            Ok(index) => Ok(std::mem::replace(&mut waiters[index].1, waiter)),
            Err(_) => Err(waiter),
        }
    }

    pub(crate) fn remove(&self, ticket: u64) -> Option<Waiter> {
        let mut waiters = self.waiters.borrow_mut();
        let index = waiters.binary_search_by_key(&ticket, |(ticket, _)| *ticket);
        waiters.remove(index.ok()?).map(|(_, waiter)| waiter)
    }

    /// The last ticket that was given.
    pub(crate) fn last_ticket(&self) -> u64 {
        self.last_ticket.get()
    }

    /// Removes the next waiter, if its ticket is at most `last`.
    pub(crate) fn next(&self, last: u64) -> Option<Waiter> {
        let mut waiters = self.waiters.borrow_mut();
        let next = waiters.front().is_some_and(|(ticket, _)| *ticket <= last);
        let (_, waiter) = next.then(|| waiters.pop_front())??;
        Some(waiter)
    }

    /// Removes all waiters, for the end of the loop.
    pub(crate) fn take_all(&self) -> Vec<Waiter> {
        let waiters = self.waiters.take();
        waiters.into_iter().map(|(_, waiter)| waiter).collect()
    }
}
