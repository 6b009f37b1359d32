//! workers, tested with clients of the standard library and with wrk.

mod support;

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::SocketAddr,
};

use support::{Program, connect, is_closed, tool, trickle};

const WORKERS: &str = env!("CARGO_BIN_EXE_workers");

fn serve(arguments: &[&str]) -> (Program, SocketAddr) {
    let arguments = [&["127.0.0.1:0", "--workers", "2"], arguments].concat();
    Program::serve(WORKERS, &arguments)
}

/// Sends requests, and reads until the server closes.
fn ask(address: SocketAddr, requests: &str) -> String {
    let mut client = connect(address);
    client.write_all(requests.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

const LAST: &str = "GET / HTTP/1.1\r\nhost: x\r\nConnection: close\r\n\r\n";

#[test]
fn all_workers_answer() {
    let (mut server, address) = serve(&["--work", "1000"]);
    let bodies = (0..100).map(|_| {
        let answer = ask(address, LAST);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        answer.lines().last().unwrap().to_owned()
    });
    let different: HashSet<_> = bodies.collect();
    // Where the workers share a listener, the first to accept may be the same one each time.
    let spreads = cfg!(any(
        target_os = "linux",
        target_os = "dragonfly",
        target_os = "freebsd"
    ));
    assert!(!spreads || different.len() == 2, "{different:?}");
    server.interrupt();
    let sums = server
        .seen
        .iter()
        .filter_map(|line| line.strip_suffix(" answers"));
    let sums = sums.map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap());
    assert_eq!(sums.sum::<u32>(), 100);
}

#[test]
fn requests_that_come_together_are_answered_together() {
    let (_server, address) = serve(&[]);
    let answer = ask(address, &["GET / HTTP/1.1\r\n\r\n", LAST].concat());
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2);
    assert!(answer.contains("connection: keep-alive") && answer.contains("connection: close"));
}

#[test]
fn an_invalid_request_is_refused() {
    let (mut server, address) = serve(&[]);
    assert!(ask(address, "POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    let long = "x".repeat(8 * 1024);
    assert!(ask(address, &long).starts_with("HTTP/1.1 431 "));
    server.interrupt();
}

#[test]
fn a_client_that_asks_to_close_is_closed_after_the_answer() {
    let (mut server, address) = serve(&[]);
    for head in [
        "GET / HTTP/1.0",
        "GET / HTTP/1.1\r\nConnection:Close",
        "GET / HTTP/1.1\r\nConnection: TE, close",
        // The bytes after it are not a request.
        "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /",
    ] {
        let answer = ask(address, &format!("{head}\r\n\r\n"));
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
    server.interrupt();
}

#[test]
fn the_head_of_a_request_has_a_time_limit_even_if_bytes_arrive() {
    let (mut server, address) = serve(&["--idle", "0.5"]);
    trickle(&connect(address));
    server.line("no progress for 500ms");
    server.interrupt();
}

#[test]
fn a_worker_that_cannot_start_ends_the_program() {
    // The shell allows fewer descriptors than that many loops need.
    let limit = "ulimit -n 24 && exec \"$0\" 127.0.0.1:0 --workers 12";
    let mut server = Program::start("sh", &["-c", limit, WORKERS]);
    assert_eq!(server.end().code(), Some(1));
    let seen = &server.seen;
    assert!(
        seen.iter().any(|line| line == "try fewer --workers"),
        "{seen:#?}"
    );
    assert!(!seen.iter().any(|line| line.starts_with("listening")));
}

#[test]
fn zero_workers_are_refused() {
    let mut server = Program::start(WORKERS, &["127.0.0.1:0", "--workers", "0"]);
    assert_eq!(server.end().code(), Some(2));
    assert!(server.seen[0].ends_with("not a number of at least 1"));
}

#[test]
fn two_servers_do_not_share_an_address() {
    let (mut server, address) = serve(&[]);
    let mut second = Program::start(WORKERS, &[&address.to_string()]);
    assert_eq!(second.end().code(), Some(1));
    let advice = "another program listens there; choose another port, or 0 for one that is free";
    assert!(second.seen[0].ends_with(advice), "{:?}", second.seen);
    // A later server can, even if old connections are in TIME_WAIT.
    let client = connect(address);
    support::ask(&client, b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n");
    server.interrupt();
    let mut next = Program::start(WORKERS, &[&address.to_string()]);
    next.line("listening on ");
    next.interrupt();
}

#[test]
fn ctrl_c_ends_all_workers() {
    let (mut server, address) = serve(&[]);
    let clients: Vec<_> = (0..20).map(|_| connect(address)).collect();
    for client in &clients {
        support::ask(client, b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n");
    }
    server.interrupt();
    for mut client in clients {
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        assert!(is_closed(&client));
    }
}

#[test]
fn wrk_gets_no_wrong_answer() {
    let (mut server, address) = serve(&[]);
    let url = format!("http://{address}/");
    if let Some(text) = tool("wrk", &["-c", "50", "-t", "1", "-d", "1s", &url]) {
        assert!(text.contains("requests in"), "{text}");
        assert!(
            !text.contains("Non-2xx") && !text.contains("Socket errors"),
            "{text}"
        );
    }
    server.interrupt();
}
