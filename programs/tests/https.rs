//! https, tested with curl, which trusts its certificate.

#![cfg(feature = "https")]

mod support;

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use support::{Program, connect, is_closed, tool};

const HTTPS: &str = env!("CARGO_BIN_EXE_https");

#[test]
fn curl_trusts_the_certificate_and_gets_its_response() {
    let file = std::env::temp_dir().join(format!("nio-https-{}.pem", std::process::id()));
    let path = file.to_str().unwrap();
    let (mut server, address) =
        Program::serve(HTTPS, &["127.0.0.1:0", "--write-certificate", path]);
    let url = |host: &str, path: &str| format!("https://{host}:{}{path}", address.port());
    let curl = |arguments: &[&str]| {
        let arguments = [&["-sS", "--fail", "--cacert", path], arguments].concat();
        tool("curl", &arguments)
    };
    let (hello, again) = (url("localhost", "/"), url("127.0.0.1", "/"));
    if let Some(text) = curl(&[&hello]) {
        assert_eq!(text, "hello from nio\n");
        assert_eq!(curl(&[&again]).unwrap(), "hello from nio\n");
        let bytes = curl(&[&url("localhost", "/bytes/3000000")]).unwrap();
        assert_eq!(bytes.len(), 3_000_000);
        let echo = curl(&["--data-binary", "abc", &url("localhost", "/echo")]).unwrap();
        assert_eq!(echo, "abc");
        let old = curl(&["--tls-max", "1.2", &hello]).unwrap();
        assert_eq!(old, "hello from nio\n");
    }
    std::fs::remove_file(&file).unwrap();
    server.interrupt();
}

#[test]
fn a_client_without_tls_is_closed_and_affects_no_other() {
    let (mut server, address) = Program::serve(HTTPS, &["127.0.0.1:0", "--handshake", "0.2"]);
    let mut client = connect(address);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = client.read_to_end(&mut Vec::new()); // an alert
    server.line("127.0.0.1:");
    // A client that sends no byte.
    assert!(is_closed(&connect(address)));
    server.line("no TLS handshake within 200ms");
    server.interrupt();
}

#[test]
fn a_client_that_stops_reading_is_reset() {
    let (mut server, address) = Program::serve(HTTPS, &["127.0.0.1:0", "--idle", "1"]);
    // curl's output is a pipe that is not read.
    let url = format!("https://{address}/bytes/1000000000");
    let curl = Command::new("curl")
        .args(["-sS", "--insecure", &url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(curl) = curl else {
        eprintln!("SKIPPED: this machine has no curl");
        return;
    };
    server.line("no progress for 1s");
    let output = curl.wait_with_output().unwrap();
    assert!(!output.status.success());
    server.interrupt();
}

#[test]
fn a_certificate_that_cannot_be_written_is_an_error() {
    let path = "/nowhere/nio.pem";
    let mut server = Program::start(HTTPS, &["127.0.0.1:0", "--write-certificate", path]);
    assert_eq!(server.end().code(), Some(1));
    assert_eq!(server.seen.len(), 1);
    assert!(server.seen[0].starts_with("error: cannot write /nowhere/nio.pem: "));
}

#[test]
fn a_name_of_the_certificate_is_in_the_hint() {
    for name in ["", "a b", "\u{fc}ber.example"] {
        let mut server = Program::start(HTTPS, &["127.0.0.1:0", "--names", name]);
        assert_eq!(server.end().code(), Some(2));
        assert!(server.seen[0].contains("not a name or an address; try localhost"));
    }
    let mut server = Program::start(HTTPS, &["127.0.0.1:0", "--names", "::1"]);
    server.line("try: curl --insecure https://[::1]:");
    server.interrupt();
}
