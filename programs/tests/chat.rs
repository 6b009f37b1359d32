//! chat, with clients of the standard library and with nc.

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
    fn come(address: SocketAddr) -> Guest {
        let stream = connect(address);
        let lines = BufReader::new(stream.try_clone().unwrap());
        let mut guest = Guest { stream, lines };
        guest.hears("* what is your name?");
        guest
    }

    fn enter(address: SocketAddr, name: &str) -> Guest {
        let mut guest = Guest::come(address);
        guest.says(name);
        let line = guest.line();
        assert!(
            line.starts_with("* here are: ") && line.contains(name),
            "{line}"
        );
        guest
    }

    fn says(&mut self, line: &str) {
        writeln!(self.stream, "{line}").unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn hears(&mut self, line: &str) {
        assert_eq!(self.line(), line);
    }
}

#[test]
fn what_one_says_all_others_hear() {
    let (mut server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut bob = Guest::enter(address, "bob");
    ann.hears("* bob has come");
    bob.says("hello");
    ann.hears("bob: hello");
    ann.says("/who");
    ann.hears("* here are: ann, bob");
    bob.says("/quit");
    ann.hears("* bob has left");
    assert!(is_closed(&bob.stream));
    server.signal("-INT");
    ann.hears("* the server is going down");
    assert!(is_closed(&ann.stream));
    assert!(server.end().success());
}

#[test]
fn a_name_is_one_persons_and_no_tricks_are_played_on_terminals() {
    let (_server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut bob = Guest::come(address);
    bob.says("ann");
    bob.hears("* somebody has that name; choose another one");
    bob.says("  ");
    bob.hears("* a name has 1 to 20 letters");
    bob.says("b\x1b[2J\u{202e}o\x07b");
    ann.hears("* b[2Job has come");
}

#[test]
fn a_name_that_could_be_taken_for_another_is_refused() {
    let (_server, address) = serve(&[]);
    let _ann = Guest::enter(address, "Bill");
    let mut eve = Guest::come(address);
    for name in ["bill", "BILL", "BiIl", "B\u{456}ll", "\u{ff22}ill"] {
        eve.says(name);
        eve.hears("* that name looks like Bill; choose another one");
    }
    for name in ["Bi\u{200b}ll", "Bill\u{ad}", "\u{3164}", "a\u{feff}"] {
        eve.says(name);
        eve.hears("* a name has no invisible characters; choose another one");
    }
    for name in [
        "* Bill",
        "Bill: hi",
        "a\u{a789} b",
        "\u{ff0a} x",
        "Bill, eve",
        "/who",
    ] {
        eve.says(name);
        eve.hears("* a name has no * : or , in it and no / before it; choose another one");
    }
    for name in ["server", "The Server"] {
        eve.says(name);
        eve.hears("* only the server is called that; choose another one");
    }
    eve.says("eve");
    eve.hears("* here are: Bill, eve");
}

#[test]
fn commands_of_telnet_are_not_heard() {
    let (_server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut bob = Guest::come(address);
    bob.stream
        .write_all(b"\xff\xfd\x03\xff\xfb\x18bob\r\n")
        .unwrap();
    ann.hears("* bob has come");
    bob.stream
        .write_all(b"h\xff\xfa\x18\x00xterm\nlines\xff\xf0i\r\0\n")
        .unwrap();
    ann.hears("bob: hi");
}

#[test]
fn a_line_without_an_end_is_refused() {
    let (_server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut eve = Guest::enter(address, "eve");
    ann.hears("* eve has come");
    eve.stream.write_all(&[b'x'; 1025]).unwrap();
    eve.hears("* that line is too long");
    ann.hears("* eve has left");
    // Nor may one with an end be longer.
    let mut eve = Guest::enter(address, "eve");
    ann.hears("* eve has come");
    eve.says(&"x".repeat(1024));
    ann.hears(&format!("eve: {}", "x".repeat(1024)));
    eve.says(&"x".repeat(1025));
    eve.hears("* that line is too long");
    ann.hears("* eve has left");
}

#[test]
fn the_last_line_needs_no_newline() {
    let (mut server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut carl = Guest::come(address);
    carl.stream.write_all(b"carl\nhi").unwrap();
    carl.stream.shutdown(Shutdown::Write).unwrap();
    ann.hears("* carl has come");
    ann.hears("carl: hi");
    ann.hears("* carl has left");
    carl.hears("* here are: ann, carl");
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
    ann.hears(&format!("* {name} has come"));
    let line = [&[0xff; 1024][..], b"\n"].concat();
    bob.stream.write_all(&line).unwrap();
    ann.hears(&format!("{name}: {}", "\u{fffd}".repeat(1024)));
    server.interrupt();
}

#[test]
fn all_may_speak_at_once() {
    // Together they say much more than an outbox takes.
    const GUESTS: usize = 30;
    let (mut server, address) = serve(&["--outbox", "4000"]);
    let enter = |guest| Guest::enter(address, &format!("guest {guest}"));
    let mut guests: Vec<_> = (0..GUESTS).map(enter).collect();
    for guest in &mut guests {
        guest.says(&"x".repeat(1000));
    }
    for (number, guest) in guests.iter_mut().enumerate() {
        for _ in number + 1..GUESTS {
            assert!(guest.line().ends_with(" has come"));
        }
        for _ in 1..GUESTS {
            assert!(guest.line().ends_with("xxx"), "{number}");
        }
    }
    server.interrupt();
}

#[test]
fn a_slow_reader_is_dropped_and_nobody_waits_for_it() {
    let (mut server, address) = serve(&[]);
    let slow = Guest::enter(address, "slow");
    let mut fast = Guest::enter(address, "fast");
    let mut talker = Guest::enter(address, "talker");
    fast.hears("* talker has come");
    // More than the kernel takes for a reader that does not read.
    let line = "x".repeat(1000);
    let mut said = 0;
    loop {
        talker.says(&line);
        said += 1;
        let heard = fast.line();
        if heard == "* slow has left" {
            break;
        }
        assert_eq!(heard.len(), "talker: ".len() + 1000);
        assert!(said < 100_000, "it is never dropped");
    }
    server.line("dropped: too slow a reader");
    drop(slow);
    server.interrupt();
}

#[test]
fn who_says_much_at_once_drops_nobody_who_reads() {
    let (mut server, address) = serve(&[]);
    let mut ann = Guest::enter(address, "ann");
    let mut bob = Guest::enter(address, "bob");
    ann.hears("* bob has come");
    // In a few packets, what becomes many times as much as an outbox takes.
    const LINES: usize = 30_000;
    bob.stream.write_all(&b"x\n".repeat(LINES)).unwrap();
    for _ in 0..LINES {
        ann.hears("bob: x");
    }
    // Nor do its own answers drop it.
    bob.stream.write_all(&b"/who\n".repeat(LINES)).unwrap();
    for _ in 0..LINES {
        bob.hears("* here are: ann, bob");
    }
    server.interrupt();
}

#[test]
fn nc_can_talk() {
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
    ann.hears("* nick has come");
    ann.hears("nick: hello");
    server.interrupt();
    let output = nc.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().last(), Some("* the server is going down"));
}
