//! Processes: each exit is reported once, with its status.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use nio_poll::{Error, Event, Events, Poll, Process, Subject, Token};

/// How long to wait for an event that must come. Far more than it takes.
const LIMIT: Duration = Duration::from_secs(20);

/// A child that runs until the end of its input, then runs `end`.
fn shell(end: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read line; {end}")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets a child end.
fn let_go(child: &mut Child) {
    drop(child.stdin.take());
}

/// The events that come within a time, or as soon as one does.
fn within(poll: &Poll, timeout: Duration) -> Vec<Event> {
    let mut events = Events::with_capacity(64);
    poll.poll(&mut events, Some(timeout)).unwrap();
    events.iter().collect()
}

/// Waits for exactly one event.
fn one(poll: &Poll) -> Event {
    let events = within(poll, LIMIT);
    assert_eq!(events.len(), 1, "{events:?}");
    events[0]
}

fn assert_silent(poll: &Poll) {
    let events = within(poll, Duration::from_millis(20));
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn an_exit_is_reported_once_with_its_status() {
    let poll = Poll::new().unwrap();
    let mut child = shell("exit 7");
    poll.register_process(child.id(), Token(3)).unwrap();
    assert_silent(&poll);
    let_go(&mut child);
    let event = one(&poll);
    assert_eq!(event.token(), Token(3));
    assert!(event.is_exit() && !event.is_timer() && !event.is_signal());
    assert!(!event.is_readable() && !event.is_writable());
    assert!(!event.is_read_closed() && !event.is_write_closed());
    assert_eq!(event.file_changes(), None);
    let status = event.exit_status().unwrap();
    assert_eq!(status.code(), Some(7));
    assert_silent(&poll);
    assert_eq!(child.wait().unwrap(), status);
}

#[test]
fn the_status_has_the_signal_that_killed_a_process() {
    let poll = Poll::new().unwrap();
    let mut child = shell("kill -TERM $$");
    poll.register_process(&child, Token(3)).unwrap();
    let_go(&mut child);
    let status = one(&poll).exit_status().unwrap();
    assert_eq!(
        (status.code(), status.signal()),
        (None, Some(libc::SIGTERM))
    );
    assert_eq!(child.wait().unwrap(), status);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_status_that_is_not_known_is_none() {
    use std::io::{BufRead, BufReader};

    // A grandchild, whose parent does not wait for it.
    let script =
        "exec 3<&0; (read line <&3; exit 4) >&- & echo $!; exec sh -c 'echo; exec sleep 60'";
    let mut parent = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let pid: u32 = lines.next().unwrap().unwrap().parse().unwrap();
    lines.next().unwrap().unwrap();
    let poll = Poll::new().unwrap();
    poll.register_process(pid, Token(3)).unwrap();
    let_go(&mut parent);
    let event = one(&poll);
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(event.is_exit());
    assert_eq!(event.exit_status(), None);
}

#[test]
fn every_child_has_its_own_token_and_status() {
    let poll = Poll::new().unwrap();
    let mut children: Vec<Child> = (0..20).map(|code| shell(&format!("exit {code}"))).collect();
    for (number, child) in children.iter().enumerate() {
        poll.register_process(child.id(), Token(number)).unwrap();
    }
    children.iter_mut().for_each(let_go);
    let mut seen = BTreeMap::new();
    while seen.len() < children.len() {
        let events = within(&poll, LIMIT);
        assert!(!events.is_empty());
        for event in events {
            let code = event.exit_status().unwrap().code();
            assert_eq!(seen.insert(event.token().0, code), None);
        }
    }
    assert!(
        seen.iter()
            .all(|(&token, &code)| code == Some(token as i32))
    );
    for mut child in children {
        child.wait().unwrap();
    }
}

#[test]
fn a_process_is_registered_once() {
    let poll = Poll::new().unwrap();
    let mut child = shell("exit 0");
    let pid = child.id();
    poll.register_process(pid, Token(3)).unwrap();
    let error = poll.register_process(pid, Token(4)).unwrap_err();
    assert!(matches!(
        error,
        Error::AlreadyRegistered { subject: Subject::Process(named), token: Token(3) }
            if named == pid
    ));
    assert_eq!(
        error.to_string(),
        format!(
            "process {pid} is already registered, with Token(3): deregister it first to change its token"
        )
    );
    let_go(&mut child);
    assert_eq!(one(&poll).token(), Token(3));
    child.wait().unwrap();
}

#[test]
fn a_child_and_its_number_are_the_same_process() {
    let poll = Poll::new().unwrap();
    let mut child = shell("exit 0");
    assert_eq!(Process::from(&child), Process::from(child.id()));
    poll.register_process(&child, Token(3)).unwrap();
    let again = poll.register_process(child.id(), Token(4));
    assert!(matches!(
        again,
        Err(Error::AlreadyRegistered {
            token: Token(3),
            ..
        })
    ));
    poll.deregister_process(&child).unwrap();
    let_go(&mut child);
    child.wait().unwrap();
}

#[test]
fn two_polls_may_watch_one_process() {
    let (first, second) = (Poll::new().unwrap(), Poll::new().unwrap());
    let mut child = shell("exit 5");
    first.register_process(child.id(), Token(1)).unwrap();
    second.register_process(child.id(), Token(2)).unwrap();
    let_go(&mut child);
    assert_eq!(one(&first).token(), Token(1));
    let event = one(&second);
    assert_eq!(event.token(), Token(2));
    assert_eq!(event.exit_status().unwrap().code(), Some(5));
    child.wait().unwrap();
}

#[test]
fn a_deregistered_process_is_not_reported() {
    let poll = Poll::new().unwrap();
    let mut child = shell("exit 0");
    poll.register_process(child.id(), Token(3)).unwrap();
    poll.deregister_process(child.id()).unwrap();
    let_go(&mut child);
    child.wait().unwrap();
    assert_silent(&poll);
}

#[test]
fn a_process_that_is_not_registered_cannot_be_deregistered() {
    let poll = Poll::new().unwrap();
    let error = poll.deregister_process(1).unwrap_err();
    let subject = Subject::Process(1);
    assert!(matches!(error, Error::NotRegistered { subject: named } if named == subject));
    assert_eq!(error.to_string(), "process 1 is not registered");
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::NotFound);
}

#[test]
fn a_process_that_has_exited_may_be_deregistered() {
    let poll = Poll::new().unwrap();
    let mut child = shell("exit 0");
    poll.register_process(child.id(), Token(3)).unwrap();
    let_go(&mut child);
    one(&poll);
    poll.deregister_process(child.id()).unwrap();
    assert!(poll.deregister_process(child.id()).is_err());
    child.wait().unwrap();
}

#[test]
fn a_process_that_does_not_exist_is_refused() {
    let poll = Poll::new().unwrap();
    let mut child = shell("exit 0");
    child.kill().unwrap();
    child.wait().unwrap();
    for pid in [child.id(), i32::MAX as u32, u32::MAX] {
        let error = poll.register_process(pid, Token(3)).unwrap_err();
        assert!(matches!(
            &error,
            Error::Refused { subject: Subject::Process(named), source }
                if *named == pid && source.raw_os_error() == Some(libc::ESRCH)
        ));
        let said = error.to_string();
        assert!(said.starts_with(&format!("process {pid} cannot be registered: ")));
        assert!(poll.deregister_process(pid).is_err());
    }
}

#[test]
fn a_zombie_is_reported_at_once_or_refused() {
    let poll = Poll::new().unwrap();
    let mut child = shell("exit 9");
    poll.register_process(child.id(), Token(3)).unwrap();
    let_go(&mut child);
    one(&poll);
    // It has exited and was not waited for.
    match poll.register_process(child.id(), Token(4)) {
        Ok(()) => {
            let event = one(&poll);
            assert_eq!(event.token(), Token(4));
            assert_eq!(event.exit_status().unwrap().code(), Some(9));
        }
        Err(Error::Refused { source, .. }) => {
            assert_eq!(source.raw_os_error(), Some(libc::ESRCH));
        }
        Err(error) => panic!("{error}"),
    }
    child.wait().unwrap();
}

#[test]
fn an_exit_wakes_a_thread_that_waits() {
    let poll = Poll::new().unwrap();
    let mut child = shell("exit 0");
    poll.register_process(child.id(), Token(3)).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut events = Events::with_capacity(4);
            poll.poll(&mut events, None).unwrap()
        });
        let_go(&mut child);
        assert_eq!(waiter.join().unwrap(), 1);
    });
    child.wait().unwrap();
}
