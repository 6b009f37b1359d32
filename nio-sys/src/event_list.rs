//! `EventList`: the buffer into which a queue writes events.
//!
//! Laws:
//!
//! - it is allocated once, when it is made; [`Kqueue::kevent`](crate::Kqueue::kevent) neither grows
//!   nor shrinks it;
//! - its length is the number of entries the last call wrote (K26).

use std::fmt;
use std::ops::Deref;
use std::slice;

use crate::kevent::Kevent;

/// A reusable buffer for the entries that [`Kqueue::kevent`](crate::Kqueue::kevent) returns.
///
/// Its capacity is the most entries that one call can return; events that do not fit come with the next call
/// (K85). It dereferences to a slice of [`Kevent`]s.
///
/// ```
/// use nio_sys::EventList;
///
/// let events = EventList::with_capacity(64);
/// assert_eq!(events.capacity(), 64);
/// assert!(events.is_empty());
/// ```
pub struct EventList {
    pub(crate) events: Vec<Kevent>,
    /// Where epoll writes its events; the same capacity as `events`.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) epoll: Vec<libc::epoll_event>,
    /// The capacity that was asked for: a `Vec` may have allocated more.
    capacity: usize,
}

impl EventList {
    /// An empty list with room for exactly `capacity` entries.
    ///
    /// With a capacity of 0 a call cannot wait: it applies its changes and returns at once (K17).
    ///
    /// # Panics
    ///
    /// If the capacity takes more than `isize::MAX` bytes.
    #[inline]
    pub fn with_capacity(capacity: usize) -> EventList {
        EventList {
            events: Vec::with_capacity(capacity),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            epoll: Vec::with_capacity(capacity),
            capacity,
        }
    }

    /// The most entries that one call returns.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Removes the entries and keeps the capacity. [`Kqueue::kevent`](crate::Kqueue::kevent) begins with this.
    pub fn clear(&mut self) {
        self.events.clear();
    }
}

impl Deref for EventList {
    type Target = [Kevent];

    fn deref(&self) -> &[Kevent] {
        &self.events
    }
}

impl<'a> IntoIterator for &'a EventList {
    type Item = &'a Kevent;
    type IntoIter = slice::Iter<'a, Kevent>;

    fn into_iter(self) -> slice::Iter<'a, Kevent> {
        self.events.iter()
    }
}

impl fmt::Debug for EventList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventFlags, Filter};

    #[test]
    fn the_capacity_is_exactly_what_was_asked_for() {
        for capacity in [0, 1, 3, 1000] {
            assert_eq!(EventList::with_capacity(capacity).capacity(), capacity);
        }
    }

    #[test]
    fn a_list_reads_as_a_slice_and_can_be_cleared() {
        let mut list = EventList::with_capacity(2);
        list.events
            .push(Kevent::new(7, Filter::READ, EventFlags::EOF));
        assert_eq!(list.len(), 1);
        assert_eq!((&list).into_iter().count(), 1);
        assert_eq!(format!("{list:?}"), "[READ 7 EOF udata=0x0]");
        list.clear();
        assert!(list.is_empty());
        assert_eq!(list.capacity(), 2);
    }

    #[test]
    fn a_list_can_go_to_another_thread() {
        fn check<T: Send + Sync>() {}
        check::<EventList>();
    }
}
