//! How long the loop waits in a turn, and why.
//!
//! The laws:
//!
//! 1. The loop does not sleep if it has work, or if its run ends with this turn. Otherwise it sleeps
//!    until the next deadline, an event or a notification.
//! 2. A sleep never ends before the deadline without an event: the poll rounds up.
//! 3. On a test's clock no time passes while the loop waits. An automatic clock jumps to the next
//!    deadline where the loop would sleep.

use std::time::Duration;

use nio_poll::{Events, Poll};

use crate::{Error, clock::Time, state::State};

/// Which turns may sleep.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Sleep if something keeps the loop alive and it is not stopped.
    Alive,
    /// Sleep in any case: the future of `block_on` is not ready.
    Always,
    /// Do not sleep.
    Never,
}

/// Polls for events, and waits for them unless the loop has other work.
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
    // Also without a wait: a notification may have come while the loop was awake.
    state.collect();
    Ok(result?)
}

/// How long a poll waits.
enum Pause {
    None,
    /// Until an event, or the deadline if there is one.
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

/// Waits for events, at most until the deadline.
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

/// Moves the clock to the deadline, unless there are events or a notification now.
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
