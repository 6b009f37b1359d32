//! Descriptors that futures wait for.
//!
//! The laws:
//!
//! 1. An operation is tried before anything is waited for, and waiting begins only after it has
//!    answered "would block". So a descriptor costs no registration as long as it never blocks, and
//!    the writing half of most never does.
//! 2. Registrations are edge-triggered and stay: waiting again costs nothing.
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
    registration::{Attached, Registration},
    sources::{Level, NO_TICKET, Readiness, Ticket},
    timers::Timer,
};

/// A non-blocking descriptor whose operations can be awaited.
///
/// The sockets of nio-net are made of this. Use it for anything else that has a descriptor
/// and can block: pipes, terminals, devices, the sockets of another library.
///
/// Put the descriptor into non-blocking mode before, and back into blocking mode before another program gets
/// it: all duplicates of a descriptor share the mode. When a `Source` is dropped, its registration
/// ends and then the descriptor is dropped. Dropping a future of it loses nothing: no operation is
/// under way while it waits.
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
    /// There until [`into_inner`](Source::into_inner) takes it.
    inner: Option<S>,
}

impl<S: AsFd> Source<S> {
    /// Takes a descriptor into the loop. Makes no system call.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the loop is gone, with the descriptor.
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

    /// The descriptor's owner.
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

    /// Takes the descriptor out of the loop.
    #[must_use]
    pub fn into_inner(mut self) -> S {
        self.deregister();
        self.inner.take().expect("taken only here")
    }

    /// Tries an operation once, if the direction is not known to be blocked.
    ///
    /// # Errors
    ///
    /// Those of the operation; [`WouldBlock`](io::ErrorKind::WouldBlock) without having tried
    /// where nothing has happened since it last said so.
    #[doc(alias("AsyncFdReadyGuard"))]
    pub fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        if self.readiness().is_blocked(direction) {
            // Without a loop nothing would ever happen.
            self.handle().state.check_open()?;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = operation(self.get_ref());
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.block(direction)?;
        }
        result
    }

    /// Says that an operation has taken (or written) less than it could have, so that the next one
    /// would block: it will be waited for without being tried. Call it only where a short count
    /// means that: not for pipes in packet mode, terminals in line mode, or sockets with urgent data
    /// or descriptors on their way. Has no effect when the end of the stream is near, which a read
    /// has to find by itself.
    #[inline]
    pub fn exhausted(&self, direction: Direction) {
        let level = self.readiness().level(direction);
        if level.get() == Level::Open {
            level.set(Level::Blocked);
        }
    }

    /// Has a direction tried again, for changes that this side makes to the descriptor and the system
    /// has no event for: on Linux, a Unix socket that is shut down for writing while it is full.
    /// Waiting futures are woken one after the other, as by an event.
    pub fn wake(&self, direction: Direction) {
        let tasks = &self.handle().state.tasks;
        self.readiness().wake(tasks, direction);
    }

    /// Has the operations of a direction wait for a while, whatever happens, and then try again. For
    /// an operation that has failed, where the system has no event that says when it may succeed:
    /// without memory (ENOBUFS) or without descriptors (EMFILE). The pause does not keep the loop
    /// alive.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the loop is gone; [`Error::Poll`] if the descriptor cannot be registered.
    pub fn pause(&self, direction: Direction, duration: Duration) -> io::Result<()> {
        let state = &self.handle().state;
        self.block(direction)?;
        self.readiness().level(direction).set(Level::Paused);
        let timer = Timer::Pause(Rc::clone(&self.attached), direction);
        state.timers.insert(self.handle().now() + duration, timer);
        state.mailbox.rouse();
        Ok(())
    }

    /// Tries an operation until it does not answer "would block" or "interrupted", and in the
    /// meantime waits. For the `poll_…` functions of other types; a future uses
    /// [`waiting`](Source::waiting), which leaves when the future is dropped.
    ///
    /// Of each direction it keeps the waker of the last call, until the next event. So two tasks that
    /// both read, or both write, by this function take the waker from each other.
    ///
    /// # Errors
    ///
    /// As [`io`](Source::io).
    #[inline(always)]
    pub fn poll_io<R>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        operation: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_with_ticket(context, direction, None, operation)
    }

    /// Waits for one direction, for a future written by hand: see [`Waiting`].
    pub fn waiting(&self, direction: Direction) -> Waiting<'_, S> {
        Waiting {
            source: self,
            direction,
            ticket: Cell::new(NO_TICKET),
        }
    }

    /// Tries an operation until it does not answer "would block", waiting in between.
    ///
    /// # Errors
    ///
    /// Those of the operation, except for "would block" and "interrupted".
    pub async fn io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        let waiting = self.waiting(direction);
        poll_fn(|context| waiting.poll_io(context, &mut operation)).await
    }

    // Everything of it that is not rare is inlined into its caller, and the operation with it.
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
                    self.leave(direction, ticket);
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

    /// A future waits no more: the operation was successful, or it was dropped. Then another one
    /// may try.
    #[inline]
    fn leave(&self, direction: Direction, ticket: Option<&Cell<Ticket>>) {
        let Some(ticket) = ticket.filter(|ticket| ticket.get() != NO_TICKET) else {
            return;
        };
        let tasks = &self.handle().state.tasks;
        let ticket = ticket.replace(NO_TICKET);
        self.readiness().leave(tasks, direction, ticket);
    }

    /// Whether an operation that has failed is to be tried again: at once or, from here on, after an
    /// event.
    #[cold]
    fn check_failure(&self, direction: Direction, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::WouldBlock => self.block(direction),
            _ => Err(error),
        }
    }

    /// The direction is blocked. One that is not registered is registered first, as no event would
    /// end that. A pause goes on.
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
            // It was registered, so there is nothing to fail.
            let _ = poll.deregister(inner);
        }
    }
}

/// Has the direction's next event wake the task. An error if the loop is gone.
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
/// Keep one in each future that is written by hand, for as long as the future lives. Waiting futures
/// are woken one at a time, in the order in which they began to wait; the next one when the
/// operation of the one before was successful. Dropping this leaves nothing behind, and a wake-up
/// that the future has not used is passed on to the next one.
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

    /// Tries an operation until it does not answer "would block" or "interrupted", and in the
    /// meantime waits.
    ///
    /// # Errors
    ///
    /// As [`Source::io`].
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
        self.source.leave(self.direction, Some(&self.ticket));
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
