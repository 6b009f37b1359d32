//! Work in pieces, with an immediate for each: the other callbacks have their turns between them.

use std::{cell::Cell, rc::Rc, time::Duration};

use nio_loop::{Error, EventLoop, Handle};

fn main() -> Result<(), Error> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let ticks = Rc::new(Cell::new(0_u32));
    let count = Rc::clone(&ticks);
    let interval = handle.set_interval(Duration::from_nanos(1), move |_, _| {
        count.set(count.get() + 1)
    });
    handle.unref(interval); // the work alone keeps the loop alive
    handle.set_immediate(|handle| sum(handle, 0, 0));
    event_loop.run()?;
    if ticks.get() > 0 {
        println!("the interval ran");
    }
    Ok(())
}

fn sum(handle: &Handle, from: u64, so_far: u64) {
    let so_far = so_far + (from..from + 10_000).sum::<u64>();
    match from + 10_000 {
        1_000_000 => println!("{so_far}"),
        next => drop(handle.set_immediate(move |handle| sum(handle, next, so_far))),
    }
}
