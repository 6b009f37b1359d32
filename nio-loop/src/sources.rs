//! What the loop has registered with its poll: watches and sources.
//!
//! Laws of a source's waiters:
//!
//! 1. A direction is *blocked* from the moment an operation says so until an event of it comes.
//!    Waiters wait only for a direction that is blocked, and only one that is registered is blocked.
//! 2. Futures are woken one at a time, in the order in which they began to wait. A future that was
//!    woken wakes the next one when its operation was successful, or when it is dropped. So a
//!    thousand tasks may wait for connections, and one connection polls one of them.
//! 3. A future that is dropped leaves: nothing of it is kept.
//! 4. A waiter without a ticket (of `poll_io`) cannot pass on its turn, so all of these are woken.

use std::{cell::Cell, collections::VecDeque, rc::Rc, vec};

use nio_poll::{Event, Signal};

use crate::{
    later::Later,
    slab::Key,
    source::Direction,
    tasks::{Task, Tasks, Waiter},
    watch::Watch,
};

/// What a token of the poll stands for.
pub(crate) enum Registration {
    /// A watch that is being registered.
    Pending,
    /// A callback. Boxed, as most registrations are sources.
    Watch(Box<Watch>),
    /// A signal, whose callbacks are watches of their own.
    Signal(Signal),
    /// A [`Source`](crate::Source).
    Source(Rc<Readiness>),
}

/// What is known of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
}

/// Tells one waiting future from another.
pub(crate) type Ticket = u32;

/// Of waiters that have none.
pub(crate) const NO_TICKET: Ticket = 0;

/// The waiters of each direction that do not fit into [`Readiness::first`], in order.
type Crowd = [VecDeque<(Ticket, Waiter)>; 2];

/// What is known of a source's two directions, reading first, and what waits for them. 48 bytes:
/// there is one for each connection.
#[derive(Default)]
pub(crate) struct Readiness {
    /// The key of the registration; none before something was waited for.
    pub(crate) key: Cell<Option<Key>>,
    /// The first that waits, if that is a task.
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
        self.level(direction).get() == Level::Blocked
    }

    /// Whether more than a task for each direction waits, so that waking may run foreign code.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.get()
    }

    /// A ticket that no waiting future has.
    pub(crate) fn new_ticket(&self) -> Ticket {
        let ticket = self.last_ticket.get().checked_add(1).unwrap_or(1);
        self.last_ticket.set(ticket);
        ticket
    }

    /// Adds a waiter, or has the one with this ticket wake another task.
    #[inline]
    pub(crate) fn wait(&self, direction: Direction, ticket: Ticket, waiter: Waiter) {
        let Waiter::Task(task) = waiter else {
            return self.wait_in_crowd(direction, ticket, waiter);
        };
        let first = &self.first[direction as usize];
        let known = &self.tickets[direction as usize];
        let old = first.take();
        let is_first = match &old {
            None => !self.crowded.get(),
            Some(_) if ticket != NO_TICKET => known.get() == ticket,
            Some(old) => known.get() == NO_TICKET && Rc::ptr_eq(old, &task),
        };
        if is_first {
            known.set(ticket);
            first.set(Some(task));
        } else {
            first.set(old);
            self.wait_in_crowd(direction, ticket, Waiter::Task(task));
        }
    }

    /// A dropped waker runs foreign code, so nothing is borrowed or missing then.
    #[cold]
    fn wait_in_crowd(&self, direction: Direction, ticket: Ticket, waiter: Waiter) {
        let mut crowd = self.crowd.take().unwrap_or_default();
        let waiting = &mut crowd[direction as usize];
        let known = waiting.iter_mut().find(|(other, waiting)| match ticket {
            NO_TICKET => *other == NO_TICKET && waiting.is(&waiter),
            ticket => *other == ticket,
        });
        let mut gone = Vec::new();
        match known {
            Some((_, old)) => gone.push(std::mem::replace(old, waiter)),
            None => {
                if waiting.len() == waiting.capacity() {
                    // A task that is over does not say so if it has no ticket.
                    waiting.retain(|(_, other)| other.is_there());
                }
                waiting.push_back((ticket, waiter));
            }
        }
        self.set_crowd(crowd);
    }

    fn set_crowd(&self, crowd: Box<Crowd>) {
        let crowded = crowd.iter().any(|waiting| !waiting.is_empty());
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
            let waiting = &mut crowd[direction as usize];
            let place = waiting.iter().position(|(other, _)| *other == ticket);
            let left = place.and_then(|place| waiting.remove(place));
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
        if let Some((_, task)) = self.take_first(direction) {
            tasks.wake(task);
        } else if self.crowded.get() {
            self.pass_on_in_crowd(tasks, direction);
        }
    }

    #[cold]
    fn pass_on_in_crowd(&self, tasks: &Tasks, direction: Direction) {
        let mut crowd = self.crowd.take().unwrap_or_default();
        let next = crowd[direction as usize].pop_front();
        self.set_crowd(crowd);
        if let Some((_, waiter)) = next {
            waiter.wake(tasks);
        }
    }

    /// Something has happened, after which a direction is at another level.
    pub(crate) fn wake(&self, tasks: &Tasks, later: &Later, direction: Direction, level: Level) {
        let passed = self.tell(tasks, direction, level);
        if self.crowded.get() {
            let told = Direction::BOTH.map(|other| other == direction);
            self.wake_crowd(tasks, later, told, [passed; 2]);
        }
    }

    /// No event comes any more: all that wait try again, to learn that the loop is gone.
    pub(crate) fn forsake(&self, tasks: &Tasks, later: &Later) {
        self.levels
            .iter()
            .for_each(|level| level.set(Level::Unregistered));
        let mut waiters = Vec::new();
        for direction in Direction::BOTH {
            let first = self.take_first(direction);
            waiters.extend(first.map(|(_, task)| Waiter::Task(task)));
        }
        for waiting in self.crowd.take().into_iter().flat_map(|crowd| *crowd) {
            waiters.extend(waiting.into_iter().map(|(_, waiter)| waiter));
        }
        self.crowded.set(false);
        wake_each(waiters, tasks, later);
    }

    /// An event of the poll. It comes once, so both directions know of it before any waker runs.
    #[inline(always)]
    pub(crate) fn notify(&self, tasks: &Tasks, later: &Later, event: Event) {
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
        if self.crowded.get() {
            self.wake_crowd(tasks, later, told, passed);
        }
    }

    /// Changes the level of a direction and wakes the first, which is a task: no foreign code runs.
    /// Returns whether a future with a ticket was woken.
    #[inline(always)]
    fn tell(&self, tasks: &Tasks, direction: Direction, level: Level) -> bool {
        let own = self.level(direction);
        if own.get() != Level::Unregistered {
            own.set(level);
        }
        let Some((ticket, task)) = self.take_first(direction) else {
            return false;
        };
        tasks.wake(task);
        ticket != NO_TICKET
    }

    /// Wakes those without a ticket and, unless it was passed on already, the next one with one.
    #[cold]
    fn wake_crowd(&self, tasks: &Tasks, later: &Later, told: [bool; 2], passed: [bool; 2]) {
        let mut crowd = self.crowd.take().unwrap_or_default();
        let mut woken = Vec::new();
        for (index, waiting) in crowd.iter_mut().enumerate() {
            let mut passed = passed[index];
            for (ticket, waiter) in std::mem::take(waiting) {
                if told[index] && (ticket == NO_TICKET || !passed) {
                    passed |= ticket != NO_TICKET;
                    woken.push(waiter);
                } else {
                    waiting.push_back((ticket, waiter));
                }
            }
        }
        self.set_crowd(crowd);
        wake_each(woken, tasks, later);
    }
}

/// Wakers are foreign code: should one panic, those behind it are woken in the next turn.
fn wake_each(waiters: Vec<Waiter>, tasks: &Tasks, later: &Later) {
    struct Behind<'a>(&'a Later, vec::IntoIter<Waiter>, &'a Tasks);
    impl Drop for Behind<'_> {
        fn drop(&mut self) {
            if self.1.len() > 0 {
                for waiter in &mut self.1 {
                    self.0.add(waiter);
                }
                self.2.rouse();
            }
        }
    }
    let mut behind = Behind(later, waiters.into_iter(), tasks);
    for waiter in behind.1.by_ref() {
        waiter.wake(tasks);
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn the_readiness_of_a_source_takes_48_bytes_and_its_registration_16() {
        assert_eq!(size_of::<Readiness>(), 48);
        assert_eq!(size_of::<Option<Registration>>(), 16);
    }
}
