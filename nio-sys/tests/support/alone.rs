//! Tests in a process of their own, and their signals, for all crates: the others have a link to this file.

use std::env;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::panic::{self, AssertUnwindSafe};
use std::process::Command;
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::LIMIT;

/// One child at a time: it inherits every descriptor that is open, and would keep another's peer
/// from seeing its end.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Set in the process that runs one test alone.
const ALONE: &str = "NIO_TEST_ALONE";

/// Runs a test in a process of its own: no other thread opens descriptors, changes limits or receives signals
/// there. In a binary with a test of this kind, every test that relies on a descriptor being closed at once has to
/// use it too: a new process has copies of all descriptors for a moment.
///
/// It executes this program again. A fork would have the locks that other threads of the process held, and could
/// wait for one without end.
pub(crate) fn in_child(test: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
        // SAFETY: takes no pointers. A test that hangs is ended by SIGALRM.
        unsafe { libc::alarm(2 * LIMIT.as_secs() as u32) };
        mask_all_signals(libc::SIG_UNBLOCK).unwrap();
        return test();
    }
    let thread = thread::current();
    let Some(name) = thread.name().filter(|name| *name != "main") else {
        // Tests run one after the other, in one thread.
        return in_fork(test);
    };
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut program = Command::new(env::current_exe().unwrap());
    program
        .args([
            name,
            "--exact",
            "--nocapture",
            "--test-threads=1",
            "--include-ignored",
        ])
        .env(ALONE, "1");
    // The first thread of that process is the test harness'. It takes no signals, so that one for
    // the process is the test's, which has handled it when kill(2) returns.
    // SAFETY: what runs between fork and exec sets the mask, which is async-signal-safe.
    unsafe { program.pre_exec(|| mask_all_signals(libc::SIG_BLOCK)) };
    let run = program.output().unwrap();
    let [said, result] = [&run.stderr, &run.stdout].map(|text| String::from_utf8_lossy(text));
    // A name that no test has would be a success, too.
    let passed = run.status.success() && result.contains("1 passed");
    assert!(passed, "{}: {result}{said}", run.status);
}

/// Blocks all signals for this thread, or unblocks them.
fn mask_all_signals(how: i32) -> io::Result<()> {
    // SAFETY: the set is initialised by sigfillset before it is used.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&mut set);
        match libc::pthread_sigmask(how, &set, ptr::null_mut()) {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// Sends a signal to this thread, which has handled it when this returns.
///
/// On Apple's systems no queue is told of a signal that is for one thread (K201). There it is for the
/// process, in which no other thread takes it.
pub(crate) fn raise(signal: i32) {
    // SAFETY: these take no pointers.
    let result = unsafe {
        if cfg!(target_vendor = "apple") {
            libc::kill(libc::getpid(), signal)
        } else {
            libc::raise(signal)
        }
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// Runs a test in a fork of this process.
pub(crate) fn in_fork(test: impl FnOnce()) {
    let (status, said) = child(test);
    assert_eq!(status, 0, "{said}");
}

/// The wait(2) status of a process that runs a function, and the text of its panic.
pub(crate) fn child(function: impl FnOnce()) -> (i32, String) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (reader, mut writer) = UnixStream::pair().unwrap();
    // SAFETY: the child has the one thread that forked; what it uses of the library (allocation,
    // threads, panics) works after a fork on the systems that this crate is for.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", io::Error::last_os_error()),
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
