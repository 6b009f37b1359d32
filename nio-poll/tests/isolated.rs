//! Resources of the whole process: descriptor numbers, limits and signals. Each test runs in a
//! process of its own.

mod support;

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(any(target_os = "linux", target_os = "android"))]
use nio_poll::Timer;
use nio_poll::{Error, Events, Interest, Poll, Signal, Subject, Token, Trigger, Waker};
use support::*;

const TRIGGERS: [Trigger; 3] = [Trigger::Edge, Trigger::Level, Trigger::Oneshot];

/// Closes `old` and opens a pair whose first socket has its number.
fn reuse(old: UnixStream) -> (UnixStream, UnixStream) {
    let freed = old.as_raw_fd();
    drop(old);
    let (new, peer) = pair();
    assert_eq!(new.as_raw_fd(), freed);
    (new, peer)
}

#[test]
fn a_descriptor_closed_while_registered_is_forgotten() {
    in_child(|| {
        for trigger in TRIGGERS {
            for collected in [false, true] {
                let poll = Poll::new().unwrap();
                let (old, mut peer) = pair();
                peer.write_all(b"x").unwrap();
                poll.register_with(&old, Token(1), both(), trigger).unwrap();
                if collected {
                    assert_eq!(now(&poll).len(), 2);
                }
                let (new, mut peer) = reuse(old);
                assert!(now(&poll).is_empty());
                poll.register_with(&new, Token(2), Interest::READABLE, trigger)
                    .unwrap();
                assert!(now(&poll).is_empty());
                peer.write_all(b"x").unwrap();
                let event = one(&poll);
                assert_eq!((event.token(), event.is_readable()), (Token(2), true));
            }
        }
    });
}

/// A registration belongs to a file, not to its number.
#[test]
fn k100_a_file_on_a_reused_number_was_never_registered() {
    in_child(|| {
        for trigger in TRIGGERS {
            for interest in [Interest::READABLE, Interest::WRITABLE, both()] {
                for wanted in [Interest::READABLE, Interest::WRITABLE, both()] {
                    let poll = Poll::new().unwrap();
                    let (old, _peer) = pair();
                    poll.register_with(&old, Token(1), interest, trigger)
                        .unwrap();
                    let (new, mut peer) = reuse(old);
                    peer.write_all(b"x").unwrap();
                    for new_trigger in TRIGGERS {
                        assert!(matches!(
                            poll.reregister_with(&new, Token(2), wanted, new_trigger),
                            Err(Error::NotRegistered { .. })
                        ));
                    }
                    assert!(now(&poll).is_empty());
                    let (new, mut peer) = reuse(new);
                    poll.register_with(&new, Token(3), interest, trigger)
                        .unwrap();
                    let (new, _peer) = {
                        peer.write_all(b"x").unwrap();
                        reuse(new)
                    };
                    for _ in 0..2 {
                        assert!(matches!(
                            poll.deregister(&new),
                            Err(Error::NotRegistered { .. })
                        ));
                    }
                    assert!(now(&poll).is_empty());
                    poll.register_with(&new, Token(4), Interest::WRITABLE, trigger)
                        .unwrap();
                    assert_eq!(tokens(&poll), [4]);
                }
            }
        }
    });
}

#[test]
fn a_stale_registration_is_no_obstacle_for_a_batch() {
    in_child(|| {
        for trigger in TRIGGERS {
            let poll = Poll::new().unwrap();
            let (old, _peer) = pair();
            let (other, mut others_peer) = pair();
            poll.register_with(&old, Token(1), both(), trigger).unwrap();
            let (new, mut peer) = reuse(old);
            peer.write_all(b"x").unwrap();
            others_peer.write_all(b"x").unwrap();
            let batch = [(&other, 2), (&new, 3)];
            let batch = batch.map(|(socket, token)| (socket, Token(token), Interest::READABLE));
            poll.register_all(batch, trigger).unwrap();
            assert_eq!(tokens(&poll), [2, 3]);
        }
    });
}

/// Only on Linux a timer takes a descriptor; the limits of the other systems are too high for a test.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_timer_that_has_ended_stays_ended_when_setting_it_again_is_refused() {
    in_child(|| {
        limit_descriptors(64);
        let poll = Poll::new().unwrap();
        let soon = Timer::After(Duration::from_nanos(1));
        poll.register_timer(soon, Token(1)).unwrap();
        assert!(one(&poll).is_timer());
        let mut sockets = Vec::new();
        while let Ok(pair) = UnixStream::pair() {
            sockets.push(pair);
        }
        let one_more = std::fs::File::open("/dev/null");
        let error = poll.register_timer(soon, Token(1)).unwrap_err();
        assert!(error.to_string().contains("ulimit -n"), "{error}");
        assert!(matches!(
            error,
            Error::Refused {
                subject: Subject::Timer(Token(1)),
                ..
            }
        ));
        drop((sockets, one_more));
        assert!(now(&poll).is_empty());
        poll.register_timer(soon, Token(1)).unwrap();
        assert!(one(&poll).is_timer());
        assert!(now(&poll).is_empty());
    });
}

#[test]
fn a_poll_cannot_be_made_without_descriptors() {
    in_child(|| {
        limit_descriptors(64);
        let mut polls = Vec::new();
        let error = loop {
            match Poll::new() {
                Ok(poll) => polls.push(poll),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().starts_with("cannot create a poll: "));
        match error {
            Error::Create(source) => assert_eq!(source.raw_os_error(), Some(libc::EMFILE)),
            other => panic!("{other:?}"),
        }
        polls.pop();
        let poll = Poll::new().unwrap();
        let waker = Waker::new(&poll, Token(1)).unwrap();
        waker.wake().unwrap();
        one(&poll);
    });
}

#[test]
fn a_watched_signal_is_reported_and_has_no_default_action() {
    in_child(|| {
        let poll = Poll::new().unwrap();
        poll.register_signal(Signal::TERMINATE, Token(4)).unwrap();
        for _ in 0..2 {
            raise(libc::SIGTERM);
            let event = one(&poll);
            assert_eq!(event.token(), Token(4));
            assert!(event.is_signal() && !event.is_readable() && !event.is_writable());
            assert!(event.count() >= 1);
            assert!(now(&poll).is_empty());
        }
    });
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn the_programs_handler_still_runs() {
    in_child(|| {
        handle(libc::SIGUSR1, count as *const () as usize);
        let poll = Poll::new().unwrap();
        poll.register_signal(Signal::USER_1, Token(4)).unwrap();
        raise(libc::SIGUSR1);
        assert_eq!(HANDLED.load(Ordering::SeqCst), 1);
        one(&poll);
        poll.deregister_signal(Signal::USER_1).unwrap();
        raise(libc::SIGUSR1);
        assert_eq!(HANDLED.load(Ordering::SeqCst), 2);
        assert!(now(&poll).is_empty());
    });
}

#[test]
fn a_deregistered_signal_has_its_former_action() {
    for dropped in [false, true] {
        let (status, said) = child(|| {
            let poll = Poll::new().unwrap();
            poll.register_signal(Signal::TERMINATE, Token(4)).unwrap();
            if dropped {
                drop(poll);
            } else {
                poll.deregister_signal(Signal::TERMINATE).unwrap();
            }
            raise(libc::SIGTERM);
        });
        assert!(libc::WIFSIGNALED(status), "{status:#x} {said}");
        assert_eq!(libc::WTERMSIG(status), libc::SIGTERM);
    }
}

#[test]
fn two_polls_may_watch_one_signal() {
    in_child(|| {
        let (first, second) = (Poll::new().unwrap(), Poll::new().unwrap());
        first.register_signal(Signal::TERMINATE, Token(1)).unwrap();
        second.register_signal(Signal::TERMINATE, Token(2)).unwrap();
        raise(libc::SIGTERM);
        assert_eq!(one(&first).token(), Token(1));
        assert_eq!(one(&second).token(), Token(2));
        drop(first);
        raise(libc::SIGTERM);
        assert_eq!(one(&second).token(), Token(2));
    });
}

#[test]
fn a_signal_is_watched_once_by_a_poll() {
    in_child(|| {
        let poll = Poll::new().unwrap();
        poll.register_signal(Signal::USER_1, Token(4)).unwrap();
        let error = poll.register_signal(Signal::USER_1, Token(5)).unwrap_err();
        assert!(matches!(
            error,
            Error::AlreadyRegistered {
                subject: Subject::Signal(Signal::USER_1),
                token: Token(4)
            }
        ));
        assert_eq!(
            error.to_string(),
            "SIGUSR1 is already registered, with Token(4): deregister it first to change its token"
        );
        assert_eq!(io::Error::from(error).kind(), ErrorKind::AlreadyExists);
        raise(libc::SIGUSR1);
        assert_eq!(one(&poll).token(), Token(4));
        assert!(format!("{poll:?}").contains("SIGUSR1: Token(4)"));
    });
}

#[test]
fn a_signal_that_is_not_registered_cannot_be_deregistered() {
    in_child(|| {
        let poll = Poll::new().unwrap();
        let error = poll.deregister_signal(Signal::HANGUP).unwrap_err();
        assert!(matches!(
            error,
            Error::NotRegistered {
                subject: Subject::Signal(Signal::HANGUP)
            }
        ));
        assert_eq!(error.to_string(), "SIGHUP is not registered");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_signal_that_cannot_be_caught_is_refused() {
    in_child(|| {
        let poll = Poll::new().unwrap();
        for number in [libc::SIGKILL, libc::SIGSTOP, 0, -1, 9_999] {
            let signal = Signal::from_raw(number);
            let error = poll.register_signal(signal, Token(1)).unwrap_err();
            assert!(matches!(
                &error,
                Error::Refused { subject: Subject::Signal(named), source }
                    if *named == signal && source.raw_os_error() == Some(libc::EINVAL)
            ));
            assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidInput);
            assert!(poll.deregister_signal(signal).is_err());
        }
    });
}

#[test]
fn a_signal_handler_does_not_end_a_wait() {
    in_child(|| {
        handle(libc::SIGALRM, do_nothing as *const () as usize);
        let often = libc::timeval {
            tv_sec: 0,
            tv_usec: 2_000,
        };
        let timer = libc::itimerval {
            it_interval: often,
            it_value: often,
        };
        // The libc crate does not have it for Android.
        const ITIMER_REAL: i32 = 0;
        // SAFETY: the struct lives until the call returns.
        check(unsafe { libc::setitimer(ITIMER_REAL as _, &timer, ptr::null_mut()) }).unwrap();
        let poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(4);
        let timeout = Duration::from_millis(60);
        let start = Instant::now();
        assert_eq!(poll.poll(&mut events, Some(timeout)).unwrap(), 0);
        assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(10));
    });
}

#[test]
fn a_signal_handler_does_not_end_a_wait_without_a_timeout() {
    in_child(|| {
        handle(libc::SIGUSR1, count as *const () as usize);
        for timeout in [None, Some(Duration::MAX), Some(LIMIT)] {
            let poll = Poll::new().unwrap();
            let waker = Waker::new(&poll, Token(1)).unwrap();
            let waiter = thread::spawn(move || {
                let mut events = Events::with_capacity(4);
                poll.poll(&mut events, timeout).unwrap()
            });
            let before = HANDLED.load(Ordering::SeqCst);
            while HANDLED.load(Ordering::SeqCst) < before + 20 {
                // SAFETY: the thread has not been joined, so its handle is valid.
                unsafe {
                    libc::pthread_kill(waiter.as_pthread_t() as libc::pthread_t, libc::SIGUSR1)
                };
                thread::yield_now();
            }
            assert!(!waiter.is_finished());
            waker.wake().unwrap();
            assert_eq!(waiter.join().unwrap(), 1);
        }
    });
}
