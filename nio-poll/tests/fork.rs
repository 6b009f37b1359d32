//! A child of fork(2) does not have the poll (K4), and waits for no lock that another thread of its parent held.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nio_poll::{Error, Events, FileChange, Interest, Poll, Signal, Timer, Token, Trigger, Waker};
use support::*;

/// Another thread holds the poll's lock nearly all the time. An alarm would end a child that waits for it.
#[test]
fn k4_a_child_of_fork_drops_a_poll_and_its_wakers_without_a_lock() {
    in_child(|| {
        let poll = Poll::new().unwrap();
        let (socket, _peer) = pair();
        let stop = AtomicBool::new(false);
        let mut wakers: Vec<_> = (0..40)
            .map(|token| Waker::new(&poll, Token(token)).unwrap())
            .collect();
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    poll.register(&socket, Token(100), both()).unwrap();
                    poll.deregister(&socket).unwrap();
                }
            });
            while let Some(waker) = wakers.pop() {
                // SAFETY: the child drops a waker, which takes no lock, and ends.
                match unsafe { libc::fork() } {
                    0 => {
                        // SAFETY: takes no pointers.
                        unsafe { libc::alarm(5) };
                        drop(waker);
                        // SAFETY: ends the process; nothing of the parent's is flushed or dropped.
                        unsafe { libc::_exit(0) }
                    }
                    pid => {
                        let mut status = 0;
                        // SAFETY: the status has a place that lives until the call returns.
                        check(unsafe { libc::waitpid(pid, &mut status, 0) }).unwrap();
                        assert_eq!(status, 0, "the child waited for a lock");
                    }
                }
                waker.wake().unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
}

/// The errno with which a call was refused.
fn errno<T>(result: Result<T, Error>) -> Option<i32> {
    match result {
        Err(Error::Refused { source, .. } | Error::Waker(source) | Error::Wait(source)) => {
            source.raw_os_error()
        }
        _ => None,
    }
}

#[test]
fn k4_each_call_on_a_parents_poll_is_ebadf_in_a_child_also_while_a_thread_holds_the_lock() {
    in_child(|| {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(&poll, Token(0)).unwrap();
        let [(socket, _peer), (other, _other_peer)] = [pair(), pair()];
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let (minute, this) = (Timer::After(Duration::from_secs(60)), std::process::id());
        let readable = Interest::READABLE;
        poll.register(&socket, Token(1), readable).unwrap();
        poll.register_timer(minute, Token(2)).unwrap();
        poll.register_process(this, Token(3)).unwrap();
        poll.register_signal(Signal::TERMINATE, Token(4)).unwrap();
        let calls: [&dyn Fn() -> Result<(), Error>; 15] = [
            &|| poll.register(&other, Token(9), readable),
            &|| poll.register_all([(&other, Token(9), readable)], Trigger::Edge),
            &|| poll.reregister(&socket, Token(9), readable),
            &|| poll.deregister(&socket),
            &|| poll.register_timer(minute, Token(9)),
            &|| poll.deregister_timer(Token(2)),
            &|| poll.register_process(this, Token(9)),
            &|| poll.deregister_process(this),
            &|| poll.register_signal(Signal::USER_1, Token(9)),
            &|| poll.register_signal(Signal::TERMINATE, Token(9)),
            &|| poll.deregister_signal(Signal::TERMINATE),
            &|| poll.register_file(&file, Token(9), FileChange::DELETED),
            &|| poll.deregister_file(&file),
            &|| Waker::new(&poll, Token(9)).map(drop),
            &|| poll.poll(&mut Events::with_capacity(4), None).map(drop),
        ];
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let (near, _far) = pair();
                    poll.register(&near, Token(100), both()).unwrap();
                    poll.deregister(&near).unwrap();
                }
            });
            let statuses = (0..20).map(|_| {
                child(|| {
                    for (number, call) in calls.iter().enumerate() {
                        assert_eq!(errno(call()), Some(libc::EBADF), "call {number}");
                    }
                    raise(libc::SIGTERM); // it still has no default action
                    assert_eq!(waker.wake().unwrap_err().raw_os_error(), Some(libc::EBADF));
                    assert!(format!("{poll:?}").ends_with("registered: by the parent process }"));
                })
            });
            let failed = statuses.into_iter().find(|(status, _)| *status != 0);
            stop.store(true, Ordering::Relaxed);
            assert_eq!(failed, None);
        });
        poll.deregister_timer(Token(2)).unwrap();
        poll.deregister(&socket).unwrap();
    });
}

#[test]
fn k4_a_child_drops_a_poll_that_another_thread_of_its_parent_was_changing() {
    in_child(|| {
        let poll = Poll::new().unwrap();
        let minute = Timer::Every(Duration::from_secs(60));
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for token in (0..200).map(Token) {
                        poll.register_timer(minute, token).unwrap();
                    }
                    for token in (0..200).map(Token) {
                        poll.deregister_timer(token).unwrap();
                    }
                }
            });
            // SAFETY: the child ends without using its copy again.
            let drops = || drop(unsafe { std::ptr::read(&poll) });
            let statuses: Vec<_> = (0..200).map(|_| child(drops).0).collect();
            stop.store(true, Ordering::Relaxed);
            assert!(statuses.iter().all(|&status| status == 0), "{statuses:?}");
        });
    });
}

#[test]
fn k4_a_waker_dropped_in_a_child_of_fork_leaves_the_parents_and_the_childs_own() {
    in_child(|| {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(&poll, Token(1)).unwrap();
        let mut inherited = Some((poll, waker));
        in_fork(|| {
            let (poll, waker) = inherited.take().unwrap();
            let own = Poll::new().unwrap();
            let own_waker = Waker::new(&own, Token(2)).unwrap();
            own_waker.wake().unwrap();
            drop(waker);
            drop(poll);
            assert_eq!(tokens(&own), [2]);
        });
        let (poll, waker) = inherited.take().unwrap();
        waker.wake().unwrap();
        assert_eq!(tokens(&poll), [1]);
    });
}
