//! Wakers, exhaustively: every short program of wakes and polls, and on Linux every interleaving of
//! one with a wait.
//!
//! [`Model`] says the rules: a wake-up stays until a poll reports it, is reported once
//! however often it was made before that, and is never made up.

mod support;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nio_poll::{Events, Poll, Token, Waker};
use support::*;

/// One step of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Wake, by the waker of this number.
    Wake(usize),
    /// Poll without waiting, with room for so many events.
    Poll(usize),
    /// Drop the waker of this number and make another.
    Replace(usize),
}

const STEPS: [Step; 6] = [
    Step::Wake(0),
    Step::Wake(1),
    Step::Poll(1),
    Step::Poll(4),
    Step::Replace(0),
    Step::Replace(1),
];

/// All programs of at most `length` steps.
fn programs(length: usize) -> Vec<Vec<Step>> {
    let mut programs = vec![Vec::new()];
    let mut longest = programs.clone();
    for _ in 0..length {
        let longer = |program: &Vec<Step>| {
            let program = program.clone();
            STEPS.map(|step| [&program[..], &[step]].concat())
        };
        longest = longest.iter().flat_map(longer).collect();
        programs.extend_from_slice(&longest);
    }
    programs
}

/// A poll with two wakers, and which of them have been used since they were reported.
struct Model {
    poll: Rc<Poll>,
    wakers: Vec<Waker>,
    pending: BTreeSet<usize>,
    /// Another thread's wait is about to report what is pending, so a poll may find less.
    another_has_looked: bool,
}

impl Model {
    fn new() -> Model {
        let poll = Rc::new(Poll::new().unwrap());
        let wakers = [0, 1].map(|token| Waker::new(&poll, Token(token)).unwrap());
        Model {
            poll,
            wakers: Vec::from(wakers),
            pending: BTreeSet::new(),
            another_has_looked: false,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wake(which) => {
                self.wakers[which].wake().unwrap();
                self.pending.insert(which);
            }
            Step::Poll(room) => {
                let mut events = Events::with_capacity(room);
                let count = self.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
                let expected = self.pending.len().min(room);
                assert!(count == expected || count < expected && self.another_has_looked);
                self.report(&events);
            }
            Step::Replace(which) => {
                self.wakers[which] = Waker::new(&self.poll, Token(which)).unwrap();
                self.pending.remove(&which);
            }
        }
    }

    /// Every event that a poll reports has happened and was not reported before.
    fn report(&mut self, events: &Events) {
        for event in events.iter() {
            assert!(event.is_readable());
            assert!(self.pending.remove(&event.token().0), "{event:?}");
        }
    }

    /// Nothing is lost: a poll that may wait does not have to.
    fn finish(&mut self) {
        let mut events = Events::with_capacity(4);
        while !self.pending.is_empty() {
            assert!(self.poll.poll(&mut events, Some(LIMIT)).unwrap() > 0);
            self.report(&events);
        }
        self.step(Step::Poll(4));
    }
}

#[test]
fn every_program_of_wakes_and_polls_loses_none_and_makes_up_none() {
    for program in programs(5) {
        let mut model = Model::new();
        for &step in &program {
            model.step(step);
        }
        model.finish();
    }
}

#[test]
fn what_was_written_before_the_last_wake_is_seen_after_the_last_event() {
    const LAST: usize = 20_000;
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    let written = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for value in 1..=LAST {
                // Nothing but the wake orders these.
                written.store(value, Ordering::Relaxed);
                waker.wake().unwrap();
            }
        });
        // If a wake-up were lost, or the value before it, no event would follow the last value.
        while written.load(Ordering::Relaxed) < LAST {
            one(&poll);
        }
    });
}

/// A wait that holds no lock asks the kernel. So all that other threads do meanwhile
/// is as if they did it at one of two points: before the kernel looks, or after it has looked and
/// before the queue does. A definition of epoll_wait(2) in this program, which comes before that of the
/// C library, stops there.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod interleavings {
    use std::cell::RefCell;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Point {
        BeforeTheKernelLooks,
        BeforeTheQueueLooks,
    }

    type Others = Box<dyn FnMut(Point)>;

    thread_local! {
        /// The steps of the others when a wait of this thread stops.
        static OTHERS: RefCell<Option<Others>> = const { RefCell::new(None) };
    }

    fn stop(point: Point) {
        // Taken out while it runs: the others' own polls do not stop.
        if let Some(mut others) = OTHERS.take() {
            others(point);
            OTHERS.set(Some(others));
        }
    }

    /// epoll_wait(2) with stops, and with a limit.
    ///
    /// # Safety
    ///
    /// As of the system call.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn epoll_wait(
        set: libc::c_int,
        events: *mut libc::epoll_event,
        room: libc::c_int,
        timeout: libc::c_int,
    ) -> libc::c_int {
        stop(Point::BeforeTheKernelLooks);
        let limit = match timeout {
            -1 => LIMIT.as_millis() as libc::c_int,
            timeout => timeout,
        };
        let mask = std::ptr::null::<libc::sigset_t>();
        // SAFETY: the arguments are the caller's; a null mask is ignored together with its size.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait,
                set,
                events,
                room,
                limit,
                mask,
                8_usize,
            )
        };
        if timeout == -1 && count == 0 {
            eprintln!("a wait without a limit has found nothing: a wake-up was lost");
            std::process::abort();
        }
        stop(Point::BeforeTheQueueLooks);
        count as libc::c_int
    }

    /// A wait with this much room, while others do `before` at the first point and `after` at the
    /// second. If they leave nothing for it, they end it by a wake-up.
    fn wait(
        model: &Rc<RefCell<Model>>,
        room: usize,
        timeout: Option<Duration>,
        before: &[Step],
        after: &[Step],
    ) {
        let stops = Rc::new(RefCell::new(Vec::new()));
        let others = {
            let (model, stops) = (Rc::clone(model), Rc::clone(&stops));
            let (before, after) = (before.to_vec(), after.to_vec());
            move |point| {
                let mut model = model.borrow_mut();
                model.another_has_looked = point == Point::BeforeTheQueueLooks;
                let steps = match stops.borrow().len() {
                    0 => &before[..],
                    1 => &after[..],
                    _ => &[],
                };
                steps.iter().for_each(|step| model.step(*step));
                stops.borrow_mut().push(point);
                let stuck = timeout.is_none() && model.pending.is_empty();
                if stuck && point == Point::BeforeTheKernelLooks {
                    model.step(Step::Wake(1));
                }
            }
        };
        let poll = Rc::clone(&model.borrow().poll);
        let mut events = Events::with_capacity(room);
        OTHERS.set(Some(Box::new(others)));
        let count = poll.poll(&mut events, timeout).unwrap();
        OTHERS.set(None);
        assert!(count > 0 || timeout.is_some());
        assert!(stops.borrow().len() >= 2, "it waits by another call now");
        let mut model = model.borrow_mut();
        model.another_has_looked = false;
        model.report(&events);
    }

    #[test]
    fn k89_every_interleaving_of_wakes_and_polls_with_a_wait_loses_none() {
        let (one, two) = (programs(1), programs(2));
        for (room, timeout) in [
            (1, None),
            (4, None),
            (1, Some(Duration::ZERO)),
            (4, Some(Duration::ZERO)),
        ] {
            for first in &one {
                for before in &one {
                    for after in &two {
                        let model = Rc::new(RefCell::new(Model::new()));
                        for &step in first {
                            model.borrow_mut().step(step);
                        }
                        wait(&model, room, timeout, before, after);
                        model.borrow_mut().finish();
                    }
                }
            }
        }
    }
}
