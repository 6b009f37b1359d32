//! chat, tested with clients of the standard library and with nc.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    process::{Command, Stdio},
};

use support::{Program, connect, is_closed};

const CHAT: &str = env!("CARGO_BIN_EXE_chat");

fn serve(arguments: &[&str]) -> (Program, SocketAddr) {
    let arguments = [&["127.0.0.1:0"], arguments].concat();
    Program::serve(CHAT, &arguments)
}

struct Guest {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Guest {
    fn connect(address: SocketAddr) -> Guest {
        let stream = connect(address);
        let lines = BufReader::new(stream.try_clone().unwrap());
        let mut guest = Guest { stream, lines };
        guest.receives("* what is your name?");
        guest
    }

    fn enter(address: SocketAddr, name: &str) -> Guest {
        let mut guest = Guest::connect(address);
        guest.sends(name);
        let line = guest.line();
        assert!(
            line.starts_with("* members: ") && line.contains(name),
            "{line}"
        );
        guest
    }

    fn sends(&mut self, line: &str) {
        writeln!(self.stream, "{line}").unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn receives(&mut self, line: &str) {
        assert_eq!(self.line(), line);
    }
}

#[test]
fn a_line_is_sent_to_all_other_members() {
    let (mut server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut bob = Guest::enter(address, "bob");
    ann.receives("* bob has joined");
    bob.sends("hello");
    ann.receives("bob: hello");
    ann.sends("/who");
    ann.receives("* members: ann, bob");
    bob.sends("/quit");
    ann.receives("* bob has left");
    assert!(is_closed(&bob.stream));
    server.signal("-INT");
    ann.receives("* the server is shutting down");
    assert!(is_closed(&ann.stream));
    assert!(server.end().success());
}

#[test]
fn a_name_is_unique_and_has_no_control_characters() {
    let (_server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut bob = Guest::connect(address);
    bob.sends("ann");
    bob.receives("* that name is taken; choose another one");
    bob.sends("  ");
    bob.receives("* a name has 1 to 20 characters");
    bob.sends("b\x1b[2J\u{202e}o\x07b");
    ann.receives("* b[2Job has joined");
}

#[test]
fn a_name_that_could_be_taken_for_another_is_refused() {
    let (_server, address) = serve(&[]);
    let _ann = Guest::enter(address, "Bill");
    let mut eve = Guest::connect(address);
    for name in ["bill", "BILL", "BiIl", "B\u{456}ll", "\u{ff22}ill"] {
        eve.sends(name);
        eve.receives("* that name looks like Bill; choose another one");
    }
    for name in ["Bi\u{200b}ll", "Bill\u{ad}", "\u{3164}", "a\u{feff}"] {
        eve.sends(name);
        eve.receives("* a name has no invisible characters; choose another one");
    }
    for name in [
        "* Bill",
        "Bill: hi",
        "a\u{a789} b",
        "\u{ff0a} x",
        "Bill, eve",
        "/who",
    ] {
        eve.sends(name);
        eve.receives(
            "* a name has no * : or , in it and does not begin with /; choose another one",
        );
    }
    for name in ["server", "The Server"] {
        eve.sends(name);
        eve.receives("* that name is reserved for the server; choose another one");
    }
    eve.sends("eve");
    eve.receives("* members: Bill, eve");
}

#[test]
fn commands_of_telnet_are_removed_from_lines() {
    let (_server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut bob = Guest::connect(address);
    bob.stream
        .write_all(b"\xff\xfd\x03\xff\xfb\x18bob\r\n")
        .unwrap();
    ann.receives("* bob has joined");
    bob.stream
        .write_all(b"h\xff\xfa\x18\x00xterm\nlines\xff\xf0i\r\0\n")
        .unwrap();
    ann.receives("bob: hi");
}

#[test]
fn a_line_without_an_end_is_refused() {
    let (_server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut eve = Guest::enter(address, "eve");
    ann.receives("* eve has joined");
    eve.stream.write_all(&[b'x'; 1025]).unwrap();
    eve.receives("* that line is too long");
    ann.receives("* eve has left");
    // The limit also holds for a line with an end.
    let mut eve = Guest::enter(address, "eve");
    ann.receives("* eve has joined");
    eve.sends(&"x".repeat(1024));
    ann.receives(&format!("eve: {}", "x".repeat(1024)));
    eve.sends(&"x".repeat(1025));
    eve.receives("* that line is too long");
    ann.receives("* eve has left");
}

#[test]
fn the_last_line_needs_no_newline() {
    let (mut server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut carl = Guest::connect(address);
    carl.stream.write_all(b"carl\nhi").unwrap();
    carl.stream.shutdown(Shutdown::Write).unwrap();
    ann.receives("* carl has joined");
    ann.receives("carl: hi");
    ann.receives("* carl has left");
    carl.receives("* members: ann, carl");
    assert!(is_closed(&carl.stream));
    server.interrupt();
}

#[test]
fn an_outbox_has_room_for_the_longest_line() {
    for outbox in ["0", "3154", "much"] {
        let mut server = Program::start(CHAT, &["127.0.0.1:0", "--outbox", outbox]);
        assert_eq!(server.end().code(), Some(2));
        let text = "not a number of at least 3155, which one line may need; try 65536";
        assert!(server.seen[0].ends_with(text), "{:?}", server.seen);
    }
    let (mut server, address) = serve(&["--outbox", "3155"]);
    let mut ann = Guest::enter(address, "ann");
    let name = "\u{1f600}".repeat(20);
    let mut bob = Guest::enter(address, &name);
    ann.receives(&format!("* {name} has joined"));
    let line = [&[0xff; 1024][..], b"\n"].concat();
    bob.stream.write_all(&line).unwrap();
    ann.receives(&format!("{name}: {}", "\u{fffd}".repeat(1024)));
    server.interrupt();
}

#[test]
fn all_members_may_write_at_the_same_time() {
    // Together they send much more than an outbox takes.
    const GUESTS: usize = 30;
    let (mut server, address) = serve(&["--outbox", "4000"]);
    let enter = |guest| Guest::enter(address, &format!("guest {guest}"));
    let mut guests: Vec<_> = (0..GUESTS).map(enter).collect();
    for guest in &mut guests {
        guest.sends(&"x".repeat(1000));
    }
    for (number, guest) in guests.iter_mut().enumerate() {
        for _ in number + 1..GUESTS {
            assert!(guest.line().ends_with(" has joined"));
        }
        for _ in 1..GUESTS {
            assert!(guest.line().ends_with("xxx"), "{number}");
        }
    }
    server.interrupt();
}

#[test]
fn a_slow_reader_is_disconnected_and_delays_no_other() {
    let (mut server, address) = serve(&[]);
    let slow = Guest::enter(address, "slow");
    let mut fast = Guest::enter(address, "fast");
    let mut talker = Guest::enter(address, "talker");
    fast.receives("* talker has joined");
    // More than the kernel buffers for a reader that does not read.
    let line = "x".repeat(1000);
    let mut said = 0;
    loop {
        talker.sends(&line);
        said += 1;
        let heard = fast.line();
        if heard == "* slow has left" {
            break;
        }
        assert_eq!(heard.len(), "talker: ".len() + 1000);
        assert!(said < 100_000, "it is never dropped");
    }
    server.line("disconnected: the reader is too slow");
    drop(slow);
    server.interrupt();
}

#[test]
fn many_lines_at_once_disconnect_no_member_that_reads() {
    let (mut server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut bob = Guest::enter(address, "bob");
    ann.receives("* bob has joined");
    // A few packets whose lines are many times as much as an outbox takes.
    const LINES: usize = 30_000;
    bob.stream.write_all(&b"x\n".repeat(LINES)).unwrap();
    for _ in 0..LINES {
        ann.receives("bob: x");
    }
    // Many answers do not disconnect the member, either.
    bob.stream.write_all(&b"/who\n".repeat(LINES)).unwrap();
    for _ in 0..LINES {
        bob.receives("* members: ann, bob");
    }
    server.interrupt();
}

#[test]
fn nc_is_a_client() {
    let (mut server, address) = serve(&[]);
    if support::tool("nc", &["-h"]).is_none() {
        return;
    }
    let mut ann = Guest::enter(address, "ann");
    let mut nc = Command::new("nc")
        .args(["127.0.0.1", &address.port().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    nc.stdin
        .as_mut()
        .unwrap()
        .write_all(b"nick\nhello\n")
        .unwrap();
    ann.receives("* nick has joined");
    ann.receives("nick: hello");
    server.interrupt();
    let output = nc.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().last(), Some("* the server is shutting down"));
}

#[test]
fn a_member_without_a_line_is_disconnected_even_if_it_receives_lines() {
    let (mut server, address) = serve(&["--idle", "3"]);
    let silent = Guest::enter(address, "silent");
    let mut busy = Guest::enter(address, "busy");
    loop {
        busy.sends("hello");
        busy.sends("/who");
        match busy.line().as_str() {
            "* members: silent, busy" => {}
            line => break assert_eq!(line, "* silent has left"),
        }
    }
    drop(silent);
    server.line("no line for 3s");
    server.interrupt();
}
