//! Each rule has a test, or a reason for having none.
//!
//! A test has the number of its rule in its name: `l16_…` is a test of rule L16. This file searches the
//! sources with tests; add a new file of tests to [`SOURCES`].

use std::collections::{BTreeMap, BTreeSet};

/// The rules are numbered from L1.
const LAST_RULE: u16 = 107;

/// The files in which tests are.
const SOURCES: &[&str] = &[
    include_str!("../src/clock.rs"),
    include_str!("../src/alarm.rs"),
    include_str!("../src/timers.rs"),
    include_str!("../src/wakers.rs"),
    include_str!("allocations.rs"),
    include_str!("blocking.rs"),
    include_str!("children.rs"),
    include_str!("clocks.rs"),
    include_str!("closing.rs"),
    include_str!("many_events.rs"),
    include_str!("embedding.rs"),
    include_str!("ends.rs"),
    include_str!("entry.rs"),
    include_str!("fairness.rs"),
    include_str!("futures.rs"),
    include_str!("golden.rs"),
    include_str!("join_set.rs"),
    include_str!("lifetime.rs"),
    include_str!("limits.rs"),
    include_str!("meter.rs"),
    include_str!("order.rs"),
    include_str!("programs.rs"),
    include_str!("remote.rs"),
    include_str!("sandboxes.rs"),
    include_str!("signals.rs"),
    include_str!("sleeps.rs"),
    include_str!("source.rs"),
    include_str!("tasks.rs"),
    include_str!("timeline.rs"),
    include_str!("timeline_files.rs"),
    include_str!("timers.rs"),
    include_str!("tracing.rs"),
    include_str!("wakers.rs"),
    include_str!("watch.rs"),
];

/// The rules without a test.
const NOT_COVERED: &[(u16, &str)] = &[
    (15, "there are no hooks: no prepare, check or idle handles"),
    (
        27,
        "a test cannot suspend the machine; Clock::real says what happens",
    ),
    (
        31,
        "a period cannot be changed: an interval is cleared, and another set",
    ),
    (
        58,
        "a loop cannot be run by its own callbacks: they have no EventLoop",
    ),
    (63, "accepting is nio-net's"),
    (64, "accepting is nio-net's"),
    (65, "the errors of sockets are nio-net's"),
    (66, "SIGPIPE is nio-net's"),
    (67, "shutting down is nio-net's"),
    (68, "the end of a stream is nio-net's"),
    (
        73,
        "handlers of signals have no place in a program with on_signal; a wake takes a lock",
    ),
    (85, "there is no select"),
    (
        102,
        "whether a short count proves something is nio-net's to know",
    ),
    (103, "the descriptors that children are given are nio-net's"),
    (104, "idle limits are nio-net's"),
    (107, "the end of writing is nio-net's"),
];

/// How many tests each rule has.
fn tests() -> BTreeMap<u16, usize> {
    let mut tests = BTreeMap::new();
    let functions = SOURCES
        .iter()
        .flat_map(|source| source.split("fn l").skip(1));
    for name in functions {
        let digits = name.split('_').next().unwrap_or_default();
        if let Ok(rule) = digits.parse() {
            *tests.entry(rule).or_default() += 1;
        }
    }
    tests
}

#[test]
fn every_file_of_tests_is_looked_through() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    // Where the tests run without their sources, there is nothing to be compared.
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let known = SOURCES.contains(&&*source) || path.ends_with("coverage.rs");
            assert!(known, "{} is not in the list", path.display());
        }
    }
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

    println!(
        "{} of {LAST_RULE} rules are covered, by {} tests; not covered are",
        tests.len(),
        tests.values().sum::<usize>()
    );
    for (rule, reason) in NOT_COVERED {
        println!("  L{rule}: {reason}");
    }
}
