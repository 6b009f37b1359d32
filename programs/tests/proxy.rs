//! proxy, tested between clients and servers of the standard library.

mod support;

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use support::{Program, ask, connect, is_closed, pattern, unused_address, wait_until_refused};

const PROXY: &str = env!("CARGO_BIN_EXE_proxy");

/// A proxy to a listener of the test.
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

/// Whether the connection was reset: that is not an end.
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
    // The other direction is still open.
    server.write_all(b"thanks").unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "thanks");
    proxy.interrupt();
}

#[test]
fn a_reset_of_one_side_is_passed_on_as_a_reset() {
    let (mut proxy, address, listener) = serve(&[]);
    let mut client = connect(address);
    let mut server = accept(&listener);
    ask(&client, b"", b"");
    server.write_all(&pattern(1 << 20)).unwrap();
    client.write_all(b"never read").unwrap();
    let mut some = [0; 1000];
    client.read_exact(&mut some).unwrap();
    // Closing with unread bytes resets the connection, as a kill does.
    server.peek(&mut some).unwrap();
    drop(server);
    let mut rest = Vec::new();
    let error = client.read_to_end(&mut rest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    proxy.line("from B to A: cannot read: Connection reset");
    proxy.interrupt();
}

#[test]
fn a_target_that_refuses_is_named_in_the_error() {
    let (target, _streams) = unused_address();
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
fn connections_without_progress_are_closed() {
    let (mut proxy, address, listener) = serve(&["--idle", "0.2"]);
    let client = connect(address);
    let _server = accept(&listener);
    assert!(is_closed(&client));
    proxy.line("no progress for 200ms");
    proxy.interrupt();
}

#[test]
fn after_a_half_close_the_limit_is_shorter() {
    for client_ends in [true, false] {
        let (mut proxy, address, listener) = serve(&["--half-closed", "1"]);
        let client = connect(address);
        let server = accept(&listener);
        let (ends, goes_on) = match client_ends {
            true => (client, server),
            false => (server, client),
        };
        ends.shutdown(Shutdown::Write).unwrap();
        assert!(is_closed(&goes_on)); // the end
        // While bytes arrive, the connection goes on for longer than the limit.
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1300) {
            ask(&goes_on, b"more", b"");
            ask(&ends, b"", b"more");
        }
        let error = (&ends).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        proxy.line("half-closed, no progress for 1s");
        proxy.interrupt();
    }
}

#[test]
fn a_client_that_has_finished_and_is_gone_is_closed_after_the_limit() {
    let (mut proxy, address, listener) = serve(&["--half-closed", "0.2"]);
    drop(connect(address));
    let mut server = accept(&listener);
    // The server has read the end and writes nothing, so the proxy cannot notice that the client is gone.
    assert_eq!(server.read_to_end(&mut Vec::new()).unwrap(), 0);
    proxy.line("half-closed, no progress for 200ms");
    proxy.interrupt();
}

#[test]
fn a_slow_reader_receives_all_bytes_before_an_end() {
    let (mut proxy, address, listener) = serve(&["--half-closed", "0.2"]);
    let mut client = connect(address);
    let mut server = accept(&listener);
    // More than the kernel of the client buffers, and no more than that of the proxy.
    let sent = pattern(200_000);
    server.write_all(&sent).unwrap();
    drop(server);
    proxy.line("half-closed, no progress for 200ms");
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert!(received == sent);
    proxy.interrupt();
}

#[test]
fn a_client_beyond_the_limit_waits() {
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
fn ctrl_c_lets_a_transfer_finish_within_the_grace() {
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
fn impossible_arguments_are_errors_at_the_start() {
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
            "not of the form ADDRESS:PORT; try 127.0.0.1:7070",
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
