//! `Kqueue`: the queue itself, and the one call that does everything with it.
//!
//! This file is the interface; `lib.rs` chooses the engine behind it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use crate::event_list::EventList;
use crate::kevent::Kevent;
use crate::sys;

/// An owned, close-on-exec queue of events.
///
/// All methods take `&self`, and the queue is `Send + Sync`: one thread may wait while others make
/// changes, and it is woken by their changes (K89). Two threads may wait on one queue, except on
/// NetBSD 9, which can lose an event between them.
///
/// The queue is itself a descriptor, which another queue ([`Kevent::read`]) or another event loop can
/// watch. It is readable when an event is pending (K8). It may stay readable with no event to return, until
/// the next call of [`kevent`](Kqueue::kevent) that returns nothing: after a disabled registration, after a
/// condition that has ended, and on FreeBSD after a level-triggered event that was just reported. So treat
/// it as a hint, and call with a timeout of zero. poll(2) of macOS does not take a queue; select(2) does.
///
/// A child of fork(2) does not have the queue (K4): there every call fails with `EBADF`, and dropping the
/// value leaves the parent's queue as it is. On the kqueue systems the number is free in the child: if the child has
/// made another queue with it, calls are for that one, so ask [`is_of_this_process`](Kqueue::is_of_this_process).
///
/// ```
/// use nio_sys::{EventFlags, EventList, Kevent, Kqueue, UserFlags};
///
/// let queue = Kqueue::new()?;
/// let mut changes = [Kevent::user(1, EventFlags::ADD | EventFlags::CLEAR).with_udata(42)];
/// queue.apply(&mut changes)?;
/// changes[0].receipt()?;
///
/// std::thread::scope(|scope| -> std::io::Result<()> {
///     let trigger = scope.spawn(|| {
///         let mut trigger = [
///             Kevent::user(1, EventFlags::empty()).with_fflags(UserFlags::TRIGGER).with_udata(42),
///         ];
///         queue.apply(&mut trigger)?;
///         trigger[0].receipt()
///     });
///
///     let mut events = EventList::with_capacity(8);
///     assert_eq!(queue.kevent(&[], &mut events, None)?, 1);
///     assert_eq!(events[0].udata(), 42);
///     trigger.join().unwrap()
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Kqueue(sys::Queue);

impl Kqueue {
    /// Makes a new, empty queue.
    ///
    /// # Errors
    ///
    /// `EMFILE` or `ENFILE` if there are too many descriptors, `ENOMEM` if memory or the user's
    /// limit of queues is exhausted.
    pub fn new() -> io::Result<Kqueue> {
        sys::Queue::new(false).map(Kqueue)
    }

    /// Makes a queue whose READ and WRITE events have the amount on every system: the bytes to read or the
    /// room to write in `data`, and with EOF the error of the socket in `fflags`.
    ///
    /// This differs from [`new`](Kqueue::new) on Linux alone. There the events of other queues leave both at
    /// 0: each amount costs one to three system calls, and asking for the error of a socket clears it.
    ///
    /// ```
    /// use std::{io::Write, os::unix::net::UnixStream};
    /// use nio_sys::{EventFlags, EventList, Kevent, Kqueue};
    ///
    /// let queue = Kqueue::with_counts()?;
    /// let (reader, mut writer) = UnixStream::pair()?;
    /// writer.write_all(b"hello")?;
    /// let mut events = EventList::with_capacity(1);
    /// queue.kevent(&[Kevent::read(&reader, EventFlags::ADD)], &mut events, None)?;
    /// assert_eq!(events[0].data(), 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Kqueue::new).
    pub fn with_counts() -> io::Result<Kqueue> {
        sys::Queue::new(true).map(Kqueue)
    }

    /// Applies `changes`, then waits for events: kevent(2).
    ///
    /// In this order:
    ///
    /// 1. `events` is cleared, and all changes are applied in the order of the array (K15). A refused
    ///    change yields an entry with [`ERROR`](crate::EventFlags::ERROR) and its errno, and so does, with
    ///    errno 0, a successful one that has [`RECEIPT`](crate::EventFlags::RECEIPT). Later changes are
    ///    still applied (K38, K43).
    /// 2. If there are error entries or receipts, the call returns only these (K42). Look at
    ///    [`Kevent::receipt`] of each.
    /// 3. Otherwise it waits until there is an event, for `timeout` at most, and returns as many events as
    ///    fit; the others come with the next call (K85). An event that is ready is returned even if the
    ///    timeout is zero (K18).
    ///
    /// Returns the number of entries in `events`; 0 means that the timeout has passed.
    ///
    /// A `timeout` of `None` waits without a limit. Zero does not wait. Any other is a minimum: a wait
    /// without an event does not end before it (K20), and some kernels round it up to their clock tick.
    /// A very long timeout (decades; on Apple systems three years) waits without a limit, too (K22).
    /// Without room for events the call returns at once, with any timeout (K17).
    ///
    /// # Errors
    ///
    /// - `EINTR` if a signal was handled during the wait; on Linux also if the process was stopped and
    ///   continues. **The changes have been applied** (K24): [wait](Kqueue::wait) without them.
    /// - The errno of a refused change for which `events` had no room. The changes before it stay,
    ///   those after it are not applied (K40). Give as much room as there are changes, or use
    ///   [`apply`](Kqueue::apply).
    /// - `ENOMEM` if the kernel has no memory for another registration.
    /// - `EBADF` in a child of fork(2).
    ///
    /// When it fails, `events` is empty.
    ///
    /// ```
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    /// use std::time::Duration;
    /// use nio_sys::{EventFlags, EventList, Filter, Kevent, Kqueue};
    ///
    /// let queue = Kqueue::new()?;
    /// let (reader, mut writer) = UnixStream::pair()?;
    /// writer.write_all(b"hello")?;
    ///
    /// let mut events = EventList::with_capacity(16);
    /// let changes = [Kevent::read(&reader, EventFlags::ADD)];
    /// let count = queue.kevent(&changes, &mut events, Some(Duration::from_secs(5)))?;
    /// assert_eq!(count, 1);
    /// for event in &events {
    ///     event.receipt()?;
    ///     assert_eq!(event.filter(), Filter::READ);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut EventList,
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        self.0.kevent(changes, events, timeout)?;
        Ok(events.len())
    }

    /// Waits for events: [`kevent`](Kqueue::kevent) without changes, and without `EINTR`.
    ///
    /// A wait that a signal interrupts goes on for the remaining time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nio_sys::{EventList, Kqueue};
    ///
    /// let queue = Kqueue::new()?;
    /// let mut events = EventList::with_capacity(16);
    /// assert_eq!(queue.wait(&mut events, Some(Duration::from_millis(1)))?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `EBADF` in a child of fork(2). `events` is empty then.
    #[inline]
    pub fn wait(&self, events: &mut EventList, timeout: Option<Duration>) -> io::Result<usize> {
        self.0.wait_on(events, timeout)?;
        Ok(events.len())
    }

    /// Applies `changes`, and writes the result of each over it.
    ///
    /// Asks for a receipt of every change. There is room for every answer, so none is lost (K46).
    /// Afterwards the array holds the answers: `changes[i].receipt()` is the result of the i-th change. An
    /// answer keeps the ident, filter and `udata` of its change but not the flags, so it cannot be submitted
    /// again.
    ///
    /// Never waits and returns no events. An empty slice is a success.
    ///
    /// # Errors
    ///
    /// Only errors of the whole call, as `ENOMEM`, or `EBADF` in a child of fork(2). A refused change is not
    /// an error of the call.
    ///
    /// ```
    /// use nio_sys::{EventFlags, Kevent, Kqueue};
    ///
    /// let queue = Kqueue::new()?;
    /// let mut changes = [
    ///     Kevent::user(1, EventFlags::ADD | EventFlags::CLEAR),
    ///     Kevent::user(2, EventFlags::DELETE),
    /// ];
    /// queue.apply(&mut changes)?;
    /// assert!(changes[0].receipt().is_ok());
    /// assert_eq!(changes[1].receipt().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn apply(&self, changes: &mut [Kevent]) -> io::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.0.apply(changes)
    }

    /// Whether this process made the queue. A child of fork(2) does not have it (K4).
    ///
    /// This takes no lock, and on Linux from 4.14 on it makes no system call.
    ///
    /// ```
    /// assert!(nio_sys::Kqueue::new()?.is_of_this_process());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn is_of_this_process(&self) -> bool {
        self.0.is_of_this_process()
    }
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Kqueue {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Kqueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kqueue").field(&self.as_raw_fd()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventFlags, Filter};

    #[test]
    fn a_queue_prints_as_its_descriptor() {
        let queue = Kqueue::new().unwrap();
        assert_eq!(
            format!("{queue:?}"),
            format!("Kqueue({})", queue.as_raw_fd())
        );
    }

    #[test]
    fn a_queue_can_be_shared_between_threads() {
        fn check<T: Send + Sync>() {}
        check::<Kqueue>();
    }

    #[test]
    fn applying_no_changes_is_a_success() {
        let queue = Kqueue::new().unwrap();
        queue.apply(&mut []).unwrap();
    }

    #[test]
    fn k3_the_queue_is_close_on_exec() {
        let queue = Kqueue::new().unwrap();
        // SAFETY: F_GETFD reads the flags of a descriptor that is open, as `queue` lives.
        let flags = unsafe { libc::fcntl(queue.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    }

    #[test]
    fn k17_no_room_for_events_returns_at_once() {
        let queue = Kqueue::new().unwrap();
        let mut events = EventList::with_capacity(0);
        assert_eq!(queue.kevent(&[], &mut events, None).unwrap(), 0);
    }

    #[test]
    fn k27_each_change_is_answered_in_its_own_place() {
        let queue = Kqueue::new().unwrap();
        let mut changes: Vec<Kevent> = (0..40)
            .map(|ident| Kevent::user(ident, EventFlags::DELETE).with_udata(ident + 100))
            .collect();
        queue.apply(&mut changes).unwrap();
        for (ident, change) in changes.iter().enumerate() {
            assert_eq!(change.ident(), ident);
            assert_eq!(change.filter(), Filter::USER);
            assert_eq!(change.udata(), ident + 100);
            assert_eq!(
                change.receipt().unwrap_err().raw_os_error(),
                Some(libc::ENOENT)
            );
        }
    }

    #[test]
    fn k46_every_one_of_many_changes_has_its_receipt() {
        let queue = Kqueue::new().unwrap();
        let mut changes: Vec<Kevent> = (0..100)
            .map(|ident| Kevent::user(ident, EventFlags::ADD))
            .collect();
        queue.apply(&mut changes).unwrap();
        assert!(
            changes
                .iter()
                .all(|change| change.is_error() && change.receipt().is_ok())
        );
    }

    #[test]
    fn k30_the_answer_to_a_change_is_not_mistaken_for_one_submitted_with_it() {
        let queue = Kqueue::new().unwrap();
        let mut changes = [Kevent::user(1, EventFlags::ADD | EventFlags::ERROR).with_data(5)];
        queue.apply(&mut changes).unwrap();
        changes[0].receipt().unwrap();
    }
}
