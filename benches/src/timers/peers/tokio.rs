//! tokio: its `sleep` on a current_thread runtime, and tokio-util's `DelayQueue`.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::{Builder, EnterGuard, Runtime};
use tokio::time::{Duration, Instant, Sleep, sleep_until};
use tokio_util::time::{DelayQueue, delay_queue::Key};

/// A runtime that is entered, and the translation of time.
struct Tokio {
    runtime: &'static Runtime,
    _entered: EnterGuard<'static>,
    start: (Instant, u64),
}

impl Tokio {
    /// The runtime is leaked: some hundred are made in a run.
    fn open() -> Option<Self> {
        let runtime = Builder::new_current_thread().enable_time().build().ok()?;
        let runtime: &'static Runtime = Box::leak(Box::new(runtime));
        let start = (Instant::now(), crate::clock::now());
        Some(Tokio {
            runtime,
            _entered: runtime.enter(),
            start,
        })
    }

    fn instant(&self, time: u64) -> Instant {
        self.start.0 + Duration::from_nanos(time - self.start.1)
    }

    /// One turn of the scheduler: its driver reads the clock and fires due timers.
    fn turn(&self) {
        self.runtime.block_on(tokio::task::yield_now());
    }
}

/// Stands for the task that sleeps: it only counts that it was woken.
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Each sleep has its place in memory, as it would in its task; nothing is allocated for it.
pub(super) struct Sleeps {
    sleeps: Vec<Pin<Box<Option<Sleep>>>>,
    count: Arc<Count>,
    waker: Waker,
    tokio: Tokio,
}

impl super::Open for Sleeps {
    fn open(timers: usize) -> Option<Self> {
        let tokio = Tokio::open()?;
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let sleeps = (0..timers).map(|_| Box::pin(None)).collect();
        Some(Sleeps {
            sleeps,
            count,
            waker,
            tokio,
        })
    }
}

impl super::Peer for Sleeps {
    fn insert(&mut self, timer: u32, deadline: u64) {
        let deadline = self.tokio.instant(deadline);
        let sleep = &mut self.sleeps[timer as usize];
        sleep.set(Some(sleep_until(deadline)));
        let mut cx = Context::from_waker(&self.waker);
        // The first poll arms it.
        let _ = black_box(sleep.as_mut().as_pin_mut().map(|sleep| sleep.poll(&mut cx)));
    }

    fn cancel(&mut self, timer: u32) {
        self.sleeps[timer as usize].set(None);
    }

    fn later(&mut self, timer: u32, deadline: u64) {
        let deadline = self.tokio.instant(deadline);
        if let Some(sleep) = self.sleeps[timer as usize].as_mut().as_pin_mut() {
            sleep.reset(deadline);
        }
    }

    fn turn(&mut self, _now: u64) {
        self.tokio.turn();
    }

    fn fired(&self) -> usize {
        self.count.0.load(Ordering::Relaxed)
    }
}

pub(super) struct Queue {
    queue: DelayQueue<u32>,
    keys: Vec<Option<Key>>,
    fired: Cell<usize>,
    tokio: Tokio,
}

impl super::Open for Queue {
    fn open(timers: usize) -> Option<Self> {
        let tokio = Tokio::open()?;
        Some(Queue {
            queue: DelayQueue::new(),
            keys: vec![None; timers],
            fired: Cell::new(0),
            tokio,
        })
    }
}

impl super::Peer for Queue {
    fn insert(&mut self, timer: u32, deadline: u64) {
        let deadline = self.tokio.instant(deadline);
        self.keys[timer as usize] = Some(self.queue.insert_at(timer, deadline));
    }

    fn cancel(&mut self, timer: u32) {
        if let Some(key) = self.keys[timer as usize].take() {
            self.queue.remove(&key);
        }
    }

    fn later(&mut self, timer: u32, deadline: u64) {
        if let Some(key) = &self.keys[timer as usize] {
            self.queue.reset_at(key, self.tokio.instant(deadline));
        }
    }

    fn turn(&mut self, _now: u64) {
        self.tokio.turn();
        let expire = poll_fn(|cx| {
            while let Poll::Ready(Some(expired)) = self.queue.poll_expired(cx) {
                black_box(expired.into_inner());
                self.fired.set(self.fired.get() + 1);
            }
            Poll::Ready(())
        });
        // Unconstrained: the scheduler's budget would end it after 128.
        self.tokio
            .runtime
            .block_on(tokio::task::unconstrained(expire));
    }

    fn fired(&self) -> usize {
        self.fired.get()
    }
}
