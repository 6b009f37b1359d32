//! The example `children`, which ends by itself.

use crate::program::Program;

#[test]
fn children_prints_how_each_child_has_ended() {
    let end = Program::start("children", &[]).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.errors, "");
    assert_eq!(end.lines.last().unwrap(), "all children have ended");
    let is_report = |line: &&String| line.contains("child ") && line.contains(": ");
    let lines: Vec<&String> = end.lines.iter().filter(is_report).collect();
    assert_eq!(lines.len(), 10, "{end:?}");
    for number in 0..10 {
        let expected = match number {
            0..8 => format!("child {number}: exit status: {number}"),
            _ => format!("child {number}: signal: 15"),
        };
        let of_it = lines.iter().filter(|line| line.contains(&expected));
        assert_eq!(of_it.count(), 1, "{expected:?}: {end:?}");
    }
}

#[test]
fn children_are_printed_in_the_order_in_which_they_end() {
    let end = Program::start("children", &[]).end();
    let times: Vec<u64> = end
        .lines
        .iter()
        .filter_map(|line| line.split_once(" ms  child "))
        .map(|(ms, _)| ms.trim().parse().unwrap())
        .collect();
    assert!(times.is_sorted(), "{end:?}");
    // The first child sleeps for the longest time.
    let first = end.lines.iter().find_map(|line| {
        let (ms, rest) = line.split_once(" ms  ")?;
        rest.starts_with("child 0: ").then(|| ms.trim().parse())
    });
    assert!(first.unwrap().is_ok_and(|ms: u64| ms >= 900), "{end:?}");
}
