//! The queue: kevent(2) as one wait on epoll, and one translation of its events under the lock.
//!
//! ```text
//!   kevent(changes, events, timeout)
//!      │
//!      ├─ lock: apply the changes (engine)                          unlock, write the eventfd if need be
//!      │
//!      └─ wait on epoll ── lock: events of epoll → kevents (deliver)
//!            ▲                   active knotes → kevents (engine)   unlock, write the eventfd if need be
//!            │                        │
//!            └── no event is left ────┴── there are events: return them
//! ```

use std::{
    io,
    mem::ManuallyDrop,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    deliver,
    engine::{Engine, WAKE, is_descriptor},
    epoll::{self, EDGE},
    fork::Home,
    slot::IN,
    wake::{Duty, Pending},
};
use crate::{EventFlags, EventList, Kevent};

/// A kqueue made of an epoll set.
pub(crate) struct Queue {
    home: Home,
    epoll: OwnedFd,
    /// Ends a wait when a knote becomes active ([`wake`](super::wake)).
    eventfd: OwnedFd,
    pending: Pending,
    /// How many stale events have been found; wraps round. A wait reads it before it begins
    /// ([`stale`](super::stale)).
    found: AtomicUsize,
    engine: ManuallyDrop<Mutex<Engine>>,
}

impl Queue {
    /// A queue; `counts`: the `data` of READ and WRITE is the number of bytes.
    pub(crate) fn new(counts: bool) -> io::Result<Queue> {
        let (epoll, eventfd) = (epoll::create()?, epoll::eventfd()?);
        epoll::control(&epoll, libc::EPOLL_CTL_ADD, eventfd.as_raw_fd(), EDGE, WAKE)?;
        let engine = Engine::new(counts, eventfd.as_raw_fd());
        Ok(Queue {
            home: Home::new(),
            epoll,
            eventfd,
            pending: Pending::default(),
            found: AtomicUsize::new(0),
            engine: ManuallyDrop::new(Mutex::new(engine)),
        })
    }

    /// kevent(2).
    #[inline]
    pub(crate) fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut EventList,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        events.clear();
        self.check_home()?;
        if !changes.is_empty() {
            self.change(changes, events)?;
            if !events.is_empty() {
                // Errors and receipts return at once, without events (K42).
                return Ok(());
            }
        }
        self.wait(events, timeout, false)
    }

    /// kevent(2) without changes. A wait that a signal interrupts goes on.
    #[inline]
    pub(crate) fn wait_on(
        &self,
        events: &mut EventList,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        events.clear();
        self.check_home()?;
        self.wait(events, timeout, true)
    }

    /// Applies all changes, and writes the result of each over it.
    pub(crate) fn apply(&self, changes: &mut [Kevent]) -> io::Result<()> {
        self.check_home()?;
        let mut engine = self.lock();
        let mut rest = changes;
        while !rest.is_empty() {
            let (count, errno) = engine.change(&self.epoll, rest);
            let (made, after) = rest.split_at_mut(count);
            for change in made {
                *change = receipt(change, errno);
            }
            rest = after;
        }
        self.unlock(engine);
        Ok(())
    }

    /// Applies changes; errors and receipts become entries of `events`. Without room for an error the call
    /// fails at that change (K40); without room for a receipt the receipt is dropped (K46).
    fn change(&self, changes: &[Kevent], events: &mut EventList) -> io::Result<()> {
        let mut engine = self.lock();
        let mut outcome = Ok(());
        let mut rest = changes;
        while !rest.is_empty() && outcome.is_ok() {
            let (count, errno) = engine.change(&self.epoll, rest);
            let (made, after) = rest.split_at(count);
            for change in made {
                let wanted = errno != 0 || change.flags().contains(EventFlags::RECEIPT);
                if wanted && events.len() < events.capacity() {
                    events.events.push(receipt(change, errno));
                } else if errno != 0 {
                    outcome = Err(io::Error::from_raw_os_error(errno));
                }
            }
            rest = after;
        }
        self.unlock(engine);
        if outcome.is_err() {
            // A call that fails returns no entries (K41).
            events.clear();
        }
        outcome
    }

    /// Waits until there is an event, the time is up, or a signal handler has run; with `resumes` it goes on
    /// after a handler. An event of epoll may yield no kevent: another thread was faster, or the event is
    /// stale. Then the wait goes on for the remaining time (K92).
    #[inline]
    fn wait(
        &self,
        events: &mut EventList,
        timeout: Option<Duration>,
        resumes: bool,
    ) -> io::Result<()> {
        let room = events.capacity();
        if room == 0 {
            return Ok(());
        }
        // The remaining time is computed from the beginning of the wait.
        let start = timeout
            .filter(|timeout| !timeout.is_zero())
            .map(|_| Instant::now());
        let mut left = timeout;
        loop {
            let found = self.found.load(Ordering::Acquire);
            match epoll::wait(&self.epoll, &mut events.epoll, room, left) {
                Ok(()) if events.epoll.is_empty() && !self.pending.is_set() => return Ok(()),
                Ok(()) => {}
                Err(error) if resumes && error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            let is_settled = self.translate(events, found);
            if !events.is_empty() {
                return Ok(());
            }
            let passed = start.map_or(Duration::ZERO, |start| start.elapsed());
            left = timeout.map(|timeout| timeout.saturating_sub(passed));
            // A batch that took all the room may have kept an event out.
            if left.is_some_and(|left| left.is_zero()) && (events.epoll.len() < room || is_settled)
            {
                return Ok(());
            }
        }
    }

    /// Turns the batch that epoll returned, and the active knotes, into kevents. `found` is the number of stale
    /// events that had been found when the wait began. Returns true if the batch had a stale event that the next
    /// wait would only return again.
    #[inline]
    fn translate(&self, events: &mut EventList, found: usize) -> bool {
        let room = events.capacity();
        let EventList { events, epoll, .. } = events;
        let mut guard = self.lock();
        let engine = &mut *guard;
        let mut has_leftover = false;
        // Room for one kevent is kept for each event of epoll that is not translated yet, and for one active
        // knote for each event of the queue's own entries. So no knote starves.
        let (mut rest, mut room_left) = (epoll.as_slice(), room);
        loop {
            rest = deliver::plain(engine.descriptors.slots.as_slice(), rest, events, room_left);
            let Some((&event, after)) = rest.split_first() else {
                break;
            };
            rest = after;
            if !is_descriptor(event.u64) {
                engine.wake(&self.epoll, event.u64);
                room_left -= 1;
                continue;
            }
            let room = room_left - rest.len();
            if !engine.deliver(&self.epoll, event, events, room) {
                has_leftover |= engine.stale.note(event.u64, &self.found, found);
            }
        }
        if engine.has_active() {
            engine.collect(&self.epoll, events, room);
        }
        // Without the memory or a descriptor for a new set, the old one stays: waits spin, but no event is lost.
        let is_settled = has_leftover && self.rebuild(engine).is_err();
        self.unlock(guard);
        is_settled
    }

    /// Makes the epoll set again, without the entries that no call can remove, under the number of the old one.
    /// All threads that wait in the old one are woken: an eventfd that is always ready is added to it. A
    /// program that watches this queue by another poller has to register it there again.
    #[cold]
    fn rebuild(&self, engine: &mut Engine) -> io::Result<()> {
        let new = epoll::create()?;
        let eventfd = self.eventfd.as_raw_fd();
        epoll::control(&new, libc::EPOLL_CTL_ADD, eventfd, EDGE, WAKE)?;
        if engine.release.is_none() {
            let release = epoll::eventfd()?;
            epoll::notify(release.as_raw_fd());
            engine.release = Some(release);
        }
        engine.attach(&self.epoll, &new)?;
        let release = engine.release.as_ref().map_or(eventfd, AsRawFd::as_raw_fd);
        // Level-triggered.
        epoll::control(&self.epoll, libc::EPOLL_CTL_ADD, release, IN, WAKE)?;
        // The limit on descriptors may be below the number of this one by now.
        epoll::replace(&self.epoll, &new).inspect_err(|_| {
            let _ = epoll::control(&self.epoll, libc::EPOLL_CTL_DEL, release, 0, 0);
        })?;
        engine.stale.clear();
        Ok(())
    }

    #[inline]
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.home.is_here()
    }

    /// A child of fork(2) does not have the queue (K4).
    #[inline]
    fn check_home(&self) -> io::Result<()> {
        if self.is_of_this_process() {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::EBADF))
        }
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, Engine> {
        // Nothing that runs under the lock panics, and each change is whole before the next.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases the lock, and writes or reads the eventfd as the wake-up protocol asks.
    #[inline]
    fn unlock(&self, mut engine: MutexGuard<'_, Engine>) {
        let (active, grew) = (!engine.active.is_empty(), engine.active.take_grew());
        match engine.edge.settle(&self.pending, active, grew) {
            Duty::Nothing => {}
            Duty::TakeBack => epoll::take_back(self.eventfd.as_raw_fd()),
            Duty::Write => {
                drop(engine);
                epoll::notify(self.eventfd.as_raw_fd());
            }
        }
    }
}

/// The entry that reports the result of a change: EV_ERROR, and the errno or 0 (K38, K43, K45).
#[inline]
fn receipt(change: &Kevent, errno: i32) -> Kevent {
    Kevent::new(change.ident(), change.filter(), EventFlags::ERROR)
        .with_udata(change.udata())
        .with_data(i64::from(errno))
}

impl Drop for Queue {
    /// A child of fork(2) closes the queue's own two descriptors and leaves the engine as it is. Another thread
    /// of its parent may have been changing it: then it is half changed, or has descriptors that the child does
    /// not have, because fork(2) copies them a moment before the memory.
    fn drop(&mut self) {
        if !self.home.is_here() {
            return;
        }
        // SAFETY: the engine is not used again: this is the drop of its only owner.
        unsafe { ManuallyDrop::drop(&mut self.engine) };
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
