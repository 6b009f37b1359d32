//! The parts of fetch: continuing, several fetches at once, and existing files with the name of a part.

#![cfg(feature = "fetch")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
};

use support::Program;

const FETCH: &str = env!("CARGO_BIN_EXE_fetch");

/// A folder of a test, removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("nio-fetch-parts-{}-{name}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        fs::create_dir(&folder.0).unwrap();
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// The names in it.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The server side of a test.
struct Server(TcpListener);

impl Server {
    fn new() -> Server {
        Server(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}/file", self.0.local_addr().unwrap())
    }

    /// Waits for a request, and returns its head.
    fn request(&self) -> (TcpStream, String) {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(support::LIMIT)).unwrap();
        let mut head = String::new();
        let mut reader = BufReader::new(&stream);
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0);
        }
        (stream, head)
    }

    /// Answers a request, and returns its head.
    fn answer(&self, answer: &str) -> String {
        let (mut stream, head) = self.request();
        stream.write_all(answer.as_bytes()).unwrap();
        head
    }
}

const CUT_OFF: &str = "HTTP/1.1 200 OK\r\netag: \"v1\"\r\ncontent-length: 11\r\n\r\nhello ";
const REST: &str = "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 6-10/11\r\ncontent-length: 5\r\n\r\nworld";

#[test]
fn a_fetch_that_was_cut_off_is_continued() {
    let (folder, server) = (Folder::new("continued"), Server::new());
    let file = folder.path("file");
    let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file]);
    assert!(!server.answer(CUT_OFF).contains("range:"));
    assert_eq!(fetch.end().code(), Some(1));
    assert_eq!(fs::read(format!("{file}.part")).unwrap(), b"hello ");
    let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file, "--continue"]);
    let head = server.answer(REST);
    assert!(
        head.contains("range: bytes=6-\r\nif-range: \"v1\"\r\n"),
        "{head}"
    );
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    assert_eq!(fetch.seen, [format!("{file}: 11 bytes")]);
    assert_eq!(fs::read(&file).unwrap(), b"hello world");
    assert_eq!(folder.names(), ["file"]);
}

/// A response with a range.
fn range(range: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 206 Partial Content\r\ncontent-range: {range}\r\ncontent-length: {len}\r\n\r\n{body}"
    )
}

#[test]
fn after_a_shorter_range_than_requested_the_rest_is_requested() {
    let (folder, server) = (Folder::new("shorter"), Server::new());
    let file = folder.path("file");
    fs::write(format!("{file}.part"), "hello ").unwrap();
    let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file, "--continue"]);
    for (first, answer) in [
        (6, range("bytes 6-8/11", "wor")),
        (9, range("bytes 9-9/11", "l")),
        (10, range("bytes 10-10/11", "d")),
    ] {
        let head = server.answer(&answer);
        assert!(
            head.contains(&format!("range: bytes={first}-\r\n")),
            "{head}"
        );
    }
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    assert_eq!(fetch.seen, [format!("{file}: 11 bytes")]);
    assert_eq!(fs::read(&file).unwrap(), b"hello world");
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn a_shorter_range_without_the_rest_replaces_no_file() {
    let (folder, server) = (Folder::new("without"), Server::new());
    let file = folder.path("file");
    fs::write(&file, "old").unwrap();
    fs::write(format!("{file}.part"), "hello ").unwrap();
    let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file, "--continue"]);
    server.answer(&range("bytes 6-8/11", "wor"));
    server.answer("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(fetch.end().code(), Some(1));
    assert_eq!(fs::read(&file).unwrap(), b"old");
    assert_eq!(fs::read(format!("{file}.part")).unwrap(), b"hello wor");
}

#[test]
fn a_range_up_to_the_end_of_an_unknown_length_is_the_rest() {
    let (folder, server) = (Folder::new("unknown"), Server::new());
    let file = folder.path("file");
    fs::write(format!("{file}.part"), "hello ").unwrap();
    let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file, "--continue"]);
    server.answer(&range("bytes 6-10/*", "world"));
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    assert_eq!(fs::read(&file).unwrap(), b"hello world");
}

#[test]
fn a_body_of_another_length_than_its_range_is_an_error() {
    const CHUNKED: &str = "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 6-10/11\r\n\
         transfer-encoding: chunked\r\n\r\n";
    for (answer, text, left) in [
        (
            range("bytes 6-10/11", "wor"),
            "the server sent 3 bytes as a range of 5: bytes 6-10/11",
            "hello ",
        ),
        (
            range("bytes 6-10/11", "world!"),
            "the server sent 6 bytes as a range of 5: bytes 6-10/11",
            "hello ",
        ),
        (
            format!("{CHUNKED}3\r\nwor\r\n0\r\n\r\n"),
            "cut off after 9 bytes: the server announced bytes up to 11",
            "hello wor",
        ),
        (
            format!("{CHUNKED}5\r\nworld\r\n1\r\n!\r\n0\r\n\r\n"),
            "cut off after 11 bytes: the server announced no more, but sent more",
            "hello world",
        ),
    ] {
        let (folder, server) = (Folder::new("length"), Server::new());
        let file = folder.path("file");
        fs::write(format!("{file}.part"), "hello ").unwrap();
        let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file, "--continue"]);
        server.answer(&answer);
        assert_eq!(fetch.end().code(), Some(1), "{answer}");
        assert!(fetch.seen[0].ends_with(text), "{:?}", fetch.seen);
        assert_eq!(fs::read_to_string(format!("{file}.part")).unwrap(), left);
        assert_eq!(folder.names(), ["file.part"]);
    }
}

/// A part of the version "v1".
fn leave_part(file: &str, validator: &str) {
    fs::write(format!("{file}.part"), "hello ").unwrap();
    fs::write(format!("{file}.part.validator"), validator).unwrap();
}

#[test]
fn a_range_of_another_version_is_an_error_and_changes_nothing() {
    const DATE: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
    for (validator, header) in [
        ("\"v1\"", "etag: \"v2\""),
        (DATE, "last-modified: Tue, 02 Jan 2024 00:00:00 GMT"),
    ] {
        let (folder, server) = (Folder::new("changed"), Server::new());
        let file = folder.path("file");
        leave_part(&file, validator);
        let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file, "--continue"]);
        // A server that does not know If-Range.
        let head = server.answer(&REST.replacen("\r\n", &format!("\r\n{header}\r\n"), 1));
        assert!(
            head.contains(&format!("if-range: {validator}\r\n")),
            "{head}"
        );
        assert_eq!(fetch.end().code(), Some(1), "{header}");
        assert!(fetch.seen[0].ends_with("the file has changed since the earlier fetch"));
        assert_eq!(fetch.seen[1], "fetch it without --continue");
        assert_eq!(fs::read(format!("{file}.part")).unwrap(), b"hello ");
        assert_eq!(folder.names(), ["file.part", "file.part.validator"]);
    }
}

#[test]
fn a_range_of_the_same_version_is_the_rest() {
    let (folder, server) = (Folder::new("same"), Server::new());
    let file = folder.path("file");
    leave_part(&file, "\"v1\"");
    let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file, "--continue"]);
    let tags = "\r\netag: \"v1\"\r\nlast-modified: Tue, 02 Jan 2024 00:00:00 GMT\r\n";
    server.answer(&REST.replacen("\r\n", tags, 1));
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    assert_eq!(fs::read(&file).unwrap(), b"hello world");
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn a_version_that_replaces_a_part_is_continued_by_its_own_tag() {
    let (folder, server) = (Folder::new("own"), Server::new());
    let file = folder.path("file");
    leave_part(&file, "\"v1\"");
    let arguments = [&server.url(), "-o", &file, "--continue"];
    let mut fetch = Program::start(FETCH, &arguments);
    server.answer("HTTP/1.1 200 OK\r\netag: \"v2\"\r\ncontent-length: 5\r\n\r\nne");
    assert_eq!(fetch.end().code(), Some(1));
    assert_eq!(fs::read(format!("{file}.part")).unwrap(), b"ne");
    let mut fetch = Program::start(FETCH, &arguments);
    let head = server.answer(&range("bytes 2-4/5", "wer"));
    let expected = "range: bytes=2-\r\nif-range: \"v2\"\r\n";
    assert!(head.contains(expected), "{head}");
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    assert_eq!(fs::read(&file).unwrap(), b"newer");
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn another_version_is_fetched_from_its_start() {
    let (folder, server) = (Folder::new("version"), Server::new());
    let file = folder.path("file");
    fs::write(format!("{file}.part"), "hello ").unwrap();
    let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file, "--continue"]);
    let head = server.answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nnew");
    // The version of this part is not known.
    assert!(
        head.contains("range: bytes=6-\r\n") && !head.contains("if-range"),
        "{head}"
    );
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    assert_eq!(fs::read(&file).unwrap(), b"new");
}

#[test]
fn a_part_that_is_complete_needs_no_more_bytes() {
    let (folder, server) = (Folder::new("complete"), Server::new());
    let file = folder.path("file");
    fs::write(format!("{file}.part"), "hello world").unwrap();
    let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file, "--continue"]);
    server.answer("HTTP/1.1 416 No\r\ncontent-range: bytes */11\r\ncontent-length: 0\r\n\r\n");
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    assert_eq!(fs::read(&file).unwrap(), b"hello world");
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn a_response_that_does_not_fit_the_range_is_an_error_and_changes_nothing() {
    for (answer, text) in [
        (
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 5-10/11\r\ncontent-length: 6\r\n\r\n world",
            "the server sent another range than the one from byte 6: bytes 5-10/11",
        ),
        (
            "HTTP/1.1 206 Partial Content\r\ncontent-length: 5\r\n\r\nworld",
            "the server sent another range than the one from byte 6: nothing",
        ),
        (
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 6-11/11\r\ncontent-length: 6\r\n\r\nworld!",
            "the server sent another range than the one from byte 6: bytes 6-11/11",
        ),
        (
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 6-5/11\r\ncontent-length: 0\r\n\r\n",
            "the server sent another range than the one from byte 6: bytes 6-5/11",
        ),
        (
            "HTTP/1.1 206 Partial Content\r\ncontent-range: lines 6-10/11\r\ncontent-length: 5\r\n\r\nworld",
            "the server sent another range than the one from byte 6: lines 6-10/11",
        ),
        (
            "HTTP/1.1 416 No\r\ncontent-length: 0\r\n\r\n",
            "the 6 bytes of the earlier fetch are not the beginning of this file (nothing)",
        ),
        (
            "HTTP/1.1 416 No\r\ncontent-range: bytes */3\r\ncontent-length: 0\r\n\r\n",
            "the 6 bytes of the earlier fetch are not the beginning of this file (bytes */3)",
        ),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "the server answered 404 Not Found",
        ),
    ] {
        let (folder, server) = (Folder::new("question"), Server::new());
        let file = folder.path("file");
        fs::write(format!("{file}.part"), "hello ").unwrap();
        let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file, "--continue"]);
        server.answer(answer);
        assert_eq!(fetch.end().code(), Some(1));
        assert!(fetch.seen[0].ends_with(text), "{:?}", fetch.seen);
        assert_eq!(fs::read(format!("{file}.part")).unwrap(), b"hello ");
        assert_eq!(folder.names(), ["file.part"]);
    }
}

#[test]
fn a_response_that_was_not_requested_is_an_error() {
    for (answer, text) in [
        (
            REST,
            "the server sent a range that was not requested: bytes 6-10/11",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhello",
            "the transfer coding of the response is not supported: gzip",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "the transfer coding of the response is not supported: gzip, chunked",
        ),
    ] {
        let (folder, server) = (Folder::new("asked"), Server::new());
        let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &folder.path("file")]);
        server.answer(answer);
        assert_eq!(fetch.end().code(), Some(1));
        assert!(fetch.seen[0].contains(text), "{:?}", fetch.seen);
        assert!(folder.names().is_empty(), "{:?}", folder.names());
    }
}

#[test]
fn two_fetches_of_one_file_use_separate_parts() {
    let (folder, server) = (Folder::new("two"), Server::new());
    let file = folder.path("file");
    let arguments = [&server.url(), "-o", &file];
    let mut first = Program::start(FETCH, &arguments);
    let (mut to_first, _) = server.request();
    let mut second = Program::start(FETCH, &arguments);
    let (mut to_second, _) = server.request();
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
    for (stream, half) in [(&mut to_first, b"first"), (&mut to_second, b"secon")] {
        stream.write_all(&[&head[..], half].concat()).unwrap();
    }
    // Both are in progress, each with its own part.
    let has = |name: &str, bytes: &[u8]| fs::read(folder.path(name)).unwrap_or_default() == bytes;
    while !has("file.part", b"first") || !has("file.1.part", b"secon") {
        assert!(!first.has_ended() && !second.has_ended());
    }
    to_first.write_all(b"-one-").unwrap();
    assert!(first.end().success(), "{:?}", first.seen);
    assert_eq!(fs::read(&file).unwrap(), b"first-one-");
    to_second.write_all(b"d-two").unwrap();
    assert!(second.end().success(), "{:?}", second.seen);
    assert_eq!(fs::read(&file).unwrap(), b"second-two");
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn a_link_with_the_name_of_the_part_is_not_followed() {
    let (folder, server) = (Folder::new("way"), Server::new());
    let (file, victim) = (folder.path("file"), folder.path("victim"));
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, format!("{file}.part")).unwrap();
    for continues in [false, true] {
        let mut arguments = vec![server.url(), "-o".into(), file.clone()];
        arguments.extend(continues.then(|| "--continue".into()));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut fetch = Program::start(FETCH, &arguments);
        server.answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
        assert!(fetch.end().success(), "{:?}", fetch.seen);
        assert_eq!(fs::read(&file).unwrap(), b"hello");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(folder.names(), ["file", "file.part", "victim"]);
    }
}

#[test]
fn a_part_has_the_permissions_of_the_file_from_the_start() {
    let (folder, server) = (Folder::new("secret"), Server::new());
    let file = folder.path("file");
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut fetch = Program::start(FETCH, &[&server.url(), "-o", &file]);
    let (mut stream, _) = server.request();
    // It exists before the first byte has arrived.
    let mode = fs::metadata(format!("{file}.part")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nnew")
        .unwrap();
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_before_the_request() {
    let folder = Folder::new("folder");
    let missing = folder.path("missing/file");
    let mut fetch = Program::start(FETCH, &["http://127.0.0.1:1/", "-o", &missing]);
    assert_eq!(fetch.end().code(), Some(1));
    assert!(
        fetch.seen[0].starts_with("error: cannot write "),
        "{:?}",
        fetch.seen
    );
    let text = format!(
        "there is no folder {}; make it first",
        folder.path("missing")
    );
    assert_eq!(fetch.seen[1], text);

    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(folder.path("probe"), "").is_ok() {
        eprintln!("SKIPPED: root may write to all folders");
        return;
    }
    let mut fetch = Program::start(FETCH, &["http://127.0.0.1:1/", "-o", &folder.path("file")]);
    assert_eq!(fetch.end().code(), Some(1));
    assert!(fetch.seen[1].ends_with("cannot be written to; name a file in another folder"));
}

#[test]
fn locations_with_spaces_and_letters_are_encoded() {
    for (place, path) in [
        ("/a b/c", "/a%20b/c"),
        ("/gr\u{fc}n?q=\u{fc} x", "/gr%C3%BCn?q=%C3%BC%20x"),
        ("/a%20b/<c>", "/a%20b/%3Cc%3E"),
        ("d e#f g", "/d%20e"),
    ] {
        let server = Server::new();
        let mut fetch = Program::start(FETCH, &[&server.url()]);
        server.answer(&format!(
            "HTTP/1.1 302 Found\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n"
        ));
        let head = server.answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        assert!(
            head.starts_with(&format!("GET {path} HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(fetch.end().success(), "{:?}", fetch.seen);
    }
    let server = Server::new();
    let url = server.url().replace("file", "my file");
    let mut fetch = Program::start(FETCH, &[&url]);
    let head = server.answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert!(head.starts_with("GET /my%20file HTTP/1.1\r\n"), "{head}");
    assert!(fetch.end().success(), "{:?}", fetch.seen);
}
