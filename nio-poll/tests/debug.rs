//! The debug output of polls, wakers and events.

mod support;

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nio_poll::{FileChange, Interest, Poll, Timer, Token, Trigger, Waker};
use support::*;

/// A socket that is readable and writable, and its peer.
fn ready() -> (UnixStream, UnixStream) {
    let (socket, mut peer) = pair();
    peer.write_all(b"x").unwrap();
    (socket, peer)
}

#[test]
fn the_debug_output_of_a_poll_lists_registrations_with_their_modes() {
    let poll = Poll::new().unwrap();
    let (socket, _peer) = ready();
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let minute = Duration::from_secs(60);
    poll.register_with(&socket, Token(5), both(), Trigger::Level)
        .unwrap();
    poll.register_file(&file, Token(6), FileChange::WRITTEN | FileChange::DELETED)
        .unwrap();
    poll.register_timer(Timer::Every(minute), Token(7)).unwrap();
    poll.register_timer(Timer::After(minute), Token(8)).unwrap();
    let waker = Waker::new(&poll, Token(10)).unwrap();
    let text = format!("{poll:?}");
    let descriptor = format!(
        "descriptor {}: READABLE | WRITABLE, Level, Token(5)",
        socket.as_raw_fd()
    );
    let file_number = file.as_raw_fd();
    for part in [
        "Poll {",
        &descriptor,
        &format!("the file of descriptor {file_number}: FileChange(DELETED | WRITTEN), Token(6)"),
        "timer: Every(60s), Token(7)",
        "timer: After(60s), Token(8)",
        "waker: Token(10)",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let kqueue = poll.as_fd().as_raw_fd();
    let expected = format!("Waker {{ kqueue: {kqueue}, token: Token(10) }}");
    assert_eq!(format!("{waker:?}"), expected);
    drop(waker);
    poll.deregister(&socket).unwrap();
    poll.deregister_file(&file).unwrap();
    poll.deregister_timer(Token(7)).unwrap();
    poll.deregister_timer(Token(8)).unwrap();
    let expected = format!("Poll {{ kqueue: {kqueue}, registered: [] }}");
    assert_eq!(format!("{poll:?}"), expected);
}

#[test]
fn the_debug_output_of_an_event_has_its_conditions() {
    let poll = Poll::new().unwrap();
    let (socket, _peer) = ready();
    poll.register(&socket, Token(5), Interest::READABLE)
        .unwrap();
    let text = format!("{:?}", one(&poll));
    let start = format!("Token(5) READ {} ", socket.as_raw_fd());
    assert!(text.starts_with(&start), "{text}");
    assert_eq!(format!("{:?}", Interest::WRITABLE), "WRITABLE");
    assert_eq!(format!("{:?}", both()), "READABLE | WRITABLE");
}
