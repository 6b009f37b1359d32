//! Sources: descriptors whose readiness futures wait for.
//!
//! The laws:
//!
//! 1. An operation is tried first; waiting begins only when it returns "would block". So a direction
//!    that never blocks is never registered; most connections never block in writing.
//! 2. Registrations are edge-triggered and stay: waiting again costs no system call.
//! 3. An operation that is ready at once draws on the budget of its task.

use std::{
    cell::Cell,
    fmt,
    future::poll_fn,
    io,
    os::fd::AsFd,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use nio_poll::{Interest, Token};

use crate::{
    Direction, Error, Handle, Refused, budget,
    readiness::{Level, NO_TICKET, Readiness, Ticket},
    registration::{Attached, Registration},
    timers::Timer,
};

/// A non-blocking descriptor whose operations can be awaited.
///
/// The sockets of nio-net are built on it. Use it for other descriptors that can block: pipes,
/// terminals, devices, the sockets of another library.
///
/// Put the descriptor into non-blocking mode first, and back into blocking mode before you pass it to
/// another program: all duplicates of a descriptor share the mode. Dropping a `Source` ends the
/// registration and then drops the descriptor. Its futures are cancellation safe: no operation is
/// under way while they wait.
///
/// ```
/// use std::{io::{Read, Write}, os::unix::net::UnixStream, time::Duration};
/// use nio_loop::{Direction, EventLoop, Source};
///
/// # fn main() -> std::io::Result<()> {
/// let mut event_loop = EventLoop::new()?;
/// let handle = event_loop.handle();
/// let (ours, mut theirs) = UnixStream::pair()?;
/// ours.set_nonblocking(true)?;
/// let source = Source::new(&handle, ours)?;
///
/// handle.set_timeout(Duration::from_millis(1), move |_| theirs.write_all(b"hello").unwrap());
/// let text = event_loop.block_on(async {
///     let mut text = [0; 16];
///     let n = source.io(Direction::Read, |mut stream| stream.read(&mut text)).await?;
///     std::io::Result::Ok(text[..n].to_vec())
/// })??;
/// assert_eq!(text, b"hello");
/// # Ok(())
/// # }
/// ```
#[doc(alias("AsyncFd", "PollEvented", "Async", "uv_poll_t"))]
pub struct Source<S: AsFd> {
    attached: Rc<Attached>,
    /// `None` only after [`into_inner`](Source::into_inner).
    inner: Option<S>,
}

impl<S: AsFd> Source<S> {
    /// Makes a source of a descriptor. No system call is made.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the loop is gone. The descriptor is given back.
    pub fn new(handle: &Handle, inner: S) -> Result<Source<S>, Refused<S>> {
        if handle.state.closed.get() {
            return Err(Refused {
                error: Error::Closed,
                value: inner,
            });
        }
        let attached = Attached {
            handle: handle.clone(),
            readiness: Readiness::default(),
        };
        Ok(Source {
            attached: Rc::new(attached),
            inner: Some(inner),
        })
    }

    /// The value that owns the descriptor.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        self.inner.as_ref().expect("taken only by into_inner")
    }

    /// The handle of the loop it belongs to.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.attached.handle
    }

    fn readiness(&self) -> &Readiness {
        &self.attached.readiness
    }

    /// Deregisters the descriptor and returns it.
    #[must_use]
    pub fn into_inner(mut self) -> S {
        self.deregister();
        self.inner.take().expect("taken only here")
    }

    /// Tries an operation once, unless the direction is blocked.
    ///
    /// # Errors
    ///
    /// The errors of the operation. If it returned [`WouldBlock`](io::ErrorKind::WouldBlock) and there
    /// was no event since, this returns the same without trying.
    #[doc(alias("AsyncFdReadyGuard"))]
    pub fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        if self.readiness().is_blocked(direction) {
            // Without a loop there are no more events.
            self.handle().state.check_open()?;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = operation(self.get_ref());
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.block(direction)?;
        }
        result
    }

    /// Marks a direction as blocked after a short read or write: the next operation waits without being
    /// tried. Call it only where a short count proves that the next one would block. It does not for
    /// pipes in packet mode, terminals in line mode, or sockets with urgent data or descriptors under
    /// way. Has no effect after the event of the end of the stream: a read has to find the end.
    #[inline]
    pub fn exhausted(&self, direction: Direction) {
        let level = self.readiness().level(direction);
        if level.get() == Level::Open {
            level.set(Level::Blocked);
        }
    }

    /// Wakes a direction as an event does: the operation is tried again. For local changes of the
    /// descriptor without an event, like shutting down writing of a full Unix socket on Linux. Waiting
    /// futures are woken one after the other.
    pub fn wake(&self, direction: Direction) {
        let tasks = &self.handle().state.tasks;
        self.readiness().wake(tasks, direction);
    }

    /// Pauses a direction: its operations wait for `duration`, whatever events come, and then try
    /// again. For an operation that failed for want of memory (ENOBUFS) or descriptors (EMFILE), where
    /// no event tells when it may succeed. The pause does not keep the loop alive. It has no effect on a
    /// direction that is paused already.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the loop is gone; [`Error::Poll`] if the descriptor cannot be registered.
    pub fn pause(&self, direction: Direction, duration: Duration) -> io::Result<()> {
        let state = &self.handle().state;
        self.block(direction)?;
        let level = self.readiness().level(direction);
        if level.replace(Level::Paused) == Level::Paused {
            return Ok(());
        }
        let timer = Timer::Pause(Rc::clone(&self.attached), direction);
        state.timers.insert(self.handle().now() + duration, timer);
        state.mailbox.notify_if_parked();
        Ok(())
    }

    /// Tries an operation until it returns something else than "would block" or "interrupted", and
    /// waits in between. For the `poll_…` functions of other types. A future uses
    /// [`waiting`](Source::waiting) instead, which leaves nothing behind when it is dropped.
    ///
    /// It keeps one waker for each direction, that of the last call, until the next event. So only one
    /// task may read, and one may write, by this function.
    ///
    /// # Errors
    ///
    /// See [`io`](Source::io).
    #[inline(always)]
    pub fn poll_io<R>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_with_ticket(context, direction, None, operation)
    }

    /// A wait for one direction, for hand-written futures: see [`Waiting`].
    pub fn waiting(&self, direction: Direction) -> Waiting<'_, S> {
        Waiting {
            source: self,
            direction,
            ticket: Cell::new(NO_TICKET),
        }
    }

    /// Tries an operation until it returns something else than "would block" or "interrupted", and
    /// waits in between.
    ///
    /// # Errors
    ///
    /// The errors of the operation, except "would block" and "interrupted"; [`Error::Closed`] if it
    /// would have to wait and the loop is gone.
    pub async fn io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        let waiting = self.waiting(direction);
        poll_fn(|context| waiting.poll_io(context, &mut operation)).await
    }

    // The common path is inlined into the caller, together with the operation.
    #[inline(always)]
    fn poll_with_ticket<R>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        ticket: Option<&Cell<Ticket>>,
        mut operation: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let unit = ready!(budget::draw(context));
        while !self.readiness().is_blocked(direction) {
            match operation(self.get_ref()) {
                Ok(result) => {
                    unit.spend();
                    self.stop_waiting(direction, ticket);
                    return Poll::Ready(Ok(result));
                }
                Err(error) => match self.check_failure(direction, error) {
                    Ok(()) => {}
                    Err(error) => {
                        unit.spend();
                        return Poll::Ready(Err(error));
                    }
                },
            }
        }
        wait(&self.attached, context, direction, ticket)?;
        Poll::Pending
    }

    /// Ends a future's wait, because its operation succeeded or it was dropped. Another future may be
    /// woken then.
    #[inline]
    fn stop_waiting(&self, direction: Direction, ticket: Option<&Cell<Ticket>>) {
        let Some(ticket) = ticket.filter(|ticket| ticket.get() != NO_TICKET) else {
            return;
        };
        let tasks = &self.handle().state.tasks;
        let ticket = ticket.replace(NO_TICKET);
        self.readiness().stop_waiting(tasks, direction, ticket);
    }

    /// Returns `Ok` if a failed operation is to be tried again: at once or, if it would block, after an
    /// event.
    #[cold]
    fn check_failure(&self, direction: Direction, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock => self.block(direction),
            _ => Err(error),
        }
    }

    /// Marks a direction as blocked, and registers it if it is not registered. A paused direction
    /// stays paused.
    fn block(&self, direction: Direction) -> io::Result<()> {
        let level = self.readiness().level(direction);
        if level.get() == Level::Unregistered {
            self.register(direction)?;
        }
        if level.get() != Level::Paused {
            level.set(Level::Blocked);
        }
        Ok(())
    }

    fn register(&self, direction: Direction) -> Result<(), Error> {
        let state = &self.handle().state;
        let poll = state.poll()?;
        let interest = match direction {
            _ if self.readiness().level(direction.other()).get() != Level::Unregistered => {
                Interest::READABLE | Interest::WRITABLE
            }
            Direction::Read => Interest::READABLE,
            Direction::Write => Interest::WRITABLE,
        };
        let word = &self.readiness().word;
        if word.get() != 0 {
            poll.reregister(self.get_ref(), Token(word.get()), interest)?;
            return Ok(());
        }
        let registration = Registration::Source(Rc::clone(&self.attached));
        let key = state.registrations.borrow_mut().insert(registration);
        word.set(key.to_word());
        if let Err(error) = poll.register(self.get_ref(), Token(key.to_word()), interest) {
            word.set(0);
            drop(state.registrations.borrow_mut().remove(key));
            return Err(self.handle().refused(error));
        }
        Ok(())
    }

    fn deregister(&mut self) {
        let (word, Some(inner)) = (self.readiness().word.take(), &self.inner) else {
            return;
        };
        if word == 0 {
            return;
        }
        let state = &self.handle().state;
        let mut registrations = state.registrations.borrow_mut();
        let key = registrations.key_of_word(word);
        let registration = key.and_then(|key| registrations.remove(key));
        drop(registrations);
        drop(registration);
        if let Ok(poll) = state.poll() {
            // It was registered, so this cannot fail.
            let _ = poll.deregister(inner);
        }
    }
}

/// Adds the task to the waiters of a direction. An error if the loop is gone.
fn wait(
    attached: &Attached,
    context: &Context<'_>,
    direction: Direction,
    ticket: Option<&Cell<Ticket>>,
) -> io::Result<()> {
    let Attached { handle, readiness } = attached;
    handle.state.check_open()?;
    handle.check_loop();
    let waiter = handle.state.tasks.waiter(context.waker());
    readiness.wait(direction, ticket, waiter);
    Ok(())
}

impl<S: AsFd> Drop for Source<S> {
    fn drop(&mut self) {
        self.deregister();
    }
}

impl<S: AsFd + fmt::Debug> fmt::Debug for Source<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(self.get_ref()).finish()
    }
}

/// A future's wait for one direction of a [`Source`]. Made by [`Source::waiting`].
///
/// Keep one in each hand-written future, for as long as the future exists. Waiting futures are woken
/// one at a time, in the order in which they began to wait; the next one is woken when the operation
/// of the last one succeeds. Dropping this leaves nothing behind, and an unused wake-up wakes the next
/// future.
///
/// ```
/// # use std::{future::poll_fn, io::{self, Read}, os::unix::net::UnixStream};
/// use nio_loop::{Direction, Source};
///
/// async fn read(source: &Source<UnixStream>, buffer: &mut [u8]) -> io::Result<usize> {
///     let waiting = source.waiting(Direction::Read);
///     poll_fn(|context| waiting.poll_io(context, |mut stream| stream.read(buffer))).await
/// }
/// ```
pub struct Waiting<'a, S: AsFd> {
    source: &'a Source<S>,
    direction: Direction,
    ticket: Cell<Ticket>,
}

impl<'a, S: AsFd> Waiting<'a, S> {
    /// The source that it waits for.
    #[must_use]
    pub fn source(&self) -> &'a Source<S> {
        self.source
    }

    /// Tries an operation until it returns something else than "would block" or "interrupted", and
    /// waits in between.
    ///
    /// # Errors
    ///
    /// See [`Source::io`].
    #[inline(always)]
    pub fn poll_io<R>(
        &self,
        context: &mut Context<'_>,
        operation: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let ticket = Some(&self.ticket);
        self.source
            .poll_with_ticket(context, self.direction, ticket, operation)
    }
}

impl<S: AsFd> Drop for Waiting<'_, S> {
    #[inline]
    fn drop(&mut self) {
        self.source.stop_waiting(self.direction, Some(&self.ticket));
    }
}

impl<S: AsFd> fmt::Debug for Waiting<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("direction", &self.direction)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_source_takes_a_word_more_than_its_descriptor() {
        assert_eq!(size_of::<Source<OwnedFd>>(), 8 + 8);
        assert_eq!(size_of::<Source<Box<OwnedFd>>>(), 8 + 8);
    }
}
