// ANCHOR: head
//! Four pieces of work that block, and an interval that wants to run. `in-the-loop` is wrong.

use std::{
    cell::Cell,
    env,
    rc::Rc,
    sync::{
        Arc, Mutex,
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use nio_loop::{Error, EventLoop, Handle};

/// Stands for a slow disk, a name server far away, or a password that is checked.
fn blocking_work(number: u32) -> u32 {
    thread::sleep(Duration::from_millis(100));
    number * number
}
// ANCHOR_END: head

// ANCHOR: pool
type Job = Box<dyn FnOnce() + Send>;

/// Threads that take jobs from one queue, until the sender of the jobs is gone.
fn start_pool(threads: usize) -> Sender<Job> {
    let (sender, jobs) = channel::<Job>();
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..threads {
        let jobs = Arc::clone(&jobs);
        thread::spawn(move || {
            loop {
                let job = jobs.lock().expect("no job panics with the lock").recv();
                match job {
                    Ok(job) => job(),
                    Err(_) => return,
                }
            }
        });
    }
    sender
}
// ANCHOR_END: pool

// ANCHOR: main
fn main() -> Result<(), Error> {
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let ticks = Rc::new(Cell::new(0));
    let ticking = Rc::clone(&ticks);
    handle.set_interval(Duration::from_millis(10), move |_, _| {
        ticking.set(ticking.get() + 1)
    });
    if env::args().nth(1).as_deref() == Some("in-the-loop") {
        handle.set_immediate(|handle| {
            (1..=4).for_each(|number| println!("{number} -> {}", blocking_work(number)));
            handle.stop();
        });
    } else {
        in_a_pool(&handle);
    }
    event_loop.run()?;
    let has_run = ticks.get() > 0;
    println!("the interval ran meanwhile: {has_run}");
    Ok(())
}

fn in_a_pool(handle: &Handle) {
    let pool = start_pool(2);
    for number in 1..=4 {
        let remote = handle.remote();
        let job = move || {
            let answer = blocking_work(number); // on a thread of the pool
            let _ = remote.post(move |handle| answered(handle, number, answer));
        };
        pool.send(Box::new(job)).expect("the pool is there");
    }
}

thread_local! {
    static ANSWERS: Cell<Vec<(u32, u32)>> = const { Cell::new(Vec::new()) };
}

/// On the loop's thread again.
fn answered(handle: &Handle, number: u32, answer: u32) {
    let mut answers = ANSWERS.take();
    answers.push((number, answer));
    if answers.len() == 4 {
        answers.sort();
        answers
            .iter()
            .for_each(|(number, answer)| println!("{number} -> {answer}"));
        handle.stop();
    }
    ANSWERS.set(answers);
}
// ANCHOR_END: main
