//! The order of a turn of the loop: which callbacks each phase runs, and what runs between two callbacks.
//!
//! ```text
//! cargo run --example phases
//! ```
//!
//! It prints the phase of each callback, and indented the ticks and tasks that run between two of them:
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

/// Prints its phase, and schedules a task and a tick. The tick runs first, although the task was
/// scheduled before it.
fn callback(handle: &Handle, phase: &str, text: &str) {
    println!("{phase:<8} {text}");
    handle.spawn(async { println!("           task") });
    handle.next_tick(|_| println!("           tick"));
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();

    // A connection that has data to read: the first poll of the loop reports it.
    let (ours, mut theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.write_all(b"hello")?;

    // The callback closes its own watch, whose id exists only after the call: a cell passes it on.
    let watch = Rc::new(Cell::new(None));
    let own = Rc::clone(&watch);
    let id = handle.watch(
        ours,
        Interest::READABLE,
        move |handle, _connection, _event| {
            on_io(handle);
            if let Some(id) = own.get() {
                handle.close(id, |handle| {
                    callback(handle, "closing", "the connection is closed");
                });
            }
        },
    )?;
    watch.set(Some(id));

    callback(&handle, "main", "the program itself");
    event_loop.run()?;
    Ok(())
}

/// Schedules one callback for each phase. They do not run in the order of these lines.
fn on_io(handle: &Handle) {
    callback(handle, "poll", "an event of I/O");

    // Due at once, but the timers run at the start of the next turn.
    handle.set_timeout(Duration::ZERO, |handle| {
        callback(handle, "timers", "timeout 1");
        handle.set_immediate(|handle| callback(handle, "check", "an immediate of timeout 1"));
    });
    handle.set_timeout(Duration::ZERO, |handle| {
        callback(handle, "timers", "timeout 2")
    });

    // Runs after the I/O of this turn; an immediate that it sets runs in the next turn.
    handle.set_immediate(|handle| {
        callback(handle, "check", "an immediate");
        handle.set_immediate(|handle| callback(handle, "check", "an immediate of an immediate"));
    });

    // The loop gets posted closures in its next poll. The thread is joined before that, so that the
    // order is the same in each run.
    let remote = handle.remote();
    let thread = thread::spawn(move || {
        // Fails only if the loop is gone, and returns the closure then.
        let _ = remote.post(|handle| callback(handle, "poll", "a message"));
    });
    thread.join().expect("posting does not panic");
}
