//! fetch, tested with `http` and with servers of the standard library.

#![cfg(all(feature = "fetch", feature = "http"))]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use support::{Program, unused_address};

const FETCH: &str = env!("CARGO_BIN_EXE_fetch");
const HTTP: &str = env!("CARGO_BIN_EXE_http");

/// A file of a test. Dropping this removes it and its part.
struct Target(PathBuf);

impl Target {
    fn new(name: &str) -> Target {
        let name = format!("nio-fetch-{}-{name}", std::process::id());
        Target(std::env::temp_dir().join(name))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn part(&self) -> PathBuf {
        format!("{}.part", self.path()).into()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_file(self.part());
    }
}

/// A server that sends one of the answers to each connection.
fn answer(answers: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

#[test]
fn a_file_appears_when_it_is_complete() {
    let (_server, address) = Program::serve(HTTP, &["127.0.0.1:0"]);
    let target = Target::new("complete");
    let url = format!("http://localhost:{}/bytes/5000000", address.port());
    let mut fetch = Program::start(FETCH, &[&url, "-o", target.path()]);
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    assert_eq!(fetch.seen, [format!("{}: 5000000 bytes", target.path())]);
    assert_eq!(fs::read(target.path()).unwrap(), vec![b'n'; 5_000_000]);
    assert!(!target.part().exists());
}

#[test]
fn the_standard_output_is_an_output() {
    let (_server, address) = Program::serve(HTTP, &["127.0.0.1:0"]);
    let url = format!("http://{address}/ticks/2");
    for arguments in [&[&*url][..], &[&url, "-o", "-"]] {
        let mut fetch = Program::start(FETCH, arguments);
        assert!(fetch.end().success());
        assert_eq!(fetch.seen, ["1 to go", "0 to go"]);
    }
}

#[test]
fn a_reader_that_stops_early_is_not_an_error() {
    let (_server, address) = Program::serve(HTTP, &["127.0.0.1:0"]);
    let mut command = Command::new(FETCH);
    command.arg(format!("http://{address}/bytes/100000000"));
    let mut fetch = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = fetch.stdout.take().unwrap();
    output.read_exact(&mut [0; 1000]).unwrap();
    drop(output);
    let output = fetch.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn redirects_are_followed_up_to_a_limit() {
    let address = answer(&[
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 301 Moved\r\nlocation: there\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello, until the end",
    ]);
    let mut fetch = Program::start(FETCH, &[&format!("http://{address}/")]);
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    assert_eq!(fetch.seen, ["hello, until the end"]);

    let address = answer(&["HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n"; 2]);
    let url = format!("http://{address}/");
    let mut fetch = Program::start(FETCH, &[&url, "--redirects", "1"]);
    assert_eq!(fetch.end().code(), Some(1));
    assert!(fetch.seen[0].ends_with("redirected more than 1 times"));
}

#[test]
fn a_location_is_relative_to_the_request() {
    for (place, expected) in [
        (
            "/login?next=http://elsewhere/",
            "/login?next=http://elsewhere/",
        ),
        ("?page=2", "/a/b?page=2"),
        ("c#part", "/a/c"),
        ("../c/./d/..?up=..", "/c/?up=.."),
        ("/../c", "/c"),
        ("http://HERE?page=2", "/?page=2"),
        ("//HERE/d", "/d"),
        ("HTTP://HERE/e", "/e"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let url = format!("http://somebody:secret@{address}/a/b?x=y#z");
        let mut fetch = Program::start(FETCH, &[&url]);
        let place = place.replace("HERE", &address);
        let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {place}\r\n");
        for (path, status) in [("/a/b?x=y", &*redirect), (expected, "HTTP/1.1 200 OK\r\n")] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            assert_eq!(lines.next().unwrap(), format!("GET {path} HTTP/1.1"));
            let host = lines.find(|line| line.starts_with("host: "));
            assert_eq!(host.unwrap(), format!("host: {address}"));
            write!(stream, "{status}content-length: 0\r\n\r\n").unwrap();
        }
        assert!(fetch.end().success(), "{:?}", fetch.seen);
    }
}

#[test]
fn a_signal_ends_it_while_the_output_has_no_reader() {
    let (_server, address) = Program::serve(HTTP, &["127.0.0.1:0"]);
    let mut fetch = Command::new(FETCH)
        .args([&format!("http://{address}/bytes/1000000000")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = fetch.stdout.take().unwrap();
    // The first bytes have arrived, and much more than a pipe holds will follow.
    output.read_exact(&mut [0]).unwrap();
    let pid = fetch.id().to_string();
    support::tool("kill", &["-TERM", &pid]);
    let start = Instant::now();
    let status = loop {
        match fetch.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() < support::LIMIT => thread::yield_now(),
            None => drop(fetch.kill()), // then the exit status is another one
        }
    };
    assert_eq!(status.code(), Some(143));
    let mut text = String::new();
    let errors = fetch.stderr.take().unwrap().read_to_string(&mut text);
    errors.unwrap();
    assert!(text.starts_with("interrupted after "), "{text}");
}

#[test]
fn a_pipe_or_device_is_not_replaced_by_a_file() {
    let (_server, address) = Program::serve(HTTP, &["127.0.0.1:0"]);
    let target = Target::new("pipe");
    if support::tool("mkfifo", &[target.path()]).is_none() {
        return;
    }
    let url = format!("http://{address}/bytes/1000000");
    let mut fetch = Program::start(FETCH, &[&url, "-o", target.path()]);
    let reads = thread::spawn({
        let path = target.0.clone();
        move || fs::read(path).unwrap().len()
    });
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    assert!(!fs::metadata(&target.0).unwrap().is_file());
    assert_eq!(reads.join().unwrap(), 1_000_000);

    let directory = std::env::temp_dir();
    let directory = directory.to_str().unwrap();
    let mut fetch = Program::start(FETCH, &[&url, "-o", directory]);
    assert_eq!(fetch.end().code(), Some(1));
    assert!(fetch.seen[0].ends_with("is a directory; name a file in it"));
}

#[test]
fn the_target_of_a_link_is_replaced_and_the_link_stays() {
    let (_server, address) = Program::serve(HTTP, &["127.0.0.1:0"]);
    let (target, link) = (Target::new("target"), Target::new("link"));
    let far = Target::new("far");
    // A relative link, and a link to a link.
    symlink(target.0.file_name().unwrap(), &link.0).unwrap();
    symlink(link.path(), &far.0).unwrap();
    for (len, output) in [(1000, &link), (10, &far)] {
        // The first time the target does not exist.
        let url = format!("http://{address}/bytes/{len}");
        let mut fetch = Program::start(FETCH, &[&url, "-o", output.path()]);
        assert!(fetch.end().success(), "{:?}", fetch.seen);
        assert_eq!(fetch.seen, [format!("{}: {len} bytes", target.path())]);
        assert_eq!(fs::read(&target.0).unwrap().len(), len);
        assert!(link.0.is_symlink() && far.0.is_symlink());
        assert!(!target.part().exists() && !output.part().exists());
    }
    // A fetch that is cut off does not change the file.
    let short = answer(&["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"]);
    let url = format!("http://{short}/");
    let mut fetch = Program::start(FETCH, &[&url, "-o", link.path()]);
    assert_eq!(fetch.end().code(), Some(1));
    assert_eq!(fs::read(&target.0).unwrap().len(), 10);
    assert_eq!(fs::read(target.part()).unwrap(), b"hello");
}

#[test]
fn a_replaced_file_keeps_its_permissions() {
    let (_server, address) = Program::serve(HTTP, &["127.0.0.1:0"]);
    let target = Target::new("secret");
    fs::write(&target.0, "old").unwrap();
    fs::set_permissions(&target.0, fs::Permissions::from_mode(0o600)).unwrap();
    let url = format!("http://{address}/bytes/10");
    let mut fetch = Program::start(FETCH, &[&url, "-o", target.path()]);
    assert!(fetch.end().success(), "{:?}", fetch.seen);
    let metadata = fs::metadata(&target.0).unwrap();
    assert_eq!((metadata.len(), metadata.mode() & 0o777), (10, 0o600));
}

#[test]
fn a_link_to_itself_is_an_error() {
    let link = Target::new("loop");
    symlink(link.path(), &link.0).unwrap();
    let url = "http://127.0.0.1:1/";
    let mut fetch = Program::start(FETCH, &[url, "-o", link.path()]);
    assert_eq!(fetch.end().code(), Some(1));
    let text = format!("error: cannot write {}: ", link.path());
    assert!(fetch.seen[0].starts_with(&text), "{:?}", fetch.seen);
    assert!(link.0.is_symlink());
}

#[test]
fn a_name_of_a_descriptor_is_not_replaced() {
    if !std::path::Path::new("/dev/stdout").exists() {
        eprintln!("SKIPPED: this machine has no /dev/stdout");
        return;
    }
    let (_server, address) = Program::serve(HTTP, &["127.0.0.1:0"]);
    let (target, link) = (Target::new("stdout"), Target::new("to-stdout"));
    symlink("/dev/stdout", &link.0).unwrap();
    let url = format!("http://{address}/bytes/1000");
    for output in ["/dev/stdout", "/dev/fd/1", link.path()] {
        let file = fs::File::create(&target.0).unwrap();
        let mut fetch = Command::new(FETCH);
        fetch
            .args(["-q", &url, "-o", output])
            .stdout(file.try_clone().unwrap());
        assert!(fetch.status().unwrap().success(), "{output}");
        // It is still the same file, not a new one with its name.
        assert_eq!(file.metadata().unwrap().len(), 1000, "{output}");
    }
}

#[test]
fn errors_name_the_cause() {
    let (gone, _streams) = unused_address();
    let short = answer(&["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"]);
    let rubbish = answer(&["SSH-2.0-OpenSSH_9.2\r\n"]);
    let missing = answer(&["HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"]);
    for (url, text) in [
        (
            format!("http://{gone}/"),
            format!("cannot connect to {gone}: Connection refused"),
        ),
        (format!("http://{short}/"), "cut off after 5 bytes: ".into()),
        (
            format!("http://{rubbish}/"),
            "invalid HTTP version parsed".into(),
        ),
        (
            format!("http://{missing}/"),
            "the server answered 404 Not Found".into(),
        ),
        (
            "http://no.such.host.invalid/".into(),
            "cannot look up \"no.such.host.invalid\"".into(),
        ),
        (
            "http://127.0.0.1:99999/".into(),
            "not a port from 1 to 65535".into(),
        ),
        (
            "https://example.com/".into(),
            "https is not supported, only http".into(),
        ),
        (
            "example.com".into(),
            "not a URL that begins with http://".into(),
        ),
    ] {
        let target = Target::new("wrong");
        let mut fetch = Program::start(FETCH, &[&url, "-o", target.path()]);
        assert_eq!(fetch.end().code(), Some(1), "{url}");
        assert!(fetch.seen[0].contains(&text), "{url}: {:?}", fetch.seen);
        assert!(!target.0.exists());
    }
}

#[test]
fn a_server_without_progress_is_an_error_after_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut fetch = Program::start(FETCH, &[&url, "--idle", "0.1"]);
    assert_eq!(fetch.end().code(), Some(1));
    assert!(fetch.seen[0].ends_with("no progress for 100ms"));
    // The limit also holds in the middle of a response.
    let mut fetch = Program::start(FETCH, &[&url, "--idle", "1"]);
    let (_silent, (mut stream, _)) = (listener.accept().unwrap(), listener.accept().unwrap());
    stream.read_exact(&mut [0]).unwrap();
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    stream.write_all(head).unwrap();
    assert_eq!(fetch.end().code(), Some(1));
    let text = "cut off after 5 bytes: no progress for 1s";
    assert!(
        fetch.seen.iter().any(|line| line.ends_with(text)),
        "{:?}",
        fetch.seen
    );
}

#[test]
fn ctrl_c_leaves_the_bytes_that_have_arrived() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let target = Target::new("interrupted");
    let mut fetch = Program::start(FETCH, &[&url, "-o", target.path()]);
    let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0]).unwrap();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
        .unwrap();
    while fs::read(target.part()).unwrap_or_default() != b"hello" {
        assert!(!fetch.has_ended());
        thread::yield_now();
    }
    fetch.signal("-INT");
    assert_eq!(fetch.end().code(), Some(130));
    let part = target.part();
    assert_eq!(
        fetch.seen,
        [format!("interrupted: 5 bytes are in {}", part.display())]
    );
}
