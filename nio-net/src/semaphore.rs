//! A semaphore: limits concurrent connections, or anything else.
//!
//! The laws:
//!
//! 1. A connection is accepted only with a permit. Until a permit is free it waits in the kernel's queue; when
//!    that is full, the system refuses more (backpressure).
//! 2. Permits go to tasks first in, first out. A dropped permit goes to the task that has waited longest, and
//!    wakes no other.
//! 3. A wait that is dropped passes its permit on to the next task.
//! 4. A task that waits for a connection holds no permit: another listener may need it.
//! 5. Clones on several threads share the permits. One lock guards the count and the queue together;
//!    no foreign code runs under it.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use nio_loop::poll_budget;

use crate::{
    ByteStream, Listen, Listener,
    listener::{is_of_the_connection, is_shortage},
};

/// A semaphore: limits concurrent connections, or anything else. Clones share the permits, also between
/// threads that each have their own loop.
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
#[doc(alias("max connections", "maxConnections", "backpressure", "limit"))]
pub struct Semaphore {
    state: Arc<State>,
}

struct State {
    permits: usize,
    queue: Mutex<Queue>,
}

struct Queue {
    /// The number of free permits; 0 while tasks wait.
    free: usize,
    /// The waiting tasks, in order of arrival. A task that was removed has been given its permit.
    waiting: BTreeMap<u64, Waker>,
    /// The number of the next task.
    next: u64,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No foreign code runs under the lock, so it is never poisoned by a panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a permit to the first waiting task, or counts it as free.
    fn release(&self) {
        let mut queue = self.lock();
        let first = queue.waiting.pop_first();
        if first.is_none() {
            queue.free += 1;
        }
        drop(queue);
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }
}

impl Semaphore {
    /// A semaphore with this many permits, all of them free.
    #[must_use]
    pub fn new(permits: usize) -> Semaphore {
        let queue = Queue {
            free: permits,
            waiting: BTreeMap::new(),
            next: 0,
        };
        let queue = Mutex::new(queue);
        let state = Arc::new(State { permits, queue });
        Semaphore { state }
    }

    /// Takes a permit if one is free.
    #[must_use = "the permit is free again when it is dropped"]
    pub fn try_acquire(&self) -> Option<Permit> {
        let mut queue = self.state.lock();
        queue.free = queue.free.checked_sub(1)?;
        drop(queue);
        Some(self.permit())
    }

    /// Waits for a permit, first in, first out.
    pub fn acquire(&self) -> impl Future<Output = Permit> + use<> {
        let semaphore = self.clone();
        let number = None;
        Acquire { semaphore, number }
    }

    /// Waits for a connection and a permit for it. As [`Listener::next`], it waits without an error while
    /// descriptors or memory have run out. Several listeners may share a semaphore. Dropping the future loses
    /// no connection.
    ///
    /// # Errors
    ///
    /// As [`Listener::next`].
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

    /// The number of permits in use.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.state.permits - self.state.lock().free
    }

    fn permit(&self) -> Permit {
        let state = Arc::clone(&self.state);
        Permit { state }
    }
}

/// A wait for a permit.
struct Acquire {
    semaphore: Semaphore,
    /// The number in the queue, once it waits.
    number: Option<u64>,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        ready!(poll_budget(context));
        if self.number.is_none() {
            if let Some(permit) = self.semaphore.try_acquire() {
                return Poll::Ready(permit);
            }
        }
        // A waker is foreign code: it is cloned and dropped while nothing is locked.
        let waker = context.waker().clone();
        let state = Arc::clone(&self.semaphore.state);
        let mut queue = state.lock();
        let number = match self.number {
            Some(number) if queue.waiting.contains_key(&number) => number,
            Some(_) => {
                self.number = None;
                return Poll::Ready(self.semaphore.permit());
            }
            // A permit may have become free on another thread.
            None if queue.free > 0 => {
                queue.free -= 1;
                return Poll::Ready(self.semaphore.permit());
            }
            None => {
                queue.next += 1;
                queue.next
            }
        };
        self.number = Some(number);
        let old = queue.waiting.insert(number, waker);
        drop(queue);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let waker = self.semaphore.state.lock().waiting.remove(&number);
        if waker.is_none() {
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

/// A connection, the address of its peer, and its permit.
pub type Admitted<L> = (
    ByteStream<<L as Listen>::Stream>,
    <L as Listen>::Address,
    Permit,
);

/// A permit of a [`Semaphore`]. When it is dropped, the task that has waited longest gets it.
pub struct Permit {
    state: Arc<State>,
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
