//! Instructions outside of the kernel, counted by callgrind.
//!
//! A contender runs twice under it, the second time with more to do. The difference belongs to what
//! is done, and the start is not in it.

use std::{env::temp_dir, fs, process::Command};

/// Instructions for each time, or `None` without callgrind.
pub(crate) fn instructions(group: &str, contender: &str, times: u32) -> Option<f64> {
    let (few, more) = (times / 4, times);
    let count = |times: u32| {
        let output = temp_dir().join(format!("loop-{}", std::process::id()));
        let status = Command::new("valgrind")
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", output.display()))
            .arg(std::env::current_exe().ok()?)
            .args(["once", group, contender, &times.to_string()])
            .status()
            .ok()?;
        let text = fs::read_to_string(&output).ok()?;
        fs::remove_file(&output).ok()?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        let total: f64 = total?.trim().parse().ok()?;
        status.success().then_some(total)
    };
    Some((count(few + more)? - count(few)?) / f64::from(more))
}
