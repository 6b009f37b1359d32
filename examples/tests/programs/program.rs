//! Starting a program, listening to what it says, and speaking to its sockets.

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

/// A program that runs. It is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    complaints: Option<JoinHandle<String>>,
}

/// How a program has ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    /// What it said after what was heard before.
    pub(crate) lines: Vec<String>,
    pub(crate) complaints: String,
}

/// Where an example is: this is `target/debug/deps/programs-…`, or has been copied from there.
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

    /// Starts it with somebody who types all at once, and then no more.
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

    /// Starts it with an output to which nobody listens any more.
    pub(crate) fn start_unheard(name: &str, arguments: &[&str]) -> Program {
        let (_, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(path(name));
        let command = command.args(arguments);
        Program::spawn_with(command, Stdio::null(), OwnedFd::from(theirs))
    }

    /// Starts it with fewer descriptors than it would like to have.
    pub(crate) fn start_with_descriptors(count: u32, name: &str, arguments: &[&str]) -> Program {
        let script = format!("ulimit -n {count} && exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        let shell = shell.arg("-c").arg(script).arg(path(name));
        Program::spawn(shell.args(arguments))
    }

    /// Starts it with its complaints among what it says, in their order.
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
        let unheard = match child.stdout.take() {
            Some(stdout) => {
                thread::spawn(move || {
                    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                        // Nobody may want to hear it any more.
                        let _ = sender.send(line);
                    }
                });
                None
            }
            None => Some(sender),
        };
        let complaints = Some(thread::spawn(move || {
            let complaints = io::read_to_string(stderr).unwrap();
            // Without an output, this is how it is known that it has ended.
            drop(unheard);
            complaints
        }));
        Program {
            child,
            lines,
            complaints,
        }
    }

    /// The next line that it says and that contains a text.
    pub(crate) fn hear(&mut self, text: &str) -> String {
        let mut heard = Vec::new();
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => heard.push(line),
                Err(_) => panic!("did not say {text:?}, but {heard:?}; {:?}", self.end()),
            }
        }
    }

    /// Where it says that it listens.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let line = self.hear("listening on ");
        let address = line.split([' ', ';']).nth(2).unwrap();
        address.parse().unwrap_or_else(|_| panic!("{line:?}"))
    }

    /// Sends it a signal, by the name that kill(1) knows.
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
        // Either it has closed its output, which it does by ending, or it is too late.
        if self.child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(100));
            let _ = self.child.kill();
        }
        End {
            status: self.child.wait().unwrap(),
            lines,
            complaints: self.complaints.take().unwrap().join().unwrap(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server that cannot listen where it is told to, and checks that it says so.
pub(crate) fn complains(name: &str, address: &str, complaint: &str) {
    let end = Program::start(name, &[address]).end();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.complaints.contains(address), "{end:?}");
    assert!(end.complaints.contains(complaint), "{end:?}");
    // In words, and not as the program's own structures.
    assert!(!end.complaints.contains(" { "), "{end:?}");
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Sends a text and waits until it has come back.
pub(crate) fn exchange(mut stream: &TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, text.as_bytes());
}

/// Sends so many bytes on each of so many connections, all at once and in pieces of odd sizes, and
/// checks what comes back.
pub(crate) fn echo_all(address: SocketAddr, connections: usize, bytes: usize) {
    let pattern: Arc<Vec<u8>> = Arc::new((0..bytes + connections).map(byte).collect());
    let everybody = Arc::new(Barrier::new(connections));
    let clients: Vec<_> = (0..connections)
        .map(|client| {
            let (pattern, everybody) = (Arc::clone(&pattern), Arc::clone(&everybody));
            thread::spawn(move || {
                let stream = connect(address);
                everybody.wait();
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
        assert!(received == bytes, "something else came back");
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
