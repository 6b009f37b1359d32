//! A timeout and an interval; the loop ends by itself when nothing is left to wait for.
//!
//! ```text
//! cargo run --example timers
//! ```

use std::{
    error::Error,
    time::{Duration, Instant},
};

use nio_examples::println;
use nio_loop::EventLoop;

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let start = Instant::now();
    let say = move |text: &str| println!("{:>4} ms  {text}", start.elapsed().as_millis());

    let interval = handle.set_interval(Duration::from_millis(100), move |_, _| say("tick"));

    handle.set_timeout(Duration::from_millis(450), move |handle| {
        say("clear the interval");
        handle.clear(interval);
    });

    // A fallback timer; unref'd, so it does not keep the loop alive.
    let fallback = handle.set_timeout(Duration::from_secs(3600), |_| unreachable!());
    handle.unref(fallback);

    say("the loop begins");
    event_loop.run()?;
    say("the loop has ended: nothing is left to wait for");
    Ok(())
}
