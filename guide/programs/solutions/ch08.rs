//! With the timers at the end of a turn, a timeout runs in the turn that slept for it.

use std::time::{Duration, Instant};

use nio_sys::{EventList, Kqueue};
use nio_timer::TimerHeap;

fn main() -> std::io::Result<()> {
    let queue = Kqueue::new()?;
    let mut events = EventList::with_capacity(8);
    let mut timers = TimerHeap::new();
    timers.insert(Instant::now() + Duration::from_millis(10), "A");
    let mut immediates = 1; // one is set, so the first turn does not sleep

    let mut turn = 0;
    while !timers.is_empty() {
        turn += 1;
        let until = |next: Instant| next.saturating_duration_since(Instant::now());
        let next = timers.next_deadline().map(until);
        queue.wait(
            &mut events,
            if immediates > 0 {
                Some(Duration::ZERO)
            } else {
                next
            },
        )?;
        immediates = 0;
        while let Some((_, _, name)) = timers.pop_expired(Instant::now()) {
            println!("timeout {name} in turn {turn}");
        }
    }
    Ok(())
}
