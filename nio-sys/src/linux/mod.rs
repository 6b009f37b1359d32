//! Placeholder for the Linux engine.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::{EventList, Kevent};

#[derive(Debug)]
pub(crate) struct Queue(OwnedFd);

impl Queue {
    pub(crate) fn new() -> io::Result<Queue> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    pub(crate) fn kevent(
        &self,
        _: &[Kevent],
        events: &mut EventList,
        _: Option<Duration>,
    ) -> io::Result<()> {
        events.epoll.clear();
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    pub(crate) fn apply(&self, _: &mut [Kevent]) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
