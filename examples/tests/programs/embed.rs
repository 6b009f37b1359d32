//! The example `embed`.

use crate::program::{End, Program};

/// How often it prints a line.
fn count(end: &End, text: &str) -> usize {
    end.lines.iter().filter(|line| *line == text).count()
}

fn check(end: &End) {
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.errors, "");
    assert_eq!(
        end.lines.last().unwrap(),
        "outer  nio has nothing left to do"
    );
    let ticks = end.lines.iter().filter(|line| line.contains("tick, "));
    let expected: Vec<String> = (0..5)
        .rev()
        .map(|left| format!("nio    tick, {left} left"))
        .collect();
    assert!(ticks.eq(&expected), "{end:?}");
    // The outer loop wakes up before each thing that nio does.
    assert!(end.lines[0].starts_with("outer"), "{end:?}");
}

#[test]
fn embed_ends_when_the_inner_loop_has_nothing_left_to_do() {
    // The input ends at once, and the end is noticed once.
    let end = Program::start("embed", &[]).end();
    check(&end);
    assert_eq!(
        count(&end, "outer  there is something to read"),
        1,
        "{end:?}"
    );
    assert!(count(&end, "outer  the deadline has come") >= 1, "{end:?}");
}

#[test]
fn embed_passes_typed_lines_to_the_inner_loop() {
    let end = Program::start_with_input("embed", "one\ntwo\n").end();
    check(&end);
    for line in ["one", "two"] {
        assert_eq!(
            count(&end, &format!("nio    half a second ago: {line}")),
            1,
            "{end:?}"
        );
    }
}

#[test]
fn embed_is_woken_by_the_post_of_another_thread() {
    // On a busy machine the post may come while the loop is awake, but not each time.
    let woken = (0..5).any(|_| {
        let end = Program::start("embed", &[]).end();
        check(&end);
        assert_eq!(
            count(&end, "nio    a message from another thread"),
            1,
            "{end:?}"
        );
        count(&end, "outer  the descriptor of nio is readable") > 0
    });
    assert!(woken);
}
