//! redis_lite, tested byte by byte: the requests of common clients, and the answers of Redis 7.0.

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use support::{Program, ask, connect, is_closed, line};

const REDIS_LITE: &str = env!("CARGO_BIN_EXE_redis_lite");

fn serve() -> (Program, SocketAddr) {
    Program::serve(REDIS_LITE, &["127.0.0.1:0"])
}

/// Sends inline commands, and expects their answers.
fn expect(client: &TcpStream, dialogue: &[(&str, &str)]) {
    for (question, answer) in dialogue {
        println!("{question}");
        let answer = match answer.starts_with('-') {
            true => (*answer).into(),
            false => answer.replace('|', "\r\n"),
        };
        ask(
            client,
            format!("{question}\r\n").as_bytes(),
            format!("{answer}\r\n").as_bytes(),
        );
    }
}

/// Sends a command, and returns the text of a bulk answer.
fn text(mut client: &TcpStream, question: &str) -> String {
    client
        .write_all(format!("{question}\r\n").as_bytes())
        .unwrap();
    let len: usize = line(client)[1..].parse().unwrap();
    let mut text = vec![0; len + 2];
    client.read_exact(&mut text).unwrap();
    String::from_utf8(text).unwrap().trim_end().to_owned()
}

#[test]
fn strings_are_set_and_read_by_all_commands() {
    let (mut server, address) = serve();
    expect(
        &connect(address),
        &[
            ("SET a 1 GET", "$-1"),
            ("SET a 2 XX GET", "$1|1"),
            ("SET a 3 NX GET", "$1|2"),
            ("SET a 3 EX 10 KEEPTTL", "-ERR syntax error"),
            ("SET a 3 EX", "-ERR syntax error"),
            (
                "SET a 3 EX x",
                "-ERR value is not an integer or out of range",
            ),
            (
                "SET a 3 PX 9223372036854775807",
                "-ERR invalid expire time in 'set' command",
            ),
            ("SET a 3 EX 100", "+OK"),
            ("SET a 4 KEEPTTL", "+OK"),
            ("TTL a", ":100"),
            ("SET a 5", "+OK"),
            ("TTL a", ":-1"),
            ("SET a 5 EXAT 1", "+OK"),
            ("GET a", "$-1"),
            ("MSET x 1 y 2", "+OK"),
            (
                "MSET x",
                "-ERR wrong number of arguments for 'mset' command",
            ),
            (
                "MSET x 1 y",
                "-ERR wrong number of arguments for 'mset' command",
            ),
            ("MGET x y z", "*3|$1|1|$1|2|$-1"),
            ("MSETNX y 3 z 3", ":0"),
            ("MSETNX z 3 zz 4", ":1"),
            ("APPEND x 23", ":3"),
            ("APPEND new 23", ":2"),
            ("STRLEN x", ":3"),
            ("STRLEN nosuch", ":0"),
            ("GETSET x new", "$3|123"),
            ("GETDEL x", "$3|new"),
            ("GETDEL x", "$-1"),
            ("SETNX x 1", ":1"),
            ("SETNX x 2", ":0"),
            ("SETEX x 100 1", "+OK"),
            ("SETEX x 0 1", "-ERR invalid expire time in 'setex' command"),
            ("PSETEX x 100000 1", "+OK"),
            ("GETEX x PERSIST", "$1|1"),
            ("TTL x", ":-1"),
            ("GETEX x EX 100", "$1|1"),
            ("TTL x", ":100"),
            ("GETEX x EX 1 PX 1", "-ERR syntax error"),
            ("TYPE x", "+string"),
            ("TYPE nosuch", "+none"),
            ("UNLINK x y nosuch", ":2"),
        ],
    );
    server.interrupt();
}

#[test]
fn numbers_are_counted_within_their_range() {
    let (_server, address) = serve();
    expect(
        &connect(address),
        &[
            ("INCR n", ":1"),
            ("INCRBY n 9", ":10"),
            ("DECR n", ":9"),
            ("DECRBY n 12", ":-3"),
            ("INCRBY n x", "-ERR value is not an integer or out of range"),
            ("INCRBY n 9223372036854775807", ":9223372036854775804"),
            ("INCRBY n 4", "-ERR increment or decrement would overflow"),
            (
                "DECRBY n -9223372036854775808",
                "-ERR decrement would overflow",
            ),
            ("EXPIRE n 100", ":1"),
            ("DECR n", ":9223372036854775803"),
            ("TTL n", ":100"),
        ],
    );
}

#[test]
fn expiries_are_set_changed_and_read_by_all_commands() {
    let (_server, address) = serve();
    expect(
        &connect(address),
        &[
            ("SET a 1", "+OK"),
            ("EXPIRE a 100 XX", ":0"),
            ("EXPIRE a 100 GT", ":0"),
            ("EXPIRE a 100 LT", ":1"),
            ("EXPIRE a 100 NX", ":0"),
            ("EXPIRE a 200 LT", ":0"),
            ("EXPIRE a 200 GT", ":1"),
            ("TTL a", ":200"),
            (
                "EXPIRE a 1 NX XX",
                "-ERR NX and XX, GT or LT options at the same time are not compatible",
            ),
            (
                "EXPIRE a 1 GT LT",
                "-ERR GT and LT options at the same time are not compatible",
            ),
            ("EXPIRE a 1 FOO", "-ERR Unsupported option FOO"),
            (
                "EXPIRE a 9223372036854775807",
                "-ERR invalid expire time in 'expire' command",
            ),
            ("PEXPIRE a 100000", ":1"),
            ("TTL a", ":100"),
            ("EXPIREAT a 33177117420", ":1"),
            ("EXPIRETIME a", ":33177117420"),
            ("PEXPIREAT a 99999999999999", ":1"),
            ("PEXPIRETIME a", ":99999999999999"),
            ("PERSIST a", ":1"),
            ("EXPIRETIME a", ":-1"),
            ("EXPIRETIME nosuch", ":-2"),
            ("EXPIREAT a 1", ":1"),
            ("EXISTS a", ":0"),
        ],
    );
}

#[test]
fn keys_are_found_by_pattern_and_by_scan() {
    let (_server, address) = serve();
    let client = connect(address);
    expect(
        &client,
        &[
            ("MSET k1 1 k2 2 other 3", "+OK"),
            ("KEYS k[12]", "*2|$2|k1|$2|k2"),
            ("SCAN 0 COUNT 2", "*2|$1|2|*2|$2|k1|$2|k2"),
            ("SCAN 2 COUNT 2", "*2|$1|0|*1|$5|other"),
            (
                "SCAN 0 MATCH o* COUNT 100 TYPE string",
                "*2|$1|0|*1|$5|other",
            ),
            ("SCAN 0 TYPE list", "*2|$1|0|*0"),
            ("SCAN x", "-ERR invalid cursor"),
            ("SCAN 0 COUNT 0", "-ERR syntax error"),
            ("SCAN 0 COUNT", "-ERR syntax error"),
            ("DBSIZE", ":3"),
            ("FLUSHDB", "+OK"),
            ("FLUSHALL FOO", "-ERR syntax error"),
            ("FLUSHALL ASYNC", "+OK"),
            ("KEYS *", "*0"),
        ],
    );
    let long = format!("KEYS {}", "*".repeat(1025));
    expect(&client, &[(&long, "-ERR a pattern has at most 1024 bytes")]);
}

#[test]
fn inline_commands_may_have_quotes() {
    let (_server, address) = serve();
    let client = connect(address);
    expect(
        &client,
        &[
            (r#"SET "my key" "a\x41\n""#, "+OK"),
            ("GET 'my key'", "$3|aA\n"),
            (r"GET 'my\'key'", "$-1"),
        ],
    );
    expect(
        &client,
        &[(
            r#"GET "a"#,
            "-ERR Protocol error: unbalanced quotes in request",
        )],
    );
    assert!(is_closed(&client));
}

#[test]
fn the_first_commands_of_clients_are_answered() {
    let (_server, address) = serve();
    // node-redis, ioredis and redis-py send these first, all at once; the last one is not supported.
    let client = connect(address);
    ask(
        &client,
        b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n\
          *4\r\n$6\r\nclient\r\n$7\r\nSETINFO\r\n$7\r\nLIB-VER\r\n$5\r\n6.3.1\r\n\
          *4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nLIB-NAME\r\n$10\r\nnode-redis\r\n\
          *5\r\n$6\r\nCLIENT\r\n$19\r\nMAINT_NOTIFICATIONS\r\n$2\r\nON\r\n$1\r\na\r\n$1\r\nb\r\n",
        b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n\
          $5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n\
          $4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n+OK\r\n+OK\r\n\
          -ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n",
    );
    let list = text(&client, "CLIENT LIST");
    assert!(list.starts_with("txt:id=1 addr=127.0.0.1:"), "{list}");
    assert!(
        list.ends_with("lib-name=node-redis lib-ver=6.3.1"),
        "{list}"
    );
    // ioredis waits until the server is not loading any more.
    let info = text(&connect(address), "info");
    for line in [
        "loading:0",
        "role:master",
        "connected_clients:2",
        "redis_version:7.0.15",
    ] {
        assert!(info.lines().any(|other| other == line), "{line}: {info}");
    }
    assert_eq!(
        text(&client, "INFO replication"),
        "txt:# Replication\r\nrole:master\r\nconnected_slaves:0"
    );
}

#[test]
fn resp3_has_nulls_and_maps_and_a_client_can_go_back_to_resp2() {
    let (_server, address) = serve();
    let client = connect(address);
    expect(
        &client,
        &[("GET a", "$-1"), ("CONFIG GET save", "*2|$4|save|$0|")],
    );
    let hello = |version: &str, map: &str| {
        format!(
            "{map}|$6|server|$5|redis|$7|version|$6|7.0.15|$5|proto|:{version}|$2|id|:1|$4|mode|\
             $10|standalone|$4|role|$6|master|$7|modules|*0"
        )
    };
    expect(
        &client,
        &[
            ("HELLO 4", "-NOPROTO unsupported protocol version"),
            (
                "HELLO x",
                "-ERR Protocol version is not an integer or out of range",
            ),
            ("HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'"),
            (
                "HELLO 3 AUTH root x",
                "-WRONGPASS invalid username-password pair or user is disabled.",
            ),
            ("GET a", "$-1"),
            ("HELLO 3 AUTH default x SETNAME me", &hello("3", "%7")),
            ("CLIENT GETNAME", "$2|me"),
            ("GET a", "_"),
            ("SET a 1 XX", "_"),
            ("MGET a", "*1|_"),
            ("CONFIG GET save", "%1|$4|save|$0|"),
            (
                "COMMAND INFO get nosuch",
                "*2|*10|$3|get|:2|~1|+readonly|:1|:1|:1|~0|*0|*0|*0|_",
            ),
            (
                "COMMAND DOCS get",
                "%1|$3|get|%2|$7|summary|$27|Returns the value of a key.|$5|group|$6|string",
            ),
            ("HELLO 2", &hello("2", "*14")),
            ("GET a", "$-1"),
            ("RESET", "+RESET"),
            ("CLIENT GETNAME", "$-1"),
        ],
    );
}

#[test]
fn clients_set_their_names() {
    let (_server, address) = serve();
    let (first, second) = (connect(address), connect(address));
    expect(
        &first,
        &[
            ("CLIENT ID", ":1"),
            ("CLIENT SETNAME me", "+OK"),
            (
                "CLIENT SETNAME 'a b'",
                "-ERR Client names cannot contain spaces, newlines or special characters.",
            ),
            ("CLIENT GETNAME", "$2|me"),
            (
                "CLIENT SETINFO FOO x",
                "-ERR Unrecognized option for CLIENT SETINFO",
            ),
            ("CLIENT NO-EVICT ON", "+OK"),
            ("CLIENT LIST TYPE pubsub", "$0|"),
            (
                "CLIENT SETNAME",
                "-ERR wrong number of arguments for 'client|setname' command",
            ),
            ("SELECT 0", "+OK"),
            ("SELECT 1", "-ERR DB index is out of range"),
            ("AUTH default x", "+OK"),
            ("ECHO hi", "$2|hi"),
        ],
    );
    expect(&second, &[("CLIENT ID", ":2")]);
    assert_eq!(text(&first, "CLIENT LIST").lines().count(), 2);
    assert!(text(&first, "CLIENT LIST ID 2 7").starts_with("id=2 "));
    assert!(text(&first, "CLIENT INFO").contains(" name=me "));
    drop(second);
    while text(&first, "CLIENT LIST").lines().count() != 1 {}
}

#[test]
fn commands_wait_for_exec_and_are_executed_together() {
    let (_server, address) = serve();
    let (client, other) = (connect(address), connect(address));
    expect(
        &client,
        &[
            ("EXEC", "-ERR EXEC without MULTI"),
            ("DISCARD", "-ERR DISCARD without MULTI"),
            ("MULTI", "+OK"),
            ("MULTI", "-ERR MULTI calls can not be nested"),
            ("SET a x", "+QUEUED"),
            ("INCR a", "+QUEUED"),
            ("GET a", "+QUEUED"),
        ],
    );
    expect(&other, &[("GET a", "$-1")]);
    expect(
        &client,
        &[
            (
                "EXEC",
                "*3|+OK|-ERR value is not an integer or out of range|$1|x",
            ),
            ("MULTI", "+OK"),
            ("SET a y", "+QUEUED"),
            ("NOSUCH", "-ERR unknown command 'NOSUCH'"),
            (
                "EXEC",
                "-EXECABORT Transaction discarded because of previous errors.",
            ),
            ("MULTI", "+OK"),
            ("SET a z", "+QUEUED"),
            ("DISCARD", "+OK"),
            ("GET a", "$1|x"),
        ],
    );
}

#[test]
fn the_help_that_an_error_names_is_there() {
    let (_server, address) = serve();
    let client = connect(address);
    for (command, first) in [
        ("CLIENT", "CLIENT ID"),
        ("CONFIG", "CONFIG GET pattern [pattern ...]"),
        ("COMMAND", "COMMAND COUNT"),
    ] {
        let error = format!("-ERR unknown subcommand 'NOSUCH'. Try {command} HELP.");
        expect(&client, &[(&format!("{command} NOSUCH"), &error)]);
        let question = format!("{command} HELP\r\n");
        (&client).write_all(question.as_bytes()).unwrap();
        let len: usize = line(&client).strip_prefix('*').unwrap().parse().unwrap();
        let lines: Vec<_> = (0..len).map(|_| line(&client)).collect();
        assert_eq!(lines[0], format!("+{first}"));
        assert!(
            lines
                .iter()
                .all(|line| line.starts_with(&format!("+{command} ")))
        );
    }
    // Nothing else was sent.
    expect(&client, &[("PING", "+PONG")]);
}

#[test]
fn a_page_in_a_browser_cannot_run_commands() {
    let (mut server, address) = serve();
    for head in [
        "POST / HTTP/1.1\r\nHost: localhost\r\n",
        "PUT / HTTP/1.1\r\nhost: localhost\r\n",
        "OPTIONS / HTTP/1.1\r\nOrigin: http://example.com\r\nHost: localhost\r\n",
        "*1\r\n$4\r\npost\r\n",
    ] {
        let mut client = connect(address);
        let request = format!("{head}Content-Type: text/plain\r\n\r\nSET browser was-here\r\n");
        client.write_all(request.as_bytes()).unwrap();
        let mut answers = Vec::new();
        let _ = client.read_to_end(&mut answers);
        server.line("HTTP request");
    }
    expect(&connect(address), &[("EXISTS browser", ":0")]);
    server.interrupt();
}
