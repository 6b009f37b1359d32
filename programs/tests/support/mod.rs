//! Programs under test: started on a free port, interrupted, and killed if a test fails.

#![allow(dead_code)] // Each test binary uses a part of it.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

/// The time limit of each step, even on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A program that runs. It is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) stdin: ChildStdin,
    /// The lines of both outputs, in the order of their arrival; closed when both outputs are.
    lines: Receiver<String>,
    pub(crate) seen: Vec<String>,
}

impl Program {
    pub(crate) fn start(path: &str, arguments: &[&str]) -> Program {
        let mut command = Command::new(path);
        command.args(arguments);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for output in outputs {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).lines() {
                    let Ok(line) = line else { return };
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Program {
            stdin: child.stdin.take().unwrap(),
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Starts a server, and returns it with the address that it prints.
    pub(crate) fn serve(path: &str, arguments: &[&str]) -> (Program, SocketAddr) {
        let mut server = Program::start(path, arguments);
        let line = server.line("listening on ");
        let address = line["listening on ".len()..].split(';').next().unwrap();
        let address = address.parse().unwrap();
        (server, address)
    }

    /// Waits for a line that has this in it.
    pub(crate) fn line(&mut self, part: &str) -> String {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(_) => panic!("no line with {part:?} in {:#?}", self.seen),
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits until it has ended, and returns its status.
    pub(crate) fn end(&mut self) -> ExitStatus {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => self.seen.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(_) => panic!("it does not end: {:#?}", self.seen),
            }
        }
        self.child.wait().unwrap()
    }

    /// Ends it by Ctrl-C, which must be a success.
    pub(crate) fn interrupt(&mut self) {
        self.signal("-INT");
        let status = self.end();
        assert!(status.success(), "{status}: {:#?}", self.seen);
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client with time limits for reading and writing.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// An address where no socket listens while the streams exist: it is the local address of one of them. (The
/// address of a closed listener might be given to another test.)
pub(crate) fn unused_address() -> (SocketAddr, [TcpStream; 2]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let address = stream.local_addr().unwrap();
    (address, [stream, listener.accept().unwrap().0])
}

/// Sends one byte every 50 ms, until the peer closes the connection.
pub(crate) fn trickle(mut stream: &TcpStream) {
    let start = Instant::now();
    let wait = Duration::from_millis(50);
    stream.set_read_timeout(Some(wait)).unwrap();
    while stream.write_all(b"x").is_ok() {
        match stream.read(&mut [0]) {
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(0) | Err(_) => return,
            Ok(_) => panic!("an answer to nothing"),
        }
        assert!(start.elapsed() < LIMIT, "it goes on for ever");
    }
}

/// Waits until connections to an address are refused.
pub(crate) fn wait_until_refused(address: SocketAddr) {
    let start = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(start.elapsed() < LIMIT, "{address} is listened on still");
        thread::yield_now();
    }
}

/// Sends a question and reads as many bytes as the answer has.
pub(crate) fn ask(mut stream: &TcpStream, question: &[u8], answer: &[u8]) {
    stream.write_all(question).unwrap();
    let mut bytes = vec![0; answer.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(
        bytes.escape_ascii().to_string(),
        answer.escape_ascii().to_string()
    );
}

/// Reads a line that ends in CR LF.
pub(crate) fn line(mut client: &TcpStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        line.extend(byte);
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

/// Whether the peer has closed: an end, or a reset.
pub(crate) fn is_closed(mut stream: &TcpStream) -> bool {
    loop {
        match stream.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map_or(true, |n| n == 0),
        }
    }
}

/// Runs a tool, if the machine has it, and returns its output.
pub(crate) fn tool(name: &str, arguments: &[&str]) -> Option<String> {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).exists()));
    if !found {
        eprintln!("SKIPPED: this machine has no {name}");
        return None;
    }
    let output = Command::new(Path::new(name))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Some(text)
}

/// Bytes that differ if one of them is missing.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut x = 1_u32;
    let next = |_| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 24) as u8
    };
    (0..len).map(next).collect()
}
