//! The client, the same for all servers. It never blocks on one connection while another is ready.
//!
//! - Closed loop: a connection sends its next message when it has an answer. So the server is as busy as it can be.
//! - Open loop: messages are due at fixed times, sent then whatever the server does, and their latency counts from the
//!   moment when they were due. So a server that pauses is charged for all messages that wait meanwhile.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    mem::zeroed,
    net::{SocketAddr, TcpStream},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{process::raise_descriptor_limit, run::Error};

/// The limit on the bytes in flight, so that the kernel has room for all of them.
const BYTES_UNDER_WAY: usize = 32 << 20;

/// The number of short connections that are open at any time.
const SHORT_CONNECTIONS: usize = 64;

const EVENTS: usize = 1024;

/// Latencies in nanoseconds, with three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are possible")
}

/// Connections that stay.
pub(crate) struct Client {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    message: Vec<u8>,
    answer_len: usize,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// The due times of the messages in flight.
    due: VecDeque<Instant>,
    /// The bytes that are still to be sent.
    unsent: usize,
    /// How many bytes of the first answer have arrived.
    received: usize,
}

impl Client {
    /// Connects, for messages of a size that are echoed.
    pub(crate) fn connect(
        address: SocketAddr,
        connections: usize,
        size: usize,
    ) -> Result<Client, Error> {
        Client::new(address, connections, vec![b'.'; size], size)
    }

    /// Connects, for requests of HTTP whose answers have so many bytes after their heads.
    pub(crate) fn browse(
        address: SocketAddr,
        connections: usize,
        size: usize,
    ) -> Result<Client, Error> {
        let request = format!("GET /{size} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let mut client = Client::new(address, connections, request.into(), 0)?;
        // The heads of all answers have the same length.
        let stream = &mut client.connections[0].stream;
        stream.set_nonblocking(false)?;
        stream.write_all(&client.message)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        stream.read_exact(&mut vec![0; size])?;
        stream.set_nonblocking(true)?;
        if !head.starts_with(b"HTTP/1.1 200 OK\r\n") {
            return Err("a server did not answer 200".into());
        }
        client.answer_len = head.len() + size;
        Ok(client)
    }

    fn new(
        address: SocketAddr,
        connections: usize,
        message: Vec<u8>,
        answer_len: usize,
    ) -> Result<Client, Error> {
        raise_descriptor_limit();
        // SAFETY: takes no pointers; the descriptor is new and owned by nothing else.
        let epoll = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(0))?) };
        let connect = |index| {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut event = libc::epoll_event {
                events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32,
                u64: index as u64,
            };
            let (epoll, fd) = (epoll.as_raw_fd(), stream.as_raw_fd());
            // SAFETY: the event lives until the call returns.
            check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) })?;
            Ok(Connection {
                stream,
                due: VecDeque::new(),
                unsent: 0,
                received: 0,
            })
        };
        let connections = (0..connections).map(connect).collect::<io::Result<_>>()?;
        Ok(Client {
            epoll,
            connections,
            message,
            answer_len,
            buffer: vec![0; 64 << 10],
        })
    }

    /// Closed loop on the first `active` connections, with up to `depth` messages in flight on each.
    pub(crate) fn saturate(
        &mut self,
        messages: usize,
        active: usize,
        depth: usize,
        latencies: &mut Histogram<u64>,
    ) -> Result<(), Error> {
        let room = (BYTES_UNDER_WAY / self.answer_len.max(self.message.len())).max(1);
        // A connection is in this queue once for each message that it may have in flight.
        let mut idle: VecDeque<usize> = (0..depth).flat_map(|_| 0..active).collect();
        let (mut sent, mut answered) = (0, 0);
        let now = Instant::now();
        while sent < messages.min(room) {
            let Some(index) = idle.pop_front() else { break };
            self.connections[index].begin(now, self.message.len());
            sent += 1;
        }
        for index in 0..active {
            self.connections[index].flush(&self.message)?;
        }
        let mut ready = Vec::with_capacity(EVENTS);
        while answered < messages {
            self.wait(-1, &mut ready)?;
            for index in ready.drain(..) {
                let done = self.receive(index, latencies)?;
                answered += done;
                let now = Instant::now();
                for _ in 0..done {
                    idle.push_back(index);
                    let next = idle.pop_front().expect("one was just pushed");
                    if sent < messages {
                        sent += 1;
                        self.connections[next].begin(now, self.message.len());
                        if next != index {
                            self.connections[next].flush(&self.message)?;
                        }
                    }
                }
                self.connections[index].flush(&self.message)?;
            }
        }
        Ok(())
    }

    /// Open loop: so many messages a second for a time, on all connections in turn.
    pub(crate) fn offer(
        &mut self,
        per_second: f64,
        time: Duration,
        latencies: &mut Histogram<u64>,
    ) -> Result<(), Error> {
        let messages = (per_second * time.as_secs_f64()) as usize;
        let start = Instant::now();
        let due = |number: usize| start + Duration::from_secs_f64(number as f64 / per_second);
        let (mut sent, mut answered) = (0, 0);
        let mut ready = Vec::with_capacity(EVENTS);
        while answered < messages {
            while sent < messages && due(sent) <= Instant::now() {
                let index = sent % self.connections.len();
                self.connections[index].begin(due(sent), self.message.len());
                self.connections[index].flush(&self.message)?;
                sent += 1;
            }
            // The client has a processor of its own, so it looks again at once instead of sleeping.
            self.wait(0, &mut ready)?;
            for index in ready.drain(..) {
                answered += self.receive(index, latencies)?;
                self.connections[index].flush(&self.message)?;
            }
            if start.elapsed() > time * 3 + Duration::from_secs(5) {
                return Err(format!("{answered} of {messages} messages were answered").into());
            }
        }
        Ok(())
    }

    fn wait(&self, milliseconds: i32, ready: &mut Vec<usize>) -> io::Result<()> {
        // SAFETY: all zeroes is a valid array of plain numbers.
        let mut events: [libc::epoll_event; EVENTS] = unsafe { zeroed() };
        let (fd, room) = (self.epoll.as_raw_fd(), EVENTS as i32);
        // SAFETY: there is room for as many events as it says.
        let count = unsafe { libc::epoll_wait(fd, events.as_mut_ptr(), room, milliseconds) };
        let count = match check(count) {
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            count => count?,
        };
        ready.extend(
            events[..count as usize]
                .iter()
                .map(|event| event.u64 as usize),
        );
        Ok(())
    }

    /// Reads all bytes that have arrived on a connection, and returns the number of answers that are complete.
    fn receive(&mut self, index: usize, latencies: &mut Histogram<u64>) -> Result<usize, Error> {
        let connection = &mut self.connections[index];
        let mut answered = 0;
        loop {
            let n = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return Err("a server has closed a connection".into()),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(answered),
                Err(error) => return Err(error.into()),
            };
            connection.received += n;
            let now = Instant::now();
            while connection.received >= self.answer_len {
                connection.received -= self.answer_len;
                let due = connection.due.pop_front();
                let due = due.ok_or("an answer without a message")?;
                latencies.record((now - due).as_nanos() as u64)?;
                answered += 1;
            }
            if n < self.buffer.len() {
                return Ok(answered);
            }
        }
    }
}

impl Connection {
    fn begin(&mut self, due: Instant, message_len: usize) {
        self.due.push_back(due);
        self.unsent += message_len;
    }

    /// Sends as much as there is room for.
    fn flush(&mut self, message: &[u8]) -> io::Result<()> {
        while self.unsent > 0 {
            let begun = self.unsent % message.len();
            let from = if begun == 0 { 0 } else { message.len() - begun };
            match self.stream.write(&message[from..]) {
                Ok(n) => self.unsent -= n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn check(result: i32) -> io::Result<i32> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

/// Makes connections that last for one message each.
pub(crate) fn connect_shortly(
    address: SocketAddr,
    connections: usize,
    size: usize,
) -> Result<(), Error> {
    let message = vec![b'.'; size];
    let mut answer = Vec::with_capacity(size);
    let mut open: Vec<Option<TcpStream>> = Vec::new();
    open.resize_with(SHORT_CONNECTIONS, || None);
    for number in 0..connections + SHORT_CONNECTIONS {
        let place = &mut open[number % SHORT_CONNECTIONS];
        if let Some(mut stream) = place.take() {
            answer.clear();
            stream.read_to_end(&mut answer)?;
            if answer != message {
                return Err("a server did not echo a message".into());
            }
        }
        if number < connections {
            let mut stream = TcpStream::connect(address)?;
            reset_on_close(&stream)?;
            stream.write_all(&message)?;
            *place = Some(stream);
        }
    }
    Ok(())
}

/// Makes closing a connection reset it: otherwise its port would stay in use for a minute.
fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the pointer and the length are those of the option's value.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
    check(result).map(drop)
}
