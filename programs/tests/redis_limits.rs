//! The memory limits of redis_lite.

mod support;

use std::{
    io::{Read, Write},
    net::SocketAddr,
    time::Instant,
};

use support::{Program, ask, connect, line};

const REDIS_LITE: &str = env!("CARGO_BIN_EXE_redis_lite");

/// The longest argument.
const LONGEST: usize = 8 << 20;

fn serve(arguments: &[&str]) -> (Program, SocketAddr) {
    let arguments = [&["127.0.0.1:0"], arguments].concat();
    Program::serve(REDIS_LITE, &arguments)
}

fn request(name: &str, key: &str, value: &[u8]) -> Vec<u8> {
    let head = format!(
        "*3\r\n${}\r\n{name}\r\n${}\r\n{key}\r\n${}\r\n",
        name.len(),
        key.len(),
        value.len()
    );
    [head.as_bytes(), value, b"\r\n"].concat()
}

const FULL: &[u8] = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n";

#[test]
fn values_take_no_more_memory_than_the_limit() {
    let (mut server, address) = serve(&["--memory", "1"]);
    let client = connect(address);
    let value = vec![b'x'; 400_000];
    ask(&client, &request("SET", "a", &value), b"+OK\r\n");
    ask(&client, &request("SET", "b", &value), b"+OK\r\n");
    ask(&client, &request("SET", "c", &value), b"+OK\r\n"); // at most one request beyond the limit
    for refused in [
        "SET c 1\r\n",
        "APPEND a 1\r\n",
        "INCR n\r\n",
        "MSET d 1 e 2\r\n",
    ] {
        ask(&client, refused.as_bytes(), FULL);
    }
    ask(
        &client,
        b"STRLEN a\r\nDEL a\r\nSET d 1\r\n",
        b":400000\r\n:1\r\n+OK\r\n",
    );
    ask(&client, b"FLUSHALL\r\n", b"+OK\r\n");
    ask(&client, &request("SET", "a", &value), b"+OK\r\n");
    server.interrupt();
}

#[test]
fn many_small_keys_are_charged_with_their_overhead() {
    let (_server, address) = serve(&["--memory", "1"]);
    let client = connect(address);
    let pairs = (0..5000).map(|i| format!(" k{i} v")).collect::<String>();
    ask(&client, format!("MSET{pairs}\r\n").as_bytes(), b"+OK\r\n");
    ask(&client, b"SET a 1\r\n", FULL);
}

#[test]
fn the_length_of_a_value_is_limited() {
    let (_server, address) = serve(&[]);
    let client = connect(address);
    let value = vec![b'x'; LONGEST / 2];
    ask(&client, &request("APPEND", "a", &value), b":4194304\r\n");
    ask(&client, &request("APPEND", "a", &value), b":8388608\r\n");
    ask(
        &client,
        b"APPEND a x\r\nSTRLEN a\r\n",
        b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n:8388608\r\n",
    );
}

#[test]
fn the_length_of_an_answer_is_limited() {
    let (mut server, address) = serve(&[]);
    let client = connect(address);
    ask(
        &client,
        &request("SET", "a", &vec![b'x'; LONGEST]),
        b"+OK\r\n",
    );
    let question = format!("MGET{}\r\nPING\r\n", " a".repeat(10_000));
    let error = b"-ERR the answer is longer than 67108864 bytes\r\n+PONG\r\n";
    ask(&client, question.as_bytes(), error);
    let question = format!("MULTI\r\n{}EXEC\r\n", "GET a\r\n".repeat(100));
    let queued = "+QUEUED\r\n".repeat(100);
    let answer = format!("+OK\r\n{queued}-ERR the answer is longer than 67108864 bytes\r\n");
    ask(&client, question.as_bytes(), answer.as_bytes());
    server.interrupt();
}

#[test]
fn the_length_of_a_transaction_is_limited() {
    let (_server, address) = serve(&[]);
    let client = connect(address);
    ask(&client, b"MULTI\r\n", b"+OK\r\n");
    let set = request("SET", "a", &vec![b'x'; LONGEST]);
    ask(&client, &set, b"+QUEUED\r\n");
    ask(&client, &set, b"-ERR too big a transaction\r\n");
    ask(
        &client,
        b"EXEC\r\nEXISTS a\r\n",
        b"-EXECABORT Transaction discarded because of previous errors.\r\n:0\r\n",
    );
}

#[test]
fn requests_that_never_end_share_the_memory() {
    let (mut server, address) = serve(&["--memory", "20"]);
    let whole = request("SET", "a", &vec![b'x'; LONGEST]);
    let (begin, end) = whole.split_at(whole.len() - 1);
    let mut first = connect(address);
    first.write_all(begin).unwrap();
    // The buffer has doubled for the last bytes.
    wait_until_buffered(address, |bytes| bytes >= 2 * LONGEST);
    for _ in 0..3 {
        let mut other = connect(address);
        let _ = other.write_all(begin); // the server may reset it before
        let mut answer = Vec::new();
        let _ = other.read_to_end(&mut answer);
        let refusal = b"-OOM the server has no memory for so large a request or answer\r\n";
        // The unread bytes cause a reset, which may discard the answer.
        assert!(refusal.starts_with(&answer));
    }
    ask(&first, end, b"+OK\r\n");
    ask(&first, b"STRLEN a\r\n", b":8388608\r\n");
    wait_until_buffered(address, |bytes| bytes == 0);
    server.interrupt();
}

#[test]
fn queued_commands_of_all_connections_share_the_memory() {
    let (mut server, address) = serve(&["--memory", "1"]);
    // A request of this length is no large buffer, so only the queued commands are charged.
    let set = request("SET", "a", &[b'x'; 50_000]);
    let clients: Vec<_> = (0..50).map(|_| connect(address)).collect();
    let mut queued = 0;
    for mut client in &clients {
        ask(client, b"MULTI\r\n", b"+OK\r\n");
        let answers = [(); 3].map(|()| {
            client.write_all(&set).unwrap();
            line(client)
        });
        if answers.iter().all(|answer| answer == "+QUEUED") {
            queued += answers.len();
        } else {
            // The commands before it are dropped, and those after it are not kept.
            let refusal = answers.iter().find(|answer| *answer != "+QUEUED");
            let text = "-OOM the server has no memory for so large a transaction";
            assert_eq!(refusal.unwrap(), text);
        }
    }
    assert_eq!(queued, 18, "as many as fit into a megabyte");
    assert!(buffered(address) <= 1 << 20);
    // The first transaction fitted, the last did not.
    ask(&clients[0], b"EXEC\r\n", b"*3\r\n+OK\r\n+OK\r\n+OK\r\n");
    let error = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
    ask(clients.last().unwrap(), b"EXEC\r\n", error);
    // The memory of a transaction is free after EXEC, DISCARD, RESET, or the end of the connection.
    for client in &clients[1..5] {
        ask(client, b"DISCARD\r\n", b"+OK\r\n");
    }
    for client in &clients[5..10] {
        ask(client, b"RESET\r\n", b"+RESET\r\n");
    }
    drop(clients);
    wait_until_buffered(address, |bytes| bytes == 0);
    server.interrupt();
}

#[test]
fn commands_after_a_refused_one_are_not_kept() {
    let (_server, address) = serve(&[]);
    let client = connect(address);
    ask(&client, b"MULTI\r\n", b"+OK\r\n");
    ask(&client, b"SET a 1\r\n", b"+QUEUED\r\n");
    ask(&client, b"NOSUCH\r\n", b"-ERR unknown command 'NOSUCH'\r\n");
    for _ in 0..5 {
        let set = request("SET", "a", &vec![b'x'; LONGEST / 2]);
        ask(&client, &set, b"+QUEUED\r\n"); // as Redis answers
    }
    ask(&client, b"PING\r\n", b"+QUEUED\r\n");
    wait_until_buffered(address, |bytes| bytes == 0);
    let error = b"-EXECABORT Transaction discarded because of previous errors.\r\n";
    ask(&client, b"EXEC\r\n", error);
}

#[test]
fn a_client_that_is_idle_after_a_large_request_is_not_charged_for_it() {
    let (mut server, address) = serve(&["--memory", "20"]);
    let set = request("SET", "a", &vec![b'x'; LONGEST]);
    let clients: Vec<_> = (0..5).map(|_| connect(address)).collect();
    for client in &clients {
        ask(client, &set, b"+OK\r\n");
    }
    wait_until_buffered(address, |bytes| bytes == 0);
    server.interrupt();
}

#[test]
fn the_arguments_of_an_incomplete_request_are_charged() {
    let (_server, address) = serve(&["--memory", "20"]);
    let mut client = connect(address);
    let arguments = b"$0\r\n\r\n".repeat(64 * 1024 - 1);
    client.write_all(b"*65536\r\n").unwrap();
    client.write_all(&arguments).unwrap();
    // Each argument takes 6 bytes of the buffer, and 16 of the table of arguments.
    wait_until_buffered(address, |bytes| bytes >= (6 + 16) * (64 * 1024 - 1));
    ask(&client, b"$0\r\n\r\n", b"-ERR unknown command ''\r\n");
    wait_until_buffered(address, |bytes| bytes == 0);
}

#[test]
fn a_request_without_memory_for_it_is_not_executed() {
    let (_server, address) = serve(&["--memory", "12"]);
    let mut client = connect(address);
    // The end of the request grows the buffer from 8 to 16 megabytes.
    let _ = client.write_all(&request("SET", "a", &vec![b'x'; LONGEST]));
    let _ = client.read_to_end(&mut Vec::new());
    ask(&connect(address), b"EXISTS a\r\n", b":0\r\n");
}

/// How many bytes the server buffers for its clients.
fn buffered(address: SocketAddr) -> usize {
    let mut client = connect(address);
    client.write_all(b"INFO memory\r\nQUIT\r\n").unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let number = lines.find_map(|line| line.strip_prefix("mem_clients_normal:"));
    number.unwrap().parse().unwrap()
}

/// Waits until the memory that the buffers take is as expected.
fn wait_until_buffered(address: SocketAddr, is_expected: impl Fn(usize) -> bool) {
    let start = Instant::now();
    loop {
        let bytes = buffered(address);
        if is_expected(bytes) {
            return;
        }
        assert!(start.elapsed() < support::LIMIT, "{bytes} bytes");
    }
}
