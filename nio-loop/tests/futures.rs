//! Signals, exits of children and changes of files, as futures.
//!
//! Signals belong to a process, so tests of them run in one of their own.

mod support;

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    pin::pin,
    process::{Child, Command, Stdio},
    sync::Arc,
    task::Poll,
};

use nio_loop::{CallbackKind, Error, EventLoop, FileChange, Signal};
use support::{Wakes, event_loop, in_child, ms, poll_with};

/// Sends a signal to this process. This thread has handled it when this returns.
fn send(signal: Signal) {
    // SAFETY: no pointer is passed.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal.as_raw()) }, 0);
}

/// Sets the action of a signal to the default, or to ignoring it. Returns the old action.
fn set_action(signal: Signal, action: libc::sighandler_t) -> libc::sighandler_t {
    // SAFETY: neither action is a handler.
    unsafe { libc::signal(signal.as_raw(), action) }
}

#[test]
fn signals_that_come_while_nothing_waits_are_kept() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let mut signals = handle.signals(Signal::USER_1).unwrap();
        let told = event_loop.block_on(async {
            send(Signal::USER_1);
            handle.next_turn().await;
            send(Signal::USER_1);
            handle.next_turn().await;
            let told = signals.next().await.unwrap();
            send(Signal::USER_1);
            (told, signals.next().await.unwrap())
        });
        assert_eq!(told.unwrap(), (2, 1));
    });
}

#[test]
fn l106_every_listener_of_a_signal_gets_it() {
    in_child(|| {
        // Programs that nohup(1) starts inherit an ignored SIGHUP.
        set_action(Signal::HANGUP, libc::SIG_DFL);
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let mut first = handle.signals(Signal::HANGUP).unwrap();
        let mut second = handle.signals(Signal::HANGUP).unwrap();
        let told = event_loop.block_on(async {
            send(Signal::HANGUP);
            let told = (first.next().await.unwrap(), second.next().await.unwrap());
            drop(first);
            send(Signal::HANGUP);
            (told, second.next().await.unwrap())
        });
        assert_eq!(told.unwrap(), ((1, 1), 1));
        drop(second);
        assert_eq!(set_action(Signal::HANGUP, libc::SIG_IGN), libc::SIG_DFL);
    });
}

#[test]
fn l106_listening_keeps_no_loop_alive_but_a_task_that_awaits_it_does() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let mut signals = handle.signals(Signal::USER_2).unwrap();
        assert!(!event_loop.run().unwrap());
        let task = handle.spawn(async move { signals.next().await.unwrap() });
        assert!(event_loop.run_nowait().unwrap());
        send(Signal::USER_2);
        assert!(!event_loop.run().unwrap());
        assert_eq!(event_loop.block_on(task).unwrap().unwrap(), 1);
    });
}

#[test]
fn l96_a_wait_for_a_signal_that_is_dropped_leaves_nothing_and_loses_nothing() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let mut signals = handle.signals(Signal::QUIT).unwrap();
        let wakes = Arc::new(Wakes::default());
        {
            let mut next = pin!(signals.next());
            assert!(poll_with(&wakes, next.as_mut()).is_pending());
            assert!(poll_with(&wakes, next.as_mut()).is_pending());
            send(Signal::QUIT);
            event_loop.run_nowait().unwrap();
            assert_eq!(wakes.count(), 1);
        }
        assert_eq!(Arc::strong_count(&wakes), 1);
        let mut next = pin!(signals.next());
        let told = poll_with(&wakes, next.as_mut());
        assert!(matches!(told, Poll::Ready(Ok(1))));
    });
}

#[test]
fn l105_waiting_for_a_signal_fails_when_the_loop_ends() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let mut kept = handle.signals(Signal::QUIT).unwrap();
        send(Signal::QUIT);
        event_loop.run_nowait().unwrap();
        let mut waits = handle.signals(Signal::QUIT).unwrap();
        let wakes = Arc::new(Wakes::default());
        let mut next = pin!(waits.next());
        assert!(poll_with(&wakes, next.as_mut()).is_pending());
        drop(event_loop);
        assert_eq!(wakes.count(), 1);
        let told = poll_with(&wakes, next.as_mut());
        assert!(matches!(told, Poll::Ready(Err(Error::Closed))));
        let told = poll_with(&wakes, pin!(kept.next()));
        assert!(matches!(told, Poll::Ready(Ok(1))), "it came before");
        let told = poll_with(&wakes, pin!(kept.next()));
        assert!(matches!(told, Poll::Ready(Err(Error::Closed))));
        assert!(matches!(handle.signals(Signal::QUIT), Err(Error::Closed)));
    });
}

#[test]
fn ctrl_c_is_listened_to_from_the_call_until_it_comes() {
    in_child(|| {
        // Programs that a shell starts in the background inherit an ignored SIGINT.
        set_action(Signal::INTERRUPT, libc::SIG_DFL);
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let ctrl_c = handle.ctrl_c();
        let dropped = handle.ctrl_c();
        send(Signal::INTERRUPT);
        event_loop.block_on(ctrl_c).unwrap().unwrap();
        send(Signal::INTERRUPT); // the other one listens
        drop(dropped);
        assert_eq!(set_action(Signal::INTERRUPT, libc::SIG_IGN), libc::SIG_DFL);
    });
}

#[test]
fn the_error_of_a_signal_that_cannot_be_caught_gives_advice() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let kill = Signal::from_raw(libc::SIGKILL);
    let error = handle.signals(kill).unwrap_err();
    assert!(error.to_string().contains("SIGTERM"), "{error}");
    let error = handle
        .on_signal(Signal::from_raw(0), |_, _| {})
        .unwrap_err();
    assert!(
        error.to_string().contains("no signal of this system"),
        "{error}"
    );
    let kind = std::io::Error::from(error).kind();
    assert_eq!(kind, std::io::ErrorKind::InvalidInput);
}

/// A child that runs until the end of its input, and then runs a shell command.
fn shell(end: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read line; {end}")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_child_is_waited_for_as_often_as_asked() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let mut child = shell("exit 7");
        for _ in 0..2 {
            let status = event_loop.block_on(handle.wait(&mut child)).unwrap();
            assert_eq!(status.unwrap().code(), Some(7));
        }
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(7));
    });
}

#[test]
fn many_children_are_waited_for_at_once() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let tasks: Vec<_> = (0..20)
            .map(|code| {
                let handle = handle.clone();
                handle.clone().spawn(async move {
                    let mut child = shell(&format!("exit {code}"));
                    handle.wait(&mut child).await.unwrap().code()
                })
            })
            .collect();
        event_loop.run().unwrap();
        for (code, task) in (0..).zip(tasks) {
            assert_eq!(event_loop.block_on(task).unwrap().unwrap(), Some(code));
        }
    });
}

#[test]
fn l96_a_wait_for_a_child_that_is_dropped_leaves_nothing() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let wakes = Arc::new(Wakes::default());
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        for _ in 0..3 {
            let mut wait = pin!(handle.wait(&mut child));
            assert!(poll_with(&wakes, wait.as_mut()).is_pending());
            assert!(poll_with(&wakes, wait.as_mut()).is_pending());
            let exits = |entry: &&nio_loop::ReportEntry| entry.kind == CallbackKind::Exit;
            let report = handle.report();
            let exit = report.entries.iter().find(exits).unwrap();
            assert_eq!((exit.referenced, exit.place.file()), (false, file!()));
        }
        assert_eq!(Arc::strong_count(&wakes), 1);
        assert_eq!(handle.report().entries.len(), 1, "the watchdog");
        child.kill().unwrap();
        let status = event_loop.block_on(handle.wait(&mut child)).unwrap();
        assert!(!status.unwrap().success());
    });
}

#[test]
fn a_child_that_takes_too_long_can_be_killed() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let status = event_loop.block_on(async {
            let limit = handle.timeout(ms(1), handle.wait(&mut child)).await;
            assert!(limit.is_err());
            child.kill().unwrap();
            handle.wait(&mut child).await.unwrap()
        });
        assert!(!status.unwrap().success());
    });
}

#[test]
fn l99_a_child_whose_loop_ends_is_still_there() {
    in_child(|| {
        let event_loop = event_loop();
        let handle = event_loop.handle();
        let wakes = Arc::new(Wakes::default());
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        {
            let mut wait = pin!(handle.wait(&mut child));
            assert!(poll_with(&wakes, wait.as_mut()).is_pending());
            drop(event_loop);
            assert_eq!(wakes.count(), 1);
            let told = poll_with(&wakes, wait.as_mut());
            assert!(matches!(told, Poll::Ready(Err(Error::Closed))));
        }
        let told = poll_with(&wakes, pin!(handle.wait(&mut child)));
        assert!(matches!(told, Poll::Ready(Err(Error::Closed))));
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn l92_an_unknown_status_of_a_child_is_not_a_success() {
    in_child(|| {
        let signal = Signal::CHILD;
        set_action(signal, libc::SIG_IGN);
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let mut child = shell("exit 5");
        match event_loop.block_on(handle.wait(&mut child)).unwrap() {
            Ok(status) => assert!(!status.success()),
            Err(error) => assert!(matches!(error, Error::Poll(_)), "{error}"),
        }
    });
}

#[test]
fn l95_a_task_that_waits_again_and_again_for_a_child_that_has_exited_gives_way() {
    in_child(|| {
        let mut event_loop = event_loop();
        let handle = event_loop.handle();
        let mut child = shell("exit 0");
        let waiting = async {
            loop {
                handle.wait(&mut child).await.unwrap();
            }
        };
        let limit = event_loop.block_on(handle.timeout(ms(1), waiting));
        let elapsed: Result<(), _> = limit.unwrap();
        assert!(elapsed.is_err());
    });
}

fn temporary_file(name: &str) -> (PathBuf, File) {
    let name = format!("nio-loop-{name}-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = File::create(&path).unwrap();
    (path, file)
}

#[test]
fn changes_that_come_while_nothing_waits_are_kept_as_one() {
    let (path, mut file) = temporary_file("changes");
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let which = FileChange::WRITTEN | FileChange::DELETED;
    let mut changes = handle.changes(File::open(&path).unwrap(), which).unwrap();
    assert!(!event_loop.run().unwrap(), "it keeps no loop alive");
    let told = event_loop.block_on(async {
        file.write_all(b"x").unwrap();
        let first = changes.next().await.unwrap();
        file.write_all(b"x").unwrap();
        handle.next_turn().await;
        fs::remove_file(&path).unwrap();
        drop(file);
        let mut told = FileChange::empty();
        while !told.contains(FileChange::DELETED) {
            told |= changes.next().await.unwrap();
        }
        (first, told)
    });
    let (first, told) = told.unwrap();
    assert_eq!(first, FileChange::WRITTEN);
    assert!(told.contains(FileChange::WRITTEN), "{told:?}");
}

#[test]
fn l99_a_file_that_cannot_be_watched_is_given_back() {
    let (path, mut file) = temporary_file("given-back");
    let event_loop = event_loop();
    let handle = event_loop.handle();
    drop(event_loop);
    let refused = handle.changes(File::open(&path).unwrap(), FileChange::WRITTEN);
    let refused = refused.unwrap_err();
    assert!(matches!(refused.error, Error::Closed));
    file.write_all(b"there").unwrap();
    assert_eq!(std::io::read_to_string(refused.value).unwrap(), "there");
    fs::remove_file(&path).unwrap();
}

#[test]
fn l96_a_wait_for_changes_that_is_dropped_leaves_nothing() {
    let (path, _file) = temporary_file("dropped");
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let file = std::rc::Rc::new(File::open(&path).unwrap());
    let wakes = Arc::new(Wakes::default());
    let mut changes = handle
        .changes(std::rc::Rc::clone(&file), FileChange::WRITTEN)
        .unwrap();
    {
        let mut next = pin!(changes.next());
        assert!(poll_with(&wakes, next.as_mut()).is_pending());
    }
    assert_eq!(Arc::strong_count(&wakes), 1);
    drop(changes);
    assert_eq!(std::rc::Rc::strong_count(&file), 1);
    assert!(handle.report().entries.is_empty());
    fs::remove_file(&path).unwrap();
}
