//! redis_lite, tested with clients of the standard library and with those of Redis.

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use support::{Program, ask, connect, is_closed, tool, trickle};

const REDIS_LITE: &str = env!("CARGO_BIN_EXE_redis_lite");

fn serve(arguments: &[&str]) -> (Program, std::net::SocketAddr) {
    let arguments = [&["127.0.0.1:0"], arguments].concat();
    Program::serve(REDIS_LITE, &arguments)
}

#[test]
fn commands_are_answered_as_redis_answers_them() {
    let (mut server, address) = serve(&[]);
    let client = connect(address);
    for (question, answer) in [
        ("PING", "+PONG"),
        ("PING hi", "$2\r\nhi"),
        ("GET a", "$-1"),
        ("SET a 1", "+OK"),
        ("get a", "$1\r\n1"),
        ("INCR a", ":2"),
        ("SET a 3 NX", "$-1"),
        ("SET a 3 XX", "+OK"),
        ("SET a 3 XX NX", "-ERR syntax error"),
        ("SET a 3 EX 0", "-ERR invalid expire time in 'set' command"),
        ("EXISTS a a b", ":2"),
        ("TTL a", ":-1"),
        ("EXPIRE a 100", ":1"),
        ("TTL a", ":100"),
        ("PERSIST a", ":1"),
        ("TTL a", ":-1"),
        ("EXPIRE a -1", ":1"),
        ("TTL a", ":-2"),
        ("EXPIRE a 1", ":0"),
        ("SET word x", "+OK"),
        ("INCR word", "-ERR value is not an integer or out of range"),
        ("DEL word a", ":1"),
        ("DBSIZE", ":0"),
        ("CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n"),
        ("FLUSHALL", "+OK"),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("LPUSH a b", "-ERR unknown command 'LPUSH'"),
    ] {
        ask(
            &client,
            format!("{question}\r\n").as_bytes(),
            format!("{answer}\r\n").as_bytes(),
        );
    }
    server.interrupt();
}

#[test]
fn a_pipeline_is_answered_in_order_however_it_is_split() {
    let (_server, address) = serve(&[]);
    let client = connect(address);
    let mut questions = Vec::new();
    let mut answers = Vec::new();
    for i in 0..10_000 {
        questions.extend_from_slice(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");
        answers.extend_from_slice(format!(":{}\r\n", i + 1).as_bytes());
    }
    let mut writer = client.try_clone().unwrap();
    let writes = thread::spawn(move || {
        for piece in questions.chunks(7919) {
            writer.write_all(piece).unwrap();
        }
    });
    ask(&client, b"", &answers);
    writes.join().unwrap();
}

#[test]
fn a_key_expires_by_itself() {
    let (_server, address) = serve(&[]);
    let client = connect(address);
    ask(&client, b"SET a 1 PX 30\r\nSET b 1\r\n", b"+OK\r\n+OK\r\n");
    // No command accesses the key: its timer removes it.
    loop {
        let mut client = &client;
        client.write_all(b"DBSIZE\r\n").unwrap();
        let mut answer = [0; 4];
        client.read_exact(&mut answer).unwrap();
        if &answer == b":1\r\n" {
            break;
        }
        assert_eq!(&answer, b":2\r\n");
    }
    ask(&client, b"TTL a\r\n", b":-2\r\n");
}

#[test]
fn an_invalid_request_is_answered_and_closed_and_affects_no_other() {
    let (mut server, address) = serve(&[]);
    let other = connect(address);
    let mut rubbish = connect(address);
    ask(
        &rubbish,
        b"*1\r\n$9999999999\r\n",
        b"-ERR Protocol error: invalid bulk length\r\n",
    );
    assert!(is_closed(&rubbish));
    rubbish = connect(address);
    // More bytes than the server reads, so that closing resets the connection.
    let _ = rubbish.write_all(&vec![0xff; 1 << 20]);
    let mut answer = Vec::new();
    let _ = rubbish.read_to_end(&mut answer);
    ask(&other, b"PING\r\n", b"+PONG\r\n");
    server.interrupt();
}

#[test]
fn a_large_value_is_returned_unchanged() {
    let (_server, address) = serve(&[]);
    let client = connect(address);
    let value = support::pattern(4 << 20);
    let set = [
        format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n${}\r\n", value.len()).as_bytes(),
        &value,
        b"\r\n",
    ]
    .concat();
    let get = [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat();
    ask(&client, &set, b"+OK\r\n");
    ask(&client, b"GET a\r\n", &get);
}

#[test]
fn a_client_that_never_reads_is_closed() {
    let (mut server, address) = serve(&["--idle", "0.2"]);
    let setter = connect(address);
    let value = vec![b'x'; 1 << 20];
    let set = [
        format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n${}\r\n", value.len()).as_bytes(),
        &value,
        b"\r\n",
    ]
    .concat();
    ask(&setter, &set, b"+OK\r\n");
    let mut client = connect(address);
    client.write_all(&b"GET a\r\n".repeat(100)).unwrap();
    server.line("no progress for 200ms");
    server.interrupt();
}

#[test]
fn a_client_that_never_ends_its_command_is_closed() {
    let (mut server, address) = serve(&["--idle", "0.5"]);
    trickle(&connect(address));
    server.line("no progress for 500ms");
    // Another command that never ends, sent as fast as possible.
    let client = connect(address);
    let argument = [b"$8000000\r\n", &[b'x'; 8_000_000][..], b"\r\n"].concat();
    let mut writer = client.try_clone().unwrap();
    let writes = thread::spawn(move || {
        writer.write_all(b"*1000\r\n")?;
        (0..1000).try_for_each(|_| writer.write_all(&argument))
    });
    writes.join().unwrap().unwrap_err();
    let mut answer = Vec::new();
    let _ = (&client).read_to_end(&mut answer);
    // The unread bytes cause a reset, which discards the answer on some systems.
    assert!(b"-ERR Protocol error: too big a command\r\n".starts_with(&answer));
    server.interrupt();
}

#[test]
fn a_slow_reader_receives_a_large_answer_completely() {
    let (mut server, address) = serve(&["--idle", "1"]);
    let mut client = connect(address);
    let value = vec![b'x'; 8 << 20];
    let set = [
        format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n${}\r\n", value.len()).as_bytes(),
        &value,
        b"\r\n",
    ]
    .concat();
    ask(&client, &set, b"+OK\r\n");
    const TIMES: usize = 10;
    client.write_all(&b"GET a\r\n".repeat(TIMES)).unwrap();
    let start = Instant::now();
    let mut answer = vec![0; value.len() + "$8388608\r\n\r\n".len()];
    for i in 0..TIMES as u32 {
        // The whole answer takes longer than the limit, but no piece of it does.
        thread::sleep((Duration::from_millis(150) * i).saturating_sub(start.elapsed()));
        client.read_exact(&mut answer).unwrap();
    }
    assert!(start.elapsed() > Duration::from_secs(1));
    server.interrupt();
}

#[test]
fn more_connections_than_allowed_wait() {
    let (mut server, address) = serve(&["--connections", "2"]);
    let mut clients: Vec<TcpStream> = (0..10).map(|_| connect(address)).collect();
    for client in &mut clients {
        client.write_all(b"PING\r\n").unwrap();
    }
    // Each is answered when an earlier one has ended.
    for client in clients {
        ask(&client, b"", b"+PONG\r\n");
    }
    server.interrupt();
}

#[test]
fn ctrl_c_closes_idle_connections_and_refuses_new_ones() {
    let (mut server, address) = serve(&[]);
    let client = connect(address);
    ask(&client, b"PING\r\n", b"+PONG\r\n");
    server.interrupt();
    assert!(is_closed(&client));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn redis_benchmark_and_redis_cli_work() {
    let (mut server, address) = serve(&[]);
    let port = address.port().to_string();
    let arguments = [
        "-p",
        &port,
        "-n",
        "2000",
        "-c",
        "50",
        "-P",
        "16",
        "-r",
        "100",
        "--csv",
        "-t",
        "ping,set,get,incr",
    ];
    if let Some(text) = tool("redis-benchmark", &arguments) {
        for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"] {
            assert!(text.contains(&format!("\"{test}\"")), "{text}");
        }
    }
    for (arguments, answer) in [
        (["SET", "key", "a value", "EX", "100"].as_slice(), "OK\n"),
        (&["GET", "key"], "a value\n"),
        (&["TTL", "key"], "100\n"),
        (&["DEL", "key"], "1\n"),
        (&["GET", "key"], "\n"),
    ] {
        let arguments = [&["-p", &port], arguments].concat();
        if let Some(text) = tool("redis-cli", &arguments) {
            assert_eq!(text, answer, "{arguments:?}");
        }
    }
    server.interrupt();
}
