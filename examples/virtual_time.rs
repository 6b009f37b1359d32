//! An hour of timeouts in a moment: the loop has a clock that jumps to the next deadline instead of
//! waiting for it. The tests show how to test with a clock of this kind.
//!
//! ```text
//! cargo run --example virtual_time
//! cargo test --example virtual_time
//! ```
//!
//! It prints the attempts of a client that gets no answer for an hour, each with its exact time, and
//! the same lines in each run. The tests at the end of the file do not wait, and do not depend on how
//! busy the machine is.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use nio_examples::println;
use nio_loop::{Clock, EventLoop, Handle};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The code under test: asks until there is an answer, and doubles the pause after each attempt. It
/// takes the time from its loop alone, so it works with any clock.
async fn persist<T>(handle: &Handle, mut ask: impl FnMut() -> Option<T>) -> T {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        handle.sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    // The only difference: a program in real time calls `EventLoop::new()` here.
    let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
    let handle = event_loop.handle();

    handle.set_interval(Duration::from_secs(15 * 60), |handle, _| {
        say(handle, "a quarter of an hour")
    });
    let mut attempts = 0;
    let asking = persist(&handle, || {
        attempts += 1;
        say(&handle, &format!("attempt {attempts}"));
        None::<()>
    });
    // The interval is due at the end of the hour, too: timers with equal deadlines run in the order
    // in which they were armed.
    let outcome = event_loop.block_on(handle.timeout(Duration::from_secs(3600), asking))?;
    match outcome {
        Ok(()) => say(&handle, "there is an answer"),
        Err(elapsed) => say(&handle, &elapsed.to_string()),
    }
    println!("real time: {:?}", start.elapsed());
    Ok(())
}

/// Prints a text with the time of the loop's clock.
fn say(handle: &Handle, text: &str) {
    let seconds = handle.now().since_start().as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    println!("{hours:02}:{minutes:02}:{:02}  {text}", seconds % 60);
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    /// With an automatic clock: run to the end, then look at the result.
    #[test]
    fn a_late_answer_is_returned_by_the_next_attempt() {
        let mut event_loop = EventLoop::with_clock(Clock::automatic()).unwrap();
        let handle = event_loop.handle();
        let mut attempts = 0;
        let answer = persist(&handle, || {
            attempts += 1;
            (attempts == 5).then_some("here you are")
        });
        assert_eq!(event_loop.block_on(answer).unwrap(), "here you are");
        // Pauses of 1, 2, 4 and 8 seconds, exactly.
        assert_eq!(handle.now().since_start(), Duration::from_secs(15));
    }

    /// With a manual clock: move the time, and look at the state in between.
    #[test]
    fn no_attempt_is_made_before_the_pause_is_over() {
        let mut event_loop = EventLoop::with_clock(Clock::manual()).unwrap();
        let handle = event_loop.handle();
        let attempts = Rc::new(Cell::new(0));
        handle.spawn({
            let (handle, attempts) = (handle.clone(), Rc::clone(&attempts));
            async move {
                let ask = || {
                    attempts.set(attempts.get() + 1);
                    None::<()>
                };
                persist(&handle, ask).await
            }
        });
        event_loop.run_nowait().unwrap();
        assert_eq!(attempts.get(), 1);

        handle
            .advance(FIRST_PAUSE - Duration::from_nanos(1))
            .unwrap();
        event_loop.run_nowait().unwrap();
        assert_eq!(attempts.get(), 1);

        handle.advance(Duration::from_nanos(1)).unwrap();
        event_loop.run_nowait().unwrap();
        assert_eq!(attempts.get(), 2);
    }

    /// With a manual clock, from deadline to deadline: for code that never ends.
    #[test]
    fn a_pause_never_becomes_longer_than_the_longest() {
        let mut event_loop = EventLoop::with_clock(Clock::manual()).unwrap();
        let handle = event_loop.handle();
        handle.spawn({
            let handle = handle.clone();
            async move { persist(&handle, || None::<()>).await }
        });
        event_loop.run_nowait().unwrap();
        let mut pauses = Vec::new();
        for _ in 0..20 {
            let before = handle.now();
            let deadline = handle.advance_to_next().unwrap().unwrap();
            pauses.push(deadline - before);
            event_loop.run_nowait().unwrap();
        }
        assert!(pauses.is_sorted());
        assert_eq!(pauses[..3], [1, 2, 4].map(Duration::from_secs));
        assert_eq!(pauses[19], LONGEST_PAUSE);
    }
}
