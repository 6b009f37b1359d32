//! Checks that each rule has a test or a reason for having none.
//!
//! The name of a test begins with the number of its rule: `k45_…` is a test of rule K45. The files with tests
//! are listed in [`SOURCES`]; add a new file there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// The rules are numbered from K1.
const LAST_RULE: u16 = 244;

/// The files with tests.
const SOURCES: &[&str] = &[
    include_str!("arguments.rs"),
    include_str!("closing.rs"),
    include_str!("counts.rs"),
    include_str!("delivery.rs"),
    include_str!("descriptors.rs"),
    include_str!("file_identity.rs"),
    include_str!("exit_status.rs"),
    include_str!("files.rs"),
    include_str!("fork.rs"),
    include_str!("interruption.rs"),
    include_str!("knotes.rs"),
    include_str!("marks.rs"),
    include_str!("old_kernels.rs"),
    include_str!("pipes.rs"),
    include_str!("process.rs"),
    include_str!("queue.rs"),
    include_str!("receipts.rs"),
    include_str!("refused.rs"),
    include_str!("signal.rs"),
    include_str!("signal_chain.rs"),
    include_str!("sandboxes.rs"),
    include_str!("sockets.rs"),
    include_str!("timer.rs"),
    include_str!("user.rs"),
    include_str!("vnode.rs"),
];

/// The rules without a test.
const NOT_COVERED: &[(u16, &str)] = &[
    (
        6,
        "a wait borrows the queue, so it cannot be closed meanwhile",
    ),
    (21, "a Duration is always a valid time"),
    (28, "a Kqueue is always a queue"),
    (29, "lengths of slices are not negative"),
    (81, "only FreeBSD has EV_FORCEONESHOT"),
    (130, "only DragonFly has EV_NODATA and EV_HUP"),
    (144, "no device is known that every system refuses"),
    (
        188,
        "setting the clock of the system needs root, and disturbs other programs",
    ),
    (193, "leeway is in a structure that this crate does not use"),
    (194, "a test cannot suspend the machine"),
    (
        217,
        "a test cannot make the kernel give out a process id again",
    ),
    (221, "the test needs a second user"),
    (
        244,
        "the fallback of the waker is part of nio-poll, and tested there",
    ),
];

/// How many tests each rule has.
fn tests() -> BTreeMap<u16, usize> {
    let mut tests = BTreeMap::new();
    for name in SOURCES
        .iter()
        .flat_map(|source| source.split("fn k").skip(1))
    {
        let digits = name.split('_').next().unwrap_or_default();
        if let Ok(rule) = digits.parse() {
            *tests.entry(rule).or_default() += 1;
        }
    }
    tests
}

#[test]
fn every_rule_has_a_test_or_a_reason_for_having_none() {
    let tests = tests();
    let excused: BTreeSet<u16> = NOT_COVERED.iter().map(|&(rule, _)| rule).collect();
    assert_eq!(excused.len(), NOT_COVERED.len(), "a rule is listed twice");

    let missing: Vec<u16> = (1..=LAST_RULE)
        .filter(|rule| !tests.contains_key(rule) && !excused.contains(rule))
        .collect();
    assert!(missing.is_empty(), "rules without a test: {missing:?}");

    let needless: Vec<&u16> = excused
        .iter()
        .filter(|&rule| tests.contains_key(rule))
        .collect();
    assert!(needless.is_empty(), "excused, but tested: {needless:?}");

    let unknown: Vec<&u16> = tests
        .keys()
        .filter(|rule| !(1..=LAST_RULE).contains(*rule))
        .collect();
    assert!(unknown.is_empty(), "there are no such rules: {unknown:?}");

    // Not println!, which only a failed test shows.
    let mut out = io::stdout().lock();
    let (covered, count) = (tests.len(), tests.values().sum::<usize>());
    writeln!(
        out,
        "\n{covered} of {LAST_RULE} rules are covered, by {count} tests; not covered are"
    )
    .unwrap();
    for (rule, reason) in NOT_COVERED {
        writeln!(out, "  K{rule}: {reason}").unwrap();
    }
}
