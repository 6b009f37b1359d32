//! Posting closures to a loop from another thread.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use nio_loop::{Error, EventLoop};

fn main() -> Result<(), Error> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    // Posts alone do not keep a loop alive.
    let _alive = handle.set_interval(Duration::from_secs(60), |_, _| {});
    let remote = handle.remote();
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let poster = thread::spawn(move || {
        for number in 1..=1_000 {
            let count = Arc::clone(&counted);
            let posted = remote.post(move |handle| {
                count.fetch_add(1, Ordering::Relaxed);
                if number == 1_000 {
                    handle.stop();
                }
            });
            assert!(posted.is_ok());
        }
    });
    event_loop.run()?;
    poster.join().expect("no panic");
    println!("{}", count.load(Ordering::Relaxed));
    Ok(())
}
