//! Watching files and directories.

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use nio_poll::{Error, FileChange, Interest, Poll, Subject, Token};
use support::*;

/// A directory that is removed when it is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("nio-poll-file-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    /// A file that is not empty, open for reading.
    fn file(&self, name: &str) -> File {
        fs::write(self.0.join(name), b"something").unwrap();
        File::open(self.0.join(name)).unwrap()
    }

    fn append(&self, name: &str) {
        let path = self.0.join(name);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"more").unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_change_is_reported_once_with_its_kind() {
    let directory = Directory::new();
    let file = directory.file("a");
    let poll = Poll::new().unwrap();
    poll.register_file(&file, Token(1), FileChange::WRITTEN | FileChange::EXTENDED)
        .unwrap();
    assert!(now(&poll).is_empty());
    directory.append("a");
    directory.append("a");
    let event = one(&poll);
    assert_eq!(event.token(), Token(1));
    let changes = FileChange::WRITTEN | FileChange::EXTENDED;
    assert_eq!(event.file_changes(), Some(changes));
    assert!(!event.is_readable() && !event.is_writable() && !event.is_eof());
    assert!(now(&poll).is_empty());
}

#[test]
fn changes_that_were_not_asked_for_are_not_reported() {
    let directory = Directory::new();
    let file = directory.file("a");
    let poll = Poll::new().unwrap();
    poll.register_file(&file, Token(1), FileChange::RENAMED)
        .unwrap();
    directory.append("a");
    assert!(now(&poll).is_empty());
    fs::rename(directory.0.join("a"), directory.0.join("b")).unwrap();
    let changes = one(&poll).file_changes().unwrap();
    assert!(changes.contains(FileChange::RENAMED));
}

#[test]
fn the_removal_of_an_open_file_is_reported() {
    let directory = Directory::new();
    let file = directory.file("a");
    let poll = Poll::new().unwrap();
    poll.register_file(&file, Token(1), FileChange::DELETED)
        .unwrap();
    fs::remove_file(directory.0.join("a")).unwrap();
    let changes = one(&poll).file_changes().unwrap();
    assert!(changes.contains(FileChange::DELETED));
}

#[test]
fn a_directory_reports_changes_of_its_entries() {
    let directory = Directory::new();
    let open = File::open(&directory.0).unwrap();
    let poll = Poll::new().unwrap();
    poll.register_file(&open, Token(1), FileChange::WRITTEN)
        .unwrap();
    let _file = directory.file("a");
    assert!(one(&poll).file_changes().is_some());
    fs::remove_file(directory.0.join("a")).unwrap();
    assert!(one(&poll).file_changes().is_some());
}

#[test]
fn a_file_is_watched_once_and_an_error_names_its_descriptor() {
    let directory = Directory::new();
    let file = directory.file("a");
    let poll = Poll::new().unwrap();
    let number = file.as_raw_fd();
    let error = poll.deregister_file(&file).unwrap_err();
    assert!(matches!(
        error,
        Error::NotRegistered { subject: Subject::File(fd) } if fd == number
    ));
    poll.register_file(&file, Token(1), FileChange::WRITTEN)
        .unwrap();
    let error = poll
        .register_file(&file, Token(2), FileChange::DELETED)
        .unwrap_err();
    assert!(matches!(
        error,
        Error::AlreadyRegistered { subject: Subject::File(fd), token: Token(1) } if fd == number
    ));
    let expected = format!("the file of descriptor {number} is already registered");
    assert!(error.to_string().starts_with(&expected), "{error}");
    directory.append("a");
    assert_eq!(one(&poll).token(), Token(1));
}

#[test]
fn a_deregistered_file_is_not_reported() {
    let directory = Directory::new();
    let file = directory.file("a");
    let poll = Poll::new().unwrap();
    poll.register_file(&file, Token(1), FileChange::WRITTEN)
        .unwrap();
    directory.append("a");
    poll.deregister_file(&file).unwrap();
    assert!(now(&poll).is_empty());
    directory.append("a");
    assert!(now(&poll).is_empty());
}

#[test]
fn a_descriptor_may_be_watched_for_reading_and_as_a_file() {
    let directory = Directory::new();
    let file = directory.file("a");
    let poll = Poll::new().unwrap();
    poll.register_file(&file, Token(1), FileChange::WRITTEN)
        .unwrap();
    poll.register(&file, Token(2), Interest::READABLE).unwrap();
    assert_eq!(tokens(&poll), [2]);
    directory.append("a");
    assert!(tokens(&poll).contains(&1));
}
