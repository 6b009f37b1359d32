//! The outputs of the programs, which nobody may read.

mod support;

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::channel,
    thread,
};

use support::{is_closed, nobody};

const PROXY: &str = env!("CARGO_BIN_EXE_proxy");

/// A proxy that complains about each connection: its target refuses all. Only its first line is read.
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

/// What one complaint is at least, and how much fits into a pipe, a writer and the queue before it.
const COMPLAINT: usize = 60;
const AT_ONCE: usize = 50;
const ROOM: usize = 3 * 64 * 1024;

#[test]
fn a_server_whose_standard_error_output_is_never_read_goes_on_and_ends() {
    let (target, _streams): (_, [TcpStream; 2]) = nobody();
    let (mut proxy, address) = serve(target);
    for _ in 0..2 * ROOM / COMPLAINT / AT_ONCE {
        // A connection may be reset before it is known to be one.
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
