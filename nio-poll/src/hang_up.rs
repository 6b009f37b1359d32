//! Registering the writing end of a pipe that has no reader any more.
//!
//! Linux and newer macOS accept the registration and report the end at once. FreeBSD, OpenBSD and
//! DragonFly refuse it with EPIPE, NetBSD with EBADF (K134). There the poll reports the end itself, by a
//! user event whose ident is the descriptor and one more bit (`HANG_UP`). If the kernel has no user events
//! either, the registration is refused.

use std::{io, os::fd::RawFd};

use nio_sys::{EventFlags, Filter, Kevent, UserFlags};

use crate::registry::{Registration, Shared};

/// The bit that the idents of these events have, and those of wakers do not.
const HANG_UP: usize = 1 << (usize::BITS - 1);

/// Whether an event is the end of a pipe that could not be registered.
pub(crate) fn is_hang_up(event: &Kevent) -> bool {
    event.filter() == Filter::USER && event.ident() & HANG_UP != 0
}

/// Whether this error of adding a WRITE knote means that the pipe has no reader. The descriptor is known to be
/// open, and adding a READ knote does not fail with it.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    let refusal = if cfg!(target_os = "netbsd") {
        libc::EBADF
    } else {
        libc::EPIPE
    };
    error.raw_os_error() == Some(refusal)
}

impl Shared {
    /// Makes the poll report that this pipe has no reader, as often as `mode` says.
    pub(crate) fn report_hang_up(
        &self,
        fd: RawFd,
        token: usize,
        mode: EventFlags,
    ) -> io::Result<()> {
        let knote = Kevent::user(HANG_UP | fd as usize, EventFlags::ADD | mode).with_udata(token);
        self.apply(&[knote])?;
        let trigger = knote.with_flags(EventFlags::empty());
        self.apply(&[trigger.with_fflags(UserFlags::TRIGGER)])
    }

    /// Ends the report, if there is one.
    #[inline]
    pub(crate) fn forget_hang_up(&self, fd: RawFd, known: Registration) {
        if known.hung_up {
            let knote = Kevent::user(HANG_UP | fd as usize, EventFlags::DELETE);
            let _ = self.apply(&[knote]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::{fd::AsRawFd, unix::net::UnixStream},
        time::Duration,
    };

    use super::*;
    use crate::{Events, Interest, Poll, Token, Trigger};

    /// A registration as after a refused WRITE knote, made by hand, because not every kernel refuses.
    fn refuse(poll: &Poll, fd: RawFd, trigger: Trigger) -> Registration {
        let registration = Registration {
            token: Token(77),
            interest: Interest::WRITABLE,
            trigger,
            hung_up: true,
        };
        let shared = poll.shared();
        shared.report_hang_up(fd, 77, registration.mode()).unwrap();
        let mut registry = shared.lock().unwrap();
        registry.set_descriptor(fd, Some(registration));
        registration
    }

    fn now(poll: &Poll) -> Events {
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        events
    }

    #[test]
    fn k134_a_refused_writer_is_reported_as_closed_as_often_as_its_trigger_says() {
        let poll = Poll::new().unwrap();
        for (trigger, times) in [
            (Trigger::Level, 3),
            (Trigger::Edge, 1),
            (Trigger::Oneshot, 1),
        ] {
            let registration = refuse(&poll, 9, trigger);
            for turn in 0..3 {
                assert_eq!(now(&poll).len(), usize::from(turn < times));
            }
            poll.shared().forget_hang_up(9, registration);
            let registration = refuse(&poll, 9, trigger);
            let event = now(&poll).get(0).unwrap();
            assert_eq!(event.token(), Token(77));
            assert!(event.is_writable() && event.is_write_closed() && !event.is_readable());
            poll.shared().forget_hang_up(9, registration);
            assert!(now(&poll).is_empty());
        }
    }

    #[test]
    fn k134_the_report_of_a_closed_pipe_ends_when_its_number_is_registered_again() {
        let poll = Poll::new().unwrap();
        let (socket, _peer) = UnixStream::pair().unwrap();
        refuse(&poll, socket.as_raw_fd(), Trigger::Level);
        poll.register(&socket, Token(1), Interest::READABLE)
            .unwrap();
        assert!(now(&poll).is_empty());
    }

    #[test]
    fn k134_a_refused_writer_whose_number_names_another_file_can_be_neither_changed_nor_removed() {
        let poll = Poll::new().unwrap();
        let (socket, _peer) = UnixStream::pair().unwrap();
        refuse(&poll, socket.as_raw_fd(), Trigger::Level);
        let changed = poll.reregister(&socket, Token(1), Interest::WRITABLE);
        assert!(matches!(changed, Err(crate::Error::NotRegistered { .. })));
        refuse(&poll, socket.as_raw_fd(), Trigger::Level);
        let removed = poll.deregister(&socket);
        assert!(matches!(removed, Err(crate::Error::NotRegistered { .. })));
        assert!(now(&poll).is_empty());
    }
}
