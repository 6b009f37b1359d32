//! Children and files: exits, their order after I/O, and changes of files.

mod support;

use std::{
    cell::Cell,
    fs::{self, File},
    io::{Read, Write},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    rc::Rc,
    time::Duration,
};

use nio_loop::{CallbackKind, Direction, Error, EventLoop, FileChange, Handle, Interest, Source};
use nio_poll::{Events, Poll, Token};
use support::{LIMIT, Log, event_loop, in_child, panic_of, readable, set_nonblocking};

/// A child that runs until the end of its input, and then runs a shell command.
fn shell(end: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read line; {end}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets a child come to its end, and waits until it has, without reaping it.
fn finish(child: &mut Child) {
    let poll = Poll::new().unwrap();
    poll.register_process(child.id(), Token(0)).unwrap();
    drop(child.stdin.take());
    let mut events = Events::with_capacity(1);
    poll.poll(&mut events, Some(LIMIT)).unwrap();
    assert!(!events.is_empty(), "it does not end");
}

/// Logs the code that a child exits with, or that it is not known.
fn says_code(log: &Log) -> impl FnOnce(&Handle, ExitStatus) + 'static {
    let log = log.clone();
    move |_, status| match (status.code(), status.signal()) {
        (Some(code), _) => log.push(format!("exit{code}")),
        (None, Some(signal)) => log.push(format!("signal{signal}")),
        (None, None) => log.push("unknown"),
    }
}

#[test]
fn l92_a_child_that_is_reaped_by_itself_is_not_reported_as_a_success() {
    in_child(|| {
        // SAFETY: ignoring a signal takes no function.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        let mut event_loop = event_loop();
        let log = Log::new();
        let mut child = shell("exit 5");
        let input = child.stdin.take();
        event_loop.handle().on_exit(child, says_code(&log)).unwrap();
        drop(input);
        assert!(!event_loop.run().unwrap());
        let told = log.take().join(" ");
        assert!(told == "exit5" || told == "unknown", "{told}");
    });
}

#[test]
fn l92_a_child_that_is_dead_already_is_reported_in_the_next_turn() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let mut child = shell("exit 7");
    finish(&mut child);
    event_loop.handle().on_exit(child, says_code(&log)).unwrap();
    log.assert("");
    assert!(!event_loop.run().unwrap());
    log.assert("exit7");
}

#[test]
fn l92_an_exit_is_reported_whenever_the_child_dies() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    // Before the loop runs, and while it waits.
    let mut child = shell("exit 3");
    let input = child.stdin.take();
    handle.on_exit(child, says_code(&log)).unwrap();
    drop(input);
    assert!(!event_loop.run().unwrap());
    log.assert("exit3");
    let mut child = shell("exit 4");
    let input = child.stdin.take();
    handle.on_exit(child, says_code(&log)).unwrap();
    handle.set_immediate(move |_| drop(input));
    assert!(!event_loop.run().unwrap());
    log.assert("exit4");
}

#[test]
fn l92_a_child_that_was_waited_for_elsewhere_is_reported_or_refused() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let mut child = shell("exit 5");
    let (pid, input) = (child.id(), child.stdin.take());
    event_loop.handle().on_exit(child, says_code(&log)).unwrap();
    drop(input);
    let mut status = 0;
    // SAFETY: the status lives as long as the call.
    let waited = unsafe { libc::waitpid(pid as libc::pid_t, &mut status, 0) };
    assert_eq!(waited as u32, pid);
    assert!(!event_loop.run().unwrap());
    assert_eq!(log.take().len(), 1, "told, if not with which code");
}

#[test]
fn l92_a_child_that_is_no_more_is_refused_and_keeps_nothing_alive() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let mut child = shell("exit 5");
    drop(child.stdin.take());
    // SAFETY: a null pointer is allowed.
    let waited = unsafe { libc::waitpid(child.id() as libc::pid_t, std::ptr::null_mut(), 0) };
    assert_eq!(waited as u32, child.id());
    let held = log.drops("dropped");
    let refused = event_loop.handle().on_exit(child, move |_, _| drop(held));
    let refused = refused.unwrap_err();
    assert!(matches!(refused.error, Error::Poll(_)));
    log.assert("dropped");
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l93_other_children_are_never_waited_for() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let (mut ours, mut other) = (shell("exit 1"), shell("exit 2"));
    finish(&mut other);
    let (pid, input) = (ours.id(), ours.stdin.take());
    event_loop.handle().on_exit(ours, says_code(&log)).unwrap();
    drop(input);
    assert!(!event_loop.run().unwrap());
    log.assert("exit1");
    // SAFETY: a null pointer is allowed.
    let waited = unsafe { libc::waitpid(pid as libc::pid_t, std::ptr::null_mut(), libc::WNOHANG) };
    assert_eq!(waited, -1, "it leaves no zombie");
    assert_eq!(other.wait().unwrap().code(), Some(2));
}

/// A process that traces another one until it is stopped. The exit of the traced child is reported, but
/// its parent cannot wait for it until then.
#[cfg(any(target_os = "linux", target_os = "android"))]
struct Tracer {
    pid: i32,
    line: UnixStream,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Tracer {
    /// `None` if the system does not permit tracing.
    fn of(child: u32) -> Option<Tracer> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let child = child as i32;
        // SAFETY: the child makes system calls only, and ends without unwinding.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                drop(ours);
                // The libc crate does not have it for Android.
                const PTRACE_SEIZE: libc::c_int = 0x4206;
                // SAFETY: attaches to a process; takes no pointers.
                let traces = unsafe { libc::ptrace(PTRACE_SEIZE as _, child, 0, 0) } == 0;
                let _ = theirs.write_all(&[u8::from(traces)]);
                let _ = theirs.read(&mut [0]);
                // SAFETY: ends the process. The traced child goes back to its parent.
                unsafe { libc::_exit(0) }
            }
            pid => {
                drop(theirs);
                let mut line = ours;
                let mut traces = [0];
                line.read_exact(&mut traces).unwrap();
                let tracer = Tracer { pid, line };
                (traces == [1]).then_some(tracer)
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.line.write_all(&[0]);
        // SAFETY: the status has a place that lives until the call returns.
        unsafe { libc::waitpid(self.pid, &mut 0, 0) };
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn l101_an_exit_that_a_tracer_keeps_does_not_stop_the_loop() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let log = Log::new();
        let mut child = shell("exit 4");
        let Some(tracer) = Tracer::of(child.id()) else {
            drop(child.stdin.take());
            child.wait().unwrap();
            return println!("nothing to test here: the system allows no tracing");
        };
        let mut stdin = child.stdin.take().unwrap();
        let says = says_code(&log);
        let on_exit = |handle: &Handle, status| {
            says(handle, status);
            handle.stop();
        };
        handle.on_exit(child, on_exit).unwrap();
        let ticks = Rc::new(Cell::new(0));
        let (own, said) = (Rc::clone(&ticks), log.clone());
        let mut tracer = Some(tracer);
        handle.set_interval(Duration::from_millis(1), move |_, _| {
            own.set(own.get() + 1);
            match own.get() {
                // The child exits.
                1 => stdin.write_all(b"\n").unwrap(),
                100 => {
                    said.assert("");
                    drop(tracer.take());
                }
                _ => {}
            }
        });
        event_loop.run().unwrap();
        log.assert("exit4");
        assert!(ticks.get() >= 100);
    });
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn l101_a_child_whose_exit_a_tracer_keeps_from_the_start_does_not_stop_the_loop() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let log = Log::new();
        let mut child = shell("exit 4");
        let Some(tracer) = Tracer::of(child.id()) else {
            drop(child.stdin.take());
            child.wait().unwrap();
            return println!("nothing to test here: the system allows no tracing");
        };
        // The tracer has the other end, too, so that the end of its input would not reach the child.
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        handle.on_exit(child, says_code(&log)).unwrap();
        handle.set_timeout(Duration::from_millis(20), move |_| drop(tracer));
        event_loop.run().unwrap();
        log.assert("exit4");
    });
}

/// Has the loop read the output of a child to its end.
fn log_output(event_loop: &EventLoop, child: &mut Child, log: &Log) {
    let output = File::from(OwnedFd::from(child.stdout.take().unwrap()));
    let own = Rc::new(Cell::new(None));
    let (id, told) = (Rc::clone(&own), log.clone());
    let watch = move |handle: &Handle, mut output: &File, _| {
        let mut text = [0; 16];
        match output.read(&mut text).unwrap() {
            0 => {
                told.push("end");
                handle.clear(id.get().unwrap());
            }
            n => told.push(String::from_utf8_lossy(&text[..n]).trim()),
        }
    };
    own.set(Some(
        event_loop
            .handle()
            .watch(output, Interest::READABLE, watch)
            .unwrap(),
    ));
}

#[test]
fn l94_an_exit_is_reported_after_the_output_that_is_there_with_it() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let mut child = shell("echo last words; exit 6");
    let input = child.stdin.take();
    let output = child.stdout.take().unwrap();
    // The exit is watched first, and another descriptor becomes readable after it.
    let pid = child.id();
    event_loop.handle().on_exit(child, says_code(&log)).unwrap();
    let watcher = Poll::new().unwrap();
    watcher.register_process(pid, Token(0)).unwrap();
    drop(input);
    watcher
        .poll(&mut Events::with_capacity(1), Some(LIMIT))
        .unwrap();
    let (later, _theirs) = readable();
    let told = log.clone();
    let mut output = File::from(OwnedFd::from(output));
    let own = Rc::new(Cell::new(None));
    let id = Rc::clone(&own);
    let watch = move |handle: &Handle, mut later: &UnixStream, _| {
        later.read_exact(&mut [0]).unwrap();
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        told.push(text.trim());
        handle.clear(id.get().unwrap());
    };
    let handle = event_loop.handle();
    own.set(Some(
        handle.watch(later, Interest::READABLE, watch).unwrap(),
    ));
    assert!(!event_loop.run().unwrap());
    log.assert("last words exit6");
}

#[test]
fn l94_an_exit_is_reported_after_the_end_of_the_output_if_both_are_there() {
    let mut event_loop = event_loop();
    let log = Log::new();
    let mut child = shell("exit 8");
    let input = child.stdin.take();
    log_output(&event_loop, &mut child, &log);
    let pid = child.id();
    event_loop.handle().on_exit(child, says_code(&log)).unwrap();
    let watcher = Poll::new().unwrap();
    watcher.register_process(pid, Token(0)).unwrap();
    drop(input);
    watcher
        .poll(&mut Events::with_capacity(1), Some(LIMIT))
        .unwrap();
    assert!(!event_loop.run().unwrap());
    log.assert("end exit8");
}

#[test]
fn l40_an_exit_cleared_by_the_io_of_its_batch_is_not_reported_and_the_child_is_dropped() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let mut child = shell("exit 1");
    let (pid, input) = (child.id(), child.stdin.take());
    let held = log.drops("dropped");
    let never = move |_: &Handle, _| drop(held);
    let exit = handle.on_exit(child, never).unwrap();
    let watcher = Poll::new().unwrap();
    watcher.register_process(pid, Token(0)).unwrap();
    drop(input);
    watcher
        .poll(&mut Events::with_capacity(1), Some(LIMIT))
        .unwrap();
    let (ours, _theirs) = readable();
    let told = log.clone();
    let watch = move |handle: &Handle, _: &UnixStream, _| {
        told.push("io");
        assert!(handle.clear(exit));
        handle.stop();
    };
    handle.watch(ours, Interest::READABLE, watch).unwrap();
    assert!(event_loop.run().unwrap());
    log.assert("io dropped");
    // The loop has not waited for it.
    // SAFETY: a null pointer is allowed.
    let waited = unsafe { libc::waitpid(pid as libc::pid_t, std::ptr::null_mut(), 0) };
    assert_eq!(waited as u32, pid);
}

#[test]
fn l54_a_child_keeps_the_loop_alive_unless_it_is_not_referenced() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let mut child = shell("exit 0");
    let input = child.stdin.take();
    let id = handle.on_exit(child, |_, _| {}).unwrap();
    assert_eq!(handle.report().entries[0].kind, CallbackKind::Exit);
    assert!(event_loop.run_nowait().unwrap());
    assert!(handle.unref(id));
    assert!(!event_loop.run().unwrap());
    assert!(handle.reref(id));
    drop(input);
    assert!(!event_loop.run().unwrap());
    assert!(!handle.clear(id));
}

#[test]
fn an_exit_whose_callback_panics_is_over_and_leaves_no_zombie() {
    let mut event_loop = event_loop();
    let mut child = shell("exit 0");
    let (pid, input) = (child.id(), child.stdin.take());
    event_loop
        .handle()
        .on_exit(child, |_, _| panic!("now"))
        .unwrap();
    drop(input);
    assert_eq!(panic_of(|| event_loop.run()), "now");
    assert!(!event_loop.run().unwrap());
    // SAFETY: a null pointer is allowed.
    let waited = unsafe { libc::waitpid(pid as libc::pid_t, std::ptr::null_mut(), libc::WNOHANG) };
    assert_eq!(waited, -1);
}

#[test]
fn a_loop_that_is_gone_takes_no_children_and_no_files() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    drop(event_loop);
    let mut dead = shell("exit 0");
    finish(&mut dead);
    let mut child = shell("exit 0");
    drop(child.stdin.take());
    for child in [child, dead] {
        let refused = handle.on_exit(child, |_, _| panic!("it ran"));
        let mut refused = refused.unwrap_err();
        assert!(matches!(refused.error, Error::Closed));
        assert!(refused.value.wait().unwrap().success(), "it is given back");
    }
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    let refused = handle.on_change(file, FileChange::WRITTEN, |_, _, _| panic!("it ran"));
    assert!(matches!(refused.unwrap_err().error, Error::Closed));
}

/// A file that is removed at the end of its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("nio-loop-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, "").unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_change_of_a_file_is_reported_with_its_kind() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let scratch = Scratch::new("change");
    let asked = FileChange::WRITTEN | FileChange::DELETED;
    let told = log.clone();
    let id = handle
        .on_change(
            File::open(&scratch.0).unwrap(),
            asked,
            move |_, _, changes| {
                for (change, name) in [
                    (FileChange::WRITTEN, "written"),
                    (FileChange::DELETED, "deleted"),
                ] {
                    if changes.contains(change) {
                        told.push(name);
                    }
                }
            },
        )
        .unwrap();
    assert!(event_loop.run_nowait().unwrap());
    log.assert("");
    let mut written = fs::OpenOptions::new()
        .append(true)
        .open(&scratch.0)
        .unwrap();
    written.write_all(b"x").unwrap();
    assert!(event_loop.run_once().unwrap());
    log.assert("written");
    assert!(event_loop.run_nowait().unwrap());
    log.assert("");
    fs::remove_file(&scratch.0).unwrap();
    drop(written);
    assert!(event_loop.run_once().unwrap());
    log.assert("deleted");
    assert!(handle.clear(id));
    assert!(!event_loop.run().unwrap());
}

#[test]
fn a_watched_file_cleared_in_its_callback_is_closed_and_not_reported_again() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let scratch = Scratch::new("clear");
    let file = Rc::new(File::open(&scratch.0).unwrap());
    let own = Rc::new(Cell::new(None));
    let (id, told, path) = (Rc::clone(&own), log.clone(), scratch.0.clone());
    let changed = move |handle: &Handle, _: &Rc<File>, _| {
        told.push("changed");
        fs::write(&path, "again").unwrap();
        assert!(handle.clear(id.get().unwrap()));
    };
    let watched = Rc::clone(&file);
    own.set(Some(
        handle
            .on_change(watched, FileChange::WRITTEN, changed)
            .unwrap(),
    ));
    fs::write(&scratch.0, "once").unwrap();
    assert!(!event_loop.run().unwrap());
    log.assert("changed");
    assert_eq!(Rc::strong_count(&file), 1);
}

#[test]
fn l54_a_watched_file_keeps_the_loop_alive_unless_it_is_not_referenced() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let scratch = Scratch::new("alive");
    let file = Rc::new(File::open(&scratch.0).unwrap());
    let never = |_: &Handle, _: &Rc<File>, _| panic!("nothing has happened");
    let watch = || {
        let file = Rc::clone(&file);
        handle.on_change(file, FileChange::WRITTEN, never)
    };
    let id = watch().unwrap();
    assert_eq!(handle.report().entries[0].kind, CallbackKind::Change);
    assert!(watch().is_err(), "it is watched already");
    assert!(event_loop.run_nowait().unwrap());
    assert!(handle.unref(id));
    assert!(!event_loop.run().unwrap());
    assert!(handle.clear(id));
    let id = watch().unwrap();
    assert!(event_loop.run_nowait().unwrap());
    assert!(handle.close(id, |_| {}));
    event_loop.handle().set_timeout(Duration::ZERO, |_| {});
    assert!(!event_loop.run().unwrap());
}

#[test]
fn l94_an_exit_is_reported_after_a_task_has_read_the_output_that_is_there_with_it() {
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Log::new();
    let mut child = shell("echo last words; exit 6");
    let input = child.stdin.take();
    let output = File::from(OwnedFd::from(child.stdout.take().unwrap()));
    set_nonblocking(&output);
    let source = Source::new(&handle, output).unwrap();
    let told = log.clone();
    let read = handle.spawn(async move {
        let mut text = [0; 100];
        let read = |mut output: &File| output.read(&mut text);
        let n = source.io(Direction::Read, read).await.unwrap();
        told.push(std::str::from_utf8(&text[..n]).unwrap().trim());
    });
    read.detach();
    let pid = child.id();
    handle.on_exit(child, says_code(&log)).unwrap();
    // The task waits for the output, and the loop is busy until the child has ended.
    handle.set_immediate(move |_| {
        let watcher = Poll::new().unwrap();
        watcher.register_process(pid, Token(0)).unwrap();
        drop(input);
        watcher
            .poll(&mut Events::with_capacity(1), Some(LIMIT))
            .unwrap();
    });
    assert!(!event_loop.run().unwrap());
    log.assert("last words exit6");
}
