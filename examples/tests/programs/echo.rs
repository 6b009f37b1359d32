//! The example `echo`.

use std::{
    io::{ErrorKind, Read},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::program::{Program, connect, echo_all, exchange, fails, reset};

#[test]
fn echo_sends_back_a_megabyte_on_each_of_100_connections_at_once() {
    let mut server = Program::start("echo", &["127.0.0.1:0"]);
    let address = server.address();
    echo_all(address, 100, 1 << 20);

    server.signal("INT");
    let end = server.end();
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    assert_eq!(end.errors, "");
}

#[test]
fn echo_prints_a_command_to_try_it() {
    let mut server = Program::start("echo", &["127.0.0.1:0"]);
    let line = server.hear("listening");
    let port = line.rsplit(' ').next().unwrap();
    assert_eq!(
        line,
        format!("listening on 127.0.0.1:{port}; try: nc 127.0.0.1 {port}")
    );
}

#[test]
fn echo_lets_open_connections_finish_after_ctrl_c() {
    let mut server = Program::start("echo", &["127.0.0.1:0"]);
    let address = server.address();
    let clients = [connect(address), connect(address)];
    clients.iter().for_each(|client| exchange(client, "before"));

    server.signal("INT");
    server.hear("no more connections");
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    for client in clients {
        exchange(&client, "after");
    }

    let end = server.end();
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    assert_eq!(end.lines, ["all connections are closed"]);
    assert_eq!(end.errors, "");
}

#[test]
fn echo_ends_at_the_first_ctrl_c_without_connections() {
    let mut server = Program::start("echo", &["127.0.0.1:0"]);
    let address = server.address();
    exchange(&connect(address), "hello");
    server.signal("INT");
    assert_eq!(server.end().status.code(), Some(0));
}

#[test]
fn echo_ends_at_the_second_ctrl_c_with_an_open_connection() {
    let mut server = Program::start("echo", &["127.0.0.1:0"]);
    let mut client = connect(server.address());
    exchange(&client, "hello");
    server.signal("INT");
    server.hear("no more connections");
    server.signal("INT");
    assert_eq!(server.end().status.code(), Some(130));
    assert!(client.read(&mut [0]).is_ok_and(|n| n == 0));
}

#[test]
fn echo_handles_sigterm_like_ctrl_c() {
    let mut server = Program::start("echo", &["127.0.0.1:0"]);
    server.address();
    server.signal("TERM");
    assert_eq!(server.end().status.code(), Some(0));
}

#[test]
fn echo_says_what_is_wrong_with_an_address() {
    fails("echo", "here", "it has no port");
    fails("echo", "127.0.0.1", "it has no port");
    fails("echo", "192.0.2.1:7070", "cannot listen on");
}

#[test]
fn echo_says_that_an_address_is_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fails("echo", &address, "cannot listen on");
}

#[test]
fn echo_survives_clients_that_reset_their_connections() {
    let mut server = Program::start("echo", &["127.0.0.1:0"]);
    let address = server.address();
    let witness = connect(address);
    for _ in 0..20 {
        drop(connect(address));
        reset(connect(address));
    }
    server.hear("127.0.0.1:");
    exchange(&witness, "still there?");
}

#[test]
fn echo_serves_more_clients_than_it_has_descriptors() {
    let begin = Instant::now();
    let mut server = Program::start_with_descriptors(20, "echo", &["127.0.0.1:0"]);
    let address = server.address();
    let clients: Vec<_> = (0..60).map(|_| connect(address)).collect();
    server.hear("cannot accept");
    for client in clients {
        exchange(&client, "hello");
    }
    server.signal("INT");
    let end = server.end();
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    // It pauses between two attempts and does not spin.
    let attempts = end.lines.iter().filter(|l| l.contains("cannot accept"));
    let attempts = attempts.count() as u128;
    assert!(attempts <= begin.elapsed().as_millis() / 100, "{attempts}");
}
