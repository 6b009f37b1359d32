//! http, tested with clients of the standard library, with curl and with wrk.

#![cfg(feature = "http")]

mod support;

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use support::{Program, ask, connect, is_closed, pattern, tool, trickle};

const HTTP: &str = env!("CARGO_BIN_EXE_http");

fn serve(arguments: &[&str]) -> (Program, SocketAddr) {
    let arguments = [&["127.0.0.1:0"], arguments].concat();
    Program::serve(HTTP, &arguments)
}

fn request(mut client: &TcpStream, head: &str) {
    client
        .write_all(format!("{head}\r\nhost: here\r\n\r\n").as_bytes())
        .unwrap();
}

/// Reads until these bytes have arrived.
fn read_until(mut client: &TcpStream, end: &[u8]) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_connection_is_kept_for_one_request_after_the_other() {
    let (mut server, address) = serve(&[]);
    let client = connect(address);
    for _ in 0..3 {
        request(&client, "GET / HTTP/1.1");
        let answer = read_until(&client, b"hello from nio\n");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n"),
            "{answer}"
        );
    }
    request(&client, "GET /nothing HTTP/1.1");
    let answer = read_until(&client, b"as it comes\n");
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    server.interrupt();
    assert!(is_closed(&client));
}

#[test]
fn a_streamed_body_is_sent_while_it_arrives() {
    let (_server, address) = serve(&[]);
    let client = connect(address);
    // The request is not complete, but a part of it is already sent back.
    let head = "POST /echo HTTP/1.1\r\ntransfer-encoding: chunked";
    request(&client, head);
    read_until(&client, b"\r\n\r\n");
    for _ in 0..3 {
        ask(&client, b"5\r\nhello\r\n", b"5\r\nhello\r\n");
    }
    ask(&client, b"0\r\n\r\n", b"0\r\n\r\n");
    request(&client, "GET /ticks/2 HTTP/1.1");
    read_until(&client, b"0 to go\n\r\n0\r\n\r\n");
}

#[test]
fn a_client_without_a_request_is_closed() {
    let (mut server, address) = serve(&["--idle", "0.1"]);
    assert!(is_closed(&connect(address)));
    let client = connect(address);
    (&client).write_all(b"GET / HT").unwrap();
    let _ = (&client).read_to_end(&mut Vec::new());
    server.interrupt();
}

#[test]
fn a_client_that_stops_reading_is_reset() {
    let (mut server, address) = serve(&["--idle", "1"]);
    let mut client = connect(address);
    request(&client, "GET /bytes/1000000000 HTTP/1.1");
    server.line("no progress for 1s");
    // The bytes in the kernel's buffer may still arrive, but a reset follows them, not an end.
    let error = client.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    server.interrupt();
}

#[test]
fn a_client_that_stops_sending_is_closed() {
    let (mut server, address) = serve(&["--idle", "1"]);
    let mut client = connect(address);
    request(&client, "POST /echo HTTP/1.1\r\ncontent-length: 10");
    read_until(&client, b"\r\n\r\n");
    ask(&client, b"hello", b"hello");
    assert_eq!(client.read_to_end(&mut Vec::new()).unwrap(), 0);
    server.line("no progress for 1s");
    server.interrupt();
}

#[test]
fn the_head_of_a_request_has_a_time_limit_even_if_bytes_arrive() {
    let (mut server, address) = serve(&["--idle", "0.5"]);
    let mut client = connect(address);
    client.write_all(b"GET / HTTP/1.1\r\nx: ").unwrap();
    trickle(&client);
    server.line("no progress for 500ms");
    server.interrupt();
}

#[test]
fn a_slow_client_is_served_as_long_as_it_reads() {
    let (mut server, address) = serve(&["--idle", "1"]);
    let mut client = connect(address);
    request(&client, "GET /bytes/100000000 HTTP/1.1");
    let start = Instant::now();
    // The whole response takes longer than the limit, but no piece of it does.
    let (mut read, mut bytes) = (0, vec![0; 1 << 20]);
    while read < 100_000_000 {
        let early = Duration::from_millis(read / 1_000_000 * 13);
        let wait = early.saturating_sub(start.elapsed());
        std::thread::sleep(wait); // the client is slow
        match client.read(&mut bytes) {
            Ok(0) => panic!("cut off after {read} bytes"),
            Ok(n) => read += n as u64,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
        }
    }
    assert!(start.elapsed() > Duration::from_secs(1));
    server.interrupt();
}

#[test]
fn ctrl_c_finishes_the_current_request() {
    let (mut server, address) = serve(&[]);
    let client = connect(address);
    request(&client, "GET /ticks/3 HTTP/1.1");
    read_until(&client, b"2 to go\n");
    server.signal("-INT");
    server.line("ending when 1 connections have finished");
    read_until(&client, b"0 to go\n\r\n0\r\n\r\n");
    assert!(is_closed(&client));
    assert!(server.end().success());
}

#[test]
fn a_client_that_is_killed_affects_no_other() {
    let (mut server, address) = serve(&[]);
    for _ in 0..20 {
        let client = connect(address);
        request(&client, "GET /bytes/100000000 HTTP/1.1");
        read_until(&client, b"\r\n\r\n");
        drop(client); // with unread bytes: a reset
    }
    let client = connect(address);
    (&client).write_all(&[0xff; 100]).unwrap();
    (&client).write_all(b"\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = (&client).read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
    server.interrupt();
}

#[test]
fn a_thousand_clients_are_served() {
    let (mut server, address) = serve(&["--connections", "400"]);
    let mut clients = Vec::new();
    for _ in 0..400 {
        clients.push(connect(address));
    }
    for client in &clients {
        request(client, "GET / HTTP/1.1");
    }
    for client in clients.drain(..) {
        read_until(&client, b"hello from nio\n");
    }
    for _ in 0..600 {
        let client = connect(address);
        request(&client, "GET / HTTP/1.1");
        read_until(&client, b"hello from nio\n");
    }
    server.interrupt();
}

#[test]
fn curl_and_wrk_are_served() {
    let (mut server, address) = serve(&[]);
    let url = |path: &str| format!("http://{address}{path}");
    let (hello, bytes, ticks) = (url("/"), url("/bytes/3000000"), url("/ticks/2"));
    // All requests on one connection.
    let arguments = ["-sS", "--fail", "-w", "%{num_connects}", &hello, &hello];
    if let Some(text) = tool("curl", &arguments) {
        assert_eq!(text, "hello from nio\n1hello from nio\n0");
        assert_eq!(tool("curl", &["-sS", &bytes]).unwrap().len(), 3_000_000);
        assert_eq!(
            tool("curl", &["-sS", &ticks]).unwrap(),
            "1 to go\n0 to go\n"
        );
        let file = std::env::temp_dir().join(format!("nio-http-{}", std::process::id()));
        std::fs::write(&file, pattern(3_000_000).escape_ascii().to_string()).unwrap();
        let data = format!("@{}", file.display());
        let echo = tool("curl", &["-sS", "--data-binary", &data, &url("/echo")]).unwrap();
        assert!(echo == std::fs::read_to_string(&file).unwrap());
        std::fs::remove_file(&file).unwrap();
    }
    if let Some(text) = tool("wrk", &["-c", "50", "-t", "1", "-d", "1s", &hello]) {
        assert!(
            !text.contains("Non-2xx") && !text.contains("Socket errors"),
            "{text}"
        );
    }
    server.interrupt();
}

#[test]
fn a_request_that_is_not_read_completely_gets_its_answer() {
    let (mut server, address) = serve(&[]);
    for _ in 0..20 {
        let client = connect(address);
        request(
            &client,
            "POST /nothing HTTP/1.1\r\ncontent-length: 50000000",
        );
        // The client writes everything, then reads the answer: a reset would fail one of them.
        (&client).write_all(&vec![0; 50_000_000]).unwrap();
        let answer = read_until(&client, b"as it comes\n");
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
        assert!(is_closed(&client));
    }
    server.interrupt();
}
