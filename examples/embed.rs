//! A nio loop inside another loop, for programs whose own loop has to be the outer one, as that of a
//! graphical interface. Here the outer loop is poll(2), which also watches the keyboard.
//!
//! ```text
//! cargo run --example embed
//! ```
//!
//! It prints why the outer loop wakes up and what nio does then. The outer loop passes each typed line
//! to nio, which prints it half a second later. The program ends when nio has nothing left to do.
//!
//! The outer loop needs three things of the inner one: a descriptor that is readable when there is
//! work, the next deadline, and a function that runs one turn without waiting.

use std::{
    error::Error,
    fs::File,
    io::{self, Read},
    os::fd::AsFd,
    thread,
    time::Duration,
};

use nio_examples::println;
use nio_loop::{EventLoop, Handle};

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    start(&handle);
    // Not `io::stdin`, which reads ahead into a buffer that poll(2) does not see.
    let mut keyboard = Some(File::from(io::stdin().as_fd().try_clone_to_owned()?));

    // The order matters: a turn of nio, then its next deadline, then the wait. Work that reaches nio
    // after that, from any thread, makes its descriptor readable, so no wake-up is lost.
    while event_loop.run_nowait()? {
        let deadline = event_loop.next_deadline();
        let timeout = deadline.map(|deadline| deadline - handle.now());
        let typing = keyboard.as_ref().map(File::as_fd);
        match outer::wait([Some(event_loop.as_fd()), typing], timeout)? {
            [false, false] => println!("outer  the deadline has come"),
            [true, false] => println!("outer  the descriptor of nio is readable"),
            [_, true] => {
                println!("outer  there is something to read");
                let ended = match &mut keyboard {
                    Some(keyboard) => read(keyboard, &handle)? == 0,
                    None => true,
                };
                if ended {
                    keyboard = None;
                }
            }
        }
    }
    println!("outer  nio has nothing left to do");
    Ok(())
}

/// Gives nio work that the outer loop does not know of: a task, and a message from a thread.
fn start(handle: &Handle) {
    let mut interval = handle.interval(Duration::from_millis(200));
    handle.spawn(async move {
        for left in (0..5).rev() {
            interval.tick().await;
            println!("nio    tick, {left} left");
        }
    });
    let remote = handle.remote();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        // Fails only if the loop is gone, and returns the closure then.
        let _ = remote.post(|_| println!("nio    a message from another thread"));
    });
}

/// Reads the typed lines and passes them to nio. Returns the number of bytes, 0 at the end of the input.
fn read(keyboard: &mut File, handle: &Handle) -> io::Result<usize> {
    let mut bytes = [0; 4096];
    let count = keyboard.read(&mut bytes)?;
    for line in String::from_utf8_lossy(&bytes[..count]).lines() {
        let line = line.to_owned();
        handle.set_timeout(Duration::from_millis(500), move |_| {
            println!("nio    half a second ago: {line}");
        });
    }
    Ok(count)
}

/// How the outer loop waits: poll(2).
#[cfg(not(target_vendor = "apple"))]
mod outer {
    use std::{
        io,
        os::fd::{AsRawFd, BorrowedFd},
        time::Duration,
    };

    /// Waits until one of the descriptors is readable, for so long at most. Returns which are.
    pub(crate) fn wait(
        descriptors: [Option<BorrowedFd<'_>>; 2],
        timeout: Option<Duration>,
    ) -> io::Result<[bool; 2]> {
        let mut polled = descriptors.map(|descriptor| libc::pollfd {
            // poll(2) ignores a negative descriptor.
            fd: descriptor.map_or(-1, |descriptor| descriptor.as_raw_fd()),
            events: libc::POLLIN,
            revents: 0,
        });
        // Rounded up: after a wait that is too short, the loop would spin until the deadline.
        let milliseconds = timeout.map_or(-1, |timeout| {
            let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
            i32::try_from(milliseconds).unwrap_or(i32::MAX)
        });
        // SAFETY: the pointer and the count are of one array, which lives until the call returns.
        let count = unsafe {
            libc::poll(
                polled.as_mut_ptr(),
                polled.len() as libc::nfds_t,
                milliseconds,
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
            // Interrupted by a signal: `revents` is still 0, and an early return is harmless.
        }
        // POLLERR and POLLHUP count as readable: reading returns the error or the end.
        Ok(polled.map(|polled| polled.revents != 0))
    }
}

/// How the outer loop waits on macOS: poll(2) cannot watch nio's descriptor there, which is a kqueue;
/// another kqueue can.
#[cfg(target_vendor = "apple")]
mod outer {
    use std::{io, os::fd::BorrowedFd, time::Duration};

    use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

    /// Waits until one of the descriptors is readable, for so long at most. Returns which are.
    pub(crate) fn wait(
        descriptors: [Option<BorrowedFd<'_>>; 2],
        timeout: Option<Duration>,
    ) -> io::Result<[bool; 2]> {
        let queue = Kqueue::new()?;
        let mut changes = Vec::new();
        for (number, descriptor) in descriptors.iter().enumerate() {
            if let Some(descriptor) = descriptor {
                changes.push(Kevent::read(descriptor, EventFlags::ADD).with_udata(number));
            }
        }
        let mut events = EventList::with_capacity(descriptors.len());
        queue.kevent(&changes, &mut events, timeout)?;
        let mut ready = [false; 2];
        // A descriptor that kqueue refuses (some devices) has an error event, and can be read at once.
        for event in events.iter() {
            ready[event.udata()] = true;
        }
        Ok(ready)
    }
}
