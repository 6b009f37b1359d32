// ANCHOR: end
//! Three questions to a loop: why do you not end, who is hogging you, and what will happen in an hour?

use std::{thread, time::Duration};

use nio_loop::{Clock, Error, EventLoop};

fn main() -> Result<(), Error> {
    why_does_it_not_end()?;
    which_callback_is_slow()?;
    what_happens_in_an_hour()
}

fn why_does_it_not_end() -> Result<(), Error> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    handle.set_timeout(Duration::from_secs(600), |_| println!("at last"));
    handle.set_immediate(|handle| {
        println!("{}", handle.report());
        handle.stop();
    });
    event_loop.run()?;
    Ok(())
}
// ANCHOR_END: end

// ANCHOR: slow
fn which_callback_is_slow() -> Result<(), Error> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    handle.on_warning(Duration::from_millis(50), |_, warning| {
        println!("{warning}")
    });
    handle.set_timeout(Duration::ZERO, |_| thread::sleep(Duration::from_millis(60)));
    event_loop.run()?;
    Ok(())
}
// ANCHOR_END: slow

// ANCHOR: hour
fn what_happens_in_an_hour() -> Result<(), Error> {
    let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
    let handle = event_loop.handle();
    let begin = handle.now();
    let minutes = handle.set_interval(Duration::from_secs(60), |_, _| {});
    handle.set_timeout(Duration::from_secs(3600), move |handle| {
        println!("{:?} have passed", handle.now() - begin);
        handle.clear(minutes);
    });
    event_loop.run()?;
    println!("{} timers have run", handle.metrics().timers);
    Ok(())
}
// ANCHOR_END: hour
