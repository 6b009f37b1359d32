//! hyper 1 on this loop: the traits of its `rt` module.
//!
//! Streams, and references to streams, are `Read` and `Write`; [`Executor`] spawns hyper's futures, and
//! [`Timer`] gives hyper its timeouts.
//!
//! ```
//! use std::time::Duration;
//! use hyper::rt::{Executor as _, Timer as _};
//! use nio_loop::EventLoop;
//! use nio_net::bridge::hyper::{Executor, Timer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut event_loop = EventLoop::new()?;
//! let timer = Timer::new(&event_loop.handle());
//! let executor = Executor::new(&event_loop.handle());
//! // With the features `server` and `http1` of hyper, for each connection that is accepted:
//! //     let connection = http1::Builder::new().timer(timer).serve_connection(stream, service);
//! //     executor.execute(connection);
//! executor.execute(async move { timer.sleep(Duration::from_millis(1)).await });
//! event_loop.run()?;
//! # Ok(())
//! # }
//! ```
//!
//! The laws:
//!
//! 1. A stream is read through the shared buffer of the thread, so that hyper's memory is filled without
//!    `unsafe`; nothing stays in that buffer.
//! 2. A sleep is one timer of the loop. It is armed when the sleep is first polled and cancelled when
//!    the sleep is dropped. When the deadline is moved later, the timer stays and is armed again when
//!    it fires.
//! 3. hyper wants timers and sleeps that are `Send` and `Sync`. On the loop's own thread they arm and
//!    cancel timers directly; on another they [post](Remote::post) it to the loop.

use std::{
    cell::RefCell,
    fmt,
    future::Future,
    io::{self, IoSlice},
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use ::hyper::rt::{self, ReadBufCursor};
use nio_loop::{CallbackId, Handle, Remote, poll_budget};

use crate::{ByteStream, Stream, shared_buffer};

/// Nothing is buffered, so flushing does nothing. Shutting down ends writing; a pipe ends when it is
/// dropped.
macro_rules! streams {
    ($($stream:ty),*) => {$(
        #[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
        impl<S: Stream> rt::Read for $stream {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                mut buffer: ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                let stream: &ByteStream<S> = &self;
                let limit = buffer.remaining().min(shared_buffer::SIZE);
                let put = |bytes: &[u8]| buffer.put_slice(bytes);
                let read = stream.poll_read_up_to_with(context, limit, put);
                Poll::Ready(ready!(read).map(drop))
            }
        }

        #[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]

        impl<S: Stream> rt::Write for $stream {
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let stream: &ByteStream<S> = &self;
                stream.poll_write(context, bytes)
            }

            fn poll_flush(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                poll_budget(context).map(Ok)
            }

            fn poll_shutdown(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                ready!(poll_budget(context));
                Poll::Ready(self.end_writing())
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                pieces: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let stream: &ByteStream<S> = &self;
                stream.poll_write_vectored(context, pieces)
            }
        }
    )*};
}

// With a reference, the stream is still usable after hyper.
streams!(ByteStream<S>, &ByteStream<S>);

/// Spawns hyper's futures on the loop of a handle. The futures need not be `Send`, and the executor is
/// not.
#[derive(Clone, Debug)]
pub struct Executor {
    handle: Handle,
}

impl Executor {
    /// An executor that spawns on this loop.
    #[must_use]
    pub fn new(handle: &Handle) -> Executor {
        let handle = handle.clone();
        Executor { handle }
    }
}

impl<F> rt::Executor<F> for Executor
where
    F: Future + 'static,
    F::Output: 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        self.handle.spawn(future).detach();
    }
}

/// Timers of a loop for hyper. They may be used on any thread; on the loop's thread they are faster.
///
/// If the loop is gone, its sleeps are never ready. They do not keep the loop alive; the tasks that wait for them
/// do.
///
/// hyper gives deadlines as an [`Instant`] of the system's clock. With a
/// [virtual clock](nio_loop::Clock) a sleep lasts for the time that is left when it is first polled, which is a
/// little less than the requested duration.
#[derive(Clone, Debug)]
pub struct Timer {
    owner: Arc<Owner>,
}

/// The loop of a timer, from any thread.
#[derive(Debug)]
struct Owner {
    remote: Remote,
    /// The number of the handle in [`HANDLES`] on the loop's thread.
    number: u64,
}

thread_local! {
    /// The handles of this thread's timers, by number.
    static HANDLES: RefCell<Vec<(u64, Handle)>> = const { RefCell::new(Vec::new()) };
}

/// The number of the next timer of the process.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Owner {
    /// Runs a function with the handle: at once on the loop's thread, otherwise as a post. If the loop is gone,
    /// the function is dropped.
    fn run(&self, function: impl FnOnce(&Handle) + Send + 'static) {
        // While the thread ends, its handles may be gone.
        let handle = HANDLES.try_with(|handles| {
            let handles = handles.borrow();
            let found = handles.iter().find(|(number, _)| *number == self.number);
            found.map(|(_, handle)| handle.clone())
        });
        match handle {
            Ok(Some(handle)) => function(&handle),
            _ => drop(self.remote.post(function)),
        }
    }
}

/// Removes a handle from [`HANDLES`], on the loop's thread.
fn forget(number: u64) -> Option<Handle> {
    let forget = |handles: &mut Vec<(u64, Handle)>| {
        let i = handles.iter().position(|(other, _)| *other == number)?;
        Some(handles.swap_remove(i).1)
    };
    // While the thread ends, its handles may be gone.
    HANDLES
        .try_with(|handles| forget(&mut handles.borrow_mut()))
        .ok()?
}

impl Drop for Owner {
    fn drop(&mut self) {
        let number = self.number;
        if forget(number).is_none() {
            let _ = self.remote.post(move |_| drop(forget(number)));
        }
    }
}

impl Timer {
    /// A timer by this loop.
    #[must_use]
    pub fn new(handle: &Handle) -> Timer {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        HANDLES.with_borrow_mut(|handles| handles.push((number, handle.clone())));
        let remote = handle.remote();
        let owner = Arc::new(Owner { remote, number });
        Timer { owner }
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        let state = Mutex::new(State {
            deadline,
            stage: Stage::New,
            waker: None,
        });
        let owner = Arc::clone(&self.owner);
        Sleep {
            shared: Arc::new(Shared { owner, state }),
        }
    }
}

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        let now = Instant::now();
        // A deadline beyond the range of the clock becomes a hundred years.
        let deadline = now.checked_add(duration).unwrap_or(now + CENTURY);
        Box::pin(self.sleep_until(deadline))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(self.sleep_until(deadline))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(sleep) => sleep.shared.reset(deadline),
            None => *sleep = rt::Timer::sleep_until(self, deadline),
        }
    }
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Ready at a deadline. Made by [`Timer`], for hyper.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    shared: Arc<Shared>,
}

/// The state that a sleep shares with its timer in the loop.
struct Shared {
    owner: Arc<Owner>,
    state: Mutex<State>,
}

struct State {
    deadline: Instant,
    stage: Stage,
    waker: Option<Waker>,
}

enum Stage {
    /// It has not been polled yet.
    New,
    /// A timer is about to be armed.
    Arming,
    /// The loop has a timer, of this deadline.
    Armed(CallbackId, Instant),
    /// It is ready.
    Over,
    /// The sleep is gone.
    Dropped,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under the lock, so it is never poisoned by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Arms a timer for the deadline.
    fn arm(self: &Arc<Shared>) {
        let shared = Arc::clone(self);
        self.owner.run(move |handle| {
            let mut state = shared.lock();
            if matches!(state.stage, Stage::Arming) {
                let left = state.deadline.saturating_duration_since(Instant::now());
                shared.arm_for(&mut state, left, handle);
            }
        });
    }

    fn arm_for(self: &Arc<Shared>, state: &mut State, left: Duration, handle: &Handle) {
        let (shared, deadline) = (Arc::clone(self), state.deadline);
        let id = handle.set_timeout(left, move |handle| shared.fire(deadline, handle));
        handle.unref(id);
        state.stage = Stage::Armed(id, deadline);
    }

    /// On the loop's thread: the armed deadline has passed; the deadline may have moved since.
    fn fire(self: Arc<Shared>, armed: Instant, handle: &Handle) {
        let mut state = self.lock();
        if !matches!(state.stage, Stage::Armed(..)) {
            return; // This timer is about to be cleared or replaced.
        }
        let left = state.deadline.saturating_duration_since(armed);
        if left > Duration::ZERO {
            return self.arm_for(&mut state, left, handle);
        }
        state.stage = Stage::Over;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn reset(self: &Arc<Shared>, deadline: Instant) {
        let mut state = self.lock();
        state.deadline = deadline;
        match state.stage {
            Stage::Over => state.stage = Stage::New,
            // The armed timer would fire too late.
            Stage::Armed(id, armed) if deadline < armed => {
                state.stage = Stage::Arming;
                drop(state);
                self.clear(id);
                self.arm();
            }
            _ => {}
        }
    }

    fn clear(&self, id: CallbackId) {
        self.owner.run(move |handle| {
            handle.clear(id);
        });
    }
}

impl rt::Sleep for Sleep {}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let waker = context.waker().clone();
        let mut state = self.shared.lock();
        let is_new = match state.stage {
            Stage::Over => return Poll::Ready(()),
            Stage::New => true,
            _ => false,
        };
        if is_new {
            state.stage = Stage::Arming;
        }
        let old = state.waker.replace(waker);
        drop(state);
        drop(old);
        if is_new {
            self.shared.arm();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let stage = mem::replace(&mut state.stage, Stage::Dropped);
        let waker = state.waker.take();
        drop(state);
        drop(waker);
        if let Stage::Armed(id, _) = stage {
            self.shared.clear(id);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.shared.lock().deadline)
            .finish_non_exhaustive()
    }
}
