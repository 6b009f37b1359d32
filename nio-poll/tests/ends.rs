//! How registrations end: with the poll, by themselves, or not at all because a call was refused. Each test
//! counts descriptors or uses signals, so it runs in a process of its own.

mod support;

use std::fmt::{self, Write as _};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nio_poll::{
    Error, Event, Events, FileChange, Interest, Poll, Signal, Timer, Token, Trigger, Waker,
};
use support::*;

const TRIGGERS: [Trigger; 3] = [Trigger::Edge, Trigger::Level, Trigger::Oneshot];

/// How many descriptors are open.
fn open_descriptors() -> usize {
    // SAFETY: F_GETFD changes nothing, and a number that is not open is an error.
    let is_open = |fd: &i32| unsafe { libc::fcntl(*fd, libc::F_GETFD) } != -1;
    (0..1024).filter(is_open).count()
}

/// A poll with a registration of each kind, a waker of it, and the sources of the registrations.
fn full_poll() -> (Poll, Waker, impl Sized) {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(0)).unwrap();
    let (socket, peer) = pair();
    poll.register(&socket, Token(1), both()).unwrap();
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    poll.register_file(&file, Token(2), FileChange::DELETED)
        .unwrap();
    poll.register_timer(Timer::Every(Duration::from_millis(1)), Token(3))
        .unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "read line"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    poll.register_process(&child, Token(4)).unwrap();
    let input = child.stdin.take();
    (poll, waker, (socket, peer, file, child, input))
}

#[test]
fn dropping_a_poll_ends_all_registrations_even_if_a_waker_exists() {
    in_child(|| {
        let (other, things) = {
            let (poll, waker, things) = full_poll();
            poll.register_signal(Signal::TERMINATE, Token(5)).unwrap();
            assert!(!is_default(libc::SIGTERM));
            let before = open_descriptors();
            drop(poll);
            assert!(is_default(libc::SIGTERM));
            assert!(open_descriptors() < before);
            (waker, things)
        };
        drop(things);
        let without = open_descriptors();
        other.wake().unwrap();
        assert!(format!("{other:?}").starts_with("Waker { kqueue: closed"));
        drop(other);
        assert_eq!(
            open_descriptors(),
            without,
            "a waker keeps no descriptor open"
        );
    });
}

#[test]
fn a_waker_of_a_poll_that_is_gone_does_not_touch_the_next_poll() {
    in_child(|| {
        let old = Poll::new().unwrap();
        let wakers = [1, 2].map(|token| Waker::new(&old, Token(token)).unwrap());
        let number = old.as_fd().as_raw_fd();
        drop(old);
        let new = Poll::new().unwrap();
        assert_eq!(new.as_fd().as_raw_fd(), number, "the number is used again");
        let own = Waker::new(&new, Token(3)).unwrap();
        for waker in wakers {
            waker.wake().unwrap();
            drop(waker);
        }
        assert!(now(&new).is_empty());
        own.wake().unwrap();
        assert_eq!(tokens(&new), [3]);
    });
}

#[test]
fn a_poll_may_be_dropped_while_others_wake_it() {
    in_child(|| {
        for _ in 0..200 {
            let poll = Poll::new().unwrap();
            let wakers = [1, 2].map(|token| Waker::new(&poll, Token(token)).unwrap());
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                for waker in &wakers {
                    scope.spawn(|| {
                        while !stop.load(Ordering::Relaxed) {
                            waker.wake().unwrap();
                        }
                    });
                }
                wait(&poll);
                drop(poll);
                stop.store(true, Ordering::Relaxed);
            });
        }
    });
}

#[test]
fn one_shot_timers_that_have_expired_leave_the_table() {
    let poll = Poll::new().unwrap();
    for token in 0..10 {
        poll.register_timer(Timer::After(Duration::from_millis(1)), Token(token))
            .unwrap();
    }
    let mut expired = 0;
    while expired < 10 {
        expired += wait(&poll).len();
    }
    until_empty(&poll);
}

#[test]
fn processes_that_have_exited_leave_the_table() {
    let poll = Poll::new().unwrap();
    let mut children: Vec<_> = (0..3)
        .map(|_| {
            let mut shell = Command::new("sh");
            shell.args(["-c", "read line"]).stdin(Stdio::piped());
            shell.spawn().unwrap()
        })
        .collect();
    for child in &children {
        poll.register_process(child, Token(1)).unwrap();
    }
    assert_eq!(format!("{poll:?}").matches("process").count(), 3);
    for child in &mut children {
        drop(child.stdin.take());
    }
    let mut exited = 0;
    while exited < 3 {
        exited += wait(&poll).len();
    }
    assert!(format!("{poll:?}").ends_with("registered: [] }"));
    for child in &mut children {
        child.wait().unwrap();
    }
}

#[test]
fn a_timer_that_stays_while_many_others_end_is_registered_once() {
    let poll = Poll::new().unwrap();
    let minute = Timer::Every(Duration::from_secs(60));
    poll.register_timer(minute, Token(0)).unwrap();
    for token in 1..2000 {
        poll.register_timer(Timer::After(Duration::from_nanos(1)), Token(token))
            .unwrap();
        if token % 100 == 0 {
            while poll
                .poll(&mut Events::with_capacity(64), Some(Duration::ZERO))
                .unwrap()
                > 0
            {}
        }
    }
    poll.deregister_timer(Token(0)).unwrap();
    let again = poll.deregister_timer(Token(0));
    assert!(matches!(again, Err(Error::NotRegistered { .. })));
}

#[test]
fn a_refusal_as_already_registered_changes_nothing() {
    for old in TRIGGERS {
        for new in TRIGGERS {
            for interest in [Interest::READABLE, Interest::WRITABLE, both()] {
                let poll = Poll::new().unwrap();
                let (socket, mut peer) = pair();
                peer.write_all(b"x").unwrap();
                poll.register_with(&socket, Token(7), both(), old).unwrap();
                assert_eq!(tokens(&poll), [7, 7]);
                let refused = poll.register_with(&socket, Token(8), interest, new);
                assert!(matches!(
                    refused,
                    Err(Error::AlreadyRegistered {
                        token: Token(7),
                        ..
                    })
                ));
                let batch = [(&socket, Token(9), interest)];
                assert!(poll.register_all(batch, new).is_err());
                // These kernels evaluate a condition again at any change (K61).
                let may_repeat = cfg!(any(target_vendor = "apple", target_os = "freebsd"));
                match old {
                    Trigger::Level => assert_eq!(tokens(&poll), [7, 7]),
                    Trigger::Edge if may_repeat => {}
                    _ => assert!(now(&poll).is_empty(), "{old:?} {new:?} {interest:?}"),
                }
            }
        }
    }
}

#[test]
fn a_refused_reregistration_neither_re_arms_an_edge_nor_a_oneshot() {
    for trigger in TRIGGERS {
        for new in TRIGGERS {
            for interest in [Interest::WRITABLE, both()] {
                let [inner, outer] = [(); 2].map(|()| Poll::new().unwrap());
                let waker = Waker::new(&inner, Token(0)).unwrap();
                outer
                    .register_with(&inner, Token(1), Interest::READABLE, trigger)
                    .unwrap();
                waker.wake().unwrap();
                assert_eq!(tokens(&outer), [1]);
                // No queue can be watched for writing (K10).
                let refused = outer.reregister_with(&inner, Token(2), interest, new);
                assert!(matches!(refused, Err(Error::Refused { .. })));
                let expected: &[usize] = match trigger {
                    Trigger::Level => &[1],
                    _ => &[],
                };
                assert_eq!(tokens(&outer), expected, "{trigger:?} {new:?}");
                outer
                    .reregister_with(&inner, Token(3), Interest::READABLE, trigger)
                    .unwrap();
                assert_eq!(tokens(&outer), [3]);
            }
        }
    }
}

#[test]
fn a_file_on_a_reused_number_was_never_registered() {
    in_child(|| {
        let path = std::env::temp_dir().join(format!("nio-poll-ends-{}", std::process::id()));
        std::fs::write(&path, "x").unwrap();
        let poll = Poll::new().unwrap();
        let old = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        poll.register_file(&old, Token(1), FileChange::DELETED)
            .unwrap();
        let number = old.as_raw_fd();
        drop(old);
        let new = std::fs::File::open(&path).unwrap();
        assert_eq!(new.as_raw_fd(), number);
        let absent = poll.deregister_file(&new);
        assert!(matches!(absent, Err(Error::NotRegistered { .. })));
        poll.register_file(&new, Token(2), FileChange::DELETED)
            .unwrap();
        poll.deregister_file(&new).unwrap();
        std::fs::remove_file(&path).unwrap();
    });
}

/// A writer that uses the poll for which it is called.
struct Reentrant<'a>(&'a Poll, &'a UnixStream, usize);

impl fmt::Write for Reentrant<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.2 += text.len();
        self.0
            .reregister(self.1, Token(self.2), Interest::READABLE)
            .map_err(|_| fmt::Error)
    }
}

#[test]
fn the_writer_of_a_debug_output_may_use_the_poll() {
    let poll = Poll::new().unwrap();
    let (socket, _peer) = pair();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    poll.register(&socket, Token(0), Interest::READABLE)
        .unwrap();
    let mut writer = Reentrant(&poll, &socket, 0);
    write!(writer, "{poll:?} {waker:?}").unwrap();
    assert!(writer.2 > 0);
}

#[test]
fn events_of_a_dropped_poll_stay_readable() {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(&poll, Token(1)).unwrap();
    waker.wake().unwrap();
    let mut events = Events::with_capacity(4);
    poll.poll(&mut events, Some(LIMIT)).unwrap();
    drop(poll);
    let event: Event = events.get(0).unwrap();
    assert_eq!(event.token(), Token(1));
}
