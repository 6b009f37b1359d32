//! Lines of code to read to understand a loop: no comments, blank lines, tests or backends of other systems.

use std::{fs, path::Path};

use crate::{
    data::{Found, Table},
    machine::{Sources, workspace},
    run::{Error, Run},
};

/// A crate, and the files and folders of its `src` that are read; all if there are none.
type Reading = (&'static str, &'static [&'static str]);

/// polling has a file for each kind of system.
const POLLING: Reading = ("polling", &["lib.rs", "epoll.rs", "os.rs"]);

/// The layers to read for each contender. Of tokio those of its runtime of one thread.
const READINGS: [(&str, &[Reading]); 7] = [
    (
        "nio",
        &[
            ("nio-sys", &[]),
            ("nio-poll", &[]),
            ("nio-timer", &[]),
            ("nio-loop", &[]),
        ],
    ),
    ("nio-poll", &[("nio-sys", &[]), ("nio-poll", &[])]),
    ("mio", &[("mio", &[])]),
    ("polling", &[POLLING]),
    ("calloop", &[POLLING, ("calloop", &[])]),
    (
        "tokio",
        &[
            ("mio", &[]),
            (
                "tokio",
                &[
                    "runtime/blocking",
                    "runtime/builder.rs",
                    "runtime/config.rs",
                    "runtime/context",
                    "runtime/context.rs",
                    "runtime/driver.rs",
                    "runtime/handle.rs",
                    "runtime/io",
                    "runtime/park.rs",
                    "runtime/runtime.rs",
                    "runtime/scheduler/current_thread",
                    "runtime/scheduler/defer.rs",
                    "runtime/scheduler/inject",
                    "runtime/scheduler/inject.rs",
                    "runtime/scheduler/mod.rs",
                    "runtime/task",
                    "runtime/time",
                    "task",
                    "time",
                    "io/interest.rs",
                    "io/poll_evented.rs",
                    "io/ready.rs",
                    "util",
                ],
            ),
        ],
    ),
    (
        "smol",
        &[
            POLLING,
            ("async-task", &[]),
            ("async-executor", &[]),
            ("async-io", &[]),
        ],
    ),
];

const NOTES: [&str; 2] = [
    "nio: nio-sys, nio-poll, nio-timer, nio-loop. nio-poll: nio-sys, nio-poll. calloop: polling, calloop. tokio: mio, and of \
     tokio the runtime of one thread, task, time and the driver of I/O. smol: polling, async-task, async-executor, async-io.",
    "The C libraries are left out: Debian's packages have no source.",
];

/// Parts of paths that are not read: tests, and backends of other systems than Linux.
const NOT_READ: [&str; 11] = [
    "test",
    "mock",
    "loom",
    "bsd",
    "selector/kqueue",
    "waker/kqueue",
    "windows",
    "wasi",
    "shell",
    "selector/poll",
    "waker/pipe",
];

pub(super) fn measure(run: &Run) -> Result<Found, Error> {
    run.say("lines");
    let sources = Sources::find()?;
    let names: Vec<&str> = READINGS.iter().map(|reading| reading.0).collect();
    let mut table = Table::new("Lines of code", "", &names).plots_figures();
    let mut notes: Vec<String> = NOTES.map(String::from).into();
    let mut counts = Vec::new();
    for (name, layers) in READINGS {
        let count = |&(package, files): &Reading| count_layer(&sources, package, files);
        let sum: Result<Vec<usize>, Error> = layers.iter().map(count).collect();
        match sum {
            Ok(sum) => counts.push(Some(sum.iter().sum::<usize>() as f64)),
            Err(error) => {
                notes.push(format!("{name}: {error}"));
                counts.push(None);
            }
        }
    }
    table.counted("lines", counts);
    let tables = vec![table];
    Ok(Found {
        tables,
        notes,
        ..Found::default()
    })
}

fn count_layer(sources: &Sources, package: &str, files: &[&str]) -> Result<usize, Error> {
    let source = match package.starts_with("nio-") {
        true => workspace().join(package).join("src"),
        false => sources.of(package)?.join("src"),
    };
    match files {
        [] => count_below(&source, &source),
        files => {
            let mut sum = 0;
            for file in files {
                sum += count_below(&source, &source.join(file))?;
            }
            Ok(sum)
        }
    }
}

/// The lines of a file, or of all files of a folder.
fn count_below(source: &Path, path: &Path) -> Result<usize, Error> {
    let inside = path.strip_prefix(source)?.to_string_lossy().into_owned();
    if NOT_READ.iter().any(|part| inside.contains(part)) {
        return Ok(0);
    }
    if path.is_dir() {
        let mut sum = 0;
        for entry in fs::read_dir(path)? {
            sum += count_below(source, &entry?.path())?;
        }
        return Ok(sum);
    }
    match path.extension() {
        Some(extension) if extension == "rs" => Ok(count_lines(&fs::read_to_string(path)?)),
        _ => Ok(0),
    }
}

/// The lines of code of a file, up to its tests.
fn count_lines(text: &str) -> usize {
    let (mut in_comment, mut count) = (false, 0);
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let is_module = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
        if line.starts_with("#[cfg(")
            && line.contains("test")
            && lines.peek().is_some_and(is_module)
        {
            break;
        }
        in_comment |= line.starts_with("/*");
        count += usize::from(!in_comment && !line.is_empty() && !line.starts_with("//"));
        in_comment &= !line.ends_with("*/");
    }
    count
}

#[cfg(test)]
mod tests {
    use super::count_lines;

    #[test]
    fn comments_blank_lines_and_tests_are_no_code() {
        let text = "//! A file.\n\nuse a;\n/* a\nb */\nfn f() { // code\n}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(count_lines(text), 3);
    }
}
