//! A semaphore: a limit on how many connections are open at once, or on anything else.
//!
//! The laws:
//!
//! 1. A connection is accepted only with a permit. Until there is one it waits in the kernel's queue,
//!    and when that is full the system refuses more.
//! 2. Permits go to tasks in order of arrival. A permit that is dropped is handed to the task that
//!    has waited longest, and wakes no other.
//! 3. A wait that is dropped passes on the permit that it was handed.
//! 4. A task that waits for a connection holds no permit: another listener may need it.

use std::{
    cell::Cell,
    fmt,
    future::{Future, poll_fn},
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use nio_loop::poll_budget;

use crate::{
    ByteStream, Listen, Listener,
    listener::{is_of_the_connection, is_shortage},
    waiters::{Waiter, Waiters},
};

/// A semaphore: limits how many connections are open at once, or anything else. Clones share the
/// permits.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::{Semaphore, TcpListener, TcpStream};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle();
/// # event_loop.block_on(async {
/// # let listener = TcpListener::bind(&handle, "127.0.0.1:0").await?;
/// # let client = TcpStream::connect(&handle, listener.local_addr()?).await?;
/// let semaphore = Semaphore::new(1000);
/// loop {
///     let (stream, _, permit) = semaphore.accept(&listener).await?;
///     handle.spawn(async move {
///         stream.write_all(b"hello").await?;
///         drop(permit); // here, or at the end of the block
///         std::io::Result::Ok(())
///     });
///     # return Ok(());
/// }
/// # })?
/// # }
/// ```
#[derive(Clone)]
pub struct Semaphore {
    state: Rc<State>,
}

struct State {
    permits: usize,
    /// How many permits are free. While tasks wait none is.
    free: Cell<usize>,
    waiting: Waiters,
}

impl State {
    /// Hands a permit to the first task that waits, or keeps it.
    fn release(&self) {
        if !self.waiting.wake_one() {
            self.free.set(self.free.get() + 1);
        }
    }
}

impl Semaphore {
    /// A semaphore with this many permits, all of them free.
    #[must_use]
    pub fn new(permits: usize) -> Semaphore {
        let state = State {
            permits,
            free: Cell::new(permits),
            waiting: Waiters::default(),
        };
        let state = Rc::new(state);
        Semaphore { state }
    }

    /// Takes a permit if one is free.
    #[must_use = "the permit is free again when it is dropped"]
    pub fn try_acquire(&self) -> Option<Permit> {
        let free = &self.state.free;
        free.set(free.get().checked_sub(1)?);
        Some(self.permit())
    }

    /// Waits for a permit. Permits go to tasks in order of arrival.
    pub fn acquire(&self) -> impl Future<Output = Permit> + use<> {
        let semaphore = self.clone();
        async move {
            let waiter = semaphore.state.waiting.join();
            let semaphore = &semaphore;
            let acquire = Acquire { semaphore, waiter };
            poll_fn(|context| acquire.poll(context)).await
        }
    }

    /// Waits for a connection and a permit for it, as [`Listener::next`] does: a shortage of descriptors
    /// or memory is waited out. Several listeners may share a semaphore. Dropping the future loses no
    /// connection.
    pub async fn accept<L: Listen>(&self, listener: &Listener<L>) -> io::Result<Admitted<L>> {
        let passes = |error: &io::Error| {
            let would_block = error.kind() == io::ErrorKind::WouldBlock;
            would_block || is_shortage(error) || is_of_the_connection(error)
        };
        loop {
            match listener.accept_with(|| self.try_acquire()).await {
                Ok(Some(((stream, peer), permit))) => return Ok((stream, peer, permit)),
                Ok(None) => {}
                Err(error) if passes(&error) => continue,
                Err(error) => return Err(error),
            }
            // There may be a connection, but no permit is free.
            let permit = self.acquire().await;
            match listener.try_accept() {
                Ok((stream, peer)) => return Ok((stream, peer, permit)),
                Err(error) if passes(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// How many permits are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.state.permits - self.state.free.get()
    }

    fn permit(&self) -> Permit {
        let state = Rc::clone(&self.state);
        Permit { state }
    }
}

/// A wait for a permit.
struct Acquire<'a> {
    semaphore: &'a Semaphore,
    waiter: Waiter<'a>,
}

impl Acquire<'_> {
    fn poll(&self, context: &mut Context<'_>) -> Poll<Permit> {
        ready!(poll_budget(context));
        if self.waiter.was_woken() {
            self.waiter.leave();
            return Poll::Ready(self.semaphore.permit());
        }
        // While tasks wait no permit is free, so this takes none that is owed to another.
        if let Some(permit) = self.semaphore.try_acquire() {
            return Poll::Ready(permit);
        }
        self.waiter.wait(context.waker());
        Poll::Pending
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        if self.waiter.leave() {
            self.semaphore.state.release();
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (taken, permits) = (self.taken(), self.state.permits);
        write!(f, "Semaphore({taken} of {permits} taken)")
    }
}

/// A connection, the address of its other side, and its permit.
pub type Admitted<L> = (
    ByteStream<<L as Listen>::Stream>,
    <L as Listen>::Address,
    Permit,
);

/// A permit of a [`Semaphore`]. When it is dropped, it goes to the task that has waited longest.
pub struct Permit {
    state: Rc<State>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.state.release();
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}
