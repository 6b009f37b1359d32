//! How long a turn sleeps, and why.
//!
//! The laws:
//!
//! 1. The loop does not sleep while there is something to do, or when its run ends with this turn;
//!    otherwise until the next timer is due, or until there is an event or a notification.
//! 2. A wait is never shorter than until the deadline: the poll rounds up.
//! 3. On a clock of a test no time passes by waiting. An automatic one jumps to the next deadline
//!    where the loop would sleep.

use std::time::Duration;

use nio_poll::{Events, Poll};

use crate::{Error, clock::Time, state::State};

/// Which turns may sleep.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// As long as something keeps the loop alive, and it is not stopped.
    Alive,
    /// Whatever keeps it alive: the future of `block_on` is not ready.
    Always,
    /// None.
    Never,
}

/// Asks for events, and waits until there are some unless there is something else to do.
pub(crate) fn park(
    state: &State,
    poll: &Poll,
    events: &mut Events,
    wait: Wait,
) -> Result<(), Error> {
    let result = match pause(state, wait) {
        Pause::None => ask(state, poll, events, Some(Duration::ZERO)),
        Pause::Until(Some(deadline)) if state.clock.is_automatic() && state.jobs.get() == 0 => {
            jump(state, poll, events, deadline)
        }
        Pause::Until(deadline) => sleep(state, poll, events, deadline),
    };
    // A notification may have come while the loop was awake, too.
    state.collect();
    Ok(result?)
}

/// How long a poll waits.
enum Pause {
    None,
    /// Until there is an event, or a deadline has passed.
    Until(Option<Time>),
}

fn pause(state: &State, wait: Wait) -> Pause {
    let sleeps = match wait {
        Wait::Alive => state.is_alive() && !state.stopping.get(),
        Wait::Always => true,
        Wait::Never => false,
    };
    if !sleeps || state.is_busy() {
        return Pause::None;
    }
    Pause::Until(state.timers.next_deadline())
}

/// Waits until a deadline at most.
#[inline]
fn sleep(
    state: &State,
    poll: &Poll,
    events: &mut Events,
    deadline: Option<Time>,
) -> Result<(), nio_poll::Error> {
    let measures = state.meter.measures_idle();
    let before = match deadline.is_some() || measures {
        true => state.clock.now(),
        false => Time::START, // not used
    };
    let is_due = deadline.is_some_and(|deadline| deadline <= before);
    if is_due || !state.mailbox.alarm.park() {
        return ask(state, poll, events, Some(Duration::ZERO));
    }
    let deadline = deadline.filter(|_| state.clock.is_real());
    let result = ask(
        state,
        poll,
        events,
        deadline.map(|deadline| deadline - before),
    );
    state.meter.count_wait();
    if measures {
        state.meter.count_idle(before, state.clock.now());
    }
    result
}

/// Polls, for so long at most.
#[inline]
fn ask(
    state: &State,
    poll: &Poll,
    events: &mut Events,
    timeout: Option<Duration>,
) -> Result<(), nio_poll::Error> {
    let wait = state.record_wait(timeout);
    let result = poll.poll(events, timeout).map(drop);
    wait.end_with(events.len());
    result
}

/// Makes it the time of the deadline, if nothing happens before.
fn jump(
    state: &State,
    poll: &Poll,
    events: &mut Events,
    deadline: Time,
) -> Result<(), nio_poll::Error> {
    let before = state.clock.now();
    let wait = state.record_wait(Some(deadline - before));
    poll.poll(events, Some(Duration::ZERO))?;
    if events.is_empty() && !state.mailbox.alarm.is_notified() {
        state.clock.advance_to(deadline);
        state.meter.count_wait();
        state.meter.count_idle(before, state.clock.now());
    }
    wait.end_with(events.len());
    Ok(())
}
