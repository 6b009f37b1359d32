//! The event loop: its owner, and the ways to run it. What a turn does is in `turn`.

use std::{
    fmt,
    future::Future,
    os::fd::{AsFd, BorrowedFd},
    panic::Location,
    pin::pin,
    rc::Rc,
};

use nio_poll::Poll;

use crate::{
    Clock, Error, Handle, Time,
    drain::Root,
    park::Wait,
    state::State,
    task::Task,
    turn::{Batch, Turn},
    wakers::Lent,
};

/// Makes a loop, runs a future on it until that is ready, and returns its output: the `main` of a
/// program of futures. The future has the loop's [`Handle`].
///
/// Then the loop is dropped: tasks that are not done and callbacks that are still set are dropped and
/// do not run. Await the tasks that are to finish. To have a loop run until nothing is left instead, or
/// on a [`Clock`] of a test, make an [`EventLoop`].
///
/// # Errors
///
/// As [`EventLoop::new`] and [`EventLoop::block_on`]. An error of the future itself is in its output.
///
/// # Panics
///
/// A panic of the future or of a callback passes through.
///
/// ```
/// # use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let answer = nio_loop::run(async |handle| {
///     let task = handle.spawn(async { 6 * 7 });
///     handle.sleep(Duration::from_millis(1)).await;
///     task.await
/// })??;
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
#[doc(alias("tokio::main", "LocalSet", "main"))]
#[track_caller]
pub fn run<T>(main: impl AsyncFnOnce(Handle) -> T) -> Result<T, Error> {
    let mut event_loop = EventLoop::new()?;
    let main = main(event_loop.handle());
    event_loop.block_on(main)
}

/// An event loop. It owns everything that is registered with it; [`handle`](EventLoop::handle)
/// gives what uses it.
///
/// ```
/// use std::time::Duration;
/// use nio_loop::EventLoop;
///
/// # fn main() -> Result<(), nio_loop::Error> {
/// let mut event_loop = EventLoop::new()?;
/// event_loop.handle().set_timeout(Duration::from_millis(10), |_| println!("done"));
/// event_loop.run()?; // returns when nothing is left to wait for
/// # Ok(())
/// # }
/// ```
///
/// Dropping it drops all callbacks and tasks without running them.
///
/// # In another loop
///
/// A loop can be driven by another one, of any make: its descriptor ([`AsFd`]) becomes readable
/// when there is something to do for it. Before the other loop waits, it calls
/// [`run_nowait`](EventLoop::run_nowait) and then [`next_deadline`](EventLoop::next_deadline), and
/// waits until that or until the descriptor is readable. Whatever is given to this loop meanwhile,
/// by its handle or by another thread, makes the descriptor readable, so that the other loop comes
/// back and asks for the deadline again.
///
/// The descriptor may also be readable where there is nothing to do: on the BSDs and macOS a condition
/// that has ended meanwhile leaves it so until the next run.
#[doc(alias("uv_loop_t", "LocalSet", "Runtime", "LocalExecutor", "reactor"))]
pub struct EventLoop {
    handle: Handle,
    poll: Rc<Poll>,
    batch: Batch,
    waker: Lent,
}

impl EventLoop {
    /// A loop with nothing to do.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`], usually because the limit on open descriptors is reached.
    #[doc(alias("uv_loop_init"))]
    pub fn new() -> Result<EventLoop, Error> {
        EventLoop::with_clock(Clock::real())
    }

    /// A loop that has its time from a clock, usually that of a test.
    ///
    /// # Errors
    ///
    /// As [`new`](EventLoop::new).
    #[doc(alias("start_paused"))]
    pub fn with_clock(clock: Clock) -> Result<EventLoop, Error> {
        let state = Rc::new(State::new(clock)?);
        Ok(EventLoop {
            poll: state.poll()?,
            handle: Handle { state },
            batch: Batch::new(),
            waker: Lent::default(),
        })
    }

    /// A handle, by which this loop is used. Callbacks and tasks each hold one.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until nothing keeps the loop alive, or until it is stopped. Returns whether something
    /// still keeps it alive.
    ///
    /// A loop cannot be run by one of its own callbacks: that has a [`Handle`], and only the owner
    /// can run it. A callback can run another loop.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if waiting fails, which no correct program sees. The loop can be run again.
    ///
    /// # Panics
    ///
    /// A panic of a callback passes through. Nothing but that callback is lost: the loop can be run
    /// again, and goes on where it was.
    #[doc(alias("uv_run", "UV_RUN_DEFAULT"))]
    pub fn run(&mut self) -> Result<bool, Error> {
        self.run_with(|turn, state| {
            while state.is_alive() && !state.stopping.get() {
                turn.take(Wait::Alive)?;
            }
            Ok(())
        })
    }

    /// Takes one turn that begins with the poll and ends with the timers: it waits until something
    /// happens or a timer is due, and not at all if one is due already. Returns whether something
    /// keeps the loop alive.
    ///
    /// # Errors
    ///
    /// As [`run`](EventLoop::run).
    #[doc(alias("UV_RUN_ONCE"))]
    pub fn run_once(&mut self) -> Result<bool, Error> {
        self.run_with(|turn, _| turn.take_timers_last(Wait::Alive))
    }

    /// Takes one turn that does not wait. Returns whether something keeps the loop alive.
    ///
    /// # Errors
    ///
    /// As [`run`](EventLoop::run).
    #[doc(alias("UV_RUN_NOWAIT"))]
    pub fn run_nowait(&mut self) -> Result<bool, Error> {
        self.run_with(|turn, _| turn.take(Wait::Never))
    }

    /// Runs turns, unless the loop was stopped before. Then the stop has had its effect.
    fn run_with(
        &mut self,
        run: impl FnOnce(&mut Turn<'_>, &State) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let state = &self.handle.state;
        let (batch, lent) = (&mut self.batch, &mut self.waker);
        let mut turn = Turn::new(&self.handle, &self.poll, batch, lent, None);
        if !state.stopping.get() {
            run(&mut turn, state)?;
        }
        state.collect();
        state.stopping.set(false);
        Ok(state.holds_something())
    }

    /// Runs the loop until a future is ready, and returns its output. Everything else that the loop
    /// has to do goes on meanwhile, and stays there afterwards. A [stop](Handle::stop) does not end
    /// it: it makes the next run return at once.
    ///
    /// The future is a task like any other: it is polled when it is woken, has a budget, is timed,
    /// and is in the [report](Handle::report).
    ///
    /// # Errors
    ///
    /// As [`run`](EventLoop::run). [`Error::NeverWoken`] if the loop is about to wait and nothing is left
    /// that could wake the future; then that is dropped. A loop that waits already does not learn that
    /// another thread has dropped the last [`Remote`](crate::Remote) or waker.
    ///
    /// # Panics
    ///
    /// A panic of the future or of a callback passes through.
    #[doc(alias("run_until", "run_until_complete"))]
    #[track_caller]
    pub fn block_on<F: Future>(&mut self, future: F) -> Result<F::Output, Error> {
        let mut output = None;
        {
            let state = &self.handle.state;
            let future = pin!(async { output = Some(future.await) });
            let guard = RootTask::new(state, Location::caller());
            let task = Rc::clone(&guard.task);
            let root = Some(Root { task, future });
            let (batch, lent) = (&mut self.batch, &mut self.waker);
            let mut turn = Turn::new(&self.handle, &self.poll, batch, lent, root);
            turn.drain();
            while turn.has_root() {
                turn.take(Wait::Always)?;
            }
            state.collect();
        }
        Ok(output.expect("the root is gone only when it is ready"))
    }

    /// When the loop has to be run again at the latest, if nothing happens before: now or earlier if
    /// there is something to do at once, `None` if it waits for events only.
    ///
    /// From this call on, and until the loop is run, its descriptor becomes readable also when
    /// something is given to the loop, because that may change the answer.
    #[doc(alias("uv_backend_timeout", "uv_backend_fd"))]
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let state = &self.handle.state;
        if state.is_busy() || !self.batch.is_done() || !state.mailbox.alarm.park() {
            return Some(state.clock.now());
        }
        state.timers.next_deadline()
    }
}

/// The task of the future of `block_on`. When that ends, or panics, the task is over.
struct RootTask<'a> {
    state: &'a State,
    task: Rc<Task>,
}

impl<'a> RootTask<'a> {
    fn new(state: &'a State, place: &'static Location<'static>) -> RootTask<'a> {
        let task = Task::new(None, place, state.origin(place).since);
        task.joinable.set(false);
        state.tasks.add(&task);
        state.retain(true);
        state.tasks.wake(Rc::clone(&task));
        RootTask { state, task }
    }
}

impl Drop for RootTask<'_> {
    fn drop(&mut self) {
        self.state.abort(&self.task);
    }
}

impl AsFd for EventLoop {
    /// The descriptor that is readable when there is something to do, and sometimes when there is
    /// not. It is that of a kqueue (on Linux, of an epoll), so it can be watched by any other kqueue
    /// or epoll, and by poll(2) except on macOS.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.handle.state.close();
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("handle", &self.handle)
            .finish()
    }
}
