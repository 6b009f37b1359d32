//! A timeout of zero that sets itself again. With `no-snapshot`, the loop runs timers as long as one is due.

use std::{
    env,
    time::{Duration, Instant},
};

use nio_sys::{EventList, Kqueue};
use nio_timer::TimerHeap;

const ENOUGH: u32 = 1000;

fn main() -> std::io::Result<()> {
    let snapshot = env::args().nth(1).as_deref() != Some("no-snapshot");
    let queue = Kqueue::new()?;
    let mut events = EventList::with_capacity(8);
    let mut timers = TimerHeap::new();
    timers.insert(Instant::now(), "zero");
    let (mut calls, mut polls) = (0, 0);
    loop {
        timers.begin_drain(Instant::now()); // the snapshot: `pop_drained` returns no timer that is set later
        while let Some(_timer) = match snapshot {
            true => timers.pop_drained(),
            false => timers.pop_expired(Instant::now()),
        } {
            calls += 1;
            if calls == ENOUGH {
                println!("the timeout ran {calls} times, and the loop polled {polls} times");
                return Ok(());
            }
            timers.insert(Instant::now(), "zero");
        }
        queue.wait(&mut events, Some(Duration::ZERO))?;
        polls += 1;
    }
}
