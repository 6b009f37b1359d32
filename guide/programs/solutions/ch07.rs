//! An interval that drifts, and one that does not, in time that is a number.

use nio_timer::TimerHeap;

const PERIOD: u64 = 10;
const WORK: u64 = 3;

fn main() {
    println!("{}", times(|_, now| now + PERIOD));
    println!("{}", times(|due, _| due + PERIOD));
}

/// When the first four runs begin. `next` is given when the last run was due, and the time after its work.
fn times(next: fn(u64, u64) -> u64) -> String {
    let mut timers = TimerHeap::new();
    timers.insert(PERIOD, ());
    let mut times = Vec::new();
    while let Some(due) = timers.next_deadline().filter(|_| times.len() < 4) {
        let _ = timers.pop_expired(due);
        times.push(due.to_string());
        timers.insert(next(due, due + WORK), ());
    }
    times.join(" ")
}
