//! Helpers of the tests: a log, a loop that does not hang, sockets, and futures.

#![allow(dead_code)] // Each test binary uses a part of it.

mod alone;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) mod seccomp;

use std::{
    cell::RefCell,
    future::poll_fn,
    os::{
        fd::{AsFd, AsRawFd},
        unix::net::UnixStream,
    },
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use nio_loop::{Clock, EventLoop, Handle};

#[allow(unused_imports)]
pub(crate) use alone::in_child;

/// Longer than any step of a test takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A loop that panics if it hangs. Its watchdog timer does not keep it alive.
pub(crate) fn event_loop() -> EventLoop {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let watchdog = handle.set_timeout(LIMIT, |_| panic!("the loop hangs"));
    handle.unref(watchdog);
    event_loop
}

/// A loop on a clock that jumps to the next deadline.
pub(crate) fn automatic_loop() -> EventLoop {
    EventLoop::with_clock(Clock::automatic()).unwrap()
}

/// A loop on a clock that moves when it is told to.
pub(crate) fn manual_loop() -> EventLoop {
    EventLoop::with_clock(Clock::manual()).unwrap()
}

/// Whether a descriptor is readable now, which is asked of a queue of the system.
pub(crate) fn is_readable(descriptor: &impl AsFd) -> bool {
    let poll = nio_poll::Poll::new().unwrap();
    let (token, interest) = (nio_poll::Token(0), nio_poll::Interest::READABLE);
    poll.register(descriptor, token, interest).unwrap();
    let mut events = nio_poll::Events::with_capacity(1);
    poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    poll.deregister(descriptor).unwrap();
    !events.is_empty()
}

/// A log of events, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub(crate) fn new() -> Log {
        Log::default()
    }

    pub(crate) fn push(&self, text: impl Into<String>) {
        self.0.borrow_mut().push(text.into());
    }

    /// A callback that says that it ran.
    pub(crate) fn says(&self, text: &str) -> impl FnOnce(&Handle) + 'static {
        let (log, text) = (self.clone(), text.to_owned());
        move |_| log.push(text)
    }

    /// A future that says that it was polled, and is ready.
    pub(crate) fn told(&self, text: &str) -> impl Future<Output = ()> + 'static {
        let (log, text) = (self.clone(), text.to_owned());
        async move { log.push(text) }
    }

    /// A value that says that it was dropped.
    pub(crate) fn drops(&self, text: &str) -> OnDrop {
        let (log, text) = (self.clone(), text.to_owned());
        OnDrop::new(move || log.push(text))
    }

    /// The events since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut())
    }

    /// Compares the events since the last call, as words.
    #[track_caller]
    pub(crate) fn assert(&self, expected: &str) {
        assert_eq!(self.take().join(" "), expected);
    }
}

/// Runs a closure when it is dropped.
pub(crate) struct OnDrop(Option<Box<dyn FnOnce()>>);

impl OnDrop {
    pub(crate) fn new(closure: impl FnOnce() + 'static) -> OnDrop {
        OnDrop(Some(Box::new(closure)))
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        if let Some(closure) = self.0.take() {
            closure();
        }
    }
}

/// Two connected sockets, both non-blocking.
pub(crate) fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

/// Two connected sockets, the first of which has one byte to be read.
pub(crate) fn readable() -> (UnixStream, UnixStream) {
    let (a, b) = pair();
    std::io::Write::write_all(&mut &b, b"x").unwrap();
    (a, b)
}

/// Keeps the thread busy until a time has passed.
pub(crate) fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}

/// Runs a closure that should panic, and returns its message.
#[track_caller]
pub(crate) fn panic_of<R>(closure: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(closure)) {
        Ok(_) => panic!("it did not panic"),
        Err(panic) => match panic.downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(panic) => *panic.downcast::<String>().unwrap(),
        },
    }
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A value that a future waits for, and a callback gives.
pub(crate) struct Slot<T>(Rc<RefCell<(Option<T>, Option<Waker>)>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Slot<T> {
        Slot(Rc::clone(&self.0))
    }
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Slot<T> {
        Slot(Rc::new(RefCell::new((None, None))))
    }

    pub(crate) fn put(&self, value: T) {
        let waker = {
            let mut slot = self.0.borrow_mut();
            slot.0 = Some(value);
            slot.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) async fn get(&self) -> T {
        poll_fn(|context| {
            let mut slot = self.0.borrow_mut();
            match slot.0.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    slot.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// Lets everything else that is ready run first.
pub(crate) async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            Poll::Ready(())
        } else {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// The waker of the task that runs.
pub(crate) async fn waker() -> Waker {
    poll_fn(|context| Poll::Ready(context.waker().clone())).await
}

/// Polls a future once.
pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// A waker that counts how often it was woken.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls a future once, outside of any loop.
pub(crate) fn poll_with<F: Future>(wakes: &Arc<Wakes>, future: Pin<&mut F>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(wakes));
    future.poll(&mut Context::from_waker(&waker))
}

pub(crate) fn set_nonblocking(descriptor: &impl AsRawFd) {
    let fd = descriptor.as_raw_fd();
    // SAFETY: changes a flag of a descriptor that is open.
    let result = unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK)
    };
    assert_ne!(result, -1);
}
