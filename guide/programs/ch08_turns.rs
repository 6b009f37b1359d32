//! The order of the steps of `mini_loop`, in a loop that has nothing but timers and immediates.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use nio_sys::{EventList, Kqueue};
use nio_timer::TimerHeap;

enum Call {
    Timeout(&'static str),
    Immediate(&'static str),
}

fn main() -> std::io::Result<()> {
    let queue = Kqueue::new()?;
    let mut events = EventList::with_capacity(8);
    let mut timers = TimerHeap::new();
    let mut immediates = VecDeque::new();

    let now = Instant::now();
    timers.insert(
        now + Duration::from_millis(20),
        Call::Timeout("B, due after 20 ms"),
    );
    timers.insert(
        now + Duration::from_millis(10),
        Call::Timeout("A, due after 10 ms"),
    );
    immediates.push_back(Call::Immediate("in the first turn"));

    let mut turn = 0;
    while !timers.is_empty() || !immediates.is_empty() {
        turn += 1;
        timers.begin_drain(Instant::now());
        while let Some((_, _, call)) = timers.pop_drained() {
            report(turn, &call);
            immediates.push_back(Call::Immediate("set by a timeout"));
        }
        let until = |next: Instant| next.saturating_duration_since(Instant::now());
        let timeout = match immediates.is_empty() {
            false => Some(Duration::ZERO),
            true => timers.next_deadline().map(until),
        };
        let sleeps = timeout != Some(Duration::ZERO);
        queue.wait(&mut events, timeout)?;
        println!(
            "turn {turn}: poll, {}",
            if sleeps { "and sleep" } else { "without sleep" }
        );
        for call in std::mem::take(&mut immediates) {
            report(turn, &call);
        }
    }
    Ok(())
}

fn report(turn: u32, call: &Call) {
    match call {
        Call::Timeout(name) => println!("turn {turn}: timeout {name}"),
        Call::Immediate(name) => println!("turn {turn}: immediate {name}"),
    }
}
