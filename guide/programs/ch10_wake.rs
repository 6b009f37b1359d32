// ANCHOR: head
//! A thread hands 1,000 numbers to a loop, and wakes it. The last one comes at the worst moment.

use std::{
    env,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use nio_guide::apply;
use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

/// What both threads know.
struct Mailbox {
    numbers: Mutex<Vec<usize>>,
    is_asleep: AtomicBool,
    waker: UnixStream,
    worst_moment: Barrier, // for the experiment: both threads meet there
}
// ANCHOR_END: head

// ANCHOR: post
impl Mailbox {
    /// Step one: put the number there. Step two: wake the loop, if it sleeps.
    fn post(&self, number: usize) -> io::Result<()> {
        self.numbers.lock().expect("no panic").push(number);
        if self.is_asleep.swap(false, Ordering::SeqCst) {
            (&self.waker).write_all(b"!")?;
        }
        Ok(())
    }

    fn take(&self) -> Vec<usize> {
        std::mem::take(&mut *self.numbers.lock().expect("no panic"))
    }
}

const LAST: usize = 1_000;

fn post_all(mailbox: &Mailbox) -> io::Result<()> {
    (1..LAST).try_for_each(|number| mailbox.post(number))?;
    mailbox.worst_moment.wait();
    mailbox.post(LAST)?;
    mailbox.worst_moment.wait();
    Ok(())
}
// ANCHOR_END: post

// ANCHOR: run
/// Takes numbers until it has them all. Gives up when nothing has woken it for a second.
fn run(mailbox: &Mailbox, mut wakes: UnixStream, looks_again: bool) -> io::Result<(usize, usize)> {
    let queue = Kqueue::new()?;
    let mut events = EventList::with_capacity(8);
    apply(&queue, &[Kevent::read(&wakes, EventFlags::ADD)])?;
    let (mut taken, mut wake_ups) = (0, 0);
    while taken < LAST {
        let new = mailbox.take().len(); // look
        taken += new;
        if new > 0 {
            continue;
        }
        if taken == LAST - 1 {
            mailbox.worst_moment.wait();
            mailbox.worst_moment.wait(); // now the last one is there
        }
        mailbox.is_asleep.store(true, Ordering::SeqCst); // say so
        // `look-once` forgets it before the last number only; each number could be lost.
        if looks_again || taken < LAST - 1 {
            let new = mailbox.take().len(); // look again
            if new > 0 {
                taken += new;
                if !mailbox.is_asleep.swap(false, Ordering::SeqCst) {
                    wakes.read_exact(&mut [0])?; // a post took the flag down: its byte comes
                }
                continue;
            }
        }
        match queue.wait(&mut events, Some(Duration::from_secs(1)))? {
            0 => break, // nothing has woken us
            _ => drop(wakes.read(&mut [0; 64])?),
        }
        wake_ups += 1;
    }
    Ok((taken, wake_ups))
}
// ANCHOR_END: run

// ANCHOR: main
fn main() -> io::Result<()> {
    let looks_again = env::args().nth(1).as_deref() != Some("look-once");
    let (waker, wakes) = UnixStream::pair()?;
    let mailbox = Arc::new(Mailbox {
        numbers: Mutex::new(Vec::new()),
        is_asleep: AtomicBool::new(false),
        waker,
        worst_moment: Barrier::new(2),
    });
    let own = Arc::clone(&mailbox);
    let poster = thread::spawn(move || post_all(&own));
    let (taken, wake_ups) = run(&mailbox, wakes, looks_again)?;
    poster.join().expect("no panic")?;
    println!("{taken} of {LAST} numbers, with {wake_ups} wake-ups");
    Ok(())
}
// ANCHOR_END: main
