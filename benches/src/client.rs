//! The clients, one and the same for all servers: they block, and go from connection to connection.

use std::{
    io::{self, Read, Write},
    mem::size_of,
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd,
};

use crate::process::raise_descriptor_limit;

/// How many bytes are under way at most, so that the kernel has room for all of them.
const BYTES_UNDER_WAY: usize = 32 << 20;

/// How many short connections are open at any time.
const SHORT_CONNECTIONS: usize = 64;

/// Connections that stay.
pub struct Client {
    streams: Vec<TcpStream>,
    message: Vec<u8>,
    answer: Vec<u8>,
    /// How every answer begins.
    expected: Vec<u8>,
}

impl Client {
    /// Connects, for messages of a size that are echoed.
    pub fn connect(address: SocketAddr, connections: usize, size: usize) -> io::Result<Client> {
        let message = vec![b'.'; size];
        Ok(Client {
            streams: connect_all(address, connections)?,
            answer: vec![0; size],
            expected: message.clone(),
            message,
        })
    }

    /// Connects, for requests of HTTP whose answers have so many bytes after their heads.
    pub fn browse(address: SocketAddr, connections: usize, size: usize) -> io::Result<Client> {
        let mut client = Client {
            streams: connect_all(address, connections)?,
            message: format!("GET /{size} HTTP/1.1\r\nHost: {address}\r\n\r\n").into(),
            answer: Vec::new(),
            expected: b"HTTP/1.1 200 OK\r\n".to_vec(),
        };
        // All heads are of one length.
        client.streams[0].write_all(&client.message)?;
        while !client.answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.streams[0].read_exact(&mut byte)?;
            client.answer.extend(byte);
        }
        let head = client.answer.len();
        client.answer.resize(head + size, 0);
        client.streams[0].read_exact(&mut client.answer[head..])?;
        Ok(client)
    }

    /// Sends messages and reads the answers, with one under way on each connection at any time, as far
    /// as there is room for them.
    pub fn ask(&mut self, messages: usize) -> io::Result<()> {
        let count = self.streams.len();
        let under_way = count.min((BYTES_UNDER_WAY / self.answer.len()).max(1));
        for number in 0..messages + under_way {
            if let Some(answered) = number.checked_sub(under_way) {
                self.streams[answered % count].read_exact(&mut self.answer)?;
                assert!(self.answer.starts_with(&self.expected));
            }
            if number < messages {
                self.streams[number % count].write_all(&self.message)?;
            }
        }
        Ok(())
    }
}

fn connect_all(address: SocketAddr, connections: usize) -> io::Result<Vec<TcpStream>> {
    raise_descriptor_limit();
    let connect = |_| {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    (0..connections).map(connect).collect()
}

/// Makes connections that last for one message each.
pub fn connect_shortly(address: SocketAddr, connections: usize, size: usize) -> io::Result<()> {
    let message = vec![b'.'; size];
    let mut answer = Vec::with_capacity(size);
    let mut open: Vec<Option<TcpStream>> = Vec::new();
    open.resize_with(SHORT_CONNECTIONS, || None);
    for number in 0..connections + SHORT_CONNECTIONS {
        let place = &mut open[number % SHORT_CONNECTIONS];
        if let Some(mut stream) = place.take() {
            answer.clear();
            stream.read_to_end(&mut answer)?;
            assert_eq!(answer, message);
        }
        if number < connections {
            let mut stream = TcpStream::connect(address)?;
            leave_nothing_behind(&stream)?;
            stream.write_all(&message)?;
            *place = Some(stream);
        }
    }
    Ok(())
}

/// Has a connection reset when it is closed: otherwise its port would stay in use for a minute.
fn leave_nothing_behind(stream: &TcpStream) -> io::Result<()> {
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
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
