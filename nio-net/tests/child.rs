//! Children: their pipes, their exits and their ends.

mod support;

use std::{
    cell::RefCell,
    io::{self, ErrorKind},
    os::unix::process::ExitStatusExt,
    process::{Command, Output, Stdio},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use nio_loop::{EventLoop, Handle, Signal};
use nio_net::{Child, PipeReader, PipeWriter, pipe};
use support::{Counted, Place, hoard_descriptors, in_child, join, pattern, poll_once, run};

/// More than a pipe holds.
const MUCH: usize = 1 << 20;

/// Writes that many bytes of zero to its standard output.
const WRITE_MUCH: &str = "dd if=/dev/zero bs=65536 count=16 2>/dev/null";

/// The same to its standard error.
const WRITE_MUCH_TO_STDERR: &str = "dd if=/dev/zero bs=65536 count=16 >&2 2>/dev/null";

fn shell(script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    shell
}

/// A shell whose standard streams are pipes.
fn piped(handle: &Handle, script: &str) -> Child {
    let mut shell = shell(script);
    let shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped());
    Child::spawn(handle, shell.stderr(Stdio::piped())).unwrap()
}

async fn read_all(reader: &PipeReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes, usize::MAX).await.unwrap();
    bytes
}

#[test]
fn the_status_of_a_child_is_that_of_its_exit_also_when_it_is_asked_for_again() {
    run(async |handle| {
        let mut child = piped(&handle, "exit 7");
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(7));
        // No signal is sent: the PID may be that of another process.
        child.kill().unwrap();
        child.signal(Signal::TERMINATE).unwrap();
        assert_eq!(
            child.wait_with_output(0).await.unwrap().status.code(),
            Some(7)
        );
    });
}

#[test]
fn l92_a_child_that_has_exited_before_the_wait_is_waited_for() {
    run(async |handle| {
        let mut child = piped(&handle, "exit 7");
        assert_eq!(read_all(child.stdout.as_ref().unwrap()).await, b"");
        while child.try_wait().unwrap().is_none() {
            handle.sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
    });
}

#[test]
fn l94_the_end_of_the_output_is_read_before_the_exit_is_reported() {
    run(async |handle| {
        let mut child = piped(&handle, "read line; echo last words");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let log = Rc::new(RefCell::new(Vec::new()));
        let told = Rc::clone(&log);
        let waiting = handle.spawn(async move {
            child.wait().await.unwrap();
            told.borrow_mut().push("exit");
        });
        let told = Rc::clone(&log);
        let reading = handle.spawn(async move {
            assert_eq!(read_all(&stdout).await, b"last words\n");
            told.borrow_mut().push("end");
        });
        // Both wait already.
        handle.set_immediate(move |_| drop(stdin));
        join(waiting).await;
        join(reading).await;
        assert_eq!(*log.borrow(), ["end", "exit"]);
    });
}

#[test]
fn wait_closes_the_standard_input_of_the_child() {
    run(async |handle| {
        let mut child = piped(&handle, "cat");
        assert!(child.wait().await.unwrap().success());
        assert!(child.stdin.is_none());
        let mut child = piped(&handle, "cat; echo end");
        let output = child.wait_with_output(100).await.unwrap();
        assert_eq!(output.stdout, b"end\n");
        let mut cat = Command::new("cat");
        let status = Child::status(&handle, cat.stdin(Stdio::piped())).await;
        assert!(status.unwrap().success());
    });
}

#[test]
fn a_megabyte_goes_through_the_pipes_of_a_child() {
    run(async |handle| {
        let mut child = piped(&handle, "cat");
        let stdin = child.stdin.take().unwrap();
        let write = async move { stdin.write_all(&pattern(MUCH)).await.unwrap() };
        let writing = handle.spawn(write);
        let output = child.wait_with_output(MUCH).await.unwrap();
        assert!(output.status.success() && output.stdout == pattern(MUCH));
        join(writing).await;
    });
}

#[test]
fn a_child_that_fills_its_standard_error_is_not_stopped_by_the_reading_of_its_output() {
    run(async |handle| {
        let script = format!("{WRITE_MUCH_TO_STDERR}; {WRITE_MUCH}; {WRITE_MUCH_TO_STDERR}");
        let mut child = piped(&handle, &script);
        let output = child.wait_with_output(2 * MUCH).await.unwrap();
        assert!(output.status.success());
        assert_eq!((output.stdout.len(), output.stderr.len()), (MUCH, 2 * MUCH));
        let output = Child::output(&handle, &mut shell(&script), 2 * MUCH).await;
        let Output { stdout, stderr, .. } = output.unwrap();
        assert_eq!((stdout.len(), stderr.len()), (MUCH, 2 * MUCH));
    });
}

#[test]
fn output_beyond_the_limit_is_an_error_and_the_child_can_still_be_read_and_waited_for() {
    run(async |handle| {
        for script in [WRITE_MUCH, WRITE_MUCH_TO_STDERR] {
            let mut child = piped(&handle, script);
            let error = child.wait_with_output(100).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FileTooLarge);
            assert!(child.wait_with_output(MUCH).await.unwrap().status.success());
            let error = Child::output(&handle, &mut shell(script), 100).await;
            assert_eq!(error.unwrap_err().kind(), ErrorKind::FileTooLarge);
        }
        let output = Child::output(&handle, &mut shell("printf 12345"), 5).await;
        assert_eq!(output.unwrap().stdout, b"12345");
    });
}

#[test]
fn l96_a_wait_that_is_dropped_leaves_no_waker_and_the_child_can_be_waited_for() {
    run(async |handle| {
        let counted = Arc::new(Counted::default());
        let mut child = piped(&handle, "read line; exit 3");
        let stdin = child.stdin.take().unwrap();
        for _ in 0..10 {
            let mut wait = Box::pin(child.wait());
            assert!(counted.poll(wait.as_mut()).is_pending());
            drop(wait);
            let mut output = Box::pin(child.wait_with_output(100));
            assert!(counted.poll(output.as_mut()).is_pending());
            drop(output);
            assert_eq!(counted.kept(), 0);
        }
        drop(stdin);
        assert_eq!(child.wait().await.unwrap().code(), Some(3));
    });
}

#[test]
fn a_child_is_killed_and_then_waited_for() {
    run(async |handle| {
        let mut child = piped(&handle, "read line");
        let stdin = child.stdin.take();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGKILL));
        drop(stdin);
    });
}

#[test]
fn a_child_is_asked_to_end_by_a_signal() {
    run(async |handle| {
        let mut child = piped(&handle, "read line");
        let stdin = child.stdin.take();
        let error = child.signal(Signal::from_raw(12345)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        child.signal(Signal::TERMINATE).unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGTERM));
        drop(stdin);
    });
}

#[test]
fn a_dropped_child_goes_on_unless_kill_on_drop_is_set() {
    run(async |handle| {
        for kills in [false, true] {
            let mut child = piped(&handle, "read line; echo it goes on");
            let stdin = child.stdin.take().unwrap();
            let stdout = child.stdout.take().unwrap();
            child.kill_on_drop(kills);
            drop(child);
            if kills {
                assert_eq!(read_all(&stdout).await, b"");
            } else {
                stdin.write_all(b"line\n").await.unwrap();
                assert_eq!(read_all(&stdout).await, b"it goes on\n");
            }
        }
    });
}

#[test]
fn l96_an_output_or_a_status_that_is_dropped_kills_the_child() {
    run(async |handle| {
        let (reader, writer) = pipe(&handle).unwrap();
        let mut forever = shell("exec sleep 1000");
        forever
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(writer);
        assert!(poll_once(Child::status(&handle, &mut forever)).is_pending());
        drop(forever);
        assert_eq!(read_all(&reader).await, b"");

        let (reader, writer) = pipe(&handle).unwrap();
        let mut forever = shell("exec sleep 1000");
        forever.stdin(writer);
        assert!(poll_once(Child::output(&handle, &mut forever, 100)).is_pending());
        drop(forever);
        assert_eq!(read_all(&reader).await, b"");
    });
}

/// Whether a process is a child of this one that was not waited for, and lets it be.
fn is_a_child(pid: u32) -> bool {
    // SAFETY: a null pointer is allowed. The process runs, so nothing is waited for.
    let waited = unsafe { libc::waitpid(pid as libc::pid_t, std::ptr::null_mut(), libc::WNOHANG) };
    assert!(waited <= 0, "it was to be waited for");
    waited == 0
}

#[test]
fn a_child_that_is_dropped_leaves_no_zombie_and_does_not_keep_the_loop_alive() {
    in_child(|| {
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let mut child = piped(&handle, "read line");
        let (pid, stdin) = (child.id(), child.stdin.take());
        drop(child);
        assert!(!event_loop.run().unwrap(), "nothing keeps it alive");
        assert!(is_a_child(pid));
        drop(stdin);
        event_loop.block_on(waited_for(&handle, pid)).unwrap();
    });
}

#[test]
fn a_child_that_is_dropped_while_descriptors_have_run_out_leaves_no_zombie() {
    in_child(|| {
        let mut event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let mut child = piped(&handle, "read line");
        let (pid, stdin) = (child.id(), child.stdin.take());
        // Some systems need a descriptor to watch a process.
        let hoard = hoard_descriptors();
        drop(child);
        drop(hoard);
        assert!(!event_loop.run().unwrap(), "nothing keeps it alive");
        assert!(is_a_child(pid));
        drop(stdin);
        event_loop.block_on(waited_for(&handle, pid)).unwrap();
    });
}

/// Waits until the loop has waited for a process, in one of its turns.
async fn waited_for(handle: &Handle, pid: u32) {
    // SAFETY: takes no pointers, and signal 0 is none.
    while unsafe { libc::kill(pid as libc::pid_t, 0) } == 0 {
        handle.sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn l93_the_children_of_others_are_left_to_them() {
    run(async |handle| {
        let mut other = shell("exit 2").spawn().unwrap();
        let mut child = piped(&handle, "exit 1");
        assert_eq!(child.wait().await.unwrap().code(), Some(1));
        drop(piped(&handle, "exit 3"));
        handle.sleep(Duration::from_millis(2)).await;
        assert_eq!(other.wait().unwrap().code(), Some(2));
    });
}

#[test]
fn two_hundred_children_are_waited_for_at_once() {
    run(async |handle| {
        let mut waits = Vec::new();
        let mut inputs = Vec::new();
        for code in 0..200 {
            let mut shell = shell(&format!("read line; exit {code}"));
            let mut child = Child::spawn(&handle, shell.stdin(Stdio::piped())).unwrap();
            inputs.push(child.stdin.take());
            waits.push(handle.spawn(async move { child.wait().await.unwrap().code() }));
        }
        handle.set_immediate(move |_| drop(inputs));
        for (code, wait) in waits.into_iter().enumerate() {
            assert_eq!(join(wait).await, Some(code as i32));
        }
    });
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    run(async |handle| {
        let error = Child::spawn(&handle, &mut Command::new("nio-no-such-program"));
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn l99_a_child_that_a_loop_refuses_comes_back_with_its_pipes() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    drop(event_loop);
    let mut cat = Command::new("cat");
    let cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut cat = Child::from_std(&handle, cat.unwrap()).unwrap_err().value;
    io::Write::write_all(cat.stdin.as_mut().unwrap(), b"hello").unwrap();
    assert_eq!(cat.wait_with_output().unwrap().stdout, b"hello");
    let without_pipes = shell("exit 4").spawn().unwrap();
    let mut refused = Child::from_std(&handle, without_pipes).unwrap_err();
    assert_eq!(refused.value.wait().unwrap().code(), Some(4));
}

#[test]
fn no_process_is_started_for_a_loop_that_is_gone() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    drop(event_loop);
    let place = Place::new("not-started");
    let mut touch = Command::new("touch");
    Child::spawn(&handle, touch.arg(&place.0)).unwrap_err();
    assert!(!place.0.exists());
}

#[test]
fn l105_a_wait_after_the_end_of_the_loop_is_an_error_and_the_child_is_not_lost() {
    let mut event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let mut child = piped(&handle, "read line; exit 5");
    let stdin = child.stdin.take();
    event_loop
        .block_on(async { assert!(poll_once(child.wait()).is_pending()) })
        .unwrap();
    drop(event_loop);
    assert!(matches!(
        poll_once(child.wait()),
        std::task::Poll::Ready(Err(_))
    ));
    drop(stdin);
    assert_eq!(child.into_std().wait().unwrap().code(), Some(5));
}

#[test]
fn l103_a_child_leaves_the_loop_with_its_pipes_in_blocking_mode() {
    run(async |handle| {
        let mut child = piped(
            &handle,
            &format!("cat >/dev/null; {WRITE_MUCH}; echo end >&2"),
        );
        child
            .stdin
            .as_ref()
            .unwrap()
            .write_all(b"hello")
            .await
            .unwrap();
        // The pipe is empty, so a read of it would wait.
        let mut byte = [0];
        assert!(poll_once(child.stdout.as_ref().unwrap().read(&mut byte)).is_pending());
        let stderr = child.stderr.take().unwrap();
        let mut child = child.into_std();
        assert!(child.stderr.is_none());
        io::Write::write_all(child.stdin.as_mut().unwrap(), &pattern(MUCH)).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.stdout.len(), MUCH);
        assert_eq!(read_all(&stderr).await, b"end\n");
    });
}

#[test]
fn the_pipes_of_a_child_of_the_standard_library_are_taken_into_the_loop() {
    run(async |handle| {
        let mut cat = Command::new("cat");
        let cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut cat = cat.stderr(Stdio::piped()).spawn().unwrap();
        let stdin = cat.stdin.take().unwrap();
        let stdin = PipeWriter::from_std(&handle, stdin.into()).unwrap();
        let stdout = cat.stdout.take().unwrap();
        let stdout = PipeReader::from_std(&handle, stdout.into()).unwrap();
        let stderr = cat.stderr.take().unwrap();
        let stderr = PipeReader::from_std(&handle, stderr.into()).unwrap();
        stdin.write_all(b"hello").await.unwrap();
        drop(stdin);
        assert_eq!(read_all(&stdout).await, b"hello");
        assert_eq!(read_all(&stderr).await, b"");
        assert!(cat.wait().unwrap().success());
    });
}
