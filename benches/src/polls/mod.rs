//! The costs of the calls of a poller: waiting, registering, waking. Each group is one operation, done by every contender.

mod bare;
mod pollers;

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

pub(crate) use bare::Bare;
use pollers::{Calloop, Libev, Libevent, Mio, NioPoll, NioSys, Polling};

use crate::group::{self, Group, time};

const ONCE: u32 = 5_000;

/// Wakes a poller, from any thread.
type Wake = Box<dyn Fn() + Send>;

/// Waits for descriptors, edge-triggered where the library can.
trait Poller: Sized + 'static {
    /// The state that deregistering needs.
    type Key;

    /// A poller whose waits return so many events at most, if its library is installed.
    fn open(events: usize) -> Option<Self>;

    /// Asks to be told when the socket can be read.
    fn register(&mut self, socket: &UnixStream) -> Self::Key;

    fn deregister(&mut self, socket: &UnixStream, key: Self::Key);

    /// Waits, at most for so long, and returns the number of events.
    fn wait(&mut self, timeout: Option<Duration>) -> usize;

    /// Wakes this poller; `None` if the library has nothing for it.
    fn waker(&self) -> Option<Wake> {
        None
    }
}

/// Adds the same operation for each of these pollers.
macro_rules! with_each {
    ($group:expr, $operation:ident; $($name:literal $poller:ty),+) => {
        $group$(.with_installed($name, $operation::<$poller>))+
    };
}

pub(crate) fn empty() -> Group {
    fn operation<P: Poller>() -> Option<impl FnMut(u32) -> Duration> {
        let mut poller = P::open(64)?;
        let (socket, far) = UnixStream::pair().expect("there are descriptors");
        let _key = poller.register(&socket);
        Some(move |times| {
            let _open = (&socket, &far);
            time(times, || assert_eq!(poller.wait(Some(Duration::ZERO)), 0))
        })
    }
    let title = "a wait that finds nothing and does not block";
    let group = Group::new("empty-wait", title, ONCE);
    with_each!(group, operation; "epoll" Bare, "nio-sys" NioSys, "nio-poll" NioPoll, "mio" Mio, "polling" Polling,
        "calloop" Calloop, "libev" Libev, "libevent" Libevent)
}

pub(crate) fn registration() -> Group {
    fn operation<P: Poller>() -> Option<impl FnMut(u32) -> Duration> {
        let mut poller = P::open(64)?;
        let (socket, far) = UnixStream::pair().expect("there are descriptors");
        Some(move |times| {
            let _open = &far;
            time(times, || {
                let key = poller.register(&socket);
                poller.deregister(&socket, key);
            })
        })
    }
    let title = "a socket is registered and deregistered";
    let group = Group::new("registration", title, ONCE);
    with_each!(group, operation; "epoll" Bare, "nio-sys" NioSys, "nio-poll" NioPoll, "mio" Mio, "polling" Polling,
        "calloop" Calloop, "libevent" Libevent)
}

/// Waits that return so many ready sockets.
pub(crate) fn ready<const SOCKETS: usize>() -> Group {
    fn operation<P: Poller, const SOCKETS: usize>() -> Option<impl FnMut(u32) -> Duration> {
        let mut poller = P::open(SOCKETS)?;
        let pair = |_| {
            let pair = UnixStream::pair().expect("there are descriptors");
            pair.0.set_nonblocking(true).expect("it is a socket");
            pair
        };
        let pairs: Vec<_> = (0..SOCKETS).map(pair).collect();
        let _keys: Vec<_> = pairs
            .iter()
            .map(|(near, _)| poller.register(near))
            .collect();
        Some(move |times: u32| {
            let waits = (times as usize / SOCKETS).max(1);
            let mut elapsed = Duration::ZERO;
            for _ in 0..waits {
                for (_, far) in &pairs {
                    (&*far).write_all(&[1]).expect("there is room for a byte");
                }
                let mut count = 0;
                // libev's first waits return fewer: its buffer grows.
                while count < SOCKETS {
                    elapsed += group::time(1, || count += poller.wait(Some(Duration::ZERO)));
                }
                for (near, _) in &pairs {
                    let _ = (&*near).read(&mut [0; 8]).expect("there is a byte");
                }
            }
            elapsed
        })
    }
    macro_rules! with_all {
        ($group:expr; $($name:literal $poller:ty),+) => {
            $group$(.with_installed($name, operation::<$poller, SOCKETS>))+
        };
    }
    let (name, title) = match SOCKETS {
        1 => ("ready-1", "a wait that returns 1 ready socket"),
        8 => ("ready-8", "a wait that returns 8 ready sockets, per socket"),
        64 => (
            "ready-64",
            "a wait that returns 64 ready sockets, per socket",
        ),
        _ => (
            "ready-1024",
            "a wait that returns 1024 ready sockets, per socket",
        ),
    };
    // Each turn of a contender has as many events, so 1024 sockets have fewer waits.
    let group = Group::new(name, title, if SOCKETS == 1 { 256 } else { 4096 });
    with_all!(group; "epoll" Bare, "nio-sys" NioSys, "nio-poll" NioPoll, "mio" Mio, "polling" Polling,
        "calloop" Calloop, "libev" Libev, "libevent" Libevent)
}

pub(crate) fn wake() -> Group {
    fn operation<P: Poller>() -> Option<impl FnMut(u32) -> Duration> {
        let mut poller = P::open(8)?;
        let wake = poller.waker()?;
        Some(move |times| {
            time(times, || {
                wake();
                poller.wait(Some(Duration::ZERO));
            })
        })
    }
    let title = "a wake-up and the wait that it ends, in one thread";
    let group = Group::new("wake", title, ONCE);
    with_each!(group, operation; "epoll" Bare, "nio-poll" NioPoll, "mio" Mio, "polling" Polling, "calloop" Calloop,
        "libev" Libev)
}

pub(crate) fn wake_again() -> Group {
    fn operation<P: Poller>() -> Option<impl FnMut(u32) -> Duration> {
        let mut poller = P::open(8)?;
        let wake = poller.waker()?;
        Some(move |times| {
            wake();
            let elapsed = time(times, &wake);
            poller.wait(Some(Duration::ZERO));
            elapsed
        })
    }
    let title = "a wake-up after another one that has not been noticed";
    let group = Group::new("wake-again", title, ONCE);
    with_each!(group, operation; "epoll" Bare, "nio-poll" NioPoll, "mio" Mio, "polling" Polling, "calloop" Calloop,
        "libev" Libev)
}

/// Two threads that wake each other.
pub(crate) fn far_wake() -> Group {
    fn operation<P: Poller + Send>() -> Option<impl FnMut(u32) -> Duration> {
        drop(P::open(8)?.waker()?);
        let open = || P::open(8).expect("it was possible before");
        let waker = |poller: &P| poller.waker().expect("it was possible before");
        Some(move |times| {
            let (mut here, mut there) = (open(), open());
            let (wake_here, wake_there) = (waker(&here), waker(&there));
            let other = thread::spawn(move || {
                for _ in 0..times {
                    while there.wait(None) == 0 {}
                    wake_here();
                }
                // A waker that is dropped can take its last wake-up with it.
                wake_here
            });
            let start = Instant::now();
            for _ in 0..times {
                wake_there();
                while here.wait(None) == 0 {}
            }
            let elapsed = start.elapsed();
            drop(other.join().expect("it does not panic"));
            elapsed
        })
    }
    let title = "a wake-up of another thread's wait and its wake-up back (wall time)";
    let group = Group::new("far-wake", title, 500);
    with_each!(group, operation; "epoll" Bare, "nio-poll" NioPoll, "mio" Mio, "polling" Polling)
}
