//! Timers of the kernel.

use std::{
    io,
    time::{Duration, Instant},
};

use nio_sys::{EventFlags, Filter, Kevent, TimerUnit};

use crate::{Error, Poll, Subject, Token, watch::Watch};

/// The longest time that every system can count, 34 years: FreeBSD lets longer timers expire at
/// once (K189).
const LONGEST: Duration = Duration::from_secs(1 << 30);

/// When a timer of the kernel expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Once, after this time.
    After(Duration),
    /// Repeatedly, at this interval.
    Every(Duration),
}

impl Timer {
    /// The timer of a knote.
    pub(crate) fn of(knote: &Kevent) -> Timer {
        let time = knote.data().unsigned_abs();
        // DragonFly counts in milliseconds only.
        let time = if cfg!(target_os = "dragonfly") {
            Duration::from_millis(time)
        } else {
            Duration::from_nanos(time)
        };
        if knote.flags().contains(EventFlags::ONESHOT) {
            Timer::After(time)
        } else {
            Timer::Every(time)
        }
    }
}

impl Poll {
    /// Sets a timer of the kernel. There is one for each token; setting it again restarts it. Its event has
    /// the number of expirations since the last event ([`count`](crate::Event::count)).
    ///
    /// For more than a few timers, a heap (nio-timer) and the timeout of [`poll`](Poll::poll) cost no system
    /// calls. A timer of the kernel is for a poll that another loop watches.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nio_poll::{Events, Poll, Timer, Token};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poll = Poll::new()?;
    /// poll.register_timer(Timer::After(Duration::from_millis(2)), Token(1))?;
    /// let mut events = Events::with_capacity(4);
    /// poll.poll(&mut events, None)?;
    /// assert!(events.get(0).is_some_and(|event| event.is_timer()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the system has no more timers (FreeBSD, DragonFly) or descriptors (Linux). A timer that
    /// was set before goes on then. But if it was to change between once and repeatedly, and on DragonFly always, it
    /// starts again with its old time; if the system refuses that as well, it is lost.
    ///
    /// # Platform differences
    ///
    /// A timer is never early. How late it may be depends on the system: macOS may delay it to save power,
    /// NetBSD and OpenBSD count in clock ticks, DragonFly in milliseconds. A time of more than 34 years
    /// becomes 34 years, and zero becomes a nanosecond.
    pub fn register_timer(&self, timer: Timer, token: Token) -> Result<(), Error> {
        let (time, once) = match timer {
            Timer::After(time) => (time, EventFlags::ONESHOT),
            Timer::Every(time) => (time, EventFlags::CLEAR),
        };
        let time = time.clamp(Duration::from_nanos(1), LONGEST);
        let nanoseconds = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let knote = Kevent::timer(token.0, EventFlags::ADD | once)
            .with_udata(token.0)
            .with_time(nanoseconds, TimerUnit::Nanoseconds);
        let subject = Subject::Timer(token);
        self.set_timer(knote)
            .map_err(|source| Error::Refused { subject, source })
    }

    fn set_timer(&self, knote: Kevent) -> io::Result<()> {
        let shared = self.shared();
        let mut registry = shared.lock()?;
        let key = (Filter::TIMER, knote.ident());
        let old = registry.watches.get(&key).map(|watch| watch.knote);
        // A change restarts a timer (K183), but its mode is fixed (K60), and DragonFly restarts none.
        let restarts = old.is_some_and(|old| old.flags() == knote.flags());
        let deleted = (!restarts || cfg!(target_os = "dragonfly"))
            && shared
                .apply(&[knote.with_flags(EventFlags::DELETE)])
                .is_ok();
        let result = shared.apply(&[knote]);
        if result.is_ok() {
            registry.insert(shared, started(knote));
        } else if deleted {
            registry.watches.remove(&key);
            // Back to the old timer.
            if let Some(old) = old.filter(|old| shared.apply(&[*old]).is_ok()) {
                registry.insert(shared, started(old));
            }
        }
        result
    }

    /// Stops a timer. This is not needed for a one-shot timer that has expired, which has ended: the call is
    /// a success or [`Error::NotRegistered`] then.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`] if there is no timer with this token.
    pub fn deregister_timer(&self, token: Token) -> Result<(), Error> {
        self.unwatch(Subject::Timer(token), Filter::TIMER, token.0)
    }
}

/// The watch of a timer that has just been started.
fn started(knote: Kevent) -> Watch {
    let expires = match Timer::of(&knote) {
        Timer::After(time) => Instant::now().checked_add(time),
        Timer::Every(_) => None,
    };
    Watch {
        expires,
        ..Watch::new(knote)
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_is_restored_after_a_refusal_expires_after_its_whole_time() {
        let poll = Poll::new().unwrap();
        let hour = Duration::from_secs(3600);
        poll.register_timer(Timer::After(hour), Token(1)).unwrap();
        // A negative time is refused.
        let refused = Kevent::timer(1, EventFlags::ADD | EventFlags::CLEAR).with_data(-1);
        let before = Instant::now();
        assert!(poll.set_timer(refused).is_err());
        let registry = poll.shared().lock().unwrap();
        let watch = &registry.watches[&(Filter::TIMER, 1)];
        assert_eq!(Timer::of(&watch.knote), Timer::After(hour));
        assert!(watch.expires.unwrap() >= before + hour);
    }
}
