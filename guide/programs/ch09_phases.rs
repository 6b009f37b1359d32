// ANCHOR: order
//! In which order callbacks run. With `ticks` or `immediates`: what a callback that goes on without end stops.

use std::{cell::Cell, env, process, rc::Rc, time::Duration};

use nio_loop::{Error, EventLoop, Handle};

fn main() -> Result<(), Error> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    handle.on_warning(Duration::MAX, |_, warning| println!("warning: {warning}"));
    match env::args().nth(1).as_deref() {
        Some(way) => go_on_without_end(&handle, way == "ticks"),
        None => drop(handle.set_timeout(Duration::ZERO, show_the_order)),
    }
    event_loop.run()?;
    Ok(())
}

fn show_the_order(handle: &Handle) {
    handle.set_timeout(Duration::ZERO, |_| println!("timeout"));
    handle.set_immediate(|_| println!("immediate"));
    let own = handle.clone();
    handle.spawn(async move {
        println!("task");
        own.next_tick(|_| println!("tick of the task"));
    });
    handle.next_tick(|_| println!("tick"));
    println!("callback");
}
// ANCHOR_END: order

// ANCHOR: without_end
/// Counts until a timeout, which is due now, ends the program.
fn go_on_without_end(handle: &Handle, in_ticks: bool) {
    let count = Rc::new(Cell::new(0_u32));
    let counted = Rc::clone(&count);
    handle.set_timeout(Duration::ZERO, move |_| {
        println!("the timeout had to wait for {} callbacks", counted.get());
        process::exit(0); // `handle.stop()` would first end this turn, with more ticks
    });
    again(handle, count, in_ticks);
}

fn again(handle: &Handle, count: Rc<Cell<u32>>, in_ticks: bool) {
    count.set(count.get() + 1);
    let callback = move |handle: &Handle| again(handle, count, in_ticks);
    if in_ticks {
        handle.next_tick(callback);
    } else {
        handle.set_immediate(callback);
    }
}
// ANCHOR_END: without_end
