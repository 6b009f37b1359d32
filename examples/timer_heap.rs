//! A simulation with a timer heap alone: no loop, no clock, time is a number of seconds.
//!
//! A post office with three counters is open for a day. Customers arrive at random, wait in one queue,
//! and give up when they have waited too long. Each arrival, each end of service and each patience is a
//! timer. A patience is used like a timeout: nearly always it is cancelled before it expires.
//!
//! cargo run --example timer_heap

use nio_examples::println;
use nio_timer::{TimerHeap, TimerKey};
use std::collections::VecDeque;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const OPEN: u64 = 9 * HOUR;
const CLOSE: u64 = 17 * HOUR;
const COUNTERS: usize = 3;

/// The payload of a timer.
enum Event {
    /// A customer arrives.
    Arrival,
    /// This customer has waited too long and gives up.
    OutOfPatience(u32),
    /// A counter has finished with its customer.
    Served,
}

struct Waiting {
    customer: u32,
    since: u64,
    patience: TimerKey,
}

#[derive(Default)]
struct Office {
    timers: TimerHeap<u64, Event>,
    queue: VecDeque<Waiting>,
    busy: usize,
    random: Random,
    report: Report,
}

#[derive(Default)]
struct Report {
    came: u32,
    served: u32,
    gave_up: u32,
    waited: u64,
    longest_wait: u64,
    longest_queue: usize,
}

impl Office {
    fn handle(&mut self, now: u64, event: Event) {
        match event {
            Event::Arrival => self.arrive(now),
            Event::OutOfPatience(customer) => {
                self.queue.retain(|waiting| waiting.customer != customer);
                self.report.gave_up += 1;
            }
            Event::Served => {
                self.busy -= 1;
                self.report.served += 1;
                self.call_next(now);
            }
        }
    }

    /// Adds a customer to the queue, and arms the timer of the next arrival.
    fn arrive(&mut self, now: u64) {
        let customer = self.report.came;
        self.report.came += 1;
        let patience = now + self.random.between(5 * MINUTE, 20 * MINUTE);
        let patience = self.timers.insert(patience, Event::OutOfPatience(customer));
        self.queue.push_back(Waiting {
            customer,
            since: now,
            patience,
        });
        self.call_next(now);
        self.report.longest_queue = self.report.longest_queue.max(self.queue.len());

        let next = now + self.random.between(10, 2 * MINUTE);
        if next < CLOSE {
            self.timers.insert(next, Event::Arrival);
        }
    }

    /// Serves the first customer of the queue, if a counter is free.
    fn call_next(&mut self, now: u64) {
        if self.busy == COUNTERS {
            return;
        }
        let Some(next) = self.queue.pop_front() else {
            return;
        };
        self.timers.cancel(next.patience);
        self.busy += 1;
        let finished = now + self.random.between(MINUTE, 6 * MINUTE);
        self.timers.insert(finished, Event::Served);

        let waited = now - next.since;
        self.report.waited += waited;
        self.report.longest_wait = self.report.longest_wait.max(waited);
    }
}

fn main() {
    let mut office = Office::default();
    office.timers.insert(OPEN, Event::Arrival);

    // Time jumps from each deadline to the next.
    let mut now = OPEN;
    while let Some(next) = office.timers.next_deadline() {
        now = next;
        while let Some((_, _, event)) = office.timers.pop_expired(now) {
            office.handle(now, event);
        }
    }

    let Report {
        came,
        served,
        gave_up,
        waited,
        longest_wait,
        longest_queue,
    } = office.report;
    assert_eq!(came, served + gave_up);
    println!("customers        {came:>6}");
    println!("  served         {served:>6}");
    println!("  gave up        {gave_up:>6}");
    println!(
        "average wait     {:>6}",
        minutes(waited / u64::from(served.max(1)))
    );
    println!("longest wait     {:>6}", minutes(longest_wait));
    println!("longest queue    {longest_queue:>6}");
    println!(
        "doors closed at  {:>6}",
        format!("{:02}:{:02}", now / HOUR, now / MINUTE % 60)
    );
}

fn minutes(seconds: u64) -> String {
    format!("{}:{:02}", seconds / MINUTE, seconds % MINUTE)
}

/// Pseudo-random numbers, the same in each run (xorshift64).
struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Random(0x2545_F491_4F6C_DD1D)
    }
}

impl Random {
    fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        low + self.0 % (high - low)
    }
}
