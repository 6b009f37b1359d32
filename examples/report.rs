//! Why does my program not end? A loop runs until nothing keeps it alive, and tells what does:
//! what kind of thing, since when, and in which line of the source it came from.
//!
//! ```text
//! cargo run --example report
//! ```
//!
//! The program has finished its work and should end, but has forgotten three things. A second later,
//! or on Ctrl-C, it prints what the loop waits for, clears that, and ends. What keeps nothing alive
//! is in the table too, and may stay.

use std::{error::Error, future::pending, os::unix::net::UnixStream, rc::Rc, time::Duration};

use nio_examples::println;
use nio_loop::{EventLoop, Handle, Interest, JoinHandle, Signal};

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();

    let task = forget(&handle)?;
    help(&handle, task)?;

    println!("the work is done, and this should be the end");
    event_loop.run()?;
    println!(
        "\nnow it is; what is left keeps nothing alive:\n{}",
        handle.report()
    );
    Ok(())
}

/// What keeps a program from its end: an interval that nobody clears, a connection on which nothing
/// comes, a task whose answer never does.
fn forget(handle: &Handle) -> Result<JoinHandle<()>, Box<dyn Error>> {
    handle.set_interval(Duration::from_secs(30), |_, _| println!("still there?"));

    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    handle.watch(ours, Interest::READABLE, move |_, _, _| {
        // The other end belongs to this closure, so it is open as long as we wait for it.
        let _ = &theirs;
    })?;

    Ok(handle.spawn(pending()))
}

/// Explains what was forgotten and clears it, a second later or on Ctrl-C, whichever comes first.
/// Waiting for either is no reason to stay alive: of a signal it never is, and the timeout is unreferenced.
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

/// Says what keeps the program from its end, and ends that: callbacks by the ids in the report, tasks
/// by their own handles.
fn explain(handle: &Handle, task: &JoinHandle<()>) {
    let report = handle.report();
    println!(
        "\nnot at an end, because of {} things:\n{report}",
        report.referenced()
    );
    let referenced = report.entries.iter().filter(|entry| entry.referenced);
    for id in referenced.filter_map(|entry| entry.id) {
        handle.clear(id);
    }
    task.abort();
}
