//! What is known of a descriptor's two directions, and what waits for them.
//!
//! The laws:
//!
//! 1. A direction is *blocked* from the moment an operation says so until an event of it comes.
//!    Waiters wait only for a direction that is blocked, and only one that is registered is blocked.
//! 2. Futures are woken one at a time, in the order in which they began to wait. A future that was
//!    woken wakes the next one when its operation was successful, or when it is dropped. So a
//!    thousand tasks may wait for connections, and one connection polls one of them.
//! 3. A future that is dropped leaves: nothing of it is kept.
//! 4. `poll_io` has no future to be dropped: of each direction it keeps the last waker, which is woken
//!    beside a future, as it may not pass on its turn.
//! 5. A direction that is *paused* is blocked until its timer ends the pause, whatever happens.

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
    /// Reading, accepting, and learning that the other side has finished.
    Read,
    /// Writing, and learning that a connection is made.
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

/// What is known of one direction. From `Blocked` on, nothing is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
pub(crate) enum Level {
    /// It is not registered, so no event will come.
    #[default]
    Unregistered,
    /// An operation may be tried. A short count says that nothing is left to do.
    Open,
    /// The same, but a short count says nothing: the end may be behind it, for which no event will
    /// come any more.
    Ending,
    /// An operation would block until an event comes.
    Blocked,
    /// An operation is not tried before a timer fires.
    Paused,
}

/// Tells one waiting future from another, and which waits longer: given in order, and again only after
/// all others.
pub(crate) type Ticket = u32;

/// Of the waiter of `poll_io`, and of a future that has not waited yet.
pub(crate) const NO_TICKET: Ticket = 0;

/// The waiters that do not fit into [`Readiness::first`].
#[derive(Default)]
struct Crowd {
    /// That of `poll_io`, for each direction.
    by_hand: [Option<Waiter>; 2],
    /// The futures that wait for each direction, in order.
    futures: [VecDeque<(Ticket, Waiter)>; 2],
}

impl Crowd {
    fn is_empty(&self) -> bool {
        self.by_hand.iter().all(Option::is_none) && self.futures.iter().all(VecDeque::is_empty)
    }
}

/// What is known of a source's two directions, reading first, and what waits for them. 48 bytes:
/// there is one for each connection.
#[derive(Default)]
pub(crate) struct Readiness {
    /// The word of the key of the registration; 0 before something was waited for.
    pub(crate) word: Cell<usize>,
    /// The first that waits, if that is a task. No future in the crowd has waited longer.
    first: [Cell<Option<Rc<Task>>>; 2],
    crowd: Cell<Option<Box<Crowd>>>,
    /// The tickets of the first; none where there is no first.
    tickets: [Cell<Ticket>; 2],
    last_ticket: Cell<Ticket>,
    levels: [Cell<Level>; 2],
    /// There is a crowd.
    crowded: Cell<bool>,
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

    /// Whether more than a task for each direction waits, so that waking may run foreign code.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.get()
    }

    /// A ticket that no waiting future has.
    fn new_ticket(&self) -> Ticket {
        let ticket = self.last_ticket.get().checked_add(1).unwrap_or(1);
        self.last_ticket.set(ticket);
        ticket
    }

    /// How many tickets were given since this one: more to a future that waits longer.
    fn age(&self, ticket: Ticket) -> u32 {
        self.last_ticket.get().wrapping_sub(ticket)
    }

    /// Adds a waiter, or has the one with this ticket wake something else. A future that has no ticket
    /// yet gets one. One that was woken, and has to wait again, does so in front of those that came later.
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
            None => !self.crowded.get(),
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
                self.wait_in_crowd(direction, ticket, waiter, first.map(|task| (before, task)));
            }
        }
    }

    /// What waits is not the first, or no task. The first stays it if it has waited longer.
    #[cold]
    fn wait_in_crowd(
        &self,
        direction: Direction,
        ticket: Ticket,
        waiter: Waiter,
        first: Option<(Ticket, Rc<Task>)>,
    ) {
        let index = direction as usize;
        let mut crowd = self.crowd.take().unwrap_or_default();
        let mut old = None;
        if let Some((before, task)) = first {
            if before == NO_TICKET || ticket == NO_TICKET || self.age(before) > self.age(ticket) {
                self.tickets[index].set(before);
                self.first[index].set(Some(task));
            } else {
                crowd.futures[index].push_front((before, Waiter::Task(task)));
            }
        }
        if ticket == NO_TICKET {
            old = crowd.by_hand[index].replace(waiter);
        } else {
            match self.place(&crowd, direction, ticket) {
                Ok(place) => {
                    let known = &mut crowd.futures[index][place].1;
                    old = Some(std::mem::replace(known, waiter));
                }
                Err(place) => crowd.futures[index].insert(place, (ticket, waiter)),
            }
        }
        self.set_crowd(crowd);
        // A dropped waker runs foreign code, so nothing is borrowed or missing now.
        drop(old);
    }

    /// Where a future is in the crowd, or would be.
    fn place(&self, crowd: &Crowd, direction: Direction, ticket: Ticket) -> Result<usize, usize> {
        let futures = &crowd.futures[direction as usize];
        futures.binary_search_by(|(other, _)| self.age(ticket).cmp(&self.age(*other)))
    }

    fn set_crowd(&self, crowd: Box<Crowd>) {
        let crowded = !crowd.is_empty();
        self.crowded.set(crowded);
        self.crowd.set(crowded.then_some(crowd));
    }

    /// A future does not wait any more. If it was woken and has not tried since, the next one is.
    #[inline]
    pub(crate) fn leave(&self, tasks: &Tasks, direction: Direction, ticket: Ticket) {
        let was_woken = self.tickets[direction as usize].get() != ticket;
        if was_woken && self.is_blocked(direction) && !self.crowded.get() {
            return;
        }
        self.leave_or_pass_on(tasks, direction, ticket);
    }

    fn leave_or_pass_on(&self, tasks: &Tasks, direction: Direction, ticket: Ticket) {
        if self.tickets[direction as usize].get() == ticket {
            drop(self.take_first(direction));
            return;
        }
        if self.crowded.get() {
            let mut crowd = self.crowd.take().unwrap_or_default();
            let place = self.place(&crowd, direction, ticket).ok();
            let left = place.and_then(|place| crowd.futures[direction as usize].remove(place));
            self.set_crowd(crowd);
            if left.is_some() {
                return;
            }
        }
        if !self.is_blocked(direction) {
            self.pass_on(tasks, direction);
        }
    }

    /// Takes the first out, with its ticket.
    #[inline]
    fn take_first(&self, direction: Direction) -> Option<(Ticket, Rc<Task>)> {
        let task = self.first[direction as usize].take()?;
        let ticket = self.tickets[direction as usize].replace(NO_TICKET);
        Some((ticket, task))
    }

    /// Wakes the next future that waits for a direction.
    fn pass_on(&self, tasks: &Tasks, direction: Direction) {
        let passed = self.wake_first(tasks, direction);
        if self.crowded.get() && !passed {
            self.pass_on_in_crowd(tasks, direction);
        }
    }

    #[cold]
    fn pass_on_in_crowd(&self, tasks: &Tasks, direction: Direction) {
        let mut crowd = self.crowd.take().unwrap_or_default();
        let next = crowd.futures[direction as usize].pop_front();
        self.set_crowd(crowd);
        if let Some((_, waiter)) = next {
            tasks.wake_waiter(waiter);
        }
    }

    /// Something has happened for which there is no event: a direction is tried again.
    pub(crate) fn wake(&self, tasks: &Tasks, direction: Direction) {
        let passed = self.tell(tasks, direction, Level::Ending);
        if self.crowded.get() {
            let told = Direction::BOTH.map(|other| other == direction);
            self.wake_crowd(tasks, told, [passed; 2]);
        }
    }

    /// The timer of a pause has fired.
    pub(crate) fn end_pause(&self, tasks: &Tasks, direction: Direction) {
        let level = self.level(direction);
        if level.get() == Level::Paused {
            level.set(Level::Blocked);
            self.wake(tasks, direction);
        }
    }

    /// No event comes any more: all that wait try again, to learn that the loop is gone.
    pub(crate) fn forsake(&self, tasks: &Tasks) {
        self.levels
            .iter()
            .for_each(|level| level.set(Level::Unregistered));
        let mut waiters = Vec::new();
        for direction in Direction::BOTH {
            let first = self.take_first(direction);
            waiters.extend(first.map(|(_, task)| Waiter::Task(task)));
        }
        if let Some(crowd) = self.crowd.take() {
            waiters.extend(crowd.by_hand.into_iter().flatten());
            let futures = crowd.futures.into_iter().flatten();
            waiters.extend(futures.map(|(_, waiter)| waiter));
        }
        self.crowded.set(false);
        wake_each(waiters, tasks);
    }

    /// An event of the poll, where no crowd waits: no foreign code runs. Returns which directions it is
    /// for, and in which of them a future with a ticket was woken.
    #[inline(always)]
    pub(crate) fn notify(&self, tasks: &Tasks, event: Event) -> ([bool; 2], [bool; 2]) {
        let ends = event.is_read_closed();
        // The end of a pipe's reader comes to its writer as an end of reading on some BSDs.
        let told = [event.is_readable(), event.is_writable() || ends];
        let mut passed = [false; 2];
        if told[0] {
            let level = if ends { Level::Ending } else { Level::Open };
            passed[0] = self.tell(tasks, Direction::Read, level);
        }
        if told[1] {
            passed[1] = self.tell(tasks, Direction::Write, Level::Open);
        }
        (told, passed)
    }

    /// An event of the poll. It comes once, so both directions know of it before any waker runs.
    #[cold]
    pub(crate) fn notify_crowd(&self, tasks: &Tasks, event: Event) {
        let (told, passed) = self.notify(tasks, event);
        self.wake_crowd(tasks, told, passed);
    }

    /// Changes the level of a direction and wakes the first. Returns whether no other future is to be
    /// woken.
    #[inline(always)]
    fn tell(&self, tasks: &Tasks, direction: Direction, level: Level) -> bool {
        let own = self.level(direction);
        match own.get() {
            Level::Unregistered => {}
            Level::Paused => return true,
            _ => own.set(level),
        }
        self.wake_first(tasks, direction)
    }

    /// Wakes the first, which is a task: no foreign code runs. Returns whether it is a future with a
    /// ticket, which passes on its turn.
    #[inline(always)]
    fn wake_first(&self, tasks: &Tasks, direction: Direction) -> bool {
        let Some((ticket, task)) = self.take_first(direction) else {
            return false;
        };
        tasks.wake(task);
        ticket != NO_TICKET
    }

    /// Wakes the waiters of `poll_io` and, unless it was passed on already, the next future.
    #[cold]
    fn wake_crowd(&self, tasks: &Tasks, told: [bool; 2], passed: [bool; 2]) {
        let mut crowd = self.crowd.take().unwrap_or_default();
        let mut woken = Vec::new();
        for index in (0..2).filter(|&index| told[index]) {
            woken.extend(crowd.by_hand[index].take());
            if !passed[index] {
                let next = crowd.futures[index].pop_front();
                woken.extend(next.map(|(_, waiter)| waiter));
            }
        }
        self.set_crowd(crowd);
        wake_each(woken, tasks);
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
