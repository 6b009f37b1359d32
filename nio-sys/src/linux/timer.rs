//! EVFILT_TIMER: the timers of a queue in order, and one timerfd for each of the two clocks.
//!
//! The laws:
//!
//! 1. A timer that is enabled and not due stands in the order of its clock; one that is due stands
//!    in the list of active knotes until it is collected; a disabled one stands nowhere, but its
//!    time goes on.
//! 2. The timerfd of a clock is armed for the first of its order, and is edge-triggered and never
//!    read: each setting of it is good for one edge.
//! 3. How often a timer has expired is computed when it is collected, so a program that was stopped
//!    gets the right count.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use super::{
    epoll::{self, Nanos},
    knote::{Knote, invalid, no_such_knote},
    queue::{Active, EDGE, internal},
};
use crate::{EventFlags, Filter, Kevent, TimerFlags, TimerUnit};

/// The payloads of the two timerfds.
pub(super) const MONOTONIC: u32 = 3;
pub(super) const REALTIME: u32 = 4;

/// Never.
const NEVER: Nanos = Nanos::MAX;

/// The timers of one queue, by ident.
#[derive(Debug)]
pub(super) struct Timers {
    knotes: HashMap<usize, Timer>,
    /// Periods, and single times from now on.
    relative: Clock,
    /// Points in time, which move when the clock of the system is set.
    absolute: Clock,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            knotes: HashMap::new(),
            relative: Clock::new(libc::CLOCK_MONOTONIC, MONOTONIC),
            absolute: Clock::new(libc::CLOCK_REALTIME, REALTIME),
        }
    }
}

#[derive(Debug)]
struct Timer {
    knote: Knote,
    schedule: Schedule,
    /// The serial of its entry in the list of active knotes, if it has one.
    queued: Option<u64>,
}

/// When a timer expires.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    /// The first expiration that has not been reported.
    next: Nanos,
    /// The time between expirations; none repeats after `NEVER`.
    period: Nanos,
    absolute: bool,
}

impl Schedule {
    /// What a change with EV_ADD asks for; `once` is the mode of the knote.
    fn new(change: &Kevent, once: bool) -> io::Result<Schedule> {
        let unit = TimerUnit::from_fflags(change.fflags()).ok_or_else(invalid)?;
        let flags = TimerFlags::from_bits_retain(change.fflags() & !u32::from(unit));
        let absolute = flags.contains(TimerFlags::ABSOLUTE);
        if !flags.difference(TimerFlags::ABSOLUTE).is_empty() {
            return Err(invalid());
        }
        let amount = u64::try_from(change.data()).map_err(|_| invalid())?;
        let time = amount.saturating_mul(match unit {
            TimerUnit::Seconds => 1_000_000_000,
            TimerUnit::Milliseconds => 1_000_000,
            TimerUnit::Microseconds => 1_000,
            TimerUnit::Nanoseconds => 1,
        });
        if absolute {
            return Ok(Schedule {
                next: time,
                period: NEVER,
                absolute,
            });
        }
        // A period of nothing is one unit; once after nothing is now (K181).
        let period = if time == 0 && !once {
            return Schedule::new(&change.with_data(1), once);
        } else if once {
            NEVER
        } else {
            time
        };
        Ok(Schedule {
            next: epoll::now(libc::CLOCK_MONOTONIC).saturating_add(time),
            period,
            absolute,
        })
    }

    /// How often it has expired and not been reported.
    fn expirations(&self, now: Nanos) -> u64 {
        if self.next == NEVER || now < self.next {
            return 0;
        }
        (now - self.next) / self.period + 1
    }

    /// Counts what has been reported.
    fn report(&mut self, expirations: u64) {
        let passed = self.period.saturating_mul(expirations);
        self.next = self.next.saturating_add(passed);
    }
}

impl Timers {
    /// Applies a change.
    pub(super) fn change(
        &mut self,
        epoll: &OwnedFd,
        change: &Kevent,
        active: &mut Active,
    ) -> io::Result<()> {
        let (ident, flags) = (change.ident(), change.flags());
        if flags.contains(EventFlags::DELETE) {
            return self.remove(ident, active).ok_or_else(no_such_knote);
        }
        // Whatever can fail comes before anything is changed (K54).
        let schedule = if flags.contains(EventFlags::ADD) {
            // Adding again does not change the mode (K60).
            let known = self.knotes.get(&ident);
            let once = known.map_or(flags.contains(EventFlags::ONESHOT), |timer| {
                timer.knote.is_oneshot()
            });
            let schedule = Schedule::new(change, once)?;
            self.clock(schedule.absolute).open(epoll)?;
            Some(schedule)
        } else {
            None
        };
        let timer = match (self.knotes.entry(ident), schedule) {
            (Entry::Occupied(entry), _) => {
                let timer = entry.into_mut();
                timer.knote.modify(change);
                timer
            }
            (Entry::Vacant(entry), Some(schedule)) => {
                // A period implies EV_CLEAR; a point in time does not (K187).
                let clear = EventFlags::CLEAR;
                let flags = if schedule.absolute {
                    flags
                } else {
                    flags | clear
                };
                entry.insert(Timer {
                    knote: Knote::new(&change.with_flags(flags)),
                    schedule,
                    queued: None,
                })
            }
            (Entry::Vacant(_), None) => return Err(no_such_knote()),
        };
        let old = timer.schedule;
        if let Some(schedule) = schedule {
            // Adding again starts anew, and forgets what has expired (K183).
            timer.schedule = schedule;
            active.cancel(timer.queued.take());
        }
        self.clock(old.absolute).order.remove(&(old.next, ident));
        self.place(ident, active);
        self.arm();
        Ok(())
    }

    /// Puts a timer where law 1 wants it.
    fn place(&mut self, ident: usize, active: &mut Active) {
        let Some(timer) = self.knotes.get_mut(&ident) else {
            return;
        };
        if !timer.knote.is_enabled() {
            return active.cancel(timer.queued.take());
        }
        if timer.queued.is_some() {
            return;
        }
        let clock = if timer.schedule.absolute {
            &mut self.absolute
        } else {
            &mut self.relative
        };
        if timer.schedule.expirations(clock.now()) > 0 {
            timer.queued = Some(active.push(Filter::TIMER, ident));
        } else if timer.schedule.next != NEVER {
            clock.order.insert((timer.schedule.next, ident));
        }
    }

    fn remove(&mut self, ident: usize, active: &mut Active) -> Option<()> {
        let timer = self.knotes.remove(&ident)?;
        active.cancel(timer.queued);
        self.clock(timer.schedule.absolute)
            .order
            .remove(&(timer.schedule.next, ident));
        Some(())
    }

    fn clock(&mut self, absolute: bool) -> &mut Clock {
        if absolute {
            &mut self.absolute
        } else {
            &mut self.relative
        }
    }

    /// Sees to law 2.
    fn arm(&mut self) {
        self.relative.arm();
        self.absolute.arm();
    }

    /// Registers the timerfds with a new epoll set.
    pub(super) fn attach(&self, epoll: &OwnedFd) -> io::Result<()> {
        self.relative.attach(epoll)?;
        self.absolute.attach(epoll)
    }

    /// A timerfd has expired: whatever is due becomes active.
    pub(super) fn expire(&mut self, which: u32, active: &mut Active) {
        let clock = self.clock(which == REALTIME);
        clock.armed = NEVER;
        let now = clock.now();
        while let Some((_, ident)) = self.clock(which == REALTIME).pop_due(now) {
            self.place(ident, active);
        }
        self.arm();
    }

    /// Makes the event of a timer that was found in the list of active ones.
    pub(super) fn collect(
        &mut self,
        ident: usize,
        serial: u64,
        active: &mut Active,
    ) -> Option<Kevent> {
        let timer = self.knotes.get_mut(&ident)?;
        if timer.queued != Some(serial) {
            return None;
        }
        timer.queued = None;
        if !timer.knote.is_enabled() {
            return None;
        }
        let schedule = &mut timer.schedule;
        let clock = if schedule.absolute {
            &self.absolute
        } else {
            &self.relative
        };
        let expirations = schedule.expirations(clock.now());
        if expirations == 0 {
            // The clock of the system was set back meanwhile.
            self.place(ident, active);
            self.arm();
            return None;
        }
        let event = timer
            .knote
            .event(ident, Filter::TIMER, EventFlags::empty())
            .with_data(i64::try_from(expirations).unwrap_or(i64::MAX));
        if timer.knote.is_oneshot() {
            self.remove(ident, active);
            return Some(event);
        }
        if timer.knote.is_clear() {
            timer.schedule.report(expirations);
        }
        if timer.knote.fires_once() {
            timer.knote.disable();
        }
        self.place(ident, active);
        self.arm();
        Some(event)
    }
}

/// One of the system's clocks, and the timers that go by it.
#[derive(Debug)]
struct Clock {
    id: libc::clockid_t,
    payload: u32,
    /// By expiration, then by ident.
    order: BTreeSet<(Nanos, usize)>,
    timerfd: Option<OwnedFd>,
    /// For when the timerfd is set; `NEVER`: it is not.
    armed: Nanos,
}

impl Clock {
    fn new(id: libc::clockid_t, payload: u32) -> Clock {
        Clock {
            id,
            payload,
            order: BTreeSet::new(),
            timerfd: None,
            armed: NEVER,
        }
    }

    fn now(&self) -> Nanos {
        epoll::now(self.id)
    }

    /// Makes the timerfd, when the first timer comes.
    fn open(&mut self, epoll: &OwnedFd) -> io::Result<()> {
        if self.timerfd.is_none() {
            self.timerfd = Some(epoll::timerfd(self.id)?);
            self.attach(epoll).inspect_err(|_| self.timerfd = None)?;
        }
        Ok(())
    }

    /// Registers the timerfd.
    fn attach(&self, epoll: &OwnedFd) -> io::Result<()> {
        match &self.timerfd {
            Some(timerfd) => {
                let fd = timerfd.as_raw_fd();
                epoll::control(epoll, libc::EPOLL_CTL_ADD, fd, EDGE, internal(self.payload))
            }
            None => Ok(()),
        }
    }

    /// Sets the timerfd for the first timer. One that is set for an earlier time, because its timer
    /// is gone, stays: its edge finds nothing due, and sets it anew.
    fn arm(&mut self) {
        let first = self.order.first().map_or(NEVER, |&(next, _)| next);
        if first < self.armed {
            if let Some(timerfd) = &self.timerfd {
                epoll::set_timerfd(timerfd, first);
                self.armed = first;
            }
        }
    }

    /// Takes out the first timer that is due.
    fn pop_due(&mut self, now: Nanos) -> Option<(Nanos, usize)> {
        if self.order.first()?.0 > now {
            return None;
        }
        self.order.pop_first()
    }
}
