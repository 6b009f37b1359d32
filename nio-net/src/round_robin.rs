//! The sockets of a listener, one for each of its addresses.
//!
//! The laws:
//!
//! 1. Round robin: the socket after the one that had a result is tried first.
//! 2. A wait is for all sockets. With one socket it allocates nothing.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    os::fd::AsFd,
    task::{Context, Poll},
    time::Duration,
};

use nio_loop::{Direction, Handle, Source, Waiting};

use crate::{Refused, error::adopt};

/// Sockets that are tried round robin.
pub(crate) struct RoundRobin<L: AsFd> {
    /// At least one.
    sources: Box<[Source<L>]>,
    /// The source that is tried first.
    next: Cell<usize>,
}

impl<L: AsFd> RoundRobin<L> {
    /// Takes sockets into the loop. If the loop refuses them, the error has one socket, and the others are
    /// closed.
    pub(crate) fn new(
        handle: &Handle,
        sockets: impl IntoIterator<Item = L>,
    ) -> Result<RoundRobin<L>, Refused<L>> {
        let sources = sockets.into_iter().map(|socket| adopt(handle, socket));
        let sources: Box<[_]> = sources.collect::<Result<_, _>>()?;
        assert!(!sources.is_empty(), "a listener without a socket");
        let next = Cell::new(0);
        Ok(RoundRobin { sources, next })
    }

    /// The source of the first address.
    pub(crate) fn first(&self) -> &Source<L> {
        &self.sources[0]
    }

    pub(crate) fn sockets(&self) -> impl ExactSizeIterator<Item = &L> {
        self.sources.iter().map(Source::get_ref)
    }

    pub(crate) fn into_sockets(self) -> Vec<L> {
        let sources = Vec::from(self.sources).into_iter();
        sources.map(Source::into_inner).collect()
    }

    /// Wakes all waiting futures to try again.
    pub(crate) fn wake(&self) {
        for source in &self.sources {
            source.wake(Direction::Read);
        }
    }

    /// Makes all waiting futures, and later ones, wait for some time.
    pub(crate) fn pause(&self, duration: Duration) {
        for source in &self.sources {
            // It fails if the loop is gone (then accepts fail, too), or if there is no memory to register the
            // listener (then the next accept is tried at once).
            let _ = source.pause(Direction::Read, duration);
        }
    }

    /// Tries an operation on the sockets in turn.
    pub(crate) fn try_io<R>(
        &self,
        mut operation: impl FnMut(&L) -> io::Result<R>,
    ) -> io::Result<R> {
        let tried = self.in_turn(|i| {
            let result = self.sources[i].try_io(Direction::Read, &mut operation);
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                result => Poll::Ready(result),
            }
        });
        match tried {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Tries an operation on the sockets in turn, and waits for all of them in between.
    pub(crate) async fn io<R>(
        &self,
        mut operation: impl FnMut(&L) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut all = self
            .sources
            .iter()
            .map(|source| source.waiting(Direction::Read));
        let first = all.next().expect("at least one socket");
        let others: Vec<Waiting<'_, L>> = all.collect();
        poll_fn(|context| {
            self.in_turn(|i| {
                let waiting = if i == 0 { &first } else { &others[i - 1] };
                waiting.poll_io(context, &mut operation)
            })
        })
        .await
    }

    /// [`io`](Self::io), for futures written by hand.
    pub(crate) fn poll_io<R>(
        &self,
        context: &mut Context<'_>,
        mut operation: impl FnMut(&L) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.in_turn(|i| self.sources[i].poll_io(context, Direction::Read, &mut operation))
    }

    /// Polls the sources round robin, until one has a result.
    fn in_turn<R>(&self, mut poll: impl FnMut(usize) -> Poll<R>) -> Poll<R> {
        let (next, count) = (self.next.get(), self.sources.len());
        for i in (next..count).chain(0..next) {
            if let ready @ Poll::Ready(_) = poll(i) {
                self.next.set((i + 1) % count);
                return ready;
            }
        }
        Poll::Pending
    }
}
