//! The example `kqueue_101`.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
};

use crate::program::{Program, connect, fails};

/// Asks as a browser would.
fn get(address: SocketAddr) -> String {
    let mut client = connect(address);
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

fn check(answer: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    assert_eq!(body, "hello from kqueue\n");
}

#[test]
fn kqueue_101_answers_each_client() {
    let mut server = Program::start("kqueue_101", &["127.0.0.1:0"]);
    let address = server.address();
    server.hear("registered: READ");
    for n in 0..10 {
        check(&get(address));
        if n == 0 {
            // One event may be for several clients.
            server.hear("event: READ");
        }
        server.hear("answered 127.0.0.1:");
    }
}

#[test]
fn kqueue_101_answers_clients_that_come_at_once() {
    let mut server = Program::start("kqueue_101", &["127.0.0.1:0"]);
    let address = server.address();
    let clients: Vec<_> = (0..20)
        .map(|_| std::thread::spawn(move || check(&get(address))))
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn kqueue_101_survives_clients_that_reset_their_connections() {
    let mut server = Program::start("kqueue_101", &["127.0.0.1:0"]);
    let address = server.address();
    for _ in 0..20 {
        drop(connect(address));
    }
    let mut in_the_middle = connect(address);
    in_the_middle.write_all(b"GET / HT").unwrap();
    drop(in_the_middle);
    check(&get(address));
}

#[test]
fn kqueue_101_goes_on_when_it_has_been_stopped_for_a_while() {
    let mut server = Program::start("kqueue_101", &["127.0.0.1:0"]);
    let address = server.address();
    check(&get(address));
    // At least one of these comes while it waits.
    for _ in 0..10 {
        server.signal("STOP");
        server.signal("CONT");
    }
    check(&get(address));
}

#[test]
fn kqueue_101_prints_every_second_that_nothing_happened() {
    let mut server = Program::start("kqueue_101", &["127.0.0.1:0"]);
    server.hear("nothing happened for a second");
}

#[test]
fn kqueue_101_says_what_is_wrong_with_an_address() {
    fails("kqueue_101", "here", "cannot listen on");
    fails("kqueue_101", "192.0.2.1:8888", "cannot listen on");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails("kqueue_101", &address, "cannot listen on");
}
