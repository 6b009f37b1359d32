//! The examples `timers` and `timer_heap`, which end by themselves.

use crate::program::Program;

#[test]
fn timers_ticks_until_it_has_nothing_to_wait_for() {
    let end = Program::start("timers", &[]).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.errors, "");
    let said: Vec<(u64, &str)> = end
        .lines
        .iter()
        .map(|line| line.split_once(" ms  ").unwrap())
        .map(|(ms, text)| (ms.trim().parse().unwrap(), text))
        .collect();
    assert!(said.is_sorted_by_key(|&(ms, _)| ms), "{said:?}");

    let (&[(_, begin), ref ticks @ .., (ms, done), (_, end)], true) = (&said[..], said.len() > 3)
    else {
        panic!("{said:?}");
    };
    assert_eq!((begin, done), ("the loop begins", "clear the interval"));
    assert!(end.starts_with("the loop has ended"), "{end}");
    assert!(ms >= 450);
    // Four ticks, unless the machine is so busy that one is skipped.
    assert!((1..=4).contains(&ticks.len()), "{said:?}");
    for (i, &(ms, text)) in ticks.iter().enumerate() {
        assert_eq!(text, "tick");
        assert!(ms >= 100 * (i as u64 + 1), "{said:?}");
    }
}

#[test]
fn timer_heap_ends_with_the_report_of_a_day() {
    let end = Program::start("timer_heap", &[]).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.errors, "");
    let number = |name: &str| -> u32 {
        let line = end.lines.iter().find(|line| line.trim().starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().last());
        number.unwrap().parse().unwrap()
    };
    assert!(number("served") > 0);
    assert_eq!(number("customers"), number("served") + number("gave up"));
    assert!(end.lines.last().unwrap().starts_with("doors closed at"));

    // Every run is the same.
    assert_eq!(Program::start("timer_heap", &[]).end().lines, end.lines);
}
