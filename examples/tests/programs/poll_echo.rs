//! The example `poll_echo`.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener},
};

use crate::program::{Program, connect, echo_all, exchange, fails, reset};

#[test]
fn poll_echo_sends_back_what_arrives_on_20_connections_at_once() {
    let mut server = Program::start("poll_echo", &["127.0.0.1:0"]);
    let address = server.address();
    echo_all(address, 20, 200_000);

    server.signal("INT");
    let end = server.end();
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    assert_eq!(end.errors, "");
}

#[test]
fn poll_echo_closes_its_connections_at_ctrl_c() {
    let mut server = Program::start("poll_echo", &["127.0.0.1:0"]);
    let address = server.address();
    let mut clients = [connect(address), connect(address), connect(address)];
    clients.iter().for_each(|client| exchange(client, "hello"));

    server.signal("INT");
    let end = server.end();
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    assert_eq!(end.lines, ["3 connections closed"]);
    for client in &mut clients {
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn poll_echo_says_what_is_wrong_with_an_address() {
    fails("poll_echo", "here", "cannot listen on");
    fails("poll_echo", "192.0.2.1:7001", "cannot listen on");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails("poll_echo", &address, "cannot listen on");
}

#[test]
fn poll_echo_reads_no_more_from_a_client_that_does_not_read() {
    let mut server = Program::start("poll_echo", &["127.0.0.1:0"]);
    let address = server.address();
    let mut greedy = connect(address);
    greedy.set_nonblocking(true).unwrap();
    // All buffers are full when a write is refused and still is after the server has answered
    // another client.
    let (mut sent, mut refused) = (0, 0);
    while refused < 10 {
        match greedy.write(&[b'!'; 10_000]) {
            Ok(n) => (sent, refused) = (sent + n, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                refused += 1;
                exchange(&connect(address), "hello");
            }
            Err(error) => panic!("{error}"),
        }
    }
    // The bytes that were sent come back.
    greedy.set_nonblocking(false).unwrap();
    greedy.shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    greedy.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), sent);
}

#[test]
fn poll_echo_survives_clients_that_reset_their_connections() {
    let mut server = Program::start("poll_echo", &["127.0.0.1:0"]);
    let address = server.address();
    let witness = connect(address);
    for _ in 0..20 {
        drop(connect(address));
        reset(connect(address));
    }
    exchange(&witness, "still there?");
}

#[test]
fn poll_echo_serves_more_clients_than_it_has_descriptors() {
    let mut server = Program::start_with_descriptors(20, "poll_echo", &["127.0.0.1:0"]);
    let address = server.address();
    let clients: Vec<_> = (0..60).map(|_| connect(address)).collect();
    server.hear("cannot accept");
    for client in clients {
        exchange(&client, "hello");
    }
}
