//! The kernel's timers.

use std::time::Duration;

use nio_sys::{EventFlags, Filter, Kevent, TimerUnit};

use crate::{Error, Poll, Subject, Token, poll::is_absent};

/// The longest time that every system can count, 34 years: FreeBSD lets longer timers expire at
/// once (K189).
const LONGEST: Duration = Duration::from_secs(1 << 30);

/// When a timer of the kernel expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Once, after this time.
    After(Duration),
    /// Again and again, with this time in between.
    Every(Duration),
}

impl Timer {
    /// The timer that a knote was made of.
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
    /// Sets a timer of the kernel. There is one for each token; setting it again starts it anew. Its
    /// event says how often it has expired since the last.
    ///
    /// A program with more than a few timers is better off with a heap of its own (nio-timer) and
    /// the timeout of [`poll`](Poll::poll), which cost no system calls. A timer of the kernel is for
    /// a poll that is itself watched by another loop, whose timeout is not ours.
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
    /// [`Error::Refused`], when the system has no more timers (FreeBSD has a limit); a timer that there
    /// was begins anew then, with its old time.
    ///
    /// # Platform differences
    ///
    /// Never early; how late depends on the system: macOS may delay a timer to save power, NetBSD and
    /// OpenBSD count in clock ticks, DragonFly in milliseconds. A time of more than 34 years is cut to
    /// that, and one of less than a nanosecond is a nanosecond.
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
        // Deleted first, because its mode is fixed when it is added and because DragonFly does not
        // start a running timer anew.
        let subject = Subject::Timer(token);
        let mut registered = self.lock();
        let delete = self.shared().apply(knote.with_flags(EventFlags::DELETE));
        let delete = delete.or_else(|error| {
            if is_absent(&error) {
                Ok(())
            } else {
                Err(error)
            }
        });
        let result = delete.and_then(|()| self.shared().apply(knote));
        if let (Err(_), Some(&old)) = (&result, registered.others.get(&(Filter::TIMER, token.0))) {
            // Back to what it was; nothing can be done if that fails too.
            let _ = self.shared().apply(old);
        }
        result.map_err(|source| Error::Refused { subject, source })?;
        registered.others.insert((Filter::TIMER, token.0), knote);
        Ok(())
    }

    /// Stops a timer. One that was to expire once, and has, may be stopped all the same.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegistered`] if no timer was ever set with this token, or it was stopped.
    pub fn deregister_timer(&self, token: Token) -> Result<(), Error> {
        self.remove(
            &mut self.lock(),
            Subject::Timer(token),
            Filter::TIMER,
            token.0,
        )
    }
}
