//! Helpers of the tests of this crate.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

mod alone;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod seccomp;

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nio_poll::{Event, Events, Interest, Poll};

#[allow(unused_imports, reason = "each test binary uses a part")]
pub(crate) use alone::{child, in_child, in_fork, raise};

/// How long to wait for an event that must come. Far more than it takes, so that a busy machine does not
/// fail a test.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Whether this process has the default action for a signal.
pub fn is_default(signal: i32) -> bool {
    // SAFETY: zero is a valid sigaction, and a null new action only asks.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        check(libc::sigaction(signal, std::ptr::null(), &mut action)).unwrap();
        action.sa_sigaction == libc::SIG_DFL
    }
}

/// Waits until the table of a poll is empty. A one-shot timer leaves it a moment after its event.
pub fn until_empty(poll: &Poll) {
    let start = Instant::now();
    loop {
        let text = format!("{poll:?}");
        if text.ends_with("registered: [] }") {
            return;
        }
        assert!(start.elapsed() < LIMIT, "{text}");
    }
}

/// Sets the number of descriptors that this process may have open. Those that it has stay open.
pub fn limit_descriptors(to: u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the struct lives until each call returns.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit)).unwrap();
        limit.rlim_cur = to as _;
        check(libc::setrlimit(libc::RLIMIT_NOFILE, &limit)).unwrap();
    }
}

pub fn both() -> Interest {
    Interest::READABLE | Interest::WRITABLE
}

/// The events that are pending.
pub fn now(poll: &Poll) -> Vec<Event> {
    let mut events = Events::with_capacity(64);
    let count = poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    assert_eq!(count, events.len());
    events.iter().collect()
}

/// Waits until there are events, and returns them.
pub fn wait(poll: &Poll) -> Vec<Event> {
    let mut events = Events::with_capacity(64);
    let count = poll.poll(&mut events, Some(LIMIT)).unwrap();
    assert!(count > 0, "no event came within {LIMIT:?}");
    events.iter().collect()
}

/// Waits for exactly one event.
pub fn one(poll: &Poll) -> Event {
    let events = wait(poll);
    assert_eq!(events.len(), 1, "{events:?}");
    events[0]
}

/// The tokens of the pending events, sorted.
pub fn tokens(poll: &Poll) -> Vec<usize> {
    let mut tokens: Vec<usize> = now(poll).iter().map(|event| event.token().0).collect();
    tokens.sort_unstable();
    tokens
}

/// Whether a pending event is readable, and whether one is writable.
pub fn readiness(poll: &Poll) -> (bool, bool) {
    let events = now(poll);
    let is = |what: fn(&Event) -> bool| events.iter().any(what);
    (is(Event::is_readable), is(Event::is_writable))
}

/// Writes until no more bytes fit.
pub fn fill(mut to: impl Write) {
    while to.write(&[0; 4096]).is_ok() {}
}

/// Reads until nothing is left.
pub fn drain(mut from: impl Read) {
    while from.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
}

/// The result of a system call, -1 turned into its error.
pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

/// Two connected Unix stream sockets, non-blocking.
pub fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

/// Two connected TCP sockets, non-blocking.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.set_nonblocking(true).unwrap();
    server.set_nonblocking(true).unwrap();
    (client, server)
}

/// The reading and the writing end of a pipe.
pub fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two numbers.
    check(unsafe { libc::pipe(ends.as_mut_ptr()) }).unwrap();
    // SAFETY: the descriptors are new and have no other owner.
    let [reader, writer] = ends.map(|end| File::from(unsafe { OwnedFd::from_raw_fd(end) }));
    (reader, writer)
}

/// A signal handler that does nothing.
pub extern "C" fn do_nothing(_: libc::c_int) {}

/// Installs a handler, SIG_IGN or SIG_DFL, and returns the one before.
pub fn handle(signal: i32, handler: usize) -> usize {
    // SAFETY: zero is a valid sigaction; the handlers of these tests take one integer and are
    // async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut before: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        check(libc::sigaction(signal, &action, &mut before)).unwrap();
        before.sa_sigaction
    }
}
