//! Memory for receiving several datagrams in one call.

use std::{fmt, io, net::SocketAddr};

use crate::{
    Datagrams,
    raw::{self, Address, datagram::Received},
};

/// Memory for several datagrams that are [received](crate::DatagramSocket::recv_many) in one call. Reuse it:
/// receiving allocates nothing.
pub struct Batch<A = SocketAddr> {
    bytes: Box<[u8]>,
    /// The room for each datagram, in bytes.
    size: usize,
    received: Vec<Received<A>>,
}

/// A datagram of a [`Batch`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Datagram<'a, A = SocketAddr> {
    /// The content.
    pub bytes: &'a [u8],
    /// The address of the sender.
    pub from: &'a A,
    /// Whether it was longer than its room, so that its end is lost.
    pub truncated: bool,
}

impl<A: Address> Batch<A> {
    /// Makes room for `count` datagrams of `size` bytes each. One call receives at most 64.
    ///
    /// # Panics
    ///
    /// If one of them is 0.
    #[must_use]
    pub fn new(count: usize, size: usize) -> Batch<A> {
        assert!(count > 0 && size > 0, "a batch without room");
        let count = count.min(raw::datagram::MANY);
        Batch {
            bytes: vec![0; count * size].into(),
            size,
            received: Vec::with_capacity(count),
        }
    }

    pub(crate) fn receive<S: Datagrams<Address = A>>(&mut self, socket: &S) -> io::Result<usize> {
        self.received.clear();
        raw::datagram::receive_many(socket, &mut self.bytes, self.size, &mut self.received)?;
        Ok(self.received.len())
    }

    /// How many datagrams were received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.received.len()
    }

    /// Whether no datagram was received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.received.is_empty()
    }

    /// The datagrams that were received, in the order in which they came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Datagram<'_, A>> {
        let pieces = self.bytes.chunks_exact(self.size);
        pieces
            .zip(&self.received)
            .map(|(piece, received)| Datagram {
                bytes: &piece[..received.len],
                from: &received.from,
                truncated: received.truncated,
            })
    }
}

impl<A: Address + fmt::Debug> fmt::Debug for Batch<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
