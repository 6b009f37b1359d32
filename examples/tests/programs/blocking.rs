//! The example `blocking`.

use std::{env, fs, process};

use crate::program::Program;

/// The time in a line.
fn milliseconds(line: &str) -> u64 {
    line.split_once(" ms  ").unwrap().0.trim().parse().unwrap()
}

#[test]
fn blocking_goes_on_while_other_threads_compute() {
    let end = Program::start("blocking", &[]).end();
    assert!(end.status.success(), "{end:?}");
    assert_eq!(end.errors, "");
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

    // On a fast machine the interval may not tick before the end.
    let ticks = end
        .lines
        .iter()
        .filter(|line| line.contains("the loop runs"));
    let counts: Vec<u64> = ticks
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(counts.is_sorted(), "{end:?}");
    assert!(
        times.last().unwrap() < &200 || !counts.is_empty(),
        "{end:?}"
    );
}

#[test]
fn blocking_prints_checksums_and_names_the_file_that_it_cannot_read() {
    let path = env::temp_dir().join(format!("nio-blocking-{}", process::id()));
    let missing = path.with_extension("missing");
    // The input of the published check value of CRC-32, cbf43926.
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
    assert!(end.errors.starts_with(missing.to_str().unwrap()), "{end:?}");
    assert_eq!(end.errors.lines().count(), 1, "{end:?}");
}
