//! A call that fails changes nothing, also if a part of it had succeeded.
#![cfg(any(target_os = "linux", target_os = "android"))]

mod support;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nio_poll::{Error, Interest, Poll, Timer, Token, Trigger};
use support::seccomp::refuse_if;
use support::*;

#[test]
fn a_refused_reregistration_undoes_the_additions_before_the_refusal() {
    let poll = Poll::new().unwrap();
    let null = File::open("/dev/null").unwrap();
    poll.register(&null, Token(1), Interest::READABLE).unwrap();
    assert_eq!(tokens(&poll), [1]);
    // A file has no urgent data.
    let all = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
    let refused = poll.reregister(&null, Token(2), all);
    assert!(matches!(refused, Err(Error::Refused { .. })));
    assert!(now(&poll).is_empty());
    poll.reregister(&null, Token(3), Interest::READABLE)
        .unwrap();
    assert_eq!(tokens(&poll), [3]);
}

/// The registrations are made in one call, and then one by one to find the one that is refused: there the first of
/// them is refused, too.
#[test]
fn a_refused_register_all_undoes_all_additions() {
    in_child(|| {
        let poll = Poll::new().unwrap();
        let [(first, _peer), (second, mut peer)] = [pair(), pair()];
        let directory = File::open("/").unwrap();
        let change = (1, true, libc::EPOLL_CTL_MOD as u32);
        let of_first = (2, true, first.as_raw_fd() as u32);
        refuse_if(libc::SYS_epoll_ctl, &[change, of_first], libc::ENOMEM);
        let sources = [first.as_fd(), second.as_fd(), directory.as_fd()];
        let batch = sources.map(|source| (source, Token(1), Interest::READABLE));
        let refused = poll.register_all(batch, Trigger::Edge);
        assert!(matches!(refused, Err(Error::Refused { .. })));
        peer.write_all(b"x").unwrap();
        assert!(now(&poll).is_empty());
        poll.register(&second, Token(2), Interest::READABLE)
            .unwrap();
        assert_eq!(tokens(&poll), [2]);
    });
}

#[test]
fn a_timer_that_is_set_again_at_the_limit_on_descriptors_restarts() {
    in_child(|| {
        let poll = Poll::new().unwrap();
        let set = |timer| poll.register_timer(timer, Token(1));
        let short = Duration::from_millis(2);
        set(Timer::After(short)).unwrap();
        // Below the number of each descriptor of the poll.
        limit_descriptors(poll.as_fd().as_raw_fd() as u64);
        set(Timer::After(Duration::from_secs(60))).unwrap();
        set(Timer::After(short)).unwrap();
        assert_eq!(one(&poll).token(), Token(1));
        // That timer has ended, and another one needs a descriptor.
        assert!(matches!(
            set(Timer::Every(short)),
            Err(Error::Refused { .. })
        ));
        until_empty(&poll);
        limit_descriptors(64); // a sanitizer opens files at the end
    });
}
