//! A day of virtual time.

use std::time::Duration;

use nio_loop::{Clock, Error, EventLoop};

fn main() -> Result<(), Error> {
    let mut event_loop = EventLoop::with_clock(Clock::automatic())?;
    let handle = event_loop.handle();
    let begin = handle.now();
    let nights = event_loop.block_on(async {
        let mut nights = 0;
        for _ in 0..3 {
            handle.sleep(Duration::from_secs(8 * 3600)).await;
            nights += 1;
        }
        nights
    })?;
    let hours = (handle.now() - begin).as_secs() / 3600;
    println!("{nights} nights, {hours} hours");
    Ok(())
}
