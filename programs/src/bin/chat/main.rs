//! A room to talk in, line by line.
//!
//! ```text
//! cargo run --release -p nio-programs --bin chat
//! nc 127.0.0.1 7100
//! ```
//!
//! What is said is put into the outbox of each member, and a task of the member's writes it out. So
//! nobody waits for a slow reader: one whose outbox is full is dropped. And nobody is taken for slow who
//! had no turn to write: who says much at once waits after each line until all others had theirs, and
//! where all speak at once, what an outbox has no room for is written before it is called full.

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
use nio_net::{GracefulShutdown, Idle, TcpStream};
use nio_programs::{Serving, address, run, seconds, serve, unless_idle};

use names::{Look, NAME, check};
use telnet::Telnet;

/// A room to talk in, line by line: the first line is one's name, /who lists who is here, /quit leaves
#[derive(Parser)]
#[command(
    allow_negative_numbers = true,
    after_help = "Try it: nc 127.0.0.1 7100"
)]
struct Options {
    /// The address to listen on; port 0 chooses a free port
    #[arg(default_value = "127.0.0.1:7100", value_parser = address)]
    address: SocketAddr,
    /// Disconnect a reader for whom more than this many bytes are waiting
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024, value_parser = outbox)]
    outbox: usize,
    /// Disconnect a member after this many seconds without a line
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    idle: Duration,
    #[command(flatten)]
    serving: Serving,
}

/// How long a line may be.
const LINE: usize = 1024;
/// How many bytes others hear of a line: a name, of letters of up to four, and what is said, where a
/// byte that is no text becomes a character of three.
const HEARD: usize = 4 * NAME + ": ".len() + 3 * LINE + "\n".len();

fn outbox(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes @ HEARD..) => Ok(bytes),
        _ => Err(format!(
            "not a number of at least {HEARD}, which one line may need; try 65536"
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
                // What others say is no reason to stay: only what the visitor says counts.
                let idle = Idle::new(client.handle(), idle);
                let outbox = Outbox::new(Rc::clone(client.stream), limit);
                let visitor = Visitor {
                    room: &room,
                    outbox: &outbox,
                    idle: &idle,
                    shutdown: client.shutdown,
                };
                unless_idle(&idle, visit(&visitor)).await
            },
        )
        .await
    })
}

/// Who is here. Members are numbered as they come.
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
    /// Puts a line into all outboxes but one.
    fn say(&self, from: Option<u64>, line: impl Display) {
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

    /// Lets somebody in, unless another one has the name or one that looks like it.
    fn enter(self: &Rc<Room>, name: &str, outbox: &Rc<Outbox>) -> Result<Presence, String> {
        check(name)?;
        let look = Look::of(name);
        let mut members = self.members.borrow_mut();
        if members.values().any(|member| member.name == name) {
            return Err("somebody has that name; choose another one".into());
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
        Ok(Presence { room, number })
    }
}

/// Somebody is in the room until this is dropped.
struct Presence {
    room: Rc<Room>,
    number: u64,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let member = self.room.members.borrow_mut().remove(&self.number);
        if let Some(member) = member {
            self.room
                .say(None, format_args!("* {} has left", member.name));
        }
    }
}

/// What waits to be written to a member.
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
    /// What is in it is written, and then it is over.
    Closed,
    /// Its reader was too slow.
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
            // Maybe its writer has had no turn. An error is for that to meet.
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

    /// Writes what is put into it, until it is closed and empty.
    async fn write(&self) -> io::Result<()> {
        poll_fn(|context| {
            loop {
                if self.state.get() == State::Full {
                    let slow = "dropped: too slow a reader";
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

/// One connection: reads and writes at the same time, until it has left and been told all.
async fn visit(visitor: &Visitor<'_>) -> io::Result<()> {
    let mut talk = pin!(talk(visitor));
    let mut write = pin!(visitor.outbox.write());
    let mut talked = None;
    poll_fn(|context| {
        if talked.is_none() {
            if let Poll::Ready(result) = talk.as_mut().poll(context) {
                talked = Some(result);
                visitor.outbox.close();
            }
        }
        ready!(write.as_mut().poll(context))?;
        Poll::Ready(talked.take().unwrap_or(Ok(())))
    })
    .await
}

/// Somebody who has come to the room.
struct Visitor<'a> {
    room: &'a Rc<Room>,
    outbox: &'a Rc<Outbox>,
    idle: &'a Idle<'a>,
    shutdown: &'a GracefulShutdown,
}

/// What a visitor says, until it leaves or the server ends.
async fn talk(visitor: &Visitor<'_>) -> io::Result<()> {
    let Visitor { room, outbox, .. } = visitor;
    let mut lines = Lines::default();
    outbox.put("* what is your name?\n");
    let (presence, name) = loop {
        let Some(name) = lines.next(visitor).await? else {
            return Ok(());
        };
        let name = name.trim();
        match room.enter(name, outbox) {
            Ok(presence) => break (presence, name.to_owned()),
            Err(what) => outbox.put(&format!("* {what}\n")),
        }
    };
    let me = Some(presence.number);
    outbox.put(&format!("* here are: {}\n", room.names()));
    room.say(me, format_args!("* {name} has come"));
    while let Some(line) = lines.next(visitor).await? {
        match line.trim() {
            "" => {}
            "/quit" => return Ok(()),
            "/who" => outbox.put(&format!("* here are: {}\n", room.names())),
            line if line.starts_with('/') => outbox.put("* there are only /who and /quit\n"),
            line => room.say(me, format_args!("{name}: {line}")),
        }
    }
    Ok(())
}

/// What has been read of a stream and is not a line yet.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    telnet: Telnet,
}

impl Lines {
    /// The next line, without what could play tricks on terminals; none at the end. The last one is
    /// one without a newline, too.
    async fn next(&mut self, visitor: &Visitor<'_>) -> io::Result<Option<String>> {
        let stream = &visitor.outbox.stream;
        let len = loop {
            let newline = self.bytes.iter().position(|byte| *byte == b'\n');
            if newline.unwrap_or(self.bytes.len()) > LINE {
                visitor.outbox.put("* that line is too long\n");
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "too long a line",
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
                    visitor.outbox.put("* the server is going down\n");
                    return Ok(None);
                }
            }
        };
        visitor.idle.touch();
        stream.handle().yield_now().await;
        let line = self.bytes.drain(..len).collect::<Vec<_>>();
        let line = String::from_utf8_lossy(&line);
        let printable = line.chars().filter(|char| !plays_tricks(*char));
        Ok(Some(printable.collect()))
    }
}

/// Whether a character moves the cursor, say, or turns around what comes behind it.
fn plays_tricks(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{61c}' | '\u{2066}'..='\u{2069}')
}
