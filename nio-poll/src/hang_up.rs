//! A pipe whose reader is gone when its writing is registered.
//!
//! Linux and newer macOS take the registration and report the end at once. FreeBSD, OpenBSD and
//! DragonFly refuse it with EPIPE, NetBSD with EBADF (K134). There the poll reports the end itself,
//! by a user event whose ident says what it is and of which descriptor.

use std::{io, os::fd::RawFd, sync::atomic::Ordering};

use nio_sys::{EventFlags, Filter, Kevent, UserFlags};

use crate::poll::Shared;

/// The bit that the idents of these events have, and those of wakers do not.
const HANG_UP: usize = 1 << (usize::BITS - 1);

/// Whether an event is the end of a pipe that could not be registered.
pub(crate) fn is_hang_up(event: &Kevent) -> bool {
    event.filter() == Filter::USER && event.ident() & HANG_UP != 0
}

/// Whether this is how the system says that nobody reads any more. The descriptor is known to be
/// open.
pub(crate) fn is_refusal(change: &Kevent, error: &io::Error) -> bool {
    let refusal = if cfg!(target_os = "netbsd") {
        libc::EBADF
    } else {
        libc::EPIPE
    };
    change.filter() == Filter::WRITE && error.raw_os_error() == Some(refusal)
}

impl Shared {
    /// Has the next poll report that nobody reads from this descriptor, as often as `mode` asks for.
    pub(crate) fn report_hang_up(
        &self,
        fd: RawFd,
        token: usize,
        mode: EventFlags,
    ) -> io::Result<()> {
        self.hang_ups.store(true, Ordering::Relaxed);
        let knote = Kevent::user(HANG_UP | fd as usize, EventFlags::ADD | mode).with_udata(token);
        self.apply(knote)?;
        let trigger = knote.with_flags(EventFlags::empty());
        self.apply(trigger.with_fflags(UserFlags::TRIGGER))
    }

    /// Takes that back.
    #[inline]
    pub(crate) fn forget_hang_up(&self, fd: RawFd) {
        if self.hang_ups.load(Ordering::Relaxed) {
            self.delete_hang_up(fd);
        }
    }

    #[cold]
    fn delete_hang_up(&self, fd: RawFd) {
        let knote = Kevent::user(HANG_UP | fd as usize, EventFlags::DELETE);
        // It may have been reported once and be gone.
        let _ = self.apply(knote);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::{fd::AsRawFd, unix::net::UnixStream},
        time::Duration,
    };

    use super::*;
    use crate::{Events, Interest, Poll, Token};

    #[test]
    fn k134_a_refused_writer_is_reported_as_closed_as_often_as_was_asked() {
        let poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        for (mode, times) in [(EventFlags::empty(), 3), (EventFlags::CLEAR, 1)] {
            let shared = poll.shared();
            shared.report_hang_up(9, 77, mode).unwrap();
            for turn in 0..3 {
                poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
                assert_eq!(events.len(), usize::from(turn < times));
            }
            shared.report_hang_up(9, 77, mode).unwrap();
            poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            let event = events.get(0).unwrap();
            assert_eq!(event.token(), Token(77));
            assert!(event.is_writable() && event.is_write_closed() && !event.is_readable());
            shared.forget_hang_up(9);
            poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            assert!(events.is_empty());
        }
    }

    #[test]
    fn k134_the_end_of_a_pipe_that_was_closed_is_over_when_its_number_is_registered_again() {
        let poll = Poll::new().unwrap();
        let (socket, _peer) = UnixStream::pair().unwrap();
        // As the table is after a refusal: it has what the kernel has not.
        poll.register(&socket, Token(77), Interest::WRITABLE)
            .unwrap();
        let shared = poll.shared();
        let delete = Kevent::write(&socket, EventFlags::DELETE);
        shared.apply(delete).unwrap();
        let level = EventFlags::empty();
        shared
            .report_hang_up(socket.as_raw_fd(), 77, level)
            .unwrap();

        poll.register(&socket, Token(1), Interest::READABLE)
            .unwrap();
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty(), "{events:?}");
    }

    #[test]
    fn k134_only_the_refusal_of_a_writer_is_taken_for_one() {
        let write = Kevent::new(3, Filter::WRITE, EventFlags::ADD);
        let read = Kevent::new(3, Filter::READ, EventFlags::ADD);
        let refusal = if cfg!(target_os = "netbsd") {
            libc::EBADF
        } else {
            libc::EPIPE
        };
        let refusal = io::Error::from_raw_os_error(refusal);
        assert!(is_refusal(&write, &refusal));
        assert!(!is_refusal(&read, &refusal));
        let other = io::Error::from_raw_os_error(libc::ENOMEM);
        assert!(!is_refusal(&write, &other));
    }
}
