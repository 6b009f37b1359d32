//! The example `mini_loop`.

use std::{
    io::{Read, Write},
    net::SocketAddr,
};

use crate::program::{Program, connect, fails};

/// Sends a request in two parts, and returns the body of the answer.
fn get(address: SocketAddr) -> String {
    let mut client = connect(address);
    client.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    client.write_all(b"Host: here\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    body.into()
}

#[test]
fn mini_loop_answers_while_its_interval_ticks() {
    let mut server = Program::start("mini_loop", &["127.0.0.1:0"]);
    let address = server.address();
    server.hear("answered 0 requests");
    for _ in 0..3 {
        assert_eq!(get(address), "hello from the loop\n");
    }
    server.hear("answered 3 requests");
}

#[test]
fn mini_loop_serves_others_while_a_client_says_nothing() {
    let mut server = Program::start("mini_loop", &["127.0.0.1:0"]);
    let address = server.address();
    let mut silent = connect(address);
    for _ in 0..20 {
        drop(connect(address));
    }
    let mut half = connect(address);
    half.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let clients: Vec<_> = (0..20)
        .map(|_| std::thread::spawn(move || get(address)))
        .collect();
    for client in clients {
        assert_eq!(client.join().unwrap(), "hello from the loop\n");
    }
    // Its five seconds end, and those of the client that sent a part of its request.
    assert_eq!(silent.read_to_end(&mut Vec::new()).unwrap(), 0);
    assert_eq!(half.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn mini_loop_is_woken_by_the_thread_that_reads_its_terminal() {
    let (mut server, mut terminal) = Program::start_with_terminal("mini_loop", &["127.0.0.1:0"]);
    let address = server.address();
    for n in 0..20 {
        let line = format!("line {n}\n");
        terminal.write_all(line.as_bytes()).unwrap();
        while get(address) != line {}
    }
}

#[test]
fn mini_loop_goes_on_when_its_terminal_has_ended() {
    let (mut server, terminal) = Program::start_with_terminal("mini_loop", &["127.0.0.1:0"]);
    let address = server.address();
    drop(terminal);
    server.hear("answered 0 requests");
    assert_eq!(get(address), "hello from the loop\n");
}

#[test]
fn mini_loop_says_what_is_wrong_with_an_address() {
    fails("mini_loop", "here", "cannot listen on");
}
