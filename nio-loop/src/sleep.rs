//! Time for tasks: futures that are ready at a deadline.

use std::{
    fmt,
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use nio_timer::TimerKey;

use crate::{
    Handle,
    clock::Time,
    core::Core,
    timer::{Missed, Timer, at_least_a_nanosecond},
};

/// A future that is ready at a deadline. Made by [`Handle::sleep`] and [`Handle::sleep_until`].
///
/// It is armed when it is first polled, so one that is never awaited costs nothing.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    core: Rc<Core>,
    deadline: Time,
    /// Once it was armed, of a timer that is no more there when it has fired.
    key: Option<TimerKey>,
}

impl Sleep {
    /// When it is ready.
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.deadline
    }

    /// Changes when it is ready, also after it was. Moving it to a later time is cheap: that is what
    /// a server does with an idle timeout at each message.
    pub fn reset(&mut self, deadline: Time) {
        self.deadline = deadline;
        if let Some(key) = self.key {
            if !self.core.timers.borrow_mut().reschedule(key, deadline) {
                self.key = None;
            }
            self.core.rouse();
        }
    }

    /// Has the timer wake somebody. Returns false if it has fired.
    fn wake(&mut self, context: &Context<'_>) -> bool {
        // A waker may do anything while it is cloned or dropped, so nothing is borrowed then.
        let waiter = self.core.waiter(context.waker());
        let mut timers = self.core.timers.borrow_mut();
        match self.key.map(|key| timers.get_mut(key)) {
            None => {
                self.key = Some(timers.insert(self.deadline, Timer::Sleep(waiter)));
                self.core.rouse();
            }
            Some(None) => return false,
            Some(Some(timer)) => {
                let old = mem::replace(timer, Timer::Sleep(waiter));
                drop(timers);
                drop(old);
            }
        }
        true
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let is_over = || this.core.clock.now() >= this.deadline && this.deadline != Time::NEVER;
        // One that was armed is over when its timer has fired, and the clock need not be read.
        if this.key.is_none() && is_over() || !this.wake(context) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            drop(self.core.cancel_timer(key));
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// A future that ran out of time. See [`Handle::timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not done within {limit:?}")]
pub struct Elapsed {
    /// The time it had.
    pub limit: Duration,
}

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

/// A ticking for tasks. Made by [`Handle::interval`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    missed: Missed,
}

impl Interval {
    /// Waits for the end of the period, and returns how many have ended since the last time: more
    /// than 1 if nobody has waited for longer than a period. Dropping the future loses no period.
    pub async fn tick(&mut self) -> u64 {
        Pin::new(&mut self.sleep).await;
        let now = self.sleep.core.clock.now();
        let (next, periods) = self.missed.next(self.sleep.deadline, self.period, now);
        self.sleep.reset(next);
        periods
    }

    /// The time between two ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Begins a new period now.
    pub fn reset(&mut self) {
        let next = self.sleep.core.deadline(self.period);
        self.sleep.reset(next);
    }
}

impl Handle {
    /// A future that is ready when `duration` has passed from now, and never earlier. One of zero is
    /// ready at once: awaiting it gives nothing else a turn.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.core.deadline(duration))
    }

    /// A future that is ready at a time of this loop; at once if that has passed.
    pub fn sleep_until(&self, deadline: Time) -> Sleep {
        Sleep {
            core: Rc::clone(&self.core),
            deadline,
            key: None,
        }
    }

    /// Ticks for a task, the first time when a period has passed. As with
    /// [`set_interval`](Handle::set_interval), what was missed is skipped.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::{Clock, EventLoop};
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
    /// let handle = event_loop.handle().clone();
    /// event_loop.block_on(async {
    ///     let mut interval = handle.interval(Duration::from_secs(1));
    ///     assert_eq!(interval.tick().await, 1);
    ///     handle.sleep(Duration::from_millis(3500)).await;
    ///     assert_eq!(interval.tick().await, 3); // the ends of the second, third and fourth second
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn interval(&self, period: Duration) -> Interval {
        self.interval_with(period, Missed::Skip)
    }

    /// As [`interval`](Handle::interval), with a choice of what becomes of missed periods.
    #[must_use]
    pub fn interval_with(&self, period: Duration, missed: Missed) -> Interval {
        let period = at_least_a_nanosecond(period);
        Interval {
            sleep: self.sleep(period),
            period,
            missed,
        }
    }

    /// Gives a future a limited time from now. If it is not ready by then, it is dropped. The future
    /// is polled first: when it is ready at the very moment of the deadline, its output counts.
    ///
    /// ```
    /// # use std::{future::pending, time::Duration};
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle().clone();
    /// let limit = Duration::from_millis(1);
    /// let elapsed = event_loop.block_on(handle.timeout(limit, pending::<()>()))?.unwrap_err();
    /// assert_eq!(elapsed.to_string(), "not done within 1ms");
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + use<F> {
        let mut sleep = self.sleep(limit);
        async move {
            let mut future = pin!(future);
            poll_fn(|context| {
                if let Poll::Ready(output) = future.as_mut().poll(context) {
                    return Poll::Ready(Ok(output));
                }
                let sleep = Pin::new(&mut sleep).poll(context);
                sleep.map(|()| Err(Elapsed { limit }))
            })
            .await
        }
    }

    /// Lets everything else have its turn: timers that are due, I/O and woken tasks all come before
    /// the future is ready. The loop does not wait meanwhile.
    pub fn yield_now(&self) -> impl Future<Output = ()> + use<> {
        let core = Rc::clone(&self.core);
        let mut since = None;
        poll_fn(move |context| {
            // Another wake may come sooner, and is not what was asked for.
            let since = *since.get_or_insert(core.turn.get());
            let turns = core.resumed_in.get().wrapping_sub(since) as i32;
            if turns > 0 || core.closed.get() {
                return Poll::Ready(());
            }
            core.wake_in_next_turn(context.waker());
            Poll::Pending
        })
    }
}
