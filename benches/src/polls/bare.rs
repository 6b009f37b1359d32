//! Nothing but system calls: epoll and an eventfd that is edge-triggered and never read.

use std::{
    fs::File,
    io::Write,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    sync::Arc,
    time::Duration,
};

use super::{Poller, Wake};

pub(crate) struct Bare {
    epoll: OwnedFd,
    eventfd: Arc<File>,
    events: Vec<libc::epoll_event>,
}

impl Bare {
    fn control(&self, operation: i32, fd: RawFd) {
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET) as u32,
            u64: fd as u64,
        };
        // SAFETY: the event lives until the call returns.
        let result = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &mut event) };
        assert_eq!(result, 0);
    }

    /// One `epoll_wait`, of so many milliseconds, or -1.
    pub(crate) fn wait_for(&mut self, milliseconds: i32) -> usize {
        let (fd, room) = (self.epoll.as_raw_fd(), self.events.len() as i32);
        // SAFETY: the buffer has as much room as is said.
        let count = unsafe { libc::epoll_wait(fd, self.events.as_mut_ptr(), room, milliseconds) };
        usize::try_from(count).expect("nothing is wrong with the set")
    }

    pub(crate) fn new(events: usize) -> Bare {
        // SAFETY: the calls take no pointers, and their descriptors are new and owned by nothing else.
        let [epoll, eventfd] = unsafe {
            let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            let eventfd = libc::eventfd(0, libc::EFD_CLOEXEC);
            assert!(epoll >= 0 && eventfd >= 0, "there are descriptors");
            [epoll, eventfd].map(|fd| OwnedFd::from_raw_fd(fd))
        };
        let bare = Bare {
            epoll,
            eventfd: Arc::new(eventfd.into()),
            events: vec![libc::epoll_event { events: 0, u64: 0 }; events],
        };
        bare.control(libc::EPOLL_CTL_ADD, bare.eventfd.as_raw_fd());
        bare
    }
}

impl Poller for Bare {
    type Key = ();

    fn open(events: usize) -> Option<Bare> {
        Some(Bare::new(events))
    }

    fn register(&mut self, socket: &UnixStream) {
        self.control(libc::EPOLL_CTL_ADD, socket.as_raw_fd());
    }

    fn deregister(&mut self, socket: &UnixStream, (): ()) {
        self.control(libc::EPOLL_CTL_DEL, socket.as_raw_fd());
    }

    fn wait(&mut self, timeout: Option<Duration>) -> usize {
        self.wait_for(timeout.map_or(-1, |timeout| timeout.as_millis() as i32))
    }

    fn waker(&self) -> Option<Wake> {
        let eventfd = Arc::clone(&self.eventfd);
        let wake = move || {
            (&*eventfd)
                .write_all(&1_u64.to_ne_bytes())
                .expect("there is room");
        };
        Some(Box::new(wake))
    }
}
