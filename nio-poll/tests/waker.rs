//! Wakers, exhaustively: every short program of wakes and polls, and on Linux every interleaving of
//! one with a wait.
//!
//! [`Model`] has the rules: a wake-up is pending until a poll reports it, several pending wake-ups are
//! one event, and there is no event without a wake-up.

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
    /// Poll without waiting, with room for this many events.
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

/// A poll with two wakers, and which of them have a wake-up that was not reported.
struct Model {
    poll: Rc<Poll>,
    wakers: Vec<Waker>,
    pending: BTreeSet<usize>,
    /// Another thread's wait is about to report pending wake-ups, so a poll may find fewer.
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

    /// Checks that every event is of a wake-up that was not reported before.
    fn report(&mut self, events: &Events) {
        for event in events.iter() {
            assert!(event.is_readable());
            assert!(self.pending.remove(&event.token().0), "{event:?}");
        }
    }

    /// Checks that no wake-up is lost: a poll that may wait returns it.
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
fn every_program_of_wakes_and_polls_reports_each_wake_up_and_no_other() {
    for program in programs(5) {
        let mut model = Model::new();
        for &step in &program {
            model.step(step);
        }
        model.finish();
    }
}

#[test]
fn writes_before_the_last_wake_up_are_visible_after_the_last_event() {
    const LAST: usize = 20_000;
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    let written = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for value in 1..=LAST {
                // Only the wake-up orders the write before the read.
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

/// A wait holds no lock while it is in the kernel. So any step of another thread meanwhile is as if it
/// were at one of two points: before the kernel looks for events, or between that and the look of the
/// queue. This module replaces epoll_wait(2) of the C library, and runs the others' steps at these points.
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
        /// The steps that run when a wait of this thread stops.
        static OTHERS: RefCell<Option<Others>> = const { RefCell::new(None) };
    }

    fn stop(point: Point) {
        // Taken out while the steps run, so that their own polls do not stop.
        if let Some(mut others) = OTHERS.take() {
            others(point);
            OTHERS.set(Some(others));
        }
    }

    /// epoll_wait(2) with stops, and with a limit.
    ///
    /// # Safety
    ///
    /// As for the system call.
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

    /// A wait with this much room, in which the steps `before` run at the first point and `after` at the
    /// second. If no wake-up is pending after them, one more ends the wait.
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
        assert!(
            stops.borrow().len() >= 2,
            "the wait uses another system call"
        );
        let mut model = model.borrow_mut();
        model.another_has_looked = false;
        model.report(&events);
    }

    #[test]
    fn k89_every_interleaving_of_wakes_and_polls_with_a_wait_loses_no_wake_up() {
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
