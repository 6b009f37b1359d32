//! Starts a program, reads its output, and talks to its sockets.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Barrier,
        mpsc::{Receiver, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Nothing here takes longer than this, however busy the machine is.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running program. Dropping it kills the program.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

/// How a program has ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    /// The lines of its output that were not heard before.
    pub(crate) lines: Vec<String>,
    pub(crate) errors: String,
}

/// The path of an example. This program is `target/debug/deps/programs-…`, or a copy of it.
fn path(name: &str) -> PathBuf {
    let this = env::current_exe().unwrap();
    let ancestors = this.ancestors().skip(1).take(2);
    let mut paths = ancestors.map(|folder| folder.join("examples").join(name));
    let path = paths.find(|path| path.is_file());
    path.unwrap_or_else(|| {
        panic!(
            "there is no program examples/{name} near {}; build it with \
             `cargo build --examples`, or copy it there",
            this.display()
        )
    })
}

impl Program {
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Program {
        Program::spawn(Command::new(path(name)).args(arguments))
    }

    /// Starts it with this input, which then ends.
    pub(crate) fn start_with_input(name: &str, input: &str) -> Program {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(input.as_bytes()).unwrap();
        let mut command = Command::new(path(name));
        Program::spawn_with(&mut command, OwnedFd::from(theirs), Stdio::piped())
    }

    /// Starts it with arguments, and an input that the test writes.
    pub(crate) fn start_with_terminal(name: &str, arguments: &[&str]) -> (Program, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(path(name));
        let command = command.args(arguments);
        let program = Program::spawn_with(command, OwnedFd::from(theirs), Stdio::piped());
        (program, ours)
    }

    /// Starts it with an output whose other end is closed.
    pub(crate) fn start_with_closed_output(name: &str, arguments: &[&str]) -> Program {
        let (_, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(path(name));
        let command = command.args(arguments);
        Program::spawn_with(command, Stdio::null(), OwnedFd::from(theirs))
    }

    /// Starts it with a limit on its descriptors.
    pub(crate) fn start_with_descriptors(count: u32, name: &str, arguments: &[&str]) -> Program {
        let script = format!("ulimit -n {count} && exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        let shell = shell.arg("-c").arg(script).arg(path(name));
        Program::spawn(shell.args(arguments))
    }

    /// Starts it with its errors and its output in one stream.
    pub(crate) fn start_with_one_output(name: &str, arguments: &[&str]) -> Program {
        let mut shell = Command::new("sh");
        let shell = shell.arg("-c").arg("exec \"$0\" \"$@\" 2>&1");
        Program::spawn(shell.arg(path(name)).args(arguments))
    }

    fn spawn(command: &mut Command) -> Program {
        Program::spawn_with(command, Stdio::null(), Stdio::piped())
    }

    fn spawn_with(
        command: &mut Command,
        input: impl Into<Stdio>,
        output: impl Into<Stdio>,
    ) -> Program {
        let command = command.stdin(input).stdout(output).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        let closed = match child.stdout.take() {
            Some(stdout) => {
                thread::spawn(move || {
                    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                        // The test may have dropped the receiver.
                        let _ = sender.send(line);
                    }
                });
                None
            }
            None => Some(sender),
        };
        let errors = Some(thread::spawn(move || {
            let errors = io::read_to_string(stderr).unwrap();
            // Without an output, this tells `end` that the program has ended.
            drop(closed);
            errors
        }));
        Program {
            child,
            lines,
            errors,
        }
    }

    /// The next line of its output that contains a text.
    pub(crate) fn hear(&mut self, text: &str) -> String {
        let mut heard = Vec::new();
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => heard.push(line),
                Err(_) => panic!("did not print {text:?}, but {heard:?}; {:?}", self.end()),
            }
        }
    }

    /// The address that it prints that it listens on.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let line = self.hear("listening on ");
        let address = line.split([' ', ';']).nth(2).unwrap();
        address.parse().unwrap_or_else(|_| panic!("{line:?}"))
    }

    /// Sends it a signal, named as for kill(1).
    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").arg("-c").arg(script).status().unwrap();
        assert!(status.success());
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(&mut self) -> End {
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            lines.push(line);
        }
        // Its output is closed, so it is about to end; or the limit is over.
        if self.child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(100));
            let _ = self.child.kill();
        }
        End {
            status: self.child.wait().unwrap(),
            lines,
            errors: self.errors.take().unwrap().join().unwrap(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server with an address on which it cannot listen, and checks the error.
pub(crate) fn fails(name: &str, address: &str, error: &str) {
    let end = Program::start(name, &[address]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.errors.contains(address), "{end:?}");
    assert!(end.errors.contains(error), "{end:?}");
    // Text for a person, not the debug form of an error.
    assert!(!end.errors.contains(" { "), "{end:?}");
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Sends a text and waits until the same text comes back.
pub(crate) fn exchange(mut stream: &TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, text.as_bytes());
}

/// Sends `bytes` bytes on each of `connections` connections at the same time, in pieces of odd sizes,
/// and checks that the same bytes come back.
pub(crate) fn echo_all(address: SocketAddr, connections: usize, bytes: usize) {
    let pattern: Arc<Vec<u8>> = Arc::new((0..bytes + connections).map(byte).collect());
    let barrier = Arc::new(Barrier::new(connections));
    let clients: Vec<_> = (0..connections)
        .map(|client| {
            let (pattern, barrier) = (Arc::clone(&pattern), Arc::clone(&barrier));
            thread::spawn(move || {
                let stream = connect(address);
                barrier.wait();
                echo_one(&stream, &pattern[client..][..bytes]);
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}

/// Sends and receives at the same time: neither side has room for all of it.
fn echo_one(stream: &TcpStream, bytes: &[u8]) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut rest, mut step, mut stream) = (bytes, 0, stream);
            while !rest.is_empty() {
                step += 1;
                let (piece, others) = rest.split_at(rest.len().min(1 + step * 7919 % 30_011));
                stream.write_all(piece).unwrap();
                rest = others;
            }
            stream.shutdown(Shutdown::Write).unwrap();
        });
        let (mut stream, mut received) = (stream, Vec::with_capacity(bytes.len()));
        stream.read_to_end(&mut received).unwrap();
        assert!(received == bytes, "other bytes came back");
    });
}

/// Bytes without a short period, so that a lost or doubled one is noticed.
fn byte(n: usize) -> u8 {
    ((n * 31) ^ (n >> 8) ^ (n >> 13)) as u8
}

/// Exchanges something, so that the connection is accepted, and closes it with a reset.
pub(crate) fn reset(stream: TcpStream) {
    exchange(&stream, "hello");
    let options = nio_net::Options::of(&stream);
    options.set_linger(Some(Duration::ZERO)).unwrap();
}
