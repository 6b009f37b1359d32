//! Graceful shutdown: a server accepts no more connections, and waits for the open ones to end.
//!
//! The laws:
//!
//! 1. A shutdown begins once, and cannot be undone.
//! 2. It is finished when it has begun and no guard is left. New guards may be made until then.
//! 3. The wait for the guards has a limit, and can be cut off earlier.

use std::{
    cell::Cell,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use nio_loop::{Handle, Time, poll_budget};

use crate::waiters::Waiters;

/// The graceful shutdown of a server. Clones share it. [`Server`](crate::Server) has one, which signals begin.
///
/// ```
/// # use std::time::Duration;
/// # use nio_loop::EventLoop;
/// # use nio_net::{GracefulShutdown, TcpListener};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// let shutdown = GracefulShutdown::new(&handle);
/// let ctrl_c = shutdown.clone();
/// handle.on_signal(nio_loop::Signal::INTERRUPT, move |_, _| ctrl_c.begin())?;
/// # handle.next_tick({ let ctrl_c = shutdown.clone(); move |_| ctrl_c.begin() });
///
/// event_loop.block_on(async {
///     let listener = TcpListener::bind(&handle, "127.0.0.1:0").await?;
///     while let Some(accepted) = shutdown.unless_begun(listener.accept()).await {
///         let (stream, _) = accepted?;
///         let guard = shutdown.guard();
///         handle.spawn(async move {
///             let result = stream.write_all(b"hello").await;
///             drop(guard);
///             result
///         });
///     }
///     drop(listener); // new connections are refused
///     if let Err(unfinished) = shutdown.finish(Duration::from_secs(10)).await {
///         println!("{unfinished}");
///     }
///     # Ok(())
/// })?
/// # }
/// ```
#[derive(Clone)]
#[doc(alias("graceful shutdown", "CancellationToken", "close"))]
pub struct GracefulShutdown {
    handle: Handle,
    state: Rc<State>,
}

#[derive(Default)]
struct State {
    /// When it began.
    begun: Cell<Option<Time>>,
    guards: Cell<usize>,
    /// Whether the wait for the guards was cut off.
    is_cut_off: Cell<bool>,
    /// Tasks that wait for the beginning.
    beginning: Waiters,
    /// Tasks that wait until no guard is left, or until the wait is cut off.
    end: Waiters,
}

impl GracefulShutdown {
    /// A shutdown that has not begun.
    #[must_use]
    pub fn new(handle: &Handle) -> GracefulShutdown {
        GracefulShutdown {
            handle: handle.clone(),
            state: Rc::default(),
        }
    }

    /// Begins the shutdown. Further calls have no effect.
    pub fn begin(&self) {
        if !self.has_begun() {
            self.state.begun.set(Some(self.handle.now()));
        }
        self.state.beginning.wake_all();
    }

    /// Stops waiting for the guards: [`finish`](Self::finish) returns at once. Begins the shutdown if it has
    /// not begun.
    pub fn cut_off(&self) {
        self.state.is_cut_off.set(true);
        self.begin();
        self.state.end.wake_all();
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.state.begun.get().is_some()
    }

    /// Waits until the shutdown begins, for connections that react to it.
    pub async fn begun(&self) {
        self.beginning().await;
    }

    /// Waits until it begins, and returns when it began.
    async fn beginning(&self) -> Time {
        let state = &self.state;
        state.beginning.until(|| state.begun.get()).await
    }

    /// Runs some work, such as accepting a connection, until the shutdown begins: then it drops the work and
    /// returns `None`. Once the shutdown has begun, the work is not polled.
    pub async fn unless_begun<F: Future>(&self, work: F) -> Option<F::Output> {
        poll_fn(poll_budget).await;
        let (mut begun, mut work) = (pin!(self.begun()), pin!(work));
        poll_fn(
            |context| match self.has_begun() || begun.as_mut().poll(context).is_ready() {
                true => Poll::Ready(None),
                false => work.as_mut().poll(context).map(Some),
            },
        )
        .await
    }

    /// A guard for an open connection: the shutdown finishes when all guards are dropped.
    #[must_use = "the shutdown waits until the guard is dropped"]
    pub fn guard(&self) -> Guard {
        self.state.guards.set(self.state.guards.get() + 1);
        let state = Rc::clone(&self.state);
        Guard { state }
    }

    /// The number of guards.
    #[must_use]
    pub fn guards(&self) -> usize {
        self.state.guards.get()
    }

    /// Waits until the shutdown has begun and all guards are dropped. The wait ends `limit` after the beginning
    /// of the shutdown, or when it is [cut off](Self::cut_off).
    ///
    /// # Errors
    ///
    /// [`Unfinished`] with the number of guards that are left. Their connections go on until the loop
    /// is dropped, or the process ends.
    pub async fn finish(&self, limit: Duration) -> Result<(), Unfinished> {
        let begun = self.beginning().await;
        let left = limit.saturating_sub(self.handle.now() - begun);
        let state = &self.state;
        let is_over = || (state.guards.get() == 0 || state.is_cut_off.get()).then_some(());
        let in_time = self.handle.timeout(left, state.end.until(is_over)).await;
        let waited = match in_time {
            Ok(()) => self.handle.now() - begun,
            Err(_) => limit,
        };
        match state.guards.get() {
            0 => Ok(()),
            guards => Err(Unfinished { guards, waited }),
        }
    }
}

impl fmt::Debug for GracefulShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GracefulShutdown")
            .field("begun", &self.has_begun())
            .field("guards", &self.guards())
            .finish_non_exhaustive()
    }
}

/// Keeps a shutdown from finishing. Made by [`GracefulShutdown::guard`].
pub struct Guard {
    state: Rc<State>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let left = self.state.guards.get() - 1;
        self.state.guards.set(left);
        if left == 0 {
            self.state.end.wake_all();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// A graceful shutdown took too long, or was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{guards} still open after {waited:?}")]
pub struct Unfinished {
    /// How many guards are left.
    pub guards: usize,
    /// How long the wait was: the limit, unless it was cut off.
    pub waited: Duration,
}
