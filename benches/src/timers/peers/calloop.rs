//! calloop's timers: event sources of its loop. Pushing one later is to remove it and insert another.

use ::calloop::timer::{TimeoutAction, Timer};
use ::calloop::{EventLoop, LoopHandle, RegistrationToken};
use std::time::{Duration, Instant};

pub(super) struct Calloop {
    event_loop: EventLoop<'static, usize>,
    handle: LoopHandle<'static, usize>,
    tokens: Vec<Option<RegistrationToken>>,
    start: (Instant, u64),
    fired: usize,
}

impl super::Open for Calloop {
    fn open(timers: usize) -> Option<Self> {
        let event_loop = EventLoop::try_new().ok()?;
        let (handle, tokens) = (event_loop.handle(), vec![None; timers]);
        let start = (Instant::now(), crate::clock::now());
        Some(Calloop {
            event_loop,
            handle,
            tokens,
            start,
            fired: 0,
        })
    }
}

impl super::Peer for Calloop {
    fn insert(&mut self, timer: u32, deadline: u64) {
        let deadline = self.start.0 + Duration::from_nanos(deadline - self.start.1);
        let source = Timer::from_deadline(deadline);
        let token = self.handle.insert_source(source, |_, _, fired| {
            *fired += 1;
            TimeoutAction::Drop
        });
        self.tokens[timer as usize] = token.ok();
    }

    fn cancel(&mut self, timer: u32) {
        if let Some(token) = self.tokens[timer as usize].take() {
            self.handle.remove(token);
        }
    }

    fn later(&mut self, timer: u32, deadline: u64) {
        self.cancel(timer);
        self.insert(timer, deadline);
    }

    fn turn(&mut self, _now: u64) {
        self.event_loop
            .dispatch(Duration::ZERO, &mut self.fired)
            .expect("the loop turns");
    }

    fn fired(&self) -> usize {
        self.fired
    }
}
