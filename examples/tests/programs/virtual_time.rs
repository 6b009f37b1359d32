//! The example `virtual_time`.

use crate::program::Program;

/// The tests that it shows are run with those here.
#[expect(dead_code, reason = "what is not tested is run as a program")]
#[path = "../../virtual_time.rs"]
mod example;

#[test]
fn virtual_time_runs_through_an_hour_the_same_way_each_time() {
    let end = Program::start("virtual_time", &[]).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.complaints, "");
    let (truth, lines) = end.lines.split_last().unwrap();
    assert!(truth.starts_with("in truth it took "), "{truth}");
    assert!(lines.is_sorted(), "{lines:?}");
    assert_eq!(lines[0], "00:00:00  attempt 1");
    assert_eq!(lines[16], "00:47:03  attempt 14");
    assert_eq!(*lines.last().unwrap(), "01:00:00  not done within 3600s");

    let again = Program::start("virtual_time", &[]).end();
    assert_eq!(again.lines.split_last().unwrap().1, lines);
}
