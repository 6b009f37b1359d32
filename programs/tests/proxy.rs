//! proxy, between clients and servers of the standard library.

mod support;

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use support::{Program, ask, connect, is_closed, nobody, pattern, wait_until_refused};

const PROXY: &str = env!("CARGO_BIN_EXE_proxy");

/// A proxy to a server that the test is.
fn serve(arguments: &[&str]) -> (Program, SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let arguments = [&["127.0.0.1:0", &target], arguments].concat();
    let (proxy, address) = Program::serve(PROXY, &arguments);
    (proxy, address, listener)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(support::LIMIT)).unwrap();
    stream
}

/// Whether the other side has cut it off: that is no end.
fn is_reset(mut stream: &TcpStream) -> bool {
    let read = stream.read(&mut [0]);
    matches!(read, Err(error) if error.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn bytes_and_ends_are_passed_on_in_both_directions() {
    let (mut proxy, address, listener) = serve(&[]);
    let mut client = connect(address);
    let mut server = accept(&listener);
    let sent = pattern(8 << 20);
    let expected = sent.clone();
    let mut writer = client.try_clone().unwrap();
    let writes = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    server.read_to_end(&mut received).unwrap();
    writes.join().unwrap();
    assert!(received == expected);
    // The way back is open still.
    server.write_all(b"thanks").unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "thanks");
    proxy.interrupt();
}

#[test]
fn a_peer_that_is_killed_is_not_taken_for_one_that_has_finished() {
    let (mut proxy, address, listener) = serve(&[]);
    let mut client = connect(address);
    let mut server = accept(&listener);
    ask(&client, b"", b"");
    server.write_all(&pattern(1 << 20)).unwrap();
    client.write_all(b"never read").unwrap();
    let mut some = [0; 1000];
    client.read_exact(&mut some).unwrap();
    // Closing with something unread resets the connection, as a kill does.
    server.peek(&mut some).unwrap();
    drop(server);
    let mut rest = Vec::new();
    let error = client.read_to_end(&mut rest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    proxy.line("from B to A: cannot read: Connection reset");
    proxy.interrupt();
}

#[test]
fn a_target_that_is_not_there_is_named() {
    let (target, _streams) = nobody();
    let (mut proxy, address) = Program::serve(PROXY, &["127.0.0.1:0", &target.to_string()]);
    assert!(is_reset(&connect(address)));
    proxy.line(&format!("cannot connect to {target}"));
    proxy.interrupt();
}

#[test]
fn a_target_that_is_the_proxy_itself_is_refused_at_once() {
    for (target, all) in [
        ("127.0.0.1", false),
        ("localhost", false),
        ("127.0.0.1", true),
        ("0.0.0.0", true),
    ] {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let address = if all { "0.0.0.0" } else { "127.0.0.1" };
        let arguments = [format!("{address}:{port}"), format!("{target}:{port}")];
        let mut proxy = Program::start(PROXY, &[&arguments[0], &arguments[1]]);
        assert_eq!(proxy.end().code(), Some(1));
        let text = format!("error: the target {target}:{port} is this proxy itself");
        assert!(proxy.seen[0].starts_with(&text), "{:?}", proxy.seen);
    }
}

#[test]
fn a_target_may_be_a_name() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("localhost:{}", listener.local_addr().unwrap().port());
    let (_proxy, address) = Program::serve(PROXY, &["127.0.0.1:0", &target]);
    let client = connect(address);
    let server = accept(&listener);
    ask(&client, b"", b"");
    (&server).write_all(b"hello").unwrap();
    ask(&client, b"", b"hello");
    let (mut proxy, address) = Program::serve(PROXY, &["127.0.0.1:0", "no.such.host.invalid:80"]);
    assert!(is_closed(&connect(address)));
    proxy.line("cannot look up \"no.such.host.invalid\"");
}

#[test]
fn connections_in_which_nothing_happens_are_closed() {
    let (mut proxy, address, listener) = serve(&["--idle", "0.2"]);
    let client = connect(address);
    let _server = accept(&listener);
    assert!(is_closed(&client));
    proxy.line("nothing has happened for 200ms");
    proxy.interrupt();
}

#[test]
fn after_the_end_of_one_side_the_other_has_less_time() {
    for client_ends in [true, false] {
        let (mut proxy, address, listener) = serve(&["--half-closed", "1"]);
        let client = connect(address);
        let server = accept(&listener);
        let (ends, goes_on) = match client_ends {
            true => (client, server),
            false => (server, client),
        };
        ends.shutdown(Shutdown::Write).unwrap();
        assert!(is_closed(&goes_on)); // the end, that is
        // As long as something comes, it goes on, and for longer than the limit.
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1300) {
            ask(&goes_on, b"more", b"");
            ask(&ends, b"", b"more");
        }
        let error = (&ends).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        proxy.line("half-closed, and nothing has happened for 1s");
        proxy.interrupt();
    }
}

#[test]
fn who_has_finished_and_is_gone_is_not_waited_for_for_ever() {
    let (mut proxy, address, listener) = serve(&["--half-closed", "0.2"]);
    drop(connect(address));
    let mut server = accept(&listener);
    // It has read the end, and says nothing, so nothing tells that nobody would hear it.
    assert_eq!(server.read_to_end(&mut Vec::new()).unwrap(), 0);
    proxy.line("half-closed, and nothing has happened for 200ms");
    proxy.interrupt();
}

#[test]
fn a_slow_reader_gets_all_of_what_has_finished() {
    let (mut proxy, address, listener) = serve(&["--half-closed", "0.2"]);
    let mut client = connect(address);
    let mut server = accept(&listener);
    // More than its kernel takes for a client that does not read, and no more than the proxy's does.
    let sent = pattern(200_000);
    server.write_all(&sent).unwrap();
    drop(server);
    proxy.line("half-closed, and nothing has happened for 200ms");
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert!(received == sent);
    proxy.interrupt();
}

#[test]
fn a_client_beyond_the_limit_waits_for_its_turn() {
    let (_proxy, address, listener) = serve(&["--connections", "1"]);
    let first = connect(address);
    let server = accept(&listener);
    let second = connect(address);
    (&second).write_all(b"hello").unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
    listener.set_nonblocking(false).unwrap();
    drop((first, server));
    let server = accept(&listener);
    server.set_nonblocking(false).unwrap();
    ask(&server, b"", b"hello");
}

#[test]
fn ctrl_c_lets_a_transfer_finish_and_not_for_ever() {
    let (mut proxy, address, listener) = serve(&[]);
    let mut client = connect(address);
    let server = accept(&listener);
    ask(&client, b"", b"");
    proxy.signal("-INT");
    proxy.line("ending when 1 connections have finished");
    wait_until_refused(address);
    (&server).write_all(b"the rest").unwrap();
    ask(&client, b"the end", b"the rest");
    ask(&server, b"", b"the end");
    drop(server);
    client.read_to_end(&mut Vec::new()).unwrap();
    drop(client);
    assert!(proxy.end().success());

    let (mut proxy, address, listener) = serve(&["--grace", "0.1"]);
    let (client, server) = (connect(address), accept(&listener));
    proxy.signal("-TERM");
    assert_eq!(proxy.end().code(), Some(1));
    assert!(is_reset(&client) && is_reset(&server), "no clean end");
    assert!(
        proxy
            .seen
            .iter()
            .any(|line| line == "error: cut off: 1 still open after 100ms")
    );
}

#[test]
fn a_second_ctrl_c_ends_at_once() {
    let (mut proxy, address, listener) = serve(&["--grace", "1000"]);
    let (client, server) = (connect(address), accept(&listener));
    proxy.signal("-INT");
    proxy.line("ending");
    proxy.signal("-TERM");
    assert_eq!(proxy.end().code(), Some(143));
    assert!(is_reset(&client) && is_reset(&server), "no clean end");
}

#[test]
fn statistics_are_printed() {
    let (mut proxy, address, listener) = serve(&["--statistics", "0.05"]);
    let client = connect(address);
    let server = accept(&listener);
    ask(&client, b"hello", b"");
    ask(&server, b"", b"hello");
    proxy.line("1 open, 1 in all, 0 failed;");
    proxy.line("5 B in all");
}

#[test]
fn what_cannot_be_is_said_before_anything_begins() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (address, taken)).unwrap();
    let address = taken.0.to_string();
    for (arguments, text) in [
        (
            [address.as_str(), "127.0.0.1:1"],
            "another program listens there; choose another port",
        ),
        (
            ["192.0.2.1:0", "127.0.0.1:1"],
            "this machine has no such address",
        ),
        (
            ["127.0.0.1:0", "example.com"],
            "not of the form HOST:PORT; try example.com:80",
        ),
        (
            ["here", "127.0.0.1:1"],
            "not of the form ADDRESS:PORT; try 127.0.0.1:7000",
        ),
    ] {
        let mut proxy = Program::start(PROXY, &arguments);
        assert!(!proxy.end().success());
        assert!(
            proxy.seen.iter().any(|line| line.contains(text)),
            "{:#?}",
            proxy.seen
        );
    }
}
