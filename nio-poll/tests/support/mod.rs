//! What the tests of this crate have in common.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{self, AssertUnwindSafe};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nio_poll::{Event, Events, Poll};

/// How long to wait for what must come. Far more than it takes, so that a busy machine does not
/// fail a test.
pub const LIMIT: Duration = Duration::from_secs(20);

/// What is there now.
pub fn now(poll: &Poll) -> Vec<Event> {
    let mut events = Events::with_capacity(64);
    let count = poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    assert_eq!(count, events.len());
    events.iter().collect()
}

/// Waits until something is there, and returns it.
pub fn wait(poll: &Poll) -> Vec<Event> {
    let mut events = Events::with_capacity(64);
    let count = poll.poll(&mut events, Some(LIMIT)).unwrap();
    assert!(count > 0, "nothing came within {LIMIT:?}");
    events.iter().collect()
}

/// Waits for exactly one event.
pub fn one(poll: &Poll) -> Event {
    let events = wait(poll);
    assert_eq!(events.len(), 1, "{events:?}");
    events[0]
}

/// The tokens of what is there now, sorted.
pub fn tokens(poll: &Poll) -> Vec<usize> {
    let mut tokens: Vec<usize> = now(poll).iter().map(|event| event.token().0).collect();
    tokens.sort_unstable();
    tokens
}

/// Whether something is readable now, and whether something is writable.
pub fn readiness(poll: &Poll) -> (bool, bool) {
    let events = now(poll);
    let is = |what: fn(&Event) -> bool| events.iter().any(what);
    (is(Event::is_readable), is(Event::is_writable))
}

/// Writes until nothing fits any more.
pub fn fill(mut to: impl Write) {
    while to.write(&[0; 4096]).is_ok() {}
}

/// Reads until nothing is left.
pub fn drain(mut from: impl Read) {
    while from.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
}

/// What a system call returned, -1 turned into its error.
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
    // SAFETY: the descriptors are new, and nobody else's.
    let [reader, writer] = ends.map(|end| File::from(unsafe { OwnedFd::from_raw_fd(end) }));
    (reader, writer)
}

/// A signal handler that does nothing.
pub extern "C" fn do_nothing(_: libc::c_int) {}

/// Installs a handler, or SIG_IGN or SIG_DFL, and returns what was there before.
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

/// Sends a signal to this thread, which has handled it when this returns.
pub fn raise(signal: i32) {
    // SAFETY: takes no pointers.
    check(unsafe { libc::raise(signal) }).unwrap();
}

/// One child at a time: it inherits every descriptor that is open, and would keep another's peer
/// from seeing its end.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Set in the process that runs one test alone.
const ALONE: &str = "NIO_POLL_TEST_ALONE";

/// Runs a test in a process of its own: no other thread opens descriptors, changes limits or
/// receives signals there. A binary in which one test does so has them all do so.
///
/// It is this program again, and not a fork: that would have the locks which the library's other threads
/// had at that moment, and could wait for ever where it begins a thread itself.
pub fn in_child(test: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
        // SAFETY: takes no pointers. A test that hangs is ended by SIGALRM.
        unsafe { libc::alarm(2 * LIMIT.as_secs() as u32) };
        return test();
    }
    let thread = thread::current();
    let Some(name) = thread.name().filter(|name| *name != "main") else {
        // Tests run one after the other, in the one thread that there is.
        return in_fork(test);
    };
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let program = env::current_exe().unwrap();
    let run = Command::new(program)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let [said, result] = [&run.stderr, &run.stdout].map(|text| String::from_utf8_lossy(text));
    // A name that no test had would be a success, too.
    let passed = run.status.success() && result.contains("1 passed");
    assert!(passed, "{}: {result}{said}", run.status);
}

/// Runs a test in a fork of this process.
pub fn in_fork(test: impl FnOnce()) {
    let (status, said) = child(test);
    assert_eq!(status, 0, "{said}");
}

/// The wait(2) status of a process that runs a function, and what its panic said.
pub fn child(function: impl FnOnce()) -> (i32, String) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (reader, mut writer) = UnixStream::pair().unwrap();
    // SAFETY: the child has the one thread that forked; what it uses of the library (allocation,
    // threads, panics) works after a fork on the systems that this crate is for.
    match check(unsafe { libc::fork() }).unwrap() {
        0 => {
            drop(reader);
            // SAFETY: takes no pointers. A child that hangs is ended by SIGALRM.
            unsafe { libc::alarm(2 * LIMIT.as_secs() as u32) };
            let result = panic::catch_unwind(AssertUnwindSafe(function));
            let code = match &result {
                Ok(()) => 0,
                Err(panic) => {
                    let said = panic
                        .downcast_ref::<String>()
                        .map(String::as_str)
                        .or(panic.downcast_ref::<&str>().copied());
                    let _ = writer.write_all(said.unwrap_or("a panic").as_bytes());
                    1
                }
            };
            // SAFETY: ends the process; nothing of the parent's is flushed or dropped.
            unsafe { libc::_exit(code) }
        }
        pid => {
            drop(writer);
            let mut status = 0;
            // SAFETY: the status has a place that lives until the call returns.
            while unsafe { libc::waitpid(pid, &mut status, 0) } != pid {}
            let mut said = String::new();
            reader.set_nonblocking(true).unwrap();
            let _ = (&reader).read_to_string(&mut said);
            (status, said)
        }
    }
}
