//! A nio loop inside another loop of the plainest make: `poll(2)`, which also watches the keyboard.
//! So nio lives in a program whose own loop has to be the outer one, such as that of a graphical
//! interface.
//!
//! ```text
//! cargo run --example embed
//! ```
//!
//! It prints why the outer loop has woken, and what nio does then. What is typed, the outer loop
//! gives to nio, which gives it back half a second later. When nio has nothing left to do, the
//! program ends.
//!
//! All that one loop has to know of the other is a descriptor that is readable when there is
//! something to do, a deadline, and a function that does it without waiting.

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
    // A descriptor of its own: what `io::stdin` has read ahead, poll(2) would not know of.
    let mut keyboard = Some(File::from(io::stdin().as_fd().try_clone_to_owned()?));

    // The order matters: nio's turn, the question when it wants the next one, the wait. What nio is
    // given between the question and the end of the wait makes its descriptor readable, whoever
    // gives it. So nothing is slept through.
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

/// Gives nio something to do, of which the outer loop knows nothing: a task, and a thread.
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
        // It fails only when nio is gone, and gives the closure back.
        let _ = remote.post(|_| println!("nio    a message of another thread"));
    });
}

/// Reads what there is, and gives it to nio. Returns how much it was: nothing at the end.
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

/// The outer loop's way of waiting: poll(2), the only line of this program that is not nio's or the
/// standard library's.
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
            // poll(2) passes over what is negative.
            fd: descriptor.map_or(-1, |descriptor| descriptor.as_raw_fd()),
            events: libc::POLLIN,
            revents: 0,
        });
        // Rounded up: woken a fraction of a millisecond early, the loop would spin until it is over.
        let milliseconds = timeout.map_or(-1, |timeout| {
            let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
            i32::try_from(milliseconds).unwrap_or(i32::MAX)
        });
        // SAFETY: the pointer and the count are of one array, which lives until after the call.
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
            // A signal came. What was polled is untouched, and to come back too early does no harm.
        }
        // An error or a hang-up is also something to be read.
        Ok(polled.map(|polled| polled.revents != 0))
    }
}

/// On macOS, poll(2) cannot watch a kqueue, and nio's descriptor is one. A kqueue can.
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
        // What cannot be watched, such as some devices, is reported too, and can be read at once.
        for event in events.iter() {
            ready[event.udata()] = true;
        }
        Ok(ready)
    }
}
