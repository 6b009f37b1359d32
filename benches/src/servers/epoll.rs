//! Nothing but system calls: epoll_wait(2), level-triggered.

use std::{
    io::{self, Read, Write},
    mem::zeroed,
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use super::{
    BUFFER, EVENTS, SHORT_BUFFER,
    accept::accept,
    connection::{Connection, Next},
};

pub(super) fn echo(streams: Vec<TcpStream>) -> io::Result<()> {
    let epoll = Epoll::new()?;
    let connections = streams.into_iter().map(Connection::new);
    let mut connections: Vec<Option<_>> = connections.map(Some).collect();
    for (index, connection) in connections.iter().flatten().enumerate() {
        epoll.control(
            libc::EPOLL_CTL_ADD,
            &connection.stream,
            index,
            libc::EPOLLIN,
        )?;
    }
    let mut buffer = [0; BUFFER];
    let mut open = connections.len();
    epoll.run(|index| {
        let Some(connection) = &mut connections[index] else {
            return Ok(true);
        };
        let next = connection.echo(&mut buffer, |_| false)?;
        if next == Next::Nothing {
            connections[index] = None;
            open -= 1;
        } else if connection.waits_for_room != (next == Next::Room) {
            connection.waits_for_room = next == Next::Room;
            let mask = match next {
                Next::Room => libc::EPOLLOUT,
                _ => libc::EPOLLIN,
            };
            epoll.control(libc::EPOLL_CTL_MOD, &connection.stream, index, mask)?;
        }
        Ok(open > 0)
    })
}

pub(super) fn short(listener: TcpListener, mut connections: usize) -> io::Result<()> {
    let epoll = Epoll::new()?;
    let listening = listener.as_raw_fd() as usize;
    epoll.control(libc::EPOLL_CTL_ADD, &listener, listening, libc::EPOLLIN)?;
    // By descriptor.
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut buffer = [0; SHORT_BUFFER];
    epoll.run(|fd| {
        if fd == listening {
            while let Some(stream) = accept(&listener)? {
                let fd = stream.as_raw_fd() as usize;
                epoll.control(libc::EPOLL_CTL_ADD, &stream, fd, libc::EPOLLIN)?;
                if streams.len() <= fd {
                    streams.resize_with(fd + 1, || None);
                }
                streams[fd] = Some(stream);
            }
        } else if let Some(mut stream) = streams[fd].take() {
            let n = stream.read(&mut buffer)?;
            stream.write_all(&buffer[..n])?;
            connections -= 1;
        }
        Ok(connections > 0)
    })
}

struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    fn new() -> io::Result<Epoll> {
        // SAFETY: takes no pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })? as RawFd;
        // SAFETY: the kernel has just made it, and nothing else closes it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Epoll { fd })
    }

    fn control(&self, operation: i32, of: &impl AsRawFd, word: usize, mask: i32) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: mask as u32,
            u64: word as u64,
        };
        // SAFETY: the event lives until the call returns.
        let result =
            unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, of.as_raw_fd(), &mut event) };
        check(result).map(drop)
    }

    /// Waits, and calls `ready` with the word of each event, until it returns false.
    fn run(&self, mut ready: impl FnMut(usize) -> io::Result<bool>) -> io::Result<()> {
        // SAFETY: all zeroes is a valid array of plain numbers.
        let mut events: [libc::epoll_event; EVENTS] = unsafe { zeroed() };
        let (fd, room) = (self.fd.as_raw_fd(), EVENTS as i32);
        loop {
            // SAFETY: there is room for as many events as it says.
            let count = check(unsafe { libc::epoll_wait(fd, events.as_mut_ptr(), room, -1) })?;
            for event in &events[..count] {
                if !ready(event.u64 as usize)? {
                    return Ok(());
                }
            }
        }
    }
}

fn check(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
