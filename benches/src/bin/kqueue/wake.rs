//! Waking: a poll that is about to wait, one that nobody waits for, and another thread's.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::Arc,
    thread,
    time::Duration,
};

use crate::{
    group::{Group, time},
    ready::{bare_epoll, bare_wait, control},
};

const CALLS: u32 = 5_000;

/// Wakes, from any thread.
type Wake = Box<dyn Fn() + Send>;

/// What can be woken, and waits.
trait Wakeable: Sized + 'static {
    fn new() -> io::Result<(Self, Wake)>;
    /// Waits until it is woken, or not at all.
    fn wait(&mut self, timeout: Option<Duration>);
}

/// epoll and an eventfd that is edge-triggered and never read.
struct Bare(OwnedFd);

impl Wakeable for Bare {
    fn new() -> io::Result<(Bare, Wake)> {
        // SAFETY: takes no pointers; the descriptor is new and nobody else's.
        let eventfd = unsafe { File::from_raw_fd(libc::eventfd(0, libc::EFD_CLOEXEC)) };
        let epoll = bare_epoll()?;
        control(&epoll, libc::EPOLL_CTL_ADD, eventfd.as_raw_fd());
        let wake = move || (&eventfd).write_all(&1_u64.to_ne_bytes()).unwrap();
        Ok((Bare(epoll), Box::new(wake)))
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        let mut event = [libc::epoll_event { events: 0, u64: 0 }];
        if timeout.is_some() {
            bare_wait(&self.0, &mut event);
            return;
        }
        // SAFETY: the buffer has room for one.
        while unsafe { libc::epoll_wait(self.0.as_raw_fd(), event.as_mut_ptr(), 1, -1) } != 1 {}
    }
}

struct NioPoll(nio_poll::Poll, nio_poll::Events);

impl Wakeable for NioPoll {
    fn new() -> io::Result<(NioPoll, Wake)> {
        let poll = nio_poll::Poll::new()?;
        let waker = nio_poll::Waker::new(&poll, nio_poll::Token(1))?;
        let wake = move || waker.wake().unwrap();
        Ok((
            NioPoll(poll, nio_poll::Events::with_capacity(8)),
            Box::new(wake),
        ))
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        self.0.poll(&mut self.1, timeout).unwrap();
    }
}

struct Mio(mio::Poll, mio::Events);

impl Wakeable for Mio {
    fn new() -> io::Result<(Mio, Wake)> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), mio::Token(1))?;
        let wake = move || waker.wake().unwrap();
        Ok((Mio(poll, mio::Events::with_capacity(8)), Box::new(wake)))
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        self.0.poll(&mut self.1, timeout).unwrap();
    }
}

struct Polling(Arc<polling::Poller>, polling::Events);

impl Wakeable for Polling {
    fn new() -> io::Result<(Polling, Wake)> {
        let poller = Arc::new(polling::Poller::new()?);
        let waker = Arc::clone(&poller);
        let wake = move || waker.notify().unwrap();
        Ok((Polling(poller, polling::Events::new()), Box::new(wake)))
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        self.1.clear();
        self.0.wait(&mut self.1, timeout).unwrap();
    }
}

/// All contenders do this, in this order.
macro_rules! contenders {
    ($group:expr, $contender:ident => $body:expr) => {{
        {
            type $contender = Bare;
            $group.add("epoll", $body);
        }
        {
            type $contender = NioPoll;
            $group.add("nio-poll", $body);
        }
        {
            type $contender = Mio;
            $group.add("mio", $body);
        }
        {
            type $contender = Polling;
            $group.add("polling", $body);
        }
    }};
}

fn group(title: &str) -> Group {
    Group {
        title: title.into(),
        per_turn: CALLS,
        contenders: Vec::new(),
    }
}

/// A wake, and then a wait that returns because of it.
pub(crate) fn alone() -> io::Result<Group> {
    let mut group = group("a wake and the wait that it ends, in one thread");
    contenders!(group, C => {
        let (mut poll, wake) = C::new()?;
        move || time(CALLS, || {
            wake();
            poll.wait(Some(Duration::ZERO));
        })
    });
    Ok(group)
}

/// Wakes after the first, while nobody waits.
pub(crate) fn coalesced() -> io::Result<Group> {
    let mut group = group("a wake after another that has not been noticed");
    contenders!(group, C => {
        let (mut poll, wake) = C::new()?;
        move || {
            wake();
            let elapsed = time(CALLS, &wake);
            poll.wait(Some(Duration::ZERO));
            elapsed
        }
    });
    Ok(group)
}

/// Two threads that wake each other.
pub(crate) fn ping_pong() -> io::Result<Group> {
    let mut group = group("a wake of another thread and its wake back");
    contenders!(group, C => {
        move || {
            let (mut here, wake_here) = C::new().expect("it was possible before");
            let (mut there, wake_there) = C::new().expect("it was possible before");
            let other = thread::spawn(move || {
                for _ in 0..CALLS {
                    there.wait(None);
                    wake_here();
                }
                // A waker that is dropped takes its last wake with it.
                wake_here
            });
            let elapsed = time(CALLS, || {
                wake_there();
                here.wait(None);
            });
            drop(other.join().expect("it does not panic"));
            elapsed
        }
    });
    Ok(group)
}
