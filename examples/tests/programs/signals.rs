//! The example `signals`.

use crate::program::Program;

/// Starts it and waits until it is ready.
fn ready() -> Program {
    let mut program = Program::start("signals", &[]);
    program.hear(" is ready");
    program
}

#[test]
fn signals_reloads_on_each_hangup_and_ends_on_either_signal() {
    for end in ["INT", "TERM"] {
        let mut program = ready();
        for _ in 0..3 {
            program.signal("HUP");
            program.hear("reloading");
        }
        program.signal(end);
        let end = program.end();
        assert!(end.status.success(), "{end:?}");
        assert_eq!(end.lines, ["ending after 3 reloads"]);
        assert_eq!(end.errors, "");
    }
}

#[test]
fn signals_may_be_sent_faster_than_they_are_reported() {
    let mut program = ready();
    for _ in 0..10 {
        program.signal("HUP");
    }
    program.signal("TERM");
    let end = program.end();
    assert!(end.status.success(), "{end:?}");
    let last = end.lines.last().unwrap();
    let count = last
        .strip_prefix("ending after ")
        .and_then(|rest| rest.strip_suffix(" reloads"));
    // A signal that was pending together with the last one may not be counted.
    let count: usize = count.unwrap().parse().unwrap();
    assert!(count <= 10, "{end:?}");
    assert!(end.lines.len() <= count + 1, "{end:?}");
}

#[test]
fn signals_that_it_does_not_watch_have_their_default_actions() {
    let mut program = ready();
    program.signal("USR1");
    let end = program.end();
    assert!(!end.status.success(), "{end:?}");
    assert!(end.lines.is_empty(), "{end:?}");
}
