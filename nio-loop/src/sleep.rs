//! Timers for tasks: sleeps, intervals, timeouts and yielding.

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
/// Its timer is armed at its first poll, so a sleep that is never awaited costs nothing.
///
/// If its loop is gone, a thread waits for the deadline instead. On a [test's clock](crate::Clock),
/// which stops with its loop, it is then ready at once.
#[doc(alias("Delay"))]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    handle: Handle,
    deadline: Time,
    /// The timer, since it was armed. The key is stale when the timer has fired.
    key: Option<TimerKey>,
    /// Waits for the deadline after the loop is gone.
    fallback: Option<Box<FallbackThread>>,
}

/// A thread that wakes a waker at a deadline. It ends when this is dropped.
struct FallbackThread {
    _thread: Sender<()>,
    waker: Waker,
}

impl Sleep {
    /// The deadline.
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.deadline
    }

    /// Changes the deadline, also after it has passed. Moving it to a later time is cheap: a server
    /// does that with an idle timeout at each message.
    pub fn reset(&mut self, deadline: Time) {
        self.deadline = deadline;
        if let Some(key) = self.key {
            if !self.handle.state.timers.reschedule(key, deadline) {
                self.key = None;
            }
            self.handle.state.mailbox.notify_if_parked();
        }
        if let Some(fallback) = self.fallback.take() {
            // The next poll starts another thread.
            fallback.waker.wake();
        }
    }

    /// Cancels the timer. The next poll arms it again.
    fn disarm(&mut self) {
        if let Some(key) = self.key.take() {
            drop(self.handle.state.cancel_timer(key));
        }
    }

    fn is_over(&self) -> bool {
        self.deadline != Time::NEVER && self.handle.state.clock.now() >= self.deadline
    }

    /// Polls without drawing on the budget.
    fn poll_unbudgeted(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // If it was armed, the timer tells whether it is over, and the clock need not be read.
        if self.key.is_none() && self.is_over() {
            return Poll::Ready(());
        }
        self.poll_timer(context)
    }

    /// Waits for the timer even if the deadline has passed: then it fires in the next turn.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.handle.state.closed.get() {
            return self.poll_without_loop(context);
        }
        self.handle.check_loop();
        // Cloning or dropping a waker runs foreign code, so nothing is borrowed here.
        let waiter = self.handle.state.tasks.waiter(context.waker());
        let Some(key) = self.key else {
            let timer = Timer::Sleep(waiter);
            self.key = Some(self.handle.state.timers.insert(self.deadline, timer));
            self.handle.state.mailbox.notify_if_parked();
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
        let (old, waker) = (self.fallback.as_ref(), context.waker());
        if !old.is_some_and(|fallback| fallback.waker.will_wake(waker)) {
            let fallback = FallbackThread::new(self.deadline - clock.now(), waker);
            self.fallback = fallback.map(Box::new);
        }
        Poll::Pending
    }
}

impl FallbackThread {
    /// `None` if no thread can be started: then the waker is woken at once, to try again.
    fn new(wait: Duration, waker: &Waker) -> Option<FallbackThread> {
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
        Some(FallbackThread {
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

/// The error of a future that was not ready in time. See [`Handle::timeout`].
#[doc(alias("TimeoutError"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not done within {limit:?}")]
pub struct Elapsed {
    /// The time limit.
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
    /// Waits for the end of the period, and returns how many periods have ended since the last tick:
    /// more than 1 if the last tick was more than a period ago. It is cancellation safe.
    ///
    /// An overdue tick is ready in the next turn of the loop, so timers, I/O and other tasks run before
    /// it, however late it is.
    pub async fn tick(&mut self) -> u64 {
        let armed = DisarmOnDrop(self);
        poll_fn(|context| armed.0.poll_tick(context)).await
    }

    /// Like [`tick`](Self::tick), for hand-written futures. The timer stays armed until it is ready or
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
struct DisarmOnDrop<'a>(&'a mut Interval);

impl Drop for DisarmOnDrop<'_> {
    fn drop(&mut self) {
        self.0.sleep.disarm();
    }
}

/// # Timers: futures
impl Handle {
    /// A future that is ready when `duration` has passed from now, never earlier. A sleep of zero is
    /// ready at once.
    #[doc(alias("delay", "timers/promises", "uv_timer_t"))]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// A future that is ready at a time of this loop, or at once if that time has passed.
    pub fn sleep_until(&self, deadline: Time) -> Sleep {
        Sleep {
            handle: self.clone(),
            deadline,
            key: None,
            fallback: None,
        }
    }

    /// Ticks for a task; the first one comes when a period has passed. As with
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

    /// Like [`interval`](Handle::interval), with a choice of how missed ticks are treated.
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

    /// Limits the time of a future, counted from its first poll. If the future is not ready in time, it
    /// is dropped.
    ///
    /// A result that was there in time counts, even if the loop was too busy to poll the future: it is
    /// polled before the deadline is checked, and once more after the next poll of I/O when the
    /// deadline has passed.
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
                    // The time counts from here, although the future was not polled.
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
                    // Unbudgeted: the deadline counts even if the future has spent the budget.
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

    /// Yields to all tasks that are ready now. For a task with much to do: timers and I/O run too,
    /// because the loop runs tasks for at most about a millisecond at a time. To yield to timers and I/O
    /// each time, use [`next_turn`](Handle::next_turn).
    #[doc(alias("consume_budget"))]
    pub fn yield_now(&self) -> impl Future<Output = ()> + use<> {
        let state = Rc::clone(&self.state);
        let mut end = None;
        poll_fn(move |context| {
            let first = end.is_none();
            let end = *end.get_or_insert_with(|| state.tasks.end_of_queue());
            // An earlier wake-up has another reason. In another executor any next poll will do.
            if !first && (state.tasks.has_passed(end) || !state.tasks.is_running()) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Waits for the next turn of the loop: ready when due timers have run, and the loop has polled for
    /// I/O and dispatched all events. The loop does not sleep meanwhile.
    #[doc(alias("setImmediate"))]
    pub fn next_turn(&self) -> NextTurn {
        NextTurn {
            state: Rc::clone(&self.state),
            ticket: None,
        }
    }
}

/// A future that is ready after the next poll of I/O. Made by [`Handle::next_turn`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct NextTurn {
    state: Rc<State>,
    /// Its ticket in the queue, since its first poll.
    ticket: Option<u64>,
}

impl Future for NextTurn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.state.closed.get() {
            return Poll::Ready(());
        }
        let waiter = self.state.tasks.waiter(context.waker());
        let Some(ticket) = self.ticket else {
            self.ticket = Some(self.state.tasks.next_turn.add(waiter));
            self.state.mailbox.notify_if_parked();
            return Poll::Pending;
        };
        match self.state.tasks.next_turn.replace(ticket, waiter) {
            // Polled early: an earlier wake-up has another reason.
            Ok(_old) => Poll::Pending,
            Err(_unused) => Poll::Ready(()),
        }
    }
}

impl Drop for NextTurn {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            drop(self.state.tasks.next_turn.remove(ticket));
        }
    }
}

impl fmt::Debug for NextTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextTurn")
    }
}
