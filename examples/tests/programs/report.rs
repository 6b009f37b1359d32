//! The example `report`, which prints why its loop does not end.

use crate::program::{End, Program};

const SOURCE: &str = include_str!("../../report.rs");

/// The rows of the tables: whether it keeps the loop alive, its kind, and the line of the source that made it.
fn rows(end: &End) -> Vec<(bool, &str, &str)> {
    let mut rows = Vec::new();
    for line in &end.lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [alive @ ("yes" | "no"), kind, .., place] = words[..] {
            let (_, place) = place.split_once("report.rs:").unwrap();
            let number: usize = place.split(':').next().unwrap().parse().unwrap();
            let source = SOURCE.lines().nth(number - 1).unwrap();
            rows.push((alive == "yes", kind, source.trim()));
        }
    }
    rows
}

fn check(end: &End) {
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.errors, "");
    let because = "kept alive by 3 things:";
    assert!(end.lines.iter().any(|line| line == because), "{end:?}");
    let rows = rows(end);
    let expected = [
        (true, "interval", "handle.set_interval("),
        (true, "watch", "handle.watch("),
        (true, "task", "handle.spawn("),
        (false, "signal", "handle.on_signal("),
    ];
    for (alive, kind, call) in expected {
        let found = rows
            .iter()
            .find(|row| (row.0, row.1) == (alive, kind) && row.2.contains(call));
        assert!(found.is_some(), "{kind}: {end:?}");
    }
    // Nothing in the second table keeps the loop alive.
    let second = &rows[rows.iter().rposition(|row| row.0).unwrap() + 1..];
    assert!(second.iter().all(|row| !row.0), "{end:?}");
    assert!(
        second.iter().filter(|row| row.1 == "signal").count() == 2,
        "{end:?}"
    );
}

#[test]
fn report_explains_what_keeps_it_alive_and_ends() {
    check(&Program::start("report", &[]).end());
}

#[test]
fn report_explains_itself_on_ctrl_c() {
    let mut program = Program::start("report", &[]);
    program.hear("the work is done");
    program.signal("INT");
    check(&program.end());
}
