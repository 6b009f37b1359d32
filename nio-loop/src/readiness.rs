//! The readiness of a descriptor's two directions, and their waiters.
//!
//! The laws:
//!
//! 1. A direction is *blocked* from the moment an operation returns "would block" until its next
//!    event. Waiters exist only for blocked directions, and only a registered direction is blocked.
//! 2. Futures are woken one at a time, in the order in which they began to wait. A woken future
//!    wakes the next one when its operation succeeds, or when it is dropped. So a thousand tasks may
//!    wait for connections, and one connection polls one of them.
//! 3. A dropped future leaves no waiter behind.
//! 4. `poll_io` has no future that is dropped: it keeps the last waker of each direction. That waker
//!    is woken in addition to a future, because it may never wake the next waiter.
//! 5. A *paused* direction stays blocked until its timer ends the pause; events do not end it.

use std::{cell::Cell, collections::VecDeque, rc::Rc};

use nio_poll::Event;

use crate::{
    panics::Panics,
    task::{Task, Waiter},
    tasks::Tasks,
};

/// Reading or writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Reading, accepting, and the end of the stream.
    Read,
    /// Writing, and the completion of a connect.
    Write,
}

impl Direction {
    pub(crate) const BOTH: [Direction; 2] = [Direction::Read, Direction::Write];

    pub(crate) fn other(self) -> Direction {
        match self {
            Direction::Read => Direction::Write,
            Direction::Write => Direction::Read,
        }
    }
}

/// The readiness of one direction. From `Blocked` on, no operation is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
pub(crate) enum Level {
    /// Not registered: there will be no event.
    #[default]
    Unregistered,
    /// An operation may be tried. A short count means that the next one would block.
    Open,
    /// The same, but a short count proves nothing: the end of the stream may follow, and its event
    /// has already come.
    Ending,
    /// An operation would block until the next event.
    Blocked,
    /// No operation is tried before a timer fires.
    Paused,
}

/// Identifies a waiting future. Tickets are given in order, so they also tell which future has waited
/// longer; after the last one they start again.
pub(crate) type Ticket = u32;

/// The ticket of the waiter of `poll_io`, and of a future that has not waited yet.
pub(crate) const NO_TICKET: Ticket = 0;

/// The waiters that do not fit into [`Readiness::first`].
#[derive(Default)]
struct OtherWaiters {
    /// The waiter of `poll_io`, for each direction.
    poll_io: [Option<Waiter>; 2],
    /// The futures that wait for each direction, in order.
    futures: [VecDeque<(Ticket, Waiter)>; 2],
}

impl OtherWaiters {
    fn is_empty(&self) -> bool {
        self.poll_io.iter().all(Option::is_none) && self.futures.iter().all(VecDeque::is_empty)
    }
}

/// The readiness of a source's two directions, reading first, and their waiters. 48 bytes: each
/// connection has one.
#[derive(Default)]
pub(crate) struct Readiness {
    /// The registration's key as a word; 0 before the first wait.
    pub(crate) word: Cell<usize>,
    /// The first waiter of each direction, if it is a task. No other future has waited longer.
    first: [Cell<Option<Rc<Task>>>; 2],
    others: Cell<Option<Box<OtherWaiters>>>,
    /// The tickets of the first waiters; `NO_TICKET` without one.
    tickets: [Cell<Ticket>; 2],
    last_ticket: Cell<Ticket>,
    levels: [Cell<Level>; 2],
    /// Whether `others` is there, which a `Cell` does not tell.
    has_others: Cell<bool>,
}

impl Readiness {
    #[inline]
    pub(crate) fn level(&self, direction: Direction) -> &Cell<Level> {
        &self.levels[direction as usize]
    }

    #[inline]
    pub(crate) fn is_blocked(&self, direction: Direction) -> bool {
        self.level(direction).get() >= Level::Blocked
    }

    /// Whether there are more waiters than one task per direction. Waking them may run foreign code.
    #[inline]
    pub(crate) fn has_other_waiters(&self) -> bool {
        self.has_others.get()
    }

    /// A ticket that no waiting future has.
    fn new_ticket(&self) -> Ticket {
        let ticket = self.last_ticket.get().checked_add(1).unwrap_or(1);
        self.last_ticket.set(ticket);
        ticket
    }

    /// How many tickets were given after this one: the larger, the longer the future has waited.
    fn age(&self, ticket: Ticket) -> u32 {
        self.last_ticket.get().wrapping_sub(ticket)
    }

    /// Adds a waiter, or replaces the waiter of this ticket. A future without a ticket gets one. A
    /// woken future that has to wait again keeps its ticket, and so its place in the order.
    #[inline]
    pub(crate) fn wait(&self, direction: Direction, own: Option<&Cell<Ticket>>, waiter: Waiter) {
        let ticket = own.map_or(NO_TICKET, |own| {
            if own.get() == NO_TICKET {
                own.set(self.new_ticket());
            }
            own.get()
        });
        let known = &self.tickets[direction as usize];
        let first = self.first[direction as usize].take();
        let is_first = match first {
            None => !self.has_others.get(),
            Some(_) => known.get() == ticket,
        };
        match waiter {
            Waiter::Task(task) if is_first => {
                known.set(ticket);
                self.first[direction as usize].set(Some(task));
            }
            waiter => {
                let before = known.replace(NO_TICKET);
                let first = first.filter(|_| !is_first);
                self.wait_among_others(direction, ticket, waiter, first.map(|task| (before, task)));
            }
        }
    }

    /// Adds a waiter that is not the first, or not a task. `first` stays the first if it has waited
    /// longer.
    #[cold]
    fn wait_among_others(
        &self,
        direction: Direction,
        ticket: Ticket,
        waiter: Waiter,
        first: Option<(Ticket, Rc<Task>)>,
    ) {
        let index = direction as usize;
        let mut others = self.others.take().unwrap_or_default();
        let mut old = None;
        if let Some((before, task)) = first {
            if before == NO_TICKET || ticket == NO_TICKET || self.age(before) > self.age(ticket) {
                self.tickets[index].set(before);
                self.first[index].set(Some(task));
            } else {
                others.futures[index].push_front((before, Waiter::Task(task)));
            }
        }
        if ticket == NO_TICKET {
            old = others.poll_io[index].replace(waiter);
        } else {
            match self.position(&others, direction, ticket) {
                Ok(position) => {
                    let known = &mut others.futures[index][position].1;
                    old = Some(std::mem::replace(known, waiter));
                }
                Err(position) => others.futures[index].insert(position, (ticket, waiter)),
            }
        }
        self.set_others(others);
        // Dropping a waker runs foreign code: the state is complete again before that.
        drop(old);
    }

    /// The index of a future among the others, or the index at which to insert it.
    fn position(
        &self,
        others: &OtherWaiters,
        direction: Direction,
        ticket: Ticket,
    ) -> Result<usize, usize> {
        let futures = &others.futures[direction as usize];
        futures.binary_search_by(|(other, _)| self.age(ticket).cmp(&self.age(*other)))
    }

    fn set_others(&self, others: Box<OtherWaiters>) {
        let has_others = !others.is_empty();
        self.has_others.set(has_others);
        self.others.set(has_others.then_some(others));
    }

    /// Removes a future. If it was woken and has not tried its operation, the next one is woken.
    #[inline]
    pub(crate) fn stop_waiting(&self, tasks: &Tasks, direction: Direction, ticket: Ticket) {
        let was_woken = self.tickets[direction as usize].get() != ticket;
        if was_woken && self.is_blocked(direction) && !self.has_others.get() {
            return;
        }
        self.remove_or_wake_next(tasks, direction, ticket);
    }

    fn remove_or_wake_next(&self, tasks: &Tasks, direction: Direction, ticket: Ticket) {
        if self.tickets[direction as usize].get() == ticket {
            drop(self.take_first(direction));
            return;
        }
        if self.has_others.get() {
            let mut others = self.others.take().unwrap_or_default();
            let position = self.position(&others, direction, ticket).ok();
            let removed =
                position.and_then(|position| others.futures[direction as usize].remove(position));
            self.set_others(others);
            if removed.is_some() {
                return;
            }
        }
        if !self.is_blocked(direction) {
            self.wake_next(tasks, direction);
        }
    }

    /// Removes the first waiter, with its ticket.
    #[inline]
    fn take_first(&self, direction: Direction) -> Option<(Ticket, Rc<Task>)> {
        let task = self.first[direction as usize].take()?;
        let ticket = self.tickets[direction as usize].replace(NO_TICKET);
        Some((ticket, task))
    }

    /// Wakes the next future that waits for a direction.
    fn wake_next(&self, tasks: &Tasks, direction: Direction) {
        let woken = self.wake_first(tasks, direction);
        if self.has_others.get() && !woken {
            self.wake_next_of_others(tasks, direction);
        }
    }

    #[cold]
    fn wake_next_of_others(&self, tasks: &Tasks, direction: Direction) {
        let mut others = self.others.take().unwrap_or_default();
        let next = others.futures[direction as usize].pop_front();
        self.set_others(others);
        if let Some((_, waiter)) = next {
            tasks.wake_waiter(waiter);
        }
    }

    /// Wakes a direction without an event, so that its operation is tried again.
    pub(crate) fn wake(&self, tasks: &Tasks, direction: Direction) {
        let woken = self.set_level(tasks, direction, Level::Ending);
        if self.has_others.get() {
            let ready = Direction::BOTH.map(|other| other == direction);
            self.wake_others(tasks, ready, [woken; 2]);
        }
    }

    /// Called when the timer of a pause fires.
    pub(crate) fn end_pause(&self, tasks: &Tasks, direction: Direction) {
        let level = self.level(direction);
        if level.get() == Level::Paused {
            level.set(Level::Blocked);
            self.wake(tasks, direction);
        }
    }

    /// Wakes all waiters, for the end of the loop: they try again and get an error.
    pub(crate) fn close(&self, tasks: &Tasks) {
        self.levels
            .iter()
            .for_each(|level| level.set(Level::Unregistered));
        let mut waiters = Vec::new();
        for direction in Direction::BOTH {
            let first = self.take_first(direction);
            waiters.extend(first.map(|(_, task)| Waiter::Task(task)));
        }
        if let Some(others) = self.others.take() {
            waiters.extend(others.poll_io.into_iter().flatten());
            let futures = others.futures.into_iter().flatten();
            waiters.extend(futures.map(|(_, waiter)| waiter));
        }
        self.has_others.set(false);
        wake_each(waiters, tasks);
    }

    /// Handles an event when there are no other waiters: no foreign code runs. Returns which
    /// directions are ready, and in which of them a future with a ticket was woken.
    #[inline(always)]
    pub(crate) fn notify(&self, tasks: &Tasks, event: Event) -> ([bool; 2], [bool; 2]) {
        let ends = event.is_read_closed();
        // On some BSDs a pipe's writer gets the end of its reader as an end of reading.
        let ready = [event.is_readable(), event.is_writable() || ends];
        let mut woken = [false; 2];
        if ready[0] {
            let level = if ends { Level::Ending } else { Level::Open };
            woken[0] = self.set_level(tasks, Direction::Read, level);
        }
        if ready[1] {
            woken[1] = self.set_level(tasks, Direction::Write, Level::Open);
        }
        (ready, woken)
    }

    /// Handles an event, waking other waiters too. An edge comes once, so both levels are set before
    /// any waker runs: it may panic.
    #[cold]
    pub(crate) fn notify_with_others(&self, tasks: &Tasks, event: Event) {
        let (ready, woken) = self.notify(tasks, event);
        self.wake_others(tasks, ready, woken);
    }

    /// Sets the level of a direction and wakes its first waiter. Returns true if no other future is to
    /// be woken.
    #[inline(always)]
    fn set_level(&self, tasks: &Tasks, direction: Direction, level: Level) -> bool {
        let own = self.level(direction);
        match own.get() {
            Level::Unregistered => {}
            Level::Paused => return true,
            _ => own.set(level),
        }
        self.wake_first(tasks, direction)
    }

    /// Wakes the first waiter, a task: no foreign code runs. Returns whether it has a ticket, and so
    /// wakes the next one itself.
    #[inline(always)]
    fn wake_first(&self, tasks: &Tasks, direction: Direction) -> bool {
        let Some((ticket, task)) = self.take_first(direction) else {
            return false;
        };
        tasks.wake(task);
        ticket != NO_TICKET
    }

    /// Wakes the waiters of `poll_io` and, unless a future was woken already, the next future.
    #[cold]
    fn wake_others(&self, tasks: &Tasks, ready: [bool; 2], woken: [bool; 2]) {
        let mut others = self.others.take().unwrap_or_default();
        let mut waiters = Vec::new();
        for index in (0..2).filter(|&index| ready[index]) {
            waiters.extend(others.poll_io[index].take());
            if !woken[index] {
                let next = others.futures[index].pop_front();
                waiters.extend(next.map(|(_, waiter)| waiter));
            }
        }
        self.set_others(others);
        wake_each(waiters, tasks);
    }
}

/// Wakers are foreign code: if one panics, the others are still woken.
fn wake_each(waiters: Vec<Waiter>, tasks: &Tasks) {
    let mut panics = Panics::default();
    for waiter in waiters {
        panics.catch(|| tasks.wake_waiter(waiter));
    }
    panics.resume();
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn the_readiness_of_a_source_takes_48_bytes() {
        assert_eq!(size_of::<Readiness>(), 48);
    }
}
