// ANCHOR: head
//! An echo server by hand, and a client that sends 32 MB before it reads. `lossy` and `greedy` are wrong.

use std::{
    collections::{HashMap, VecDeque},
    env,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use nio_guide::apply;
use nio_sys::{EventFlags, EventList, Kevent, Kqueue};

const SENT: usize = 32 << 20;

fn main() -> io::Result<()> {
    let way = env::args().nth(1).unwrap_or_default();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let client = thread::spawn(move || client(address));
    let most = serve(&listener, &way)?;
    let got = client.join().expect("the client does not panic")?;
    println!(
        "the client sent {SENT} bytes, and the answer is whole: {}",
        got == SENT
    );
    println!("the server kept {} kB at most", most.div_ceil(1024));
    Ok(())
}
// ANCHOR_END: head

// ANCHOR: client
/// Sends everything and ends its sending side; reads a little later. Returns how much came back.
fn client(address: SocketAddr) -> io::Result<usize> {
    let mut reader = TcpStream::connect(address)?;
    let mut writer = reader.try_clone()?;
    thread::spawn(move || {
        writer.write_all(&vec![b'x'; SENT])?;
        writer.shutdown(Shutdown::Write)
    });
    thread::sleep(Duration::from_millis(300));
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer)
}
// ANCHOR_END: client

// ANCHOR: serve
const LISTENER: usize = 0;

/// Serves until the last client has gone. Returns the size of the largest buffer.
fn serve(listener: &TcpListener, way: &str) -> io::Result<usize> {
    listener.set_nonblocking(true)?;
    let queue = Kqueue::new()?;
    apply(
        &queue,
        &[Kevent::read(listener, EventFlags::ADD).with_udata(LISTENER)],
    )?;
    let mut connections: HashMap<usize, Connection> = HashMap::new();
    let (mut last_id, mut most) = (LISTENER, 0);
    let mut events = EventList::with_capacity(64);
    while last_id == LISTENER || !connections.is_empty() {
        queue.wait(&mut events, None)?;
        for event in &events {
            if event.udata() == LISTENER {
                last_id += 1;
                let (stream, _) = listener.accept()?;
                connections.insert(last_id, Connection::new(&queue, stream, last_id)?);
            } else if let Some(connection) = connections.get_mut(&event.udata()) {
                let goes_on = connection.echo(way).unwrap_or(false);
                most = most.max(connection.most);
                if !goes_on {
                    connections.remove(&event.udata()); // drops the stream, which closes it
                }
            }
        }
    }
    Ok(most)
}
// ANCHOR_END: serve

// ANCHOR: connection
struct Connection {
    stream: TcpStream,
    unwritten: VecDeque<u8>,
    has_ended: bool, // the client sends no more
    most: usize,
}

impl Connection {
    fn new(queue: &Kqueue, stream: TcpStream, id: usize) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        let flags = EventFlags::ADD | EventFlags::CLEAR;
        let (read, write) = (Kevent::read(&stream, flags), Kevent::write(&stream, flags));
        apply(queue, &[read.with_udata(id), write.with_udata(id)])?;
        let unwritten = VecDeque::new();
        Ok(Connection {
            stream,
            unwritten,
            has_ended: false,
            most: 0,
        })
    }
    // ANCHOR_END: connection

    // ANCHOR: echo
    /// Does what can be done now. Returns whether the connection goes on.
    fn echo(&mut self, way: &str) -> io::Result<bool> {
        let mut bytes = [0; 16 * 1024];
        loop {
            let is_written = self.write()?;
            if !is_written && way != "greedy" {
                return Ok(true); // reads nothing until there is room: an event will say so
            }
            if self.has_ended {
                return Ok(!is_written);
            }
            match self.stream.read(&mut bytes) {
                Ok(0) => self.has_ended = true,
                Ok(n) if way == "lossy" => drop(self.stream.write(&bytes[..n])),
                Ok(n) => self.unwritten.extend(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
            self.most = self.most.max(self.unwritten.len());
        }
    }
    // ANCHOR_END: echo

    // ANCHOR: write
    /// Writes as much as there is room for. Returns whether that was all.
    fn write(&mut self) -> io::Result<bool> {
        while !self.unwritten.is_empty() {
            match self.stream.write(self.unwritten.as_slices().0) {
                Ok(n) => drop(self.unwritten.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
// ANCHOR_END: write
