//! The exercises: what a reader's program must print, and that the solution does.
//!
//! `cargo test -p nio-guide --test exercises -- --ignored exercise_02` tries what the reader wrote.

use std::{
    env,
    process::{Command, Stdio},
};

/// What a program prints.
fn output(name: &str) -> String {
    let this = env::current_exe().unwrap();
    let folders = this.ancestors().skip(1).take(2);
    let path = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    let path = path.unwrap_or_else(|| panic!("there is no program {name}"));
    let output = Command::new(path).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A test of the reader's program, and one of the solution.
macro_rules! exercises {
    ($($exercise:ident $solution:ident: $check:expr;)*) => {$(
        #[test]
        #[ignore = "the reader's"]
        fn $exercise() {
            let number = stringify!($exercise).rsplit('_').next().unwrap();
            let check: fn(&str) = $check;
            check(&output(&format!("ch{number}_exercise")));
        }

        #[test]
        fn $solution() {
            let number = stringify!($solution).rsplit('_').next().unwrap();
            let check: fn(&str) = $check;
            check(&output(&format!("ch{number}_solution")));
        }
    )*};
}

exercises! {
    exercise_00 solution_00: |output| assert_eq!(output, "client 2 reads hello?\n");
    exercise_01 solution_01: |output| assert_eq!(output, "would block\n1 byte\nthe end\n");
    exercise_02 solution_02: |output| assert_eq!(output, "socket 2\nsocket 1\n");
    exercise_03 solution_03: |output| assert_eq!(output, "never early\n");
    exercise_04 solution_04: |output| assert_eq!(output, "socket 2 is refused\n0 events\n");
    exercise_05 solution_05: |output| assert_eq!(output, "1 event, 5 bytes\n");
    exercise_06 solution_06: |output| assert_eq!(output, "no room\nroom again\n");
    exercise_07 solution_07: |output| assert_eq!(output, "10 23 36 49\n10 20 30 40\n");
    exercise_08 solution_08: |output| assert_eq!(output, "timeout A in turn 2\n");
    exercise_09 solution_09: |output| assert_eq!(output, "499999500000\nthe interval ran\n");
    exercise_10 solution_10: |output| assert_eq!(output, "1000\n");
    exercise_11 solution_11: |output| assert_eq!(output.trim(), "A1 B1 A2 B2");
    exercise_12 solution_12: |output| assert_eq!(output, "10 ms\n");
    exercise_13 solution_13: |output| assert_eq!(output, "more than 1000 bytes\n");
    exercise_14 solution_14: |output| assert_eq!(output, "6\n");
    exercise_15 solution_15: |output| assert_eq!(output, "2 at once\n");
    exercise_16 solution_16: |output| assert_eq!(output, "2 events\n");
    exercise_17 solution_17: |output| assert_eq!(output, "1 wait, 1 read\n");
    exercise_18 solution_18: |output| assert_eq!(output, "3 nights, 24 hours\n");
}
