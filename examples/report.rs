//! Why does my program not end? A loop runs until nothing keeps it alive. Its report lists each thing
//! that does: its kind, its age, and the line of the source that made it.
//!
//! ```text
//! cargo run --example report
//! ```
//!
//! The program has finished its work, but three things still keep its loop alive. A second later, or on
//! Ctrl-C, it prints the report, clears these three, and ends. Things that do not keep the loop alive
//! are in the table too, and may stay.

use std::{error::Error, future::pending, os::unix::net::UnixStream, rc::Rc, time::Duration};

use nio_examples::println;
use nio_loop::{EventLoop, Handle, Interest, JoinHandle, Signal};

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();

    let task = forget(&handle)?;
    help(&handle, task)?;

    println!("the work is done, and the program should end");
    event_loop.run()?;
    println!(
        "\nthe loop has ended; these do not keep it alive:\n{}",
        handle.report()
    );
    Ok(())
}

/// Makes three things that keep the loop alive: an interval that is never cleared, a connection on
/// which nothing arrives, and a task that never ends.
fn forget(handle: &Handle) -> Result<JoinHandle<()>, Box<dyn Error>> {
    handle.set_interval(Duration::from_secs(30), |_, _| println!("still there?"));

    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    handle.watch(ours, Interest::READABLE, move |_, _, _| {
        // The closure owns the other end, which stays open for as long as the watch.
        let _ = &theirs;
    })?;

    Ok(handle.spawn(pending()))
}

/// Calls [`explain`] after a second or on Ctrl-C, whichever comes first. Neither keeps the loop alive:
/// a signal never does, and the timeout is unref'd.
fn help(handle: &Handle, task: JoinHandle<()>) -> Result<(), nio_loop::Error> {
    let task = Rc::new(task);
    let timeout = handle.set_timeout(Duration::from_secs(1), {
        let task = Rc::clone(&task);
        move |handle| explain(handle, &task)
    });
    handle.on_signal(Signal::INTERRUPT, move |handle, _| {
        handle.clear(timeout);
        explain(handle, &task);
    })?;
    handle.unref(timeout);
    Ok(())
}

/// Prints the report, and ends each thing that keeps the loop alive: callbacks by their ids in the
/// report, the task by its own handle.
fn explain(handle: &Handle, task: &JoinHandle<()>) {
    let report = handle.report();
    println!("\nkept alive by {} things:\n{report}", report.referenced());
    let referenced = report.entries.iter().filter(|entry| entry.referenced);
    for id in referenced.filter_map(|entry| entry.id) {
        handle.clear(id);
    }
    task.abort();
}
