//! The order of things in a turn of the loop: which phase runs what, and what runs in between.
//!
//! ```text
//! cargo run --example phases
//! ```
//!
//! It prints the phase of each callback, and indented what runs between two of them:
//!
//! ```text
//! poll     an event of I/O
//!            tick
//!            task
//! check    an immediate
//! ```
//!
//! `phases.js` is the same program for NodeJS, and prints the same.

use std::{
    cell::Cell, error::Error, io::Write, os::unix::net::UnixStream, rc::Rc, thread, time::Duration,
};

use nio_examples::println;
use nio_loop::{EventLoop, Handle, Interest};

/// Says in which phase it runs, and leaves a task and a tick behind. The tick runs first, although
/// the task was there before it.
fn callback(handle: &Handle, phase: &str, what: &str) {
    println!("{phase:<8} {what}");
    handle.spawn(async { println!("           task") });
    handle.next_tick(|_| println!("           tick"));
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();

    // A connection on which something has arrived: the loop finds it in its first poll.
    let (ours, mut theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.write_all(b"hello")?;

    // A callback that is to clear itself finds its own id in a cell, where it is put below.
    let watch = Rc::new(Cell::new(None));
    let own = Rc::clone(&watch);
    let id = handle.watch(
        ours,
        Interest::READABLE,
        move |handle, _connection, _event| {
            on_io(handle);
            if let Some(id) = own.get() {
                handle.close(id, |handle| {
                    callback(handle, "closing", "what was closed is gone");
                });
            }
        },
    )?;
    watch.set(Some(id));

    callback(&handle, "main", "the program itself");
    event_loop.run()?;
    Ok(())
}

/// Sets one thing for each phase. They do not run in the order in which they stand here.
fn on_io(handle: &Handle) {
    callback(handle, "poll", "an event of I/O");

    // Due at once, and yet not before the next turn, which begins with the timers.
    handle.set_timeout(Duration::ZERO, |handle| {
        callback(handle, "timers", "timeout 1");
        handle.set_immediate(|handle| callback(handle, "check", "an immediate of timeout 1"));
    });
    handle.set_timeout(Duration::ZERO, |handle| {
        callback(handle, "timers", "timeout 2")
    });

    // After the I/O of this turn; what it sets itself runs in the next one.
    handle.set_immediate(|handle| {
        callback(handle, "check", "an immediate");
        handle.set_immediate(|handle| callback(handle, "check", "an immediate of an immediate"));
    });

    // The loop finds what other threads post when it polls the next time. This one has ended by
    // then, so that the order does not depend on who is faster.
    let remote = handle.remote();
    let thread = thread::spawn(move || {
        // It fails only when the loop is gone, and gives the closure back.
        let _ = remote.post(|handle| callback(handle, "poll", "a message"));
    });
    thread.join().expect("posting does not panic");
}
