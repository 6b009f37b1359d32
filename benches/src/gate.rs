//! A gate against lost speed: instructions outside of the kernel for nio's frequent operations, against the numbers in
//! `instructions.json`.
//!
//! Instructions are counted, not timed, so they are the same on a busy machine. Another compiler gives other numbers; then
//! they are printed and nothing fails.

mod operations;

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode};

use serde::{Deserialize, Serialize};

use crate::{
    count::{instructions_within, is_installed},
    machine,
    run::Error,
};
use operations::ALL;

/// The layout that the linker chooses moves some counts by 5 %.
const ALLOWED: f64 = 0.08;

const HELP: &str = "\
Counts instructions of nio's operations, and compares them with benches/instructions.json.

usage: cargo run --release -p nio-benches -- gate [--bless]

  --bless   writes the numbers of this run to benches/instructions.json";

/// The first argument of a process that is counted.
const ONCE: &str = "once";

/// The committed numbers.
#[derive(Deserialize, Serialize)]
struct Committed {
    compiler: String,
    processor: String,
    instructions: BTreeMap<String, f64>,
}

pub(crate) fn main(arguments: &[&str]) -> Result<ExitCode, Error> {
    match arguments {
        [] => check(),
        ["--bless"] => bless(),
        [ONCE, name] => operations::once(name).map(|()| ExitCode::SUCCESS),
        _ => {
            println!("{HELP}");
            Ok(ExitCode::from(u8::from(arguments != ["--help"])))
        }
    }
}

fn path() -> PathBuf {
    machine::workspace().join("benches/instructions.json")
}

fn count() -> Result<Committed, Error> {
    if cfg!(debug_assertions) {
        return Err("this build is not optimised; run it with --release".into());
    }
    if !is_installed("valgrind") {
        return Err("valgrind is not installed (apt-get install valgrind)".into());
    }
    let mut instructions = BTreeMap::new();
    for operation in &ALL {
        let count = instructions_within(operations::COUNTED, &["gate", ONCE, operation.name])?;
        let each = count / f64::from(operation.times);
        instructions.insert(operation.name.to_string(), (each * 10.0).round() / 10.0);
    }
    Ok(Committed {
        compiler: machine::compiler(),
        processor: std::env::consts::ARCH.into(),
        instructions,
    })
}

fn bless() -> Result<ExitCode, Error> {
    let counted = count()?;
    let text = serde_json::to_string_pretty(&counted)? + "\n";
    fs::write(path(), &text)?;
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn check() -> Result<ExitCode, Error> {
    let text = fs::read_to_string(path())?;
    let committed: Committed = serde_json::from_str(&text)?;
    let counted = count()?;
    let verdict = compare(&committed, &counted);
    println!(
        "Instructions outside of the kernel for one operation ({}):\n",
        counted.compiler
    );
    verdict.lines.iter().for_each(|line| println!("{line}"));
    println!();
    match verdict.passes {
        true => println!("{}", verdict.conclusion),
        false => println!("FAILED: {}", verdict.conclusion),
    }
    println!("To commit new numbers: cargo run --release -p nio-benches -- gate --bless");
    Ok(ExitCode::from(u8::from(!verdict.passes)))
}

struct Verdict {
    lines: Vec<String>,
    passes: bool,
    conclusion: String,
}

fn compare(committed: &Committed, counted: &Committed) -> Verdict {
    let same_compiler =
        (&committed.compiler, &committed.processor) == (&counted.compiler, &counted.processor);
    let mut lines = vec![format!("{:24}{:>10}{:>10}", "", "committed", "now")];
    let mut outside = 0;
    for (name, now) in &counted.instructions {
        let (before, change) = match committed.instructions.get(name) {
            Some(before) => (format!("{before:.0}"), now / before - 1.0),
            None => ("-".into(), f64::INFINITY),
        };
        let is_outside = change.abs() > ALLOWED;
        outside += usize::from(is_outside);
        let mark = if is_outside { "  <--" } else { "" };
        lines.push(format!(
            "{name:24}{before:>10}{now:>10.0}{:>+8.1} %{mark}",
            change * 100.0
        ));
    }
    let known = |name: &&String| !counted.instructions.contains_key(*name);
    let gone = committed.instructions.keys().filter(known).count();
    let conclusion = match (same_compiler, outside + gone) {
        (false, _) => format!(
            "not compared: the committed numbers are of {} on {}. The numbers above are new; commit them.",
            committed.compiler, committed.processor
        ),
        (true, 0) => format!(
            "all within {:.0} % of the committed numbers",
            ALLOWED * 100.0
        ),
        (true, _) => format!(
            "{outside} more than {:.0} % from the committed numbers, {gone} not counted any more. More \
             instructions are lost speed: find the change. Fewer are gained: commit them, so that they stay.",
            ALLOWED * 100.0
        ),
    };
    Verdict {
        lines,
        passes: !same_compiler || outside + gone == 0,
        conclusion,
    }
}

#[cfg(test)]
mod tests {
    use super::{Committed, compare};

    fn numbers(compiler: &str, count: f64) -> Committed {
        Committed {
            compiler: compiler.into(),
            processor: "x".into(),
            instructions: [("message".to_string(), count)].into(),
        }
    }

    #[test]
    fn a_count_within_8_percent_passes() {
        assert!(compare(&numbers("one", 100.0), &numbers("one", 107.0)).passes);
    }

    #[test]
    fn a_count_beyond_8_percent_fails_whether_more_or_fewer() {
        assert!(!compare(&numbers("one", 100.0), &numbers("one", 109.0)).passes);
        assert!(!compare(&numbers("one", 100.0), &numbers("one", 91.0)).passes);
    }

    #[test]
    fn another_compiler_fails_nothing_and_says_so() {
        let verdict = compare(&numbers("one", 100.0), &numbers("other", 200.0));
        assert!(verdict.passes);
        assert!(verdict.conclusion.contains("not compared"));
    }

    #[test]
    fn an_operation_that_is_counted_no_more_fails() {
        let mut counted = numbers("one", 100.0);
        counted.instructions.clear();
        assert!(!compare(&numbers("one", 100.0), &counted).passes);
    }
}
