//! Which rules have a test, and why the others have none.
//!
//! A test bears the numbers of its rules: `l61_…` is one of L61, a law of event loops, and `q22_…` one
//! of Q22, a quirk of a kernel; `l66_q84_…` is one of both. This looks through the sources that have
//! tests; a new file of tests is added to [`SOURCES`].

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

/// The rules that are about sockets.
const RULES: [(char, RangeInclusive<u16>); 8] = [
    ('L', 60..=68),
    ('L', 86..=86),
    ('L', 95..=99),
    ('L', 102..=102),
    ('L', 104..=104),
    ('L', 107..=107),
    ('Q', 22..=44),
    ('Q', 83..=85),
];

/// The files in which tests are.
const SOURCES: &[&str] = &[
    include_str!("../src/write.rs"),
    include_str!("allocations.rs"),
    include_str!("bytes.rs"),
    include_str!("close.rs"),
    include_str!("connect.rs"),
    include_str!("connections.rs"),
    include_str!("cores.rs"),
    include_str!("datagram.rs"),
    include_str!("ends.rs"),
    include_str!("fairness.rs"),
    include_str!("faults.rs"),
    include_str!("idle.rs"),
    include_str!("injected.rs"),
    include_str!("lifetime.rs"),
    include_str!("listener.rs"),
    include_str!("options.rs"),
    include_str!("pipe.rs"),
    include_str!("serve.rs"),
    include_str!("serve_signals.rs"),
    include_str!("serving.rs"),
    include_str!("shutdown.rs"),
    include_str!("stream.rs"),
    include_str!("unix.rs"),
    include_str!("waiters.rs"),
];

/// A rule: its letter and its number.
type Rule = (char, u16);

/// The rules without a test.
const NOT_COVERED: &[(Rule, &str)] = &[
    (
        ('Q', 34),
        "it is about systems that this crate does not know",
    ),
    (
        ('Q', 36),
        "a FIFO with a name is opened by its user, as a Stream; that of macOS has no end",
    ),
    (('Q', 37), "as Q36; this crate makes pipes without names"),
    (
        ('Q', 38),
        "as Q36; a pipe that this crate makes has had a writer",
    ),
];

/// The rules whose numbers a test bears.
fn rules_of(mut name: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    while let Some((number, rest)) = name.split_once('_') {
        let (letter, digits) = number.split_at(number.len().min(1));
        let (Some(letter), Ok(digits)) = (letter.chars().next(), digits.parse()) else {
            break;
        };
        if !"lq".contains(letter) {
            break;
        }
        rules.push((letter.to_ascii_uppercase(), digits));
        name = rest;
    }
    rules
}

/// How many tests each rule has.
fn tests() -> BTreeMap<Rule, usize> {
    let mut tests = BTreeMap::new();
    let names = SOURCES
        .iter()
        .flat_map(|source| source.split("#[test]").skip(1))
        .filter_map(|test| test.split_once("fn "));
    for rule in names.flat_map(|(_, name)| rules_of(name)) {
        *tests.entry(rule).or_default() += 1;
    }
    tests
}

#[test]
fn every_rule_has_a_test_or_a_reason_for_having_none() {
    let tests = tests();
    let excused: BTreeSet<Rule> = NOT_COVERED.iter().map(|&(rule, _)| rule).collect();
    assert_eq!(excused.len(), NOT_COVERED.len(), "a rule is listed twice");

    let rules = RULES
        .into_iter()
        .flat_map(|(letter, numbers)| numbers.map(move |number| (letter, number)));
    let (covered, others): (Vec<Rule>, Vec<Rule>) =
        rules.partition(|rule| tests.contains_key(rule));
    let others: BTreeSet<Rule> = others.into_iter().collect();
    let missing: Vec<&Rule> = others.difference(&excused).collect();
    assert!(missing.is_empty(), "rules without a test: {missing:?}");
    let needless: Vec<&Rule> = excused.difference(&others).collect();
    assert!(needless.is_empty(), "excused, but tested: {needless:?}");

    let count: usize = covered.iter().map(|rule| tests[rule]).sum();
    println!(
        "{} of {} rules are covered, by {count} tests; not covered are",
        covered.len(),
        covered.len() + others.len()
    );
    for ((letter, number), reason) in NOT_COVERED {
        println!("  {letter}{number}: {reason}");
    }
}
