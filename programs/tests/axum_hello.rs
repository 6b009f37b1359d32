//! axum_hello, tested with a client of the standard library.

#![cfg(feature = "axum")]

mod support;

use std::io::{Read, Write};

use support::{Program, connect, trickle};

const AXUM_HELLO: &str = env!("CARGO_BIN_EXE_axum_hello");

#[test]
fn routes_of_axum_are_answered() {
    let (mut server, address) = Program::serve(AXUM_HELLO, &["127.0.0.1:0"]);
    for (request, status, body) in [
        ("GET /", "200 OK", "hello from axum on nio\n"),
        ("GET /hello/you", "200 OK", "hello, you\n"),
        ("POST /count", "200 OK", "1\n"),
        ("GET /count", "200 OK", "2\n"),
        ("GET /nosuch", "404 Not Found", ""),
        ("POST /", "405 Method Not Allowed", ""),
    ] {
        let mut client = connect(address);
        write!(
            client,
            "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{answer}"
        );
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
    }
    server.interrupt();
}

#[test]
fn the_head_of_a_request_has_a_time_limit_even_if_bytes_arrive() {
    let (mut server, address) = Program::serve(AXUM_HELLO, &["127.0.0.1:0", "--idle", "0.5"]);
    let mut client = connect(address);
    client.write_all(b"GET / HTTP/1.1\r\nx: ").unwrap();
    trickle(&client);
    server.line("no progress for 500ms");
    server.interrupt();
}
