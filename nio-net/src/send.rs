//! Sending datagrams.

use std::{
    future::{Future, poll_fn},
    io,
    task::{Context, Poll},
    time::Duration,
};

use nio_loop::{Direction, poll_budget};

use crate::{DatagramSocket, Datagrams, raw};

/// How long a send waits when the receiver's queue is full. A timer is needed because no event reports that
/// there is room again.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// Sending.
impl<S: Datagrams> DatagramSocket<S> {
    /// Sends a datagram to the address that the socket is connected to, or waits until there is room
    /// for it. If the future is dropped, nothing has been sent.
    ///
    /// # Errors
    ///
    /// If it is too long, if the socket is not connected, or if there is no route to the receiver.
    /// UDP on macOS and the BSDs reports ENOBUFS when the network interface is busy: try again later.
    #[doc(alias = "uv_udp_send")]
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send_with(|socket| raw::datagram::send_to::<S::Address>(socket, bytes, None))
            .await
    }

    /// Sends a datagram to an address.
    pub(crate) async fn send_to_one(&self, bytes: &[u8], to: &S::Address) -> io::Result<usize> {
        self.send_with(|socket| raw::datagram::send_to(socket, bytes, Some(to)))
            .await
    }

    /// Sends datagrams to the address that the socket is connected to: as many as there is room for, at most
    /// 64, and at least one unless the list is empty. Returns how many. If the future is dropped, nothing has
    /// been sent.
    ///
    /// An error is that of the first datagram. If a later one fails, those before it are sent, and the next call
    /// reports its error.
    ///
    /// It is one system call on Linux (with glibc), FreeBSD and NetBSD, and one for each datagram elsewhere.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_many(&self, datagrams: &[&[u8]]) -> io::Result<usize> {
        self.send_each(datagrams.len(), |i| (datagrams[i], None))
            .await
    }

    /// As [`send_many`](Self::send_many), each to an address of its own.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_many_to(&self, datagrams: &[(&[u8], S::Address)]) -> io::Result<usize> {
        self.send_each(datagrams.len(), |i| (datagrams[i].0, Some(&datagrams[i].1)))
            .await
    }

    /// Waits until there is room to send, or an error. It calls poll(2) each time, and may be ready in several
    /// tasks for the same room. For a Unix socket this is the room in its own send buffer; only
    /// [`send`](Self::send) and similar calls wait for room at the receiver.
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> {
        self.source.io(Direction::Write, raw::ready_to_write)
    }

    /// As [`send`](Self::send), without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room; those of
    /// [`send`](Self::send).
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_send_any(bytes, None)
    }

    /// As [`send_to_one`](Self::send_to_one), without waiting.
    pub(crate) fn try_send_to_one(&self, bytes: &[u8], to: &S::Address) -> io::Result<usize> {
        self.try_send_any(bytes, Some(to))
    }

    /// [`writable`](Self::writable), for futures written by hand.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let source = &self.source;
        source.poll_io(context, Direction::Write, raw::ready_to_write)
    }

    async fn send_each<'a>(
        &self,
        count: usize,
        datagram: impl Fn(usize) -> (&'a [u8], Option<&'a S::Address>),
    ) -> io::Result<usize>
    where
        S::Address: 'a,
    {
        if count == 0 {
            poll_fn(poll_budget).await;
            return Ok(0);
        }
        self.send_with(|socket| raw::datagram::send_many(socket, count, &datagram))
            .await
    }

    fn try_send_any(&self, bytes: &[u8], to: Option<&S::Address>) -> io::Result<usize> {
        let send = |socket: &S| tell_full::<S>(raw::datagram::send_to(socket, bytes, to));
        match self.source.try_io(Direction::Write, send) {
            Err(error) if is_full::<S>(&error) => Err(io::ErrorKind::WouldBlock.into()),
            result => result,
        }
    }

    /// Sends, and tries again while the receiver's queue is full.
    async fn send_with(&self, mut send: impl FnMut(&S) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            let sent = self
                .source
                .io(Direction::Write, |socket| tell_full::<S>(send(socket)));
            match sent.await {
                Err(error) if is_full::<S>(&error) => self.handle().sleep(FULL_PAUSE).await,
                result => return result,
            }
        }
    }
}

/// Translates the error of a full receiver's queue to ENOBUFS, as the BSDs report it: no event of the loop
/// reports room at the receiver, so this must not look like "would block".
fn tell_full<S: Datagrams>(result: io::Result<usize>) -> io::Result<usize> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock if S::WAITS_FOR_RECEIVER => {
            io::Error::from_raw_os_error(libc::ENOBUFS)
        }
        _ => error,
    })
}

/// Whether an error means that the receiver's queue is full.
fn is_full<S: Datagrams>(error: &io::Error) -> bool {
    S::WAITS_FOR_RECEIVER && error.raw_os_error() == Some(libc::ENOBUFS)
}
