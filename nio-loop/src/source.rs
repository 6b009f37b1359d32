//! Descriptors that futures wait for.
//!
//! The laws:
//!
//! 1. An operation is tried before anything is waited for, and waiting begins only after it has
//!    answered "would block". So a descriptor costs no registration as long as it never blocks, and
//!    the writing half of most never does.
//! 2. Registrations are edge-triggered and stay: waiting again costs nothing.
//! 3. A direction is *blocked* from the moment an operation says so until an event of it comes.
//!    While it is, no operation is tried.

use std::{
    cell::Cell,
    fmt,
    future::poll_fn,
    io,
    os::fd::AsFd,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use nio_poll::{Event, Interest, Token};

use crate::{Error, Handle, core::Core, slab::Key, task::Waiter, watch::Watch};

/// How many operations of one direction of a source may succeed in one turn of the loop, so that a
/// socket that never runs dry does not keep the loop to itself. The number is libuv's.
const OPERATIONS_IN_A_TURN: u8 = 32;

/// What a token of the poll stands for.
pub(crate) enum Entry {
    /// Somebody has a callback. Boxed, as most entries are sources.
    Watch(Box<Watch>),
    /// A [`Source`] waits.
    Source(Rc<State>),
}

impl Entry {
    /// Ends the registration with the poll. That of a source ends with the source, which knows its
    /// descriptor; those who wait for it learn that the loop is gone when they try again.
    pub(crate) fn deregister(&self, core: &Core) {
        match self {
            Entry::Watch(watch) => watch.deregister(&core.poll),
            Entry::Source(state) => state.forsake(core),
        }
    }
}

/// Reading or writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Reading, accepting, and learning that the other side has finished.
    Read,
    /// Writing, and learning that a connection is made.
    Write,
}

/// What is known of a source's two directions. 56 bytes: there is one for each connection.
#[derive(Default)]
pub(crate) struct State {
    read: Half,
    write: Half,
    /// The key of the entry; none before something is waited for.
    key: Cell<Option<Key>>,
}

#[derive(Default)]
struct Half {
    blocked: Cell<bool>,
    /// The last event said that this direction has come to its end.
    closed: Cell<bool>,
    registered: Cell<bool>,
    /// How many operations have succeeded in the turn of the last one that has.
    operations: Cell<u8>,
    turn: Cell<u32>,
    /// The task that waits.
    task: Cell<Option<Key>>,
    /// Who else waits: rarely anybody.
    #[expect(clippy::box_collection, reason = "so it takes 8 bytes, not 24")]
    others: Cell<Option<Box<Vec<Waiter>>>>,
}

impl Half {
    /// Notes who waits.
    #[inline]
    fn wait(&self, core: &Core, waker: &Waker) {
        match core.waiter(waker) {
            Waiter::Task(key) if self.task.get().is_none_or(|task| task == key) => {
                self.task.set(Some(key));
            }
            waiter => self.wait_too(waiter),
        }
    }

    /// Whoever compares or drops a waker may run foreign code, so the cell is left empty meanwhile.
    #[cold]
    fn wait_too(&self, waiter: Waiter) {
        let mut others = self.others.take().unwrap_or_default();
        if !others.iter().any(|other| other.is(&waiter)) {
            others.push(waiter);
        }
        self.others.set(Some(others));
    }

    /// Something has happened: whoever waits tries again.
    fn wake(&self, core: &Core) {
        self.blocked.set(false);
        if let Some(key) = self.task.take() {
            core.wake(key);
        }
        if let Some(others) = self.others.take() {
            others.into_iter().for_each(|other| other.wake(core));
        }
    }
}

impl State {
    fn half(&self, direction: Direction) -> &Half {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Says that no event will come any more.
    fn forsake(&self, core: &Core) {
        for half in [&self.read, &self.write] {
            half.registered.set(false);
            half.wake(core);
        }
    }

    /// What an event of the poll means for those who wait.
    pub(crate) fn notify(&self, core: &Core, event: Event) {
        if event.is_readable() {
            self.read.closed.set(event.is_read_closed());
            self.read.wake(core);
        }
        // The death of a pipe's reader comes to its writer as an end of reading on some BSDs.
        if event.is_writable() || event.is_read_closed() {
            self.write.wake(core);
        }
    }
}

/// A non-blocking descriptor whose operations can be awaited.
///
/// This is what the sockets of nio-net are made of. Use it for anything else that has a descriptor
/// and can block: pipes, terminals, devices, the sockets of another library.
///
/// Put the descriptor into non-blocking mode before. When a `Source` is dropped, its registration
/// ends and then the descriptor is dropped. Dropping a future of it loses nothing: no operation is
/// under way while it waits.
///
/// ```
/// use std::{io::{Read, Write}, os::unix::net::UnixStream, time::Duration};
/// use nio_loop::{Direction, EventLoop, Source};
///
/// # fn main() -> std::io::Result<()> {
/// let mut event_loop = EventLoop::new()?;
/// let handle = event_loop.handle().clone();
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
pub struct Source<S: AsFd> {
    handle: Handle,
    state: Rc<State>,
    /// There until [`into_inner`](Source::into_inner) takes it.
    inner: Option<S>,
}

impl<S: AsFd> Source<S> {
    /// Takes a descriptor into the loop. Makes no system call.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the loop is gone.
    pub fn new(handle: &Handle, inner: S) -> Result<Source<S>, Error> {
        let source = Source {
            handle: handle.clone(),
            state: Rc::default(),
            inner: Some(inner),
        };
        source.check_loop()?;
        Ok(source)
    }

    /// The descriptor's owner.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        self.inner.as_ref().expect("taken only by into_inner")
    }

    /// The handle of the loop it belongs to.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
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
    /// What the operation returns; [`WouldBlock`](io::ErrorKind::WouldBlock) without having tried
    /// where nothing has happened since it last said so.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        let half = self.state.half(direction);
        if half.blocked.get() {
            // Without a loop nothing would ever happen.
            self.check_loop()?;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = operation(self.get_ref());
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.block(direction)?;
        }
        result
    }

    /// Says that an operation has taken (or written) less than it could have, so that the next one
    /// would block: it will be waited for without being tried. Call it only for byte streams, where
    /// a short count means that. Has no effect when the end of the stream is near, which a read has
    /// to find by itself.
    pub fn exhausted(&self, direction: Direction) {
        let half = self.state.half(direction);
        if half.registered.get() && !half.closed.get() {
            half.blocked.set(true);
        }
    }

    /// Has whoever waits for a direction try again. For what this side does to the descriptor and
    /// the system has no event for: on Linux, a Unix socket that is shut down for writing while it
    /// is full.
    pub fn wake(&self, direction: Direction) {
        self.state.half(direction).wake(&self.handle.core);
    }

    /// Tries an operation until it does not answer "would block" or "interrupted", and in the
    /// meantime waits. For futures written by hand; others use [`io`](Source::io).
    ///
    /// # Errors
    ///
    /// As [`io`](Source::io).
    #[inline]
    pub fn poll_io<R>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let half = self.state.half(direction);
        if half.blocked.get() {
            self.check_loop()?;
            half.wait(&self.handle.core, context.waker());
            return Poll::Pending;
        }
        if !self.may_operate(half) {
            self.handle.core.wake_in_next_turn(context.waker());
            return Poll::Pending;
        }
        loop {
            match operation(self.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.block(direction)?;
                    half.wait(&self.handle.core, context.waker());
                    return Poll::Pending;
                }
                result => {
                    half.operations.set(half.operations.get() + 1);
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Whether a direction has not had its share of this turn.
    fn may_operate(&self, half: &Half) -> bool {
        let turn = self.handle.core.turn.get();
        if half.turn.replace(turn) != turn {
            half.operations.set(0);
        }
        half.operations.get() < OPERATIONS_IN_A_TURN
    }

    /// Notes that a direction is blocked.
    fn block(&self, direction: Direction) -> Result<(), Error> {
        let half = self.state.half(direction);
        // A direction that is not registered would stay blocked for ever.
        if !half.registered.get() {
            self.register(direction)?;
        }
        half.blocked.set(true);
        Ok(())
    }

    /// Tries an operation until it does not answer "would block", waiting in between.
    ///
    /// # Errors
    ///
    /// What the operation returns, but for "would block" and "interrupted".
    pub async fn io<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&S) -> io::Result<R>,
    ) -> io::Result<R> {
        poll_fn(|context| self.poll_io(context, direction, &mut operation)).await
    }

    fn check_loop(&self) -> Result<(), Error> {
        if self.handle.core.closed.get() {
            return Err(Error::Closed);
        }
        Ok(())
    }

    fn register(&self, direction: Direction) -> Result<(), Error> {
        self.check_loop()?;
        let core = &self.handle.core;
        let read = direction == Direction::Read || self.state.read.registered.get();
        let write = direction == Direction::Write || self.state.write.registered.get();
        let interest = match (read, write) {
            (true, false) => Interest::READABLE,
            (false, true) => Interest::WRITABLE,
            _ => Interest::READABLE | Interest::WRITABLE,
        };
        match self.state.key.get() {
            Some(key) => {
                let token = Token(key.to_word());
                core.poll.reregister(self.get_ref(), token, interest)?;
            }
            None => {
                let entry = Entry::Source(Rc::clone(&self.state));
                let key = core.sources.borrow_mut().insert(entry);
                let token = Token(key.to_word());
                if let Err(error) = core.poll.register(self.get_ref(), token, interest) {
                    drop(core.sources.borrow_mut().remove(key));
                    return Err(error.into());
                }
                self.state.key.set(Some(key));
            }
        }
        self.state.half(direction).registered.set(true);
        Ok(())
    }

    fn deregister(&mut self) {
        let (Some(key), Some(inner)) = (self.state.key.take(), &self.inner) else {
            return;
        };
        let core = &self.handle.core;
        let entry = core.sources.borrow_mut().remove(key);
        drop(entry);
        // It was registered, so there is nothing to fail.
        let _ = core.poll.deregister(inner);
    }
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

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_source_takes_56_bytes_and_its_entry_16() {
        assert_eq!(size_of::<State>(), 56);
        assert_eq!(size_of::<Option<Entry>>(), 16);
    }
}
