//! The example `blocking`.

use std::{env, fs, process};

use crate::program::Program;

/// When a line was said.
fn milliseconds(line: &str) -> u64 {
    line.split_once(" ms  ").unwrap().0.trim().parse().unwrap()
}

#[test]
fn blocking_goes_on_while_others_compute() {
    let end = Program::start("blocking", &[]).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.complaints, "");
    let times: Vec<u64> = end.lines.iter().map(|line| milliseconds(line)).collect();
    assert!(times.is_sorted(), "{end:?}");

    let sums = end.lines.iter().filter(|line| line.ends_with("of zeros"));
    let mut sums: Vec<&str> = sums.map(|line| line.split("  ").last().unwrap()).collect();
    assert_eq!(sums.len(), 6, "{end:?}");
    sums.dedup();
    assert_eq!(sums.len(), 1, "{end:?}");
    assert!(
        end.lines
            .iter()
            .any(|line| line.contains("nio-blocking  localhost is ")),
        "{end:?}"
    );

    // The faster the machine, the less there is to be seen of it.
    let there = end
        .lines
        .iter()
        .filter(|line| line.contains("the loop is there"));
    let counts: Vec<u64> = there
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(counts.is_sorted(), "{end:?}");
    assert!(
        times.last().unwrap() < &200 || !counts.is_empty(),
        "{end:?}"
    );
}

#[test]
fn blocking_sums_up_files_and_says_which_it_cannot_read() {
    let path = env::temp_dir().join(format!("nio-blocking-{}", process::id()));
    let missing = path.with_extension("missing");
    // The check value of CRC-32, by which its parameters are known.
    fs::write(&path, "123456789").unwrap();
    let arguments = [&path, &missing, &path].map(|path| path.to_str().unwrap());
    let end = Program::start("blocking", &arguments).end();
    fs::remove_file(&path).unwrap();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let sum = format!("nio-blocking  cbf43926  {}", path.display());
    assert_eq!(
        end.lines.iter().filter(|line| line.ends_with(&sum)).count(),
        2,
        "{end:?}"
    );
    assert!(
        end.complaints.starts_with(missing.to_str().unwrap()),
        "{end:?}"
    );
    assert_eq!(end.complaints.lines().count(), 1, "{end:?}");
}
