//! The example `virtual_time`.

use crate::program::Program;

/// Its own tests run with those of this package.
#[expect(dead_code, reason = "its `main` runs as a program")]
#[path = "../../virtual_time.rs"]
mod example;

#[test]
fn virtual_time_runs_through_an_hour_the_same_way_each_time() {
    let end = Program::start("virtual_time", &[]).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.errors, "");
    let (real, lines) = end.lines.split_last().unwrap();
    assert!(real.starts_with("real time: "), "{real}");
    assert!(lines.is_sorted(), "{lines:?}");
    assert_eq!(lines[0], "00:00:00  attempt 1");
    assert_eq!(lines[16], "00:47:03  attempt 14");
    assert_eq!(*lines.last().unwrap(), "01:00:00  not done within 3600s");

    let again = Program::start("virtual_time", &[]).end();
    assert_eq!(again.lines.split_last().unwrap().1, lines);
}
