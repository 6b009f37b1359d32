//! The event loop: its owner, and the functions that run it. The phases of a turn are in `turn`.

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
    wakers::LoopWaker,
};

/// Makes a loop, runs a future on it until the future is ready, and returns its output. This is the
/// `main` of a program of futures. The future gets the loop's [`Handle`].
///
/// Then the loop is dropped, and with it, without running, all unfinished tasks and callbacks. Await
/// the tasks that have to finish. To run a loop until nothing keeps it alive, or on a test's
/// [`Clock`], make an [`EventLoop`].
///
/// # Errors
///
/// See [`EventLoop::new`] and [`EventLoop::block_on`]. An error of the future itself is in its output.
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

/// An event loop. It owns all callbacks, tasks and registrations; a [`Handle`], made by
/// [`handle`](EventLoop::handle), adds them.
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
/// A loop can be embedded in another loop, of any kind: its descriptor ([`AsFd`]) becomes readable
/// when the loop has something to do. Before the outer loop waits, it calls
/// [`run_nowait`](EventLoop::run_nowait) and then [`next_deadline`](EventLoop::next_deadline), and
/// waits until that deadline or until the descriptor is readable. Anything that is given to the inner
/// loop meanwhile, by a handle or by another thread, makes the descriptor readable, so the outer loop
/// wakes up and asks for the deadline again.
///
/// The descriptor may be readable although there is nothing to do: on the BSDs and macOS, an event
/// whose condition has ended leaves it readable until the next run.
#[doc(alias("uv_loop_t", "LocalSet", "Runtime", "LocalExecutor", "reactor"))]
pub struct EventLoop {
    handle: Handle,
    poll: Rc<Poll>,
    batch: Batch,
    waker: LoopWaker,
}

impl EventLoop {
    /// A loop on the system's clock.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`], usually because the limit on open descriptors is reached.
    #[doc(alias("uv_loop_init"))]
    pub fn new() -> Result<EventLoop, Error> {
        EventLoop::with_clock(Clock::real())
    }

    /// A loop on a given clock, usually a test's clock.
    ///
    /// # Errors
    ///
    /// See [`new`](EventLoop::new).
    #[doc(alias("start_paused"))]
    pub fn with_clock(clock: Clock) -> Result<EventLoop, Error> {
        let state = Rc::new(State::new(clock)?);
        Ok(EventLoop {
            poll: state.poll()?,
            handle: Handle { state },
            batch: Batch::new(),
            waker: LoopWaker::default(),
        })
    }

    /// A handle to this loop, for callbacks and tasks.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until nothing keeps the loop alive, or until it is stopped. Returns whether something
    /// still keeps it alive.
    ///
    /// A callback cannot run its own loop, because it has only a [`Handle`]. It can run another loop.
    ///
    /// # Errors
    ///
    /// [`Error::Poll`] if waiting fails, which does not happen in a correct program. The loop can be
    /// run again.
    ///
    /// # Panics
    ///
    /// A panic of a callback passes through. Only that callback is lost: the loop can be run again, and
    /// continues after it.
    #[doc(alias("uv_run", "UV_RUN_DEFAULT"))]
    pub fn run(&mut self) -> Result<bool, Error> {
        self.run_with(|turn, state| {
            while state.is_alive() && !state.stopping.get() {
                turn.take(Wait::Alive)?;
            }
            Ok(())
        })
    }

    /// Takes one turn that begins with the poll and ends with the timers. It waits for an event or the
    /// next timer, and does not wait if a timer is due already. Returns whether something keeps the
    /// loop alive.
    ///
    /// # Errors
    ///
    /// See [`run`](EventLoop::run).
    ///
    /// # Panics
    ///
    /// See [`run`](EventLoop::run).
    #[doc(alias("UV_RUN_ONCE"))]
    pub fn run_once(&mut self) -> Result<bool, Error> {
        self.run_with(|turn, _| turn.take_timers_last(Wait::Alive))
    }

    /// Takes one turn that does not wait. Returns whether something keeps the loop alive.
    ///
    /// # Errors
    ///
    /// See [`run`](EventLoop::run).
    ///
    /// # Panics
    ///
    /// See [`run`](EventLoop::run).
    #[doc(alias("UV_RUN_NOWAIT"))]
    pub fn run_nowait(&mut self) -> Result<bool, Error> {
        self.run_with(|turn, _| turn.take(Wait::Never))
    }

    /// Runs turns, unless the loop was stopped before. Resets the stop at the end.
    fn run_with(
        &mut self,
        run: impl FnOnce(&mut Turn<'_>, &State) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let state = &self.handle.state;
        let (batch, loop_waker) = (&mut self.batch, &mut self.waker);
        let mut turn = Turn::new(&self.handle, &self.poll, batch, loop_waker, None);
        if !state.stopping.get() {
            run(&mut turn, state)?;
        }
        state.collect();
        state.stopping.set(false);
        Ok(state.has_referenced())
    }

    /// Runs the loop until a future is ready, and returns its output. Callbacks and other tasks run
    /// meanwhile, and stay afterwards. A [stop](Handle::stop) does not end it, but makes the next run
    /// return at once.
    ///
    /// The future is a task like any other: it is polled when it is woken, has a budget, is timed,
    /// and is in the [report](Handle::report).
    ///
    /// # Errors
    ///
    /// See [`run`](EventLoop::run). [`Error::NeverWoken`] if the loop is about to wait and nothing can
    /// wake the future; the future is dropped. A loop that waits already does not notice that another
    /// thread drops the last [`Remote`](crate::Remote) or waker.
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
            let (batch, loop_waker) = (&mut self.batch, &mut self.waker);
            let mut turn = Turn::new(&self.handle, &self.poll, batch, loop_waker, root);
            turn.drain();
            while turn.has_root() {
                turn.take(Wait::Always)?;
            }
            state.collect();
        }
        Ok(output.expect("the root is gone only when it is ready"))
    }

    /// The time at which the loop has to be run again, if its descriptor does not become readable
    /// before: now or earlier if it has work already, `None` if it waits only for events.
    ///
    /// From this call until the next run, the descriptor also becomes readable when something is given
    /// to the loop, because that may change the deadline.
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

/// The task of the future of `block_on`. Dropping it ends the task, also after an error or a panic.
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
    /// The descriptor of the loop's kqueue (on Linux, epoll). It is readable when the loop has something
    /// to do, and sometimes when it has not. Any other kqueue or epoll can watch it, and so can poll(2)
    /// except on macOS.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}

impl Drop for EventLoop {
    /// Drops all callbacks and futures. If some panic, the first panic goes on when all are gone.
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
