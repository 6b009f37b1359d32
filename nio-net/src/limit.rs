//! A limit on how many connections are open at once.
//!
//! The laws:
//!
//! 1. A connection is accepted only when there is a place for it. Until then it waits in the
//!    kernel's queue, and when that is full its client is made to wait or is refused.
//! 2. A place is taken by whoever asks first when one is free; a future that is dropped has taken
//!    none.
//! 3. Who waits for a connection holds no place: another listener may have the connection for it.

use std::{
    cell::Cell,
    fmt,
    future::{Future, poll_fn},
    io, mem,
    rc::Rc,
    task::Poll,
};

use crate::{ByteStream, Listener, Listens, Socket, waiters::Waiters};

/// So many connections, or other things, at once and no more. Clones share the places.
///
/// ```
/// # use nio_loop::EventLoop;
/// # use nio_net::{Limit, TcpListener, TcpStream};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut event_loop = EventLoop::new()?;
/// # let handle = event_loop.handle().clone();
/// # let listener = TcpListener::bind(&handle, "127.0.0.1:0".parse()?)?;
/// # let address = listener.local_addr()?;
/// # let client = handle.spawn({ let handle = handle.clone(); async move {
/// #     TcpStream::connect(&handle, address).await.map(drop) }});
/// # event_loop.block_on(async move {
/// let limit = Limit::new(1000);
/// loop {
///     let (stream, _, permit) = limit.accept(&listener).await?;
///     handle.spawn(async move {
///         stream.write_all(b"hello").await?;
///         drop(permit); // at the end, by itself or by name
///         std::io::Result::Ok(())
///     });
///     # return std::io::Result::Ok(());
/// }
/// # })??;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Limit {
    places: Rc<Places>,
}

struct Places {
    limit: usize,
    free: Cell<usize>,
    waiting: Waiters,
}

impl Limit {
    /// This many places, all of them free.
    #[must_use]
    pub fn new(limit: usize) -> Limit {
        let places = Places {
            limit,
            free: Cell::new(limit),
            waiting: Waiters::default(),
        };
        Limit {
            places: Rc::new(places),
        }
    }

    /// Takes a place if one is free.
    #[must_use = "the place is free again when the permit is dropped"]
    pub fn try_acquire(&self) -> Option<Permit> {
        let places = &self.places;
        places.free.set(places.free.get().checked_sub(1)?);
        let places = Rc::clone(places);
        Some(Permit { places })
    }

    /// Waits until a place is free, and takes it.
    pub fn acquire(&self) -> impl Future<Output = Permit> + use<> {
        let limit = self.clone();
        async move {
            let waiting = &limit.places.waiting;
            waiting.until(|| limit.try_acquire()).await
        }
    }

    /// Waits until there are a connection and a place for it. Several listeners may share a limit.
    /// Dropping the future loses no connection.
    ///
    /// # Errors
    ///
    /// As [`Incoming::next`](crate::Incoming::next): a shortage of descriptors is waited out.
    pub async fn accept<L: Listens>(&self, listener: &Listener<L>) -> io::Result<Admitted<L>> {
        let incoming = listener.incoming();
        loop {
            let permit = self.acquire().await;
            let next = poll_fn(|context| Poll::Ready(incoming.poll_next(context)));
            if let Poll::Ready(accepted) = next.await {
                let (stream, peer) = accepted?;
                return Ok((stream, peer, permit));
            }
            drop(permit);
            // The listener wakes this task when there is something to accept.
            let mut waited = false;
            poll_fn(|_| match mem::replace(&mut waited, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
        }
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.places.limit - self.places.free.get()
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limit({} of {} taken)", self.taken(), self.places.limit)
    }
}

/// A connection, the address of its other side, and its place.
pub type Admitted<L> = (
    ByteStream<<L as Listens>::Stream>,
    <L as Socket>::Address,
    Permit,
);

/// A place among the connections of a [`Limit`]. It is free again when this is dropped.
pub struct Permit {
    places: Rc<Places>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.places.free.set(self.places.free.get() + 1);
        self.places.waiting.wake();
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}
