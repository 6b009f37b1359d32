//! The servers of the guide, and a client of each.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(name: &str, arguments: &[&str]) -> Server {
        let this = env::current_exe().unwrap();
        let mut paths = this.ancestors().skip(1).take(2).map(|it| it.join(name));
        let path = paths.find(|path| path.is_file()).expect("the program");
        let mut command = Command::new(path);
        let command = command.arg("127.0.0.1:0").args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().into();
        Server {
            child,
            output,
            address,
        }
    }

    fn connect(&self) -> (TcpStream, BufReader<TcpStream>) {
        let stream = TcpStream::connect(&self.address).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        (stream, reader)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}

#[test]
fn ch15_answers_lines_that_come_in_parts_and_several_at_once() {
    let server = Server::start("ch15_server", &[]);
    let (mut stream, mut reader) = server.connect();
    for byte in b"SET colour blue\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(line(&mut reader), "OK\n");
    stream.write_all(b"GET colour\nGET size\nwhat?\n").unwrap();
    assert_eq!(line(&mut reader), "blue\n");
    assert_eq!(line(&mut reader), "NONE\n");
    assert_eq!(line(&mut reader), "ERROR use SET name value, or GET name\n");
}

#[test]
fn ch15_by_read_takes_a_part_for_a_line() {
    let server = Server::start("ch15_server", &["by-read"]);
    let (mut stream, mut reader) = server.connect();
    stream.write_all(b"SET col").unwrap();
    assert_eq!(line(&mut reader), "ERROR use SET name value, or GET name\n");
}

#[test]
fn ch15_ends_a_connection_with_a_line_that_is_too_long() {
    let mut server = Server::start("ch15_server", &[]);
    let (mut stream, mut reader) = server.connect();
    stream.write_all(&[b'x'; 2000]).unwrap();
    assert_eq!(reader.read_to_end(&mut Vec::new()).unwrap_or(0), 0);
    assert!(line(&mut server.output).contains("1024"));
}

#[test]
fn ch15_ends_gracefully() {
    let mut server = Server::start("ch15_server", &[]);
    let (mut stream, mut reader) = server.connect();
    stream.write_all(b"GET colour\n").unwrap();
    assert_eq!(line(&mut reader), "NONE\n");
    let kill = format!("kill -TERM {}", server.child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    drop((stream, reader));
    assert_eq!(line(&mut server.output), "all connections have ended\n");
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn ch15_ends_a_connection_that_is_idle() {
    let mut server = Server::start("ch15_server", &["by-line", "1"]);
    let (mut stream, mut reader) = server.connect();
    stream.write_all(b"GET colour\n").unwrap();
    assert_eq!(line(&mut reader), "NONE\n");
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    assert!(line(&mut server.output).contains("1s"));
}

#[test]
fn ch15_serves_the_101st_client_when_another_one_has_left() {
    let server = Server::start("ch15_server", &[]);
    let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for (stream, reader) in &mut clients {
        stream.write_all(b"GET colour\n").unwrap();
        assert_eq!(line(reader), "NONE\n");
    }
    let (mut stream, mut reader) = server.connect();
    stream.write_all(b"GET colour\n").unwrap();
    let moment = Duration::from_millis(200);
    stream.set_read_timeout(Some(moment)).unwrap();
    assert!(reader.read_line(&mut String::new()).is_err(), "served");
    stream.set_read_timeout(None).unwrap();
    clients.pop();
    assert_eq!(line(&mut reader), "NONE\n");
}

#[test]
fn ch15_has_no_room_for_more_than_10_000_names() {
    let server = Server::start("ch15_server", &[]);
    let (mut stream, mut reader) = server.connect();
    for hundred in 0..100 {
        let requests: String = (0..100)
            .map(|number| format!("SET n{hundred}-{number} v\n"))
            .collect();
        stream.write_all(requests.as_bytes()).unwrap();
        for _ in 0..100 {
            assert_eq!(line(&mut reader), "OK\n");
        }
    }
    stream.write_all(b"SET another v\nSET n1-1 w\n").unwrap();
    assert_eq!(line(&mut reader), "ERROR no room for another name\n");
    assert_eq!(line(&mut reader), "OK\n");
}

#[test]
fn ch15_does_not_read_on_for_a_client_that_reads_no_answers() {
    let server = Server::start("ch15_server", &[]);
    let (mut stream, _reader) = server.connect();
    let long = "x".repeat(900);
    stream
        .write_all(format!("SET long {long}\n").as_bytes())
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    // What the buffers of both sides take, and then no more.
    let requests = "GET long\n".repeat(1_000);
    let all_are_read = (0..10_000).all(|_| stream.write_all(requests.as_bytes()).is_ok());
    assert!(!all_are_read);
}
