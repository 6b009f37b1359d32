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
use nio_loop::{CallbackId, EventLoop, Handle, Interest, JoinHandle, Signal};

/// What was forgotten. In a program that is stuck nobody has this list, but the report says where to
/// look for it.
struct Forgotten {
    callbacks: Vec<CallbackId>,
    task: JoinHandle<()>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle().clone();

    let forgotten = forget(&handle)?;
    help(&handle, forgotten)?;

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
fn forget(handle: &Handle) -> Result<Forgotten, Box<dyn Error>> {
    let interval = handle.set_interval(Duration::from_secs(30), |_, _| println!("still there?"));

    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let watch = handle.watch(ours, Interest::READABLE, move |_, _, _| {
        // The other end belongs to this closure, so it is open as long as we wait for it.
        let _ = &theirs;
    })?;

    let task = handle.spawn(pending());
    let callbacks = vec![interval, watch];
    Ok(Forgotten { callbacks, task })
}

/// Explains what was forgotten and clears it, a second later or on Ctrl-C, whichever comes first.
/// Waiting for either is no reason to stay alive, so both are unreferenced.
fn help(handle: &Handle, forgotten: Forgotten) -> Result<(), nio_loop::Error> {
    let forgotten = Rc::new(forgotten);
    let timeout = handle.set_timeout(Duration::from_secs(1), {
        let forgotten = Rc::clone(&forgotten);
        move |handle| explain(handle, &forgotten)
    });
    let signal = handle.on_signal(Signal::INTERRUPT, move |handle, _| {
        handle.clear(timeout);
        explain(handle, &forgotten);
    })?;
    handle.unref(timeout);
    handle.unref(signal);
    Ok(())
}

fn explain(handle: &Handle, forgotten: &Forgotten) {
    let report = handle.report();
    println!(
        "\nnot at an end, because of {} things:\n{report}",
        report.referenced()
    );
    for &id in &forgotten.callbacks {
        handle.clear(id);
    }
    forgotten.task.abort();
}
