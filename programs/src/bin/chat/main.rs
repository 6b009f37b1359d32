//! A chat room.
//!
//! ```text
//! cargo run --release -p nio-programs --bin chat
//! nc 127.0.0.1 7100
//! ```
//!
//! Each line is queued in the outbox of every other member, and each member's task writes its own outbox. So
//! a slow reader delays no other member; it is disconnected when its outbox is full. Two rules keep a member
//! from looking slow only because its task had no turn: after each line the sender's task yields to all
//! others, and a full outbox is written once more before the member counts as slow.

mod names;
mod telnet;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt::Display,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::pin,
    process::ExitCode,
    rc::Rc,
    task::{Poll, Waker, ready},
    time::Duration,
};

use clap::Parser;
use nio_loop::Elapsed;
use nio_net::{GracefulShutdown, Idle, TcpStream};
use nio_programs::{Serving, address, run, seconds, serve};

use names::{Look, NAME, check};
use telnet::Telnet;

/// A chat room: your first line is your name, /who lists the members, /quit leaves
#[derive(Parser)]
#[command(
    allow_negative_numbers = true,
    after_help = "Try it: nc 127.0.0.1 7100"
)]
struct Options {
    /// The address to listen on; port 0 chooses a free port
    #[arg(default_value = "127.0.0.1:7100", value_parser = address)]
    address: SocketAddr,
    /// Disconnect a member when more than this many bytes wait to be sent to it
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024, value_parser = outbox)]
    outbox: usize,
    /// Disconnect a member after this many seconds without a line
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    idle: Duration,
    #[command(flatten)]
    serving: Serving,
}

/// The limit on the length of a line, in bytes.
const LINE: usize = 1024;
/// The length of the longest line that is sent to other members: a name, of characters of up to 4 bytes, and a
/// line, in which a byte that is not UTF-8 becomes a character of 3 bytes.
const LONGEST: usize = 4 * NAME + ": ".len() + 3 * LINE + "\n".len();

fn outbox(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes @ LONGEST..) => Ok(bytes),
        _ => Err(format!(
            "not a number of at least {LONGEST}, which one line may need; try 65536"
        )),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    run(async move |handle| {
        let room = Rc::new(Room::default());
        let (idle, limit) = (options.idle, options.outbox);
        serve(
            &handle,
            options.address,
            options.serving.options(),
            |address| format!("try: nc {} {}", address.ip(), address.port()),
            async move |client| {
                // Only lines of the member itself count, not those that are sent to it.
                let idle = Idle::new(client.handle(), idle);
                let outbox = Outbox::new(Rc::clone(client.stream), limit);
                let visitor = Visitor {
                    room: &room,
                    outbox: &outbox,
                    idle: &idle,
                    shutdown: client.shutdown,
                };
                let served = idle.limit(serve_member(&visitor)).await;
                served.map_err(|Elapsed { limit }| {
                    let text = format!("no line for {limit:?}");
                    io::Error::new(io::ErrorKind::TimedOut, text)
                })?
            },
        )
        .await
    })
}

/// The members, numbered in the order of their arrival.
#[derive(Default)]
struct Room {
    members: RefCell<BTreeMap<u64, Member>>,
    next: Cell<u64>,
}

struct Member {
    name: String,
    look: Look,
    outbox: Rc<Outbox>,
}

impl Room {
    /// Queues a line for all members but the sender.
    fn send(&self, from: Option<u64>, line: impl Display) {
        let line = format!("{line}\n");
        for (number, member) in &*self.members.borrow() {
            if Some(*number) != from {
                member.outbox.put(&line);
            }
        }
    }

    fn names(&self) -> String {
        let members = self.members.borrow();
        let names: Vec<_> = members.values().map(|member| &*member.name).collect();
        names.join(", ")
    }

    /// Adds a member, unless another member has the name or a name that looks like it.
    fn join(self: &Rc<Room>, name: &str, outbox: &Rc<Outbox>) -> Result<Membership, String> {
        check(name)?;
        let look = Look::of(name);
        let mut members = self.members.borrow_mut();
        if members.values().any(|member| member.name == name) {
            return Err("that name is taken; choose another one".into());
        }
        if let Some(member) = members.values().find(|member| member.look.is_like(&look)) {
            let other = &member.name;
            return Err(format!("that name looks like {other}; choose another one"));
        }
        let number = self.next.replace(self.next.get() + 1);
        let member = Member {
            name: name.to_owned(),
            look,
            outbox: Rc::clone(outbox),
        };
        members.insert(number, member);
        let room = Rc::clone(self);
        Ok(Membership { room, number })
    }
}

/// Removes a member from the room when it is dropped.
struct Membership {
    room: Rc<Room>,
    number: u64,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let member = self.room.members.borrow_mut().remove(&self.number);
        if let Some(member) = member {
            self.room
                .send(None, format_args!("* {} has left", member.name));
        }
    }
}

/// Lines that wait to be written to a member.
struct Outbox {
    stream: Rc<TcpStream>,
    limit: usize,
    bytes: RefCell<Vec<u8>>,
    state: Cell<State>,
    writer: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The bytes in it are still written.
    Closed,
    /// The reader was too slow.
    Full,
}

impl Outbox {
    fn new(stream: Rc<TcpStream>, limit: usize) -> Rc<Outbox> {
        Rc::new(Outbox {
            stream,
            limit,
            bytes: RefCell::default(),
            state: Cell::new(State::Open),
            writer: RefCell::default(),
        })
    }

    fn put(&self, line: &str) {
        if self.state.get() != State::Open {
            return;
        }
        let mut bytes = self.bytes.borrow_mut();
        bytes.extend_from_slice(line.as_bytes());
        if bytes.len() > self.limit {
            // The writer may not have had a turn yet. It finds the error of this write, too.
            let written = self.stream.try_write(&bytes).unwrap_or(0);
            bytes.drain(..written);
        }
        let full = bytes.len() > self.limit;
        drop(bytes);
        if full {
            self.state.set(State::Full);
        }
        self.wake();
    }

    fn close(&self) {
        if self.state.get() == State::Open {
            self.state.set(State::Closed);
        }
        self.wake();
    }

    fn wake(&self) {
        let writer = self.writer.take();
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    /// Writes the bytes that are queued, until the outbox is closed and empty.
    async fn write(&self) -> io::Result<()> {
        poll_fn(|context| {
            loop {
                if self.state.get() == State::Full {
                    let slow = "disconnected: the reader is too slow";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, slow)));
                }
                let waker = context.waker().clone();
                self.writer.replace(Some(waker));
                let mut bytes = self.bytes.borrow_mut();
                if bytes.is_empty() {
                    return match self.state.get() {
                        State::Closed => Poll::Ready(Ok(())),
                        _ => Poll::Pending,
                    };
                }
                let written = ready!(self.stream.poll_write(context, &bytes))?;
                bytes.drain(..written);
            }
        })
        .await
    }
}

/// Serves one connection: reads and writes at the same time, until the client has left and its outbox is empty.
async fn serve_member(visitor: &Visitor<'_>) -> io::Result<()> {
    let mut read = pin!(read_lines(visitor));
    let mut write = pin!(visitor.outbox.write());
    let mut result = None;
    poll_fn(|context| {
        if result.is_none() {
            if let Poll::Ready(ended) = read.as_mut().poll(context) {
                result = Some(ended);
                visitor.outbox.close();
            }
        }
        ready!(write.as_mut().poll(context))?;
        Poll::Ready(result.take().unwrap_or(Ok(())))
    })
    .await
}

/// A connected client, which has joined the room or not yet.
struct Visitor<'a> {
    room: &'a Rc<Room>,
    outbox: &'a Rc<Outbox>,
    idle: &'a Idle<'a>,
    shutdown: &'a GracefulShutdown,
}

/// Reads the client's name and its lines, until it leaves or the server shuts down.
async fn read_lines(visitor: &Visitor<'_>) -> io::Result<()> {
    let Visitor { room, outbox, .. } = visitor;
    let mut lines = Lines::default();
    outbox.put("* what is your name?\n");
    let (membership, name) = loop {
        let Some(name) = lines.next(visitor).await? else {
            return Ok(());
        };
        let name = name.trim();
        match room.join(name, outbox) {
            Ok(membership) => break (membership, name.to_owned()),
            Err(reason) => outbox.put(&format!("* {reason}\n")),
        }
    };
    let me = Some(membership.number);
    outbox.put(&format!("* members: {}\n", room.names()));
    room.send(me, format_args!("* {name} has joined"));
    while let Some(line) = lines.next(visitor).await? {
        match line.trim() {
            "" => {}
            "/quit" => return Ok(()),
            "/who" => outbox.put(&format!("* members: {}\n", room.names())),
            line if line.starts_with('/') => {
                outbox.put("* unknown command; the commands are /who and /quit\n")
            }
            line => room.send(me, format_args!("{name}: {line}")),
        }
    }
    Ok(())
}

/// Bytes that were read from a stream and are not a complete line yet.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    telnet: Telnet,
}

impl Lines {
    /// The next line, without characters that control a terminal; `None` at the end. The last line may have no
    /// newline.
    async fn next(&mut self, visitor: &Visitor<'_>) -> io::Result<Option<String>> {
        let stream = &visitor.outbox.stream;
        let len = loop {
            let newline = self.bytes.iter().position(|byte| *byte == b'\n');
            if newline.unwrap_or(self.bytes.len()) > LINE {
                visitor.outbox.put("* that line is too long\n");
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the line is too long",
                ));
            }
            if let Some(newline) = newline {
                break newline + 1;
            }
            let before = self.bytes.len();
            self.bytes.reserve(LINE);
            let read = stream.read_buf(&mut self.bytes);
            match visitor.shutdown.unless_begun(read).await {
                Some(Ok(0)) if self.bytes.is_empty() => return Ok(None),
                Some(Ok(0)) => break self.bytes.len(),
                Some(read) => {
                    read?;
                    self.telnet.strip(&mut self.bytes, before);
                }
                None => {
                    visitor.outbox.put("* the server is shutting down\n");
                    return Ok(None);
                }
            }
        };
        visitor.idle.touch();
        stream.handle().yield_now().await;
        let line = self.bytes.drain(..len).collect::<Vec<_>>();
        let line = String::from_utf8_lossy(&line);
        let printable = line.chars().filter(|char| !controls_terminal(*char));
        Ok(Some(printable.collect()))
    }
}

/// Whether a character controls a terminal: it moves the cursor, or changes the direction of text.
fn controls_terminal(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{61c}' | '\u{2066}'..='\u{2069}')
}
