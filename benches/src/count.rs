//! Counts instead of times: system calls with strace, instructions outside of the kernel with callgrind.
//!
//! A count is the difference between a short run and a long one, so that neither start nor end is in it.

use std::{
    collections::BTreeMap,
    env::{current_exe, temp_dir},
    ffi::OsString,
    fs,
    path::PathBuf,
    process::{Command, Stdio, id},
};

use crate::run::Error;

/// Names and counts.
pub(crate) type Counts = BTreeMap<String, f64>;

/// Runs something under the tool of these words, with so many operations.
pub(crate) type RunUnder<'a> = dyn Fn(&[OsString], usize) -> Result<(), Error> + 'a;

/// The operations of the short run, and the additional ones of the long run.
#[derive(Clone, Copy)]
pub(crate) struct Operations {
    pub(crate) few: usize,
    pub(crate) more: usize,
}

/// System calls for each operation, by name; their sum is `total`.
pub(crate) fn system_calls(operations: Operations, run: &RunUnder<'_>) -> Result<Counts, Error> {
    let output = output();
    let mut words = ["strace", "-f", "-c", "-U", "calls,name", "-o"]
        .map(OsString::from)
        .to_vec();
    words.push(output.clone().into());
    difference(operations, |count| {
        run(&words, count)?;
        Ok(read_strace(&take(&output)?))
    })
}

/// Instructions for each operation.
pub(crate) fn instructions(operations: Operations, run: &RunUnder<'_>) -> Result<f64, Error> {
    let output = output();
    let words = callgrind(&output);
    let counts = difference(operations, |count| {
        run(&words, count)?;
        let total = read_callgrind(&take(&output)?)?;
        Ok(Counts::from([("total".into(), total)]))
    })?;
    Ok(counts["total"])
}

/// Instructions of this program with these arguments, within functions whose names match.
pub(crate) fn instructions_within(function: &str, arguments: &[&str]) -> Result<f64, Error> {
    let output = output();
    let mut words = callgrind(&output);
    words.push(format!("--toggle-collect={function}").into());
    run_self(&words, arguments)?;
    read_callgrind(&take(&output)?)
}

/// Runs this program with these arguments, under the tool of these words.
pub(crate) fn run_self(wrapper: &[OsString], arguments: &[&str]) -> Result<(), Error> {
    let status = Command::new(&wrapper[0])
        .args(&wrapper[1..])
        .arg(current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("`{}` failed under a tool: {status}", arguments.join(" ")).into()),
    }
}

/// Whether a program can be started.
pub(crate) fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    let command = command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn callgrind(output: &PathBuf) -> Vec<OsString> {
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(output);
    vec!["valgrind".into(), "--tool=callgrind".into(), file]
}

fn output() -> PathBuf {
    temp_dir().join(format!("nio-benches-{}", id()))
}

fn take(output: &PathBuf) -> Result<String, Error> {
    let text = fs::read_to_string(output)?;
    fs::remove_file(output)?;
    Ok(text)
}

fn difference(
    Operations { few, more }: Operations,
    count: impl Fn(usize) -> Result<Counts, Error>,
) -> Result<Counts, Error> {
    let short = count(few)?;
    let mut counts = count(few + more)?;
    for (name, count) in &mut counts {
        *count = (*count - short.get(name).unwrap_or(&0.0)) / more as f64;
    }
    Ok(counts)
}

/// Lines of a count and a name.
fn read_strace(text: &str) -> Counts {
    let line = |line: &str| {
        let (count, name) = line.trim().split_once(char::is_whitespace)?;
        Some((name.trim().to_string(), count.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// The sum of a profile.
fn read_callgrind(text: &str) -> Result<f64, Error> {
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.ok_or("callgrind gave no total")?.trim().parse()?)
}
