//! The outputs of the programs: without a reader, and at the exit.

mod support;

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::channel,
    thread,
};

use support::{Program, connect, is_closed, unused_address};

const PROXY: &str = env!("CARGO_BIN_EXE_proxy");

/// A proxy that logs an error for each connection: its target refuses all. Only its first line is read.
fn serve(target: SocketAddr) -> (Child, SocketAddr) {
    let mut proxy = Command::new(PROXY)
        .args(["127.0.0.1:0", &target.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = proxy.stdout.as_mut().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let address = line["listening on ".len()..].split(';').next().unwrap();
    (proxy, address.parse().unwrap())
}

/// The least length of an error line, and the total room of the pipe, the writer and the queue.
const ERROR_LINE: usize = 60;
const AT_ONCE: usize = 50;
const ROOM: usize = 3 * 64 * 1024;

#[test]
fn a_server_goes_on_and_ends_if_its_standard_error_output_is_never_read() {
    let (target, _streams): (_, [TcpStream; 2]) = unused_address();
    let (mut proxy, address) = serve(target);
    for _ in 0..2 * ROOM / ERROR_LINE / AT_ONCE {
        // A connection may be reset before connect(2) returns.
        let clients: Vec<_> = (0..AT_ONCE)
            .filter_map(|_| TcpStream::connect(address).ok())
            .collect();
        for client in clients {
            client.set_read_timeout(Some(support::LIMIT)).unwrap();
            assert!(is_closed(&client));
        }
    }
    let pid = proxy.id().to_string();
    support::tool("kill", &["-INT", &pid]).unwrap();
    let (sender, ended) = channel();
    let errors = proxy.stderr.take(); // open, and not read
    thread::spawn(move || sender.send(proxy.wait()));
    let status = ended.recv_timeout(support::LIMIT).unwrap().unwrap();
    assert!(status.success(), "{status}");
    drop(errors);
}

#[test]
fn the_second_signal_writes_the_last_log_lines() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let (mut proxy, address) = Program::serve(PROXY, &["127.0.0.1:0", &target, "--grace", "1000"]);
    let _client = connect(address);
    let _server = listener.accept().unwrap();
    // Both signals in one command: the second arrives before another thread has written a line.
    let pid = proxy.id();
    let both = format!("kill -INT {pid}; kill -TERM {pid}");
    support::tool("sh", &["-c", &both]).unwrap();
    // Two signals that are pending at once may be handled in either order.
    assert!(matches!(proxy.end().code(), Some(130 | 143)));
    let last = "ending when 1 connections have finished";
    assert!(
        proxy.seen.iter().any(|line| line == last),
        "{:#?}",
        proxy.seen
    );
}
