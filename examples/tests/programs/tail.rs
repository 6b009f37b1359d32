//! The example `tail`.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process,
};

use crate::program::Program;

/// A folder of its own, removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = env::temp_dir().join(format!("nio-tail-{}-{name}", process::id()));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Starts it and waits until it follows the file, or waits for it.
fn start(path: &Path, expected: &str) -> Program {
    let path = path.to_str().unwrap();
    let mut tail = Program::start_with_one_output("tail", &[path]);
    assert_eq!(tail.hear(""), format!("{expected} {path}"));
    tail
}

/// Ends it by Ctrl-C, and asserts that it succeeds and prints nothing more.
fn end(mut tail: Program) {
    tail.signal("INT");
    let end = tail.end();
    assert!(end.status.success(), "{end:?}");
    assert!(end.lines.is_empty(), "{end:?}");
}

#[test]
fn tail_prints_lines_that_are_written_after_its_start() {
    let folder = Folder::new("written");
    let path = folder.file("log");
    fs::write(&path, "old\n").unwrap();
    let mut tail = start(&path, "following");
    for line in ["one", "two", "three"] {
        append(&path, &format!("{line}\n"));
        assert_eq!(tail.hear(""), line);
    }
    end(tail);
}

#[test]
fn tail_begins_again_when_the_file_was_truncated() {
    let folder = Folder::new("cut");
    let path = folder.file("log");
    fs::write(&path, "a long line that was there before\n").unwrap();
    let mut tail = start(&path, "following");
    File::create(&path).unwrap();
    assert_eq!(tail.hear(""), "the file was truncated");
    append(&path, "short\n");
    assert_eq!(tail.hear(""), "short");
    end(tail);
}

#[test]
fn tail_follows_the_name_and_not_the_file() {
    let folder = Folder::new("renamed");
    let path = folder.file("log");
    fs::write(&path, "").unwrap();
    let mut tail = start(&path, "following");
    let announced = format!("following a new {}", path.display());
    for round in 0..3 {
        let older = folder.file(&format!("log.{round}"));
        append(&path, "the last line\n");
        fs::rename(&path, &older).unwrap();
        fs::write(&path, "the first line\n").unwrap();
        assert_eq!(tail.hear(""), "the last line");
        assert_eq!(tail.hear(""), announced);
        assert_eq!(tail.hear(""), "the first line");
        append(&older, "not printed\n");
    }
    fs::remove_file(&path).unwrap();
    fs::write(&path, "after a removal\n").unwrap();
    assert_eq!(tail.hear(""), announced);
    assert_eq!(tail.hear(""), "after a removal");
    end(tail);
}

#[test]
fn tail_waits_for_a_file_that_is_not_there() {
    let folder = Folder::new("awaited");
    let path = folder.file("log");
    let mut tail = start(&path, "waiting for");
    fs::write(folder.file("another"), "not printed\n").unwrap();
    fs::write(&path, "first\n").unwrap();
    assert_eq!(tail.hear(""), format!("following a new {}", path.display()));
    assert_eq!(tail.hear(""), "first");
    end(tail);
}

#[test]
fn tail_names_the_missing_argument_and_the_missing_directory() {
    let end = Program::start("tail", &[]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.errors.contains("which file?"), "{end:?}");
    let folder = Folder::new("wrong");
    let path = folder.file("nowhere/log");
    let end = Program::start("tail", &[path.to_str().unwrap()]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let nowhere = folder.file("nowhere").display().to_string();
    assert!(end.errors.contains(&nowhere), "{end:?}");
}
