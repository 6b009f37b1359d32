//! Runs the programs of the guide, and compares what they print with the `.out` files that the text shows.
//!
//! An `.out` file is what a person sees: a command after `$ `, then its output (standard output, then
//! standard error), then the next command. `…` stands for any text in a line, a line with nothing else
//! for any number of lines, and `[exit status N]` for a program that fails. `NAME.linux.out` is for one system.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The programs are beside the folder of this test.
fn program(name: &str) -> PathBuf {
    let this = env::current_exe().unwrap();
    let folders = this.ancestors().skip(1).take(2);
    let mut paths = folders.map(|folder| folder.join(name));
    let found = paths.find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("there is no program {name} near {}", this.display()))
}

/// What a command prints, as lines.
fn run(command: &str) -> Vec<String> {
    let words = command
        .strip_prefix("cargo run --bin ")
        .unwrap_or_else(|| panic!("{command}"));
    let mut words = words.split(' ').filter(|word| *word != "--");
    let output = Command::new(program(words.next().unwrap()))
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let mut lines: Vec<String> = String::from_utf8(text)
        .unwrap()
        .lines()
        .map(String::from)
        .collect();
    if !output.status.success() {
        let status = output
            .status
            .code()
            .map_or("a signal".into(), |code| code.to_string());
        lines.push(format!("[exit status {status}]"));
    }
    lines
}

/// Whether a line is as expected, where `…` is any text.
fn fits(line: &str, expected: &str) -> bool {
    let Some((before, after)) = expected.split_once('…') else {
        return line == expected;
    };
    let Some(rest) = line.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len())
        .filter(|at| rest.is_char_boundary(*at))
        .any(|at| fits(&rest[at..], after))
}

fn all_fit(lines: &[String], expected: &[&str]) -> bool {
    match expected {
        [] => lines.is_empty(),
        ["…", rest @ ..] => (0..=lines.len()).any(|at| all_fit(&lines[at..], rest)),
        [first, rest @ ..] => {
            lines.first().is_some_and(|line| fits(line, first)) && all_fit(&lines[1..], rest)
        }
    }
}

fn check(path: &Path) {
    let file = fs::read_to_string(path).unwrap();
    let sessions: Vec<&str> = file
        .split("$ ")
        .filter(|it| !it.trim().is_empty())
        .collect();
    assert!(!sessions.is_empty(), "{}: no command", path.display());
    for session in sessions {
        let (command, expected) = session.split_once('\n').unwrap();
        let expected: Vec<&str> = expected.trim_end().lines().collect();
        let lines = run(command);
        assert!(
            all_fit(&lines, &expected),
            "$ {command}\nprinted\n{}\n\n{} says\n{}",
            lines.join("\n"),
            path.display(),
            expected.join("\n"),
        );
    }
}

#[test]
fn each_program_prints_what_the_text_shows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap();
        let system = name
            .strip_suffix(".out")
            .and_then(|name| Path::new(name).extension());
        let is_here = system.is_none_or(|system| system == env::consts::OS);
        if name.ends_with(".out") && is_here {
            check(&path);
        }
    }
}

#[test]
fn the_exercises_are_not_done_yet() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/exercises");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = fs::read_to_string(&path).unwrap();
        assert!(
            file.contains("NOT_DONE"),
            "{} is written. If you have done the exercise, all is well; it is not to be committed",
            path.display()
        );
    }
}
