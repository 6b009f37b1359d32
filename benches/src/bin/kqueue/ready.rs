//! Waiting when something is ready: sockets into each of which a byte has just been written.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    rc::Rc,
    time::Duration,
};

use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

use crate::group::{self, Group, time};

/// How many waits a turn times: with many sockets fewer.
fn waits(sockets: usize) -> u32 {
    (6_400 / sockets as u32).clamp(5, 200)
}

/// Sockets and their other ends.
struct Sockets(Vec<(UnixStream, UnixStream)>);

impl Sockets {
    fn new(count: usize) -> io::Result<Rc<Sockets>> {
        let pairs = (0..count).map(|_| {
            let pair = UnixStream::pair()?;
            pair.0.set_nonblocking(true)?;
            Ok(pair)
        });
        Ok(Rc::new(Sockets(pairs.collect::<io::Result<_>>()?)))
    }

    /// Writes a byte into each, times a wait that must report all, and reads them.
    fn turn(&self, mut wait: impl FnMut() -> usize) -> Duration {
        let mut time = Duration::ZERO;
        for _ in 0..waits(self.0.len()) {
            for (_, far) in &self.0 {
                (&*far).write_all(&[1]).expect("there is room for a byte");
            }
            let mut count = 0;
            time += group::time(1, || count = wait());
            assert_eq!(count, self.0.len());
            for (near, _) in &self.0 {
                let _ = (&*near).read(&mut [0; 8]).expect("there is a byte");
            }
        }
        time
    }
}

/// All contenders with this many ready sockets, edge-triggered.
pub(crate) fn group(count: usize) -> io::Result<Group> {
    let mut group = Group {
        title: format!("a wait that returns {count} ready sockets, per socket"),
        per_turn: waits(count) * count as u32,
        contenders: Vec::new(),
    };

    let sockets = Sockets::new(count)?;
    let epoll = bare_epoll()?;
    for (near, _) in &sockets.0 {
        control(&epoll, libc::EPOLL_CTL_ADD, near.as_raw_fd());
    }
    let mut buffer = vec![libc::epoll_event { events: 0, u64: 0 }; count];
    group.add("epoll", move || {
        sockets.turn(|| bare_wait(&epoll, &mut buffer))
    });

    let sockets = Sockets::new(count)?;
    let kqueue = Kqueue::new()?;
    let flags = EventFlags::ADD | EventFlags::CLEAR;
    let mut changes: Vec<_> = sockets
        .0
        .iter()
        .map(|pair| Kevent::read(&pair.0, flags))
        .collect();
    kqueue.apply(&mut changes)?;
    let mut events = EventList::with_capacity(count);
    group.add("nio-sys", move || {
        sockets.turn(|| {
            kqueue
                .kevent(&[], &mut events, Some(Duration::ZERO))
                .unwrap()
        })
    });

    let sockets = Sockets::new(count)?;
    let poll = nio_poll::Poll::new()?;
    for (near, _) in &sockets.0 {
        poll.register(near, nio_poll::Token(1), nio_poll::Interest::READABLE)?;
    }
    let mut events = nio_poll::Events::with_capacity(count);
    group.add("nio-poll", move || {
        sockets.turn(|| poll.poll(&mut events, Some(Duration::ZERO)).unwrap())
    });

    let sockets = Sockets::new(count)?;
    let mut poll = mio::Poll::new()?;
    for (near, _) in &sockets.0 {
        let fd = near.as_raw_fd();
        let mut source = mio::unix::SourceFd(&fd);
        poll.registry()
            .register(&mut source, mio::Token(1), mio::Interest::READABLE)?;
    }
    let mut events = mio::Events::with_capacity(count);
    group.add("mio", move || {
        sockets.turn(|| {
            poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            events.iter().count()
        })
    });

    let sockets = Sockets::new(count)?;
    let poller = polling::Poller::new()?;
    for (near, _) in &sockets.0 {
        // SAFETY: the sockets live as long as the poller: both are in the closure below.
        unsafe {
            let event = polling::Event::readable(1);
            poller.add_with_mode(near, event, polling::PollMode::Edge)?;
        }
    }
    let mut events = polling::Events::with_capacity(count.try_into().expect("not zero"));
    group.add("polling", move || {
        sockets.turn(|| {
            events.clear();
            poller.wait(&mut events, Some(Duration::ZERO)).unwrap()
        })
    });
    Ok(group)
}

/// All contenders with nothing ready.
pub(crate) fn empty() -> io::Result<Group> {
    const CALLS: u32 = 20_000;
    let mut group = Group {
        title: "a wait that finds nothing and does not wait".into(),
        per_turn: CALLS,
        contenders: Vec::new(),
    };
    let epoll = bare_epoll()?;
    let mut buffer = vec![libc::epoll_event { events: 0, u64: 0 }; 64];
    group.add("epoll", move || {
        time(CALLS, || assert_eq!(bare_wait(&epoll, &mut buffer), 0))
    });
    let kqueue = Kqueue::new()?;
    let mut events = EventList::with_capacity(64);
    group.add("nio-sys", move || {
        time(CALLS, || {
            drop(kqueue.kevent(&[], &mut events, Some(Duration::ZERO)))
        })
    });
    let poll = nio_poll::Poll::new()?;
    let mut events = nio_poll::Events::with_capacity(64);
    group.add("nio-poll", move || {
        time(CALLS, || drop(poll.poll(&mut events, Some(Duration::ZERO))))
    });
    let mut poll = mio::Poll::new()?;
    let mut events = mio::Events::with_capacity(64);
    group.add("mio", move || {
        time(CALLS, || drop(poll.poll(&mut events, Some(Duration::ZERO))))
    });
    let poller = polling::Poller::new()?;
    let mut events = polling::Events::with_capacity(64.try_into().expect("not zero"));
    group.add("polling", move || {
        time(CALLS, || {
            drop(poller.wait(&mut events, Some(Duration::ZERO)))
        })
    });
    Ok(group)
}

pub(crate) fn bare_epoll() -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: takes no pointers; the descriptor is new and nobody else's.
    unsafe {
        match libc::epoll_create1(libc::EPOLL_CLOEXEC) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

pub(crate) fn control(epoll: &OwnedFd, op: libc::c_int, fd: libc::c_int) {
    let mut event = libc::epoll_event {
        events: (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET) as u32,
        u64: fd as u64,
    };
    // SAFETY: the event lives until the call returns.
    let result = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), op, fd, &mut event) };
    assert_eq!(result, 0);
}

pub(crate) fn bare_wait(epoll: &OwnedFd, buffer: &mut [libc::epoll_event]) -> usize {
    let room = buffer.len() as libc::c_int;
    // SAFETY: the buffer has as much room as is said.
    let count = unsafe { libc::epoll_wait(epoll.as_raw_fd(), buffer.as_mut_ptr(), room, 0) };
    usize::try_from(count).expect("nothing is wrong with the set")
}
