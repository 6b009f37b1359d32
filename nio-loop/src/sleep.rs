//! Time for tasks: sleeps, intervals, time limits and yielding.

use std::{
    fmt,
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    rc::Rc,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    task::{Context, Poll, Waker, ready},
    thread,
    time::Duration,
};

use nio_timer::TimerKey;

use crate::{
    Handle,
    budget::{self, poll_budget},
    clock::Time,
    state::State,
    timers::{MissedTicks, Timer, at_least_a_nanosecond},
};

/// A future that is ready at a deadline. Made by [`Handle::sleep`] and [`Handle::sleep_until`].
///
/// It is armed when it is first polled, so one that is never awaited costs nothing.
///
/// When its loop is gone it is not ready before its deadline either: a thread waits for that instead. On
/// a [clock of a test](crate::Clock), which has stopped with its loop, it is ready at once.
#[doc(alias("Delay"))]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    handle: Handle,
    deadline: Time,
    /// Once it was armed, of a timer that is gone when it has fired.
    key: Option<TimerKey>,
    /// What waits instead of the loop, when that is gone.
    orphan: Option<Box<Orphan>>,
}

/// A thread that wakes a waker at a deadline. It ends when this is dropped.
struct Orphan {
    _thread: Sender<()>,
    waker: Waker,
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
            if !self.handle.state.timers.reschedule(key, deadline) {
                self.key = None;
            }
            self.handle.state.mailbox.rouse();
        }
        if let Some(orphan) = self.orphan.take() {
            // To be polled again, which starts another thread.
            orphan.waker.wake();
        }
    }

    /// Nothing is woken any more, until the next poll.
    fn disarm(&mut self) {
        if let Some(key) = self.key.take() {
            drop(self.handle.state.cancel_timer(key));
        }
    }

    fn is_over(&self) -> bool {
        self.deadline != Time::NEVER && self.handle.state.clock.now() >= self.deadline
    }

    /// Waits, whatever is left of the budget.
    fn poll_unbudgeted(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // One that was armed is over when its timer has fired, and the clock need not be read.
        if self.key.is_none() && self.is_over() {
            return Poll::Ready(());
        }
        self.poll_timer(context)
    }

    /// Waits for the timer, also where the deadline has passed: it fires in the next turn then.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.handle.state.closed.get() {
            return self.poll_without_loop(context);
        }
        self.handle.check_loop();
        // A waker runs foreign code while it is cloned or dropped, so nothing is borrowed then.
        let waiter = self.handle.state.tasks.waiter(context.waker());
        let Some(key) = self.key else {
            let timer = Timer::Sleep(waiter);
            self.key = Some(self.handle.state.timers.insert(self.deadline, timer));
            self.handle.state.mailbox.rouse();
            return Poll::Pending;
        };
        match self.handle.state.timers.replace_waiter(key, waiter) {
            Ok(_old) => Poll::Pending,
            Err(_unused) => Poll::Ready(()),
        }
    }

    #[cold]
    fn poll_without_loop(&mut self, context: &Context<'_>) -> Poll<()> {
        let clock = &self.handle.state.clock;
        if self.is_over() || !clock.is_real() {
            return Poll::Ready(());
        }
        let (old, waker) = (self.orphan.as_ref(), context.waker());
        if !old.is_some_and(|orphan| orphan.waker.will_wake(waker)) {
            let orphan = Orphan::new(self.deadline - clock.now(), waker);
            self.orphan = orphan.map(Box::new);
        }
        Poll::Pending
    }
}

impl Orphan {
    /// None if there can be no thread: then the waker is woken at once, to try again.
    fn new(wait: Duration, waker: &Waker) -> Option<Orphan> {
        let (sender, receiver) = mpsc::channel();
        let own = waker.clone();
        let wait = move || {
            if receiver.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                own.wake();
            }
        };
        let thread = thread::Builder::new().name("nio-sleep".into());
        if thread.spawn(wait).is_err() {
            waker.wake_by_ref();
            return None;
        }
        Some(Orphan {
            _thread: sender,
            waker: waker.clone(),
        })
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let unit = ready!(budget::draw(context));
        ready!(self.poll_unbudgeted(context));
        unit.spend();
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
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
#[doc(alias("TimeoutError"))]
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

/// Ticks for tasks. Made by [`Handle::interval`].
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
    missed: MissedTicks,
}

impl Interval {
    /// Waits for the end of the period, and returns how many have ended since the last time: more
    /// than 1 if it was not awaited for longer than a period. Dropping the future loses no period.
    ///
    /// A tick that is overdue comes in the next turn of the loop: timers, I/O and other tasks have
    /// theirs before it, however late it is.
    pub async fn tick(&mut self) -> u64 {
        let armed = Armed(self);
        poll_fn(|context| armed.0.poll_tick(context)).await
    }

    /// [`tick`](Self::tick), for futures written by hand. The timer stays set until it is ready, or until
    /// the interval is dropped.
    pub fn poll_tick(&mut self, context: &mut Context<'_>) -> Poll<u64> {
        let unit = ready!(budget::draw(context));
        ready!(self.sleep.poll_timer(context));
        unit.spend();
        self.sleep.disarm();
        let now = self.sleep.handle.now();
        let (next, periods) = self.missed.next(self.sleep.deadline, self.period, now);
        self.sleep.reset(next);
        Poll::Ready(periods)
    }

    /// The time between two ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Begins a new period now.
    pub fn reset(&mut self) {
        let next = self.sleep.handle.now() + self.period;
        self.sleep.reset(next);
    }
}

/// Disarms an interval when it is dropped.
struct Armed<'a>(&'a mut Interval);

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        self.0.sleep.disarm();
    }
}

/// # Timers: futures
impl Handle {
    /// A future that is ready when `duration` has passed from now, and never earlier. One of zero is
    /// ready at once.
    #[doc(alias("delay", "timers/promises", "uv_timer_t"))]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// A future that is ready at a time of this loop; at once if that has passed.
    pub fn sleep_until(&self, deadline: Time) -> Sleep {
        Sleep {
            handle: self.clone(),
            deadline,
            key: None,
            orphan: None,
        }
    }

    /// Ticks for a task, the first time when a period has passed. As with
    /// [`set_interval`](Handle::set_interval), missed ticks are skipped.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nio_loop::{Clock, EventLoop};
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
    /// let handle = event_loop.handle();
    /// event_loop.block_on(async {
    ///     let mut interval = handle.interval(Duration::from_secs(1));
    ///     assert_eq!(interval.tick().await, 1);
    ///     handle.sleep(Duration::from_millis(3500)).await;
    ///     assert_eq!(interval.tick().await, 3); // the ends of the second, third and fourth second
    /// })
    /// # }
    /// ```
    #[doc(alias("timers/promises", "setInterval"))]
    #[must_use]
    pub fn interval(&self, period: Duration) -> Interval {
        self.interval_with(period, MissedTicks::Skip)
    }

    /// As [`interval`](Handle::interval), with a choice of what becomes of missed ticks.
    #[doc(alias("MissedTickBehavior"))]
    #[must_use]
    pub fn interval_with(&self, period: Duration, missed: MissedTicks) -> Interval {
        let period = at_least_a_nanosecond(period);
        Interval {
            sleep: self.sleep(period),
            period,
            missed,
        }
    }

    /// Gives a future a limited time, from when it is first polled. If it is not ready by then, it
    /// is dropped.
    ///
    /// A result that was there in time counts, also where the loop was too busy to see it: the future
    /// is polled before the deadline is looked at, and when the deadline has passed it is polled
    /// once more after the next poll of I/O.
    ///
    /// ```
    /// # use std::{future::pending, time::Duration};
    /// # use nio_loop::EventLoop;
    /// # fn main() -> Result<(), nio_loop::Error> {
    /// let mut event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// let limit = Duration::from_millis(1);
    /// let elapsed = event_loop.block_on(handle.timeout(limit, pending::<()>()))?.unwrap_err();
    /// assert_eq!(elapsed.to_string(), "not done within 1ms");
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("select!", "AbortSignal.timeout", "wait_for"))]
    pub fn timeout<F: Future>(
        &self,
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + use<F> {
        let handle = self.clone();
        async move {
            let mut future = pin!(future);
            let mut sleep = None;
            let mut next_turn: Option<NextTurn> = None;
            let mut begun = false;
            poll_fn(|context| {
                if !mem::replace(&mut begun, true) && poll_budget(context).is_pending() {
                    // The deadline counts from here all the same.
                    let sleep = sleep.insert(handle.sleep(limit));
                    let _ = sleep.poll_unbudgeted(context);
                    return Poll::Pending;
                }
                let last = match &mut next_turn {
                    None => false,
                    Some(next_turn) => Pin::new(next_turn).poll(context).is_ready(),
                };
                if last {
                    budget::refill();
                }
                if let Poll::Ready(output) = future.as_mut().poll(context) {
                    return Poll::Ready(Ok(output));
                }
                if last {
                    return Poll::Ready(Err(Elapsed { limit }));
                }
                if next_turn.is_none() {
                    let sleep = sleep.get_or_insert_with(|| handle.sleep(limit));
                    // The deadline comes also where the future has spent the budget.
                    ready!(sleep.poll_unbudgeted(context));
                    let next_turn = next_turn.insert(handle.next_turn());
                    if Pin::new(next_turn).poll(context).is_ready() {
                        // The loop is gone.
                        return Poll::Ready(Err(Elapsed { limit }));
                    }
                }
                Poll::Pending
            })
            .await
        }
    }

    /// Lets all tasks run that are ready now. For a task that has much to do: timers and I/O get
    /// their turn too, as the loop runs tasks for about a millisecond at most before it looks at
    /// them. To wait for them each time is [`next_turn`](Handle::next_turn).
    #[doc(alias("consume_budget"))]
    pub fn yield_now(&self) -> impl Future<Output = ()> + use<> {
        let state = Rc::clone(&self.state);
        let mut end = None;
        poll_fn(move |context| {
            let first = end.is_none();
            let end = *end.get_or_insert_with(|| state.tasks.end_of_queue());
            // Another wake may come sooner, and is not what was asked for. In another executor the
            // next poll is as good as any.
            if !first && (state.tasks.has_passed(end) || !state.tasks.is_running()) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Waits for the next turn of the loop: ready when timers that are due have run, the kernel was
    /// asked for I/O, and all that it reported was passed on. The loop does not sleep meanwhile.
    #[doc(alias("setImmediate"))]
    pub fn next_turn(&self) -> NextTurn {
        NextTurn {
            state: Rc::clone(&self.state),
            waits: None,
        }
    }
}

/// A future that is ready after the next poll of I/O. Made by [`Handle::next_turn`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct NextTurn {
    state: Rc<State>,
    /// The number of the poll and the ticket, once it waits.
    waits: Option<(u64, u64)>,
}

impl Future for NextTurn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let closed = self.state.closed.get();
        // Another wake may come sooner, and is not what was asked for.
        let has_ended = |(poll, _)| self.state.tasks.later.has_ended(poll);
        if closed || self.waits.is_some_and(has_ended) {
            return Poll::Ready(());
        }
        let waiter = self.state.tasks.waiter(context.waker());
        match self.waits {
            Some((_, ticket)) => drop(self.state.tasks.later.replace(ticket, waiter)),
            None => {
                let later = &self.state.tasks.later;
                self.waits = Some((later.next_poll(), later.add(waiter)));
                self.state.mailbox.rouse();
            }
        }
        Poll::Pending
    }
}

impl Drop for NextTurn {
    fn drop(&mut self) {
        if let Some((_, ticket)) = self.waits {
            drop(self.state.tasks.later.remove(ticket));
        }
    }
}

impl fmt::Debug for NextTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextTurn")
    }
}
