//! The end of a server: it takes no more connections, and those that are open are waited for.
//!
//! The laws:
//!
//! 1. It begins once, and is never taken back.
//! 2. It is over when it has begun and nothing is held open. Who holds something may let others do
//!    so as well, until the end.

use std::{
    cell::Cell,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use nio_loop::{Handle, Time};

use crate::waiters::Waiters;

/// Ends a server in good order. Clones are of one and the same end.
///
/// ```
/// # use std::time::Duration;
/// # use nio_loop::EventLoop;
/// # use nio_net::{Shutdown, TcpListener};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle().clone();
/// # let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse()?)?;
/// let shutdown = Shutdown::new(&handle);
/// let ctrl_c = shutdown.clone();
/// let id = handle.on_signal(nio_loop::Signal::INTERRUPT, move |_, _| ctrl_c.begin())?;
/// handle.unref(id);
/// # handle.next_tick({ let ctrl_c = shutdown.clone(); move |_| ctrl_c.begin() });
///
/// event_loop.block_on(async {
///     while let Some(accepted) = shutdown.unless_begun(listener.accept()).await {
///         let (stream, _) = accepted?;
///         let hold = shutdown.hold();
///         handle.spawn(async move {
///             let result = stream.write_all(b"hello").await;
///             drop(hold);
///             result
///         });
///     }
///     drop(listener); // who comes now is refused
///     if let Err(unfinished) = shutdown.finish(Duration::from_secs(10)).await {
///         println!("{unfinished}");
///     }
///     # Ok(())
/// })?
/// # }
/// ```
#[derive(Clone)]
pub struct Shutdown {
    handle: Handle,
    state: Rc<State>,
}

#[derive(Default)]
struct State {
    /// Since when.
    begun: Cell<Option<Time>>,
    held: Cell<usize>,
    /// Who waits for the beginning, and for the end.
    beginning: Waiters,
    end: Waiters,
}

impl Shutdown {
    /// An end that has not begun.
    #[must_use]
    pub fn new(handle: &Handle) -> Shutdown {
        Shutdown {
            handle: handle.clone(),
            state: Rc::default(),
        }
    }

    /// Begins it. Doing so again changes nothing.
    pub fn begin(&self) {
        if !self.has_begun() {
            self.state.begun.set(Some(self.handle.now()));
        }
        self.state.beginning.wake();
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.state.begun.get().is_some()
    }

    /// Waits until it begins. For connections that have something to do at the end.
    pub async fn begun(&self) {
        self.beginning().await;
    }

    /// When it began.
    async fn beginning(&self) -> Time {
        let state = &self.state;
        state.beginning.until(|| state.begun.get()).await
    }

    /// Does some work, such as accepting a connection, unless and until the end begins: then the
    /// work is dropped, and this is `None`. If the work is ready at that moment, its output counts
    /// only if the end had not begun before.
    pub async fn unless_begun<F: Future>(&self, work: F) -> Option<F::Output> {
        let (mut begun, mut work) = (pin!(self.begun()), pin!(work));
        poll_fn(|context| match begun.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => work.as_mut().poll(context).map(Some),
        })
        .await
    }

    /// Holds the end up until the [`Hold`] is dropped: for a connection that is open.
    #[must_use = "the end is held up until the hold is dropped"]
    pub fn hold(&self) -> Hold {
        self.state.held.set(self.state.held.get() + 1);
        let state = Rc::clone(&self.state);
        Hold { state }
    }

    /// How many hold it up.
    #[must_use]
    pub fn held(&self) -> usize {
        self.state.held.get()
    }

    /// Waits until the end has begun and is not held up any more, from its beginning at most this
    /// long.
    ///
    /// # Errors
    ///
    /// [`Unfinished`] with the number of those that still hold it up. They go on until the loop is
    /// dropped, or the process ends.
    pub async fn finish(&self, limit: Duration) -> Result<(), Unfinished> {
        let begun = self.beginning().await;
        let left = limit.saturating_sub(self.handle.now() - begun);
        let state = &self.state;
        let nothing_held = || (state.held.get() == 0).then_some(());
        let finished = state.end.until(nothing_held);
        let finished = self.handle.timeout(left, finished).await;
        finished.map_err(|_| Unfinished {
            held: state.held.get(),
            limit,
        })
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("begun", &self.has_begun())
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}

/// Holds up the end of a server. Made by [`Shutdown::hold`].
pub struct Hold {
    state: Rc<State>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let held = self.state.held.get() - 1;
        self.state.held.set(held);
        if held == 0 {
            self.state.end.wake();
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}

/// The end of a server was held up for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{held} still open after {limit:?}")]
pub struct Unfinished {
    /// How many hold it up.
    pub held: usize,
    /// The time they had.
    pub limit: Duration,
}
