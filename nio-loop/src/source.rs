//! Descriptors that futures wait for.
//!
//! The laws:
//!
//! 1. An operation is tried before anything is waited for, and waiting begins only after it has
//!    answered "would block". So a descriptor costs no registration as long as it never blocks, and
//!    the writing half of most never does.
//! 2. Registrations are edge-triggered and stay: waiting again costs nothing.
//! 3. A direction is *blocked* from the moment an operation says so until an event of it comes.
//!    While it is, no operation is tried. Only one that is registered is blocked.

use std::{
    cell::Cell,
    fmt,
    future::poll_fn,
    io,
    os::fd::AsFd,
    rc::Rc,
    task::{Context, Poll, Waker},
    vec,
};

use nio_poll::{Event, Interest, Token};

use crate::{Error, Handle, core::Core, slab::Key, task::Waiter, watch::Watch};

/// How many operations of one direction of a source are tried in one turn of the loop, so that a
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

impl Direction {
    const BOTH: [Direction; 2] = [Direction::Read, Direction::Write];
}

/// How it stands with a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// It is not registered, so no event will come.
    #[default]
    Unregistered,
    /// Something may be done. A short count says that nothing is left to do.
    Open,
    /// The same, but a short count says nothing: the end may be behind it, for which no event will
    /// come any more.
    Ending,
    /// Nothing can be done before an event comes.
    Blocked,
}

/// What is known of a source's two directions, reading first. 40 bytes, and 56 with the counts of its
/// [`Rc`], which is what a chunk of 64 holds: there is one for each connection.
#[derive(Default)]
pub(crate) struct State {
    /// The key of the entry; none before something is waited for.
    key: Cell<Option<Key>>,
    /// The tasks that wait, one for each direction.
    tasks: [Cell<Option<Key>>; 2],
    /// Who else waits: rarely anybody.
    others: Cell<Option<Box<[Vec<Waiter>; 2]>>>,
    /// The turn of the last operation.
    turn: Cell<u32>,
    /// How many operations were tried in that turn.
    operations: [Cell<u8>; 2],
    phases: [Cell<Phase>; 2],
}

fn check_open(core: &Core) -> Result<(), Error> {
    if core.closed.get() {
        return Err(Error::Closed);
    }
    Ok(())
}

impl State {
    #[inline]
    fn phase(&self, direction: Direction) -> &Cell<Phase> {
        &self.phases[direction as usize]
    }

    #[inline]
    fn is_blocked(&self, direction: Direction) -> bool {
        self.phase(direction).get() == Phase::Blocked
    }

    /// Counts an operation that is to be tried, unless the direction is blocked or has had its share
    /// of this turn.
    #[inline]
    fn may_operate(&self, core: &Core, direction: Direction) -> bool {
        if self.is_blocked(direction) {
            return false;
        }
        let turn = core.turn.get();
        if self.turn.replace(turn) != turn {
            self.operations.iter().for_each(|count| count.set(0));
        }
        let operations = &self.operations[direction as usize];
        if operations.get() == OPERATIONS_IN_A_TURN {
            return false;
        }
        operations.set(operations.get() + 1);
        true
    }

    /// Notes who waits until the direction may be tried. An error if the loop is gone: nothing would
    /// ever happen.
    fn wait(&self, core: &Core, direction: Direction, waker: &Waker) -> io::Result<()> {
        check_open(core)?;
        if !self.is_blocked(direction) {
            core.wake_in_next_turn(waker);
            return Ok(());
        }
        let place = &self.tasks[direction as usize];
        match core.waiter(waker) {
            Waiter::Task(key) if place.get().is_none_or(|task| task == key) => {
                place.set(Some(key));
            }
            waiter => self.wait_too(core, direction, waiter),
        }
        Ok(())
    }

    /// Whoever drops a waker may run foreign code, so the cell is left empty meanwhile.
    #[cold]
    fn wait_too(&self, core: &Core, direction: Direction, waiter: Waiter) {
        let mut others = self.others.take().unwrap_or_default();
        let waiting = &mut others[direction as usize];
        if !waiting.iter().any(|other| other.is(&waiter)) {
            if waiting.len() == waiting.capacity() {
                // Tasks that are gone do not say so; before it grows, see who is there.
                waiting.retain(|other| other.is_there(core));
            }
            waiting.push(waiter);
        }
        self.others.set(Some(others));
    }

    /// Whether anybody else than tasks of the loop waits.
    #[inline]
    pub(crate) fn has_others(&self) -> bool {
        let others = self.others.take();
        let has = others.is_some();
        self.others.set(others);
        has
    }

    /// Something has happened, after which a direction is in another phase: whoever waits for it
    /// tries again.
    fn wake(&self, core: &Core, direction: Direction, phase: Phase) {
        self.wake_task(core, direction, phase);
        self.wake_others(core, Direction::BOTH.map(|one| one == direction));
    }

    #[inline]
    fn wake_task(&self, core: &Core, direction: Direction, phase: Phase) {
        if self.phase(direction).get() != Phase::Unregistered {
            self.phase(direction).set(phase);
        }
        if let Some(key) = self.tasks[direction as usize].take() {
            core.wake(key);
        }
    }

    /// Wakers are foreign code: should one panic, those behind it are woken in the next turn.
    #[cold]
    fn wake_others(&self, core: &Core, directions: [bool; 2]) {
        let Some(mut others) = self.others.take() else {
            return;
        };
        let mut waiting = Vec::new();
        for (those, wanted) in others.iter_mut().zip(directions) {
            if wanted {
                waiting.append(those);
            }
        }
        self.others.set(Some(others));
        let mut rest = Rest(core, waiting.into_iter());
        for waiter in rest.1.by_ref() {
            waiter.wake(core);
        }
    }

    /// Says that no event will come any more.
    fn forsake(&self, core: &Core) {
        // Both directions know of it before any foreign code runs.
        for direction in Direction::BOTH {
            self.wake_task(core, direction, Phase::Unregistered);
        }
        self.wake_others(core, [true; 2]);
    }

    /// What an event of the poll means for those who wait.
    pub(crate) fn notify(&self, core: &Core, event: Event) {
        // No event comes again, so both directions know of it before any foreign code runs.
        let directions = self.notify_tasks(core, event);
        self.wake_others(core, directions);
    }

    /// The same, as far as tasks wait. Returns whether it was for reading, and for writing.
    #[inline]
    pub(crate) fn notify_tasks(&self, core: &Core, event: Event) -> [bool; 2] {
        let ends = event.is_read_closed();
        let reads = event.is_readable();
        // The death of a pipe's reader comes to its writer as an end of reading on some BSDs.
        let writes = event.is_writable() || ends;
        if reads {
            let phase = if ends { Phase::Ending } else { Phase::Open };
            self.wake_task(core, Direction::Read, phase);
        }
        if writes {
            self.wake_task(core, Direction::Write, Phase::Open);
        }
        [reads, writes]
    }
}

/// Those who are to be woken still.
struct Rest<'a>(&'a Core, vec::IntoIter<Waiter>);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if self.1.len() > 0 {
            self.0.next_turn.borrow_mut().extend(&mut self.1);
            self.0.rouse();
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
        check_open(&handle.core)?;
        Ok(Source {
            handle: handle.clone(),
            state: Rc::default(),
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
        if self.state.is_blocked(direction) {
            // Without a loop nothing would ever happen.
            check_open(&self.handle.core)?;
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
    #[inline]
    pub fn exhausted(&self, direction: Direction) {
        let phase = self.state.phase(direction);
        if phase.get() == Phase::Open {
            phase.set(Phase::Blocked);
        }
    }

    /// Has whoever waits for a direction try again. For what this side does to the descriptor and
    /// the system has no event for: on Linux, a Unix socket that is shut down for writing while it
    /// is full.
    pub fn wake(&self, direction: Direction) {
        let core = &self.handle.core;
        self.state.wake(core, direction, Phase::Ending);
    }

    /// Tries an operation until it does not answer "would block" or "interrupted", and in the
    /// meantime waits. For futures written by hand; others use [`io`](Source::io).
    ///
    /// # Errors
    ///
    /// As [`io`](Source::io).
    // All of it that is not rare becomes a part of who calls it, and the operation with it.
    #[inline(always)]
    pub fn poll_io<R>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        mut operation: impl FnMut(&S) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let (state, core, inner) = (&*self.state, &*self.handle.core, self.get_ref());
        while state.may_operate(core, direction) {
            match operation(inner) {
                Ok(result) => return Poll::Ready(Ok(result)),
                Err(error) => self.check_failure(direction, error)?,
            }
        }
        state.wait(core, direction, context.waker())?;
        Poll::Pending
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

    /// Notes that a direction is blocked. One that is not registered would stay so for ever.
    fn block(&self, direction: Direction) -> io::Result<()> {
        let phase = self.state.phase(direction);
        if phase.get() == Phase::Unregistered {
            self.register(direction)?;
        }
        phase.set(Phase::Blocked);
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

    fn register(&self, direction: Direction) -> Result<(), Error> {
        let core = &self.handle.core;
        check_open(core)?;
        let is_registered = |other| self.state.phase(other).get() != Phase::Unregistered;
        let both = Direction::BOTH
            .iter()
            .all(|&other| other == direction || is_registered(other));
        let interest = match direction {
            _ if both => Interest::READABLE | Interest::WRITABLE,
            Direction::Read => Interest::READABLE,
            Direction::Write => Interest::WRITABLE,
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
    use std::{
        io::Read,
        os::{fd::OwnedFd, unix::net::UnixStream},
    };

    use super::*;
    use crate::EventLoop;

    #[test]
    fn the_state_of_a_source_takes_40_bytes_and_its_entry_16() {
        assert_eq!(size_of::<State>(), 40);
        assert_eq!(size_of::<Option<Entry>>(), 16);
    }

    #[test]
    fn tasks_that_waited_and_are_gone_are_not_kept() {
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle().clone();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let source = Rc::new(Source::new(&handle, ours).unwrap());
        let waits = || {
            let source = Rc::clone(&source);
            handle.spawn(async move {
                let read = |mut stream: &UnixStream| stream.read(&mut [0]);
                source.io(Direction::Read, read).await
            })
        };
        let stay = [waits(), waits()];
        for _ in 0..1000 {
            let gives_up = waits();
            event_loop.run_nowait().unwrap();
            gives_up.abort();
        }
        let others = source.state.others.take().unwrap();
        assert!(others[Direction::Read as usize].len() < 10);
        drop(stay);
    }

    #[test]
    fn a_source_takes_two_words_more_than_its_descriptor() {
        assert_eq!(size_of::<Source<OwnedFd>>(), 16 + 8);
        assert_eq!(size_of::<Source<Box<OwnedFd>>>(), 16 + 8);
    }
}
